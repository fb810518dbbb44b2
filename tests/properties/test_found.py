"""Definitions that once told the engine and the model apart."""

from typing import Any

import pytest
from attrs import evolve

from . import definitions as d
from .checks import as_if_it_had_not_halted, as_restarted, as_the_model_says, points_of
from .running import Case, Way
from .strategies import POINTS

TASK = d.Task()
FAILS = d.Task((d.Act("error", text="our message"),))


def acts(kind: str, number: int) -> d.Task:
    return d.Task((d.Act(kind, number=number),))


FOUND: dict[str, tuple[Any, ...]] = {
    "a TRY in a loop in a loop": (
        d.For("list", (0, 1), "a", d.For("list", (0,), "b", d.Nested((TASK, d.Try(TASK, 0))))),
    ),
    "a loop that a token left by an error": (TASK, d.For("list", (0, 1), "a", FAILS)),
    "a task that fails in a TRY": (d.Try(FAILS, 0, TASK),),
    "a branch that writes what was there before": (
        d.EngSet("a", 0),
        d.Synchronize((d.EngSet("a", 1), d.EngSet("a", 0)), TASK),
    ),
    "branches within a branch": (d.RunWf(d.Nested((d.Synchronize((TASK, TASK), TASK), TASK))),),
    "a branch that writes before it halts": (
        d.RunWf(d.Nested((d.EngSet("a", 0), TASK, d.CallFunc("b", ekey="a")))),
        d.Synchronize((d.Nested((d.EngSet("a", 1), TASK)), d.EngSet("a", 2)), TASK),
    ),
    "a branch that asks for its tokens": (d.RunWf(TASK, d.Reading()),),
    "a function whose arguments are asked for": (d.CallFunc("a", oeargs=(d.Reading(1),)),),
    "a setter": (d.For("list", (0, 1), d.Setter(), TASK),),
    "a jump past the last token": (TASK, acts("jump_token", 2)),
    "a jump to the first task of a loop": (
        d.For("list", (0, 1), "a", d.Nested((TASK, acts("jump_call", -2)))),
    ),
    "a jump of a loop's condition to itself": (
        d.While(d.Asked((d.Act("jump_call"), True), False), TASK),
    ),
    "tasks around a list": (TASK, d.Nested((TASK, TASK)), TASK),
}

CASES = [
    pytest.param(Case(d.labelled(items), tokens, stop_on_error=False), id=f"{name}, {tokens}")
    for name, items in FOUND.items()
    for tokens in (1, 2)
]

WAYS = [
    pytest.param(Way(asynchronous=asynchronous, coroutines=coroutines), id=name)
    for name, asynchronous, coroutines in [
        ("functions", False, 0),
        ("coroutines", False, 1),
        ("coroutines in a loop", True, 1),
        ("functions in a loop", True, 0),
    ]
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_a_run_is_what_the_model_says(case: Case, way: Way) -> None:
    as_the_model_says(case, evolve(way, to_tasks=True))


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_a_halt_anywhere_changes_nothing(case: Case, way: Way, elsewhere: bool) -> None:
    for point in points_of(case):
        as_if_it_had_not_halted(case, point, way, elsewhere)


@pytest.mark.parametrize("task", POINTS)
@pytest.mark.parametrize("obj", POINTS)
def test_a_restart_goes_on_exactly_where_it_says(obj: str, task: str) -> None:
    case = Case(d.labelled(FOUND["tasks around a list"]), 3)
    for point in points_of(case):
        as_restarted(case, point, Way(), [(obj, task)])
