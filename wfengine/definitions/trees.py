"""A skeleton as a tree of nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define, field

from wfengine.errors import WorkflowDefinitionError

__all__ = ["Node", "quoted", "tree_of"]

LONGEST_WAY, START, LEFT_OUT = 10, 4, "..."


@define(eq=False)
class Node:
    """A task or list at its place; the outermost list has no parent and no label."""

    label: str
    parent: Node | None = field(default=None, repr=False)
    index: int = 0
    children: list[Node] = field(factory=list, repr=False)
    _numbers: dict[int, str] | None = field(default=None, repr=False)
    _way: tuple[str, ...] | None = field(default=None, repr=False)

    def at(self, position: Sequence[int]) -> Node | None:
        """Return the node at a position inside, or None where there is nothing."""
        found = self
        for index in position:
            if not 0 <= index < len(found.children):
                return None
            found = found.children[index]
        return found

    @property
    def last(self) -> Node | None:
        """The last of its children, or None."""
        return self.children[-1] if self.children else None

    @property
    def enclosing(self) -> list[Node]:
        """The nodes around it and it itself, without the outermost."""
        found = []
        node = self
        while node.parent is not None:
            found.append(node)
            node = node.parent
        return found[::-1]

    @property
    def position(self) -> list[int]:
        """Its position."""
        return [node.index for node in self.enclosing]

    @property
    def name(self) -> str:
        """Its label, and which one it is where there are several of that label in its list."""
        if self.parent is None:
            return "the definition"
        return f"{self.label}{self.parent.number_of(self.index)}"

    @property
    def path(self) -> str:
        """Its task path: the names of what is around it, some left out if they are many, and its.

        What is said of the nodes around it is kept, so that many paths cost little.
        """
        waiting = [self]
        while waiting[-1].parent is not None and waiting[-1]._way is None:
            waiting.append(waiting[-1].parent)
        for node in reversed(waiting):
            if node.parent is not None and node._way is None:
                node._way = (*(node.parent._way or ()), node.name)
                if len(node._way) > LONGEST_WAY:
                    node._way = (*node._way[:START], LEFT_OUT, *node._way[START + 2 :])
        return " > ".join(self._way or (self.name,))

    def number_of(self, index: int) -> str:
        """Return which one of several a child of the same label is, as a text after its label."""
        if self._numbers is None:
            self._numbers = dict(self._count())
        return self._numbers.get(index, "")

    def _count(self) -> Iterator[tuple[int, str]]:
        groups: dict[str, list[int]] = {}
        for child in self.children:
            groups.setdefault(child.label, []).append(child.index)
        for group in groups.values():
            if len(group) > 1:
                for number, index in enumerate(group, start=1):
                    yield index, f" ({number} of {len(group)})"

    def walk(self) -> Iterator[Node]:
        """Yield all nodes inside, each list before its elements."""
        waiting = self.children[::-1]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def tree_of(skeleton: Sequence[Sequence[str]]) -> Node:
    """Return the outermost list of a skeleton.

    :raises WorkflowDefinitionError: for one that is damaged.
    """
    root = Node("")
    around = [root]
    for entry in skeleton:
        depth, index, label = _parsed(entry)
        del around[depth + 1 :]
        if depth >= len(around) or index != len(around[depth].children):
            raise _damaged(entry)
        node = Node(label, around[depth], index)
        around[depth].children.append(node)
        around.append(node)
    return root


def _parsed(entry: Any) -> tuple[int, int, str]:
    try:
        position, label = entry
        level, colon, last = position.rpartition(":")
        indexes = position.split(".")
        depth, index = (int(level), int(last)) if colon else (len(indexes) - 1, int(indexes[-1]))
    except (TypeError, ValueError, AttributeError):
        raise _damaged(entry) from None
    if depth < 0 or index < 0 or not isinstance(label, str):
        raise _damaged(entry)
    return depth, index, label


def _damaged(entry: Any) -> WorkflowDefinitionError:
    text = repr(entry)
    return WorkflowDefinitionError(
        f"a stored skeleton is damaged: {text if len(text) <= 80 else text[:77] + '...'} "
        "is no position and label that follow those before it"
    )


def quoted(text: str) -> str:
    """Return a text in quotes, for a message."""
    return repr(text if len(text) <= 200 else f"{text[:100]}...{text[-97:]}")
