"""GRAPH: tasks that are started as soon as what they require has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from wfengine.callbacks import Task
from wfengine.description import Description, Need, Part, described

from .crews import Crew, current_crew
from .nodes import Failure, Node, Plan
from .parts import named
from .requirements import After, AllOf, AnyOf
from .visits import Entry, Visit

__all__ = ["GRAPH", "After", "AllOf", "AnyOf", "Entry", "Failure", "Node"]

MOST_TOLD = 20_000
"""So many requirements are told to tools at most; a drawing of more could not be read."""


def GRAPH(
    *nodes: Node,
    limit: int | None = None,
    events: Sequence[Any] = (),
    failed: Callable[[Any, Any, list[Failure], bool], None] | None = None,
) -> Task:
    """Start each element as soon as what it requires has come, beside each other.

    Each is a branch of the run. What it puts into ``extra_data`` is there for whatever begins after
    its end. A failing element does not stop the others, unless its node says so; what waits for its
    failure or its end goes on. When nothing is left that can begin, the exceptions that nothing
    answered to are raised, several in an ExceptionGroup; a halt when nothing failed. Taken up
    again, it goes on with what was not done.

    :param limit: how many tasks of its elements may run at a time, those of graphs inside of them
        included; by default as many as can.
    :param events: further requirements; that one of them comes true answers a failure.
    :param failed: called with ``(obj, eng, failures, is_stopped)`` in place of raising what nothing
        answered to; when it returns, the graph is over.
    :raises WorkflowDefinitionError: for a name that is there twice, a requirement on what is not
        there, a cycle, and a requirement that can never come true.
    """
    plan = Plan.of(nodes, limit, events, failed)

    def task(obj: Any, eng: Any) -> Any:
        crew = current_crew()
        if eng.is_asynchronous:
            from .graphs_in_loops import run_in_loop

            return run_in_loop(plan, obj, eng)
        if crew is not None and crew.turns(eng):
            visit = Visit(plan, crew, obj, eng)
            visit.begin()
            return visit
        crew = Crew(plan.limit)
        visit = Visit(plan, crew, obj, eng)
        try:
            crew.work_until(visit.begin)
        except BaseException as error:
            visit.abandon(error)
            raise
        return visit.settle()

    # How many may run at a time is not told: it may change while a run is under way.
    description = Description("GRAPH", parts=_parts(plan), memory=plan.kind, label=_count_of(nodes))
    return described(named(task, "GRAPH"), description)


def _parts(plan: Plan) -> tuple[Part, ...]:
    """Return the elements with what they require, as tools see them."""
    return tuple(
        Part("branch", definition, node.name, needs)
        for (node, definition), needs in zip(plan.elements, _told(plan), strict=True)
    )


def _told(plan: Plan) -> list[tuple[Need, ...]]:
    """Return what each element requires; nothing where that is too much to be told."""
    found, left = list[tuple[Need, ...]](), MOST_TOLD
    for number in range(len(plan.nodes)):
        found.append(tuple(dict.fromkeys(islice(plan.wiring.needs_of(number), left + 1))))
        left -= len(found[-1])
        if left < 0:
            return [()] * len(plan.nodes)
    return found


def _count_of(nodes: Sequence[Node]) -> str:
    return "1 element" if len(nodes) == 1 else f"{len(nodes)} elements"
