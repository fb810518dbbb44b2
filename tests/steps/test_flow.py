"""Flows: what begins when, in which rounds, how many at a time, and what a failure does."""

import asyncio
import os
import signal
import threading
import time

import pytest

import wfengine.steps as seq
from wfengine.definitions import Registry
from wfengine.engine import GenericWorkflowEngine
from wfengine.errors import WorkflowAPIError, WorkflowDefinitionError

from .support import ACTIVE, COMPLETE, FAILURE, READY, SUCCESS, Log, flow

PATIENCE = 60


@pytest.fixture
def log():
    """Notes calls."""
    return Log()


# What begins when


def test_a_step_begins_when_another_has_succeeded(log):
    steps = flow()
    first = steps.add_step("first", log)
    steps.add_step("second", log, requires=((first, SUCCESS),))
    assert steps()
    assert log.calls == ["first/1", "second/1"]


@pytest.mark.parametrize(
    ("fails", "status", "begins"),
    [
        (False, SUCCESS, True),
        (False, FAILURE, False),
        (False, COMPLETE, True),
        (False, ACTIVE, True),
        (False, READY, True),
        (True, SUCCESS, False),
        (True, FAILURE, True),
        (True, COMPLETE, True),
        (True, ACTIVE, True),
    ],
)
def test_each_status_can_be_required(log, fails, status, begins):
    steps = flow(config={"stop_on_exception": False})
    log.failing = {"first/1"} if fails else set()
    first = steps.add_step("first", log)
    steps.add_step("second", log, requires=((first, status),))
    is_answered = status in (FAILURE, COMPLETE)
    assert steps() is (not fails or is_answered)
    assert ("second/1" in log.calls) is begins


def test_a_tuple_means_all_and_or_means_one(log):
    steps = flow()
    a, b = steps.add_step("a", log), steps.add_step("b", log)
    never = steps.add_step("never", log, requires=((a, FAILURE),))
    steps.add_step("both", log, requires=((a, SUCCESS), (b, SUCCESS)))
    steps.add_step("one", log, requires=seq.or_((never, SUCCESS), (b, SUCCESS)))
    steps.add_step(
        "nested", log, requires=((a, SUCCESS), seq.or_((never, SUCCESS), seq.and_((b, SUCCESS))))
    )
    steps.add_step("not", log, requires=((b, SUCCESS), (never, SUCCESS)))
    assert steps()
    assert sorted(log.calls) == ["a/1", "b/1", "both/1", "nested/1", "one/1"]


def test_a_step_begins_once_however_often_what_it_requires_comes(log):
    steps = flow()
    a, b = steps.add_step("a", log), steps.add_step("b", log)
    steps.add_step("c", log, requires=seq.or_((a, SUCCESS), (b, SUCCESS), (a, COMPLETE)))
    assert steps()
    assert log.calls.count("c/1") == 1


def test_an_event_names_a_requirement_for_several_steps(log):
    steps = flow()
    a, b = steps.add_step("a", log), steps.add_step("b", log)
    both = steps.add_event(((a, SUCCESS), (b, SUCCESS)))
    steps.add_step("c", log, requires=both)
    steps.add_step("d", log, requires=(both, (a, SUCCESS)))
    assert steps()
    assert log.calls == ["a/1", "b/1", "c/1", "d/1"]


def test_a_mapping_of_steps_to_statuses_is_a_requirement_too(log):
    steps = flow()
    a = steps.add_step("a", log)
    steps.add_step("b", log, requires={a: SUCCESS})
    assert steps()
    assert log.calls == ["a/1", "b/1"]


def test_a_step_can_be_required_by_its_name_before_it_is_there(log):
    steps = flow()
    steps.add_step("second", log, requires=(("first", SUCCESS),))
    steps.add_step("first", log)
    assert steps()
    assert log.calls == ["first/1", "second/1"]


# Containers


def test_a_container_is_repeated_and_its_rounds_are_counted(log):
    steps = flow()
    outer = steps.add_step("outer", repeats="ab".upper().split("x"))
    inner = outer.add_step("inner", repeats=range(2))
    inner.add_step("work", log)
    assert steps()
    assert log.calls == ["outer_inner_work/1.1.1", "outer_inner_work/1.1.2"]


