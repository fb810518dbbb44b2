"""Restarting: exactly at the token and the task that were asked for."""

import pytest

from wfengine.engine import (
    GenericWorkflowEngine,
    MachineState,
    ProcessingFactory,
    TransitionActions,
)
from wfengine.errors import HaltProcessing, WorkflowAPIError, WorkflowDefinitionError

TASKS = ["a", "b", "c", "d", "e"]


class Recorder:
    """An engine on ``[a, [b, c, [d]], e]`` that halts once, at a task of the second token."""

    def __init__(self, halt_at="c"):
        self.trace = []
        self.halt_at = halt_at
        self.engine = GenericWorkflowEngine()
        a, b, c, d, e = map(self.task, TASKS)
        self.engine.callbacks.replace([a, [b, c, [d]], e])

    def task(self, name):
        def run(obj, eng):
            self.trace.append((obj, name))
            if (obj, name) == (1, self.halt_at):
                self.halt_at = None
                eng.halt("look at this")

        run.__name__ = name
        return run

    def run_to_the_halt(self):
        with pytest.raises(HaltProcessing):
            self.engine.process([0, 1, 2])
        self.trace.clear()
        return self.engine


@pytest.fixture
def recorder():
    return Recorder()


def from_there_on(token, task):
    """Return the trace of a run that starts at this token and task."""
    first = [(token, name) for name in TASKS[TASKS.index(task) :]]
    return first + [(later, name) for later in range(token + 1, 3) for name in TASKS]


@pytest.mark.parametrize(
    ("task", "name"), [("prev", "b"), ("current", "c"), ("next", "d"), ("first", "a")]
)
@pytest.mark.parametrize(("obj", "token"), [("prev", 0), ("current", 1), ("next", 2), ("first", 0)])
def test_a_run_halted_in_a_nested_list_goes_on_exactly_there(recorder, obj, token, task, name):
    recorder.run_to_the_halt().restart(obj, task)
    assert recorder.trace == from_there_on(token, name)
    assert recorder.engine.has_completed


@pytest.mark.parametrize(
    ("halt_at", "task", "name"),
    [
        ("a", "prev", "a"),  # before the first is the first
        ("b", "prev", "b"),  # in its own list
        ("d", "prev", "d"),
        ("d", "next", "e"),  # past the end of both inner lists
        ("e", "prev", "b"),  # the one before is a list, entered at its start
        ("a", "next", "b"),
    ],
)
def test_prev_and_next_count_in_the_list_where_the_engine_stands(halt_at, task, name):
    recorder = Recorder(halt_at)
    recorder.run_to_the_halt().restart("current", task)
    assert recorder.trace == from_there_on(1, name)


def test_next_of_the_last_task_completes_the_token():
    recorder = Recorder("e")
    recorder.run_to_the_halt().restart("current", "next")
    assert recorder.trace == from_there_on(2, "a")


def test_before_the_first_token_is_the_first(recorder):
    eng = recorder.run_to_the_halt()
    eng.state.token_pos = 0
    eng.restart("prev", "first")
    assert recorder.trace == from_there_on(0, "a")


def test_past_the_last_token_there_is_nothing_left_to_run(recorder):
    eng = recorder.run_to_the_halt()
    eng.state.token_pos = 2
    eng.restart("next", "first")
    assert recorder.trace == []
    assert eng.has_completed


@pytest.mark.parametrize(
    ("task", "expected"),
    [("prev", [(2, "e")]), ("current", []), ("next", []), ("first", from_there_on(2, "a"))],
)
def test_a_completed_token_stands_past_its_last_task(recorder, task, expected):
    eng = recorder.run_to_the_halt()
    eng.restart("current", "current")
    recorder.trace.clear()
    eng.restart("current", task)
    assert recorder.trace == expected
    assert eng.has_completed


def test_a_failed_task_is_tried_again():
    attempts = []

    def work(obj, eng):
        attempts.append(obj)
        if len(attempts) == 1:
            raise OSError("the disk is full")

    eng = GenericWorkflowEngine()
    eng.callbacks.replace([[work]])
    with pytest.raises(OSError, match="disk"):
        eng.process(["x"])
    eng.restart("current", "current")
    assert attempts == ["x", "x"]


def test_a_run_that_was_interrupted_at_the_keyboard_goes_on():
    trace = []

    def work(obj, eng):
        trace.append(obj)
        if trace == ["x", "y"]:
            raise KeyboardInterrupt

    eng = GenericWorkflowEngine()
    eng.callbacks.replace([[work]])
    with pytest.raises(KeyboardInterrupt):
        eng.process(["x", "y", "z"])
    assert eng.state == MachineState(1, [0, 0])
    eng.restart("current", "current")
    assert trace == ["x", "y", "y", "z"]


def test_a_stored_position_is_resumed_by_another_engine(recorder):
    stored = recorder.run_to_the_halt().state.to_dict()
    other = Recorder(halt_at=None)
    other.engine.state = MachineState(**stored)
    other.engine.restart("current", "current", objects=[0, 1, 2])
    assert other.trace == from_there_on(1, "c")


