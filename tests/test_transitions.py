"""Transitions: how a task steers the engine, in each of the ways in which the engine runs."""

import asyncio

import pytest

from wfengine import signals
from wfengine.callbacks import Enter
from wfengine.engine import GenericWorkflowEngine, MachineState, ProcessingFactory
from wfengine.errors import (
    AbortProcessing,
    BreakFromThisLoop,
    ContinueNextToken,
    HaltProcessing,
    JumpCall,
    JumpToken,
    SkipToken,
    StopProcessing,
    WorkflowError,
    WorkflowTransition,
)
from wfengine.patterns import WHILE


class Factory(ProcessingFactory):
    """Notes which tokens and which runs came to their end."""

    @staticmethod
    def after_object(eng, objects, obj):
        obj.append("done")

    @staticmethod
    def after_processing(eng, objects):
        eng.extra_data["processed"] = True


class Engine(GenericWorkflowEngine):
    processing_factory = Factory


def mark(name):
    """Return a task that appends its name to the token, a list."""

    def task(obj, eng):
        obj.append(name)

    task.__name__ = name
    return task


a, b, c, d, e = map(mark, "abcde")


def once(steer):
    """Return a task that steers each token one time, and does nothing when it comes back."""

    def task(obj, eng):
        if "once" not in obj:
            obj.append("once")
            return steer(eng)
        return None

    return task


def on_first(steer):
    """Return a task that steers the first token, and no other."""
    return lambda obj, eng: steer(eng) if eng.state.token_pos == 0 else None


def run_plain(eng, tokens):
    eng.process(tokens)


def run_watched(eng, tokens):
    def watch(sender, **context): ...

    with signals.task_started.connected_to(watch):
        eng.process(tokens)


def run_async(eng, tokens):
    asyncio.run(eng.process_async(tokens))


@pytest.fixture(params=[run_plain, run_watched, run_async])
def process(request):
    """Run a definition on so many empty lists; return the engine, and the lists as tokens."""

    def run(*definition, tokens=1):
        eng = Engine()
        eng.callbacks.replace(definition)
        eng.objects = [[] for _ in range(tokens)]
        request.param(eng, eng.objects)
        return eng

    return run


def trace(eng):
    """Return what the only token has gone through."""
    (token,) = eng.objects
    return token


# jump_call: n counts in the innermost list


@pytest.mark.parametrize(
    ("offset", "rest"),
    [
        (1, ["c", "d"]),
        (2, ["d"]),
        (0, ["c", "d"]),
        (-1, ["b", "c", "d"]),
        (-2, ["a", "b", "c", "d"]),
        (-9, ["a", "b", "c", "d"]),  # before the first is the first
        (3, []),  # past the last leaves the list, which here completes the token
        (9, []),
    ],
)
def test_a_task_jump_counts_from_the_task_itself(process, offset, rest):
    eng = process(a, b, once(lambda eng: eng.jump_call(offset)), c, d)
    assert trace(eng) == ["a", "b", "once", *rest, "done"]


def test_a_jump_past_the_end_goes_on_after_the_list(process):
    eng = process(a, [once(lambda eng: eng.jump_call(5)), b], c)
    assert trace(eng) == ["a", "once", "c", "done"]


def test_a_jump_does_not_leave_the_list_backwards(process):
    eng = process(a, [b, once(lambda eng: eng.jump_call(-5))], c)
    assert trace(eng) == ["a", "b", "once", "b", "c", "done"]


def test_a_jump_onto_a_list_enters_it_at_its_start(process):
    eng = process([a, b], once(lambda eng: eng.jump_call(-1)), c)
    assert trace(eng) == ["a", "b", "once", "a", "b", "c", "done"]


def test_a_nested_list_counts_as_one_task(process):
    eng = process(once(lambda eng: eng.jump_call(2)), [a, b], c)
    assert trace(eng) == ["once", "c", "done"]


@pytest.mark.parametrize(("levels", "rest"), [(0, ["b", "c", "d"]), (1, ["c", "d"]), (2, ["d"])])
def test_a_jump_leaves_as_many_lists_as_it_says_first(process, levels, rest):
    eng = process([[once(lambda eng: eng.jump_call(1, levels=levels)), b], c], d)
    assert trace(eng) == ["once", *rest, "done"]


def test_the_task_that_was_jumped_to_is_the_current_one(process):
    positions = []

    def look(obj, eng):
        positions.append(list(eng.state.callback_pos))

    process([once(lambda eng: eng.jump_call(2)), a, look, [look]], look)
    assert positions == [[0, 2], [0, 3, 0], [1]]


