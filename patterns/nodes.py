"""What a GRAPH is made of, before anybody runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from wfengine.callbacks import Definition
from wfengine.errors import WorkflowDefinitionError

from .parts import Branch, as_branch, digest
from .requirements import Wiring

if TYPE_CHECKING:
    from .visits import Entry

__all__ = ["Failure", "Node", "Plan"]

SKIPPED_AGAIN = frozenset({"success"})


@frozen(eq=False)
class Node:
    """An element of a :func:`~wfengine.patterns.graph.GRAPH`.

    :param name: by which others require it; no other element of the graph has it.
    :param branch: what it runs: one task, one pattern, or a list of them.
    :param requires: the name of another element, which has to succeed; an ``After(name, event)``,
        ``AllOf(...)`` or ``AnyOf(...)``; or several of these, all of which have to come.
    :param stops: whether its failure keeps everything from beginning that has not begun yet,
        unless something waits for that failure.
    :param skips: how it may have ended, ``success``, ``failure`` or ``active``, so that it is not
        run again when the run is taken up again.
    :param tokens: a callable ``(obj, eng)`` that returns tokens of its own, and what it puts into
        ``extra_data`` is its own too; by default it runs for the token of the graph.
    :param gate: called with an :class:`~wfengine.patterns.visits.Entry` when its requirements are
        met; it begins when that has been told to ``go``.
    :param is_for_caller: whether it has to be run in the very thread that runs the engine.
    """

    name: str
    branch: Branch
    requires: Any = None
    stops: bool = False
    skips: frozenset[str] = SKIPPED_AGAIN
    tokens: Callable[[Any, Any], Any] | None = None
    gate: Callable[[Entry], None] | None = None
    is_for_caller: bool = False


@frozen(eq=False)
class Failure:
    """An element that failed."""

    name: str
    error: Exception


@frozen(eq=False)
class Plan:
    """What a GRAPH knows, whoever runs it."""

    nodes: tuple[Node, ...]
    definitions: tuple[Definition, ...]
    wiring: Wiring
    limit: int | None
    failed: Callable[[Any, Any, list[Failure], bool], None] | None
    kind: str
    shares_data: bool
    """Whether elements write to the ``extra_data`` of which others get a copy."""

    @classmethod
    def of(
        cls, nodes: Sequence[Node], limit: int | None, events: Sequence[Any], failed: Any
    ) -> Plan:
        """Check all there is, and wire it up."""
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
            raise WorkflowDefinitionError(f"GRAPH's limit is a whole number, not {limit!r}")
        if limit is not None and limit < 1:
            raise WorkflowDefinitionError(f"GRAPH's limit is at least 1, not {limit}")
        _check_names(nodes)
        definitions = tuple(as_branch(node.branch, f"GRAPH's {node.name!r}") for node in nodes)
        names = [node.name for node in nodes]
        wiring = Wiring(names, [node.requires for node in nodes], events)
        kind = digest("GRAPH", (), *names)
        shares_data = any(node.tokens is None for node in nodes)
        return cls(tuple(nodes), definitions, wiring, limit, failed, kind, shares_data)

    @property
    def elements(self) -> list[tuple[Node, Definition]]:
        """Each with what it runs."""
        return list(zip(self.nodes, self.definitions, strict=True))


def _check_names(nodes: Sequence[Any]) -> None:
    if not nodes:
        raise WorkflowDefinitionError("GRAPH takes at least one Node")
    seen: set[str] = set()
    for place, node in enumerate(nodes):
        if not isinstance(node, Node):
            raise WorkflowDefinitionError(
                f"GRAPH takes Node(name, branch, ...), not {node!r} at {place}"
            )
        if not isinstance(node.name, str) or not node.name:
            raise WorkflowDefinitionError(f"the name of a Node is a text, not {node.name!r}")
        if node.name in seen:
            raise WorkflowDefinitionError(f"GRAPH has two elements of the name {node.name!r}")
        seen.add(node.name)
