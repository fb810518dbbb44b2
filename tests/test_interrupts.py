"""Interrupts: how another thread or a signal handler steers a running engine."""

import asyncio
import signal
import threading

import pytest

from wfengine import signals
from wfengine.engine import GenericWorkflowEngine, MachineState
from wfengine.errors import ContinueNextToken, HaltProcessing, JumpCall, SkipToken
from wfengine.patterns import FOR, IF, WHILE


def mark(name):
    """Return a task that appends its name to the token, a list."""

    def task(obj, eng):
        obj.append(name)

    task.__name__ = name
    return task


a, b, c = map(mark, "abc")


def interrupt(obj, eng):
    """Do what somebody outside does while this task runs."""
    eng.interrupt()


def engine_for(*definition):
    eng = GenericWorkflowEngine()
    eng.callbacks.replace(definition)
    return eng


def test_an_interrupt_stops_the_run_before_the_next_task():
    tokens = [[], []]
    eng = engine_for(a, interrupt, b)
    eng.process(tokens)
    assert tokens == [["a"], []]
    assert eng.state == MachineState(0, [2])
    assert eng.has_completed


@pytest.mark.parametrize(
    ("definition", "position"),
    [
        ([interrupt, a], [1]),
        ([interrupt, [a, b]], [1, 0]),
        ([interrupt, [[], [[a]]]], [1, 1, 0, 0]),
        ([[[interrupt]], a], [1]),
        ([[b, interrupt], [a]], [1, 0]),
    ],
)
def test_the_position_is_at_the_task_that_would_have_run(definition, position):
    eng, tokens = engine_for(*definition), [[]]
    eng.process(tokens)
    assert eng.state == MachineState(0, position)
    assert "a" not in tokens[0]


def interrupt_once(obj, eng):
    if "interrupted" not in eng.extra_data:
        eng.extra_data["interrupted"] = True
        eng.interrupt()


def note_and_ask(obj, eng):
    obj.append("asked")
    return obj.count("asked") < 3


def note_and_list(obj, eng):
    obj.append("asked")
    return [1, 2]


@pytest.mark.parametrize(
    ("definition", "before", "after"),
    [
        ([interrupt_once, IF(note_and_ask, a)], [], ["asked", "a"]),
        ([IF(note_and_ask, [interrupt_once, a])], ["asked"], ["asked", "a"]),
        ([interrupt_once, FOR(note_and_list, "item", a)], [], ["asked", "a", "a"]),
        (
            [WHILE(note_and_ask, [a, interrupt_once])],
            ["asked", "a"],
            ["asked", "a", "asked", "a", "asked"],
        ),
        (
            [WHILE(note_and_ask, [a, [interrupt_once]])],
            ["asked", "a"],
            ["asked", "a", "asked", "a", "asked"],
        ),
    ],
    ids=["before IF", "in IF", "before FOR", "in WHILE", "in a list in WHILE"],
)
def test_nothing_of_a_pattern_runs_before_the_interrupt_is_taken(definition, before, after):
    eng, tokens = engine_for(*definition), [[]]
    eng.process(tokens)
    assert tokens == [before]
    eng.restart("current", "current")
    assert tokens == [after]


def test_after_an_interrupt_the_run_goes_on_where_it_stood():
    eng, tokens = engine_for(a, [interrupt, b], c), [[], []]
    eng.process(tokens)
    eng.callbacks.replace([a, [b, b], c])
    eng.restart("current", "current")
    assert tokens == [["a", "b", "c"], ["a", "b", "b", "c"]]


def test_an_interrupt_in_the_last_task_of_a_token_is_taken_before_the_next_token_runs():
    eng, tokens = engine_for(a, lambda obj, eng: eng.interrupt()), [[], []]
    eng.process(tokens)
    assert tokens == [["a"], []]
    assert eng.state == MachineState(1, [0])


