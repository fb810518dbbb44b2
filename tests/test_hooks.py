"""Hooks: what a subclass has done around runs, tokens and tasks, and about exceptions."""

import pytest

from wfengine.engine import (
    ActionMapper,
    Break,
    Continue,
    GenericWorkflowEngine,
    ProcessingFactory,
    Signal,
    TransitionActions,
)
from wfengine.errors import (
    ContinueNextToken,
    HaltProcessing,
    JumpCall,
    SkipToken,
    StopProcessing,
    WorkflowDefinitionError,
    WorkflowError,
    WorkflowTransition,
)
from wfengine.utils import classproperty, staticproperty


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


class Mapper(ActionMapper):
    @staticmethod
    def before_callbacks(eng, callbacks, obj):
        eng.trace.append(f"before_callbacks {obj}")

    @staticmethod
    def after_callbacks(eng, callbacks, obj):
        eng.trace.append(f"after_callbacks {obj}")

    @staticmethod
    def before_each_callback(eng, callback_func, obj):
        eng.trace.append(f"before_each_callback {obj}")

    @staticmethod
    def after_each_callback(eng, callback_func, obj):
        eng.trace.append(f"after_each_callback {obj}")


class Factory(ProcessingFactory):
    action_mapper = Mapper

    @staticmethod
    def before_processing(eng, objects):
        eng.trace.append("before_processing")

    @staticmethod
    def after_processing(eng, objects):
        eng.trace.append("after_processing")

    @staticmethod
    def before_object(eng, objects, obj):
        eng.trace.append(f"before_object {obj}")

    @staticmethod
    def after_object(eng, objects, obj):
        eng.trace.append(f"after_object {obj}")


class Engine(Traced):
    processing_factory = Factory


def engine_for(*definition, factory=Factory):
    eng = type("Engine", (Traced,), {"processing_factory": factory})()
    eng.callbacks.replace(definition)
    return eng


# When they are called


def test_every_hook_is_called_in_its_place():
    eng = engine_for(task, [task])
    eng.process(["x"])
    each = ["before_each_callback x", "task x", "after_each_callback x"]
    assert eng.trace == [
        "before_processing",
        "before_object x",
        "before_callbacks x",
        *each,
        *each,
        "after_callbacks x",
        "after_object x",
        "after_processing",
    ]


def test_hooks_around_tokens_are_called_for_each_token():
    eng = engine_for(task)
    eng.process(["x", "y"])
    around = [line for line in eng.trace if "object" in line]
    assert around == ["before_object x", "after_object x", "before_object y", "after_object y"]


def test_hooks_receive_what_their_names_say():
    received = {}

    class Noting(ActionMapper):
        before_callbacks = staticmethod(lambda *args: received.update(before_callbacks=args))
        after_callbacks = staticmethod(lambda *args: received.update(after_callbacks=args))
        before_each_callback = staticmethod(lambda *args: received.update(before_each=args))
        after_each_callback = staticmethod(lambda *args: received.update(after_each=args))

    class NotingFactory(ProcessingFactory):
        action_mapper = Noting
        before_processing = staticmethod(lambda *args: received.update(before_processing=args))
        after_processing = staticmethod(lambda *args: received.update(after_processing=args))
        before_object = staticmethod(lambda *args: received.update(before_object=args))
        after_object = staticmethod(lambda *args: received.update(after_object=args))

    eng, tokens = engine_for(task, factory=NotingFactory), ["x"]
    eng.process(tokens)
    assert received == {
        "before_processing": (eng, tokens),
        "before_object": (eng, tokens, "x"),
        "before_callbacks": (eng, [task], "x"),
        "before_each": (eng, task, "x"),
        "after_each": (eng, task, "x"),
        "after_callbacks": (eng, [task], "x"),
        "after_object": (eng, tokens, "x"),
        "after_processing": (eng, tokens),
    }


def test_the_position_is_the_token_and_the_task_that_the_hook_is_about():
    seen = []

    class Looking(ActionMapper):
        @staticmethod
        def before_each_callback(eng, callback_func, obj):
            seen.append((eng.current_object, list(eng.state.callback_pos), eng.current_taskname))

        after_each_callback = before_each_callback

    class LookingFactory(ProcessingFactory):
        action_mapper = Looking

    engine_for([task], factory=LookingFactory).process(["x"])
    assert seen == [("x", [0, 0], "task")] * 2


