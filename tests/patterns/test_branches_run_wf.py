"""RUN_WF."""

import asyncio
import pickle
from copy import copy, deepcopy
from typing import Any

import pytest

from wfengine import GenericWorkflowEngine, HaltProcessing, WorkflowDefinitionError, signals
from wfengine.engine import ProcessingFactory
from wfengine.errors import WorkflowAPIError
from wfengine.patterns import (
    CMP,
    EMPTY_CALL,
    ENG_GET,
    ENG_SET,
    ERROR,
    FOR,
    IF,
    RUN_WF,
    TASK_JUMP_IF,
    WHILE,
)

from .support import Way, add, received


def parts(obj: Any, eng: Any) -> Any:
    """Return the tokens for the inner definition: the lists that the token holds."""
    return obj["parts"]


def with_parts(count: int = 3) -> dict[str, Any]:
    return {"parts": [[] for _ in range(count)]}


# Tokens


def test_the_definition_runs_for_the_current_token(run: Way) -> None:
    assert run.trace(run.add("a"), RUN_WF([run.add("b"), run.add("c")]), run.add("d")) == [*"abcd"]


def test_every_token_has_the_definition_run(run: Way) -> None:
    tokens: list[list[str]] = [[], []]
    run.process(run.engine([RUN_WF(run.add("in")), run.add("after")]), tokens)
    assert tokens == [["in", "after"]] * 2


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_a_data_connector_gives_the_tokens(run: Way, kind: Any) -> None:
    token = with_parts()
    connector = run.task(lambda obj, eng: kind(obj["parts"]))
    run.process(run.engine([RUN_WF([run.add("a"), run.add("b")], connector)]), [token])
    assert token == {"parts": [["a", "b"]] * 3}


def test_a_data_connector_may_give_no_tokens(run: Way) -> None:
    nothing = run.task(lambda obj, eng: [])
    assert run.trace(RUN_WF(ERROR(), data_connector=nothing), run.add("after")) == ["after"]


def test_a_data_connector_is_asked_about_each_token(run: Way) -> None:
    tokens = [with_parts(1), with_parts(2)]
    run.process(run.engine([RUN_WF(run.add("in"), run.task(parts))]), tokens)
    assert tokens == [{"parts": [["in"]]}, {"parts": [["in"], ["in"]]}]


def test_an_asynchronous_data_connector_serves_tasks_that_are_not(run: Way) -> None:
    async def connector(obj: Any, eng: Any) -> Any:
        await asyncio.sleep(0)
        return obj["parts"]

    token = with_parts(2)
    run.process(run.engine([RUN_WF(run.add("in"), connector)]), [token])
    assert token == {"parts": [["in"], ["in"]]}


def test_what_is_no_collection_of_tokens_is_refused(run: Way) -> None:
    engine = run.engine([RUN_WF(EMPTY_CALL, data_connector=run.answers(5))])
    with pytest.raises(WorkflowAPIError, match="no collection of tokens"):
        run.process(engine, [[]])


def test_a_data_connector_that_was_mended_is_asked_again(run: Way, take_up: Any) -> None:
    answers: list[Any] = ["no tokens", [[]]]
    connector = run.task(lambda obj, eng: answers.pop(0))
    definition = [RUN_WF(EMPTY_CALL, data_connector=connector)]
    engine = run.engine(definition)
    with pytest.raises(WorkflowAPIError):
        run.process(engine, [[]])
    assert take_up(engine, definition).has_completed
    assert answers == []


# extra_data


def test_the_definition_has_what_is_in_extra_data(run: Way) -> None:
    assert run.trace(ENG_SET("x", 1), RUN_WF(run.add_value("x"))) == [1]


def test_what_the_definition_puts_into_extra_data_is_there_afterwards(run: Way) -> None:
    inner = RUN_WF([ENG_SET("x", "changed"), RUN_WF(ENG_SET("y", "new"))])
    after = [run.add_value("x"), run.add_value("y")]
    assert run.trace(ENG_SET("x", "given"), inner, after) == ["changed", "new"]


