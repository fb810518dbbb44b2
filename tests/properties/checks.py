"""What is required of the engine: to do what the model says, and to end as if it had not halted."""

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from attrs import evolve
from hypothesis import currently_in_test_context, event, reject

from .definitions import BESIDE, Act, Halt, Scripted, parts_of
from .model import Endless, Unspecified
from .running import Case, EngineRun, ModelRun, Observed, Way

HALTED = ("halted", "", "injected")

Point = tuple[str, int]


def give_up(reason: str) -> NoReturn:
    """Reject an example; in a test that brings its own, that is a mistake."""
    if not currently_in_test_context():
        raise AssertionError(reason)
    event(f"rejected: {reason}")
    reject()


def specified(run: Callable[[], Observed]) -> Observed:
    """Return what the model says; give up where it cannot say enough."""
    try:
        return run()
    except (Endless, Unspecified) as reason:
        give_up(repr(reason))


def as_the_model_says(case: Case, way: Way) -> None:
    """Require that a run of the engine is that of the model."""
    expected = specified(ModelRun(case).process)
    if not way.to_tasks:
        expected = evolve(expected, task_signals=[])
    assert EngineRun(case, way).process() == expected


def points_of(case: Case) -> list[Point]:
    """Return where a run can be halted: at each visit in each lane that is waited for."""
    return [
        (lane, number)
        for lane, visits in specified(ModelRun(case).process).trace.items()
        if BESIDE not in lane
        for number in range(len(visits))
    ]


def end_of(observed: Observed) -> Observed:
    """Return what a halt in between may not change.

    The run as a whole is signalled again for each part of it, and what is only read may be read
    again.
    """
    trace = {
        lane: kept
        for lane, visits in observed.trace.items()
        if (kept := [visit for visit in visits if not visit.is_reading])
    }
    return evolve(observed, trace=trace, run_signals=[], task_signals=[])


def halts_by_itself(case: Case) -> bool:
    """Return whether a definition has halts of its own, which a restart goes past."""
    parts = parts_of(case.items)
    acts = [act for part in parts if isinstance(part, Scripted) for act in part.script]
    return any(isinstance(part, Halt) for part in parts) or any(
        isinstance(act, Act) and act.kind == "halt" for act in acts
    )


def as_if_it_had_not_halted(case: Case, point: Point, way: Way, elsewhere: bool) -> None:
    """Require that a run halted at a point, and restarted there, comes to the same end."""
    model, engine = ModelRun(case, point), EngineRun(case, way, point)
    if specified(model.process).outcome != HALTED:
        give_up("something else has happened as well")
    assert engine.process().outcome == HALTED

    expected = end_of(specified(partial(model.restart, "current", "current")))
    if not halts_by_itself(case):
        assert expected == end_of(specified(ModelRun(case).process))
    if elsewhere:
        engine.move_to_another_engine()
    assert end_of(engine.restart("current", "current")) == expected


def as_restarted(case: Case, point: Point, way: Way, restarts: list[Any]) -> None:
    """Require that a run goes on at each restart as the model does, while it keeps halting."""
    model, engine = ModelRun(case, point), EngineRun(case, way, point)
    expected = specified(model.process)
    assert end_of(engine.process()) == end_of(expected)
    for obj, task in restarts:
        if expected.outcome[0] != "halted":
            give_up("not halted")
        expected = specified(partial(model.restart, obj, task))
        assert end_of(engine.restart(obj, task)) == end_of(expected)
