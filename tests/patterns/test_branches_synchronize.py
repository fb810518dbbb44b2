"""SYNCHRONIZE."""

import asyncio
import contextvars
import signal
import threading
from collections import Counter
from functools import partial
from typing import Any

import pytest

from wfengine import (
    GenericWorkflowEngine,
    HaltProcessing,
    WorkflowDefinitionError,
    WorkflowError,
    signals,
)
from wfengine.patterns import (
    CALLFUNC,
    CHOICE,
    CMP,
    COUNT,
    EMPTY_CALL,
    ENG_SET,
    ERROR,
    FOR,
    IF,
    IF_ELSE,
    IF_NOT,
    OBJ_SET,
    PARALLEL_SPLIT,
    PROFILE,
    RUN_WF,
    SIMPLE_MERGE,
    SYNCHRONIZE,
    TASK_JUMP_IF,
    TRY,
    WHILE,
)

from .support import PATIENCE, Way, add, received

who = contextvars.ContextVar("who", default="nobody")


# Every branch once, together, then the last


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_branch_runs_exactly_once_and_then_the_last(run: Way, count: int) -> None:
    branches = [run.add(number) for number in range(count)]
    token = run.trace(SYNCHRONIZE(*branches, run.add("last")), run.add("after"))
    assert sorted(token[:count]) == [*range(count)]
    assert token[count:] == ["last", "after"]


def test_the_branches_run_concurrently(run: Way) -> None:
    meeting = run.meeting(3)
    branches = [[meeting, run.add(name)] for name in "abc"]
    token = run.trace(SYNCHRONIZE(*branches, run.add("last")))
    assert Counter(token) == Counter(["a", "b", "c", "last"])
    assert token[-1] == "last"


@pytest.mark.parametrize("is_async", [False, True], ids=["process", "process_async"])
def test_tasks_and_coroutines_run_concurrently_with_each_other(is_async: bool) -> None:
    barrier = threading.Barrier(4, timeout=PATIENCE)

    def meet(obj: Any, eng: Any) -> None:
        barrier.wait()
        obj.append("task")

    async def meet_async(obj: Any, eng: Any) -> None:
        await asyncio.to_thread(barrier.wait)
        obj.append("coroutine")

    branches = [meet, meet_async, [meet], [meet_async]]
    token = Way(is_async, False).trace(SYNCHRONIZE(*branches, EMPTY_CALL))
    assert sorted(token) == ["coroutine", "coroutine", "task", "task"]


def test_the_last_runs_when_every_branch_has_ended(run: Way) -> None:
    waits, opens = run.gate()
    slow, quick = [waits, run.add("slow")], [run.add("quick"), opens]
    assert run.trace(SYNCHRONIZE(slow, quick, run.add("last"))) == ["quick", "slow", "last"]


def test_every_token_has_its_branches_run(run: Way) -> None:
    tokens: list[list[str]] = [[], [], []]
    run.process(run.engine([SYNCHRONIZE(run.add("a"), run.add("b"), run.add("last"))]), tokens)
    assert [(sorted(token[:2]), token[2:]) for token in tokens] == [(["a", "b"], ["last"])] * 3


def test_the_branches_share_the_token_and_a_lock_with_the_caller(run: Way) -> None:
    seen: list[Any] = []
    see = run.task(lambda obj, eng: seen.append((obj, eng.extra_data["lock"])))
    engine = run.engine([SYNCHRONIZE(see, [see], see), see])
    run.process(engine, [token := []])
    assert len(seen) == 4
    assert all(obj is token and lock is engine.extra_data["lock"] for obj, lock in seen)


def test_each_branch_has_an_engine_and_a_position_of_its_own(run: Way) -> None:
    seen: list[Any] = []
    see = run.task(lambda obj, eng: seen.append((eng, [*eng.state.callback_pos])))
    run.trace(EMPTY_CALL, SYNCHRONIZE([EMPTY_CALL, see], [[EMPTY_CALL, see]], see))
    engines = [engine for engine, _ in seen]
    assert len({id(engine) for engine in engines}) == 3
    assert sorted(position for _, position in seen) == [[0, 1], [1], [1, 1]]


def test_context_variables_are_visible_in_branches(run: Way) -> None:
    see = run.task(lambda obj, eng: obj.append(who.get()))
    reset = who.set("me")
    try:
        assert run.trace(SYNCHRONIZE(see, [see], EMPTY_CALL)) == ["me", "me"]
    finally:
        who.reset(reset)


