"""What the engine raises: it carries its context, prints it, and survives copy and pickle."""

import copy
import pickle

import pytest

from wfengine import errors
from wfengine.engine import GenericWorkflowEngine
from wfengine.errors import (
    AbortProcessing,
    BreakFromThisLoop,
    ContinueNextToken,
    HaltProcessing,
    JumpCall,
    JumpToken,
    SkipToken,
    StopProcessing,
    WorkflowAPIError,
    WorkflowDefinitionError,
    WorkflowError,
    WorkflowObjectStatusError,
    WorkflowTransition,
)

TRANSITIONS = [
    StopProcessing(),
    AbortProcessing(),
    ContinueNextToken(),
    SkipToken(),
    HaltProcessing(),
    HaltProcessing("list exhausted", "refill", {"left": 0}),
    JumpToken(-2),
    JumpCall(3),
    JumpCall(1, levels=2),
    BreakFromThisLoop(),
    BreakFromThisLoop(3),
]
FAULTS = [
    WorkflowError(),
    WorkflowError("broken", "a-uuid", 7, ["any", "data"]),
    WorkflowDefinitionError("not a task", id_workflow="a-uuid"),
    WorkflowObjectStatusError("halted", id_object=7),
    WorkflowAPIError("not so", payload=1),
]
EVERY_ONE = pytest.mark.parametrize("error", [*TRANSITIONS, *FAULTS], ids=repr)


def looks(error):
    return type(error), error.args, vars(error), str(error), repr(error)


@EVERY_ONE
def test_it_survives_pickle(error):
    assert looks(pickle.loads(pickle.dumps(error))) == looks(error)


@EVERY_ONE
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_it_survives_copy(copied, error):
    twin = copied(error)
    assert twin is not error
    assert looks(twin) == looks(error)


@pytest.mark.parametrize("error", TRANSITIONS, ids=repr)
def test_every_transition_has_the_same_root(error):
    assert isinstance(error, WorkflowTransition)
    assert not isinstance(error, WorkflowError)


@pytest.mark.parametrize("error", FAULTS, ids=repr)
def test_every_fault_is_a_workflow_error(error):
    assert isinstance(error, WorkflowError)
    assert not isinstance(error, WorkflowTransition)


@EVERY_ONE
def test_all_are_exceptions_as_the_manuals_users_rely_on(error):
    assert isinstance(error, Exception)


# What they carry


def test_a_halt_carries_message_action_and_payload():
    halt = HaltProcessing("list exhausted", action="refill", payload={"left": 0})
    assert (halt.message, halt.action, halt.payload) == ("list exhausted", "refill", {"left": 0})


def test_a_halt_needs_none_of_them():
    halt = HaltProcessing()
    assert (halt.message, halt.action, halt.payload) == ("", None, None)


def test_an_error_carries_run_token_and_payload():
    error = WorkflowError("broken", id_workflow="a-uuid", id_object=7, payload=["x"])
    assert (error.message, error.id_workflow, error.id_object) == ("broken", "a-uuid", 7)
    assert error.payload == ["x"]


def test_a_jump_carries_its_offset_and_levels():
    assert (JumpCall(3, 2).offset, JumpCall(3, 2).levels) == (3, 2)
    assert JumpCall(3).levels == 0
    assert JumpToken(-2).offset == -2
    assert BreakFromThisLoop().levels == 1
    assert BreakFromThisLoop(2).levels == 2


