"""Hooks: what a subclass has done around runs, tokens and tasks, and about exceptions."""

import pytest

from wfengine.engine import (
    ActionMapper,
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


@pytest.mark.parametrize("hook", ["before_processing", "after_processing"])
def test_what_a_hook_around_the_run_raises_reaches_the_caller_as_it_is(hook):
    def raise_it(eng, objects):
        raise LookupError("no connection")

    eng = engine_for(task, factory=type("Failing", (Factory,), {hook: staticmethod(raise_it)}))
    with pytest.raises(LookupError, match="no connection") as caught:
        eng.process(["x"], stop_on_error=False)
    assert not hasattr(caught.value, "__notes__")
    assert ("task x" in eng.trace) is (hook == "after_processing")
    assert not eng.has_completed
