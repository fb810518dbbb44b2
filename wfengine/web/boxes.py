"""A definition as boxes within boxes, written without recursion however deep they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from wfengine.drawing.states import State, laid_over

if TYPE_CHECKING:
    from wfengine.definitions import OutlineNode

__all__ = ["Box", "boxes_of", "described", "find_node"]

MOST_BOXES = 3000


@frozen
class Box:
    """What is written next: a node begins, or one that was begun ends.

    :param node: None at an end.
    :param counts: how many tokens stand there, by kind.
    """

    node: OutlineNode | None
    counts: tuple[tuple[str, int], ...] = ()
    is_chosen: bool = False


def boxes_of(root: OutlineNode, state: State, chosen: str = "") -> Iterator[Box]:
    """Yield the boxes of what is inside a definition, in the order in which they are written.

    :param state: what became of the tokens that came to a place, as
        :meth:`wfengine.store.Store.live` returns it.
    :param chosen: the id of the node that is looked at.
    """
    states = laid_over(root, state)
    waiting: list[OutlineNode | None] = list(reversed(root.children))
    written = 0
    while waiting and written < MOST_BOXES:
        node = waiting.pop()
        if node is None:
            yield Box(None)
            continue
        written += 1
        found = None if node.is_asked else states.get(node.id)
        counts = () if found is None else tuple(asdict(found).items())
        yield Box(node, counts, node.id == chosen and not node.is_asked)
        waiting.append(None)
        waiting.extend(reversed(node.children))
    yield from (Box(None) for each in waiting if each is None)


def find_node(root: OutlineNode, node_id: str) -> OutlineNode | None:
    """Return the step of a definition with an id, if there is one."""
    return next((node for node in root.walk() if node.id == node_id and not node.is_asked), None)


def described(node: OutlineNode) -> dict[str, Any]:
    """Return what there is to say about a node, by what it is called."""
    found = {
        "Kind": node.kind,
        "Position": node.id,
        "Path": node.path,
        "Role": node.role,
        "Written in": str(node.source) if node.source else "",
        **{str(name): str(value)[:200] for name, value in node.options.items()},
    }
    return {name: value for name, value in found.items() if value}
