"""The engine: tokens go through a definition one by one, and the engine knows where it stands."""

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import wfengine
from wfengine.engine import BranchFailure, GenericWorkflowEngine, MachineState, ProcessingFactory
from wfengine.errors import HaltProcessing, WorkflowAPIError, WorkflowDefinitionError


def mark(name):
    """Return a task that appends its name to the token, a list."""

    def task(obj, eng):
        obj.append(name)

    task.__name__ = name
    return task


def fail(obj, eng):
    raise ValueError("out of range")


def halt(obj, eng):
    eng.halt("look at this")


def engine_for(*definition):
    eng = GenericWorkflowEngine()
    eng.callbacks.replace(definition)
    return eng


def nested(depth, task):
    """Return a task inside of so many lists."""
    definition = [task]
    for _ in range(depth - 1):
        definition = [definition]
    return definition


# The order of things


def test_every_token_goes_through_all_tasks():
    tokens = [[], []]
    engine_for(mark("a"), mark("b")).process(tokens)
    assert tokens == [["a", "b"], ["a", "b"]]


def test_a_token_is_done_before_the_next_one_begins():
    seen = []
    engine_for(
        lambda obj, eng: seen.append((obj, 1)), lambda obj, eng: seen.append((obj, 2))
    ).process(["x", "y"])
    assert seen == [("x", 1), ("x", 2), ("y", 1), ("y", 2)]


def test_nested_lists_run_in_the_order_they_are_written():
    token = []
    engine_for(mark("a"), [mark("b"), [mark("c")], []], mark("d")).process([token])
    assert token == ["a", "b", "c", "d"]


def test_no_tokens_is_a_run_with_nothing_to_do():
    eng = engine_for(fail)
    eng.process([])
    assert eng.has_completed
    assert eng.state == MachineState(-1, [0])


def test_an_engine_is_used_again():
    token = []
    eng = engine_for(mark("a"))
    eng.process([token])
    eng.process([token])
    assert token == ["a", "a"]


def test_ten_thousand_nested_lists_run():
    token = []
    engine_for(*nested(10_000, mark("deep")), mark("after")).process([token])
    assert token == ["deep", "after"]


def test_ten_thousand_nested_lists_are_halted_and_taken_up_again():
    eng = engine_for(*nested(10_000, lambda obj, eng: obj or eng.halt()))
    tokens = [[]]
    with pytest.raises(HaltProcessing):
        eng.process(tokens)
    assert eng.state.callback_pos == [0] * 10_000
    tokens[0].append("decided")
    eng.restart("current", "current")
    assert eng.has_completed


# What runs next to the tokens


def test_extra_data_is_shared_by_all_tokens_and_kept_after_the_run():
    eng = engine_for(lambda obj, eng: eng.extra_data.setdefault("seen", []).append(obj))
    eng.process([1, 2])
    assert eng.extra_data == {"seen": [1, 2]}


def test_two_engines_share_neither_position_nor_data_nor_definition():
    one, other = GenericWorkflowEngine(), GenericWorkflowEngine()
    one.callbacks.add(lambda obj, eng: eng.extra_data.update(ran=True))
    one.process(["x"])
    assert other.state == MachineState()
    assert other.extra_data == {}
    assert other.callbacks.empty()
    assert len(other) == 0


def test_the_log_is_a_standard_logger():
    assert GenericWorkflowEngine().log is logging.getLogger("wfengine")


def test_init_logger_is_overridden_to_use_another_log():
    class Engine(GenericWorkflowEngine):
        def init_logger(self):
            return logging.getLogger("of.my.own")

    assert Engine().log.name == "of.my.own"


# Failing and halting


def test_an_exception_ends_the_run_and_reaches_the_caller():
    tokens = [[], []]
    with pytest.raises(ValueError, match="out of range"):
        engine_for(mark("a"), fail, mark("b")).process(tokens)
    assert tokens == [["a"], []]