def test_the_values_of_the_rounds_can_be_read():
    seen = []
    steps = flow()
    outer = steps.add_step("outer", repeats=["a", "b"])
    inner = outer.add_step("inner", repeats=(number * 10 for number in (1, 2)))
    inner.add_step("work", lambda: seen.append((steps.get_step_value(), steps.get_step_values())))
    assert steps()
    assert seen == [
        (10, ("a", 10)),
        (20, ("a", 20)),
        (10, ("b", 10)),
        (20, ("b", 20)),
    ]


def test_a_step_with_a_function_can_be_repeated_too(log):
    steps = flow()
    steps.add_step("work", log, repeats=[5, 6, 7])
    assert steps()
    assert log.calls == ["work/1.1", "work/1.2", "work/1.3"]


def test_no_rounds_are_a_success(log):
    steps = flow()
    loop = steps.add_step("loop", repeats=[])
    loop.add_step("work", log)
    steps.add_step("after", log, requires=((loop, SUCCESS),))
    assert steps()
    assert log.calls == ["after/1"]


def test_a_container_succeeds_when_its_last_round_does(log):
    log.failing = {"loop_work/1.1"}
    steps = flow(config={"stop_on_exception": False})
    loop = steps.add_step("loop", repeats=[1, 2])
    loop.add_step("work", log)
    steps.add_step("after", log, requires=((loop, SUCCESS),))
    assert steps()
    assert log.take() == ["loop_work/1.1", "loop_work/1.2", "after/1"]
    log.failing = {"loop_work/1.2"}
    assert not steps()
    assert log.take() == ["loop_work/1.1", "loop_work/1.2"]


def test_an_iterator_is_read_as_its_rounds_begin(log):
    seen = []

    def values():
        for number in (1, 2):
            seen.append(list(log.calls))
            yield number

    steps = flow()
    loop = steps.add_step("loop", repeats=values())
    loop.add_step("work", log)
    assert steps()
    assert seen == [[], ["loop_work/1.1"]]


# Failures


def test_by_default_nothing_begins_after_a_failure(log):
    log.failing = {"box_fails/1.1"}
    steps = flow()
    box = steps.add_step("box", repeats=[1, 2])
    box.add_step("fails", log)
    box.add_step("beside", log)
    steps.add_step("other", log, requires=((box, ACTIVE),))
    steps.add_step("last", log, requires=(("other", SUCCESS),))
    assert not steps()
    assert "box_beside/1.1" not in log.calls
    assert "box_fails/1.2" not in log.calls
    assert "last/1" not in log.calls


def test_what_is_running_may_end_after_a_failure():
    has_failed, done = threading.Event(), []

    def fail():
        assert begun.wait(60)
        has_failed.set()
        raise ValueError("now")

    def goes_on():
        begun.set()
        assert has_failed.wait(60)
        done.append("goes on")

    begun = threading.Event()
    steps = flow(config={"task_construct": "thread", "max_concurrent": 2})
    steps.add_step("goes on", goes_on)
    steps.add_step("fails", fail)
    steps.add_step("never", lambda: done.append("never"))
    assert not steps()
    assert done == ["goes on"]


def test_without_stopping_all_is_done_that_can_be(log):
    log.failing = {"a/1"}
    steps = flow(config={"stop_on_exception": False})
    a, b = steps.add_step("a", log), steps.add_step("b", log)
    steps.add_step("after a", log, requires=((a, SUCCESS),))
    steps.add_step("after b", log, requires=((b, SUCCESS),))
    assert not steps()
    assert log.calls == ["a/1", "b/1", "after b/1"]


def test_one_step_may_fail_without_stopping_the_others(log):
    log.failing = {"a/1"}
    steps = flow()
    steps.add_step("a", log, config={"stop_on_exception": False})
    steps.add_step("b", log)
    assert not steps()
    assert log.calls == ["a/1", "b/1"]


def test_a_failure_that_something_waits_for_is_answered(log):
    log.failing = {"a/1"}
    steps = flow()
    a = steps.add_step("a", log)
    steps.add_step("tidy", log, requires=((a, FAILURE),))
    steps.add_step("beside", log)
    assert steps()
    assert sorted(log.calls) == ["a/1", "beside/1", "tidy/1"]


