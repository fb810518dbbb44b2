"""PARALLEL_SPLIT."""

import contextvars
import logging
import threading
from typing import Any

import pytest

from wfengine import HaltProcessing, WorkflowDefinitionError, WorkflowError, signals
from wfengine.patterns import (
    EMPTY_CALL,
    ENG_SET,
    ERROR,
    FOR,
    IF,
    PARALLEL_SPLIT,
    STOP,
    SYNCHRONIZE,
    TRY,
)

from .support import Way, add, received

who = contextvars.ContextVar("who", default="nobody")


# Starting


def test_the_branches_start_together(run: Way) -> None:
    meeting = run.meeting(3)
    branches = [[meeting, run.add(name)] for name in "abc"]
    assert sorted(run.trace(PARALLEL_SPLIT(*branches, wait=True))) == ["a", "b", "c"]


def test_the_caller_goes_on_at_once(run: Way) -> None:
    waits, opens = run.gate()
    split = PARALLEL_SPLIT([waits, run.add("branch")], wait=True)
    assert run.trace(split, run.add("on"), opens) == ["on", "branch"]


def test_process_returns_while_a_branch_is_still_running(threads: Any) -> None:
    run, token = Way(False, False), []
    waits, opens = run.gate()
    run.process(run.engine([PARALLEL_SPLIT([waits, run.add("branch")])]), [token])
    assert token == []
    opens(None, None)
    threads.join()
    assert token == ["branch"]


@pytest.mark.parametrize("of_coroutines", [False, True])
def test_process_async_returns_when_the_branches_have_ended(of_coroutines: bool) -> None:
    run, tokens = Way(True, of_coroutines), [[], []]
    waits, opens = run.gate()
    at_last = IF(lambda obj, eng: eng.state.token_pos == 1, opens)
    definition = [PARALLEL_SPLIT([waits, run.add("branch")]), run.add("on"), at_last]
    run.process(run.engine(definition), tokens)
    assert tokens == [["on", "branch"]] * 2


def test_every_branch_runs_once_for_each_token(run: Way, threads: Any) -> None:
    tokens: list[list[str]] = [[], [], []]
    run.process(run.engine([PARALLEL_SPLIT(run.add("a"), [run.add("b")])]), tokens)
    threads.join()
    assert [sorted(token) for token in tokens] == [["a", "b"]] * 3


def test_every_branch_runs_once_for_each_turn_of_a_loop_with_its_item(run: Way) -> None:
    loop = FOR([1, 2, 3], "item", PARALLEL_SPLIT(run.add_value(), run.add_value(), wait=True))
    assert sorted(run.trace(loop)) == [1, 1, 2, 2, 3, 3]


def test_a_branch_has_what_was_in_extra_data_when_it_started(run: Way) -> None:
    waits, opens = run.gate()
    split = PARALLEL_SPLIT([waits, run.add_value("x")], wait=True)
    assert run.trace(ENG_SET("x", "then"), split, ENG_SET("x", "later"), opens) == ["then"]


def test_what_a_branch_puts_into_extra_data_stays_in_the_branch(run: Way, threads: Any) -> None:
    engine = run.engine([PARALLEL_SPLIT([ENG_SET("x", 1), run.add("in")])])
    run.process(engine, token := [[]])
    threads.join()
    assert token == [["in"]]
    assert "x" not in engine.extra_data


def test_context_variables_are_visible_in_branches(run: Way) -> None:
    see = run.task(lambda obj, eng: obj.append(who.get()))
    reset = who.set("me")
    try:
        assert run.trace(PARALLEL_SPLIT(see, [see], wait=True)) == ["me", "me"]
    finally:
        who.reset(reset)


def test_branches_hold_branches(run: Way) -> None:
    meeting = run.meeting(3)
    inner = PARALLEL_SPLIT([meeting, run.add("b")], [meeting, run.add("c")], wait=True)
    outer = PARALLEL_SPLIT([inner, meeting, run.add("a")], wait=True)
    assert sorted(run.trace(outer)) == ["a", "b", "c"]


# The lock


def test_all_branches_and_the_caller_share_one_lock(run: Way) -> None:
    locks: list[Any] = []
    see = run.task(lambda obj, eng: locks.append(eng.extra_data["lock"]))
    run.trace(PARALLEL_SPLIT(see, SYNCHRONIZE(see, see), wait=True), see)
    assert len(locks) == 4
    assert all(lock is locks[0] for lock in locks)


def test_the_lock_guards_the_token(run: Way) -> None:
    def count(obj: Any, eng: Any) -> None:
        for _ in range(300):
            with eng.extra_data["lock"]:
                before = obj["count"]
                threading.Event().wait(0)
                obj["count"] = before + 1

    tokens = [{"count": 0}]
    run.process(run.engine([PARALLEL_SPLIT(*[run.task(count)] * 4, wait=True)]), tokens)
    assert tokens == [{"count": 1200}]


