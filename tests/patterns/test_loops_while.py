"""WHILE."""

from typing import Any

import pytest

from wfengine import HaltProcessing, WorkflowDefinitionError
from wfengine.patterns import (
    TASK_JUMP_IF,
    WHILE,
)

from .support import Way, add, breaks, jumps


def test_while_repeats_its_branch_as_long_as_the_condition_holds(run: Way) -> None:
    loop = WHILE(run.task(lambda obj, eng: len(obj) < 5), [run.add("a"), run.add("b")])
    assert run.trace(loop, run.add("after")) == ["a", "b", "a", "b", "a", "b", "after"]


def test_while_does_not_run_its_branch_if_the_condition_never_holds(run: Way) -> None:
    assert run.trace(WHILE(run.answers(False), run.add("in")), run.add("after")) == ["after"]


@pytest.mark.parametrize("end", [False, 0, "", None, []], ids=repr)
def test_while_ends_with_an_answer_that_is_false_as_python_sees_it(run: Way, end: Any) -> None:
    assert run.trace(WHILE(run.answers(True, 1, "yes", end), run.add("in"))) == ["in"] * 3


def test_while_with_nothing_in_it_asks_until_the_condition_no_longer_holds(run: Way) -> None:
    assert run.extra_data(WHILE(run.holds(3), [])) == {"asked": 4}


def test_whiles_nest(run: Way) -> None:
    inner = WHILE(run.task(lambda obj, eng: len(obj) % 3), run.add("in"))
    outer = WHILE(run.task(lambda obj, eng: len(obj) < 6), [run.add("out"), inner])
    assert run.trace(outer) == ["out", "in", "in"] * 2


def test_a_break_leaves_while(run: Way) -> None:
    loop = WHILE(run.answers(True), [run.add("in"), breaks, run.add("skipped")])
    assert run.trace(loop, run.add("after")) == ["in", "after"]


def test_a_jump_to_before_the_first_task_asks_the_condition_again(run: Way) -> None:
    again = TASK_JUMP_IF(run.answers(True, False), -50)
    loop = WHILE(run.holds(2), [run.add("in"), again, run.add("on")])
    assert run.trace(loop, run.add("after")) == ["in", "in", "on", "after"]


def test_a_jump_past_the_end_leaves_while(run: Way) -> None:
    loop = WHILE(run.answers(True), [run.add("in"), jumps(50)])
    assert run.trace(loop, run.add("after")) == ["in", "after"]


def test_while_halted_inside_goes_on_with_the_same_turn(run: Way, take_up: Any) -> None:
    halts = run.halts(when=lambda obj, eng: len(obj) == 3)

    def definition() -> list[Any]:
        return [WHILE(run.holds(3), [run.add("a"), halts, run.add("b")]), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    assert (token, engine.state.callback_pos) == (["a", "b", "a"], [0, 2])
    take_up(engine, definition())
    assert token == ["a", "b", "a", "b", "a", "b", "after"]


@pytest.mark.parametrize("interruption", [HaltProcessing, ValueError])
def test_a_condition_of_while_that_was_interrupted_is_asked_again(
    run: Way, take_up: Any, interruption: type[Exception]
) -> None:
    interrupted = run.halts() if interruption is HaltProcessing else run.fails()
    definition = [WHILE(interrupted, run.add("in")), run.add("after")]
    engine, token = run.engine(definition), []
    with pytest.raises(interruption):
        run.process(engine, [token])
    assert engine.state.callback_pos == [0, 0]
    take_up(engine, definition)
    assert token == ["after"]


def test_an_error_in_while_is_taken_up_where_it_was_raised(run: Way, take_up: Any) -> None:
    fails = run.fails()

    def definition() -> list[Any]:
        return [WHILE(run.holds(2), [run.add("a"), [fails, run.add("b")]])]

    engine, token = run.engine(definition()), []
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    assert engine.state.callback_pos == [0, 2, 0]
    take_up(engine, definition())
    assert token == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    "wrong", [None, True, 5, [add("a")]], ids=lambda wrong: type(wrong).__name__
)
def test_while_refuses_what_is_no_condition(wrong: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match="WHILE's condition is a callable"):
        WHILE(wrong, add("a"))


def test_while_refuses_a_condition_that_cannot_take_token_and_engine() -> None:
    with pytest.raises(WorkflowDefinitionError, match="WHILE's condition cannot be called"):
        WHILE(lambda: True, add("a"))


def test_while_names_its_branch_in_an_error() -> None:
    with pytest.raises(WorkflowDefinitionError, match=r"WHILE's branch: 5 \(int\) at \[0\]"):
        WHILE(add("a"), 5)