def test_synchronizations_nest(run: Way) -> None:
    meeting = run.meeting(3)
    inner = SYNCHRONIZE([meeting, run.add("a")], [meeting, run.add("b")], run.add("inner"))
    token = run.trace(SYNCHRONIZE(inner, [meeting, run.add("c")], run.add("last")))
    assert sorted(token[:-1]) == ["a", "b", "c", "inner"]
    assert token[-1] == "last"


def test_a_jump_back_from_the_last_runs_the_branches_again(run: Way) -> None:
    again = TASK_JUMP_IF(run.answers(True, False), -1)
    assert run.trace(SYNCHRONIZE(run.add("a"), again), run.add("after")) == ["a", "a", "after"]


def test_the_branches_run_again_in_every_turn_of_a_loop(run: Way) -> None:
    loop = FOR([1, 2], "item", SYNCHRONIZE(run.add_value(), run.add_value(), run.add("last")))
    assert run.trace(loop) == [1, 1, "last", 2, 2, "last"]


@pytest.mark.parametrize(
    "leave",
    [
        lambda obj, eng: eng.stop(),
        lambda obj, eng: eng.continue_next_token(),
        lambda obj, eng: eng.break_current_loop(),
        lambda obj, eng: eng.jump_token(1),
    ],
    ids=["stop", "next token", "break", "jump token"],
)
def test_a_branch_that_is_left_ends_only_itself(run: Way, leave: Any) -> None:
    branch = [run.add("in"), run.task(leave), run.add("skipped")]
    assert run.trace(SYNCHRONIZE(branch, EMPTY_CALL, run.add("last"))) == ["in", "last"]


# Where branches run


def loops_of(*branches: Any) -> tuple[Any, list[Any]]:
    """Return the event loop of a run, and those that ``see_loop`` saw in branches of it."""
    engine = GenericWorkflowEngine()
    engine.callbacks.replace([SYNCHRONIZE(*branches, EMPTY_CALL)])
    token: dict[str, Any] = {"loops": [], "halted": False}

    async def caller() -> Any:
        await engine.process_async([token])
        return asyncio.get_running_loop()

    return asyncio.run(caller()), token["loops"]


async def see_loop(obj: Any, eng: Any) -> Any:
    await asyncio.sleep(0)
    obj["loops"].append(asyncio.get_running_loop())


class SeeLoop:
    async def __call__(self, obj: Any, eng: Any) -> Any:
        await see_loop(obj, eng)


WITH_COROUTINES = {
    "task": see_loop,
    "partial": partial(see_loop),
    "callable object": SeeLoop(),
    "nested list": [EMPTY_CALL, [[see_loop]]],
    "IF": IF(lambda obj, eng: True, see_loop),
    "condition of IF": IF(see_loop, EMPTY_CALL),
    "condition of IF_NOT": IF_NOT(see_loop, EMPTY_CALL),
    "condition of IF_ELSE": IF_ELSE(see_loop, EMPTY_CALL, EMPTY_CALL),
    "condition of WHILE": WHILE(see_loop, EMPTY_CALL),
    "condition of TASK_JUMP_IF": TASK_JUMP_IF(see_loop, 1),
    "operand of CMP": IF(CMP(1, see_loop, "=="), EMPTY_CALL),
    "arbiter of CHOICE": CHOICE(see_loop, default=EMPTY_CALL),
    "branch of CHOICE": CHOICE(lambda obj, eng: 1, (1, see_loop)),
    "FOR": FOR([1], None, see_loop),
    "SIMPLE_MERGE": SIMPLE_MERGE(EMPTY_CALL, see_loop),
    "TRY": TRY(see_loop),
    "TRY of a list": TRY([EMPTY_CALL, [see_loop]]),
    "onfailure of TRY": TRY(ERROR(), retry=0, onfailure=see_loop),
    "RUN_WF": RUN_WF(see_loop),
    "PROFILE": PROFILE(see_loop),
    "SYNCHRONIZE": SYNCHRONIZE(see_loop, EMPTY_CALL),
    "PARALLEL_SPLIT": PARALLEL_SPLIT(see_loop, wait=True),
    "value of ENG_SET": ENG_SET("x", see_loop),
    "value of OBJ_SET": OBJ_SET("x", see_loop),
    "name of COUNT": COUNT(see_loop),
    "operand of CALLFUNC": CALLFUNC(lambda found: found, oeargs=[see_loop]),
}


