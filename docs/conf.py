"""Sphinx configuration. Examples are run by pytest; Sphinx only renders them."""

import warnings
from importlib.metadata import version as version_of

from sqlalchemy.exc import SAWarning

project = "wfengine"
author = "the wfengine developers"
project_copyright = "2026, the wfengine developers"
release = version_of("wfengine")
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"wfengine {release}"

autodoc_member_order = "bysource"
python_use_unqualified_type_names = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Autodoc looks at what mixins declare, which SQLAlchemy thinks was a mistake.
warnings.filterwarnings("ignore", "Unmanaged access", SAWarning)

# A reference that leads nowhere is a warning, and the build treats warnings as errors.
nitpicky = True
nitpick_ignore_regex = [
    # Names of other projects: their inventories would have to be downloaded.
    ("py:.*", r"(?!wfengine\b)\w+\..*"),
    # Type variables, such as T and TokenT, have no page of their own.
    ("py:class", r"wfengine\..*\b_?([A-Z]|[A-Z]\w*[a-z]T|Class)"),
    # Of other projects too, where an annotation is imported for type checking only.
    ("py:class", r"UUID|Session|URL|Callable\[\[\]|timedelta|datetime|AbstractContextManager"),
    # What steps are made of inside: people meet it as what add_step and or_ return.
    ("py:class", r"wfengine\.steps\.\w+\.\w+"),
]