def test_the_original_traceback_reaches_the_caller():
    with pytest.raises(ValueError, match="out of range") as caught:
        engine_for([fail]).process(["x"])
    assert caught.traceback[-1].frame.code.raw is fail.__code__
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("error", [IndexError, KeyError, AssertionError, RecursionError, OSError])
def test_whatever_a_task_raises_is_what_the_caller_gets(error):
    def raise_it(obj, eng):
        raise error("as it is")

    with pytest.raises(error, match="as it is") as caught:
        engine_for(raise_it).process(["x", "y"])
    assert type(caught.value) is error
    assert caught.traceback[-1].frame.code.raw is raise_it.__code__


def test_a_stop_iteration_is_the_cause_of_an_error_as_in_every_generator():
    def read_on(obj, eng):
        next(iter([]))

    with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
        engine_for([read_on]).process(["x"])
    assert isinstance(caught.value.__cause__, StopIteration)
    assert caught.value.__notes__ == ["wfengine: at token 0, task 'read_on' at [0, 0]"]


@dataclass(frozen=True)
class FrozenError(Exception):
    code: int


def test_an_exception_that_takes_no_note_is_what_the_caller_gets_too():
    def raise_it(obj, eng):
        raise FrozenError(3)

    with pytest.raises(FrozenError) as caught:
        engine_for(raise_it).process(["x"])
    assert caught.value.code == 3


def test_an_exception_carries_a_note_of_its_position():
    with pytest.raises(ValueError, match="out of range") as caught:
        engine_for(mark("a"), [mark("b"), fail]).process([[], []])
    assert caught.value.__notes__ == ["wfengine: at token 0, task 'fail' at [1, 1]"]


def test_the_position_is_noted_once_however_often_the_same_exception_passes():
    error = ValueError("the same object each time")

    def fail_with_it(obj, eng):
        raise error

    eng = engine_for(fail_with_it)
    for _ in range(2):
        with pytest.raises(ValueError, match="the same object"):
            eng.process(["x"])
    assert len(error.__notes__) == 1


def test_a_halt_carries_no_note():
    with pytest.raises(HaltProcessing) as caught:
        engine_for(halt).process(["x"])
    assert not hasattr(caught.value, "__notes__")


def test_without_stop_on_error_the_next_token_follows_a_failure():
    tokens = [[], []]
    engine_for(mark("a"), fail).process(tokens, stop_on_error=False)
    assert tokens == [["a"], ["a"]]


def test_without_stop_on_halt_the_next_token_follows_a_halt():
    tokens = [[], []]
    eng = engine_for(mark("a"), halt)
    eng.process(tokens, stop_on_halt=False)
    assert tokens == [["a"], ["a"]]
    assert eng.has_completed


def test_a_halt_is_no_error():
    with pytest.raises(HaltProcessing):
        engine_for(halt).process(["x"], stop_on_error=False)


def test_an_error_is_no_halt():
    with pytest.raises(ValueError, match="out of range"):
        engine_for(fail).process(["x"], stop_on_halt=False)


def test_the_arguments_of_process_stand_in_the_order_of_the_manual():
    eng, tokens = engine_for(mark("a"), fail), [[], [], []]
    eng.state.token_pos = 0
    eng.process(tokens, False, True, False, False)
    assert tokens == [[], ["a"], ["a"]]
    assert eng.initial_run is False


# Where the engine stands


def test_while_a_task_runs_the_position_addresses_it():
    seen = []

    def look(obj, eng):
        seen.append((eng.state.token_pos, list(eng.state.callback_pos)))

    engine_for(look, [look, [look]], look).process(["x", "y"])
    positions = [[0], [1, 0], [1, 1, 0], [2]]
    assert seen == [(token, position) for token in (0, 1) for position in positions]


def test_after_a_failure_the_position_still_addresses_the_task():
    eng = engine_for(mark("a"), [mark("b"), fail])
    with pytest.raises(ValueError, match="out of range"):
        eng.process([[], []])
    assert eng.state == MachineState(0, [1, 1])


def test_after_the_last_task_the_position_is_past_the_end():
    eng = engine_for(mark("a"), [mark("b")])
    eng.process([[], []])
    assert eng.state == MachineState(1, [2])


