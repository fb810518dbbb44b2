"""Sphinx configuration. Examples are run by pytest; Sphinx only renders them."""

from importlib.metadata import version as version_of

project = "wfengine"
author = "the wfengine developers"
project_copyright = "2026, the wfengine developers"
release = version_of("wfengine")
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"wfengine {release}"

autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# A reference that leads nowhere is a warning, and the build treats warnings as errors.
nitpicky = True
nitpick_ignore_regex = [
    # Names of other projects: their inventories would have to be downloaded.
    ("py:.*", r"(?!wfengine\b)\w+\..*"),
    # Type variables, such as T and TokenT, have no page of their own.
    ("py:class", r"wfengine\..*\b_?([A-Z]|[A-Z]\w*[a-z]T)"),
]