def test_what_the_definition_put_into_extra_data_survives_a_halt(run: Way, take_up: Any) -> None:
    halts = run.halts()

    def definition() -> list[Any]:
        inner = [ENG_SET("x", 1), halts, run.add_value("x"), ENG_SET("y", 2)]
        return [RUN_WF(inner), run.add_value("y")]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == [1, 2]


def test_what_the_definition_removed_from_its_extra_data_is_gone_after_a_halt_too(
    run: Way, take_up: Any
) -> None:
    halts = run.halts(times=2)

    def definition() -> list[Any]:
        removes = run.task(lambda obj, eng: eng.extra_data.pop("x"))
        sees = run.task(lambda obj, eng: obj.append("x" in eng.extra_data))
        return [ENG_SET("x", 1), RUN_WF([removes, halts, sees]), sees]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    with pytest.raises(HaltProcessing):
        take_up(engine, definition())
    take_up(take_up.engine, definition())
    assert token == [False, True]


def test_the_definitions_extra_data_can_be_copied_as_a_plain_dictionary(run: Way) -> None:
    def copy_all_ways(obj: Any, eng: Any) -> None:
        data = eng.extra_data
        obj.extend([copy(data), deepcopy(data), pickle.loads(pickle.dumps(data))])

    copies = run.trace(ENG_SET("x", 1), RUN_WF(run.task(copy_all_ways)))
    assert copies == [{"x": 1}] * 3
    assert {type(each) for each in copies} == {dict}


def test_a_loop_around_a_halted_loop_with_the_same_key_goes_on_with_its_own_item(
    run: Way, take_up: Any
) -> None:
    halts = run.halts_at("y")

    def definition() -> list[Any]:
        inner = RUN_WF(FOR("xy", "item", [halts, run.add_value()]))
        return [FOR([1, 2], "item", [run.add_value(), inner])]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == [1, "x", "y", 2, "x", "y"]


# Halts, errors, transitions


def test_a_halt_halts_the_run_around_it(run: Way) -> None:
    engine = run.engine([add("before"), RUN_WF([EMPTY_CALL, run.halts()]), add("skipped")])
    with (
        received(signals.workflow_halted, engine) as told,
        pytest.raises(HaltProcessing) as caught,
    ):
        run.process(engine, tokens := [[]])
    assert (caught.value.message, caught.value.action) == ("decide", "ask")
    assert [context["error"] for context in told] == [caught.value]
    assert (tokens, engine.state.callback_pos) == ([["before"]], [1])


def test_a_halted_definition_goes_on_inside_of_several_tokens(run: Way, take_up: Any) -> None:
    halts = run.halts(when=lambda obj, eng: eng.state.token_pos == 1)
    tokens = [with_parts(), with_parts()]

    def definition() -> list[Any]:
        inner = [run.add("a"), [halts, run.add("b")], run.add("c")]
        return [RUN_WF(inner, data_connector=run.task(parts))]

    engine = run.engine(definition())
    with pytest.raises(HaltProcessing):
        run.process(engine, tokens)
    assert tokens[0] == {"parts": [["a", "b", "c"], ["a"], []]}
    take_up(engine, definition())
    assert tokens == [{"parts": [["a", "b", "c"]] * 3}] * 2


def test_a_data_connector_is_asked_again_after_a_halt(run: Way, take_up: Any) -> None:
    asked: list[Any] = []
    connector = run.task(lambda obj, eng: asked.append(obj) or [obj])
    definition = [RUN_WF(run.halts(), data_connector=connector)]
    engine = run.engine(definition)
    with pytest.raises(HaltProcessing):
        run.process(engine, [[]])
    take_up(engine, definition)
    assert len(asked) == 2


def test_definitions_halted_three_deep_go_on(run: Way, take_up: Any) -> None:
    halts = run.halts()

    def definition() -> list[Any]:
        innermost = [run.add("c"), halts, run.add("d")]
        return [RUN_WF([run.add("a"), RUN_WF([run.add("b"), RUN_WF(innermost)]), run.add("e")])]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == [*"abcde"]


