"""The examples of the Workflow manual, in Python 3, with the output that the manual prints."""

import inspect
import queue
import threading
from functools import wraps

import pytest

from wfengine.engine import (
    ActionMapper,
    Callbacks,
    GenericWorkflowEngine,
    MachineState,
    ProcessingFactory,
    Signal,
    TransitionActions,
)
from wfengine.errors import HaltProcessing
from wfengine.patterns import PARALLEL_SPLIT, SYNCHRONIZE
from wfengine.patterns.controlflow import CMP, FOR, IF_ELSE

# Chapter 2.1: basic workflow use


def print_data(obj, eng):
    """Print the data found in the token."""
    print(obj.data)


def add_data(number_to_add):
    """Add number_to_add to obj.data."""

    @wraps(add_data)
    def _add_data(obj, eng):
        obj.data += number_to_add

    return _add_data


class MyObject:
    def __init__(self, data):
        self.data = data


def test_basic_workflow_use(capsys):
    my_engine = GenericWorkflowEngine()
    my_workflow_definition = [add_data(1), print_data]
    my_object0 = MyObject(0)
    my_object1 = MyObject(1)
    my_engine.callbacks.replace(my_workflow_definition)

    my_engine.process([my_object0, my_object1])
    assert capsys.readouterr().out == "1\n2\n"
    assert (my_object0.data, my_object1.data) == (1, 2)

    my_engine.process([my_object0, my_object1])
    assert capsys.readouterr().out == "2\n3\n"
    assert (my_object0.data, my_object1.data) == (2, 3)


# Chapter 2.2: loops and interrupts


def append_from(key):
    """Append data from a given `key` of the engine's `extra_data`."""

    def _append_from(obj, eng):
        obj.append(eng.extra_data[key])
        print("new data:", obj)

    return _append_from


def interrupt_workflow(obj, eng):
    """Raise the `HaltProcessing` exception.

    This is not handled by the engine and bubbles up to our code.
    """
    print("Raising HaltProcessing")
    eng.halt("interrupting this workflow.")


def restart_workflow(obj, eng):
    """Restart the engine with the current object, from the first task."""
    print("Restarting the engine")
    eng.restart("current", "first")


def loops_and_interrupts():
    my_workflow = [
        FOR(range(2), "my_current_value", [append_from("my_current_value")]),
        IF_ELSE(
            CMP((lambda o, e: o), [0, 1, 0, 1], "<"),
            [restart_workflow],
            [append_from("my_current_value"), interrupt_workflow],
        ),
    ]
    my_engine = GenericWorkflowEngine()
    my_engine.callbacks.replace(my_workflow)

    try:
        my_engine.process([[], [0, 1], [0, 1, 0, 1]])
    except HaltProcessing:
        while True:
            try:
                my_engine.restart("next", "first")
            except HaltProcessing:
                continue
            else:
                print("Done!", my_engine.objects)
                break


def test_loops_and_interrupts(capsys):
    loops_and_interrupts()
    assert (
        capsys.readouterr().out
        == """\
new data: [0]
new data: [0, 1]
Restarting the engine
new data: [0, 1, 0]
new data: [0, 1, 0, 1]
new data: [0, 1, 0, 1, 1]
Raising HaltProcessing
new data: [0, 1, 0]
new data: [0, 1, 0, 1]
new data: [0, 1, 0, 1, 1]
Raising HaltProcessing
new data: [0, 1, 0, 1, 0]
new data: [0, 1, 0, 1, 0, 1]
new data: [0, 1, 0, 1, 0, 1, 1]
Raising HaltProcessing
Done! [[0, 1, 0, 1, 1], [0, 1, 0, 1, 1], [0, 1, 0, 1, 0, 1, 1]]
"""
    )


# Chapter 2.4: the structure of a processing factory


@pytest.mark.parametrize(
    ("holder", "names"),
    [
        (
            ProcessingFactory,
            ["before_processing", "after_processing", "before_object", "after_object"],
        ),
        (
            ProcessingFactory.action_mapper,
            ["before_callbacks", "after_callbacks", "before_each_callback", "after_each_callback"],
        ),
        (
            ProcessingFactory.transition_exception_mapper,
            ["StopProcessing", "HaltProcessing", "ContinueNextToken", "JumpToken", "Exception"],
        ),
    ],
)
def test_a_processing_factory_has_this_structure_of_methods_and_properties(holder, names):
    assert [name for name in names if not callable(getattr(holder, name))] == []


