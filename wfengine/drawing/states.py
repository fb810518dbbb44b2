"""How many tokens are where, to be laid over a drawing."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from attrs import asdict, fields, frozen

from wfengine.definitions.outline import OutlineNode

__all__ = ["NodeState", "State", "laid_over", "laid_over_nodes", "nearest_node", "together"]


@frozen
class NodeState:
    """What became of the tokens that came to a node.

    :param done: visits that ended well.
    :param running: tokens that are there just now.
    :param halted: tokens that wait there for a decision.
    :param failed: tokens that stand there because of an error.
    :param skipped: tokens that left the definition there for the next one.
    :param waiting: tokens that are to begin there.
    """

    done: int = 0
    running: int = 0
    halted: int = 0
    failed: int = 0
    skipped: int = 0
    waiting: int = 0

    @property
    def most_urgent(self) -> str:
        """The name of the count that matters most, or nothing where all are 0."""
        names = ("failed", "halted", "running", "waiting", "done", "skipped")
        return next((name for name in names if getattr(self, name)), "")

    @property
    def texts(self) -> list[str]:
        """The counts that are not 0, each with its name."""
        return [f"{count:,} {name}" for name, count in asdict(self).items() if count]


State = Mapping[str, NodeState]


def together(states: Iterable[NodeState]) -> NodeState:
    """Return the state of a place that stands for several.

    Of tokens that are somewhere there are as many as in all of the places together; as for visits
    that are over, those of the place that had most of them.
    """
    found = list(states)
    counts = {
        attribute.name: sum(getattr(state, attribute.name) for state in found)
        for attribute in fields(NodeState)
    }
    counts["done"] = max((state.done for state in found), default=0)
    return NodeState(**counts)


def laid_over(tree: OutlineNode, state: State) -> dict[str, NodeState]:
    """Return the states by nodes that there are.

    A position in a pattern that has no node, such as that of a loop's own condition, counts for
    the nearest node around it; what is nowhere in the definition is left out.
    """
    return laid_over_nodes((node.id for node in tree.walk()), state)


def laid_over_nodes(nodes: Iterable[str], state: State) -> dict[str, NodeState]:
    """Do what :func:`laid_over` does where only the ids of the nodes are known."""
    if not state:
        return {}
    known = set(nodes)
    found: dict[str, list[NodeState]] = {}
    for place, counts in state.items():
        node = nearest_node(place, known)
        if node:
            found.setdefault(node, []).append(counts)
    return {node: together(states) for node, states in found.items()}


def nearest_node(place: str, known: Container[str]) -> str:
    """Return the id of the node at a place, or of the nearest around it; nothing if there is none.

    :param place: where a token is, or a task was run; of a loop's own condition, it has no node.
    :param known: the ids of all nodes.
    """
    branch, colon, position = place.rpartition(":")
    while position and f"{branch}{colon}{position}" not in known:
        position = position.rpartition(".")[0]
    return f"{branch}{colon}{position}" if position else ""