def test_a_failed_definition_goes_on_at_the_task_that_failed(run: Way, take_up: Any) -> None:
    fails = run.fails()
    token = with_parts(2)

    def definition() -> list[Any]:
        return [RUN_WF([run.add("a"), fails, run.add("b")], data_connector=run.task(parts))]

    engine = run.engine(definition())
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    assert engine.state.callback_pos == [0]
    take_up(engine, definition())
    assert token == {"parts": [["a", "b"], ["a", "b"]]}


def test_a_definition_that_was_left_for_another_task_starts_afresh(run: Way) -> None:
    halts = run.halts()
    again = TASK_JUMP_IF(run.answers(True, False), -1)
    engine, token = run.engine([RUN_WF([run.add("a"), halts, run.add("b")]), again]), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    run.restart(engine, "current", "next")
    assert token == ["a", "a", "b"]


@pytest.mark.parametrize(
    "leave",
    [
        lambda obj, eng: eng.stop(),
        lambda obj, eng: eng.abort(),
        lambda obj, eng: eng.continue_next_token(),
        lambda obj, eng: eng.skip_token(),
        lambda obj, eng: eng.break_current_loop(9),
        lambda obj, eng: eng.jump_call(50),
        lambda obj, eng: eng.jump_token(9),
    ],
    ids=["stop", "abort", "next token", "skip token", "break", "jump", "jump token"],
)
def test_a_definition_that_is_left_leaves_the_run_around_it_alone(run: Way, leave: Any) -> None:
    inner = RUN_WF([run.add("in"), run.task(leave), run.add("skipped")])
    assert run.trace(inner, run.add("after")) == ["in", "after"]


def test_jumps_between_the_inner_tokens_stay_inside(run: Way) -> None:
    token = with_parts(3)
    back = IF(lambda obj, eng: eng.state.token_pos == 2 and len(obj) < 2, jump_token(-2))
    run.process(run.engine([RUN_WF([run.add("a"), back], run.task(parts))]), [token])
    assert token == {"parts": [["a", "a"]] * 3}


def jump_token(offset: int) -> Any:
    return lambda obj, eng: eng.jump_token(offset)


def test_a_definition_runs_in_every_turn_of_a_loop(run: Way) -> None:
    loop = FOR([1, 2], "item", RUN_WF([run.add_value(), run.add("in")]))
    assert run.trace(loop) == [1, "in", 2, "in"]


def test_a_definition_runs_inside_of_itself_until_a_counter_ends_it(run: Way) -> None:
    count = run.task(
        lambda obj, eng: eng.extra_data.update(depth=eng.extra_data.get("depth", 0) + 1)
    )

    def descend(obj: Any, eng: Any) -> Any:
        return RUN_WF(definition)(obj, eng)

    deeper = IF(CMP(ENG_GET("depth"), 20, "<"), descend)
    definition: list[Any] = [count, run.add_value("depth"), deeper, run.add("up")]
    assert run.trace(*definition) == [*range(1, 21), *["up"] * 20]


def test_the_inner_engine_knows_its_own_token_and_place(run: Way) -> None:
    seen: list[Any] = []

    def see(obj: Any, eng: Any) -> None:
        seen.append((eng.current_object is obj, eng.state.token_pos, eng.current_taskname))

    token = with_parts(2)
    run.process(run.engine([RUN_WF([EMPTY_CALL, see], run.task(parts))]), [token])
    assert seen == [(True, 0, "see"), (True, 1, "see")]


# The engine that runs it


def test_by_default_the_definition_is_a_part_of_the_same_run(run: Way) -> None:
    started: list[Any] = []
    engine = run.engine([RUN_WF(EMPTY_CALL)])

    def receive(sender: Any, **context: Any) -> None:
        started.append(sender)

    with signals.workflow_started.connected_to(receive):
        run.process(engine, [[]])
    assert started == [engine]