@pytest.mark.parametrize(
    "last",
    [
        task,
        fail,
        halt,
        lambda obj, eng: eng.stop(),
        lambda obj, eng: eng.abort(),
        lambda obj, eng: eng.skip_token(),
        lambda obj, eng: eng.continue_next_token(),
        lambda obj, eng: eng.jump_token(1),
        lambda obj, eng: eng.jump_call(1),
        lambda obj, eng: eng.break_current_loop(),
        lambda obj, eng: JumpCall(1),
    ],
)
def test_after_each_callback_always_runs(last):
    eng = engine_for([last])
    eng.process(["x"], stop_on_error=False, stop_on_halt=False)
    assert eng.trace.count("before_each_callback x") == 1
    assert eng.trace.count("after_each_callback x") == 1


@pytest.mark.parametrize(
    ("last", "called"),
    [
        (task, True),
        (lambda obj, eng: eng.break_current_loop(), True),
        (lambda obj, eng: eng.jump_call(9), True),
        (lambda obj, eng: eng.skip_token(), False),
        (lambda obj, eng: eng.continue_next_token(), False),
        (lambda obj, eng: eng.jump_token(1), False),
        (lambda obj, eng: eng.stop(), False),
        (lambda obj, eng: eng.abort(), False),
        (fail, False),
        (halt, False),
    ],
)
def test_after_object_is_for_a_token_that_came_to_the_end_of_its_tasks(last, called):
    eng = engine_for(last)
    eng.process(["x"], stop_on_error=False, stop_on_halt=False)
    assert ("after_object x" in eng.trace) is called
    assert ("after_callbacks x" in eng.trace) is called


@pytest.mark.parametrize("last", [task, lambda obj, eng: eng.stop(), lambda obj, eng: eng.abort()])
def test_after_processing_is_for_a_run_that_came_to_its_end(last):
    eng = engine_for(last)
    eng.process(["x"])
    assert eng.trace[-1] == "after_processing"


@pytest.mark.parametrize("last", [fail, halt])
def test_after_processing_is_not_for_a_run_that_halted_or_failed(last):
    eng = engine_for(last)
    with pytest.raises((LookupError, HaltProcessing)):
        eng.process(["x"])
    assert "after_processing" not in eng.trace


def test_a_restart_is_a_run_of_its_own():
    eng = engine_for(task)
    eng.process(["x"])
    eng.trace.clear()
    eng.restart("next", "first")
    assert eng.trace == ["before_processing", "after_processing"]


# How they are given


def by_attribute(holder):
    return holder


def by_instance(holder):
    return holder()


def by_staticproperty(holder):
    return staticproperty(lambda: holder)


def by_classproperty(holder):
    return classproperty(lambda cls: holder)


def by_staticmethod(holder):
    return staticmethod(lambda: holder)


in_any_way = pytest.mark.parametrize(
    "given", [by_attribute, by_instance, by_staticproperty, by_classproperty, by_staticmethod]
)


@in_any_way
def test_a_processing_factory_is_given_in_any_of_these_ways(given):
    eng = engine_for(task, factory=given(Factory))
    eng.process(["x"])
    assert eng.trace[0] == "before_processing"
    assert eng.trace[-2:] == ["after_object x", "after_processing"]


@in_any_way
def test_an_action_mapper_is_given_in_any_of_these_ways(given):
    factory = type("Factory", (ProcessingFactory,), {"action_mapper": given(Mapper)})
    eng = engine_for(task, factory=factory)
    eng.process(["x"])
    assert eng.trace == [
        "before_callbacks x",
        "before_each_callback x",
        "task x",
        "after_each_callback x",
        "after_callbacks x",
    ]


@in_any_way
def test_a_transition_exception_mapper_is_given_in_any_of_these_ways(given):
    class Handlers(TransitionActions):
        @staticmethod
        def LookupError(obj, eng, callbacks, e):
            eng.trace.append("handled")

    factory = type(
        "Factory", (ProcessingFactory,), {"transition_exception_mapper": given(Handlers)}
    )
    eng = engine_for(fail, factory=factory)
    eng.process(["x"])
    assert eng.trace == ["handled"]


@in_any_way
def test_a_signal_sender_is_given_in_any_of_these_ways(given):
    class Sender(Signal):
        @staticmethod
        def workflow_started(eng, **context):
            eng.trace.append("started")

    eng = type("Engine", (Traced,), {"signal": given(Sender)})()
    eng.callbacks.replace([task])
    eng.process(["x"])
    assert eng.trace == ["started", "task x"]


def test_an_instance_keeps_its_own_state():
    class Counting(ProcessingFactory):
        def __init__(self):
            self.count = 0

        def after_object(self, eng, objects, obj):
            self.count += 1

    counting = Counting()
    engine_for(task, factory=counting).process(["x", "y"])
    assert counting.count == 2


