"""TRY."""

import asyncio
import logging
import operator
from typing import Any

import pytest

from wfengine import HaltProcessing, WorkflowDefinitionError, WorkflowError
from wfengine.errors import StopProcessing
from wfengine.patterns import (
    CMP,
    EMPTY_CALL,
    ENG_GET,
    ERROR,
    FOR,
    IF,
    RUN_WF,
    SYNCHRONIZE,
    TRY,
    WHILE,
)

from .support import Way, add, breaks, jumps


class TornError(Exception):
    """What a test raises instead of the failure."""


# Attempts


def test_try_runs_its_tasks_once_when_they_succeed(run: Way) -> None:
    assert run.trace(TRY([run.add("a"), run.add("b")]), run.add("after")) == ["a", "b", "after"]


def test_try_runs_all_of_its_tasks_again_when_one_fails(run: Way) -> None:
    attempt = TRY([run.add("a"), run.fails(), run.add("b")])
    assert run.trace(attempt, run.add("after")) == ["a", "a", "b", "after"]


@pytest.mark.parametrize("retry", [0, 1, 2, 5])
def test_try_tries_again_as_often_as_it_is_told(run: Way, retry: int) -> None:
    engine, token = run.engine([TRY([run.add("try"), run.fails(times=99)], retry=retry)]), []
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    assert token == ["try"] * (retry + 1)


def test_try_stops_trying_at_the_first_success(run: Way) -> None:
    assert run.trace(TRY([run.add("try"), run.fails(times=2)], retry=9)) == ["try"] * 3


def test_every_token_has_all_the_attempts(run: Way) -> None:
    odd_fails = run.task(lambda obj, eng: obj.append("try") or 1 / (len(obj) % 2 == 0))
    tokens: list[list[str]] = [[], [], []]
    run.process(run.engine([TRY(odd_fails, retry=1)]), tokens)
    assert tokens == [["try", "try"]] * 3


def test_every_turn_of_a_loop_has_all_the_attempts(run: Way) -> None:
    fails_once_an_item = run.task(
        lambda obj, eng: obj.append(eng.extra_data["item"]) or 1 / (len(obj) % 2 == 0)
    )
    assert run.trace(FOR("ab", "item", TRY(fails_once_an_item))) == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    "error", [KeyError("k"), WorkflowError("w"), ExceptionGroup("g", [OSError()])]
)
def test_any_exception_is_a_failure(run: Way, error: Exception) -> None:
    assert run.trace(TRY([run.add("try"), run.fails(error=error)])) == ["try", "try"]


def test_an_exit_is_no_failure(run: Way) -> None:
    def leave(obj: Any, eng: Any) -> None:
        obj.append("try")
        raise SystemExit

    engine, token = run.engine([TRY(leave, retry=5)]), []
    with pytest.raises(SystemExit):
        run.process(engine, [token])
    assert token == ["try"]


def test_attempts_are_logged(run: Way, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wfengine")
    run.trace(TRY(run.fails(times=2), retry=2))
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "attempt 1 of 3 failed: ValueError('broken')",
        "attempt 2 of 3 failed: ValueError('broken')",
    ]


