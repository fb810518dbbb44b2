"""Frames: what patterns remember belongs to the position, and is plain data."""

import json

import pytest

from wfengine.engine import GenericWorkflowEngine, MachineState
from wfengine.errors import HaltProcessing
from wfengine.frames import FRAMES, Live, drop_inner, enter, find, leave, live_of
from wfengine.patterns import FOR


@pytest.fixture
def eng():
    return GenericWorkflowEngine()


def stand(eng, *position):
    eng.state.callback_pos = list(position)


def test_a_frame_is_found_where_it_was_begun(eng):
    stand(eng, 0, 1)
    frame = enter(eng, "FOR")
    frame["turn"] = 3
    assert find(eng, "FOR") is frame
    assert frame == {"kind": "FOR", "depth": 2, "turn": 3}


def test_a_frame_of_another_kind_is_not_found(eng):
    enter(eng, "FOR")
    assert find(eng, "TRY") is None


def test_a_frame_is_not_found_further_in(eng):
    enter(eng, "FOR")
    stand(eng, 0, 0)
    assert find(eng, "FOR") is None


def test_where_nothing_was_begun_nothing_is_found(eng):
    assert find(eng, "FOR") is None


def test_a_frame_is_found_from_inside_so_many_lists_further_out(eng):
    outer = enter(eng, "FOR")
    stand(eng, 0, 0, 0)
    assert find(eng, "FOR", levels=2) is outer
    assert find(eng, "FOR", levels=1) is None


def test_looking_further_out_drops_what_is_further_in(eng):
    outer = enter(eng, "FOR")
    stand(eng, 0, 0)
    enter(eng, "FOR")
    stand(eng, 0)
    assert find(eng, "FOR") is outer
    stand(eng, 0, 0)
    assert find(eng, "FOR") is None


def test_beginning_again_drops_what_was_there(eng):
    enter(eng, "FOR")["turn"] = 3
    stand(eng, 0, 0)
    enter(eng, "TRY")
    stand(eng, 0)
    again = enter(eng, "FOR")
    assert again == {"kind": "FOR", "depth": 1}
    assert eng.extra_data[FRAMES] == [again]


def test_a_frame_that_is_left_is_gone_and_no_trace_remains(eng):
    outer = enter(eng, "FOR")
    stand(eng, 0, 0)
    inner = enter(eng, "FOR")
    leave(eng, inner)
    assert eng.extra_data[FRAMES] == [outer]
    leave(eng, outer)
    assert eng.extra_data == {}


def test_a_frame_is_left_with_those_further_in(eng):
    outer = enter(eng, "FOR")
    live = Live(eng, outer)
    stand(eng, 0, 0)
    inner = enter(eng, "FOR")
    Live(eng, inner)
    stand(eng, 0, 0, 0)
    Live(eng, enter(eng, "TRY"))
    leave(eng, inner)
    assert eng.extra_data[FRAMES] == [outer]
    assert eng.live is live


def test_a_frame_that_is_gone_does_not_take_along_the_one_in_its_place(eng):
    gone = enter(eng, "FOR")
    other = enter(eng, "FOR")
    leave(eng, gone)
    assert eng.extra_data[FRAMES] == [other]


def test_leaving_a_place_drops_what_is_inside_of_it(eng):
    outer = enter(eng, "FOR")
    stand(eng, 0, 0)
    Live(eng, enter(eng, "FOR"))
    drop_inner(eng)
    assert eng.extra_data[FRAMES] == [outer]
    assert eng.live is None
    stand(eng, 0)
    drop_inner(eng)
    assert eng.extra_data == {}


def test_leaving_a_place_may_keep_its_own_frame(eng):
    outer = enter(eng, "FOR")
    live = Live(eng, outer)
    stand(eng, 0, 0)
    Live(eng, enter(eng, "FOR"))
    stand(eng, 0)
    drop_inner(eng, keep=True)
    assert eng.extra_data[FRAMES] == [outer]
    assert eng.live is live


