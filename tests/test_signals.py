"""Signals: how others watch a run without changing it."""

from contextlib import ExitStack

import pytest

from wfengine import signals
from wfengine.engine import (
    Break,
    Continue,
    GenericWorkflowEngine,
    ProcessingFactory,
    Signal,
    TransitionActions,
)
from wfengine.errors import HaltProcessing, JumpCall, WorkflowError
from wfengine.patterns import TRY
from wfengine.signals import TokenOutcome

RUN = ["workflow_started", "workflow_finished", "workflow_halted", "workflow_error"]
TOKEN = ["token_started", "token_finished"]
TASK = ["task_started", "task_finished", "task_failed"]


def task(obj, eng): ...


def fail(obj, eng):
    raise LookupError(obj)


def halt(obj, eng):
    eng.halt("why")


def engine_for(*definition, engine_class=GenericWorkflowEngine):
    eng = engine_class()
    eng.callbacks.replace(definition)
    return eng


@pytest.fixture
def listen():
    """Listen to signals, given by name; return the list that they are noted in."""
    with ExitStack() as listeners:

        def start(*names):
            heard = []
            for name in names:

                def note(sender, *, _name=name, **context):
                    heard.append((_name, sender, context))

                listeners.enter_context(getattr(signals, name).connected_to(note))
            return heard

        yield start


def names(heard):
    return [name for name, _, _ in heard]


# Runs


def test_a_run_that_ends_normally_is_started_and_finished(listen):
    heard, eng, tokens = listen(*RUN), engine_for(task), ["x"]
    eng.process(tokens)
    assert heard == [
        ("workflow_started", eng, {"objects": tokens}),
        ("workflow_finished", eng, {"objects": tokens}),
    ]


def test_a_run_that_is_stopped_is_finished(listen):
    heard = listen(*RUN)
    engine_for(lambda obj, eng: eng.stop()).process(["x"])
    assert names(heard) == ["workflow_started", "workflow_finished"]


def test_a_run_that_halts_is_halted(listen):
    heard, eng = listen(*RUN), engine_for(halt)
    with pytest.raises(HaltProcessing) as caught:
        eng.process(["x"])
    assert names(heard) == ["workflow_started", "workflow_halted"]
    assert heard[1][1:] == (eng, {"obj": "x", "error": caught.value})


def test_a_run_that_fails_is_in_error(listen):
    heard, eng = listen(*RUN), engine_for(fail)
    with pytest.raises(LookupError) as caught:
        eng.process(["x"])
    assert names(heard) == ["workflow_started", "workflow_error"]
    assert heard[1][1:] == (eng, {"obj": "x", "error": caught.value})


def test_each_failure_and_each_halt_of_a_run_that_goes_on_is_told(listen):
    heard = listen(*RUN)
    engine_for(lambda obj, eng: (fail if obj == "x" else halt)(obj, eng)).process(
        ["x", "y"], stop_on_error=False, stop_on_halt=False
    )
    assert names(heard) == [
        "workflow_started",
        "workflow_error",
        "workflow_halted",
        "workflow_finished",
    ]


def test_a_swallowed_transition_is_told_as_an_error(listen):
    def swallow(obj, eng):
        try:
            eng.halt()
        except HaltProcessing:
            return

    heard = listen("workflow_error", "workflow_halted")
    with pytest.raises(WorkflowError):
        engine_for(swallow).process(["x"])
    assert names(heard) == ["workflow_error"]


def test_the_sender_is_the_engine(listen):
    heard = []

    def note(sender):
        heard.append(sender)

    one, other = engine_for(task), engine_for(task)
    with signals.workflow_started.connected_to(lambda sender, **context: note(sender), sender=one):
        one.process(["x"])
        other.process(["x"])
    assert heard == [one]


class Factory(ProcessingFactory):
    before_processing = staticmethod(lambda eng, objects: eng.trace.append("before_processing"))
    after_processing = staticmethod(lambda eng, objects: eng.trace.append("after_processing"))


class Traced(GenericWorkflowEngine):
    processing_factory = Factory

    def __init__(self):
        super().__init__()
        self.trace = []


def test_started_follows_before_processing_and_finished_follows_after_processing():
    eng = engine_for(task, engine_class=Traced)

    def started(sender, **context):
        sender.trace.append("started")

    def finished(sender, **context):
        sender.trace.append("finished")

    with (
        signals.workflow_started.connected_to(started),
        signals.workflow_finished.connected_to(finished),
    ):
        eng.process(["x"])
    assert eng.trace == ["before_processing", "started", "after_processing", "finished"]


def test_when_a_run_is_told_finished_it_has_completed():
    seen = []

    def finished(sender, **context):
        seen.append(sender.has_completed)

    with signals.workflow_finished.connected_to(finished):
        engine_for(task).process(["x"])
    assert seen == [True]


