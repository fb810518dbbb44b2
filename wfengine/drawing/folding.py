"""What of a definition is shown, where all of it would be too much to look at."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from attrs import define, field

from wfengine.callbacks import Definition
from wfengine.definitions.outline import SEQUENCE, OutlineNode

__all__ = ["DEEPEST", "Folding", "parts_of", "steps_of"]

DEEPEST = 30
"""More levels inside of each other are never drawn: nobody could read them."""

WORTH_SHOWING = 5
"""Fewer steps of a long list say less than the number of its tasks."""


def steps_of(node: OutlineNode) -> list[OutlineNode]:
    """Return the children of a node without what is only asked."""
    return [child for child in node.children if not child.is_asked]


def parts_of(node: OutlineNode) -> list[OutlineNode]:
    """Return the lists that a node is drawn as: its branches, or else itself."""
    if isinstance(node.task, Definition) and node.task.is_loop:
        return [node]
    branches = [child for child in steps_of(node) if child.kind == SEQUENCE and child.role]
    return [*branches, node]


@define(eq=False)
class Folding:
    """Which nodes are opened, and how many steps are shown of each list.

    :param depth: so many levels of lists and patterns are opened.
    :param most: so many shapes are drawn at most, or somewhat more.
    """

    tree: OutlineNode
    depth: int
    most: int
    tasks: dict[int, int] = field(init=False)
    _shown: dict[int, int] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.tasks = _count_tasks(self.tree)
        self._open()

    def is_open(self, node: OutlineNode) -> bool:
        """Return whether what is inside of a node is drawn."""
        return id(node) in self._shown

    def shown_of(self, node: OutlineNode) -> Sequence[OutlineNode]:
        """Return the steps of a list that are drawn one by one."""
        return steps_of(node)[: self._shown.get(id(node), 0)]

    def hidden_of(self, node: OutlineNode) -> Sequence[OutlineNode]:
        """Return the steps of a list that are drawn as one."""
        return steps_of(node)[self._shown.get(id(node), 0) :]

    def _open(self) -> None:
        """Open what is further out before what is further in, as long as there is room."""
        left = self.most
        waiting = deque([(self.tree, 0)])
        while waiting:
            node, level = waiting.popleft()
            parts = parts_of(node)
            longest = self._room(parts, left, is_outermost=not level)
            if level > min(self.depth, DEEPEST) or not longest:
                continue
            for part in parts:
                shown = steps_of(part)[:longest]
                self._shown[id(part)] = len(shown)
                left -= len(shown)
                waiting.extend(
                    (step, level + 1) for step in shown if step.children and step not in parts
                )

    @staticmethod
    def _room(parts: Sequence[OutlineNode], left: int, is_outermost: bool) -> int:
        """Return how many steps of each list are shown; 0 if none of them are."""
        sizes = [len(steps_of(part)) for part in parts]
        if sum(sizes) <= left:
            return max(1, *sizes)
        room = left // len(parts)
        return max(room, 1) if is_outermost or room >= WORTH_SHOWING else 0


def _count_tasks(tree: OutlineNode) -> dict[int, int]:
    """Return how many tasks there are in each node."""
    counts: dict[int, int] = {}
    for node in reversed(list(tree.walk())):
        inside = sum(counts[id(step)] for step in steps_of(node))
        counts[id(node)] = inside if steps_of(node) or node.kind == SEQUENCE else 1
    return counts