def test_where_nothing_was_begun_there_is_nothing_to_drop(eng):
    drop_inner(eng)
    assert eng.extra_data == {}


# What cannot be stored


def test_the_live_part_of_a_frame_is_found_until_the_frame_is_left(eng):
    frame = enter(eng, "FOR")
    live = Live(eng, frame)
    assert live_of(eng, frame) is live
    leave(eng, frame)
    assert eng.live is None


def test_looking_for_an_outer_live_part_drops_those_further_in(eng):
    outer, inner = {"depth": 1}, {"depth": 2}
    of_outer = Live(eng, outer)
    Live(eng, inner)
    assert live_of(eng, outer) is of_outer
    assert live_of(eng, inner) is None


def test_a_frame_brought_back_from_storage_has_no_live_part(eng):
    Live(eng, enter(eng, "FOR"))
    assert live_of(eng, {"kind": "FOR", "depth": 1}) is None


# In a run


def note(obj, eng):
    obj.append(eng.extra_data["item"])


def halt_at_two(obj, eng):
    if eng.extra_data["item"] == 2 and "decided" not in eng.extra_data:
        eng.halt()


def halted_in_a_loop():
    eng = GenericWorkflowEngine()
    eng.callbacks.replace([[FOR([1, 2, 3], "item", [halt_at_two, note])]])
    with pytest.raises(HaltProcessing):
        eng.process([[], []])
    return eng


def test_a_halted_run_is_stored_and_resumed_by_another_engine():
    eng = halted_in_a_loop()
    stored = json.dumps([eng.state.to_dict(), eng.extra_data])
    state, extra_data = json.loads(stored)
    other = GenericWorkflowEngine()
    other.callbacks.replace(eng.callbacks.get())
    other.state, other.extra_data = MachineState(**state), {**extra_data, "decided": True}
    tokens = [[1], []]
    other.restart("current", "current", objects=tokens)
    assert tokens == [[1, 2, 3], [1, 2, 3]]
    assert FRAMES not in other.extra_data


@pytest.mark.parametrize(
    ("obj", "task", "tokens"),
    [
        ("current", "current", [[1, 2, 3], [1, 2, 3]]),
        ("current", "next", [[1, 2, 3], [1, 2, 3]]),
        ("current", "first", [[1, 1, 2, 3], [1, 2, 3]]),
        ("next", "first", [[1], [1, 2, 3]]),
    ],
)
def test_a_loop_goes_on_or_starts_anew_as_the_restart_says(obj, task, tokens):
    eng = halted_in_a_loop()
    eng.extra_data["decided"] = True
    eng.restart(obj, task)
    assert eng.objects == tokens


def test_another_token_does_not_go_on_with_the_loop_of_the_halted_one():
    """Where a token is started in the middle of a loop that it never entered, the loop begins."""
    eng = halted_in_a_loop()
    eng.extra_data["decided"] = True
    eng.restart("next", "current")
    assert eng.objects[0] == [1]
    assert eng.objects[1][-3:] == [1, 2, 3]


@pytest.mark.parametrize(
    "leave_early",
    [
        lambda eng: eng.skip_token(),
        lambda eng: eng.jump_token(1),
        lambda eng: eng.halt(),
        lambda eng: 1 / 0,
    ],
    ids=["skip_token", "jump_token", "halt", "failure"],
)
def test_a_token_that_is_left_in_the_middle_of_a_loop_leaves_nothing_to_the_next(leave_early):
    found = []

    def look(obj, eng):
        found.append(FRAMES in eng.extra_data)

    def note_and_leave(obj, eng):
        found.append(eng.extra_data["item"])
        leave_early(eng)

    eng = GenericWorkflowEngine()
    eng.callbacks.replace([look, FOR([1, 2, 3], "item", note_and_leave)])
    eng.process(["x", "y"], stop_on_error=False, stop_on_halt=False)
    assert found == [False, 1, False, 1]


def test_a_child_does_not_take_over_the_frames_of_its_parent(eng):
    enter(eng, "FOR")
    assert eng.child([note]).extra_data == {}
