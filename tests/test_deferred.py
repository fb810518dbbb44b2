"""Deferred calls: what has to be done when a token, or the run, comes to an end of any kind."""

import asyncio

import pytest

from wfengine.engine import GenericWorkflowEngine, ProcessingFactory
from wfengine.errors import HaltProcessing, WorkflowAPIError


def engine_for(*definition):
    eng = GenericWorkflowEngine()
    eng.callbacks.replace(definition)
    return eng


def defer_to(trace, until="token", name=None):
    """Return a task that defers a line in the trace."""

    def task(obj, eng):
        eng.defer(lambda: trace.append(name or f"{until} of {obj}"), until=until)

    return task


def fail(obj, eng):
    raise LookupError("not found")


def interrupted(obj, eng):
    raise KeyboardInterrupt


def test_a_call_waits_for_the_end_of_the_tokens_tasks():
    trace = []
    engine_for([defer_to(trace)], lambda obj, eng: trace.append(f"last task of {obj}")).process(
        ["x", "y"]
    )
    assert trace == ["last task of x", "token of x", "last task of y", "token of y"]


def test_a_call_waits_for_the_end_of_the_run():
    trace = []
    engine_for(defer_to(trace, "run"), lambda obj, eng: trace.append(obj)).process(["x", "y"])
    assert trace == ["x", "y", "run of y", "run of x"]


def test_the_last_deferred_is_called_first():
    trace = []
    engine_for(*(defer_to(trace, name=name) for name in "abc")).process(["x"])
    assert trace == ["c", "b", "a"]


ENDINGS = {
    "end": lambda obj, eng: None,
    "skip": lambda obj, eng: eng.skip_token(),
    "continue": lambda obj, eng: eng.continue_next_token(),
    "jump": lambda obj, eng: eng.jump_token(9),
    "stop": lambda obj, eng: eng.stop(),
    "abort": lambda obj, eng: eng.abort(),
    "break": lambda obj, eng: eng.break_current_loop(),
    "halt": lambda obj, eng: eng.halt(),
    "failure": fail,
    "interrupt": interrupted,
}


