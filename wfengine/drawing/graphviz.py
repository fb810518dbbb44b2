"""Graphviz's ``dot``, as a program of its own that is given a text and returns a picture."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from html import escape

from wfengine.errors import DrawingError

__all__ = ["png_of", "svg_of"]

VARIABLE = "GRAPHVIZ_DOT"
"""Of the environment: where the program is, if not on the PATH."""

HOW_TO = (
    "install Graphviz (Debian and Ubuntu: apt install graphviz; macOS: brew install graphviz; "
    "Windows: winget install graphviz), or say in the variable GRAPHVIZ_DOT where it is. "
    "Mermaid and DOT are texts that are made without it"
)

AUTOMATIC = re.compile(r' id="(?:graph|node|edge|clust|a_node|a_edge)\d+"')
TITLE = re.compile(r"<title>(.*?)</title>\s*")


def svg_of(dot: str, hints: Mapping[str, str], timeout: float) -> bytes:
    """Return a picture as an ``<svg>`` element that can be put into a page.

    :param hints: what is shown to somebody who points at a shape, by its name.
    :param timeout: in seconds.
    :raises DrawingError: when there is no Graphviz, or it does not draw that.
    """
    text = _run("svg", dot, timeout).decode("utf-8")
    element = text[text.index("<svg") :]
    element = re.sub(r"<!--.*?-->\s*", "", element, flags=re.DOTALL)
    element = AUTOMATIC.sub("", element)

    def hint(found: re.Match[str]) -> str:
        said = hints.get(found[1])
        return f"<title>{escape(said, quote=False)}</title>\n" if said else ""

    return TITLE.sub(hint, element).encode("utf-8")


def png_of(dot: str, resolution: int, timeout: float) -> bytes:
    """Return a picture as a PNG file.

    :param resolution: in dots per inch.
    :raises DrawingError: as :func:`svg_of` does.
    """
    return _run("png", dot, timeout, f"-Gdpi={resolution:d}")


def _run(form: str, dot: str, timeout: float, *options: str) -> bytes:
    program = os.environ.get(VARIABLE) or shutil.which("dot")
    if not program:
        raise DrawingError(f"there is no program dot, which draws pictures: {HOW_TO}")
    try:
        done = subprocess.run(
            [program, f"-T{form}", *options],
            input=dot.encode("utf-8"),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DrawingError(
            f"Graphviz has not drawn this within {timeout:g} seconds: show less of it, with "
            "depth= or most=, or allow more time, with timeout="
        ) from None
    except OSError as error:
        raise DrawingError(f"{program} cannot be run: {error.strerror}; {HOW_TO}") from error
    if done.returncode < 0:
        raise DrawingError(
            f"Graphviz was ended by signal {-done.returncode}: show less of this, with depth= or "
            "most="
        )
    if done.returncode or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise DrawingError(
            f"Graphviz failed with status {done.returncode}: {said[:200] or 'it says nothing'}"
        )
    return done.stdout