def test_an_interrupt_before_the_run_is_taken_before_its_first_task():
    eng, tokens = engine_for([a]), [[]]
    eng.interrupt(HaltProcessing("not yet"))
    with pytest.raises(HaltProcessing, match="not yet"):
        eng.process(tokens)
    assert tokens == [[]]
    eng.restart("current", "current")
    assert tokens == [["a"]]


def test_an_interrupt_in_the_last_task_of_all_comes_too_late():
    eng = engine_for(a, interrupt)
    tokens = [[]]
    eng.process(tokens)
    eng.callbacks.replace([b])
    eng.process(tokens)
    assert tokens == [["a", "b"]]


@pytest.mark.parametrize(
    ("transition", "tokens"),
    [
        (ContinueNextToken(), [["a"], ["a", "b", "c"]]),
        (SkipToken(), [["a"], ["a", "b", "c"]]),
        (JumpCall(1), [["a", "c"], ["a", "b", "c"]]),
    ],
)
def test_any_transition_may_be_asked_for(transition, tokens):
    def ask_for_it(obj, eng):
        if eng.state.token_pos == 0:
            eng.interrupt(transition)

    eng = engine_for(a, ask_for_it, b, c)
    eng.process([[], []])
    assert eng.objects == tokens


def test_a_halt_may_be_asked_for_and_is_taken_up_again():
    eng, tokens = engine_for(a, [lambda obj, eng: eng.interrupt(HaltProcessing("paused"))], b), [[]]
    with pytest.raises(HaltProcessing, match="paused"):
        eng.process(tokens)
    assert eng.current_taskname == "b"
    eng.restart("current", "current")
    assert tokens == [["a", "b"]]


def test_requests_are_taken_one_at_a_time_the_oldest_first():
    def two_requests(obj, eng):
        eng.interrupt(JumpCall(1))
        eng.interrupt(SkipToken())

    eng, tokens = engine_for(two_requests, a, b, c), [[]]
    eng.process(tokens)
    assert tokens == [[]]
    assert eng.state == MachineState(0, [2])


def test_a_request_does_not_hide_a_transition_of_the_task_itself():
    def both(obj, eng):
        eng.interrupt()
        eng.jump_call(2)

    eng, tokens = engine_for(both, a, b), [[]]
    eng.process(tokens)
    assert eng.state == MachineState(0, [2])
    assert tokens == [[]]


def test_a_request_is_taken_while_tasks_are_watched():
    def watch(sender, **context): ...

    eng, tokens = engine_for(interrupt, [a]), [[]]
    with signals.task_started.connected_to(watch):
        eng.process(tokens)
    assert tokens == [[]]
    assert eng.state.token_pos == 0


def test_a_request_is_taken_under_process_async():
    async def asks_and_waits(obj, eng):
        eng.interrupt()
        await asyncio.sleep(0)

    eng, tokens = engine_for(a, asks_and_waits, b), [[]]
    asyncio.run(eng.process_async(tokens))
    assert tokens == [["a"]]
    assert eng.state == MachineState(0, [2])


def test_another_thread_interrupts_a_loop_that_would_not_end():
    started = threading.Event()

    def turn(obj, eng):
        obj.append("turn")
        started.set()

    eng, token = engine_for(WHILE(lambda obj, eng: True, turn), b), []

    def interrupt_when_started():
        started.wait()
        eng.interrupt(HaltProcessing("enough"))

    other = threading.Thread(target=interrupt_when_started)
    other.start()
    with pytest.raises(HaltProcessing, match="enough"):
        eng.process([token])
    other.join()
    assert "turn" in token
    assert "b" not in token


def test_a_signal_handler_interrupts_the_engine():
    eng, tokens = engine_for(a, lambda obj, eng: signal.raise_signal(signal.SIGINT), b), [[]]
    before = signal.signal(signal.SIGINT, lambda number, frame: eng.interrupt())
    try:
        eng.process(tokens)
    finally:
        signal.signal(signal.SIGINT, before)
    assert tokens == [["a"]]
    assert eng.state == MachineState(0, [2])