@pytest.mark.parametrize("until", ["token", "run"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_it_is_called_however_they_end(until, ending):
    trace = []
    eng = engine_for(defer_to(trace, until), ENDINGS[ending])
    try:
        eng.process(["x"])
    except (HaltProcessing, LookupError, KeyboardInterrupt):
        trace.append("raised")
    assert trace[0] == f"{until} of x"


def test_it_is_called_when_the_task_restarts_its_engine():
    trace = []

    def restart_once(obj, eng):
        if len(eng.objects) == 1:
            eng.restart("current", "first", objects=["y", "z"])

    engine_for(defer_to(trace), defer_to(trace, "run"), restart_once).process(["x"])
    assert sorted(trace) == [
        "run of x",
        "run of y",
        "run of z",
        "token of x",
        "token of y",
        "token of z",
    ]


def test_it_is_called_when_the_run_is_cancelled():
    trace = []

    async def wait(obj, eng):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async def main():
        eng = engine_for(defer_to(trace), defer_to(trace, "run"), wait)
        with pytest.raises(asyncio.CancelledError):
            await eng.process_async(["x"])

    asyncio.run(main())
    assert trace == ["token of x", "run of x"]


def test_it_is_called_before_the_hooks_at_the_end():
    trace = []

    class Factory(ProcessingFactory):
        after_object = staticmethod(lambda eng, objects, obj: trace.append("after_object"))
        after_processing = staticmethod(lambda eng, objects: trace.append("after_processing"))

    class Engine(GenericWorkflowEngine):
        processing_factory = Factory

    eng = Engine()
    eng.callbacks.replace([defer_to(trace), defer_to(trace, "run")])
    eng.process(["x"])
    assert trace == ["token of x", "after_object", "run of x", "after_processing"]


def test_it_is_awaited_if_need_be():
    trace = []

    async def later():
        await asyncio.sleep(0)
        trace.append("later")

    eng = engine_for(lambda obj, eng: eng.defer(later))
    eng.process(["x"])
    asyncio.run(eng.process_async(["x"]))
    assert trace == ["later", "later"]


def test_a_deferred_call_may_defer_another():
    trace = []

    def again(obj, eng):
        eng.defer(lambda: eng.defer(lambda: trace.append("again")))

    engine_for(again).process(["x"])
    assert trace == ["again"]


def engine_with_hooks(**hooks):
    factory = type(
        "Factory",
        (ProcessingFactory,),
        {name: staticmethod(hook) for name, hook in hooks.items()},
    )
    eng = type("Engine", (GenericWorkflowEngine,), {"processing_factory": factory})()
    eng.callbacks.replace([lambda obj, eng: None])
    return eng


@pytest.mark.parametrize("until", ["token", "run"])
@pytest.mark.parametrize("hook", ["before_object", "after_object"])
def test_a_hook_around_a_token_may_defer_a_call_too(hook, until):
    trace = []

    def defer(eng, objects, obj):
        eng.defer(lambda: trace.append(obj), until)

    engine_with_hooks(**{hook: defer}).process(["x"])
    assert trace == ["x"]


@pytest.mark.parametrize("hook", ["before_processing", "after_processing"])
def test_a_hook_around_a_run_may_defer_a_call_too(hook):
    trace = []

    def defer(eng, objects):
        eng.defer(lambda: trace.append("called"), until="run")

    engine_with_hooks(**{hook: defer}).process(["x"])
    assert trace == ["called"]


def test_a_call_deferred_before_the_first_token_is_made_when_the_run_fails_there():
    trace = []

    def defer_and_fail(eng, objects):
        eng.defer(lambda: trace.append("called"), until="run")
        fail(None, eng)

    with pytest.raises(LookupError):
        engine_with_hooks(before_processing=defer_and_fail).process(["x"])
    assert trace == ["called"]


# Failing


def raising(error):
    def task(obj, eng):
        def call():
            raise error

        eng.defer(call)

    return task


def test_what_a_deferred_call_raises_counts_as_raised_by_the_token():
    eng = engine_for(raising(OSError("cannot close")))
    with pytest.raises(OSError, match="cannot close") as caught:
        eng.process(["x"])
    assert caught.value.__notes__ == ["wfengine: at token 0"]
    eng.process(["x", "y"], stop_on_error=False)
    assert eng.has_completed


def test_every_deferred_call_is_made_and_all_their_errors_are_raised():
    trace = []
    eng = engine_for(defer_to(trace), raising(OSError("one")), raising(LookupError("two")))
    with pytest.raises(ExceptionGroup, match="several calls deferred") as caught:
        eng.process(["x"])
    assert [type(error) for error in caught.value.exceptions] == [LookupError, OSError]
    assert trace == ["token of x"]


def test_an_error_at_the_end_of_a_failed_token_keeps_the_first_as_its_context():
    with pytest.raises(OSError, match="cannot close") as caught:
        engine_for(raising(OSError("cannot close")), fail).process(["x"])
    assert isinstance(caught.value.__context__, LookupError)


def test_an_error_at_the_end_of_a_run_that_came_to_its_end_reaches_the_caller():
    def defer(obj, eng):
        eng.defer(lambda: fail(obj, eng), until="run")

    eng = engine_for(defer)
    with pytest.raises(LookupError, match="not found"):
        eng.process(["x"])
    assert not eng.has_completed


# Refusals


def test_outside_of_a_run_there_is_no_end_to_wait_for():
    eng = engine_for(fail)
    with pytest.raises(WorkflowAPIError, match=r"defer\(\) is for tasks"):
        eng.defer(print)


@pytest.mark.parametrize("until", ["week", "", None])
def test_an_unknown_end_is_refused_and_the_known_ones_are_named(until):
    eng = engine_for(lambda obj, eng: eng.defer(print, until=until))
    with pytest.raises(WorkflowAPIError, match=r"'token'.*'run'"):
        eng.process(["x"])
