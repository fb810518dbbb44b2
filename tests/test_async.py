"""Awaiting: one interpreter serves callers with an event loop and callers without one."""

import asyncio
import gc

import pytest

from wfengine import signals
from wfengine.engine import (
    ActionMapper,
    GenericWorkflowEngine,
    MachineState,
    ProcessingFactory,
    TransitionActions,
)
from wfengine.errors import (
    HaltProcessing,
    JumpCall,
    SkipToken,
    StopProcessing,
    WorkflowAPIError,
    WorkflowError,
)


def mark(name):
    """Return a task that appends its name to the token, a list."""

    def task(obj, eng):
        obj.append(name)

    task.__name__ = name
    return task


def mark_later(name):
    """Return a task that does so after a turn of the event loop."""

    async def task(obj, eng):
        await asyncio.sleep(0)
        obj.append(name)

    task.__name__ = name
    return task


def engine_for(*definition, engine_class=GenericWorkflowEngine):
    eng = engine_class()
    eng.callbacks.replace(definition)
    return eng


def process(eng, *args, **kwargs):
    eng.process(*args, **kwargs)


def process_async(eng, *args, **kwargs):
    asyncio.run(eng.process_async(*args, **kwargs))


both_ways = pytest.mark.parametrize("process", [process, process_async])


@both_ways
def test_coroutine_tasks_are_awaited_one_after_the_other(process):
    tokens = [[], []]
    eng = engine_for(mark("a"), mark_later("b"), [mark_later("c"), mark("d")])
    process(eng, tokens)
    assert tokens == [["a", "b", "c", "d"]] * 2
    assert eng.state == MachineState(1, [3])
    assert eng.has_completed


class Awaitable:
    """Something that is awaited and is no coroutine."""

    def __init__(self, value):
        self.value = value

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return self.value


@both_ways
@pytest.mark.parametrize(
    "value", [None, "ignored", JumpCall(1), Awaitable(None), Awaitable(JumpCall(1))]
)
def test_any_awaitable_that_a_task_returns_is_awaited(process, value):
    token = []
    process(engine_for(lambda obj, eng: Awaitable(value), mark("a")), [token])
    assert token == ["a"]


@both_ways
def test_a_coroutine_steers_by_value_and_by_exception(process):
    async def returns(obj, eng):
        return JumpCall(2)

    async def raises(obj, eng):
        eng.jump_call(2)

    token = []
    process(engine_for(returns, mark("a"), raises, mark("b"), mark("c")), [token])
    assert token == ["c"]


@both_ways
@pytest.mark.parametrize(("steer", "rest"), [(StopProcessing, []), (SkipToken, ["a"])])
def test_a_coroutine_steers_the_run(process, steer, rest):
    async def steers(obj, eng):
        await asyncio.sleep(0)
        if eng.state.token_pos == 0:
            raise steer

    tokens = [[], []]
    process(engine_for(steers, mark("a")), tokens)
    assert tokens == [[], rest]


@both_ways
def test_a_halt_in_a_coroutine_keeps_the_position(process):
    async def halt(obj, eng):
        await asyncio.sleep(0)
        eng.halt("wait")

    eng = engine_for(mark("a"), [mark_later("b"), halt])
    with pytest.raises(HaltProcessing, match="wait"):
        process(eng, [[]])
    assert eng.state == MachineState(0, [1, 1])
    assert not eng.has_completed


@both_ways
def test_an_exception_in_a_coroutine_keeps_its_traceback_and_says_its_position(process):
    async def fail(obj, eng):
        await asyncio.sleep(0)
        raise LookupError("not found")

    with pytest.raises(LookupError, match="not found") as caught:
        process(engine_for([fail]), [[]])
    assert caught.traceback[-1].frame.code.raw is fail.__code__
    assert caught.value.__notes__ == ["wfengine: at token 0, task 'fail' at [0, 0]"]


@both_ways
def test_a_transition_swallowed_in_a_coroutine_is_found_out(process):
    async def careless(obj, eng):
        await asyncio.sleep(0)
        try:
            eng.halt("unseen")
        except Exception:  # noqa: BLE001 - this is the carelessness
            obj.append("swallowed")

    with pytest.raises(WorkflowError, match="task 'careless' at"):
        process(engine_for(careless), [[]])


@both_ways
def test_stop_on_error_and_stop_on_halt_mean_the_same(process):
    async def fail_or_halt(obj, eng):
        if obj:
            raise LookupError(obj)
        eng.halt()

    tokens = [[], ["x"], []]
    eng = engine_for(fail_or_halt)
    process(eng, tokens, stop_on_error=False, stop_on_halt=False)
    assert eng.state.token_pos == 2
    with pytest.raises(HaltProcessing):
        process(eng, tokens, stop_on_error=False)
    with pytest.raises(LookupError):
        process(eng, tokens, stop_on_halt=False)


@both_ways
def test_ten_thousand_nested_lists_run(process):
    token, definition = [], [mark_later("deep")]
    for _ in range(9_999):
        definition = [definition]
    process(engine_for(*definition), [token])
    assert token == ["deep"]