def test_an_event_alone_answers_a_failure_and_only_when_it_comes(log):
    log.failing = {"a/1"}
    for other, outcome in ((SUCCESS, True), (FAILURE, False)):
        steps = flow()
        a, b = steps.add_step("a", log), steps.add_step("b", log)
        steps.add_event(((a, FAILURE), (b, other)))
        assert steps() is outcome


def test_a_failure_inside_is_answered_where_the_container_is(log):
    log.failing = {"box_a/1.1"}
    steps = flow()
    box = steps.add_step("box")
    box.add_step("a", log)
    box.add_step("b", log, requires=(("a", SUCCESS),))
    steps.add_step("tidy", log, requires=((box, FAILURE),))
    assert steps()
    assert log.calls == ["box_a/1.1", "tidy/1"]


class Odd(BaseException):
    """Is no Exception."""


def leaves(error):
    raise error


async def leaves_later(error):
    raise error


LEAVING = [
    (SystemExit(3), "step leaves/1 called sys.exit(3); let it return, or raise"),
    (asyncio.CancelledError("off"), "step leaves/1 was left by CancelledError: off"),
    (Odd("even"), "step leaves/1 was left by Odd: even"),
]


@pytest.mark.parametrize("place", [":memory:", "sqlite://"])
@pytest.mark.parametrize("construct", ["inline", "thread"])
@pytest.mark.parametrize("function", [leaves, leaves_later])
@pytest.mark.parametrize(("error", "said"), LEAVING, ids=["exit", "cancel", "odd"])
def test_whatever_leaves_a_step_is_a_failure_of_it(log, place, construct, function, error, said):
    config = {"task_construct": construct, "stop_on_exception": False}
    with flow(place, config=config) as steps:
        steps.add_step("leaves", function, args=(error,))
        steps.add_step("after", log, requires=(("leaves", SUCCESS),))
        steps.add_step("beside", log)
        assert not steps()
        assert steps.failures == [("leaves/1", f"StepEndedError: {said}")]
    assert log.calls == ["beside/1"]


def test_ctrl_c_in_a_step_leaves_the_flow():
    steps = flow()
    steps.add_step("leaves", leaves, args=(KeyboardInterrupt(),))
    with pytest.raises(KeyboardInterrupt):
        steps()


def test_ctrl_c_while_a_step_awaits_leaves_the_flow():
    async def waits():
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(PATIENCE)

    steps = flow()
    steps.add_step("waits", waits)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            steps()
    finally:
        signal.signal(signal.SIGINT, before)


# Where functions are run


@pytest.mark.parametrize("construct", ["inline", "thread"])
def test_coroutine_functions_are_awaited(construct):
    seen = []

    async def work(number):
        await asyncio.sleep(0)
        seen.append((number, steps.get_step_name(), steps.get_step_sequence()))

    steps = flow(config={"task_construct": construct, "max_concurrent": 2})
    steps.add_step("a", work, args=(1,))
    steps.add_step("b", work, kwargs={"number": 2})
    assert steps()
    assert sorted(seen) == [(1, "a", "1"), (2, "b", "1")]


def test_the_environment_of_the_flow_is_not_touched():
    seen = []
    steps = flow(config={"task_construct": "thread"})
    steps.add_step("a", lambda: seen.append(dict(os.environ)))
    assert steps()
    assert not any(name.startswith("SEQUENT_") for name in seen[0])


def test_inline_steps_run_in_the_thread_that_runs_the_flow():
    seen = set()
    steps = flow(config={"max_concurrent": 3})
    for number in range(20):
        steps.add_step(f"inline {number}", lambda: seen.add(threading.get_ident()))
    assert steps()
    assert seen == {threading.get_ident()}


def test_a_flow_can_be_run_where_an_event_loop_runs(log):
    async def work():
        steps = flow()
        steps.add_step("a", log)
        return steps()

    assert asyncio.run(work())
    assert log.calls == ["a/1"]


@pytest.mark.parametrize("limit", [2, 5, 0])
def test_as_many_run_at_a_time_as_may(limit):
    count = limit or 8
    meeting = threading.Barrier(count)
    steps = flow(config={"task_construct": "thread", "max_concurrent": limit})
    for number in range(count):
        box = steps.add_step(f"box {number}")
        box.add_step("meets", meeting.wait, args=(60,))
    assert steps()