# Chapter 4: useful engine methods


def visited(steer, tokens=4):
    """Return which tasks of which tokens run after the third token has steered, once, in a list."""
    trace, steered = [], []

    def mark(name):
        return lambda obj, eng: trace.append(f"{obj}{name}")

    def steer_once(obj, eng):
        if obj == 2 and not steered:
            steered.append(obj)
            trace.clear()
            steer(eng)

    eng = GenericWorkflowEngine()
    eng.callbacks.replace([[steer_once, mark("a"), mark("b"), mark("c")], mark("d")])
    eng.process(range(tokens))
    return trace


@pytest.mark.parametrize(
    ("sample_call", "description", "trace"),
    [
        (lambda eng: eng.stop(), "stop the workflow", ""),
        (lambda eng: eng.continue_next_token(), "continue from the next token", "3a 3b 3c 3d"),
        (
            lambda eng: eng.jump_token(-2),
            "jump offset tokens",
            "0a 0b 0c 0d 1a 1b 1c 1d 2a 2b 2c 2d 3a 3b 3c 3d",
        ),
        (lambda eng: eng.jump_call(3), "jump offset steps of a loop", "2c 2d 3a 3b 3c 3d"),
        (lambda eng: eng.break_current_loop(), "break out of the current loop", "2d 3a 3b 3c 3d"),
    ],
)
def test_useful_engine_methods(sample_call, description, trace):
    assert visited(sample_call) == trace.split(), description


def test_halt_the_workflow():
    with pytest.raises(HaltProcessing, match="list exhausted"):
        visited(lambda eng: eng.halt("list exhausted"))


# Chapter 5: patterns


def if_else(call):
    def inner_call(obj, eng):
        if call(obj, eng):  # if True, continue processing..
            eng.jump_call(1)
        else:  # ..else, skip the next step
            eng.jump_call(2)

    return inner_call


class Library:
    """The functions that the manual's definition names, noting that they were called."""

    def __init__(self, **answers):
        self.answers = answers
        self.called = []

    def __getattr__(self, name):
        def task(obj, eng):
            self.called.append(name)
            return self.answers.get(name)

        return task

    def definition(self):
        return [
            if_else(self.stage_submission),
            [
                [
                    if_else(self.fulltext_available),
                    [self.extract_metadata, self.populate_empty_fields],
                    [],
                ],
                [
                    if_else(self.check_for_duplicates),
                    [self.stop_processing],
                    [self.synchronize_fields, self.replace_values],
                ],
                self.check_mandatory_fields,
            ],
            [self.check_mandatory_fields, self.check_preferred_values, self.save_record],
        ]

    def run(self):
        eng = GenericWorkflowEngine()
        eng.callbacks.replace(self.definition())
        eng.process(["record"])
        return self.called


SAVE = ["check_mandatory_fields", "check_preferred_values", "save_record"]


def test_if_else_skips_the_next_step():
    assert Library(stage_submission=False).run() == ["stage_submission", *SAVE]


@pytest.mark.parametrize(
    ("fulltext", "steps"), [(True, ["extract_metadata", "populate_empty_fields"]), (False, [])]
)
@pytest.mark.parametrize(
    ("duplicates", "more"),
    [
        (True, ["stop_processing", "synchronize_fields", "replace_values"]),
        (False, ["synchronize_fields", "replace_values"]),
    ],
)
def test_if_else_continues_processing(fulltext, steps, duplicates, more):
    called = Library(
        stage_submission=True, fulltext_available=fulltext, check_for_duplicates=duplicates
    ).run()
    asked = ["stage_submission", "fulltext_available", *steps, "check_for_duplicates", *more]
    assert called == [*asked, "check_mandatory_fields", *SAVE]


# Chapter 5.1: parallel split


def test_parallel_split():
    """Tasks B, C, D are all started in parallel after task A; the workflow does not wait."""
    results, meet, go_on = queue.Queue(), threading.Barrier(3), threading.Event()

    def task_a(obj, eng):
        results.put("a")

    def branch(name):
        def task(obj, eng):
            meet.wait()
            go_on.wait()
            with eng.extra_data["lock"]:
                results.put((name, obj))

        return task

    task_b, task_c, task_d = map(branch, "bcd")
    eng = GenericWorkflowEngine()
    eng.callbacks.replace([task_a, PARALLEL_SPLIT(task_b, task_c, task_d)])
    eng.process(["token"])
    assert eng.has_completed
    assert results.get() == "a"
    assert results.empty()
    go_on.set()
    assert {results.get() for _ in range(3)} == {("b", "token"), ("c", "token"), ("d", "token")}