# Hooks


def later(name):
    async def hook(*args):
        await asyncio.sleep(0)
        args[0].extra_data.setdefault("trace", []).append(name)

    return staticmethod(hook)


class Mapper(ActionMapper):
    before_callbacks = later("before_callbacks")
    after_callbacks = later("after_callbacks")
    before_each_callback = later("before_each_callback")
    after_each_callback = later("after_each_callback")


class Handlers(TransitionActions):
    @staticmethod
    async def Exception(obj, eng, callbacks, e):
        await asyncio.sleep(0)
        eng.extra_data["trace"].append("handled")


class Factory(ProcessingFactory):
    action_mapper = Mapper
    transition_exception_mapper = Handlers
    before_processing = later("before_processing")
    after_processing = later("after_processing")
    before_object = later("before_object")
    after_object = later("after_object")


class Hooked(GenericWorkflowEngine):
    processing_factory = Factory


@both_ways
def test_every_hook_is_awaited_in_its_place(process):
    eng = engine_for(lambda obj, eng: eng.extra_data["trace"].append("task"), engine_class=Hooked)
    process(eng, ["x"])
    assert eng.extra_data["trace"] == [
        "before_processing",
        "before_object",
        "before_callbacks",
        "before_each_callback",
        "task",
        "after_each_callback",
        "after_callbacks",
        "after_object",
        "after_processing",
    ]


@both_ways
def test_a_handler_is_awaited(process):
    async def fail(obj, eng):
        raise LookupError(obj)

    eng = engine_for(fail, engine_class=Hooked)
    process(eng, ["x"])
    assert eng.extra_data["trace"][-3:] == ["after_each_callback", "handled", "after_processing"]


@both_ways
def test_a_task_is_done_for_hooks_and_signals_when_it_has_been_awaited(process):
    async def work(obj, eng):
        await asyncio.sleep(0)
        eng.extra_data["trace"].append("worked")
        return JumpCall(1)

    def finished(sender, transition, **context):
        sender.extra_data["trace"].append(("finished", type(transition)))

    eng = engine_for(work, engine_class=Hooked)
    with signals.task_finished.connected_to(finished):
        process(eng, ["x"])
    around = eng.extra_data["trace"][3:7]
    assert around == [
        "before_each_callback",
        "worked",
        ("finished", JumpCall),
        "after_each_callback",
    ]


@both_ways
def test_a_coroutine_that_raises_has_failed_for_signals_too(process):
    errors = []

    async def fail(obj, eng):
        await asyncio.sleep(0)
        raise LookupError(obj)

    def failed(sender, error, **context):
        errors.append(error)

    with signals.task_failed.connected_to(failed), pytest.raises(LookupError) as caught:
        process(engine_for(fail), ["x"])
    assert errors == [caught.value]


# Without an event loop


def test_a_run_has_one_event_loop_of_its_own_from_its_first_awaitable_on():
    loops = []

    async def look(obj, eng):
        loops.append(asyncio.get_running_loop())

    eng = engine_for(look, [look])
    eng.process(["x", "y"])
    assert len(set(loops)) == 1
    assert loops[0].is_closed()
    eng.process(["x"])
    assert loops[-1] is not loops[0]


def test_what_one_task_has_started_another_may_await():
    async def start(obj, eng):
        eng.extra_data["answer"] = asyncio.ensure_future(asyncio.sleep(0, result=42))

    async def use(obj, eng):
        obj.append(await eng.extra_data["answer"])

    token = []
    engine_for(start, mark("a"), use).process([token])
    assert token == ["a", 42]


# Inside a running event loop


def inside_a_loop(call):
    async def main():
        return call()

    return asyncio.run(main())


def test_process_runs_plain_tasks_inside_a_loop():
    token = []
    inside_a_loop(lambda: engine_for(mark("a")).process([token]))
    assert token == ["a"]


@pytest.mark.parametrize("task", [mark_later("a"), lambda obj, eng: Awaitable(None)])
def test_process_inside_a_loop_says_to_use_process_async(task):
    eng, tokens = engine_for(mark("before"), task), [[]]
    with pytest.raises(WorkflowAPIError, match=r"await eng\.process_async\(\.\.\.\)") as caught:
        inside_a_loop(lambda: eng.process(tokens))
    assert "await eng.restart_async(...)" in caught.value.message
    assert eng.state == MachineState(0, [1])
    assert tokens == [["before"]]
    gc.collect()  # an unawaited coroutine would warn now


def test_after_that_mistake_the_engine_goes_on_with_process_async():
    eng, tokens = engine_for(mark("before"), mark_later("a")), [[]]

    async def main():
        with pytest.raises(WorkflowAPIError):
            eng.process(tokens)
        await eng.restart_async("current", "current")

    asyncio.run(main())
    assert tokens == [["before", "a"]]