# Tokens


def handled_by(error):
    """Return an engine class whose handler of failures raises this."""

    def handler(obj, eng, callbacks, e):
        raise error

    mapper = type("Handlers", (TransitionActions,), {"LookupError": staticmethod(handler)})
    factory = type("Factory", (ProcessingFactory,), {"transition_exception_mapper": mapper})
    return type("Engine", (GenericWorkflowEngine,), {"processing_factory": factory})


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (task, TokenOutcome.COMPLETED),
        (lambda obj, eng: eng.break_current_loop(), TokenOutcome.COMPLETED),
        (lambda obj, eng: eng.skip_token(), TokenOutcome.SKIPPED),
        (lambda obj, eng: eng.continue_next_token(), TokenOutcome.SKIPPED),
        (lambda obj, eng: eng.jump_token(1), TokenOutcome.JUMPED),
        (halt, TokenOutcome.HALTED),
        (fail, TokenOutcome.FAILED),
        (lambda obj, eng: eng.stop(), TokenOutcome.STOPPED),
        (lambda obj, eng: eng.abort(), TokenOutcome.STOPPED),
    ],
)
def test_a_token_is_started_and_finished_with_its_outcome(listen, last, outcome):
    heard, eng = listen(*TOKEN), engine_for(last)
    eng.process(["x"], stop_on_error=False, stop_on_halt=False)
    assert heard == [
        ("token_started", eng, {"obj": "x"}),
        ("token_finished", eng, {"obj": "x", "outcome": outcome}),
    ]


@pytest.mark.parametrize(
    ("steer", "outcome"), [(Continue(), TokenOutcome.SKIPPED), (Break(), TokenOutcome.STOPPED)]
)
def test_a_task_that_raises_continue_or_break_gives_its_token_that_outcome(listen, steer, outcome):
    def last(obj, eng):
        raise steer

    heard = listen("token_finished")
    engine_for(last).process(["x"])
    assert heard[0][2]["outcome"] is outcome


@pytest.mark.parametrize("handled", [Continue(), Break()])
def test_a_token_that_failed_has_failed_whatever_its_handler_does(listen, handled):
    heard = listen("token_finished", "workflow_error")
    engine_for(fail, engine_class=handled_by(handled)).process(["x"])
    assert names(heard) == ["workflow_error", "token_finished"]
    assert heard[1][2]["outcome"] is TokenOutcome.FAILED


def test_every_token_is_told_in_order(listen):
    heard = listen(*TOKEN)
    engine_for(task).process(["x", "y"])
    assert [(name, context["obj"]) for name, _, context in heard] == [
        ("token_started", "x"),
        ("token_finished", "x"),
        ("token_started", "y"),
        ("token_finished", "y"),
    ]


def test_a_token_that_is_jumped_to_again_is_told_again(listen):
    jumps = []

    def back_once(obj, eng):
        if not jumps:
            jumps.append(obj)
            eng.jump_token(0)

    heard = listen("token_finished")
    engine_for(back_once).process(["x"])
    assert [context["outcome"] for _, _, context in heard] == [
        TokenOutcome.JUMPED,
        TokenOutcome.COMPLETED,
    ]


# Tasks


def test_a_task_is_started_and_finished(listen):
    heard, eng = listen(*TASK), engine_for([task])
    eng.process(["x"])
    assert heard == [
        ("task_started", eng, {"obj": "x", "callback": task}),
        ("task_finished", eng, {"obj": "x", "callback": task, "transition": None}),
    ]


def test_a_task_that_raises_a_transition_is_finished_with_it(listen):
    heard = listen(*TASK)
    with pytest.raises(HaltProcessing) as caught:
        engine_for(halt).process(["x"])
    assert names(heard) == ["task_started", "task_finished"]
    assert heard[1][2] == {"obj": "x", "callback": halt, "transition": caught.value}


def test_a_task_that_returns_a_transition_is_finished_with_it(listen):
    jump = JumpCall(1)
    heard = listen("task_finished")
    engine_for(lambda obj, eng: jump).process(["x"])
    assert heard[0][2]["transition"] is jump


def test_any_other_value_is_no_transition(listen):
    heard = listen("task_finished")
    engine_for(lambda obj, eng: "a value").process(["x"])
    assert heard[0][2]["transition"] is None


def test_a_task_that_raises_an_exception_has_failed(listen):
    heard, eng = listen(*TASK), engine_for(fail)
    with pytest.raises(LookupError) as caught:
        eng.process(["x"])
    assert names(heard) == ["task_started", "task_failed"]
    assert heard[1][1:] == (eng, {"obj": "x", "callback": fail, "error": caught.value})