def test_objects_takes_the_place_of_the_tokens(recorder):
    recorder.run_to_the_halt().restart("current", "next", objects=["x", "y"])
    assert recorder.trace == [("y", "d"), ("y", "e")]


def test_the_tokens_of_an_iterator_are_gone_through_further(recorder):
    with pytest.raises(HaltProcessing):
        recorder.engine.process(iter([0, 1, 2]))
    recorder.trace.clear()
    recorder.engine.restart("current", "next")
    assert recorder.trace == from_there_on(1, "d")


def test_a_restart_is_no_initial_run(recorder):
    eng = recorder.run_to_the_halt()
    assert eng.initial_run is True
    eng.restart("next", "first")
    assert eng.initial_run is False


def test_restart_stops_on_halts_unless_told_otherwise(recorder):
    eng = recorder.run_to_the_halt()
    recorder.halt_at = "c"
    with pytest.raises(HaltProcessing):
        eng.restart("current", "current")
    recorder.halt_at = "c"
    eng.restart("current", "current", stop_on_halt=False)
    assert recorder.trace[-5:] == from_there_on(2, "a")


def test_restart_stops_on_errors_unless_told_otherwise():
    def fail(obj, eng):
        raise ValueError(obj)

    eng = GenericWorkflowEngine()
    eng.callbacks.replace([fail])
    eng.process(["x", "y"], stop_on_error=False)
    with pytest.raises(ValueError, match="x"):
        eng.restart("first", "first")
    eng.restart("first", "first", stop_on_error=False)
    assert eng.has_completed


# From inside a task


def test_a_task_restarts_its_engine_and_the_outer_run_is_over():
    tokens = [[], []]

    def append(obj, eng):
        obj.append(len(obj))

    def repeat_until_three(obj, eng):
        if len(obj) < 3:
            eng.restart("current", "first")

    eng = GenericWorkflowEngine()
    eng.callbacks.replace([append, [repeat_until_three], lambda obj, eng: obj.append("end")])
    eng.process(tokens)
    assert tokens == [[0, 1, 2, "end"], [0, 1, 2, "end"]]
    assert eng.has_completed


class Handlers(TransitionActions):
    @staticmethod
    def HaltProcessing(obj, eng, callbacks, e):
        eng.extra_data.setdefault("halts", []).append(e)
        raise e


class Factory(ProcessingFactory):
    transition_exception_mapper = Handlers

    @staticmethod
    def after_processing(eng, objects):
        eng.extra_data.setdefault("runs", []).append(list(objects))


class Engine(GenericWorkflowEngine):
    processing_factory = Factory


def test_a_halt_after_a_restart_from_inside_is_handled_once():
    def restart_or_halt(obj, eng):
        if obj == 0:
            eng.restart("next", "first")
        eng.halt("here")

    eng = Engine()
    eng.callbacks.replace([restart_or_halt])
    with pytest.raises(HaltProcessing) as caught:
        eng.process([0, 1, 2])
    assert eng.extra_data == {"halts": [caught.value]}
    assert eng.state == MachineState(1, [0])
    assert not eng.has_completed


def test_after_a_restart_from_inside_only_the_inner_run_is_wound_up():
    eng = Engine()
    eng.callbacks.replace([lambda obj, eng: obj == 0 and eng.restart("next", "first")])
    eng.process([0, 1])
    assert eng.extra_data == {"runs": [[0, 1]]}


# Refusals


@pytest.mark.parametrize("point", ["last", "Next", "", None, 1, [], object()])
def test_an_unknown_point_is_refused_and_the_known_ones_are_named(recorder, point):
    eng = recorder.run_to_the_halt()
    before = eng.state.copy()
    known = "'prev', 'current', 'next', 'first'"
    with pytest.raises(WorkflowAPIError, match=f"restart's obj is one of {known}, not"):
        eng.restart(point, "first")
    with pytest.raises(WorkflowAPIError, match=f"restart's task is one of {known}, not"):
        eng.restart("current", point)
    assert eng.state == before
    assert recorder.trace == []


def test_an_engine_that_has_never_run_has_nothing_to_restart(recorder):
    with pytest.raises(WorkflowAPIError, match=r"call process\(\) first, or pass objects="):
        recorder.engine.restart("current", "current")


def test_objects_are_checked_as_in_process(recorder):
    with pytest.raises(WorkflowAPIError, match=r"write \[token\]"):
        recorder.run_to_the_halt().restart("current", "current", objects="tokens")


@pytest.mark.parametrize(
    ("position", "what"),
    [
        ([0, 0], r"at \[0\] is the task 'a', not a list"),
        ([1, 9, 0], r"at \[1, 9\] there is nothing"),
        ([7], r"at \[7\] there is nothing"),
        ([1, 2, 5], r"at \[1, 2, 5\] there is nothing"),
    ],
)
def test_a_position_that_the_definition_does_not_have_is_refused(recorder, position, what):
    recorder.engine.state = MachineState(0, position)
    with pytest.raises(WorkflowDefinitionError, match=f"not in this definition: {what}") as caught:
        recorder.engine.restart("current", "current", objects=[0, 1, 2])
    assert str(position) in caught.value.message
    assert "Was the definition changed" in caught.value.message
    assert recorder.trace == []
