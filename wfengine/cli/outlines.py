"""A run's definition in lines: as it is now, where it can be loaded, or else as it was stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from wfengine.definitions import outline, registry
from wfengine.drawing.states import NodeState, State, laid_over, laid_over_nodes

if TYPE_CHECKING:
    from wfengine.store import Store

__all__ = ["Line", "outline_lines"]

PLAIN = {"task", "list"}
"""Kinds of nodes whose label says enough."""


@frozen
class Line:
    """A place in a definition.

    :param path: its position, ``0.2.1``; empty for what is asked by a pattern, or runs in a branch.
    :param level: how far inside.
    :param state: what became of the tokens that came there, those of branches too.
    """

    path: str
    level: int
    label: str
    state: NodeState

    @property
    def text(self) -> str:
        """The label, further in for each level."""
        return "  " * self.level + " ".join(self.label.split())


def outline_lines(store: Store, uuid: str, target: str | None = None) -> list[Line]:
    """Return the lines of the definition that a run runs, and where its tokens are in it.

    :param target: the definition; by default the one that is registered for the run, or else what
        is stored of it.
    :raises WorkflowDefinitionError: when there is no such target.
    """
    run, state = store.run(uuid), store.live(uuid)
    definition: Any = None
    if target is not None:
        definition = registry.find(target)
    else:
        definition = store.definitions.known(run.options.get("definition"))
    if definition is not None:
        return _of_definition(definition, state)
    return _of_skeleton(store.skeleton(run.fingerprint) or [], state)


def _of_definition(definition: Any, state: State) -> list[Line]:
    lines, tree = [], outline(definition)
    states = laid_over(tree, state)
    waiting = [(node, 0) for node in reversed(tree.children)]
    while waiting:
        node, level = waiting.pop()
        role = f"{node.role}: " if node.role else ""
        kind = "" if node.kind in PLAIN else f"{node.kind} "
        path = "" if node.is_asked or node.branch else node.id
        found = NodeState() if node.is_asked else states.get(node.id, NodeState())
        lines.append(Line(path, level, f"{role}{kind}{node.label}".rstrip(), found))
        waiting.extend((child, level + 1) for child in reversed(node.children))
    return lines


def _of_skeleton(entries: list[list[str]], state: State) -> list[Line]:
    """Return the lines of a stored definition: pairs of a position and a label."""
    lines, states = [], laid_over_nodes((position for position, _ in entries), state)
    for position, label in entries:
        is_deep = ":" in position  # level and last index: too far inside to be written out
        level = int(position.partition(":")[0]) if is_deep else position.count(".")
        found = states.get(position, NodeState())
        lines.append(Line("" if is_deep else position, level, label, found))
    return lines