def test_a_task_whose_failure_is_caught_by_a_pattern_has_failed_all_the_same(listen):
    errors = [LookupError("once")]

    def fail_once(obj, eng):
        while errors:
            raise errors.pop()

    heard, raised = listen(*TASK), errors[0]
    engine_for(TRY([fail_once])).process(["x"])
    lead, attempt = ["task_started", "task_finished"], ["task_started", "task_failed"]
    assert names(heard) == [*lead, *attempt, *lead, "task_started", "task_finished"]
    assert heard[3][2]["callback"].__wrapped__ is fail_once
    assert heard[3][2]["error"] is raised


def test_a_task_that_swallows_a_transition_has_failed(listen):
    def swallow(obj, eng):
        try:
            eng.stop()
        except Exception:  # noqa: BLE001 - this is the carelessness
            return

    heard = listen(*TASK)
    engine_for(swallow).process(["x"], stop_on_error=False)
    assert names(heard) == ["task_started", "task_failed"]


def test_the_position_is_the_task_that_the_signal_is_about():
    seen = []

    def look(sender, **context):
        seen.append(list(sender.state.callback_pos))

    with signals.task_started.connected_to(look), signals.task_finished.connected_to(look):
        engine_for(task, [task]).process(["x"])
    assert seen == [[0], [0], [1, 0], [1, 0]]


def test_one_listener_to_one_signal_is_enough(listen):
    heard = listen("task_failed")
    engine_for(task, fail).process(["x"], stop_on_error=False)
    assert names(heard) == ["task_failed"]


def test_signals_come_in_their_order(listen):
    heard = listen(*RUN, *TOKEN, *TASK)
    engine_for(task).process(["x"])
    assert names(heard) == [
        "workflow_started",
        "token_started",
        "task_started",
        "task_finished",
        "token_finished",
        "workflow_finished",
    ]


def test_a_failure_is_told_from_the_inside_out(listen):
    heard = listen(*RUN, *TOKEN, *TASK)
    with pytest.raises(LookupError):
        engine_for(fail).process(["x"])
    assert names(heard)[-3:] == ["task_failed", "workflow_error", "token_finished"]


def test_who_listens_is_looked_up_when_a_run_starts(listen):
    heard = []

    def start_to_listen(obj, eng):
        heard.append(listen("task_started"))

    eng = engine_for(start_to_listen, task)
    eng.process(["x"])
    assert heard == [[]]
    eng.process(["x"])
    assert names(heard[0]) == ["task_started", "task_started"]


# Listeners that fail


@pytest.mark.parametrize("name", ["workflow_started", *TOKEN, "task_started", "task_finished"])
def test_what_a_listener_raises_the_run_raises(name):
    def fail_too(sender, **context):
        raise OSError("no room for the log")

    with getattr(signals, name).connected_to(fail_too), pytest.raises(OSError, match="no room"):
        engine_for(task).process(["x"])


# Senders


def test_the_sender_of_signals_is_replaced_or_extended(listen):
    heard = listen("workflow_started")

    class Loud(Signal):
        @staticmethod
        def workflow_started(eng, **context):
            eng.extra_data["announced"] = list(context)
            Signal.workflow_started(eng, **context)

    class Engine(GenericWorkflowEngine):
        signal = Loud

    eng = engine_for(task, engine_class=Engine)
    eng.process(["x"])
    assert eng.extra_data == {"announced": ["objects"]}
    assert names(heard) == ["workflow_started"]


@pytest.mark.parametrize("name", RUN)
def test_each_signal_of_a_run_can_be_sent_by_hand(listen, name):
    heard, eng = listen(name), GenericWorkflowEngine()
    getattr(eng.signal, name)(eng, detail=1)
    assert heard == [(name, eng, {"detail": 1})]


@pytest.mark.parametrize(
    ("error", "told"),
    [(ValueError("lost"), "workflow_error"), (HaltProcessing(), "workflow_halted")],
)
def test_what_came_out_of_a_branch_that_nobody_waits_for_is_told(listen, error, told):
    heard, eng = listen(*RUN), engine_for(task)
    eng.branch_failed("0 (fetch)", 3, "x", error)
    assert heard == [(told, eng, {"obj": "x", "error": error})]


def test_a_run_inside_an_except_clause_tells_of_its_tasks_too():
    """What the caller is dealing with is no failure of a task."""
    finished = []
    eng = GenericWorkflowEngine()
    eng.callbacks.replace([lambda obj, eng: obj.append("a")])
    with signals.task_finished.connected_to(
        lambda sender, **context: finished.append(context["transition"]), sender=eng
    ):
        try:
            raise LookupError
        except LookupError:
            eng.process([[]])
    assert finished == [None]
