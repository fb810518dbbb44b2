"""How a task is run: its copy of the context, retries with growing waits, and a limit of time."""

import asyncio
import threading

import pytest
from attrs import define

from wfengine import GenericWorkflowEngine, HaltProcessing
from wfengine.flows import (
    ExecutionContext,
    FlowError,
    FlowRunner,
    FlowStatus,
    FlowTemplate,
    Task,
    TaskDataItem,
    TaskStatus,
    TaskTimeoutError,
)
from wfengine.patterns import parts

from .conftest import Call, Failing, adds

PATIENCE = 60.0


def engine_of(*tasks, **how):
    """Return an engine, in memory, for a flow of these tasks."""
    template = FlowTemplate("f")
    for task in tasks:
        template.add_task(task, **how)
    engine = GenericWorkflowEngine()
    engine.callbacks.replace(template.definition)
    return engine


def run(*tasks, token=None, **how):
    """Run a flow in memory; return what became of its token."""
    token = {} if token is None else token
    engine_of(*tasks, **how).process([token])
    return token


@pytest.fixture
def waits(monkeypatch):
    """How long was waited for, without waiting."""
    slept = []
    monkeypatch.setattr(parts.time, "sleep", slept.append)
    return slept


# The context


def test_a_task_may_return_its_copy_or_a_context_of_its_own():
    copied = adds("a", 1)
    own = Call(lambda context: ExecutionContext({"b": context.get("a") + 1}), "own")
    nothing = Call(lambda context: ExecutionContext(), "nothing")
    assert run(copied, own, nothing, token={"n": 0}) == {"n": 0, "a": 1, "b": 2}


def test_the_context_of_a_task_is_a_copy():
    held = {"rows": [[1]]}

    def spoil(context):
        context.get("rows")[0].append(2)
        return ExecutionContext({"n": 1})

    assert run(Call(spoil), token=held) == {"rows": [[1]], "n": 1}


def test_an_entry_that_a_task_has_changed_is_an_error_and_nothing_is_kept():
    def change(context):
        context.get("rows").append(2)
        context.set("more", 1)
        return context

    held = {"rows": [1]}
    with pytest.raises(FlowError, match="'change' changed the entry 'rows'"):
        run(Call(change), token=held)
    assert held == {"rows": [1]}


@define(eq=False)
class Odd:
    """Something that is equal to itself only."""

    n: int


@define(eq=False)
class Awkward(Odd):
    """Something that cannot be compared."""

    def __eq__(self, other):
        raise ValueError("ambiguous")

    __hash__ = None


@pytest.mark.parametrize("kind", [Odd, Awkward])
def test_what_does_not_say_that_it_is_equal_is_not_taken_for_changed(kind):
    class Keep(Task):
        def run(self, context):
            return context

    class Change(Task):
        def run(self, context):
            context.get("odd").n = 2
            return context

    held = {"odd": kind(1)}
    run(Keep(), token=held)
    with pytest.raises(FlowError, match="'Change' changed the entry 'odd'"):
        run(Change(), token=held)


@pytest.mark.parametrize("found", [None, {}, 3, [ExecutionContext()]])
def test_a_task_returns_a_context(found):
    class Wrong(Task):
        def run(self, context):
            return found

    with pytest.raises(FlowError, match=r"'Wrong' returned .* it is to return an ExecutionContext"):
        run(Wrong())


class Typed(Task):
    def __init__(self, found=None):
        self.found = found or {}

    def run(self, context):
        return ExecutionContext(self.found)

    def inputs(self):
        return [TaskDataItem("n", int)]

    def outputs(self):
        return [TaskDataItem("total", float)]


@pytest.mark.parametrize(
    ("token", "found", "message"),
    [
        ({}, {}, "'Typed' needs 'n', which is not in the context"),
        ({"n": "1"}, {}, "'Typed' needs 'n' as int, and it is of type str"),
        ({"n": 1}, {}, "'Typed' says that it adds 'total', which is not in the context"),
        ({"n": 1}, {"total": "1"}, "'total' as float, and it is of type str"),
    ],
)
def test_what_a_task_says_it_needs_and_adds_is_held_to(token, found, message):
    template = FlowTemplate("f", inputs=[TaskDataItem("n", int)]).add_task(Typed(found))
    engine = GenericWorkflowEngine()
    engine.callbacks.replace(template.definition)
    with pytest.raises(FlowError, match=message):
        engine.process([token])