@pytest.mark.parametrize("branch", WITH_COROUTINES.values(), ids=WITH_COROUTINES.keys())
def test_a_branch_with_a_coroutine_function_runs_in_the_callers_loop(branch: Any) -> None:
    loop, seen = loops_of(branch, EMPTY_CALL)
    assert seen == [loop]


def test_other_parts_that_are_coroutine_functions_run_in_the_callers_loop() -> None:
    async def source(obj: Any, eng: Any) -> Any:
        await see_loop(obj, eng)
        return [1]

    async def put(obj: Any, eng: Any, item: Any) -> None:
        await see_loop(obj, eng)

    async def tokens(obj: Any, eng: Any) -> Any:
        await see_loop(obj, eng)
        return []

    async def function() -> None:
        loops.append(asyncio.get_running_loop())

    loops: list[Any] = []
    loop, seen = loops_of(
        FOR(source, None, []),
        FOR([1], put, []),
        RUN_WF(EMPTY_CALL, data_connector=tokens),
        CALLFUNC(function),
    )
    assert seen + loops == [loop] * 4


def test_a_branch_of_plain_tasks_does_not_run_in_the_callers_loop() -> None:
    def see_no_loop(obj: Any, eng: Any) -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        obj["loops"].append(None)

    assert loops_of(see_no_loop, [see_no_loop])[1] == [None, None]


# extra_data


def test_what_the_branches_put_into_extra_data_is_there_afterwards(run: Way) -> None:
    seen = run.extra_data(SYNCHRONIZE(ENG_SET("a", 1), [ENG_SET("b", 2)], ENG_SET("c", 3)))
    assert {key: seen[key] for key in "abc"} == {"a": 1, "b": 2, "c": 3}


def test_a_branch_has_what_is_in_extra_data_and_not_what_the_others_put_there(run: Way) -> None:
    waits, opens = run.gate()
    see = run.task(lambda obj, eng: obj.append({key: eng.extra_data.get(key) for key in "xy"}))
    branches = [ENG_SET("x", "changed"), ENG_SET("y", 1), opens], [waits, see]
    assert run.trace(ENG_SET("x", "given"), SYNCHRONIZE(*branches, see)) == [
        {"x": "given", "y": None},
        {"x": "changed", "y": 1},
    ]


def test_of_branches_that_wrote_the_same_key_the_later_one_counts(run: Way) -> None:
    """The later one in the definition, although the earlier one wrote last."""
    waits, opens = run.gate()
    earlier, later = [waits, ENG_SET("x", "earlier")], [ENG_SET("x", "later"), opens]
    assert run.trace(SYNCHRONIZE(earlier, later, EMPTY_CALL), run.add_value("x")) == ["later"]


@pytest.mark.parametrize(
    "write",
    [
        lambda data: data.__setitem__("x", data["x"]),
        lambda data: data.update(x=data["x"]),
        lambda data: data.update([("x", data["x"])]),
        lambda data: data.setdefault("x", data.pop("x")),
        lambda data: data.__ior__({"x": data["x"]}),
    ],
    ids=["item", "update", "update by pairs", "setdefault", "update by operator"],
)
def test_a_later_branch_that_wrote_what_was_there_before_counts(run: Way, write: Any) -> None:
    branches = ENG_SET("x", "changed"), run.task(lambda obj, eng: write(eng.extra_data))
    assert run.trace(
        ENG_SET("x", "given"), SYNCHRONIZE(*branches, EMPTY_CALL), run.add_value("x")
    ) == ["given"]


def test_a_later_branch_that_only_asked_for_a_key_does_not_count(run: Way) -> None:
    asks = run.task(lambda obj, eng: obj.append(eng.extra_data.setdefault("x", "mine")))
    branches = ENG_SET("x", "changed"), asks
    assert run.trace(
        ENG_SET("x", "given"), SYNCHRONIZE(*branches, EMPTY_CALL), run.add_value("x")
    ) == ["given", "changed"]


def test_a_branch_may_have_put_another_dictionary_in_place_of_extra_data(run: Way) -> None:
    def replace(obj: Any, eng: Any) -> None:
        eng.extra_data = {**eng.extra_data, "y": "new"}

    branches = ENG_SET("x", "changed"), run.task(replace)
    see = run.add_value("x"), run.add_value("y")
    assert run.trace(ENG_SET("x", "given"), SYNCHRONIZE(*branches, see)) == ["changed", "new"]


