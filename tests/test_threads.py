"""Threads: one engine for each, and nothing shared between engines."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from wfengine.callbacks import clean
from wfengine.engine import GenericWorkflowEngine, MachineState
from wfengine.errors import HaltProcessing, StopProcessing, WorkflowAPIError
from wfengine.patterns import FOR, IF_ELSE


def engine_for(*definition):
    eng = GenericWorkflowEngine()
    eng.callbacks.replace(definition)
    return eng


def test_engines_in_many_threads_run_one_definition_without_seeing_each_other():
    meet = threading.Barrier(8)

    def meet_the_others(obj, eng):
        meet.wait()

    def note(obj, eng):
        obj.append(eng.extra_data["item"])

    definition = clean(
        [
            meet_the_others,
            FOR(
                range(50), "item", IF_ELSE(lambda obj, eng: eng.extra_data["item"] % 2, [note], [])
            ),
        ]
    )

    def run(number):
        eng, token = engine_for(definition), []
        eng.extra_data["number"] = number
        eng.process([token])
        return token, eng.extra_data

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(8)))
    odd = list(range(1, 50, 2))
    assert results == [(odd, {"number": number, "item": 49}) for number in range(8)]


def test_a_halt_in_one_thread_is_no_other_threads_business():
    meet = threading.Barrier(2)

    def halt_or_not(obj, eng):
        meet.wait()
        if obj == "halts":
            eng.halt()

    def run(token):
        eng = engine_for([halt_or_not])
        try:
            eng.process([token])
        except HaltProcessing:
            return "halted"
        return "completed"

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, ["halts", "goes on"])) == ["halted", "completed"]


@pytest.fixture
def running():
    """An engine that is running in another thread, waiting inside of its task."""
    started, go_on, token = threading.Event(), threading.Event(), []

    def wait(obj, eng):
        started.set()
        go_on.wait()

    eng = engine_for(wait, lambda obj, eng: obj.append("done"))
    thread = threading.Thread(target=eng.process, args=([token],))
    thread.start()
    started.wait()
    yield eng
    go_on.set()
    thread.join()
    assert token == ["done"]
    assert eng.has_completed
    assert eng.objects == [token]


def test_a_running_engine_refuses_another_thread(running):
    with pytest.raises(WorkflowAPIError, match="running already, in another thread"):
        running.process([[]])
    with pytest.raises(WorkflowAPIError, match="use an engine for each"):
        running.restart("next", "first")
    assert running.state == MachineState(0, [0])


def test_an_engine_may_go_from_thread_to_thread_between_runs():
    eng, token = engine_for(lambda obj, eng: obj.append(threading.get_ident())), []
    eng.process([token])
    other = threading.Thread(target=eng.process, args=([token],))
    other.start()
    other.join()
    assert token == [threading.get_ident(), other.ident]


def test_a_transition_raised_in_a_thread_of_a_task_is_that_threads_own():
    raised = []

    def stop(eng):
        try:
            eng.stop()
        except StopProcessing as transition:
            raised.append(transition)

    def task(obj, eng):
        helper = threading.Thread(target=stop, args=(eng,))
        helper.start()
        helper.join()
        obj.append("went on")

    token = []
    engine_for(task).process([token])
    assert token == ["went on"]
    assert len(raised) == 1