def test_a_halt_of_a_task_is_no_failure():
    def ask(context):
        raise HaltProcessing("look at this")

    engine = engine_of(Call(ask), adds("a", 1), retries=3)
    with pytest.raises(HaltProcessing):
        engine.process([{}])
    assert engine.state.callback_pos == [0]


def test_after_a_halt_no_attempts_are_counted():
    def ask(context):
        calls.append(True)
        if len(calls) == 1:
            raise ValueError
        raise HaltProcessing("look at this")

    calls = []
    engine = engine_of(Call(ask), retries=3)
    with pytest.raises(HaltProcessing):
        engine.process([{}])
    assert engine.extra_data == {}


# Retries


def test_a_task_that_fails_is_tried_again_as_often_as_it_may(waits):
    assert run(Failing(2), retries=2) == {"done": True}
    with pytest.raises(ValueError, match="0 left"):
        run(Failing(3), retries=2)
    assert waits == []


def test_the_wait_grows_from_attempt_to_attempt(waits):
    run(Failing(4), retries=4, delay=0.5, backoff=3)
    assert waits == [0.5, 1.5, 4.5, 13.5]


def test_each_task_and_each_token_has_attempts_of_its_own(waits):
    engine = engine_of(Failing(2), Failing(2), retries=2)
    tokens = [{}]
    engine.process(tokens)
    assert tokens == [{"done": True}]
    steady = engine_of(Failing(0), retries=1)
    tokens = [{}, {}]
    steady.process(tokens)
    assert tokens == [{"done": True}] * 2


def test_no_memory_of_attempts_is_left_behind(waits):
    engine = engine_of(Failing(1), retries=1)
    engine.process([{}])
    assert engine.extra_data == {}
    engine = engine_of(Failing(9), retries=1)
    with pytest.raises(ValueError, match="left"):
        engine.process([{}])
    assert engine.extra_data == {}


def test_every_attempt_is_in_the_history_and_a_rescheduled_flow_has_all_of_them_again(
    runner, waits
):
    runner.register_flow_template(FlowTemplate("f").add_task(Failing(3), retries=1, delay=9))
    flow_id = runner.schedule_flow("f")
    assert runner.run_flow().error == "ValueError: 1 left"
    runner.reschedule_flow_execution(flow_id)
    assert runner.re_run_flow().status is FlowStatus.SUCCEEDED
    assert waits == [9, 9]
    history = runner.service.get_flow_task_execution_history(flow_id)
    ends = [entry for entry in history if entry.status is not TaskStatus.RUNNING]
    assert [(entry.attempt, entry.output.partition("\n")[0]) for entry in ends] == [
        (1, "ValueError: 2 left"),
        (2, "ValueError: 1 left"),
        (3, "ValueError: 0 left"),
        (4, ""),
    ]
    assert all("Traceback" in entry.output for entry in ends[:3])


def test_a_task_that_raises_stop_iteration_has_failed():
    def stop(context):
        raise StopIteration

    for how in ({}, {"timeout": PATIENCE}):
        with pytest.raises(RuntimeError, match="StopIteration"):
            run(Call(stop), **how)


class Leaves(Task):
    def __init__(self, error):
        self.error = error

    def run(self, context):
        raise self.error


class LeavesLater(Leaves):
    name = "Leaves"

    async def run(self, context):
        raise self.error


class LeavesWhenAwaited(Leaves):
    name = "Leaves"

    def run(self, context):
        return LeavesLater.run(self, context)


@pytest.mark.parametrize("timeout", [None, PATIENCE])
@pytest.mark.parametrize("kind", [Leaves, LeavesLater, LeavesWhenAwaited])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(3), "task 'Leaves' called sys.exit(3); let it return, or raise"),
        (asyncio.CancelledError("off"), "task 'Leaves' was left by CancelledError: off"),
    ],
)
def test_a_task_that_is_left_by_more_than_an_exception_has_failed(
    runner, error, said, kind, timeout
):
    runner.register_flow_template(FlowTemplate("f").add_task(kind(error), timeout=timeout))
    flow_id = runner.schedule_flow("f")
    flow = runner.run_flow()
    assert (flow.id, flow.status) == (flow_id, FlowStatus.FAILED)
    assert said in flow.error
    *_, last = runner.service.get_flow_task_execution_history(flow_id)
    assert last.status is TaskStatus.FAILED
    assert said in last.output


