"""FOR."""

import itertools
import threading
from enum import Enum
from typing import Any

import pytest

from wfengine import HaltProcessing, WorkflowDefinitionError, WorkflowError
from wfengine.patterns import (
    CMP,
    EMPTY_CALL,
    ENG_GET,
    ENG_SET,
    FOR,
    IF,
    OBJ_GET,
    PARALLEL_SPLIT,
    RUN_WF,
    SYNCHRONIZE,
    TASK_JUMP_IF,
    TRY,
    WHILE,
)

from .support import Way, add, breaks, jumps


class Colour(Enum):
    RED = 1
    BLUE = 2


# Sources

SOURCES = {
    "list": [1, 2, 3],
    "tuple": (1, 2, 3),
    "range": range(1, 4),
    "long range": range(1, 1100),
    "dict": {1: "a", 2: "b", 3: "c"},
    "values of a dict": {"a": 1, "b": 2, "c": 3}.values(),
    "set": {1, 2, 3},
    "string": "abc",
    "bytes": b"abc",
    "enum": Colour,
    "empty list": [],
    "empty range": range(0),
    "empty string": "",
    "items that are false": [0, None, "", False],
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_for_takes_the_items_of_any_iterable_as_python_does(run: Way, source: Any) -> None:
    loop = FOR(source, "item", run.add_value())
    assert run.trace(loop, run.add("after")) == [*source, "after"]


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_for_takes_the_last_item_first_where_the_order_says_so(run: Way, source: Any) -> None:
    assert run.trace(FOR(source, "item", run.add_value(), order="DSC")) == [*source][::-1]


@pytest.mark.parametrize("order", ["ASC", "DSC"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
@pytest.mark.parametrize("cached", [False, True], ids=["not-cached", "cached"])
def test_for_asks_a_callable_for_the_items(run: Way, source: Any, order: str, cached: bool) -> None:
    asked = run.task(lambda obj, eng: source)
    loop = FOR(asked, "item", run.add_value(), cache_data=cached, order=order)
    assert run.trace(loop) == ([*source] if order == "ASC" else [*source][::-1])


@pytest.mark.parametrize("order", ["ASC", "DSC"])
def test_the_items_of_an_iterator_serve_every_token_and_every_run(run: Way, order: str) -> None:
    engine = run.engine([FOR(iter([1, 2, 3]), "item", run.add_value(), order=order)])
    expected = [1, 2, 3] if order == "ASC" else [3, 2, 1]
    tokens: list[list[int]] = [[], []]
    run.process(engine, tokens)
    run.process(engine, more := [[]])
    assert [*tokens, *more] == [expected] * 3


def test_for_takes_no_more_from_an_iterator_than_it_needs(run: Way) -> None:
    counter = itertools.count()
    leave_at_two = TASK_JUMP_IF(CMP(ENG_GET("item"), 2, "=="), 50)
    loop = FOR(counter, "item", [leave_at_two, run.add_value()])
    assert run.trace(loop, run.add("after")) == [0, 1, "after"]
    assert next(counter) == 3


def test_for_takes_no_more_from_the_iterator_of_a_callable_than_it_needs(run: Way) -> None:
    counter = itertools.count()
    source = run.task(lambda obj, eng: counter)
    tokens: list[list[int]] = [[], []]
    run.process(run.engine([FOR(source, "item", [run.add_value(), breaks])]), tokens)
    assert tokens == [[0], [1]]


def test_an_error_of_an_iterator_reaches_the_caller(run: Way) -> None:
    def items() -> Any:
        yield 1
        raise ValueError("torn")

    engine, token = run.engine([FOR(items(), "item", run.add_value())]), []
    with pytest.raises(ValueError, match="torn"):
        run.process(engine, [token])
    assert token == [1]


def test_several_engines_may_take_items_from_one_iterator_at_once(run: Way) -> None:
    loop = FOR(iter(range(500)), "item", run.add_value())
    tokens: list[list[int]] = [[] for _ in range(4)]
    workers = [
        threading.Thread(target=run.process, args=(run.engine([loop]), [token])) for token in tokens
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert tokens == [[*range(500)]] * 4


@pytest.mark.parametrize("source", [range(2), [0, 1], lambda obj, eng: [0, 1]])
def test_a_loop_that_stands_in_two_engines_is_run_by_each_on_its_own(run: Way, source: Any) -> None:
    loop = FOR(source, "item", [run.add_value(), run.halts_at(0)])
    first, second = run.engine([loop]), run.engine([loop])
    tokens: list[list[int]] = [[], []]
    with pytest.raises(HaltProcessing):
        run.process(first, tokens[:1])
    run.process(second, tokens[1:])
    run.restart(first, "current", "next")
    assert tokens == [[0, 1], [0, 1]]


# Sources that are callables


def counting_source(run: Way, *answers: Any) -> tuple[Any, list[Any]]:
    """Return a source that answers in turn, and the list of tokens that it was asked about."""
    asked: list[Any] = []

    def source(obj: Any, eng: Any) -> Any:
        asked.append(obj)
        return answers[len(asked) - 1]

    return run.task(source), asked


def test_a_callable_source_is_asked_once_for_each_token(run: Way) -> None:
    source, asked = counting_source(run, [1, 2, 3], [4, 5])
    tokens: list[list[int]] = [[], []]
    run.process(run.engine([FOR(source, "item", run.add_value())]), tokens)
    assert tokens == [[1, 2, 3], [4, 5]]
    assert len(asked) == 2


def test_a_callable_source_is_asked_once_each_time_its_loop_is_entered(run: Way) -> None:
    source, asked = counting_source(run, [1, 2], [3], [])
    assert run.trace(FOR("abc", "turn", FOR(source, "item", run.add_value()))) == [1, 2, 3]
    assert len(asked) == 3


LEFT_EARLY = {
    "FOR that is left by a break": lambda run: FOR("xy", None, breaks),
    "FOR that is left by a jump": lambda run: FOR("xy", None, jumps(50)),
    "FOR in FOR that are left together": lambda run: FOR(
        "xy", None, FOR("x", None, lambda obj, eng: eng.break_current_loop(2))
    ),
    "WHILE that is left by a break": lambda run: WHILE(run.answers(True), breaks),
    "TRY that succeeds": lambda run: TRY(EMPTY_CALL),
    "TRY that succeeds at last": lambda run: TRY(run.fails()),
    "RUN_WF": lambda run: RUN_WF(FOR("xy", None, breaks)),
    "SYNCHRONIZE": lambda run: SYNCHRONIZE(EMPTY_CALL, EMPTY_CALL),
}


@pytest.mark.parametrize("inner", LEFT_EARLY.values(), ids=LEFT_EARLY.keys())
def test_a_callable_source_is_asked_once_whatever_stands_in_the_loop(run: Way, inner: Any) -> None:
    source, asked = counting_source(run, iter([1, 2, 3]))
    loop = FOR(source, "item", [run.add_value(), inner(run)])
    assert run.trace(loop, run.add("after")) == [1, 2, 3, "after"]
    assert len(asked) == 1


def test_a_callable_source_is_asked_once_more_after_a_halt(run: Way, take_up: Any) -> None:
    source, asked = counting_source(run, [1, 2, 3], [1, 2, 30, 40])
    halts = run.halts_at(2)

    def definition() -> list[Any]:
        return [FOR(source, "item", [halts, run.add_value()])]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == [1, 2, 30, 40]
    assert len(asked) == 2


@pytest.mark.parametrize("order", ["ASC", "DSC"])
def test_cached_items_are_the_very_same_after_a_halt(run: Way, take_up: Any, order: str) -> None:
    source, asked = counting_source(run, [1, 2, 3], ["other", "other", "other"])
    halts = run.halts_at(2)

    def definition() -> list[Any]:
        return [FOR(source, "item", [halts, run.add_value()], cache_data=True, order=order)]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == ([1, 2, 3] if order == "ASC" else [3, 2, 1])
    assert len(asked) == 1


def test_cached_items_of_an_iterator_are_kept_whole(run: Way, take_up: Any) -> None:
    source, _ = counting_source(run, iter([1, 2, 3]))
    halts = run.halts_at(2)

    def definition() -> list[Any]:
        return [FOR(source, "item", [halts, run.add_value()], cache_data=True)]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == [1, 2, 3]


def test_cached_items_do_not_change_when_the_source_changes_its_own(run: Way) -> None:
    own = [1, 2, 3]
    grow = run.task(lambda obj, eng: own.append(9))
    loop = FOR(lambda obj, eng: own, "item", [run.add_value(), grow], cache_data=True)
    assert run.trace(loop) == [1, 2, 3]


def test_cached_items_are_forgotten_when_the_loop_is_entered_again(run: Way) -> None:
    source, asked = counting_source(run, [1], [2], [3])
    inner = FOR(source, "item", run.add_value(), cache_data=True)
    tokens: list[list[int]] = [[], []]
    run.process(run.engine([FOR("ab", "turn", inner), breaks]), tokens[:1])
    assert tokens[0] == [1, 2]
    assert len(asked) == 2


def test_a_source_that_failed_is_asked_again(run: Way, take_up: Any) -> None:
    answers: list[Any] = [ValueError("broken"), [1, 2]]

    def source(obj: Any, eng: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    definition = [run.add("before"), FOR(run.task(source), "item", run.add_value())]
    engine, token = run.engine(definition), []
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    assert engine.state.callback_pos == [1, 0]
    take_up(engine, definition)
    assert token == ["before", 1, 2]


@pytest.mark.parametrize("found", [None, 5, add("a")], ids=["None", "int", "function"])
def test_a_source_that_returns_no_items_is_told_by_name(run: Way, found: Any) -> None:
    def lines(obj: Any, eng: Any) -> Any:
        return found

    engine = run.engine([FOR(run.task(lines), "item", [])])
    with pytest.raises(
        WorkflowError, match=r"FOR's source 'lines' returned (NoneType|int|function)"
    ):
        run.process(engine, [[]])


# Setters


def test_a_setter_is_a_key_of_extra_data_and_the_last_value_stays_there(run: Way) -> None:
    assert run.extra_data(FOR([1, 2, 3], "number", [])) == {"number": 3}


def test_the_last_value_stays_there_after_a_break(run: Way) -> None:
    assert run.extra_data(FOR([1, 2, 3], "number", breaks)) == {"number": 1}


def test_a_loop_over_nothing_leaves_extra_data_as_it_is(run: Way) -> None:
    assert run.extra_data(FOR([], "number", [])) == {}


def test_a_setter_is_a_callable_that_gets_token_engine_and_item(run: Way) -> None:
    def put(obj: Any, eng: Any, item: Any) -> None:
        obj.append((item, eng.state.token_pos))

    loop = FOR("ab", run.task(put), run.add("in"))
    assert run.trace(loop) == [("a", 0), "in", ("b", 0), "in"]


def test_a_setter_may_be_nothing(run: Way) -> None:
    loop = FOR("ab", None, run.add("in"))
    assert run.trace(loop) == ["in", "in"]
    assert run.extra_data(loop) == {}


def test_what_a_setter_returns_moves_nothing(run: Way) -> None:
    setter = run.task(lambda obj, eng, item: item)
    assert run.trace(FOR([0, 50], setter, run.add("in"))) == ["in", "in"]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_setter_that_failed_is_called_again_with_the_same_item(
    run: Way, take_up: Any, at: int
) -> None:
    fails = iter([True])

    def put(obj: Any, eng: Any, item: Any) -> None:
        if item == at and next(fails, False):
            raise ValueError("broken")
        obj.append(item)

    definition = [FOR([1, 2, 3], run.task(put), []), run.add("after")]
    engine, token = run.engine(definition), []
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    take_up(engine, definition)
    assert token == [1, 2, 3, "after"]


def test_a_setter_that_halts_is_called_again_with_the_same_item(run: Way, take_up: Any) -> None:
    halts = iter([True])

    def put(obj: Any, eng: Any, item: Any) -> None:
        if item == 2 and next(halts, False):
            eng.halt("decide")
        obj.append(item)

    definition = [FOR([1, 2, 3], run.task(put), run.add("in"))]
    engine, token = run.engine(definition), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition)
    assert token == [1, "in", 2, "in", 3, "in"]


# Turns


def test_fors_nest(run: Way) -> None:
    inner = FOR("xy", "letter", [run.add_value("number"), run.add_value("letter")])
    loop = FOR([1, 2], "number", [inner, run.add("end")])
    assert run.trace(loop) == [1, "x", 1, "y", "end", 2, "x", 2, "y", "end"]


def test_fors_nest_three_deep_with_the_same_source_and_body(run: Way) -> None:
    def nested(depth: int) -> Any:
        return FOR([1, 2], "item", nested(depth - 1) if depth else run.add_value())

    assert run.trace(nested(2)) == [1, 2] * 4


def test_two_loops_after_each_other_do_not_mix(run: Way) -> None:
    first, second = (FOR([1, 2], "item", run.add_value()) for _ in range(2))
    assert run.trace(first, second) == [1, 2, 1, 2]


def test_one_loop_may_stand_twice_in_a_definition(run: Way) -> None:
    loop = FOR([1, 2], "item", run.add_value())
    assert run.trace(loop, loop, [loop]) == [1, 2] * 3


def test_a_loop_after_one_that_was_left_starts_at_its_own_first_item(run: Way) -> None:
    left = FOR([1, 2], "item", [run.add_value(), breaks])
    assert run.trace(left, FOR([1, 2], "item", run.add_value())) == [1, 1, 2]


def test_a_jump_forward_in_the_body_stays_in_the_same_turn(run: Way) -> None:
    loop = FOR([1, 2], "item", [jumps(2), run.add("skipped"), run.add_value()])
    assert run.trace(loop) == [1, 2]


def test_a_jump_past_the_end_of_the_body_leaves_the_loop(run: Way) -> None:
    loop = FOR([1, 2], "item", [run.add_value(), jumps(50), run.add("skipped")])
    assert run.trace(loop, run.add("after")) == [1, "after"]


@pytest.mark.parametrize(("step", "values"), [(-1, [1, 1, 2]), (-2, [1, 2]), (-50, [1, 2])])
def test_a_jump_back_in_the_body_keeps_the_item_unless_it_goes_to_before_the_first_task(
    run: Way, step: int, values: list[int]
) -> None:
    again = TASK_JUMP_IF(run.answers(True, False), step)
    assert run.trace(FOR([1, 2], "item", [run.add_value(), again])) == values


LEAVING = {
    "by a break": breaks,
    "by a jump": jumps(50),
    "at its end": EMPTY_CALL,
    "by a jump from inside": [[jumps(2, levels=2)]],
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING.keys())
def test_a_loop_that_was_left_and_is_come_back_to_starts_with_its_first_item(
    run: Way, leave: Any
) -> None:
    loop = FOR([1, 2], "item", [run.add_value(), leave])
    token = run.trace(loop, TASK_JUMP_IF(run.answers(True, False), -1))
    assert token == ([1, 2, 1, 2] if leave is EMPTY_CALL else [1, 1])


def test_a_loop_that_is_tried_again_starts_with_its_first_item(run: Way) -> None:
    broken = run.fails()
    fails_at_two = IF(CMP(ENG_GET("item"), 2, "=="), broken)
    loop = FOR([1, 2, 3], "item", [run.add_value(), fails_at_two])
    assert run.trace(TRY(loop)) == [1, 2, 1, 2, 3]


def test_a_break_leaves_the_inner_loop_only(run: Way) -> None:
    inner = FOR("xy", "letter", [run.add_value("letter"), breaks])
    assert run.trace(FOR([1, 2], "number", [inner, run.add_value("number")])) == ["x", 1, "x", 2]


def test_a_break_of_two_levels_leaves_both_loops(run: Way) -> None:
    leave = run.task(lambda obj, eng: eng.break_current_loop(2))
    inner = FOR("xy", "letter", [run.add_value("letter"), leave])
    assert run.trace(FOR([1, 2], "number", inner), run.add("after")) == ["x", "after"]


def test_the_next_token_begins_the_loop_anew_wherever_the_last_one_left_it(run: Way) -> None:
    leave = run.task(lambda obj, eng: eng.continue_next_token())
    tokens: list[list[int]] = [[], []]
    run.process(run.engine([FOR([1, 2], "item", [run.add_value(), leave])]), tokens)
    assert tokens == [[1], [1]]


def test_the_memory_of_a_loop_is_gone_when_the_token_has_come_to_its_end(run: Way) -> None:
    loop = FOR([1, 2], "item", [FOR("ab", "letter", [])])
    assert run.extra_data(loop) == {"item": 2, "letter": "b"}


def test_an_error_in_the_body_reaches_the_caller_with_the_position_kept(run: Way) -> None:
    engine = run.engine([add("a"), FOR([1], "item", [add("b"), run.fails()])])
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [[]])
    assert engine.state.callback_pos == [1, 2]


# Halts


HALTED = {
    "range": lambda: range(1, 4),
    "list": lambda: [1, 2, 3],
    "dict": lambda: {1: "a", 2: "b", 3: "c"},
    "iterator": lambda: iter([1, 2, 3]),
    "string": lambda: "123",
    "callable": lambda: lambda obj, eng: [1, 2, 3],
}


@pytest.mark.parametrize("order", ["ASC", "DSC"])
@pytest.mark.parametrize("kind", HALTED)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_halted_loop_goes_on_with_the_same_item(
    run: Way, take_up: Any, kind: str, order: str, at: int
) -> None:
    items: Any = "123" if kind == "string" else [1, 2, 3]
    halts = run.halts_at(items[at])

    def definition() -> list[Any]:
        body = [run.add_value(), halts, run.add_value()]
        return [FOR(HALTED[kind](), "item", body, order=order), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    turns = [turn for item in items[:: 1 if order == "ASC" else -1] for turn in (item, item)]
    assert token == [*turns, "after"]


def test_nested_loops_halted_inside_go_on_with_the_same_items(run: Way, take_up: Any) -> None:
    halts = run.halts(
        when=lambda obj, eng: (eng.extra_data["number"], eng.extra_data["letter"]) == (2, "y")
    )

    def definition() -> list[Any]:
        body = [halts, run.add_value("number"), run.add_value("letter")]
        return [FOR([1, 2, 3], "number", [FOR("xyz", "letter", body), run.add("end")])]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    turns = [(number, letter) for number in (1, 2, 3) for letter in "xyz"]
    parts = [part for turn in turns for part in (*turn, *("end",) * (turn[1] == "z"))]
    assert token == parts


def test_a_loop_can_be_halted_in_every_turn(run: Way, take_up: Any) -> None:
    halted: list[int] = []

    def halt_once_for_each_item(obj: Any, eng: Any) -> None:
        if eng.extra_data["item"] not in halted:
            halted.append(eng.extra_data["item"])
            eng.halt("decide")

    def definition() -> list[Any]:
        body = [run.task(halt_once_for_each_item), run.add_value()]
        return [FOR([1, 2, 3], "item", body)]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    for _ in range(2):
        with pytest.raises(HaltProcessing):
            take_up(engine, definition())
        engine = take_up.engine
    take_up(engine, definition())
    assert token == [1, 2, 3]


def test_a_halted_loop_can_go_on_with_the_next_task(run: Way) -> None:
    body = [run.add_value(), run.halts_at(1), run.add("on")]
    engine, token = run.engine([FOR([1, 2], "item", body)]), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    run.restart(engine, "current", "next")
    assert token == [1, "on", 2, "on"]


def test_a_halted_loop_can_go_back_to_the_task_before(run: Way) -> None:
    body = [EMPTY_CALL, run.add_value(), run.halts_at(2)]
    engine, token = run.engine([FOR([1, 2], "item", body)]), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    run.restart(engine, "current", "prev")
    assert token == [1, 2, 2]


def test_a_halted_loop_can_be_begun_again(run: Way) -> None:
    engine, token = run.engine([FOR([1, 2], "item", [run.add_value(), run.halts_at(2)])]), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    run.restart(engine, "current", "first")
    assert token == [1, 2, 1, 2]


def test_another_token_that_starts_inside_of_a_loop_begins_that_loop(run: Way) -> None:
    engine = run.engine([FOR([1, 2], "item", [run.halts_at(2), run.add_value()])])
    tokens: list[list[int]] = [[], []]
    with pytest.raises(HaltProcessing):
        run.process(engine, tokens)
    run.restart(engine, "next", "current")
    assert tokens == [[1], [2, 1, 2]]


# What tells loops apart

OTHER_LOOPS = {
    "other key": lambda body: FOR([1, 2, 3], "other", body),
    "other body": lambda body: FOR([1, 2, 3], "item", [EMPTY_CALL, *body]),
    "other kind of source": lambda body: FOR((1, 2, 3), "item", body),
    "other range": lambda body: FOR(range(1, 4), "item", body),
    "other items": lambda body: FOR([4, 5, 6], "item", body),
    "other order": lambda body: FOR([1, 2, 3], "item", body, order="DSC"),
}


@pytest.mark.parametrize("kind", OTHER_LOOPS)
def test_loops_of_different_definitions_at_the_same_position_do_not_mix(
    run: Way, take_up: Any, kind: str
) -> None:
    """A loop that was never entered starts with its own first item, wherever one comes into it."""
    key = "other" if kind == "other key" else "item"
    show = run.task(lambda obj, eng: obj.append(eng.extra_data.get(key)))
    body = [run.halts(when=lambda obj, eng: eng.extra_data.get("item") == 2), show]
    engine, token = run.engine([FOR([1, 2, 3], "item", body)]), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    token.clear()
    other = OTHER_LOOPS[kind](body)
    engine.callbacks.replace([other])
    take_up(engine, [other])
    expected = run.trace(other)
    assert token[-len(expected) :] == expected


def test_a_loop_runs_inside_of_itself_as_often_as_a_counter_says(run: Way, take_up: Any) -> None:
    """The same loop at the same position, three engines deep."""
    halts = run.halts(when=lambda obj, eng: eng.extra_data["level"] == 2)
    show = run.task(lambda obj, eng: obj.append((eng.extra_data["level"], eng.extra_data["item"])))

    def definition() -> list[Any]:
        def descend(obj: Any, eng: Any) -> Any:
            level = eng.extra_data["level"]
            inner = RUN_WF([ENG_SET("level", level + 1), *loop, ENG_SET("level", level)])
            return inner(obj, eng) if level < 2 else None

        loop: list[Any] = [FOR([1, 2], "item", [show, halts, descend])]
        return [ENG_SET("level", 0), *loop]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    middle = [(1, 1), (2, 1), (2, 2), (1, 2), (2, 1), (2, 2)]
    assert token == [(0, 1), *middle, (0, 2), *middle]


def test_a_definition_that_runs_itself_walks_a_tree(run: Way, take_up: Any) -> None:
    halts = run.halts(when=lambda obj, eng: obj["name"] == "b2")
    see = run.task(lambda obj, eng: seen.append(obj["name"]))

    def definition() -> list[Any]:
        def descend(obj: Any, eng: Any) -> Any:
            return RUN_WF(walk, lambda obj, eng: [eng.extra_data["child"]])(obj, eng)

        walk: list[Any] = [see, halts, FOR(OBJ_GET("children"), "child", descend)]
        return walk

    def node(name: str, *children: Any) -> dict[str, Any]:
        return {"name": name, "children": [*children]}

    branches = [node("a", node("a1")), node("b", node("b1"), node("b2", node("b3"))), node("c")]
    seen: list[str] = []
    engine = run.engine(definition())
    with pytest.raises(HaltProcessing):
        run.process(engine, [node("root", *branches)])
    take_up(engine, definition())
    assert seen == ["root", "a", "a1", "b", "b1", "b2", "b3", "c"]


# Beside branches


def test_branches_that_loop_at_the_same_position_do_not_mix(run: Way) -> None:
    def branch(name: str) -> Any:
        put = run.task(lambda obj, eng: obj.setdefault(name, []).append(eng.extra_data["item"]))
        return FOR([1, 2, 3], "item", put)

    token: dict[str, list[int]] = {}
    run.process(run.engine([SYNCHRONIZE(branch("a"), branch("b"), EMPTY_CALL)]), [token])
    assert token == {"a": [1, 2, 3], "b": [1, 2, 3]}


def test_a_loop_around_branches_that_nobody_waits_for_keeps_its_own_place(run: Way) -> None:
    loop = FOR([1, 2, 3], "item", [PARALLEL_SPLIT(FOR("ab", "x", [])), run.add_value()])
    assert run.trace(loop) == [1, 2, 3]


# Bad arguments


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: FOR(5, "item", add("a")), "FOR's source .* not 5"),
        (lambda: FOR(None, "item", add("a")), "FOR's source .* not None"),
        (lambda: FOR(lambda obj: [], "item", add("a")), "FOR's source .* cannot be called"),
        (lambda: FOR([], 5, add("a")), "FOR's setter .* not 5"),
        (lambda: FOR([], lambda obj, eng: None, add("a")), "FOR's setter cannot be called"),
        (lambda: FOR([], "item", 5), r"FOR's branch: 5 \(int\) at \[0\]"),
        (lambda: FOR([], "item", [], order="UP"), "FOR's order .* not 'UP'"),
        (lambda: FOR([], "item", [], order=None), "FOR's order .* not None"),
    ],
)
def test_for_says_which_part_is_wrong(build: Any, problem: str) -> None:
    with pytest.raises(WorkflowDefinitionError, match=problem):
        build()


def test_a_source_that_is_callable_and_iterable_is_iterated_over(run: Way) -> None:
    class Both(list[int]):
        def __call__(self, obj: Any, eng: Any) -> Any:
            raise AssertionError("not to be called")

    assert run.trace(FOR(Both([1, 2]), "item", run.add_value())) == [1, 2]
