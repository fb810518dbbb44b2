"""A chart: shapes, what leads from one to the other, and frames around some of them."""

from __future__ import annotations

from attrs import define, field, frozen

from wfengine.drawing.states import NodeState

__all__ = ["Arrow", "Chart", "Close", "Frame", "Shape"]


@frozen
class Shape:
    """Something in a chart that stands for a node, or for several.

    :param name: tells it from the others of the chart.
    :param kind: ``task``, ``pattern``, ``condition``, ``loop``, ``fork``, ``join``, ``halt``,
        ``end``, ``error``, ``jump``, ``collapsed``, ``start`` or ``finish``.
    :param title: what is written in it.
    :param note: what is written below that, smaller.
    :param node: the id of the node that it stands for, or nothing.
    :param hint: what is shown to somebody who points at it.
    :param state: what is laid over it.
    :param is_reached: whether anything leads to it.
    """

    name: str
    kind: str
    title: str = ""
    note: str = ""
    node: str = ""
    hint: str = ""
    state: NodeState | None = None
    is_reached: bool = True


@frozen
class Frame:
    """A frame around some shapes.

    :param kind: ``list``, ``loop``, ``branch``, ``try`` or ``inside``.
    """

    name: str
    kind: str
    title: str = ""
    node: str = ""


@frozen
class Close:
    """The end of the frame that was opened last."""


@frozen
class Arrow:
    """What leads from one shape to another.

    :param kind: ``way``, ``back``, ``jump``, ``handover``, ``failure``, ``resumed``, ``aside``; or
        ``order``, for one that is not seen and only says which shape stands above the other.
    """

    tail: str
    head: str
    label: str = ""
    kind: str = "way"


@define(eq=False)
class Chart:
    """What is to be drawn.

    :param items: shapes and frames, as they begin and end.
    """

    items: list[Shape | Frame | Close] = field(factory=list)
    arrows: list[Arrow] = field(factory=list)