def test_what_a_branch_wrote_before_a_halt_counts_as_if_it_had_not_halted(
    run: Way, take_up: Any
) -> None:
    halts = run.halts()

    def definition() -> list[Any]:
        branches = ENG_SET("x", "changed"), [ENG_SET("x", "given"), halts]
        return [ENG_SET("x", "given"), SYNCHRONIZE(*branches, run.add_value("x"))]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == ["given"]


def test_a_later_branch_that_did_not_write_a_key_does_not_count(run: Way) -> None:
    branches = ENG_SET("x", "changed"), EMPTY_CALL
    assert run.trace(
        ENG_SET("x", "given"), SYNCHRONIZE(*branches, EMPTY_CALL), run.add_value("x")
    ) == ["changed"]


# Failures


def test_the_exception_of_a_failing_branch_reaches_the_caller(run: Way) -> None:
    error = ValueError("broken")
    branches = [run.add("a"), [run.fails(error=error), run.add("skipped")]]
    engine = run.engine([EMPTY_CALL, SYNCHRONIZE(*branches, add("skipped")), add("skipped")])
    with pytest.raises(ValueError, match="broken") as caught:
        run.process(engine, tokens := [[]])
    assert caught.value is error
    assert tokens == [["a"]]
    assert engine.state.callback_pos == [1, 0]


def test_several_exceptions_reach_the_caller_together(run: Way) -> None:
    errors = [ValueError("a"), KeyError("b"), WorkflowError("c")]
    branches = [run.fails(error=error) for error in errors]
    with pytest.raises(ExceptionGroup) as caught:
        run.process(run.engine([SYNCHRONIZE(*branches, EMPTY_CALL, EMPTY_CALL)]), [[]])
    assert [*caught.value.exceptions] == errors


def test_a_failing_branch_does_not_stop_the_others(run: Way) -> None:
    waits, opens = run.gate()
    fails = IF(run.task(lambda obj, eng: True), run.fails())
    slow = [waits, run.add("slow")]
    engine = run.engine([SYNCHRONIZE([opens, fails], slow, add("skipped"))])
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, tokens := [[]])
    assert tokens == [["slow"]]


def test_exceptions_of_nested_branches_reach_the_caller(run: Way) -> None:
    inner = SYNCHRONIZE(ERROR("a"), ERROR("b"), EMPTY_CALL)
    with pytest.raises(ExceptionGroup) as caught:
        run.process(run.engine([SYNCHRONIZE(inner, ERROR("c"), EMPTY_CALL)]), [[]])
    assert caught.value.subgroup(lambda error: str(error) in "abc") is not None
    assert len(caught.value.exceptions) == 2


def test_a_failure_is_signalled_once_by_the_caller(run: Way) -> None:
    engine = run.engine([SYNCHRONIZE(run.fails(), EMPTY_CALL, EMPTY_CALL)])
    with received(signals.workflow_error, engine) as told:
        run.process(engine, [[]], stop_on_error=False)
    assert [repr(context["error"]) for context in told] == ["ValueError('broken')"]


def test_an_exit_in_a_branch_reaches_the_caller() -> None:
    def leave(obj: Any, eng: Any) -> None:
        raise SystemExit(3)

    run = Way(False, False)
    with pytest.raises(SystemExit) as caught:
        run.process(run.engine([SYNCHRONIZE(leave, ERROR(), EMPTY_CALL)]), [[]])
    assert caught.value.code == 3


