"""A flow as a definition: a FOR over the rounds of each container around a GRAPH of its steps.

A step's token says which step it is, and which round of each step around it: ``{"step":
"s1_s11", "sequence": "1.2"}``, with the ``result`` of its function at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import time
from typing import TYPE_CHECKING, Any

from wfengine import frames
from wfengine.callbacks import Definition
from wfengine.definitions.naming import LABEL
from wfengine.description import describe, described
from wfengine.errors import WorkflowDefinitionError
from wfengine.interpreter import is_in_loop
from wfengine.patterns import FOR, GRAPH
from wfengine.patterns.graph import Node
from wfengine.steps.calls import Call
from wfengine.steps.coroutines import result_of
from wfengine.steps.errors import StepError
from wfengine.steps.keeping import check_kept
from wfengine.steps.processes import ending_processes
from wfengine.steps.resources import Claim

if TYPE_CHECKING:
    from wfengine.steps.repeats import Rounds
    from wfengine.steps.steps import Container, Step

__all__ = ["compile_flow", "lines_of"]

ROUND = "round"
"""The key of ``extra_data`` under which a loop puts the number of its round.

In a run that is stored it is a list, behind the number a mark of the values up to it: the position
keeps it, so that a run is not taken up again with others.
"""

SHOWN = 5


def compile_flow(flow: Any) -> Definition:
    """Return the definition that a flow comes to.

    :raises WorkflowDefinitionError: for a step that has neither a function nor steps, and for
        requirements that cannot come true.
    """
    graph = _graph(flow)

    def task(obj: Any, eng: Any) -> Any:
        with ending_processes():
            return graph(obj, eng)

    return Definition([_in_place_of(graph, task)])


def _in_place_of(graph: Any, task: Any) -> Any:
    """Return a task that calls a graph as what that is to tools."""
    task.__name__ = task.__qualname__ = graph.__name__
    description = describe(graph)
    assert description is not None  # noqa: S101 - it is a pattern
    return described(task, description)


def _graph(container: Container) -> Any:
    if not container.steps:
        what = f"step {container.path!r}" if container.path else "the flow"
        advice = "give it a function, or add steps to it" if container.path else "add one"
        raise WorkflowDefinitionError(f"{what} has nothing to do; {advice}")
    try:
        graph = GRAPH(
            *(_node(step) for step in container.steps.values()),
            limit=container.config.limit if _has_own_limit(container) else None,
            events=[event.as_one for event in container.events],
            failed=_failed_in(container),
        )
    except WorkflowDefinitionError as error:
        where = f"in step {container.path!r}: " if container.path else ""
        raise WorkflowDefinitionError(f"{where}{error.message}") from None
    check_kept(container)
    return graph


def _has_own_limit(container: Any) -> bool:
    around = getattr(container, "container", None)
    return around is None or container.config.limit != around.config.limit


def _node(step: Step) -> Node:
    return Node(
        step.name,
        _branch(step),
        requires=step.requires,
        stops=step.config.stops,
        skips=step.skips,
        tokens=_tokens(step),
        gate=_gate(step),
        is_for_caller=step.work is not None and step.config.construct.name == "inline",
    )


def _branch(step: Step) -> Definition:
    body = Definition([_graph_of(step) if step.work is None else _task(step)])
    return body if step.rounds is None else Definition([_loop(step, step.rounds, body)])


def _loop(step: Step, rounds: Rounds, body: Definition) -> Definition:
    """Return the loop over the rounds of a step, which marks those that begin."""
    loop = FOR(rounds.numbers, ROUND, body)
    if not rounds.have_values:
        return loop
    lead, *rest = loop
    description = describe(loop)
    assert description is not None  # noqa: S101 - it is a pattern
    kind = description.memory

    def task(obj: Any, eng: Any) -> Any:
        if eng.recorder is None:
            return lead(obj, eng)
        frame = frames.find(eng, kind, levels=1)
        if frame is not None and "turn" in frame:  # it may have been taken up between two rounds
            _check_round(step, eng)
        came = lead(obj, eng)
        if came is None:
            number = eng.extra_data[ROUND]
            eng.extra_data[ROUND] = [number, rounds.mark(number)]
        return came

    task.__name__ = task.__qualname__ = lead.__name__
    return loop.rebuilt([task, *rest], loop.lead)


def _round_in(eng: Any) -> int:
    """Return the number of the innermost round that is under way."""
    found = eng.extra_data[ROUND]
    number: int = found[0] if found.__class__ is list else found
    return number


def _check_round(step: Step, eng: Any) -> None:
    """Fail where the values of the rounds that have begun are others by now.

    :raises StepError: saying so.
    """
    found = eng.extra_data[ROUND]
    if found.__class__ is list and step.rounds is not None:
        number, mark = found
        step.rounds.check_begun(number, mark, f"step {step.path!r}")


def _graph_of(step: Step) -> Any:
    """Return the graph of a step that holds others.

    It may fail instead: where it waits for resources, and where its rounds are others by now.
    """
    graph = _graph(step)
    has_values = step.rounds is not None and step.rounds.have_values
    if not step.wants.acquires and not has_values:
        return graph

    def task(obj: Any, eng: Any) -> Any:
        step.check_refused(eng)
        _check_round(step, eng)
        return graph(obj, eng)

    return _in_place_of(graph, task)


def _tokens(step: Step) -> Callable[[Any, Any], list[Any]]:
    path, container = step.path, step.container

    def tokens(obj: Any, eng: Any) -> list[Any]:
        return [{"step": path, "sequence": _sequence_in(container, obj, eng)}]

    return tokens


def _sequence_in(container: Container, obj: Any, eng: Any) -> str:
    """Return the sequence of the steps of a container whose token this is."""
    if not container.path:
        return "1"
    return f"{obj['sequence']}.{_round_in(eng)}"


def _task(step: Step) -> Any:
    """Return the task that calls a step's function."""
    path, work, rounds, construct = step.path, step.work, step.rounds, step.config.construct
    flow, around = step.flow, _rounds_of(step)
    assert work is not None  # noqa: S101 - else it has steps of its own

    def task(obj: Any, eng: Any) -> Any:
        step.check_refused(eng)
        sequence = obj["sequence"]
        if rounds is not None:
            _check_round(step, eng)
            sequence = step.sequences[eng.parent] = f"{sequence}.{_round_in(eng)}"
        call = Call(path, sequence, flow.recovery_of(eng), _values(around, sequence))
        flow.begins(call)
        found = construct.run(work, call)
        if hasattr(found, "__await__"):
            return _later(found, obj, call, flow, eng)
        return _ended(found, obj, call, flow)

    task.__name__ = task.__qualname__ = step.name
    setattr(task, LABEL, step.name)
    task.__doc__ = getattr(work.func, "__doc__", None)
    task.__wrapped__ = work.func  # type: ignore[attr-defined]
    return task


