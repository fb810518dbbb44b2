"""The patterns that move the engine: to a task, out of a list, to a token, or to its end."""

from typing import Any

import pytest

from wfengine import HaltProcessing, WorkflowDefinitionError
from wfengine.patterns import (
    BREAK,
    EMPTY_CALL,
    FOR,
    HALT,
    IF,
    OBJ_JUMP_BWD,
    OBJ_JUMP_FWD,
    OBJ_NEXT,
    STOP,
    TASK_JUMP_BWD,
    TASK_JUMP_FWD,
    TASK_JUMP_IF,
    TRY,
)

from .support import Way, add


def pushed(run: Way, count: int, *definition: Any) -> list[list[Any]]:
    """Push so many empty lists through a definition, and return them."""
    tokens: list[list[Any]] = [[] for _ in range(count)]
    run.process(run.engine(definition), tokens)
    return tokens


# TASK_JUMP_FWD


def test_task_jump_fwd_goes_to_the_next_task_by_default(run: Way) -> None:
    assert run.trace(TASK_JUMP_FWD(), run.add("next")) == ["next"]


def test_task_jump_fwd_skips_tasks(run: Way) -> None:
    skipped = [run.add("skipped"), run.add("skipped")]
    assert run.trace(run.add("a"), TASK_JUMP_FWD(3), *skipped, run.add("b")) == ["a", "b"]


def test_task_jump_fwd_counts_a_nested_list_as_one_task(run: Way) -> None:
    assert run.trace(TASK_JUMP_FWD(2), [run.add("x"), run.add("y")], run.add("b")) == ["b"]


def test_task_jump_fwd_past_the_end_leaves_the_innermost_list_only(run: Way) -> None:
    nested = [run.add("in"), TASK_JUMP_FWD(50), run.add("skipped")]
    assert run.trace(nested, run.add("after")) == ["in", "after"]


def test_task_jump_fwd_past_the_end_of_everything_completes_the_token(run: Way) -> None:
    skipped = run.add("skipped")
    assert pushed(run, 2, run.add("a"), TASK_JUMP_FWD(50), skipped) == [["a"], ["a"]]


def test_a_jump_forward_in_a_loop_reaches_the_next_turn(run: Way) -> None:
    body = [TASK_JUMP_FWD(2), run.add("skipped"), run.add_value()]
    assert run.trace(FOR([1, 2], "item", body), run.add("after")) == [1, 2, "after"]


def test_a_jump_past_the_end_of_a_loop_leaves_the_loop(run: Way) -> None:
    loop = FOR([1, 2], "item", [run.add_value(), TASK_JUMP_FWD(50)])
    assert run.trace(loop, run.add("after")) == [1, "after"]


# TASK_JUMP_BWD


@pytest.mark.parametrize("step", [2, -2])
def test_task_jump_bwd_goes_back_whatever_the_sign(run: Way, step: int) -> None:
    twice = TASK_JUMP_IF(run.answers(False, True), 2)
    assert run.trace(run.add("a"), twice, TASK_JUMP_BWD(step), run.add("b")) == ["a", "a", "b"]


def test_task_jump_bwd_goes_to_the_task_before_by_default(run: Way) -> None:
    def add_and_leave_at_three(obj: Any, eng: Any) -> None:
        obj.append("a")
        if len(obj) == 3:
            eng.break_current_loop()

    repeated = [run.task(add_and_leave_at_three), TASK_JUMP_BWD()]
    assert run.trace(repeated, run.add("after")) == ["a", "a", "a", "after"]


def test_task_jump_bwd_before_the_first_task_is_the_first(run: Way) -> None:
    nested = [run.add("in"), TASK_JUMP_IF(run.answers(False, True), 2), TASK_JUMP_BWD(50)]
    assert run.trace(run.add("before"), nested) == ["before", "in", "in"]


# TASK_JUMP_IF


@pytest.mark.parametrize(("answer", "expected"), [(True, ["b"]), (False, ["a", "b"])])
def test_task_jump_if_jumps_when_the_condition_holds(
    run: Way, answer: bool, expected: list[str]
) -> None:
    assert run.trace(TASK_JUMP_IF(run.answers(answer), 2), run.add("a"), run.add("b")) == expected


def test_task_jump_if_jumps_back_as_well(run: Way) -> None:
    assert run.trace(run.add("a"), TASK_JUMP_IF(run.holds(2), -1)) == ["a", "a", "a"]


def test_task_jump_if_asks_about_the_token(run: Way) -> None:
    is_big = run.task(lambda obj, eng: obj[0] > 5)
    tokens = [[1], [9]]
    run.process(run.engine([TASK_JUMP_IF(is_big, 2), run.add("small")]), tokens)
    assert tokens == [[1, "small"], [9]]


