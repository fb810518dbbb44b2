"""What users call: a definition, or its outline, as a text or a picture."""

from __future__ import annotations

from typing import Any

from wfengine.definitions.outline import OutlineNode, outline
from wfengine.drawing.chart import Chart, Shape
from wfengine.drawing.charting import chart_of
from wfengine.drawing.dot_text import dot_of
from wfengine.drawing.folding import DEEPEST, Folding
from wfengine.drawing.graphviz import png_of, svg_of
from wfengine.drawing.mermaid_text import mermaid_of
from wfengine.drawing.states import State, laid_over
from wfengine.drawing.themes import theme_named
from wfengine.errors import DrawingError

__all__ = ["dot", "mermaid", "png", "svg"]

MOST = 300
PATIENCE = 30.0
RESOLUTION = 144


def mermaid(
    callbacks: Any,
    *,
    state: State | None = None,
    depth: int = DEEPEST,
    most: int = MOST,
    theme: str = "light",
) -> str:
    """Return a definition as a Mermaid flowchart.

    Equal definitions give equal texts, in every process.

    :param callbacks: a definition, or its :func:`~wfengine.definitions.outline`.
    :param state: what to lay over it, by the ids of the outline's nodes, such as what
        :meth:`wfengine.store.Store.live` returns.
    :param depth: how many levels of lists and patterns are opened; what is further in is drawn as
        one shape that says how many tasks it stands for.
    :param most: how many steps are drawn at most; what is further out comes first.
    :param theme: ``light`` or ``dark``.
    :raises WorkflowDefinitionError: for what is no definition.
    :raises DrawingError: for options that there are not.

    >>> def weigh(obj, eng): ...
    >>> print(mermaid([weigh]).partition("classDef")[0])
    flowchart TD
      n0((" ")):::start_
      n1["weigh"]:::task_
      n2(((" "))):::finish_
      n0 --> n1
      n1 --> n2
    <BLANKLINE>
    """
    return mermaid_of(_chart(callbacks, state, depth, most), theme_named(theme))


def dot(
    callbacks: Any,
    *,
    state: State | None = None,
    depth: int = DEEPEST,
    most: int = MOST,
    theme: str = "light",
) -> str:
    """Return a definition in DOT, the language of Graphviz; see :func:`mermaid`."""
    return dot_of(_chart(callbacks, state, depth, most), theme_named(theme))


def svg(
    callbacks: Any,
    *,
    state: State | None = None,
    depth: int = DEEPEST,
    most: int = MOST,
    theme: str = "light",
    timeout: float = PATIENCE,
) -> bytes:
    """Return a definition as an ``<svg>`` element, in UTF-8; see :func:`mermaid`.

    It is transparent and can be put into a page. The group of each shape has the id of the node
    that it stands for as its ``id``, and classes for a style sheet: ``wf-task``, ``wf-condition``,
    ..., and of a state ``wf-running`` and so on.

    :param timeout: how long Graphviz may take, in seconds.
    :raises DrawingError: also when Graphviz is not installed, or takes too long.
    """
    chart = _chart(callbacks, state, depth, most)
    hints = {item.name: item.hint for item in chart.items if isinstance(item, Shape)}
    return svg_of(dot_of(chart, theme_named(theme)), hints, _seconds(timeout))


def png(
    callbacks: Any,
    *,
    state: State | None = None,
    depth: int = DEEPEST,
    most: int = MOST,
    theme: str = "light",
    timeout: float = PATIENCE,
    resolution: int = RESOLUTION,
) -> bytes:
    """Return a definition as a PNG file; see :func:`svg`.

    :param resolution: in dots per inch.
    """
    chart = _chart(callbacks, state, depth, most)
    text = dot_of(chart, theme_named(theme), is_transparent=False)
    return png_of(text, _whole("resolution", resolution, least=10), _seconds(timeout))


def _chart(callbacks: Any, state: State | None, depth: int, most: int) -> Chart:
    tree = callbacks if isinstance(callbacks, OutlineNode) else outline(callbacks)
    folding = Folding(tree, _whole("depth", depth, least=0), _whole("most", most, least=1))
    return chart_of(folding, laid_over(tree, state or {}))


def _whole(name: str, number: Any, least: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise DrawingError(f"{name} is a whole number from {least} on, not {str(number)[:40]!r}")
    return number


def _seconds(timeout: Any) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise DrawingError(f"timeout is a number of seconds above 0, not {str(timeout)[:40]!r}")
    return float(timeout)