def test_restart_async_takes_the_same_points_as_restart():
    async def halt_once(obj, eng):
        if "halted" not in eng.extra_data:
            eng.extra_data["halted"] = True
            eng.halt()

    async def main(task):
        eng, tokens = engine_for(mark_later("a"), [halt_once, mark_later("b")], mark("c")), [[], []]
        with pytest.raises(HaltProcessing):
            await eng.process_async(tokens)
        await eng.restart_async("current", task)
        assert eng.initial_run is False
        return tokens

    whole = ["a", "b", "c"]
    assert asyncio.run(main("current")) == [["a", "b", "c"], whole]
    assert asyncio.run(main("next")) == [["a", "b", "c"], whole]
    assert asyncio.run(main("first")) == [["a", *whole], whole]


def test_restart_async_stops_on_halts_and_errors_unless_told_otherwise():
    async def fail_or_halt(obj, eng):
        if obj == "halts":
            eng.halt()
        raise LookupError(obj)

    async def main():
        eng = engine_for(fail_or_halt)
        await eng.process_async(["fails", "halts"], stop_on_error=False, stop_on_halt=False)
        with pytest.raises(LookupError):
            await eng.restart_async("first", "first", stop_on_halt=False)
        with pytest.raises(HaltProcessing):
            await eng.restart_async("first", "first", stop_on_error=False)
        await eng.restart_async("first", "first", stop_on_error=False, stop_on_halt=False)
        return eng.has_completed

    assert asyncio.run(main())


def test_restart_async_refuses_what_restart_refuses():
    async def main():
        await engine_for(mark("a")).restart_async("current", "last")

    with pytest.raises(WorkflowAPIError, match="restart's task is one of"):
        asyncio.run(main())


def test_a_coroutine_restarts_its_engine_from_inside():
    async def until_three(obj, eng):
        if len(obj) < 3:
            await eng.restart_async("current", "first")

    tokens = [[], []]
    asyncio.run(engine_for(mark_later("a"), until_three, mark("end")).process_async(tokens))
    assert tokens == [["a", "a", "a", "end"]] * 2


def test_a_plain_task_restarts_a_run_of_plain_tasks_from_inside_a_loop():
    def until_three(obj, eng):
        if len(obj) < 3:
            eng.restart("current", "first")

    tokens = [[], []]
    asyncio.run(engine_for(mark("a"), until_three, mark("end")).process_async(tokens))
    assert tokens == [["a", "a", "a", "end"]] * 2


def test_a_child_is_awaited_by_the_task_that_has_it():
    async def branch(obj, eng):
        await eng.child([mark_later("b")]).process_async([obj])

    token = []
    asyncio.run(engine_for(mark("a"), branch, mark("c")).process_async([token]))
    assert token == ["a", "b", "c"]


@both_ways
def test_an_engine_knows_whether_it_runs_in_its_callers_loop(process):
    seen = []
    eng = engine_for(lambda obj, eng: seen.append(eng.is_asynchronous))
    process(eng, ["x"])
    assert seen == [process is process_async]
    assert eng.is_asynchronous is False


# Others in the same loop


def test_two_engines_run_side_by_side():
    trace = []

    def step(name):
        async def task(obj, eng):
            trace.append((obj, name))
            await asyncio.sleep(0)

        return task

    async def main():
        one, other = engine_for(step("a"), step("b")), engine_for(step("a"), step("b"))
        await asyncio.gather(one.process_async(["x"]), other.process_async(["y"]))

    asyncio.run(main())
    assert trace == [("x", "a"), ("y", "a"), ("x", "b"), ("y", "b")]


def test_others_get_their_turn_between_tokens_even_if_nothing_is_awaited():
    trace = []

    async def others():
        for _ in range(3):
            trace.append("others")
            await asyncio.sleep(0)

    async def main():
        eng = engine_for(lambda obj, eng: trace.append(obj))
        await asyncio.gather(eng.process_async([1, 2, 3]), others())

    asyncio.run(main())
    assert trace == [1, "others", 2, "others", 3, "others"]


def test_an_engine_runs_in_one_asyncio_task_at_a_time():
    async def main():
        started, go_on, tokens = asyncio.Event(), asyncio.Event(), [[]]

        async def wait(obj, eng):
            started.set()
            await go_on.wait()

        eng = engine_for(wait, mark("a"))
        running = asyncio.create_task(eng.process_async(tokens))
        await started.wait()
        for intrusion in (eng.process_async([[]]), eng.restart_async("current", "first")):
            with pytest.raises(WorkflowAPIError, match="an engine for each"):
                await asyncio.create_task(intrusion)
        go_on.set()
        await running
        return eng, tokens

    eng, tokens = asyncio.run(main())
    assert tokens == [["a"]]
    assert eng.has_completed


def test_a_cancelled_run_keeps_its_position_and_is_taken_up_again():
    async def main():
        started, go_on, tokens = asyncio.Event(), asyncio.Event(), [[]]

        async def wait(obj, eng):
            started.set()
            await go_on.wait()

        eng = engine_for(mark("a"), [wait, mark("b")])
        running = asyncio.create_task(eng.process_async(tokens))
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert eng.state == MachineState(0, [1, 0])
        assert not eng.has_completed
        go_on.set()
        await eng.restart_async("current", "current")
        return tokens

    assert asyncio.run(main()) == [["a", "b"]]