def test_a_condition_of_task_jump_if_that_failed_is_asked_again(run: Way, take_up: Any) -> None:
    fails = run.fails()
    definition = [run.add("a"), TASK_JUMP_IF(fails, 2), run.add("b")]
    engine, token = run.engine(definition), []
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    assert engine.state.callback_pos == [1]
    take_up(engine, definition)
    assert token == ["a", "b"]


# BREAK


def test_break_completes_a_token_at_the_top_level(run: Way) -> None:
    assert pushed(run, 2, run.add("a"), BREAK(), run.add("skipped")) == [["a"], ["a"]]


def test_break_leaves_the_innermost_list(run: Way) -> None:
    nested = [[run.add("in"), BREAK(), run.add("skipped")], run.add("on")]
    assert run.trace(nested, run.add("after")) == ["in", "on", "after"]


def test_break_leaves_several_lists(run: Way) -> None:
    nested = [[run.add("in"), BREAK(2), run.add("skipped")], run.add("skipped")]
    assert run.trace(nested, run.add("after")) == ["in", "after"]


def test_break_leaves_more_lists_than_there_are(run: Way) -> None:
    assert pushed(run, 2, [run.add("in"), BREAK(9)], run.add("skipped")) == [["in"], ["in"]]


def test_break_leaves_a_loop(run: Way) -> None:
    loop = FOR([1, 2, 3], "item", [run.add_value(), BREAK()])
    assert run.trace(loop, run.add("after")) == [1, "after"]


def test_break_in_a_branch_of_if_counts_the_list_of_the_branch_and_that_of_if(run: Way) -> None:
    at_two = run.task(lambda obj, eng: eng.extra_data["item"] == 2)
    loop = FOR([1, 2, 3], "item", [IF(at_two, BREAK(3)), run.add_value()])
    assert run.trace(loop, run.add("after")) == [1, "after"]


# STOP


def test_stop_ends_the_run_and_touches_no_further_token(run: Way) -> None:
    engine, tokens = run.engine([run.add("a"), [STOP()], run.add("skipped")]), [[], []]
    run.process(engine, tokens)
    assert tokens == [["a"], []]
    assert engine.has_completed


def test_stop_inside_of_a_loop_ends_the_run(run: Way) -> None:
    assert pushed(run, 2, FOR([1, 2], "item", [run.add_value(), STOP()])) == [[1], []]


def test_stop_passes_through_try(run: Way) -> None:
    assert pushed(run, 2, TRY(STOP(), onfailure=add("failed")), run.add("skipped")) == [[], []]


# HALT


def test_halt_hands_message_action_and_payload_to_the_caller(run: Way) -> None:
    engine = run.engine([HALT("look at it", action="approve", payload={"price": 9})])
    with pytest.raises(HaltProcessing) as caught:
        run.process(engine, [[]])
    halt = caught.value
    assert (halt.message, halt.action, halt.payload) == ("look at it", "approve", {"price": 9})


def test_halt_needs_nothing_to_be_said(run: Way) -> None:
    with pytest.raises(HaltProcessing) as caught:
        run.process(run.engine([HALT()]), [[]])
    assert (caught.value.message, caught.value.action, caught.value.payload) == ("", None, None)


def test_halt_asks_callables_for_message_and_payload(run: Way) -> None:
    message = run.task(lambda obj, eng: f"token {eng.state.token_pos}")
    payload = run.task(lambda obj, eng: [*obj, "seen"])
    engine = run.engine([run.add("a"), HALT(message, payload=payload)])
    with pytest.raises(HaltProcessing) as caught:
        run.process(engine, [[]])
    assert (caught.value.message, caught.value.payload) == ("token 0", ["a", "seen"])


def test_a_message_that_is_none_is_empty(run: Way) -> None:
    with pytest.raises(HaltProcessing) as caught:
        run.process(run.engine([HALT(run.answers(None))]), [[]])
    assert caught.value.message == ""


def test_a_halted_run_is_taken_up_after_the_halt(run: Way) -> None:
    engine, tokens = run.engine([run.add("a"), [HALT(), run.add("b")], run.add("c")]), [[], []]
    with pytest.raises(HaltProcessing):
        run.process(engine, tokens)
    assert engine.state.to_dict() == {"token_pos": 0, "callback_pos": [1, 0]}
    with pytest.raises(HaltProcessing):
        run.restart(engine, "current", "next")
    assert tokens == [["a", "b", "c"], ["a"]]


def test_halt_halts_again_when_taken_up_at_itself(run: Way, take_up: Any) -> None:
    definition = [HALT("still waiting"), run.add("after")]
    engine = run.engine(definition)
    with pytest.raises(HaltProcessing):
        run.process(engine, [[]])
    with pytest.raises(HaltProcessing, match="still waiting"):
        take_up(engine, definition)


def test_halt_goes_on_with_the_next_token_where_the_caller_wants_it(run: Way) -> None:
    tokens: list[list[str]] = [[], []]
    engine = run.engine([run.add("a"), HALT(), run.add("b")])
    run.process(engine, tokens, stop_on_halt=False)
    assert tokens == [["a"], ["a"]]


