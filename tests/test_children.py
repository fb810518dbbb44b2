"""Children: engines for branches, which are a part of their parent's run."""

import pytest

from wfengine import signals
from wfengine.engine import (
    ActionMapper,
    BranchFailure,
    GenericWorkflowEngine,
    MachineState,
    ProcessingFactory,
    TransitionActions,
)
from wfengine.errors import HaltProcessing


def mark(name):
    """Return a task that appends its name to the token, a list."""

    def task(obj, eng):
        obj.append(name)

    task.__name__ = name
    return task


a, b = map(mark, "ab")


def fail(obj, eng):
    raise LookupError("not found")


def engine_for(*definition, engine_class=GenericWorkflowEngine):
    eng = engine_class()
    eng.callbacks.replace(definition)
    return eng


def branch(*definition):
    """Return a task that runs a definition in a child, as patterns with branches do."""

    def task(obj, eng):
        eng.child(definition).process([obj])

    task.__name__ = "branch"
    return task


def test_a_child_is_of_the_same_class_and_knows_its_parent():
    class Engine(GenericWorkflowEngine):
        pass

    parent = engine_for(a, engine_class=Engine)
    child = parent.child([b])
    assert type(child) is Engine
    assert child.parent is parent
    assert parent.parent is None


def test_a_child_has_a_definition_and_a_position_of_its_own():
    parent, token = engine_for(a, a), []
    child = parent.child([b, [b]])
    child.process([token])
    assert token == ["b", "b"]
    assert child.state == MachineState(0, [2])
    assert parent.state == MachineState()
    assert parent.callbacks.get() == [a, a]
    assert parent.objects == []


def test_a_child_of_a_running_engine_has_no_tokens_yet():
    seen = []

    def look(obj, eng):
        child = eng.child([a])
        seen.append((len(child), child.current_object, child.has_completed))

    engine_for(look).process([[], []])
    assert seen == [(0, None, False)] * 2


def test_a_child_starts_with_a_copy_of_extra_data():
    parent = engine_for(a)
    parent.extra_data["given"] = 1
    child = parent.child([lambda obj, eng: eng.extra_data.update(own=eng.extra_data["given"] + 1)])
    child.process(["x"])
    assert child.extra_data == {"given": 1, "own": 2}
    assert parent.extra_data == {"given": 1}


def test_a_child_has_the_attributes_that_a_subclass_gave_its_engines():
    class Engine(GenericWorkflowEngine):
        def __init__(self, session):
            super().__init__()
            self.session = session

    session = object()
    assert Engine(session).child([a]).session is session


def factory_noting(seen, name):
    """Return a factory that notes each task in a list."""

    class Mapper(ActionMapper):
        @staticmethod
        def before_each_callback(eng, callback_func, obj):
            seen.append((name, callback_func.__name__))

    class Factory(ProcessingFactory):
        action_mapper = Mapper

    return Factory


def test_a_child_may_be_given_hooks_of_its_own():
    seen = []

    class Engine(GenericWorkflowEngine):
        processing_factory = factory_noting(seen, "parent")

        def child(self, callbacks):
            child = super().child(callbacks)
            child.processing_factory = factory_noting(seen, "child")
            return child

    engine_for(branch(a), b, engine_class=Engine).process([[]])
    assert seen == [("parent", "branch"), ("child", "a"), ("parent", "b")]


def test_a_child_runs_its_definition_whatever_the_parent_chooses():
    class Choosing(GenericWorkflowEngine):
        def callback_chooser(self, obj):
            return [a]

    token = []
    Choosing().child([b]).process([token])
    assert token == ["b"]


def test_a_child_of_a_run_may_be_run_in_the_run():
    tokens = [[], []]
    engine_for(a, branch(b, [b]), a).process(tokens)
    assert tokens == [["a", "b", "b", "a"]] * 2


# What goes up


def test_what_a_child_raises_comes_out_of_its_process_and_says_both_positions():
    eng = engine_for(a, branch(a, [fail]))
    with pytest.raises(LookupError) as caught:
        eng.process([[]])
    assert caught.value.__notes__ == [
        "wfengine: at token 0, task 'fail' at [1, 0]",
        "wfengine: at token 0, task 'branch' at [1]",
    ]


def test_a_halt_in_a_child_halts_its_parent():
    eng = engine_for(a, branch(lambda obj, eng: eng.halt("both")), b)
    with pytest.raises(HaltProcessing, match="both"):
        eng.process([[]])
    assert eng.state == MachineState(0, [1])
    assert not eng.has_completed


