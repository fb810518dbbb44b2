"""Handlers: what is done about a transition or an exception that has left a token's tasks."""

import pytest

from wfengine.engine import (
    Break,
    Continue,
    GenericWorkflowEngine,
    ProcessingFactory,
    TransitionActions,
)
from wfengine.errors import (
    HaltProcessing,
    StopProcessing,
    WorkflowDefinitionError,
    WorkflowError,
    WorkflowTransition,
)


def task(obj, eng):
    eng.trace.append(f"task {obj}")


def fail(obj, eng):
    raise LookupError(obj)


def halt(obj, eng):
    eng.halt("why")


class Traced(GenericWorkflowEngine):
    def __init__(self):
        super().__init__()
        self.trace = []


def engine_for(*definition, factory=ProcessingFactory):
    eng = type("Engine", (Traced,), {"processing_factory": factory})()
    eng.callbacks.replace(definition)
    return eng


def engine_with_handlers(*definition, **handlers):
    mapper = type(
        "Handlers",
        (TransitionActions,),
        {name: staticmethod(handler) for name, handler in handlers.items()},
    )
    factory = type("Factory", (ProcessingFactory,), {"transition_exception_mapper": mapper})
    return engine_for(*definition, factory=factory)


class Parent(Exception):
    pass


class Child(Parent):
    pass


def raise_child(obj, eng):
    raise Child(obj)


def trace(name):
    def handler(obj, eng, callbacks, e):
        eng.trace.append(name)

    return handler


@pytest.mark.parametrize(
    ("handlers", "found"),
    [
        (["Child", "Parent", "Exception"], "Child"),
        (["Parent", "Exception"], "Parent"),
        (["Exception", "LookupError"], "Exception"),
    ],
)
def test_a_handler_is_found_along_the_mro(handlers, found):
    eng = engine_with_handlers(raise_child, **{name: trace(name) for name in handlers})
    eng.process(["x"])
    assert eng.trace == [found]


def test_a_handler_receives_token_engine_definition_and_exception():
    received = []
    eng = engine_with_handlers(raise_child, Child=lambda *args: received.append(args))
    eng.process(["x"])
    ((obj, engine, callbacks, error),) = received
    assert (obj, engine, callbacks) == ("x", eng, [raise_child])
    assert isinstance(error, Child)


def test_a_handler_sees_where_the_exception_was_raised():
    positions = []

    def look(obj, eng, callbacks, e):
        positions.append((eng.current_taskname, list(eng.state.callback_pos), e.__notes__))

    engine_with_handlers(task, [task, fail], Exception=look).process(["x"])
    note = "wfengine: at token 0, task 'fail' at [1, 1]"
    assert positions == [("fail", [1, 1], [note])]


def raising(error):
    def handler(obj, eng, callbacks, e):
        eng.trace.append("handled")
        raise error

    return handler


@pytest.mark.parametrize("ending", [trace("handled"), raising(Continue())], ids=["return", "raise"])
def test_after_continue_or_a_return_the_next_token_follows(ending):
    eng = engine_with_handlers(task, fail, Exception=ending)
    eng.process(["x", "y"])
    assert eng.trace == ["task x", "handled", "task y", "handled"]
    assert eng.has_completed


def test_after_break_the_run_ends_normally():
    eng = engine_with_handlers(task, fail, Exception=raising(Break()))
    eng.process(["x", "y"])
    assert eng.trace == ["task x", "handled"]
    assert eng.has_completed


def test_anything_else_that_a_handler_raises_leaves_the_run():
    eng = engine_with_handlers(fail, LookupError=raising(OSError("while handling")))
    with pytest.raises(OSError, match="while handling") as caught:
        eng.process(["x"])
    assert isinstance(caught.value.__context__, LookupError)


def test_what_a_handler_raises_counts_for_stop_on_error():
    eng = engine_with_handlers(fail, LookupError=raising(OSError("while handling")))
    eng.process(["x", "y"], stop_on_error=False)
    assert eng.trace == ["handled", "handled"]


def test_a_handler_may_turn_an_error_into_a_halt():
    eng = engine_with_handlers(fail, LookupError=raising(HaltProcessing("decide")))
    with pytest.raises(HaltProcessing):
        eng.process(["x", "y"], stop_on_error=False)
    eng.process(["x", "y"], stop_on_halt=False)
    assert eng.trace == ["handled"] * 3