def test_branches_that_ended_are_not_run_again_after_an_error(run: Way, take_up: Any) -> None:
    fails, fails_too = run.fails(), run.fails()

    def definition() -> list[Any]:
        mended = [run.add("b"), fails, run.add("c")]
        mended_too = [fails_too, run.add("d")]
        return [SYNCHRONIZE(run.add("a"), mended, mended_too, run.add("last")), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(ExceptionGroup):
        run.process(engine, [token])
    assert sorted(token) == ["a", "b"]
    take_up(engine, definition())
    assert sorted(token[2:4]) == ["c", "d"]
    assert token[4:] == ["last", "after"]


# Halts


def test_a_halt_in_a_branch_is_raised_when_all_have_ended(run: Way) -> None:
    waits, opens = run.gate()
    engine = run.engine([SYNCHRONIZE([opens, run.halts()], [waits, run.add("b")], add("skipped"))])
    with pytest.raises(HaltProcessing) as caught:
        run.process(engine, tokens := [[]])
    assert (caught.value.message, caught.value.action) == ("decide", "ask")
    assert tokens == [["b"]]


def test_a_failure_is_raised_rather_than_a_halt(run: Way) -> None:
    engine = run.engine([SYNCHRONIZE(run.halts(), ERROR("broken"), EMPTY_CALL)])
    with pytest.raises(WorkflowError, match="broken"):
        run.process(engine, [[]])


def test_branches_that_ended_are_not_run_again_after_a_halt(run: Way, take_up: Any) -> None:
    halts = run.halts()

    def definition() -> list[Any]:
        halted = [run.add("b"), [halts, run.add("c")]]
        return [SYNCHRONIZE([run.add("a")], halted, run.add("last")), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert sorted(token[:2]) == ["a", "b"]
    assert token[2:] == ["c", "last", "after"]


def test_several_halted_branches_all_go_on_where_they_stood(run: Way, take_up: Any) -> None:
    halts = [run.halts() for _ in range(3)]

    def definition() -> list[Any]:
        branches = [[run.add(-n), halts[n], run.add(n)] for n in range(3)]
        return [SYNCHRONIZE(*branches, run.add("last"))]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert sorted(token[3:6]) == [0, 1, 2]
    assert token[6:] == ["last"]


def test_a_branch_that_halts_twice_goes_on_twice(run: Way, take_up: Any) -> None:
    halts = run.halts(), run.halts()

    def definition() -> list[Any]:
        halted = [halts[0], run.add("b"), halts[1], run.add("c")]
        return [SYNCHRONIZE(run.add("a"), halted, run.add("last"))]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    with pytest.raises(HaltProcessing):
        take_up(engine, definition())
    take_up(take_up.engine, definition())
    assert token == ["a", "b", "c", "last"]


def test_halted_branches_each_go_on_with_their_own_item(run: Way, take_up: Any) -> None:
    """Both loops keep their item under the same key, each in its own branch."""
    halts = run.halts_at(2), run.halts_at("y")
    seen: dict[str, list[Any]] = {"numbers": [], "letters": []}

    def definition() -> list[Any]:
        def put(name: str) -> Any:
            return run.task(lambda obj, eng: seen[name].append(eng.extra_data["item"]))

        numbers = FOR([1, 2, 3], "item", [halts[0], put("numbers")])
        letters = FOR("xyz", "item", [halts[1], put("letters")])
        return [SYNCHRONIZE(numbers, letters, EMPTY_CALL)]

    engine = run.engine(definition())
    with pytest.raises(HaltProcessing):
        run.process(engine, [[]])
    take_up(engine, definition())
    assert seen == {"numbers": [1, 2, 3], "letters": ["x", "y", "z"]}


def test_what_branches_wrote_before_a_halt_is_there_after_it(run: Way, take_up: Any) -> None:
    halts = run.halts()

    def definition() -> list[Any]:
        halted = [ENG_SET("b", 2), halts, run.add_value("b")]
        last = [run.add_value("a"), run.add_value("b")]
        return [SYNCHRONIZE(ENG_SET("a", 1), halted, last)]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == [2, 1, 2]


def test_after_a_halt_the_next_task_is_the_last(run: Way) -> None:
    engine = run.engine([SYNCHRONIZE([run.halts(), add("skipped")], EMPTY_CALL, run.add("last"))])
    with pytest.raises(HaltProcessing):
        run.process(engine, tokens := [[]])
    run.restart(engine, "current", "next")
    assert tokens == [["last"]]


def test_the_branches_of_the_next_token_start_afresh_after_a_halt(run: Way) -> None:
    halted = [run.add("a"), run.halts(), run.add("b")]
    engine = run.engine([SYNCHRONIZE(halted, run.add("c"), run.add("last"))])
    tokens: list[list[str]] = [[], []]
    with pytest.raises(HaltProcessing):
        run.process(engine, tokens)
    run.restart(engine, "next", "first")
    assert sorted(tokens[1]) == ["a", "b", "c", "last"]


def test_with_stop_on_halt_off_the_next_token_is_gone_on_with(run: Way) -> None:
    tokens: list[list[str]] = [[], []]
    engine = run.engine([SYNCHRONIZE(run.halts(), EMPTY_CALL, run.add("last"))])
    run.process(engine, tokens, stop_on_halt=False)
    assert tokens == [[], ["last"]]


# Timeouts


def timed_out(run: Way, engine: Any, token: Any) -> WorkflowError:
    with pytest.raises(WorkflowError) as caught:
        run.process(engine, [token])
    return caught.value


def test_a_timeout_names_the_branches_that_did_not_finish(run: Way, threads: Any) -> None:
    waits, opens = run.gate()
    branches = [waits, run.add("done"), [EMPTY_CALL, waits]]
    engine = run.engine([SYNCHRONIZE(*branches, add("skipped"), timeout=0.3), add("skipped")])
    error = timed_out(run, engine, token := [])
    let_go(run, opens, threads)
    names = error.payload["unfinished"]
    assert [name[0] for name in names] == ["0", "2"]
    assert all(name in error.message for name in names)
    assert "SYNCHRONIZE" in error.message
    assert "0.3 s" in error.message
    assert token == ["done"]


def let_go(run: Way, opens: Any, threads: Any) -> None:
    """Open a gate after the run; coroutines were cancelled where they waited."""
    if not run.in_one_loop:
        asyncio.run(opens(None, None)) if run.of_coroutines else opens(None, None)
    threads.join()


def test_a_branch_that_timed_out_does_not_start_its_next_task(run: Way, threads: Any) -> None:
    waits, opens = run.gate()
    engine = run.engine([SYNCHRONIZE([waits, run.add("late")], EMPTY_CALL, timeout=0.05)])
    timed_out(run, engine, token := [])
    let_go(run, opens, threads)
    assert token == []


def test_a_loop_that_timed_out_does_not_ask_again(run: Way, threads: Any) -> None:
    waits, opens = run.gate()
    asks = run.task(lambda obj, eng: obj.append("asked") or True)
    engine = run.engine([SYNCHRONIZE(WHILE(asks, waits), EMPTY_CALL, timeout=0.3)])
    timed_out(run, engine, token := [])
    let_go(run, opens, threads)
    assert token == ["asked"]


def test_a_for_that_timed_out_does_not_take_the_next_item(run: Way, threads: Any) -> None:
    waits, opens = run.gate()
    put = run.task(lambda obj, eng, item: obj.append(item))
    engine = run.engine([SYNCHRONIZE(FOR([1, 2], put, waits), EMPTY_CALL, timeout=0.3)])
    timed_out(run, engine, token := [])
    let_go(run, opens, threads)
    assert token == [1]


@pytest.mark.parametrize("kind", ["IF", "TRY", "RUN_WF", "SYNCHRONIZE"])
def test_what_follows_a_pattern_that_timed_out_is_not_started(
    run: Way, threads: Any, kind: str
) -> None:
    waits, opens = run.gate()
    holding = {
        "IF": lambda: IF(lambda obj, eng: True, waits),
        "TRY": lambda: TRY(waits),
        "RUN_WF": lambda: RUN_WF([waits, run.add("late")]),
        "SYNCHRONIZE": lambda: SYNCHRONIZE([waits, run.add("late")], EMPTY_CALL),
    }[kind]()
    engine = run.engine([SYNCHRONIZE([holding, run.add("late")], EMPTY_CALL, timeout=0.05)])
    timed_out(run, engine, token := [])
    let_go(run, opens, threads)
    assert token == []


def test_after_a_timeout_only_the_unfinished_branches_go_on(run: Way, threads: Any) -> None:
    is_open = threading.Event()
    waits, opens = run.gate()

    def slow(obj: Any, eng: Any) -> Any:
        return None if is_open.is_set() else waits(obj, eng)

    branch = [run.add("a"), slow, run.add("b")]
    definition = [SYNCHRONIZE(branch, run.add("c"), run.add("last"), timeout=0.3), run.add("after")]
    engine = run.engine(definition)
    timed_out(run, engine, token := [])
    is_open.set()
    let_go(run, opens, threads)
    assert sorted(token) == ["a", "c"]
    run.restart(engine, "current", "current")
    assert token[2:] == ["b", "last", "after"]


def test_a_failure_comes_with_a_timeout(run: Way, threads: Any) -> None:
    waits, opens = run.gate()
    engine = run.engine([SYNCHRONIZE(waits, ERROR("broken"), EMPTY_CALL, timeout=0.3)])
    with pytest.raises(ExceptionGroup) as caught:
        run.process(engine, [[]])
    let_go(run, opens, threads)
    assert any(str(error) == "broken" for error in caught.value.exceptions)
    assert any("not ended" in str(error) for error in caught.value.exceptions)


def test_a_timeout_that_is_not_reached_changes_nothing(run: Way) -> None:
    branches = run.add("a"), EMPTY_CALL
    assert run.trace(SYNCHRONIZE(*branches, run.add("last"), timeout=PATIENCE)) == ["a", "last"]


# Interrupted from outside


def interrupted(engine: GenericWorkflowEngine, token: Any) -> None:
    """Process a token until somebody presses Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.process([token])
    finally:
        signal.signal(signal.SIGINT, before)


async def cancelled(engine: GenericWorkflowEngine, token: Any, started: threading.Event) -> None:
    """Process a token until the run is cancelled, once a branch has started."""
    running = asyncio.create_task(engine.process_async([token]))
    await asyncio.to_thread(started.wait, PATIENCE)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_an_interrupt_stops_the_branches_and_they_can_be_taken_up(threads: Any) -> None:
    run, presses = Way(False, False), [signal.SIGINT]
    waits, opens = run.gate()
    waits_for_other, opens_for_other = run.gate()

    def interrupt(obj: Any, eng: Any) -> None:
        while presses:
            threading.Event().wait(0.3)  # until the caller waits for its branches
            signal.pthread_kill(threading.main_thread().ident, presses.pop())
            waits(obj, eng)

    branch = [waits_for_other, run.add("a"), interrupt, run.add("b")]
    other = [run.add("c"), opens_for_other]
    engine = run.engine([SYNCHRONIZE(branch, other, run.add("last"))])
    interrupted(engine, token := [])
    let_go(run, opens, threads)
    assert sorted(token) == ["a", "c"]
    run.restart(engine, "current", "current")
    assert token[2:] == ["b", "last"]


@pytest.mark.parametrize("of_coroutines", [False, True])
def test_a_run_that_is_cancelled_stops_its_branches_and_can_be_taken_up(
    threads: Any, of_coroutines: bool
) -> None:
    run, is_open = Way(True, of_coroutines), threading.Event()
    waits, opens = run.gate()
    waits_for_other, opens_for_other = run.gate()
    started = threading.Event()

    def slow(obj: Any, eng: Any) -> Any:
        return None if is_open.is_set() else waits(obj, eng)

    begin = run.task(lambda obj, eng: started.set())
    branch = [waits_for_other, run.add("a"), begin, slow, run.add("b")]
    other = [run.add("c"), opens_for_other]
    engine = run.engine([SYNCHRONIZE(other, branch, run.add("last"))])
    asyncio.run(cancelled(engine, token := [], started))
    is_open.set()
    let_go(run, opens, threads)
    assert sorted(token) == ["a", "c"]
    run.restart(engine, "current", "current")
    assert token[2:] == ["b", "last"]


def test_a_branch_that_is_cancelled_from_inside_is_a_failure() -> None:
    async def cancel(obj: Any, eng: Any) -> None:
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    run = Way(True, True)
    engine = run.engine([SYNCHRONIZE(cancel, run.add("a"), add("skipped"))])
    with pytest.raises(WorkflowError, match="cancelled"):
        run.process(engine, tokens := [[]])
    assert tokens == [["a"]]


# Bad arguments


@pytest.mark.parametrize("branches", [(), (add("a"),)], ids=len)
def test_synchronize_needs_a_branch_and_a_last(branches: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match="SYNCHRONIZE takes at least two branches"):
        SYNCHRONIZE(*branches)


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: SYNCHRONIZE(add("a"), 5, add("b")), r"SYNCHRONIZE's branch 1: 5 \(int\)"),
        (lambda: SYNCHRONIZE(add("a"), 5), r"SYNCHRONIZE's last branch: 5 \(int\)"),
        (lambda: SYNCHRONIZE(add("a"), add("b"), timeout="1"), "SYNCHRONIZE's timeout .*'1'"),
        (lambda: SYNCHRONIZE(add("a"), add("b"), timeout=-1), "SYNCHRONIZE's timeout .*-1"),
        (lambda: SYNCHRONIZE(add("a"), add("b"), timeout=[1]), r"SYNCHRONIZE's timeout .*\[1\]"),
    ],
)
def test_synchronize_says_which_part_is_wrong(build: Any, problem: str) -> None:
    with pytest.raises(WorkflowDefinitionError, match=problem):
        build()