def test_never_more_run_at_a_time_than_may():
    lock, now, most = threading.Lock(), {"flow": 0, "box": 0}, {"flow": 0, "box": 0}

    def work(kind):
        for name in ("flow", kind):
            with lock:
                now[name] = now.get(name, 0) + 1
                most[name] = max(most.get(name, 0), now[name])
        threading.Event().wait(0.002)
        for name in ("flow", kind):
            with lock:
                now[name] -= 1

    steps = flow(config={"task_construct": "thread", "max_concurrent": 4})
    box = steps.add_step("box", config={"max_concurrent": 2})
    for number in range(20):
        box.add_step(f"in {number}", work, args=("box",))
        steps.add_step(f"out {number}", work, args=("out",))
    assert steps()
    assert most["flow"] <= 4
    assert most["box"] <= 2


# Time, and loops


def test_a_place_is_given_to_a_step_that_can_begin_while_the_thread_of_the_flow_is_busy():
    a_runs, is_busy, c_runs = threading.Event(), threading.Event(), threading.Event()
    inline, seen = {"task_construct": "inline"}, []

    def work_long():
        is_busy.set()
        seen.append(c_runs.wait(60))

    def work():
        a_runs.set()
        is_busy.wait(60)
        time.sleep(0.4)  # b and then c ask for the place meanwhile

    steps = flow(config={"task_construct": "thread", "max_concurrent": 4})
    first = steps.add_step("first", func=a_runs.wait, args=(60,), config=inline)
    steps.add_step("long", func=work_long, requires=((first, SUCCESS),), config=inline)
    box = steps.add_step("box", config={"max_concurrent": 1})
    a = box.add_step("a", func=work)
    box.add_step("b", func=str, requires=((a, ACTIVE),), config=inline)
    box.add_step("c", func=c_runs.set, requires=((a, ACTIVE),), delay=0.1)
    assert steps()
    assert seen == [True]


def test_a_delay_is_waited_for():
    from time import monotonic

    times = {}
    steps = flow()
    first = steps.add_step("first", lambda: times.update(first=monotonic()))
    steps.add_step(
        "late", lambda: times.update(late=monotonic()), requires=((first, SUCCESS),), delay=0.2
    )
    steps.add_step("beside", lambda: times.update(beside=monotonic()))
    assert steps()
    assert list(times) == ["first", "beside", "late"]
    assert times["late"] - times["first"] >= 0.2


def test_a_failure_does_not_wait_for_delays(log):
    log.failing = {"fails/1"}
    steps = flow()
    steps.add_step("late", log, delay=10_000)
    steps.add_step("fails", log)
    assert not steps()
    assert log.calls == ["fails/1"]


@pytest.mark.parametrize("store", [":memory:", "sqlite://"])
def test_a_run_may_be_gone_through_in_pieces(log, store):
    steps = flow(store)
    box = steps.add_step("box", repeats=[1, 2])
    a = box.add_step("a", log)
    box.add_step("b", log, requires=((a, SUCCESS),))
    assert steps.run(max_loops=1)
    assert log.take() == ["box_a/1.1"]
    assert steps.run(max_loops=2)
    assert log.take() == ["box_b/1.1", "box_a/1.2"]
    assert steps.run()
    assert log.take() == ["box_b/1.2"]
    assert steps.run(max_loops=1)
    assert log.take() == ["box_a/1.1"]
    steps.close()


# What cannot be meant


def refused(build, *parts):
    with pytest.raises(WorkflowDefinitionError) as raised:
        build()
    for part in parts:
        assert part in str(raised.value)