def test_the_current_object_is_the_token_at_the_position():
    eng = engine_for(lambda obj, eng: obj.append(eng.current_object is obj))
    tokens = [[], []]
    eng.process(tokens)
    assert tokens == [[True], [True]]
    assert eng.current_object is tokens[1]


def test_there_is_no_current_object_before_the_first_token():
    eng = engine_for(mark("a"))
    assert eng.current_object is None
    eng.process([])
    assert eng.current_object is None


def test_the_current_taskname_is_the_name_of_the_task_at_the_position():
    names = []

    def look(obj, eng):
        names.append(eng.current_taskname)

    eng = engine_for(look, [look], halt)
    assert eng.current_taskname is None
    with pytest.raises(HaltProcessing):
        eng.process(["x"])
    assert names == ["look", "look"]
    assert eng.current_taskname == "halt"


def test_there_is_no_current_taskname_past_the_end():
    eng = engine_for(mark("a"))
    eng.process([[]])
    assert eng.current_taskname is None


def test_an_object_without_a_name_is_called_by_its_type():
    class Callable:
        def __call__(self, obj, eng):
            obj.append(eng.current_taskname)

    token = []
    engine_for(Callable()).process([token])
    assert token == ["Callable"]


def test_the_length_is_the_number_of_tokens():
    eng = engine_for(mark("a"))
    assert len(eng) == 0
    eng.process([[], [], []])
    assert len(eng) == 3


def test_an_engine_is_true_even_without_tokens():
    assert GenericWorkflowEngine()


def test_the_tokens_are_kept_as_objects():
    tokens = [[], []]
    eng = engine_for(mark("a"))
    eng.process(tokens)
    assert eng.objects is tokens


def test_the_repr_says_class_and_position():
    eng = engine_for([fail])
    assert repr(eng) == "<GenericWorkflowEngine at token -1>"
    with pytest.raises(ValueError, match="out of range"):
        eng.process(["x"])
    assert repr(eng) == "<GenericWorkflowEngine at token 0, task 'fail' at [0, 0]>"


@pytest.mark.parametrize(
    ("last", "completed"),
    [
        (mark("a"), True),
        (lambda obj, eng: eng.stop(), True),
        (lambda obj, eng: eng.abort(), True),
        (lambda obj, eng: eng.continue_next_token(), True),
    ],
    ids=["end", "stop", "abort", "continue"],
)
def test_a_run_that_came_to_its_end_has_completed(last, completed):
    eng = engine_for(last)
    assert not eng.has_completed
    eng.process([[]])
    assert eng.has_completed is completed


@pytest.mark.parametrize("last", [halt, fail])
def test_a_run_that_halted_or_failed_has_not_completed(last):
    eng = engine_for(mark("a"))
    eng.process([[]])
    eng.callbacks.add(last)
    with pytest.raises((HaltProcessing, ValueError)):
        eng.process([[]])
    assert not eng.has_completed


def test_inside_a_run_the_engine_has_not_completed():
    seen = []
    eng = engine_for(lambda obj, eng: seen.append(eng.has_completed))
    eng.process(["x"])
    eng.process(["x"])
    assert seen == [False, False]


# Starting elsewhere


def test_the_position_is_reset_at_the_start_of_a_run():
    eng = engine_for(mark("a"), mark("b"))
    eng.state.token_pos, eng.state.callback_pos = 1, [1]
    tokens = [[], []]
    eng.process(tokens)
    assert tokens == [["a", "b"], ["a", "b"]]


def test_without_reset_state_the_run_starts_at_the_position():
    eng = engine_for(mark("a"), [mark("b"), mark("c")])
    eng.state.token_pos, eng.state.callback_pos = 0, [1, 1]
    tokens = [[], [], []]
    eng.process(tokens, reset_state=False)
    assert tokens == [[], ["c"], ["a", "b", "c"]]


def test_a_completed_engine_is_moved_and_started_at_the_position_too():
    eng = engine_for(mark("a"), mark("b"))
    eng.process([[], []])
    eng.state.token_pos, eng.state.callback_pos = 0, [1]
    tokens = [[], []]
    eng.process(tokens, reset_state=False)
    assert tokens == [[], ["b"]]


