"""MachineState: a position is a few integers that are checked, copied, compared and stored."""

import copy
import json
import pickle

import pytest

from wfengine.state import MachineState


def test_a_new_state_is_before_the_first_token_at_the_first_task():
    state = MachineState()
    assert (state.token_pos, state.callback_pos) == (-1, [0])


def test_none_stands_for_the_default():
    assert MachineState(None, None) == MachineState()
    state = MachineState(3, [1, 2])
    state.token_pos = state.callback_pos = None
    assert state == MachineState()


def test_a_position_is_given_by_place_or_by_name():
    assert MachineState(2, [1, 0]) == MachineState(token_pos=2, callback_pos=[1, 0])


def test_reset_goes_back_to_the_start():
    state = MachineState(3, [1, 2])
    state.reset()
    assert state == MachineState(-1, [0])


def test_the_token_is_reset_alone():
    state = MachineState(3, [1, 2])
    state.token_pos_reset()
    assert state == MachineState(-1, [1, 2])


def test_the_task_is_reset_alone():
    state = MachineState(3, [1, 2])
    state.callback_pos_reset()
    assert state == MachineState(3, [0])


# What cannot be a position


@pytest.mark.parametrize("token_pos", [-2, -100])
def test_a_token_below_minus_one_is_refused(token_pos):
    with pytest.raises(AttributeError, match=f"at least -1, not {token_pos}"):
        MachineState(token_pos)


@pytest.mark.parametrize("token_pos", ["1", 1.0, True, [0]])
def test_a_token_that_is_no_whole_number_is_refused(token_pos):
    with pytest.raises(TypeError, match="token_pos is a whole number"):
        MachineState(token_pos)


@pytest.mark.parametrize("callback_pos", [[], [-1], [0, -2]])
def test_a_task_that_cannot_exist_is_refused(callback_pos):
    with pytest.raises(AttributeError, match="callback_pos"):
        MachineState(0, callback_pos)


@pytest.mark.parametrize("callback_pos", [["0"], [0, None], [False], [[0]], "0", [0.5]])
def test_a_task_position_that_is_not_of_whole_numbers_is_refused(callback_pos):
    with pytest.raises(TypeError, match="callback_pos is a list of whole numbers"):
        MachineState(0, callback_pos)


@pytest.mark.parametrize(
    ("name", "value"), [("token_pos", -2), ("callback_pos", []), ("callback_pos", [-1])]
)
def test_what_is_assigned_is_checked_too(name, value):
    state = MachineState(3, [1])
    with pytest.raises(AttributeError):
        setattr(state, name, value)
    assert state == MachineState(3, [1])


def test_a_misspelt_attribute_is_refused():
    with pytest.raises(AttributeError):
        MachineState().tokenpos = 1


# Copying, comparing, storing


def test_states_compare_by_position():
    assert MachineState(1, [0, 2]) == MachineState(1, (0, 2))
    assert MachineState(1, [0, 2]) != MachineState(1, [0, 1])
    assert MachineState(1, [0]) != MachineState(2, [0])
    assert MachineState() != (-1, [0])


@pytest.mark.parametrize(
    "copied",
    [
        MachineState.copy,
        copy.copy,
        copy.deepcopy,
        lambda state: pickle.loads(pickle.dumps(state)),
        lambda state: MachineState(**json.loads(json.dumps(state.to_dict()))),
        lambda state: MachineState(state.token_pos, state.callback_pos),
    ],
    ids=["copy()", "copy", "deepcopy", "pickle", "json", "arguments"],
)
def test_a_copy_is_equal_and_shares_nothing(copied):
    state = MachineState(3, [1, 2])
    twin = copied(state)
    assert twin == state
    twin.callback_pos.append(0)
    twin.token_pos = 4
    assert state == MachineState(3, [1, 2])


def test_to_dict_is_plain_data_that_shares_nothing():
    state = MachineState(3, [1, 2])
    stored = state.to_dict()
    assert stored == {"token_pos": 3, "callback_pos": [1, 2]}
    stored["callback_pos"].append(0)
    assert state.callback_pos == [1, 2]


def test_the_repr_shows_both_positions():
    assert repr(MachineState(3, [1, 2])) == "MachineState(token_pos=3, callback_pos=[1, 2])"