def _later(found: Any, obj: Any, call: Call, flow: Any, eng: Any) -> Any:
    if is_in_loop() and not eng.is_asynchronous:  # that loop has to wait for the flow
        return _ended(result_of(found), obj, call, flow)
    return _ended_later(found, obj, call, flow)


async def _ended_later(found: Any, obj: Any, call: Call, flow: Any) -> None:
    _ended(await found, obj, call, flow)


def _ended(result: Any, obj: Any, call: Call, flow: Any) -> None:
    if result is not None:
        obj["result"] = result
    flow.succeeded(call)


def _rounds_of(step: Step) -> list[Rounds]:
    """Return the rounds of the steps that a step is in, the outermost first, and its own."""
    return [each.rounds for each in (*reversed(step.around), step) if each.rounds is not None]


def _values(rounds: list[Rounds], sequence: str) -> tuple[Any, ...]:
    """Return the value of each round that a call is in."""
    if not rounds:
        return ()
    numbers = sequence.split(".")[1:]
    return tuple(each.value(int(number)) for each, number in zip(rounds, numbers, strict=True))


# Failures


def _failed_in(container: Any) -> Callable[[Any, Any, list[Any], bool], None]:
    """Return what is done when steps of a container have failed, and nothing answered to it.

    The container goes on with its next round; the last one tells whether it succeeded.
    """

    def failed(obj: Any, eng: Any, failures: list[Any], is_stopped: bool) -> None:
        sequence = _sequence_in(container, obj, eng)
        lines = list(_lines(container, sequence, failures, eng))
        if container.path and not is_stopped and container.rounds.has(_round_in(eng) + 1):
            container.flow.log_failures(lines)
            return
        count = "a step" if len(lines) == 1 else f"{len(lines)} steps"
        text = "; ".join(f"{name}: {error}" for name, error in lines[:SHOWN])
        more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        error = StepError(f"{count} failed: {text}{more}", [name for name, _ in lines])
        error.lines = lines  # type: ignore[attr-defined]
        raise error from failures[0].error

    return failed


def lines_of(error: StepError) -> list[tuple[str, str]]:
    """Return which steps failed, and with what."""
    lines: list[tuple[str, str]] = getattr(error, "lines", [])
    return lines


def _lines(
    container: Any, sequence: str, failures: list[Any], eng: Any
) -> Iterator[tuple[str, str]]:
    for failure in failures:
        inner = lines_of(failure.error) if isinstance(failure.error, StepError) else []
        step = container.steps[failure.name]
        own = f"{type(failure.error).__name__}: {failure.error}"
        yield from inner or [(f"{step.path}/{_sequence_of(step, sequence, eng)}", own)]


def _sequence_of(step: Step, sequence: str, eng: Any) -> str:
    """Return the sequence of a step with its latest round, if it has begun one.

    :param sequence: that of the round of what holds the step.
    :param eng: that runs what holds it.
    """
    latest = step.sequences.get(eng, "")
    return latest if latest.startswith(f"{sequence}.") else sequence


# What a step waits for when its requirements are met


def _gate(step: Step) -> Callable[[Any], None] | None:
    if not step.delay and step.wants.is_empty:
        return None

    def gate(entry: Any) -> None:
        since = entry.since if step.flow.keeps_delays else time() if entry.again else entry.since
        rest = step.delay - (time() - since)
        if step.delay and rest > 0:
            entry.after(rest, lambda: _claim(step, entry))
        else:
            _claim(step, entry)

    return gate


def _claim(step: Step, entry: Any) -> None:
    if step.wants.is_empty:
        entry.go()
        return

    def refuse(error: Exception) -> None:
        entry.on_end, entry.on_cancel = None, lambda: step.refused.pop(entry.eng, None)
        step.refused[entry.eng] = error
        entry.go()

    claim = Claim(step.wants, entry, refuse, f"{step.path}/{entry.obj['sequence']}")
    desk = step.flow.desk_of(entry.eng)
    entry.on_cancel = lambda: desk.cancel(claim)
    entry.on_end = lambda: desk.end(claim)
    if step.wants.acquires:
        desk.ask(claim)
    else:
        entry.go()