# Pauses


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list of all pauses, in seconds, of which none is made."""
    made: list[float] = []
    at_once = asyncio.sleep

    async def sleep(seconds: float) -> None:
        made.extend([seconds] if seconds else [])
        await at_once(0)

    monkeypatch.setattr("time.sleep", made.append)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"delay": 2.5}, [2.5, 2.5, 2.5]),
        ({"delay": 2, "backoff": 3}, [2, 6, 18]),
        ({"delay": 8, "backoff": 0.5}, [8, 4, 2]),
        ({"delay": 5, "backoff": 0}, [5]),
        ({"backoff": 3}, []),
        ({"delay": 1e6, "backoff": 1e300}, [1e6, 31_622_400, 31_622_400]),
        ({}, []),
    ],
    ids=repr,
)
def test_the_delay_grows_from_attempt_to_attempt(
    run: Way, pauses: list[float], options: Any, expected: list[float]
) -> None:
    run.trace(TRY(run.fails(times=3), retry=3, **options))
    assert [seconds for seconds in pauses if seconds] == expected


def test_there_is_no_delay_after_the_last_attempt(run: Way, pauses: list[float]) -> None:
    run.trace(TRY(run.fails(times=9), retry=1, delay=4, onfailure=EMPTY_CALL))
    assert pauses == [4]


def test_there_is_no_delay_without_a_failure(run: Way, pauses: list[float]) -> None:
    run.trace(TRY(run.add("a"), retry=5, delay=4))
    assert pauses == []


def test_a_delay_under_process_async_leaves_the_loop_to_others() -> None:
    """The attempt succeeds because another asyncio task had its turn meanwhile."""
    ready = []

    async def others(engine: Any) -> None:
        running = asyncio.create_task(engine.process_async([[]]))
        await asyncio.sleep(0)
        ready.append(True)
        await running

    engine = Way(True, False).engine([TRY(lambda obj, eng: ready[0], retry=1, delay=0.001)])
    asyncio.run(others(engine))
    assert engine.has_completed


# What is done on failure


def test_without_onfailure_the_exception_itself_is_raised(run: Way) -> None:
    error = ValueError("broken")
    engine = run.engine([add("a"), TRY(run.fails(times=9, error=error))])
    with pytest.raises(ValueError, match="broken") as caught:
        run.process(engine, [[]])
    assert caught.value is error
    assert engine.state.callback_pos[0] == 1


@pytest.mark.parametrize("onfailure", [TornError, TornError("torn")], ids=["class", "instance"])
def test_onfailure_may_be_an_exception_that_is_raised_from_the_last_one(
    run: Way, onfailure: Any
) -> None:
    engine = run.engine([TRY(run.fails(times=9), onfailure=onfailure), add("skipped")])
    with pytest.raises(TornError) as caught:
        run.process(engine, token := [[]])
    assert repr(caught.value.__cause__) == "ValueError('broken')"
    assert caught.value.args == (() if onfailure is TornError else ("torn",))
    assert token == [[]]


def test_an_exception_given_for_onfailure_is_raised_for_each_token_with_its_own_cause(
    run: Way,
) -> None:
    """What was raised for one token tells nothing of another, although it was given once."""
    fails = run.task(lambda obj, eng: {}[obj])
    engine = run.engine([TRY(fails, retry=0, onfailure=TornError("torn"))])
    caught = []
    for token in ("first", "second"):
        with pytest.raises(TornError) as error:
            run.process(engine, [token])
        caught.append(error.value)
    assert [str(error.__cause__) for error in caught] == ["'first'", "'second'"]


def test_onfailure_may_be_a_transition(run: Way) -> None:
    tokens: list[list[str]] = [[], []]
    engine = run.engine([run.add("a"), TRY(run.fails(times=9), onfailure=StopProcessing)])
    run.process(engine, tokens)
    assert tokens == [["a"], []]
    halts = TRY(run.fails(times=9), onfailure=HaltProcessing("look", action="mend"))
    with pytest.raises(HaltProcessing) as caught:
        run.process(run.engine([halts]), tokens)
    assert caught.value.action == "mend"


@pytest.mark.parametrize("kind", ["task", "list", "tuple", "pattern"])
def test_onfailure_may_be_tasks_after_which_the_workflow_goes_on(run: Way, kind: str) -> None:
    task = run.add("instead")
    onfailure = {"task": task, "list": [task], "tuple": (task,), "pattern": FOR([1], None, task)}
    attempt = TRY([run.add("try"), run.fails(times=9)], onfailure=onfailure[kind])
    assert run.trace(attempt, run.add("after")) == ["try", "try", "instead", "after"]


def test_what_is_done_on_failure_is_not_done_after_a_success(run: Way) -> None:
    attempt = TRY(run.add("a"), onfailure=[run.add("instead")])
    assert run.trace(attempt, run.add("after")) == ["a", "after"]


def test_what_is_done_on_failure_finds_the_error_as_plain_data(run: Way) -> None:
    error = run.extra_data(TRY(run.fails(times=9), retry=2, onfailure=EMPTY_CALL))["error"]
    assert error == {"type": "ValueError", "message": "broken", "attempts": 3}


def test_there_is_no_error_in_extra_data_after_a_success(run: Way) -> None:
    assert "error" not in run.extra_data(TRY(run.fails()))


def test_an_error_in_what_is_done_on_failure_reaches_the_caller(run: Way, take_up: Any) -> None:
    fails_once = run.fails(error=TornError())

    def definition() -> list[Any]:
        onfailure = [run.add("a"), fails_once, run.add("b")]
        return [TRY([run.add("try"), ERROR()], onfailure=onfailure), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(TornError):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == ["try", "try", "a", "b", "after"]


# Transitions


def test_a_halt_passes_and_goes_on_where_it_was(run: Way, take_up: Any) -> None:
    halts = run.halts()

    def definition() -> list[Any]:
        return [TRY([run.add("a"), halts, run.add("b")], retry=5), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == ["a", "b", "after"]


def test_attempts_made_before_a_halt_count(run: Way, take_up: Any) -> None:
    halts = run.halts(when=lambda obj, eng: len(obj) == 2)
    fails = run.fails(times=9)

    def definition() -> list[Any]:
        return [TRY([run.add("try"), halts, fails], retry=2, onfailure=run.add("instead"))]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    engine = take_up(engine, definition())
    assert token == ["try", "try", "try", "instead"]
    assert engine.extra_data["error"]["attempts"] == 3


def test_a_failure_after_a_halt_is_tried_again_from_the_first_task(run: Way, take_up: Any) -> None:
    halts, fails = run.halts(), run.fails()

    def definition() -> list[Any]:
        return [TRY([run.add("a"), [halts, fails], run.add("b")]), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == ["a", "a", "b", "after"]


def test_a_run_that_gave_up_can_try_again(run: Way, take_up: Any) -> None:
    fails = run.fails(times=2)

    def definition() -> list[Any]:
        return [run.add("before"), TRY(fails, retry=1), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == ["before", "after"]


def test_a_run_that_gave_up_has_all_the_attempts_again(run: Way, take_up: Any) -> None:
    fails = run.fails(times=5)

    def definition() -> list[Any]:
        return [TRY(fails, retry=2, onfailure=None), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == ["after"]


@pytest.mark.parametrize(
    ("leave", "expected"),
    [
        (jumps(2), ["a", "b", "after"]),
        (jumps(50), ["a", "after"]),
        (breaks, ["a", "after"]),
        (lambda obj, eng: eng.break_current_loop(9), ["a"]),
        (lambda obj, eng: eng.continue_next_token(), ["a"]),
        (lambda obj, eng: eng.skip_token(), ["a"]),
        (lambda obj, eng: eng.stop(), ["a"]),
        (lambda obj, eng: eng.abort(), ["a"]),
        (lambda obj, eng: eng.jump_token(1), ["a"]),
    ],
    ids=["jump", "far jump", "break", "far break", "next", "skip", "stop", "abort", "jump token"],
)
def test_transitions_are_no_failures(run: Way, leave: Any, expected: list[str]) -> None:
    attempt = TRY([run.add("a"), run.task(leave), run.add("skipped"), run.add("b")], retry=9)
    assert run.trace(attempt, run.add("after")) == expected


# Nesting


def test_a_failure_deep_inside_is_tried_again_from_the_first_task(run: Way) -> None:
    deep = [run.add("b"), [[run.add("c"), run.fails(), run.add("d")]]]
    attempt = TRY([run.add("a"), deep, run.add("e")])
    assert run.trace(attempt) == ["a", "b", "c", "a", "b", "c", "d", "e"]


def test_a_loop_that_fails_is_begun_again(run: Way) -> None:
    fails = run.fails()
    at_two = IF(CMP(ENG_GET("item"), 2, "=="), fails)
    attempt = TRY(FOR([1, 2, 3], "item", [run.add_value(), at_two]))
    assert run.trace(attempt, run.add("after")) == [1, 2, 1, 2, 3, "after"]


def test_nested_loops_that_fail_are_begun_again(run: Way) -> None:
    fails = run.fails()
    at_y = IF(CMP(ENG_GET("letter"), "y", "=="), fails)
    inner = FOR("xy", "letter", [run.add_value("letter"), at_y])
    attempt = TRY(FOR([1, 2], "number", [run.add_value("number"), inner]))
    assert run.trace(attempt) == [1, "x", "y", 1, "x", "y", 2, "x", "y"]


def test_a_loop_with_an_attempt_in_it_runs_in_every_turn_of_a_loop_around_it(run: Way) -> None:
    inner = FOR("xy", "letter", [run.add_value("letter"), TRY(run.add("try"))])
    turn = ["x", "try", "y", "try"]
    assert run.trace(FOR([1, 2], None, inner), run.add("after")) == [*turn, *turn, "after"]


def test_a_condition_that_fails_is_a_failure(run: Way) -> None:
    assert run.trace(TRY([run.add("a"), IF(run.fails(), []), run.add("b")])) == ["a", "a", "b"]
    assert run.trace(TRY([run.add("a"), WHILE(run.fails(), []), run.add("b")])) == ["a", "a", "b"]


def test_a_source_that_fails_is_a_failure(run: Way) -> None:
    answers: list[Any] = [ValueError("broken"), [1, 2]]

    def source(obj: Any, eng: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    attempt = TRY([run.add("a"), FOR(run.task(source), "item", run.add_value())])
    assert run.trace(attempt) == ["a", "a", 1, 2]


@pytest.mark.parametrize(
    "inside",
    [
        lambda *steps: RUN_WF([*steps]),
        lambda *steps: SYNCHRONIZE([*steps], EMPTY_CALL, EMPTY_CALL),
        lambda *steps: SYNCHRONIZE(EMPTY_CALL, [*steps]),
    ],
    ids=["RUN_WF", "branch of SYNCHRONIZE", "end of SYNCHRONIZE"],
)
def test_what_runs_inside_of_a_task_is_begun_again(run: Way, inside: Any) -> None:
    attempt = TRY(inside(run.add("a"), run.fails(), run.add("b")))
    assert run.trace(attempt, run.add("after")) == ["a", "a", "b", "after"]


def test_tries_nest(run: Way) -> None:
    inner = TRY([run.add("in"), run.fails(times=5)], retry=1)
    outer = TRY([run.add("out"), inner], retry=2)
    assert run.trace(outer, run.add("after")) == [*["out", "in", "in"] * 3, "after"]


def test_an_inner_try_that_goes_on_is_a_success_for_the_outer(run: Way) -> None:
    inner = TRY(ERROR(), onfailure=run.add("instead"))
    assert run.trace(TRY([run.add("out"), inner], retry=5)) == ["out", "instead"]


def test_an_inner_onfailure_that_fails_is_a_failure_of_the_outer(run: Way) -> None:
    inner = TRY(ERROR(), retry=0, onfailure=[run.add("instead"), run.fails()])
    assert run.trace(TRY([run.add("out"), inner])) == ["out", "instead", "out", "instead"]


def test_an_inner_exception_is_a_failure_of_the_outer(run: Way) -> None:
    inner = TRY([run.add("in"), run.fails(times=3)], retry=1, onfailure=TornError)
    assert run.trace(TRY(inner, onfailure=run.add("instead"))) == ["in", "in", "in", "in"]


def test_a_try_in_what_is_done_on_failure_has_attempts_of_its_own(run: Way) -> None:
    second = TRY([run.add("second"), run.fails()], retry=1)
    assert run.trace(TRY(ERROR(), retry=0, onfailure=second)) == ["second", "second"]


def test_nothing_to_try_succeeds(run: Way) -> None:
    assert run.trace(TRY([], onfailure=ERROR()), run.add("after")) == ["after"]


def test_on_failure_nothing_may_be_done(run: Way) -> None:
    assert run.trace(TRY(run.fails(times=9), onfailure=[]), run.add("after")) == ["after"]


def test_a_token_that_starts_inside_of_try_is_not_guarded(run: Way) -> None:
    """Nobody has begun to count its attempts: the failure reaches the caller at once."""
    halts = run.halts()
    fails = run.fails(times=9)
    engine = run.engine([TRY([run.add("a"), halts, fails], retry=5)])
    tokens: list[list[str]] = [[], []]
    with pytest.raises(HaltProcessing):
        run.process(engine, tokens)
    with pytest.raises(ValueError, match="broken"):
        run.restart(engine, "next", "current")
    assert tokens == [["a"], []]


def test_any_callable_object_can_be_tried(run: Way) -> None:
    class Task:
        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, obj: Any, eng: Any) -> None:
            self.calls += 1
            if self.calls == 1:
                raise ValueError("broken")

    task, builtin = Task(), operator.is_
    assert run.trace(TRY([run.add("try"), task, builtin])) == ["try", "try"]
    assert task.calls == 2


# Bad arguments


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: TRY(5), r"TRY's tasks: 5 \(int\) at \[0\]"),
        (lambda: TRY(add("a"), onfailure=5), r"TRY's onfailure: 5 \(int\) at \[0\]"),
        (lambda: TRY(add("a"), retry=-1), "TRY's retry .* not -1"),
        (lambda: TRY(add("a"), retry=1.5), "TRY's retry .* not 1.5"),
        (lambda: TRY(add("a"), retry=True), "TRY's retry .* not True"),
        (lambda: TRY(add("a"), retry=None), "TRY's retry .* not None"),
        (lambda: TRY(add("a"), delay=-1), "TRY's delay .*"),
        (lambda: TRY(add("a"), delay="1"), "TRY's delay .*"),
        (lambda: TRY(add("a"), delay=None), "TRY's delay .*"),
        (lambda: TRY(add("a"), delay=float("nan")), "TRY's delay .*"),
        (lambda: TRY(add("a"), backoff=-1), "TRY's .*backoff .*"),
        (lambda: TRY(add("a"), backoff="2"), "TRY's .*backoff .*"),
    ],
)
def test_try_says_which_part_is_wrong(build: Any, problem: str) -> None:
    with pytest.raises(WorkflowDefinitionError, match=problem):
        build()
