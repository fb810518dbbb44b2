"""The model itself, on definitions whose runs can be told by reading them."""

from typing import Any

from . import definitions as d
from .running import COMPLETED, Case, ModelRun, Observed

TASK = d.Task()
FAILS_ONCE = d.Task((d.Act("error", text="our message"),))
HALTS_ONCE = d.Task((d.Act("halt", text="our message"),))


def jumps_once(offset: int, levels: int = 0) -> d.Task:
    return d.Task((d.Act("jump_call", number=offset, levels=levels),))


def run_of(*items: Any, tokens: int = 1) -> tuple[ModelRun, Observed]:
    run = ModelRun(Case(d.labelled(items), tokens))
    return run, run.process()


def places(run: ModelRun) -> list[tuple[int, ...]]:
    """Return where the callables of the main run were, one after the other."""
    return [visit.callback_pos for visit in run.world.trace[d.MAIN]]


def test_a_position_has_an_index_for_each_level() -> None:
    run, end = run_of(TASK, d.Nested((TASK, d.Nested((TASK,)))), TASK)

    assert places(run) == [(0,), (1, 0), (1, 1, 0), (2,)]
    assert end.callback_pos == [3]


def test_jumps_count_in_the_innermost_list_and_are_clamped() -> None:
    run, _ = run_of(d.Nested((TASK, jumps_once(-5), jumps_once(9), TASK)), TASK)

    assert places(run) == [(0, 0), (0, 1), (0, 0), (0, 1), (0, 2), (1,)]


def test_a_jump_with_levels_counts_in_a_list_further_out() -> None:
    run, _ = run_of(d.Nested((d.Nested((jumps_once(2, levels=1), TASK)), TASK, TASK)), TASK)

    assert places(run) == [(0, 0, 0), (0, 2), (1,)]


def test_a_loop_starts_over_until_it_is_left() -> None:
    run, end = run_of(d.For("list", (7, 8), "a", d.Nested((TASK,))), TASK)

    assert places(run) == [(0, 1), (0, 1), (1,)]
    assert end.extra_data == {"a": 8}


def test_only_the_chosen_branch_is_run() -> None:
    no, yes = d.Asked((False,), False), d.Asked((True,), False)
    run, _ = run_of(d.IfElse(no, TASK, TASK), d.IfElse(yes, TASK, TASK))

    assert places(run) == [(0,), (0, 1, 0), (1,), (1, 0, 0)]


def test_a_try_runs_its_tasks_again_and_then_does_something_else() -> None:
    run, end = run_of(d.Try(d.Nested((TASK, FAILS_ONCE)), 1), d.Try(FAILS_ONCE, 0, TASK))

    assert places(run) == [(0, 0, 0), (0, 0, 1), (0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 1, 0)]
    error = {"type": "ValueError", "message": "our message", "attempts": 1}
    assert end.extra_data == {"error": error}


def test_of_branches_that_write_the_same_key_the_later_counts() -> None:
    branches = (d.EngSet("a", 1), d.EngSet("a", 2))
    run, end = run_of(d.Synchronize(branches, TASK))

    assert end.extra_data == {"a": 2}
    assert places(run) == [(0, 1)]


def test_a_halted_loop_goes_on_in_the_same_turn() -> None:
    run, end = run_of(d.For("list", (7, 8), "a", HALTS_ONCE))
    assert end.outcome == ("halted", "", "our message")

    assert run.restart("current", "current").outcome == COMPLETED
    assert places(run) == [(0, 1), (0, 1), (0, 1)]


def test_a_halted_branch_goes_on_and_a_finished_one_is_not_run_again() -> None:
    run, _ = run_of(d.Synchronize((TASK, d.Nested((TASK, HALTS_ONCE))), TASK))

    assert run.restart("current", "current").outcome == COMPLETED
    lanes = {lane: len(visits) for lane, visits in run.world.trace.items()}
    assert lanes == {"main": 1, "main with .0.branches.0": 1, "main with .0.branches.1": 3}


def test_a_jump_between_tokens_is_clamped_at_both_ends() -> None:
    back = d.Task((d.Act("jump_token", number=-5),))
    far = d.Task((d.PASS, d.Act("jump_token", number=5)))
    run, end = run_of(back, far, tokens=2)

    assert [visit.token for visit in run.world.trace[d.MAIN]] == ["0", "0", "0", "1", "0", "0"]
    assert end.token_pos == 1