# OBJ_NEXT, OBJ_JUMP_FWD, OBJ_JUMP_BWD


def test_obj_next_goes_on_with_the_next_token(run: Way) -> None:
    nested = [run.add("a"), [[OBJ_NEXT()], run.add("skipped")]]
    assert pushed(run, 2, nested, run.add("skipped")) == [["a"], ["a"]]


def test_obj_next_inside_of_a_loop_leaves_no_trace_of_it_for_the_next_token(run: Way) -> None:
    loop = FOR([1, 2], "item", [run.add_value(), OBJ_NEXT()])
    assert pushed(run, 2, loop) == [[1], [1]]


def test_obj_jump_fwd_goes_to_the_next_token_by_default(run: Way) -> None:
    assert pushed(run, 2, run.add("a"), OBJ_JUMP_FWD(), run.add("skipped")) == [["a"], ["a"]]


def test_obj_jump_fwd_skips_tokens(run: Way) -> None:
    assert pushed(run, 4, run.add("a"), OBJ_JUMP_FWD(2)) == [["a"], [], ["a"], []]


def test_obj_jump_fwd_past_the_last_token_ends_the_run(run: Way) -> None:
    engine, tokens = run.engine([run.add("a"), OBJ_JUMP_FWD(50)]), [[], []]
    run.process(engine, tokens)
    assert tokens == [["a"], []]
    assert engine.has_completed


@pytest.mark.parametrize("step", [1, -1])
def test_obj_jump_bwd_goes_back_whatever_the_sign(run: Way, step: int) -> None:
    at_last = run.task(lambda obj, eng: eng.state.token_pos == 2 and len(obj) < 2)
    assert pushed(run, 3, run.add("a"), IF(at_last, OBJ_JUMP_BWD(step))) == [
        ["a"],
        ["a", "a"],
        ["a", "a"],
    ]


def test_obj_jump_bwd_goes_to_the_token_before_by_default(run: Way) -> None:
    at_last = run.task(lambda obj, eng: eng.state.token_pos == 1 and len(obj) < 2)
    assert pushed(run, 2, run.add("a"), IF(at_last, OBJ_JUMP_BWD())) == [["a", "a"], ["a", "a"]]


def test_obj_jump_bwd_before_the_first_token_is_the_first(run: Way) -> None:
    at_last = run.task(lambda obj, eng: eng.state.token_pos == 1 and len(obj) < 2)
    definition = [run.add("a"), IF(at_last, OBJ_JUMP_BWD(50))]
    assert pushed(run, 2, *definition) == [["a", "a"], ["a", "a"]]


def test_a_token_gone_back_to_starts_at_its_first_task(run: Way) -> None:
    once = run.task(lambda obj, eng: eng.state.token_pos == 1 and len(obj) < 3)
    definition = [run.add("a"), [run.add("b"), IF(once, OBJ_JUMP_BWD())], run.add("c")]
    assert pushed(run, 2, *definition) == [list("abcabc"), list("ababc")]


# Bad arguments

JUMPS = {
    "TASK_JUMP_FWD": TASK_JUMP_FWD,
    "TASK_JUMP_BWD": TASK_JUMP_BWD,
    "TASK_JUMP_IF": lambda step: TASK_JUMP_IF(lambda obj, eng: True, step),
    "OBJ_JUMP_FWD": OBJ_JUMP_FWD,
    "OBJ_JUMP_BWD": OBJ_JUMP_BWD,
}


@pytest.mark.parametrize("kind", JUMPS)
@pytest.mark.parametrize("wrong", ["two", 1.5, None, True], ids=repr)
def test_a_step_is_a_whole_number(kind: str, wrong: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match=f"{kind}'s step.*{wrong!r}"):
        JUMPS[kind](wrong)


@pytest.mark.parametrize("wrong", [0, -1, "two", 1.5, None], ids=repr)
def test_the_levels_of_break_are_a_whole_number_from_one_on(wrong: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match=f"BREAK's levels.*{wrong!r}"):
        BREAK(wrong)


@pytest.mark.parametrize(
    "wrong", [5, None, "text", [EMPTY_CALL]], ids=lambda wrong: type(wrong).__name__
)
def test_task_jump_if_needs_a_condition(wrong: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match="TASK_JUMP_IF's condition is a callable"):
        TASK_JUMP_IF(wrong, 1)


def test_a_condition_of_task_jump_if_that_cannot_take_token_and_engine_is_refused() -> None:
    with pytest.raises(WorkflowDefinitionError, match="TASK_JUMP_IF's condition cannot be called"):
        TASK_JUMP_IF(lambda obj: True, 1)


@pytest.mark.parametrize("part", ["mess", "payload"])
def test_what_halt_asks_must_take_token_and_engine(part: str) -> None:
    with pytest.raises(WorkflowDefinitionError, match=r"HALT's .* cannot be called"):
        HALT(**{part: lambda: "text"})
