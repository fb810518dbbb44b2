"""A run that was halted goes on as if nothing had been, or wherever it is told to."""

from typing import Any

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from .checks import as_if_it_had_not_halted, as_restarted, points_of
from .running import Case
from .strategies import RESTARTS, WAYS, cases

HALTING = cases().map(lambda case: evolve(case, stop_on_halt=True))


def some_point(data: Any, case: Case) -> tuple[str, int]:
    points = points_of(case)
    assume(points)
    return data.draw(st.sampled_from(points))


@given(data=st.data(), case=HALTING, way=WAYS)
def test_a_halt_anywhere_changes_nothing(data: Any, case: Case, way: Any) -> None:
    as_if_it_had_not_halted(case, some_point(data, case), way, elsewhere=False)


@given(data=st.data(), case=HALTING, way=WAYS)
def test_a_halted_run_goes_on_in_another_engine(data: Any, case: Case, way: Any) -> None:
    as_if_it_had_not_halted(case, some_point(data, case), way, elsewhere=True)


@given(data=st.data(), case=HALTING, way=WAYS, restarts=st.lists(RESTARTS, min_size=1, max_size=2))
def test_a_restart_goes_on_exactly_where_it_says(
    data: Any, case: Case, way: Any, restarts: list[tuple[str, str]]
) -> None:
    as_restarted(case, some_point(data, case), way, restarts)