def test_mistakes_are_refused_when_the_step_is_added(log):
    steps = flow()
    a = steps.add_step("a", log)
    box = steps.add_step("box")
    inside = box.add_step("inside", log)
    refused(lambda: steps.add_step("a", log), "'a'", "already")
    refused(lambda: steps.add_step("", log), "name")
    refused(lambda: steps.add_step("b", 3), "'b'", "called", "3")
    refused(lambda: steps.add_step("b", log, requires=((a, "done"),)), "'done'")
    refused(lambda: steps.add_step("b", log, requires=((inside, SUCCESS),)), "box_inside")
    refused(lambda: box.add_step("b", log, requires=((a, SUCCESS),)), "'a'", "box")
    refused(lambda: steps.add_step("b", log, requires=((flow(), SUCCESS),)), "no step")
    refused(lambda: steps.add_step("b", log, requires=7), "7")
    for delay in (-1, float("nan"), float("inf"), "1", None, True):
        refused(lambda delay=delay: steps.add_step("b", log, delay=delay), "delay", repr(delay))
    for limit in ("3", 2.0, None, True):
        config = {"max_concurrent": limit}
        refused(lambda config=config: steps.add_step("b", log, config=config), repr(limit))
    for stops in ("no", 0, None):
        config = {"stop_on_exception": stops}
        refused(lambda config=config: steps.add_step("b", log, config=config), repr(stops))
    refused(lambda: steps.add_step("b", log, recovery={SUCCESS: "skip"}), "recovery")
    refused(lambda: steps.add_step("b", log, config={"stop_on_exeption": 1}), "stop_on_exception")
    refused(lambda: steps.add_step("b", log, config={"task_construct": "celery"}), "celery")
    refused(lambda: steps.add_step("b", repeats=3), "repeats", "3")
    refused(lambda: steps.add_step("b", args=(1,)), "function")
    refused(lambda: a.add_step("b", log), "'a'", "function")
    refused(lambda: steps.add_event(()), "nothing")
    refused(lambda: steps.add_step("b", log, config={3: 4}), "3")
    other = flow()
    refused(lambda: other.add_step("b", log, requires=((a, SUCCESS),)), "another flow")
    assert list(steps.steps) == ["a", "box"], "what is refused is not there"


def test_no_two_steps_have_one_path(log):
    steps = flow()
    steps.add_step("a").add_step("b_c", log)
    other = steps.add_step("a_b")
    refused(lambda: other.add_step("c", log), "step 'c' of step 'a_b'", "'a_b_c'", "step 'b_c' of")
    refused(lambda: steps.add_step("a_b_c", log), "step 'a_b_c' of the flow", "'a_b_c'")
    other.add_step("d", log)
    assert steps()
    assert log.calls == ["a_b_c/1.1", "a_b_d/1.1"]


def test_how_deep_steps_are_in_each_other_has_an_end(log):
    steps = innermost = flow("sqlite://")
    for _ in range(99):
        innermost = innermost.add_step("in")
    refused(lambda: innermost.add_step("box").add_step("work", log), "101 steps deep", "100")
    innermost.steps.clear()
    innermost.add_step("work", log)
    with steps:
        assert steps()
    assert log.calls == ["in_" * 99 + "work/1" + ".1" * 99]


@pytest.mark.parametrize("deeper", [lambda one: (one,), seq.or_])
def test_how_deep_requirements_are_in_each_other_has_an_end(log, deeper):
    steps = flow()
    first = required = steps.add_step("first", log)
    required = (first, SUCCESS)
    for _ in range(100):
        required = deeper(required)
    steps.add_step("work", log, requires=required)
    refused(lambda: steps.add_step("more", log, requires=deeper(required)), "'more'", "100 deep")
    event = steps.add_event((first, SUCCESS))
    for _ in range(98):
        event = steps.add_event(deeper(event))
    steps.add_step("on event", log, requires=deeper(event))
    refused(lambda: steps.add_step("more", log, requires=deeper(deeper(event))), "'more'", "100")
    assert steps()
    assert sorted(log.calls) == ["first/1", "on event/1", "work/1"]