def test_more_tokens_are_pushed_through_without_reset_state():
    """The position goes on counting, and every new token starts at the first task."""
    eng = engine_for(mark("a"), mark("b"))
    tokens = [[]]
    eng.process(tokens)
    tokens.append([])
    eng.process(tokens, reset_state=False)
    assert tokens == [["a", "b"], ["a", "b"]]
    assert eng.state.token_pos == 1


def test_a_run_inside_a_task_of_the_same_engine_takes_the_place_of_the_outer_run():
    later = [["later"]]

    def start_over(obj, eng):
        if obj == ["first"]:
            eng.process(later)

    first, second = ["first"], ["second"]
    eng = engine_for(start_over, mark("a"))
    eng.process([first, second])
    assert (first, second, later) == (["first"], ["second"], [["later", "a"]])
    assert eng.objects is later
    assert eng.has_completed


def test_initial_run_is_kept_for_those_who_ask():
    seen = []
    eng = engine_for(lambda obj, eng: seen.append(eng.initial_run))
    eng.process(["x"])
    eng.process(["x"], initial_run=False)
    eng.restart("first", "first")
    assert seen == [True, False, False]


# Refusals, before anything has run


def test_an_engine_without_a_definition_says_how_to_set_one():
    with pytest.raises(WorkflowDefinitionError, match=r"empty.*eng\.callbacks\.replace"):
        GenericWorkflowEngine().process(["x"])


@pytest.mark.parametrize("definition", [[], [[]], [[], [[], ()]], [None]])
def test_a_definition_without_any_task_is_empty(definition):
    with pytest.raises(WorkflowDefinitionError, match="empty"):
        engine_for(*definition).process(["x"])


@pytest.mark.parametrize("objects", ["tokens", b"tokens", bytearray(b"x"), {"a": 1}, 7, None])
def test_what_is_no_collection_of_tokens_is_refused_before_anything_has_run(objects):
    runs = []

    class Factory(ProcessingFactory):
        @staticmethod
        def before_processing(eng, objects):
            runs.append(objects)

    class Engine(GenericWorkflowEngine):
        processing_factory = Factory

    eng = Engine()
    eng.callbacks.replace([mark("a")])
    eng.state.token_pos = 3
    with pytest.raises(WorkflowAPIError, match=r"write \[token\]"):
        eng.process(objects)
    assert runs == []
    assert eng.state.token_pos == 3


# What nobody uses costs nothing


def calls_into_the_library(eng, tokens):
    """Return how many Python functions of wfengine a run entered."""
    folder = str(Path(wfengine.__file__).parent)
    entered = 0

    def count(frame, event, argument):
        nonlocal entered
        entered += event == "call" and frame.f_code.co_filename.startswith(folder)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        eng.process(tokens)
    finally:
        sys.setprofile(before)
    return entered


def test_without_hooks_and_listeners_no_task_costs_a_call_into_the_library():
    def nothing(obj, eng): ...

    few, many = engine_for(*[nothing] * 10), engine_for(*[nothing] * 1000)
    assert calls_into_the_library(few, ["x"]) == calls_into_the_library(many, ["x"])


# Branches that nobody waits for


def test_what_came_out_of_a_branch_is_kept_on_the_engine(caplog):
    eng, error = engine_for(mark("a")), ValueError("lost")
    eng.branch_failed("0 (fetch)", 4, "token", error)
    assert eng.failed_branches == [BranchFailure("0 (fetch)", 4, error)]
    assert caplog.messages == ["branch 0 (fetch) of token 4 failed"]
    assert caplog.records[0].exc_info[1] is error


def test_a_halt_in_a_branch_is_kept_and_logged_as_a_warning(caplog):
    eng, halted = engine_for(mark("a")), HaltProcessing("who pays?", "ask")
    eng.branch_failed("1 (pay)", 0, "token", halted)
    assert eng.failed_branches == [BranchFailure("1 (pay)", 0, halted)]
    assert caplog.record_tuples == [
        ("wfengine", logging.WARNING, "branch 1 (pay) of token 0 halted: who pays? (action: ask)")
    ]