# Coroutine functions


class Fetch(Task):
    async def run(self, context):
        await asyncio.sleep(0)
        if context.get("fails", None):
            raise ConnectionError("no answer")
        return ExecutionContext({"fetched": True})


def test_a_task_may_be_a_coroutine_function(runner):
    runner.register_flow_template(FlowTemplate("f").add_task(Fetch(), retries=1))
    runner.schedule_flow("f")
    assert runner.run_flow().context.get("fetched")
    runner.schedule_flow("f", {"fails": True})
    assert runner.run_flow().error == "ConnectionError: no answer"


def test_in_an_event_loop_nothing_is_held_up():
    async def main():
        token, other = {}, []
        task = asyncio.create_task(asyncio.sleep(0, other.append(1)))
        await engine_of(Fetch(), Failing(1), retries=1, delay=0.001).process_async([token])
        await task
        return token

    assert asyncio.run(main()) == {"fetched": True, "done": True}


def test_in_an_event_loop_a_runner_works_in_a_thread(store):
    runner = FlowRunner(store)
    runner.register_flow_template(FlowTemplate("f").add_task(Fetch()))
    runner.schedule_flow("f")
    (flow,) = asyncio.run(asyncio.to_thread(runner.run_due))
    assert flow.status is FlowStatus.SUCCEEDED


# A limit of time


def test_within_its_time_a_task_does_what_it_does_without_a_limit():
    assert run(adds("a", 1), Fetch(), timeout=PATIENCE) == {"a": 1, "fetched": True}
    with pytest.raises(ConnectionError, match="no answer"):
        run(Fetch(), timeout=PATIENCE, token={"fails": True})
    with pytest.raises(ValueError, match="0 left"):
        run(Failing(1), timeout=PATIENCE)


def test_a_coroutine_that_takes_too_long_is_cancelled():
    cancelled = []

    class Wait(Task):
        async def run(self, context):
            try:
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

    with pytest.raises(TaskTimeoutError, match=r"'Wait' took longer than 0.01 seconds"):
        run(Wait(), timeout=0.01)
    assert cancelled


def test_a_function_that_takes_too_long_is_left_behind_and_what_it_finds_is_dropped():
    may_go_on, went_on = threading.Event(), threading.Event()

    def compute(context):
        may_go_on.wait(PATIENCE)
        went_on.set()
        return ExecutionContext({"late": True})

    token = {}
    with pytest.raises(TaskTimeoutError, match="'compute' took longer"):
        run(Call(compute), timeout=0.01, token=token)
    assert not went_on.is_set()
    may_go_on.set()
    assert went_on.wait(PATIENCE)
    for thread in threading.enumerate():
        if thread.name == "flow task":
            thread.join(PATIENCE)
    assert token == {}


def test_what_comes_too_late_to_be_awaited_is_let_go():
    may_go_on = threading.Event()

    def begin(context):
        may_go_on.wait(PATIENCE)
        return Fetch().run(context)  # a coroutine

    async def main():
        with pytest.raises(TaskTimeoutError):
            await engine_of(Call(begin), timeout=0.01).process_async([{}])
        may_go_on.set()
        for thread in threading.enumerate():
            if thread.name == "flow task":
                await asyncio.to_thread(thread.join, PATIENCE)

    asyncio.run(main())


def test_a_timeout_of_the_tasks_own_is_not_taken_for_the_limit():
    class Own(Task):
        async def run(self, context):
            raise TimeoutError("of a server")

    with pytest.raises(TimeoutError, match="of a server"):
        run(Own(), timeout=PATIENCE)


def test_after_a_timeout_a_task_is_tried_again(runner):
    class Slow(Task):
        async def run(self, context):
            calls.append(True)
            await asyncio.sleep(0 if len(calls) > 1 else PATIENCE)
            return context

    calls = []
    runner.register_flow_template(FlowTemplate("f").add_task(Slow(), retries=1, timeout=0.5))
    flow_id = runner.schedule_flow("f")
    assert runner.run_flow().status is FlowStatus.SUCCEEDED
    history = runner.service.get_flow_task_execution_history(flow_id)
    assert "took longer than 0.5 seconds" in history[1].output


def test_without_a_limit_a_task_runs_in_the_thread_of_the_runner():
    threads = []
    run(Call(lambda context: threads.append(threading.current_thread()), "look"))
    assert threads == [threading.current_thread()]
