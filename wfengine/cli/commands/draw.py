"""The command ``wfengine draw``: a definition as a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from wfengine import drawing
from wfengine.cli.definitions import Target, written
from wfengine.cli.options import DEFAULT_STORE, StoreUrl, users_errors
from wfengine.cli.printing import print_text
from wfengine.cli.stores import find_run, opened
from wfengine.definitions import fingerprint
from wfengine.drawing import NodeState
from wfengine.drawing.folding import DEEPEST
from wfengine.drawing.pictures import MOST
from wfengine.errors import DrawingError

__all__ = ["draw"]


class Form(StrEnum):
    """As what a definition is drawn."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    PNG = "png"


class Shade(StrEnum):
    """For what kind of page."""

    LIGHT = "light"
    DARK = "dark"


SUFFIXES = {".mmd": Form.MERMAID, ".dot": Form.DOT, ".gv": Form.DOT, ".svg": Form.SVG}
SUFFIXES |= {".mermaid": Form.MERMAID, ".png": Form.PNG}

DRAWN_AS: dict[Form, Callable[..., str | bytes]] = {
    Form.MERMAID: drawing.mermaid,
    Form.DOT: drawing.dot,
    Form.SVG: drawing.svg,
    Form.PNG: drawing.png,
}


def draw(
    target: Target,
    form: Annotated[
        Form | None,
        typer.Option(
            "--format",
            "-f",
            help="As what; svg and png need Graphviz.",
            show_default="as FILE ends, or mermaid",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to.", show_default="the terminal"
        ),
    ] = None,
    depth: Annotated[
        int, typer.Option("--depth", min=0, help="Open so many levels of lists and patterns.")
    ] = DEEPEST,
    most: Annotated[int, typer.Option("--most", min=1, help="Draw at most so many steps.")] = MOST,
    theme: Annotated[Shade, typer.Option("--theme", help="For which pages.")] = Shade.LIGHT,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Lay over it where the tokens of this run are."),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """Draw a workflow: as Mermaid or DOT, which are texts, or as SVG or PNG.

    In Python: wfengine.drawing.svg(definition), and mermaid, dot and png.

    [bold]Examples[/bold]

    wfengine draw workflow.py:workflow

    wfengine draw workflow.py:workflow --output workflow.svg --depth 2

    wfengine draw workflow.py:workflow -o now.png --store sqlite:///runs.db --run 3f2a

    [bold]Exit status[/bold]

    0 when it is drawn, 2 when there is something wrong with the command, the workflow cannot be \
loaded, or Graphviz does not draw it.
    """
    with users_errors():
        found = written(target)
        state = _state(found, store, run) if run else None
        wanted = form or _form_of(output)
        how: dict[str, Any] = {"depth": depth, "most": most, "theme": theme.value}
        drawn = DRAWN_AS[wanted](found, state=state, **how)
        raw = drawn.encode() if isinstance(drawn, str) else drawn
        _write(raw, output, wanted)


def _form_of(output: Path | None) -> Form:
    """Return as what a file is to be drawn."""
    suffix = output.suffix.lower() if output else ""
    if suffix and suffix not in SUFFIXES:
        raise DrawingError(
            f"it cannot be told from {output} as what to draw: say so with --format, as one of "
            f"{', '.join(Form)}, or let the file end with .mmd, .dot, .svg or .png"
        )
    return SUFFIXES.get(suffix, Form.MERMAID)


def _state(found: Any, url: str, uuid: str) -> Mapping[str, NodeState]:
    with opened(url) as kept:
        uuid = find_run(kept, uuid)
        stored = kept.run(uuid)
        if stored.fingerprint != fingerprint(found):
            print_text(
                Console(stderr=True),
                f"run {uuid} was written down with another version of the workflow, or with "
                "another workflow: what is shown may be in the wrong place",
                "yellow",
            )
        return kept.live(uuid)


def _write(raw: bytes, output: Path | None, form: Form) -> None:
    if output is not None:
        try:
            output.write_bytes(raw)
        except OSError as error:
            raise DrawingError(f"{output} cannot be written: {error.strerror}") from None
        return
    if form is Form.PNG and sys.stdout.isatty():
        raise DrawingError("a PNG is no text: say where to with --output FILE")
    sys.stdout.flush()
    sys.stdout.buffer.write(raw if raw.endswith(b"\n") or form is Form.PNG else raw + b"\n")