def test_a_stop_in_a_child_ends_the_branch_only():
    token = []
    engine_for(branch(a, lambda obj, eng: eng.stop(), a), b).process([token])
    assert token == ["a", "b"]


def test_a_branch_that_nobody_waits_for_reports_to_the_outermost_engine():
    parent = engine_for(a)
    grandchild = parent.child([a]).child([b])
    error = ValueError("lost")
    grandchild.branch_failed("0 (b)", 2, "token", error)
    (failure,) = parent.failed_branches
    assert (failure.branch, failure.token_pos, failure.error) == ("0 (b)", 2, error)
    assert grandchild.failed_branches == []


def test_a_failure_that_its_caller_told_of_is_kept_by_the_outermost_engine_only():
    parent = engine_for(a)
    grandchild = parent.child([a]).child([b])
    error = ValueError("lost")
    grandchild.keep_branch_failure("0 (b)", 2, error)
    assert parent.failed_branches == [BranchFailure("0 (b)", 2, error)]
    assert grandchild.failed_branches == []


# What goes down


def test_an_interrupt_of_the_parent_stops_the_branch_too_and_neither_is_over():
    def interrupt_outermost(obj, eng):
        eng.parent.parent.interrupt()

    eng, tokens = engine_for(branch(branch(a, interrupt_outermost, a), a), b), [[], []]
    eng.process(tokens)
    assert tokens == [["a"], []]
    assert eng.state == MachineState(0, [0])


def test_an_interrupt_reaches_no_branch_that_has_ended():
    children = []

    def keep_child(obj, eng):
        child = eng.child([a])
        child.process([obj])
        children.append(child)
        eng.interrupt()

    engine_for(keep_child, b).process([[]])
    token = []
    children[0].process([token])
    assert token == ["a"]


# Hooks and signals


class Mapper(ActionMapper):
    @staticmethod
    def before_each_callback(eng, callback_func, obj):
        obj.append("each")

    @staticmethod
    def before_callbacks(eng, callbacks, obj):
        obj.append("callbacks")


class Handlers(TransitionActions):
    @staticmethod
    def Exception(obj, eng, callbacks, e):
        obj.append("handled")


class Factory(ProcessingFactory):
    action_mapper = Mapper
    transition_exception_mapper = Handlers

    @staticmethod
    def before_processing(eng, objects):
        objects[0].append("processing")

    @staticmethod
    def before_object(eng, objects, obj):
        obj.append("object")


class Hooked(GenericWorkflowEngine):
    processing_factory = Factory


def test_hooks_around_tasks_are_shared_and_those_around_runs_and_tokens_stay_with_the_parent():
    token = []
    engine_for(branch(b), engine_class=Hooked).process([token])
    assert token == ["processing", "object", "callbacks", "each", "each", "b"]


def test_handlers_stay_with_the_parent():
    token = []
    eng = engine_for(branch(fail, a), b, engine_class=Hooked)
    eng.process([token])
    assert token[-1] == "handled"
    assert token.count("handled") == 1
    assert "b" not in token


@pytest.mark.parametrize(
    "name", ["workflow_started", "workflow_finished", "token_started", "token_finished"]
)
def test_signals_around_runs_and_tokens_stay_with_the_parent(name):
    senders = []

    def note(sender, **context):
        senders.append(sender)

    eng = engine_for(branch(b))
    with getattr(signals, name).connected_to(note):
        eng.process([[]])
    assert senders == [eng]


@pytest.mark.parametrize(
    ("name", "last"),
    [("workflow_error", fail), ("workflow_halted", lambda obj, eng: eng.halt())],
)
def test_a_failure_and_a_halt_are_told_once(name, last):
    senders = []

    def note(sender, **context):
        senders.append(sender)

    eng = engine_for(branch(last))
    with getattr(signals, name).connected_to(note):
        eng.process([[]], stop_on_error=False, stop_on_halt=False)
    assert senders == [eng]


def test_signals_around_tasks_are_sent_by_the_engine_that_runs_them():
    senders = []

    def note(sender, callback, **context):
        senders.append((callback.__name__, sender.parent))

    eng = engine_for(branch(b))
    with signals.task_started.connected_to(note):
        eng.process([[]])
    assert senders == [("branch", None), ("b", eng)]