@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize(
    ("steer", "rest"),
    [
        (lambda eng: eng.jump_call(2), ["c", "d"]),
        (lambda eng: eng.break_current_loop(), ["c", "d"]),
        (lambda eng: eng.jump_call(2, levels=1), ["d"]),
        (lambda eng: eng.break_current_loop(2), ["e"]),
    ],
    ids=["past the end", "break", "further out", "break two"],
)
def test_a_condition_steers_in_the_list_of_its_loop(process, turns, steer, rest):
    """Whether it is asked for the first time or again."""

    def condition(obj, eng):
        return True if obj.count("a") < turns else steer(eng)

    eng = process([WHILE(condition, a), c, d], e)
    assert trace(eng) == ["a"] * turns + rest + (["e"] if rest != ["e"] else []) + ["done"]


# Breaks


def test_a_break_leaves_the_innermost_list(process):
    eng = process([a, [b, lambda obj, eng: eng.break_current_loop(), c], d], e)
    assert trace(eng) == ["a", "b", "d", "e", "done"]


def test_a_break_at_the_top_level_completes_the_token(process):
    eng = process(a, lambda obj, eng: eng.break_current_loop(), b, tokens=2)
    assert eng.objects == [["a", "done"], ["a", "done"]]


@pytest.mark.parametrize(
    ("levels", "rest"), [(1, ["c", "d", "e"]), (2, ["d", "e"]), (3, ["e"]), (4, []), (9, [])]
)
def test_a_break_leaves_as_many_lists_as_it_says(process, levels, rest):
    """Leaving the outermost list completes the token."""
    eng = process([[[lambda obj, eng: eng.break_current_loop(levels), b], c], d], e)
    assert trace(eng) == [*rest, "done"]


# Tokens


@pytest.mark.parametrize(
    ("offset", "visits"),
    [
        (1, [1, 1, 1, 1]),
        (2, [1, 1, 0, 1]),
        (0, [1, 2, 1, 1]),
        (-1, [2, 2, 1, 1]),
        (-9, [2, 2, 1, 1]),  # before the first is the first
        (9, [1, 1, 0, 0]),  # past the last is the end of the run
    ],
)
def test_a_token_jump_counts_from_the_current_token(process, offset, visits):
    jumped = []

    def jump(obj, eng):
        if eng.state.token_pos == 1 and not jumped:
            jumped.append(offset)
            eng.jump_token(offset)

    eng = process(a, jump, tokens=4)
    assert [token.count("a") for token in eng.objects] == visits
    assert eng.has_completed
    assert eng.extra_data["processed"]


@pytest.mark.parametrize(
    "steer",
    [
        lambda eng: eng.continue_next_token(),
        lambda eng: eng.skip_token(),
        lambda eng: eng.jump_token(1),
    ],
    ids=["continue_next_token", "skip_token", "jump_token"],
)
def test_the_next_token_follows_and_after_object_is_not_called(process, steer):
    eng = process(a, [on_first(steer)], b, tokens=2)
    assert eng.objects == [["a"], ["a", "b", "done"]]
    assert eng.has_completed


def test_a_token_that_is_left_in_a_nested_list_does_not_move_where_the_next_one_starts(process):
    eng = process([a, [on_first(lambda eng: eng.skip_token())]], tokens=2)
    assert eng.objects == [["a"], ["a", "done"]]
    assert eng.state == MachineState(1, [1])


# The run


@pytest.mark.parametrize(
    "steer", [lambda eng: eng.stop(), lambda eng: eng.abort()], ids=["stop", "abort"]
)
def test_stop_and_abort_end_the_run_normally(process, steer):
    eng = process(a, [lambda obj, eng: steer(eng)], b, tokens=2)
    assert eng.objects == [["a"], []]
    assert eng.extra_data["processed"]
    assert eng.has_completed


def test_a_halt_reaches_the_caller_with_the_position_kept(process):
    seen = []

    def halt(obj, eng):
        seen.append(eng)
        eng.halt("list exhausted", "refill", {"left": 0})

    with pytest.raises(HaltProcessing) as caught:
        process(a, [b, halt], c, tokens=2)
    (eng,) = seen
    assert (caught.value.message, caught.value.action) == ("list exhausted", "refill")
    assert caught.value.payload == {"left": 0}
    assert eng.state == MachineState(0, [1, 1])
    assert eng.objects == [["a", "b"], []]
    assert "processed" not in eng.extra_data


# By exception or by value


TRANSITIONS = [
    JumpCall(2),
    JumpCall(-1),
    JumpCall(1, levels=1),
    BreakFromThisLoop(),
    BreakFromThisLoop(2),
    ContinueNextToken(),
    SkipToken(),
    JumpToken(2),
    StopProcessing(),
    AbortProcessing(),
    HaltProcessing("why", "act", 1),
]


def outcome(process, task):
    """Return all that can be seen of a run in which a task steers each token once."""
    seen, halted = [], None

    def steer(obj, eng):
        seen.append(eng)
        return task(obj, eng) if obj.count("b") == 1 else None

    try:
        process([a, [b, steer, c], d], e, tokens=3)
    except HaltProcessing as halt:
        halted = halt.args
    eng = seen[0]
    return eng.objects, eng.state, eng.has_completed, eng.extra_data, halted