def test_a_flow_refuses_what_it_cannot_understand(log):
    for options, parts in (
        ({"logging_level": "LOUD"}, ("logging_level", "'LOUD'", "'INFO'")),
        ({"logging_level": 1.5}, ("logging_level", "1.5")),
        ({"config": {"max_concurent": 1}}, ("max_concurent", "max_concurrent")),
        ({"config": 3}, ("config", "3")),
        ({"run_id": ""}, ("run_id",)),
        ({"run_id": 3}, ("run_id", "3")),
        ({"run_id": "x" * 300}, ("255",)),
        ({"run_mode": "recover"}, ("run_mode", "RunMode.recover")),
    ):
        refused(lambda options=options: seq.Sequent("x", store=":memory:", **options), *parts)
    for name in ("a/b", " a", 3, "a\n"):
        refused(lambda name=name: seq.Sequent(name, store=":memory:"), "name")
    steps = flow()
    steps.add_step("a", log)
    for loops in ("x", 1.5, None, True):
        with pytest.raises(WorkflowAPIError, match="max_loops is a whole number"):
            steps.run(max_loops=loops)
    assert not log.calls


def test_the_level_of_logging_can_be_named(log, caplog):
    steps = flow(logging_level="ERROR")
    log.failing = {"fails/1"}
    steps.add_step("works", log)
    steps.add_step("fails", log)
    with caplog.at_level("DEBUG", "wfengine.steps"):
        assert not steps()
    (record,) = caplog.records
    assert "fails/1" in record.getMessage()


def test_what_cannot_come_true_is_refused_when_the_flow_is_run(log):
    steps = flow()
    refused(steps.run, "nothing to do")
    steps.add_step("a", log, requires=(("c", SUCCESS),))
    steps.add_step("b", log, requires=(("a", SUCCESS),))
    steps.add_step("c", log, requires=(("b", SUCCESS),))
    refused(steps.run, "cycle", "a -> c -> b -> a")
    steps = flow()
    box = steps.add_step("box")
    a = box.add_step("a", log)
    b = box.add_step("b", log, requires=((a, FAILURE),))
    box.add_step("c", log, requires=((a, SUCCESS), (b, COMPLETE)))
    refused(steps.run, "box", "'c'", "'a'", "never")
    steps = flow()
    steps.add_step("a", log, requires=(("nobody", SUCCESS),))
    refused(steps.run, "'a'", "'nobody'")
    steps = flow()
    steps.add_step("box")
    refused(steps.run, "'box'", "nothing to do")
    assert not log.calls


def test_a_way_around_that_something_opens_is_no_cycle(log):
    steps = flow()
    steps.add_step("a", log, requires=seq.or_(("start", SUCCESS), ("b", SUCCESS)))
    steps.add_step("b", log, requires=(("a", SUCCESS),))
    steps.add_step("start", log)
    assert steps()
    assert log.calls == ["start/1", "a/1", "b/1"]


def test_what_cannot_be_taken_to_a_process_is_refused_by_its_name(log):
    steps = seq.Sequent("flow", store=":memory:")
    lock = threading.Lock()
    refused(lambda: steps.add_step("a", lambda: None), "'a'", "func", "thread")
    refused(lambda: steps.add_step("a", print, args=(1, lock)), "args[1]")
    refused(lambda: steps.add_step("a", print, kwargs={"sep": lock}), "kwargs['sep']")
    refused(lambda: steps.add_step("a", print, repeats=[1, lock]), "'a'", "lock", "in repeats")
    box = steps.add_step("box", repeats=[1, lock])
    refused(lambda: box.add_step("a", print), "'box'", "lock", "in repeats")
    box.add_step("b", log, config={"task_construct": "inline"})


def test_a_value_that_comes_late_and_cannot_be_taken_to_a_process_fails_its_step():
    steps = seq.Sequent("flow", store=":memory:")
    steps.add_step("a", print, repeats=iter([threading.Lock()]))
    assert not steps()
    ((step, said),) = steps.failures
    assert step == "a/1.1"
    assert "step a/1.1: " in said
    assert "in repeats cannot be taken to a process" in said


def test_a_flow_in_memory_has_nothing_to_recover(log):
    steps = flow(run_mode=seq.RunMode.recover)
    steps.add_step("a", log)
    with pytest.raises(WorkflowAPIError, match="store"):
        steps()


def test_a_flow_that_is_registered_is_the_definition_and_is_not_run_to_get_it():
    log, definitions = Log(), Registry()
    steps = flow()
    steps.add_step("only", log)
    definitions.add("steps", steps)
    definition = definitions.find("steps")
    assert log.calls == []
    eng = GenericWorkflowEngine()
    eng.callbacks.replace(definition)
    eng.process([{}])
    assert log.calls == ["only/1"]