# Branches that fail, halt or stop


def test_a_failing_branch_is_logged_signalled_and_kept(
    run: Way, threads: Any, caplog: pytest.LogCaptureFixture
) -> None:
    error = ValueError("broken")
    engine = run.engine([PARALLEL_SPLIT(EMPTY_CALL, [run.fails(error=error)]), run.add("on")])
    with received(signals.workflow_error, engine) as told:
        run.process(engine, tokens := [[]])
        threads.join()
    assert tokens == [["on"]]
    assert engine.has_completed
    assert told == [{"obj": ["on"], "error": error}]
    (failure,) = engine.failed_branches
    assert (failure.token_pos, failure.error) == (0, error)
    assert failure.branch.startswith("1")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_a_halting_branch_is_logged_signalled_and_kept(
    run: Way, threads: Any, caplog: pytest.LogCaptureFixture
) -> None:
    engine = run.engine([PARALLEL_SPLIT([run.halts(), add("skipped")], EMPTY_CALL), run.add("on")])
    with received(signals.workflow_halted, engine) as told:
        run.process(engine, tokens := [[]])
        threads.join()
    assert tokens == [["on"]]
    assert engine.has_completed
    (failure,) = engine.failed_branches
    assert isinstance(failure.error, HaltProcessing)
    assert (failure.error.message, failure.error.action) == ("decide", "ask")
    assert failure.branch.startswith("0")
    assert [context["error"] for context in told] == [failure.error]
    assert "decide" in caplog.text


def test_every_failing_branch_of_every_token_is_kept(run: Way, threads: Any) -> None:
    engine = run.engine([PARALLEL_SPLIT(ERROR("a"), EMPTY_CALL, ERROR("b"))])
    run.process(engine, [[], []])
    threads.join()
    kept = [
        (failure.token_pos, failure.branch[0], failure.error.args[0])
        for failure in engine.failed_branches
    ]
    assert sorted(kept) == [(0, "0", "a"), (0, "2", "b"), (1, "0", "a"), (1, "2", "b")]


def test_a_failing_branch_does_not_stop_the_others(run: Way, threads: Any) -> None:
    waits, opens = run.gate()
    engine = run.engine([PARALLEL_SPLIT([waits, run.add("in")], ERROR()), opens])
    run.process(engine, tokens := [[]])
    threads.join()
    assert tokens == [["in"]]
    assert len(engine.failed_branches) == 1


def test_an_exit_in_a_branch_is_not_silent(threads: Any) -> None:
    def leave(obj: Any, eng: Any) -> None:
        raise SystemExit(3)

    engine = Way(False, False).engine([PARALLEL_SPLIT(leave)])
    engine.process([[]])
    threads.join()
    (failure,) = engine.failed_branches
    assert isinstance(failure.error, SystemExit)


def test_what_happens_in_the_branch_of_a_branch_is_told_by_the_outermost_engine(
    run: Way, threads: Any
) -> None:
    inner = PARALLEL_SPLIT(run.fails())
    engine = run.engine([SYNCHRONIZE([PARALLEL_SPLIT([inner, EMPTY_CALL])], EMPTY_CALL)])
    with received(signals.workflow_error, engine) as told:
        run.process(engine, [[]])
        threads.join()
    (failure,) = engine.failed_branches
    assert repr(failure.error) == "ValueError('broken')"
    assert [context["error"] for context in told] == [failure.error]


@pytest.mark.parametrize(
    "leave",
    [
        lambda obj, eng: eng.stop(),
        lambda obj, eng: eng.abort(),
        lambda obj, eng: eng.continue_next_token(),
        lambda obj, eng: eng.break_current_loop(),
        lambda obj, eng: eng.jump_token(1),
    ],
    ids=["stop", "abort", "next token", "break", "jump token"],
)
def test_a_branch_that_is_left_ends_only_itself(run: Way, leave: Any) -> None:
    tokens: list[list[str]] = [[], []]
    branch = [run.add("in"), run.task(leave), run.add("skipped")]
    engine = run.engine([PARALLEL_SPLIT(branch, wait=True), run.add("on")])
    run.process(engine, tokens)
    assert [sorted(token) for token in tokens] == [["in", "on"]] * 2
    assert engine.failed_branches == []


# Branches that are waited for


def test_the_branches_are_waited_for_at_the_end_of_each_token(run: Way) -> None:
    waits, opens = run.gate()
    tokens: list[list[str]] = [[], []]
    branch = IF(lambda obj, eng: obj is tokens[0], [waits, run.add("branch")])
    sees = run.task(lambda obj, eng: obj.extend(tokens[0]) if obj is tokens[1] else None)
    run.process(run.engine([sees, PARALLEL_SPLIT(branch, wait=True), opens]), tokens)
    assert tokens == [["branch"], ["branch"]]


