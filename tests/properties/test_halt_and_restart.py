"""A run that was halted goes on as if nothing had been, or wherever it is told to."""

from functools import partial
from typing import Any

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from .definitions import BESIDE, Act, Halt, parts_of
from .running import Case, EngineRun, ModelRun, Observed
from .strategies import RESTARTS, cases, scripts_of, specified

HALTED = ("halted", "", "injected")

RESTARTABLE = cases().map(lambda case: evolve(case, stop_on_halt=True))


def points_of(observed: Observed) -> list[tuple[str, int]]:
    """Return where a run can be halted: at each visit in each lane that is waited for."""
    return [
        (lane, number)
        for lane, visits in observed.trace.items()
        if BESIDE not in lane
        for number in range(len(visits))
    ]


def halts_by_itself(case: Case) -> bool:
    parts = parts_of(case.items)
    acts = [act for part in parts for act in scripts_of(part)]
    return any(isinstance(part, Halt) for part in parts) or any(
        isinstance(act, Act) and act.kind == "halt" for act in acts
    )


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


def same_end(data: Any, case: Case, elsewhere: bool) -> None:
    unhalted = specified(ModelRun(case).process)
    points = points_of(unhalted)
    assume(points)
    halt_at = data.draw(st.sampled_from(points))
    model = ModelRun(case, halt_at)
    assume(specified(model.process).outcome == HALTED)
    engine = EngineRun(case, halt_at=halt_at)
    assert engine.process().outcome == HALTED

    expected = end_of(specified(lambda: model.restart("current", "current")))
    if not halts_by_itself(case):
        assert expected == end_of(unhalted)
    restarted = engine.restart_elsewhere() if elsewhere else engine.restart("current", "current")
    assert end_of(restarted) == expected


@given(data=st.data(), case=RESTARTABLE)
def test_a_halt_anywhere_changes_nothing(data: Any, case: Case) -> None:
    same_end(data, case, elsewhere=False)


@given(data=st.data(), case=RESTARTABLE)
def test_a_halted_run_goes_on_in_another_engine(data: Any, case: Case) -> None:
    same_end(data, case, elsewhere=True)


def restart_both(data: Any, case: Case, halt_at: tuple[str, int] | None, restarts: Any) -> None:
    model, engine = ModelRun(case, halt_at), EngineRun(case, halt_at=halt_at)
    expected = specified(model.process)
    assert end_of(engine.process()) == end_of(expected)
    for obj, task in restarts:
        assume(expected.outcome[0] == "halted")
        expected = specified(partial(model.restart, obj, task))
        assert end_of(engine.restart(obj, task)) == end_of(expected)


@given(data=st.data(), case=RESTARTABLE, restarts=st.lists(RESTARTS, min_size=1, max_size=2))
def test_a_restart_goes_on_exactly_where_it_says(
    data: Any, case: Case, restarts: list[tuple[str, str]]
) -> None:
    points = points_of(specified(ModelRun(case).process))
    assume(points)
    restart_both(data, case, data.draw(st.sampled_from(points)), restarts)