class Hooked(GenericWorkflowEngine):
    """An engine whose hooks tell what they are called for."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self.told = told

    @property
    def processing_factory(self) -> Any:
        told = self.told

        class Telling(ProcessingFactory):
            @staticmethod
            def before_processing(eng: Any, objects: Any) -> None:
                told.append(f"run of {len(objects)}")

            @staticmethod
            def before_object(eng: Any, objects: Any, obj: Any) -> None:
                told.append(f"token {eng.state.token_pos}")

        return Telling


def test_another_engine_has_hooks_and_signals_of_its_own(run: Way) -> None:
    told: list[str] = []
    inner = Hooked(told)
    token = with_parts(2)
    engine = run.engine([RUN_WF(run.add("in"), run.task(parts), engine=lambda: inner)])
    with received(signals.workflow_finished, inner) as finished:
        run.process(engine, [token])
    assert told == ["run of 2", "token 0", "token 1"]
    assert len(finished) == 1
    assert token == {"parts": [["in"], ["in"]]}


def test_another_engine_has_what_is_in_extra_data_and_gives_it_back(run: Way) -> None:
    inner = RUN_WF([run.add_value("x"), ENG_SET("y", 2)], engine=GenericWorkflowEngine)
    assert run.trace(ENG_SET("x", 1), inner, run.add_value("y")) == [1, 2]


def test_a_halt_in_another_engine_goes_on_where_it_was(run: Way, take_up: Any) -> None:
    halts = run.halts(when=lambda obj, eng: eng.state.token_pos == 1)
    token = with_parts()

    def definition() -> list[Any]:
        inner = [run.add("a"), ENG_SET("x", 1), halts, run.add_value("x")]
        return [RUN_WF(inner, run.task(parts), engine=GenericWorkflowEngine)]

    engine = run.engine(definition())
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == {"parts": [["a", 1]] * 3}


def test_an_error_in_another_engine_is_signalled_by_it_and_by_the_one_around_it(run: Way) -> None:
    other = GenericWorkflowEngine()
    engine = run.engine([RUN_WF(run.fails(), engine=lambda: other)])
    with (
        received(signals.workflow_error, other) as inside,
        received(signals.workflow_error, engine) as outside,
        pytest.raises(ValueError, match="broken") as caught,
    ):
        run.process(engine, [[]])
    assert [context["error"] for context in (*inside, *outside)] == [caught.value] * 2


def test_a_run_whose_first_hook_failed_can_be_taken_up(run: Way, take_up: Any) -> None:
    errors = [ValueError("broken")]

    class Failing(GenericWorkflowEngine):
        class processing_factory(ProcessingFactory):  # noqa: N801 - it is the attribute
            @staticmethod
            def before_processing(eng: Any, objects: Any) -> None:
                while errors:
                    raise errors.pop()

    definition = [RUN_WF(run.add("in"), engine=Failing)]
    engine, token = run.engine(definition), []
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    take_up(engine, definition)
    assert token == ["in"]


def test_a_definition_in_a_loop_leaves_its_turns_to_other_asyncio_tasks() -> None:
    """The loop ends only because another asyncio task has its turn meanwhile."""
    run, ended = Way(True, True), []

    async def others(engine: Any) -> None:
        running = asyncio.create_task(engine.process_async([[]]))
        for _ in range(20):
            await asyncio.sleep(0)
        ended.append(True)
        await running

    engine = run.engine([WHILE(lambda obj, eng: not ended, RUN_WF(run.add("turn")))])
    asyncio.run(others(engine))
    assert engine.has_completed


# Bad arguments


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: RUN_WF(5), r"RUN_WF's workflow: 5 \(int\) at \[0\]"),
        (lambda: RUN_WF([add("a"), "b"]), r"RUN_WF's workflow: 'b' \(str\) at \[1\]"),
        (lambda: RUN_WF(add("a"), 5), "RUN_WF's data_connector .*not 5"),
        (lambda: RUN_WF(add("a"), []), r"RUN_WF's data_connector .*not \[\]"),
        (lambda: RUN_WF(add("a"), lambda obj: []), "RUN_WF's data_connector cannot be called"),
        (lambda: RUN_WF(add("a"), engine=5), "RUN_WF's engine .*5"),
        (
            lambda: RUN_WF(add("a"), engine=GenericWorkflowEngine()),
            "RUN_WF's engine .*GenericWorkflowEngine",
        ),
    ],
)
def test_run_wf_says_which_part_is_wrong(build: Any, problem: str) -> None:
    with pytest.raises(WorkflowDefinitionError, match=problem):
        build()