@pytest.mark.parametrize("transition", TRANSITIONS, ids=repr)
def test_a_transition_means_the_same_raised_and_returned(process, transition):
    def raise_it(obj, eng):
        raise transition

    raised = outcome(process, raise_it)
    returned = outcome(process, lambda obj, eng: transition)
    assert raised == returned


class Hop(JumpCall):
    """A transition of one's own."""


class Skip(JumpCall):
    """A transition of one's own that takes other arguments than its base."""

    def __init__(self):
        super().__init__(2)


@pytest.mark.parametrize("transition", [Hop(2), Skip()], ids=["same", "other"])
def test_a_transition_of_ones_own_is_taken_as_its_base(process, transition):
    def raise_it(obj, eng):
        raise transition

    assert trace(process(raise_it, a, b)) == ["b", "done"]
    assert trace(process(lambda obj, eng: transition, a, b)) == ["b", "done"]


def test_a_returned_transition_is_not_touched(process):
    halt = HaltProcessing("again and again")
    for _ in range(2):
        with pytest.raises(HaltProcessing, match="again") as caught:
            process(lambda obj, eng: halt)
        assert caught.value is not halt
    assert halt.__traceback__ is None


@pytest.mark.parametrize(
    "value",
    [0, 1, True, "jump", [a], Enter(0), {"jump": 1}, JumpCall, ValueError("returned"), object()],
    ids=lambda value: type(value).__name__,
)
def test_any_other_value_that_a_task_returns_is_ignored(process, value):
    assert trace(process(a, lambda obj, eng: value, b)) == ["a", "b", "done"]


# Swallowed


SWALLOWED = {
    "halt": lambda eng: eng.halt("unseen"),
    "stop": lambda eng: eng.stop(),
    "abort": lambda eng: eng.abort(),
    "skip_token": lambda eng: eng.skip_token(),
    "continue_next_token": lambda eng: eng.continue_next_token(),
    "jump_token": lambda eng: eng.jump_token(1),
    "jump_call": lambda eng: eng.jump_call(1),
    "break_current_loop": lambda eng: eng.break_current_loop(),
}


def swallow(steer):
    def careless(obj, eng):
        try:
            steer(eng)
        except Exception:  # noqa: BLE001 - this is the carelessness
            obj.append("swallowed")

    return careless


@pytest.mark.parametrize("method", SWALLOWED)
def test_a_swallowed_transition_is_an_error_that_names_the_task(process, method):
    with pytest.raises(WorkflowError, match="token 0, task 'careless' at") as caught:
        process([swallow(SWALLOWED[method])], a)
    assert "except WorkflowTransition: raise" in caught.value.message
    assert isinstance(caught.value.__cause__, WorkflowTransition)
    assert repr(caught.value.__cause__) in caught.value.message


def test_after_a_swallowed_transition_no_other_task_runs(process):
    tokens = []
    with pytest.raises(WorkflowError, match="careless"):
        process(lambda obj, eng: tokens.append(obj), swallow(lambda eng: eng.halt()), a)
    assert tokens == [["swallowed"]]


def test_a_swallowed_transition_is_an_error_even_if_the_task_returns_another(process):
    def careless(obj, eng):
        try:
            eng.halt("unseen")
        except Exception:  # noqa: BLE001
            return JumpCall(2)

    with pytest.raises(WorkflowError, match="careless"):
        process(careless, a, b)


def test_a_swallowed_transition_spoils_no_later_run():
    eng = Engine()
    eng.callbacks.replace([swallow(lambda eng: eng.halt())])
    for _ in range(2):
        with pytest.raises(WorkflowError, match="careless"):
            eng.process([[]])
    eng.callbacks.replace([a])
    tokens = [[]]
    eng.process(tokens)
    assert tokens == [["a", "done"]]


def test_a_transition_that_is_caught_and_raised_again_is_fine(process):
    def careful(obj, eng):
        try:
            eng.jump_call(2)
        except WorkflowTransition:
            obj.append("passes")
            raise

    assert trace(process(careful, a, b)) == ["passes", "b", "done"]


def test_of_two_transitions_the_one_that_leaves_the_task_counts(process):
    def changes_its_mind(obj, eng):
        try:
            eng.stop()
        except StopProcessing:
            eng.jump_call(2)

    assert trace(process(changes_its_mind, a, b)) == ["b", "done"]


def test_an_error_raised_in_place_of_a_transition_is_that_error(process):
    def translate(obj, eng):
        try:
            eng.halt("unseen")
        except HaltProcessing as halt:
            raise ValueError("translated") from halt

    with pytest.raises(ValueError, match="translated"):
        process(translate)


def test_a_transition_that_never_went_through_the_engine_may_be_caught(process):
    def own_business(obj, eng):
        try:
            raise StopProcessing
        except StopProcessing:
            obj.append("caught")

    assert trace(process(own_business, a)) == ["caught", "a", "done"]
