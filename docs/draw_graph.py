"""Draws a GRAPH: its elements in rows, each below what it requires."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drawing import GAP, SIDE, TURN, Drawing, framed

from wfengine.description import Description


def rows_of(names: list[str], requires: dict[str, list[str]]) -> list[list[str]]:
    """Return the elements by how many stand one after the other before them."""
    depths: dict[str, int] = {}
    while len(depths) < len(names):
        for name in names:
            before = requires.get(name, [])
            if all(each in depths for each in before):
                depths[name] = max((depths[each] + 1 for each in before), default=0)
    return [
        [name for name in names if depths[name] == depth]
        for depth in range(max(depths.values()) + 1)
    ]


def draw_graph(
    description: Description, title: str, draw_list: Callable[[Any], Drawing]
) -> Drawing:
    """Return a frame with the elements and the ways between them."""
    parts = {part.label: framed(draw_list(part.content), part.label) for part in description.parts}
    requires = {
        part.label: sorted({need.label for need in part.needs})
        for part in description.parts
        if part.needs
    }
    inner, heads, feet = Drawing(), {}, {}
    top = GAP
    for row in rows_of(list(parts), requires):
        places = side_by_side([parts[name] for name in row])
        for name, x in zip(row, places, strict=True):
            heads[name], feet[name] = (x, top), (x, inner.put(parts[name], x, top))
        top = inner.foot + 2 * GAP
    for name, before in requires.items():
        for each in before:
            inner.line(feet[each], heads[name])
    for name in (name for name in parts if name not in requires):
        x, y = heads[name]
        inner.line((0, 0), (x, TURN), (x, y))
    foot, last = inner.foot + GAP, {each for before in requires.values() for each in before}
    for name in (name for name in parts if name not in last):
        x, y = feet[name]
        inner.line((x, y), (x, foot - TURN), (0, foot), arrow=False)
    return framed(inner, title)


def side_by_side(parts: list[Drawing]) -> list[float]:
    """Return the axes of parts beside each other, around 0."""
    edges, axes = 0.0, []
    for part in parts:
        axes.append(edges - part.left)
        edges += part.right - part.left + SIDE
    middle = (axes[0] + axes[-1]) / 2
    return [axis - middle for axis in axes]