def test_a_property_of_the_engine_chooses_by_instance():
    class Choosing(Traced):
        processing_factory = property(
            lambda self: Factory if self.extra_data else ProcessingFactory
        )

    eng = Choosing()
    eng.callbacks.replace([task])
    eng.process(["x"])
    assert eng.trace == ["task x"]
    eng.extra_data["hooked"] = True
    eng.process(["x"])
    assert "before_processing" in eng.trace


def test_super_reaches_the_class_before():
    class More(Factory):
        @classmethod
        def before_object(cls, eng, objects, obj):
            super().before_object(eng, objects, obj)
            eng.trace.append("more")

    eng = engine_for(task, factory=More)
    eng.process(["x"])
    assert eng.trace[1:3] == ["before_object x", "more"]


def test_a_holder_need_not_derive_from_ours():
    class Bare:
        @staticmethod
        def before_object(eng, objects, obj):
            eng.trace.append("bare")

    eng = engine_for(task, factory=Bare)
    eng.process(["x"])
    assert eng.trace == ["bare", "task x"]


@pytest.mark.parametrize(
    "held",
    [ProcessingFactory.action_mapper, ProcessingFactory.transition_exception_mapper],
)
def test_the_defaults_do_nothing_but_steer(held):
    assert held in (ActionMapper, TransitionActions)
    assert GenericWorkflowEngine.processing_factory is ProcessingFactory


# What they raise


TOKEN_HOOKS = [
    (Factory, "before_object"),
    (Factory, "after_object"),
    (Mapper, "before_callbacks"),
    (Mapper, "after_callbacks"),
    (Mapper, "before_each_callback"),
    (Mapper, "after_each_callback"),
]


def raising_on_x(base, hook, error):
    """Return a factory whose hook raises for token ``x``."""

    def raise_it(eng, *args):
        getattr(base, hook)(eng, *args)
        if args[-1] == "x":
            raise error

    changed = type("Raising", (base,), {hook: staticmethod(raise_it)})
    if base is Factory:
        return changed
    return type("RaisingFactory", (Factory,), {"action_mapper": changed})


@pytest.mark.parametrize(("base", "hook"), TOKEN_HOOKS)
def test_a_transition_raised_by_a_hook_steers_the_run(base, hook):
    eng = engine_for(task, factory=raising_on_x(base, hook, ContinueNextToken()))
    eng.process(["x", "y"])
    assert eng.trace[-2:] == ["after_object y", "after_processing"]
    assert "task y" in eng.trace


@pytest.mark.parametrize(("base", "hook"), TOKEN_HOOKS)
def test_an_exception_raised_by_a_hook_goes_to_the_handlers(base, hook):
    eng = engine_for(task, factory=raising_on_x(base, hook, LookupError("in the hook")))
    with pytest.raises(LookupError, match="in the hook") as caught:
        eng.process(["x", "y"])
    assert caught.value.__notes__[0].startswith("wfengine: at token 0")
    eng.trace.clear()
    eng.process(["x", "y"], stop_on_error=False)
    assert eng.trace[-2:] == ["after_object y", "after_processing"]


@pytest.mark.parametrize("hook", ["before_object", "before_callbacks", "before_each_callback"])
def test_a_hook_that_raises_before_a_task_keeps_it_from_running(hook):
    base = Factory if hook == "before_object" else Mapper
    eng = engine_for(task, factory=raising_on_x(base, hook, SkipToken()))
    eng.process(["x"])
    assert "task x" not in eng.trace
    assert f"{hook} x" in eng.trace


@pytest.mark.parametrize("hook", ["before_each_callback", "after_each_callback"])
def test_a_hook_around_a_task_may_jump(hook):
    eng = engine_for(
        task, fail, lambda obj, eng: None, factory=raising_on_x(Mapper, hook, JumpCall(2))
    )
    eng.process(["x"])
    assert "after_object x" in eng.trace


def test_an_exception_before_the_first_token_reaches_the_caller():
    class Failing(Factory):
        @staticmethod
        def before_processing(eng, objects):
            raise LookupError("no connection")

    eng = engine_for(task, factory=Failing)
    with pytest.raises(LookupError, match="no connection"):
        eng.process(["x"])
    assert eng.trace == []
    assert not eng.has_completed


# Handlers


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

    eng = engine_for(last, factory=ProcessingFactory)
    eng.process(["x", "y"])
    assert eng.trace == (["task x"] if steer is Break else ["task x", "task y"])
    assert eng.has_completed


def test_an_error_of_the_engine_itself_goes_to_the_handlers_too():
    class Choosing(Engine):
        processing_factory = ProcessingFactory

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


def test_a_handler_may_stop_by_raising_stop_itself_only_through_break():
    """A transition raised by a handler is not handled again: it leaves the run."""
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
