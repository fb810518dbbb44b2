"""A durable run is as one in memory, however it is run, halted, thrown away and loaded again."""

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from wfengine.store import Store

from .checks import specified
from .durable import (
    DurableModelRun,
    DurableWay,
    as_if_it_had_not_halted,
    as_restarted,
    as_resumed,
    as_resumed_one_by_one,
    as_the_model_says,
    is_steered_while_branches_wait,
    leaves_tokens_alone,
    points_of,
    runs_beside,
    with_a_halt,
)
from .running import Case, ModelRun
from .strategies import RESTARTS, SEEDS, cases

WAYS = st.builds(
    DurableWay,
    asynchronous=st.booleans(),
    coroutines=st.sampled_from([0.5, 1, 0]),
    seed=SEEDS,
    checkpoint=st.sampled_from(["task", "token", "halt"]),
    is_reloaded=st.booleans(),
)
HALTING = cases().map(lambda case: evolve(case, stop_on_halt=True))


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """One store for all runs; nothing here is about the power failing."""
    with Store("sqlite://", synchronous="OFF") as opened:
        yield opened


def some_point(data: Any, case: Case) -> tuple[str, int]:
    points = points_of(case)
    assume(points)
    return data.draw(st.sampled_from(points))


@given(case=cases(), way=WAYS)
def test_a_run_is_what_the_model_says(store: Store, case: Case, way: DurableWay) -> None:
    as_the_model_says(case, way, store)


@given(case=cases())
def test_without_failures_and_branches_nothing_differs_from_a_run_in_memory(case: Case) -> None:
    assume(not runs_beside(case))
    in_memory, durable = ModelRun(case), DurableModelRun(case)
    expected, found = specified(in_memory.process), specified(durable.process)
    assume(not durable.machine.has_failed)
    assert found == expected


@given(data=st.data(), case=HALTING, way=WAYS)
def test_a_halt_anywhere_changes_nothing(
    store: Store, data: Any, case: Case, way: DurableWay
) -> None:
    assume(not is_steered_while_branches_wait(case))
    as_if_it_had_not_halted(case, some_point(data, case), way, store)


# A resumed run tries again what has failed, which is not what restart does.
RESUMABLE = HALTING.map(lambda case: evolve(case, stop_on_error=True))


@given(data=st.data(), case=RESUMABLE, way=WAYS)
def test_a_resumed_run_goes_on_after_the_task_that_halted(
    store: Store, data: Any, case: Case, way: DurableWay
) -> None:
    assume(not is_steered_while_branches_wait(case))
    as_resumed(case, some_point(data, case), way, store)


@given(data=st.data(), case=HALTING, way=WAYS, restarts=st.lists(RESTARTS, min_size=1, max_size=2))
def test_a_restart_goes_on_exactly_where_it_says(
    store: Store, data: Any, case: Case, way: DurableWay, restarts: list[tuple[str, str]]
) -> None:
    assume(not is_steered_while_branches_wait(case))
    as_restarted(case, some_point(data, case), way, store, restarts)


@given(data=st.data(), case=cases(), way=WAYS, place=st.integers(0, 6))
def test_halted_tokens_go_on_one_by_one_in_any_order(
    store: Store, data: Any, case: Case, way: DurableWay, place: int
) -> None:
    assume(case.tokens and leaves_tokens_alone(case))
    halting = with_a_halt(evolve(case, stop_on_error=False), place)
    as_resumed_one_by_one(halting, way, store, lambda halted: data.draw(st.sampled_from(halted)))