# Chapter 5.2: synchronisation


def test_synchronisation():
    """After the execution of task B, task C, and task D, task A is executed."""
    trace, meet = [], threading.Barrier(3)

    def branch(name):
        def task(obj, eng):
            meet.wait()
            with eng.extra_data["lock"]:
                trace.append(name)

        return task

    def task_a(obj, eng):
        trace.append("a")

    task_b, task_c, task_d = map(branch, "bcd")
    eng = GenericWorkflowEngine()
    eng.callbacks.replace([SYNCHRONIZE(task_b, task_c, task_d, task_a)])
    eng.process(["token"])
    assert sorted(trace[:3]) == ["b", "c", "d"]
    assert trace[3:] == ["a"]


# Chapter 6: the API


@pytest.mark.parametrize(
    ("holder", "name", "arguments"),
    [
        (GenericWorkflowEngine, "abort", ""),
        (GenericWorkflowEngine, "break_current_loop", ""),
        (GenericWorkflowEngine, "callback_chooser", "obj"),
        (GenericWorkflowEngine, "continue_next_token", ""),
        (GenericWorkflowEngine, "execute_callback", "callback, obj"),
        (GenericWorkflowEngine, "halt", "msg='', action=None, payload=None"),
        (GenericWorkflowEngine, "init_logger", ""),
        (GenericWorkflowEngine, "jump_call", "offset"),
        (GenericWorkflowEngine, "jump_token", "offset"),
        (
            GenericWorkflowEngine,
            "process",
            "objects, stop_on_error=True, stop_on_halt=True, initial_run=True, reset_state=True",
        ),
        (
            GenericWorkflowEngine,
            "restart",
            "obj, task, objects=None, stop_on_error=True, stop_on_halt=True",
        ),
        (GenericWorkflowEngine, "run_callbacks", "callbacks, objects, obj, indent=0"),
        (GenericWorkflowEngine, "skip_token", ""),
        (GenericWorkflowEngine, "stop", ""),
        (MachineState, "callback_pos_reset", ""),
        (MachineState, "reset", ""),
        (MachineState, "token_pos_reset", ""),
        (Callbacks, "add", "func, key='*'"),
        (Callbacks, "add_many", "list_or_tuple, key='*'"),
        (Callbacks, "clear", "key='*'"),
        (Callbacks, "clear_all", ""),
        (Callbacks, "empty", ""),
        (Callbacks, "get", "key='*'"),
        (Callbacks, "replace", "funcs, key='*'"),
    ],
)
def test_a_method_takes_the_arguments_that_the_manual_lists(holder, name, arguments):
    """Further ones, all with defaults, may follow."""
    signature = inspect.signature(getattr(holder(), name))
    shown = ", ".join(
        str(each.replace(annotation=each.empty)) for each in signature.parameters.values()
    )
    assert shown.replace(" = ", "=").startswith(arguments)
    listed = [argument.partition("=")[0] for argument in arguments.split(", ") if argument]
    assert all(
        name in listed or each.default is not each.empty
        for name, each in signature.parameters.items()
    )


def test_a_machine_state_takes_both_positions_and_none_for_the_default():
    assert MachineState(token_pos=None, callback_pos=None) == MachineState()


def test_cleanup_callables_is_a_method_of_the_class():
    assert Callbacks.cleanup_callables([print_data, (print_data,), None]) == [print_data] * 2


@pytest.mark.parametrize(
    "name", ["current_object", "current_taskname", "has_completed", "processing_factory", "state"]
)
def test_the_engine_has_the_attributes_that_the_manual_lists(name):
    assert hasattr(GenericWorkflowEngine(), name)


def test_the_processing_factory_is_ours_by_default():
    assert GenericWorkflowEngine.processing_factory is ProcessingFactory
    assert ProcessingFactory.action_mapper is ActionMapper
    assert ProcessingFactory.transition_exception_mapper is TransitionActions


@pytest.mark.parametrize(
    "name", ["workflow_error", "workflow_finished", "workflow_halted", "workflow_started"]
)
def test_signals_are_called_with_the_engine(name):
    getattr(Signal, name)(GenericWorkflowEngine())
