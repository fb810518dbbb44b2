"""A chart in short, as a test can show it."""

from typing import Any

from wfengine.definitions import outline
from wfengine.drawing.chart import Chart, Shape
from wfengine.drawing.charting import chart_of
from wfengine.drawing.folding import DEEPEST, Folding
from wfengine.drawing.states import laid_over


def chart(definition: Any, depth: int = DEEPEST, most: int = 1000, state: Any = None) -> Chart:
    """The chart of a definition."""
    tree = outline(definition)
    return chart_of(Folding(tree, depth, most), laid_over(tree, state or {}))


def shapes(found: Chart) -> list[Shape]:
    """What is drawn, without where the way begins and ends."""
    return [
        item
        for item in found.items
        if isinstance(item, Shape) and item.kind not in ("start", "finish")
    ]


def arrows(definition: Any, **how: Any) -> list[str]:
    """What leads where: ``weigh -yes-> pack``, and in brackets the kind, where it is no plain way.

    A shape is known by its title, or else by its kind.
    """
    found = chart(definition, **how)
    names = {item.name: item.title or item.kind for item in found.items if isinstance(item, Shape)}
    return [
        f"{names[arrow.tail]} -{arrow.label and arrow.label + '-'}> {names[arrow.head]}"
        + (f" ({arrow.kind})" if arrow.kind != "way" else "")
        for arrow in found.arrows
    ]
