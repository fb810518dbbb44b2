"""Draws how the statuses of flows follow each other, from the table that the library goes by."""

from __future__ import annotations

from drawing import BOX_HEIGHT, Drawing, Point, box, svg, text_width

from wfengine.flows import FlowStatus
from wfengine.flows.status import MOVES

PLACES = {
    FlowStatus.CREATED: (0, 0),
    FlowStatus.SCHEDULED: (1, 0),
    FlowStatus.RUNNING: (2, 0),
    FlowStatus.SUCCEEDED: (3, 0),
    FlowStatus.RESCHEDULED: (1, 1),
    FlowStatus.FAILED: (2, 1),
}
"""In which column and row each status stands."""

ACROSS, DOWN = 170, 100


def flow_statuses() -> str:
    """Return the picture."""
    drawing = Drawing()
    for status, place in PLACES.items():
        x, y = top_of(place)
        drawing.put(box(status.name), x, y)
    for old, new in sorted(MOVES, key=lambda move: [PLACES[status] for status in move]):
        drawing.line(*way(old, new))
    return svg(drawing)


def top_of(place: tuple[int, int]) -> Point:
    column, row = place
    return column * ACROSS, row * DOWN


def way(old: FlowStatus, new: FlowStatus) -> tuple[Point, Point]:
    """Return where the line from one status to another begins and ends, at the boxes' borders."""
    (x, y), (to_x, to_y) = top_of(PLACES[old]), top_of(PLACES[new])
    if y == to_y:
        side = 1 if to_x > x else -1
        middle = y + BOX_HEIGHT / 2
        return (x + side * half(old), middle), (to_x - side * half(new), middle)
    if y < to_y:
        return (x, y + BOX_HEIGHT), (to_x, to_y)
    return (x + half(old) / 2, y), (to_x - half(new) / 2, to_y + BOX_HEIGHT)


def half(status: FlowStatus) -> float:
    return text_width(status.name) / 2 + 16