def test_a_failure_is_raised_at_the_end_of_the_token(run: Way) -> None:
    error = ValueError("broken")
    engine = run.engine([PARALLEL_SPLIT(run.fails(error=error), wait=True), run.add("on")])
    with pytest.raises(ValueError, match="broken") as caught:
        run.process(engine, tokens := [[], []])
    assert caught.value is error
    assert tokens == [["on"], []]
    assert not engine.has_completed


def test_several_failures_are_raised_together(run: Way) -> None:
    engine = run.engine([PARALLEL_SPLIT(ERROR("a"), EMPTY_CALL, ERROR("b"), wait=True)])
    with pytest.raises(ExceptionGroup) as caught:
        run.process(engine, [[]])
    assert [str(error) for error in caught.value.exceptions] == ["a", "b"]


def test_a_halt_is_raised_at_the_end_of_the_token(run: Way) -> None:
    engine = run.engine([PARALLEL_SPLIT(run.halts(), wait=True), run.add("on")])
    with pytest.raises(HaltProcessing, match="decide"):
        run.process(engine, tokens := [[], []])
    assert tokens == [["on"], []]


def test_a_failure_is_raised_rather_than_a_halt(run: Way) -> None:
    engine = run.engine([PARALLEL_SPLIT(run.halts(), ERROR("broken"), wait=True)])
    with pytest.raises(WorkflowError, match="broken"):
        run.process(engine, [[]])


@pytest.mark.parametrize("kind", ["failure", "halt"])
def test_what_comes_out_of_a_branch_that_is_waited_for_is_kept_as_well(run: Way, kind: str) -> None:
    branch = run.fails() if kind == "failure" else run.halts()
    engine = run.engine([PARALLEL_SPLIT(EMPTY_CALL, branch, wait=True)])
    with pytest.raises((ValueError, HaltProcessing)) as caught:
        run.process(engine, [[]])
    assert [failure.error for failure in engine.failed_branches] == [caught.value]


def test_the_branches_are_waited_for_even_if_the_token_fails(run: Way) -> None:
    waits, opens = run.gate()
    definition = [PARALLEL_SPLIT([waits, run.add("branch")], wait=True), opens, run.fails()]
    with pytest.raises(ValueError, match="broken"):
        run.process(run.engine(definition), tokens := [[]])
    assert tokens == [["branch"]]


def test_neither_the_failure_of_the_token_nor_that_of_its_branch_is_lost(run: Way) -> None:
    definition = [PARALLEL_SPLIT(ERROR("branch"), wait=True), ERROR("token")]
    with pytest.raises(WorkflowError) as caught:
        run.process(run.engine(definition), [[]])
    told = {str(caught.value), str(caught.value.__context__)}
    assert told == {"branch", "token"}


def test_with_stop_on_error_off_the_next_token_is_gone_on_with(run: Way) -> None:
    tokens: list[list[str]] = [[], []]
    branch = IF(lambda obj, eng: obj is tokens[0], ERROR())
    engine = run.engine([PARALLEL_SPLIT(branch, wait=True), run.add("on")])
    run.process(engine, tokens, stop_on_error=False)
    assert tokens == [["on"], ["on"]]


def test_branches_of_a_stopped_run_are_waited_for(run: Way) -> None:
    waits, opens = run.gate()
    definition = [PARALLEL_SPLIT([waits, run.add("branch")], wait=True), opens, STOP()]
    assert run.trace(*definition) == ["branch"]


def test_a_run_taken_up_after_the_split_does_not_start_the_branches_again(
    run: Way, take_up: Any
) -> None:
    halts = run.halts()

    def definition() -> list[Any]:
        return [PARALLEL_SPLIT(run.add("branch"), wait=True), halts, run.add("on")]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == ["branch", "on"]


def test_to_start_branches_is_a_success_for_try(run: Way, threads: Any) -> None:
    engine = run.engine([TRY([run.add("try"), PARALLEL_SPLIT(ERROR())], retry=5)])
    run.process(engine, tokens := [[]])
    threads.join()
    assert tokens == [["try"]]
    assert len(engine.failed_branches) == 1


# Bad arguments


def test_a_split_needs_a_branch() -> None:
    with pytest.raises(WorkflowDefinitionError, match="PARALLEL_SPLIT takes at least one branch"):
        PARALLEL_SPLIT()


def test_what_is_wrong_with_a_branch_is_told_with_its_place() -> None:
    with pytest.raises(WorkflowDefinitionError, match=r"PARALLEL_SPLIT's branch 1: 5 \(int\)"):
        PARALLEL_SPLIT(add("a"), 5)