def test_the_handler_of_halts_is_called_before_the_caller_gets_one():
    def save(obj, eng, callbacks, e):
        eng.trace.append("saved")
        raise e

    eng = engine_with_handlers(halt, HaltProcessing=save)
    with pytest.raises(HaltProcessing):
        eng.process(["x"])
    assert eng.trace == ["saved"]


@pytest.mark.parametrize(
    ("name", "steer"),
    [
        ("StopProcessing", lambda obj, eng: eng.stop()),
        ("AbortProcessing", lambda obj, eng: eng.abort()),
        ("SkipToken", lambda obj, eng: eng.skip_token()),
        ("ContinueNextToken", lambda obj, eng: eng.continue_next_token()),
        ("JumpToken", lambda obj, eng: eng.jump_token(1)),
        ("WorkflowTransition", lambda obj, eng: WorkflowTransition()),
    ],
)
def test_every_transition_that_leaves_the_tasks_has_a_handler(name, steer):
    eng = engine_with_handlers(steer, **{name: trace(name)})
    eng.process(["x"])
    assert eng.trace == [name]


def test_the_mapper_is_extended_by_the_name_of_a_transition_of_ones_own():
    class AskAgain(WorkflowTransition):
        pass

    eng = engine_with_handlers(lambda obj, eng: AskAgain(), AskAgain=trace("asked again"))
    eng.process(["x"])
    assert eng.trace == ["asked again"]


def test_a_transition_that_nobody_handles_reaches_the_caller():
    class AskAgain(WorkflowTransition):
        pass

    with pytest.raises(AskAgain):
        engine_for(lambda obj, eng: AskAgain()).process(["x"])


def test_a_mapper_that_does_not_derive_from_ours_is_completed_by_it():
    class Bare:
        @staticmethod
        def Parent(obj, eng, callbacks, e):
            eng.trace.append("bare")

    class BareFactory(ProcessingFactory):
        transition_exception_mapper = Bare

    def steer(obj, eng):
        if obj == "x":
            raise Child
        eng.stop()

    eng = engine_for(steer, factory=BareFactory)
    eng.process(["x", "y", "z"])
    assert eng.trace == ["bare"]
    with pytest.raises(HaltProcessing):
        engine_for(halt, factory=BareFactory).process(["x"])


@pytest.mark.parametrize("steer", [Break, Continue])
def test_break_and_continue_raised_by_a_task_mean_the_same(steer):
    def last(obj, eng):
        task(obj, eng)
        raise steer

    eng = engine_for(last)
    eng.process(["x", "y"])
    assert eng.trace == (["task x"] if steer is Break else ["task x", "task y"])
    assert eng.has_completed


def test_an_error_of_the_engine_itself_goes_to_the_handlers_too():
    class Choosing(GenericWorkflowEngine):
        def callback_chooser(self, obj):
            return None

    with pytest.raises(WorkflowDefinitionError) as caught:
        Choosing().process(["x"])
    assert caught.value.__notes__ == ["wfengine: at token 0"]
    eng = Choosing()
    eng.process(["x", "y"], stop_on_error=False)
    assert eng.state.token_pos == 1


def test_the_original_traceback_passes_a_handler():
    eng = engine_with_handlers(fail, LookupError=TransitionActions.Exception)
    with pytest.raises(LookupError) as caught:
        eng.process(["x"])
    assert caught.traceback[-1].frame.code.raw is fail.__code__


def test_a_transition_raised_by_a_handler_is_not_handled_again():
    """It leaves the run; a handler ends the run by raising Break."""
    eng = engine_with_handlers(fail, LookupError=raising(StopProcessing()))
    with pytest.raises(StopProcessing):
        eng.process(["x"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_of_the_program_passes_every_handler(error):
    def interrupted(obj, eng):
        raise error

    eng = engine_with_handlers(interrupted, Exception=trace("handled"))
    with pytest.raises(error):
        eng.process(["x"], stop_on_error=False)
    assert eng.trace == []
    assert not eng.has_completed


def test_a_handler_decides_by_the_class_of_an_error_of_ours():
    class NotOurs(WorkflowError):
        pass

    def raise_it(obj, eng):
        raise NotOurs("a fault", id_object=obj)

    eng = engine_with_handlers(raise_it, WorkflowError=trace("handled"))
    eng.process(["x"])
    assert eng.trace == ["handled"]