# How they print


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (HaltProcessing("list exhausted"), "list exhausted"),
        (HaltProcessing("list exhausted", "refill"), "list exhausted (action: refill)"),
        (HaltProcessing(action="refill", payload=1), "(action: refill)"),
        (HaltProcessing(), ""),
        (WorkflowError("broken"), "broken"),
        (WorkflowError("broken", "a-uuid"), "broken (workflow: a-uuid)"),
        (WorkflowError("broken", id_object=0), "broken (object: 0)"),
        (WorkflowError("broken", "a-uuid", 7), "broken (workflow: a-uuid, object: 7)"),
        (WorkflowError(), ""),
        (WorkflowError(id_object=7), "(object: 7)"),
        (WorkflowError(7), "7"),
    ],
)
def test_an_error_prints_its_context(error, text):
    assert str(error) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StopProcessing(), "StopProcessing()"),
        (HaltProcessing("why", "act"), "HaltProcessing('why', 'act', None)"),
        (JumpToken(-2), "JumpToken(-2)"),
        (JumpCall(3), "JumpCall(3, 0)"),
        (BreakFromThisLoop(2), "BreakFromThisLoop(2)"),
        (WorkflowError("broken"), "WorkflowError('broken', None, None, None)"),
        (WorkflowAPIError("no", 1), "WorkflowAPIError('no', 1, None, None)"),
    ],
)
def test_the_repr_is_how_it_was_made(error, text):
    assert repr(error) == text


@EVERY_ONE
def test_the_repr_makes_an_equal_one(error):
    assert looks(eval(repr(error), vars(errors))) == looks(error)


# What cannot be a transition


@pytest.mark.parametrize("offset", ["1", 1.0, None, True])
@pytest.mark.parametrize(
    "jump",
    [JumpCall, JumpToken, GenericWorkflowEngine().jump_call, GenericWorkflowEngine().jump_token],
)
def test_an_offset_is_a_whole_number(jump, offset):
    with pytest.raises(TypeError, match="offset is a whole number, not"):
        jump(offset)


@pytest.mark.parametrize("levels", ["1", 1.0, True])
def test_levels_are_a_whole_number(levels):
    with pytest.raises(TypeError, match="a number of levels is a whole number, not"):
        BreakFromThisLoop(levels)
    with pytest.raises(TypeError, match="a number of levels is a whole number, not"):
        JumpCall(1, levels)


def test_a_jump_leaves_no_less_than_no_list_and_a_break_one():
    with pytest.raises(ValueError, match="at least 0, not -1"):
        JumpCall(1, -1)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        BreakFromThisLoop(0)


# The engine's methods raise them


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda eng: eng.stop(), StopProcessing()),
        (lambda eng: eng.abort(), AbortProcessing()),
        (lambda eng: eng.halt(), HaltProcessing("", None, None)),
        (lambda eng: eng.halt("why", "act", 1), HaltProcessing("why", "act", 1)),
        (lambda eng: eng.halt(msg="why", action="act", payload=1), HaltProcessing("why", "act", 1)),
        (lambda eng: eng.continue_next_token(), ContinueNextToken()),
        (lambda eng: eng.skip_token(), SkipToken()),
        (lambda eng: eng.jump_token(-2), JumpToken(-2)),
        (lambda eng: eng.jump_call(3), JumpCall(3, 0)),
        (lambda eng: eng.jump_call(3, levels=1), JumpCall(3, 1)),
        (lambda eng: eng.break_current_loop(), BreakFromThisLoop(1)),
        (lambda eng: eng.break_current_loop(2), BreakFromThisLoop(2)),
    ],
)
def test_each_method_of_the_engine_raises_its_transition(call, error):
    with pytest.raises(type(error)) as caught:
        call(GenericWorkflowEngine())
    assert looks(caught.value) == looks(error)


def test_several_errors_are_raised_together_and_one_by_itself():
    one, other = ValueError("one"), OSError("other")
    assert errors.together("several", [one]) is one
    group = errors.together("several", [one, other])
    assert isinstance(group, ExceptionGroup)
    assert group.exceptions == (one, other)
    assert group.message == "several"


def test_a_name_that_was_never_there_is_an_attribute_error():
    with pytest.raises(
        AttributeError, match=r"'wfengine\.errors' has no attribute 'WorkflowFault'"
    ):
        _ = errors.WorkflowFault
