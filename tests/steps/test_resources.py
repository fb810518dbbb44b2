"""Resources: never more than there are, in the order in which they were asked for."""

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from wfengine.engine import GenericWorkflowEngine
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import WorkflowDefinitionError
from wfengine.patterns import RUN_WF, SYNCHRONIZE
from wfengine.status import WorkflowStatus
from wfengine.steps import RunMode, desks, or_
from wfengine.steps import resources as vrp
from wfengine.steps.flow import LOCAL_DESK
from wfengine.steps.keeping import check_given_back
from wfengine.steps.store_desk import claims
from wfengine.store import Store

from ..support.databases import KINDS
from .support import COMPLETE, FAILURE, SUCCESS, Log, children, flow

PROGRAM = Path(__file__).parent / "holding.py"
THREADS = {"task_construct": "thread", "max_concurrent": 4}


@pytest.fixture
def log():
    """Notes calls."""
    return Log()


def pool(name, limit):
    """Return a pool of so many."""
    return vrp.ResourcePool(name, policy={"resource_limit": limit}).load()


class Gauge:
    """Knows how much is used at a time."""

    def __init__(self):
        self.now, self.most, self.calls, self._lock = 0, 0, 0, threading.Lock()

    def __call__(self, amount=1):
        with self._lock:
            self.now += amount
            self.calls += 1
            self.most = max(self.most, self.now)
        threading.Event().wait(0.003)
        with self._lock:
            self.now -= amount


@pytest.mark.parametrize("database_url", KINDS, indirect=True)
def test_no_more_is_used_than_there_is_on_any_database(database_url):
    check_limits(database_url)


def test_no_more_is_used_than_there_is_in_memory():
    check_limits(":memory:")


def check_limits(place):
    gauges = {"p": Gauge(), "q": Gauge()}
    p, q = pool("p", 2), pool("q", 3)

    def both():
        gauges["p"](1)
        gauges["q"](2)

    with flow(place, config=THREADS) as steps:
        for number in range(6):
            steps.add_step(f"p {number}", gauges["p"], acquires=[(p, 1)])
            steps.add_step(f"q {number}", gauges["q"], (2,), acquires=[(q, 2)])
            steps.add_step(f"both {number}", both, acquires=[(q, 2), (p, 1)])
        assert steps()
    assert gauges["p"].calls == gauges["q"].calls == 12
    assert gauges["p"].most <= 2
    assert gauges["q"].most <= 3


def test_who_asks_for_much_is_not_overtaken_for_ever():
    order = []
    p = pool("much", 2)
    steps = flow(config={**THREADS, "max_concurrent": 2})
    steps.add_step("first", lambda: order.append("first"), acquires=[(p, 1)])
    steps.add_step("much", lambda: order.append("much"), acquires=[(p, 2)])
    for number in range(20):
        steps.add_step(f"little {number}", lambda: order.append("little"), acquires=[(p, 1)])
    assert steps()
    assert order.index("much") <= 4


def test_a_failing_step_gives_back_what_it_had(log):
    log.failing = {"a/1"}
    p = pool("failing", 1)
    steps = flow(config={"stop_on_exception": False})
    steps.add_step("a", log, acquires=[(p, 1)])
    steps.add_step("b", log, acquires=[(p, 1)])
    assert not steps()
    assert log.calls == ["a/1", "b/1"]


def test_a_container_holds_what_it_acquires_for_all_its_rounds(log):
    p = pool("container", 1)
    steps = flow(config={"max_concurrent": 2})
    box = steps.add_step("box", repeats=[1, 2], acquires=[(p, 1)])
    a = box.add_step("a", log)
    box.add_step("b", log, requires=((a, SUCCESS),))
    steps.add_step("other", log, acquires=[(p, 1)])
    assert steps()
    assert log.calls[0] == "other/1" or log.calls[-1] == "other/1"
    log.calls.remove("other/1")
    assert log.calls == ["box_a/1.1", "box_b/1.1", "box_a/1.2", "box_b/1.2"]


@pytest.mark.parametrize("place", [":memory:", "sqlite://"])
def test_what_a_step_keeps_another_can_give_back(log, place):
    p = pool("keeping", 2)
    steps = flow(place)
    opens = steps.add_step("opens", log, acquires=[(p, 2)], releases=[])
    steps.add_step("waits", log, acquires=[(p, 1)], requires=((opens, SUCCESS),))
    steps.add_step("closes", log, requires=((opens, SUCCESS),), releases=[(p, 2)])
    assert steps()
    assert log.take() == ["opens/1", "closes/1", "waits/1"]
    assert steps(), "what a run has kept is free when it is over"
    steps.close()


def test_a_stopped_flow_forgets_who_was_waiting(log):
    p = pool("stopping", 1)
    log.failing = {"a/1"}
    steps = flow()
    steps.add_step("a", log, acquires=[(p, 1)])
    steps.add_step("b", log, acquires=[(p, 1)])
    assert not steps()
    log.failing = set()
    assert steps()
    assert log.calls == ["a/1", "a/1", "b/1"]


def test_what_can_never_be_had_is_refused(log):
    p, free = pool("p", 2), vrp.ResourcePool("free")
    steps = flow()
    box = steps.add_step("box", acquires=[(p, 1)])
    for build, parts in (
        (lambda: steps.add_step("a", log, acquires=[(p, 3)]), ("3", "'p'", "2")),
        (lambda: steps.add_step("a", log, acquires=[(p, 1), (p, 2)]), ("3", "'p'")),
        (lambda: box.add_step("a", log, acquires=[(p, 2)]), ("box_a", "hold 1")),
        (lambda: steps.add_step("a", log, acquires=[(p, 0)]), ("0",)),
        (lambda: steps.add_step("a", log, acquires=[p]), ("tuple",)),
        (lambda: steps.add_step("a", log, acquires=(p, 1)), ("tuple",)),
        (lambda: steps.add_step("a", log, acquires=[("p", 1)]), ("'p'", "ResourcePool")),
        (lambda: vrp.ResourcePool("p", policy={"limit": 2}), ("limit",)),
        (lambda: vrp.ResourcePool("p", policy={"resource_limit": 0}), ("0",)),
        (lambda: vrp.ResourcePool(""), ("name",)),
        (lambda: vrp.ResourcePool("p", resource_cls=int), ("Resource", "int")),
    ):
        with pytest.raises(WorkflowDefinitionError) as raised:
            build()
        assert all(part in str(raised.value) for part in parts), raised.value
    steps.add_step("many", log, acquires=[(free, 1000)])


def test_a_pool_says_of_what_it_has_how_many():
    class Printer(vrp.Resource):
        """What the pool has."""

    printers = vrp.ResourcePool("upstairs", resource_cls=Printer, policy={"resource_limit": 2})
    assert printers.load() is printers
    assert repr(printers) == "<ResourcePool upstairs: 2 of Printer>"


@pytest.mark.parametrize("policy", [[1], 1, "resource_limit"])
def test_a_policy_that_is_no_dictionary_is_refused(policy):
    with pytest.raises(WorkflowDefinitionError, match="pool 'p': policy is a dictionary"):
        vrp.ResourcePool("p", policy=policy)


def test_one_flow_has_one_limit_for_a_pool(log):
    small, large, endless = pool("p", 2), pool("p", 3), vrp.ResourcePool("p")
    steps = flow()
    steps.add_step("small", log, acquires=[(small, 1)])
    steps.add_step("same", log, acquires=[(pool("p", 2), 1)])
    box = steps.add_step("box")
    for build, said in (
        (
            lambda: box.add_step("large", log, acquires=[(large, 1)]),
            "pool 'p' has a limit of 2 in step 'small' and a limit of 3 in step 'box_large'",
        ),
        (
            lambda: steps.add_step("endless", log, releases=[(endless, 1)]),
            "pool 'p' has a limit of 2 in step 'small' and no limit in step 'endless'",
        ),
        (
            lambda: flow().add_step("both", log, acquires=[(small, 1)], releases=[(large, 1)]),
            "pool 'p' has a limit of 2 in step 'both' and a limit of 3 in step 'both'",
        ),
    ):
        with pytest.raises(WorkflowDefinitionError) as raised:
            build()
        assert said in str(raised.value)
    assert list(steps.steps) == ["small", "same", "box"]


@pytest.mark.parametrize("place", [":memory:", "sqlite://"])
def test_flows_that_give_a_pool_different_limits_each_hold_to_their_own(log, soon, place):
    held, free = threading.Event(), threading.Event()
    with Store("sqlite://") as store, ThreadPoolExecutor() as threads:
        place = store if place == "sqlite://" else place
        holding, larger, smaller = flow(place, config=THREADS), flow(place), flow(place)
        holding.add_step(
            "holds", lambda: held.set() or free.wait(60), acquires=[(pool("ours", 2), 2)]
        )
        larger.add_step("has room", log, acquires=[(pool("ours", 3), 1)])
        smaller.add_step("waits", log, acquires=[(pool("ours", 1), 1)])
        runs = [threads.submit(holding)]
        assert held.wait(60)
        assert threads.submit(larger).result(60)
        runs.append(threads.submit(smaller))
        seen = len(soon)
        until(lambda: len(soon) > seen + 3)
        assert log.calls == ["has room/1"]
        free.set()
        assert all(run.result(60) for run in runs)
    assert log.calls == ["has room/1", "waits/1"]


def test_more_than_a_flow_can_have_kept_is_not_given_back(log):
    p = pool("given", 4)
    for rounds, number, said in (
        ([1], 3, None),
        ([1], 4, "step 'closes' releases 4 of pool 'given'; it acquires 1, and the steps of the "),
        ([1, 2], 4, None),
        (iter([1]), 4, None),
    ):
        steps = flow()
        box = steps.add_step("box", repeats=rounds)
        box.add_step("opens", log, acquires=[(p, 2)], releases=[])
        steps.add_step(
            "closes", log, acquires=[(p, 1)], releases=[(p, number)], requires=((box, SUCCESS),)
        )
        if said is None:
            steps.__wfengine_definition__()
            check_given_back(steps)
            continue
        with pytest.raises(WorkflowDefinitionError) as raised:
            steps()
        assert said in str(raised.value)
        assert "keep 2 at most" in str(raised.value)
    assert not log.calls


# Deadlocks


@pytest.fixture
def soon(monkeypatch):
    """Have those who wait look again soon; return how often somebody has looked."""
    looks = []
    look = desks.Desk._look
    monkeypatch.setattr(desks, "LOOK_EVERY", 0.002)
    monkeypatch.setattr(desks.Desk, "_look", lambda *args: looks.append(look(*args)))
    return looks


def ended(steps):
    """Return what becomes of a flow, which must not hang."""
    with ThreadPoolExecutor() as threads:
        return threads.submit(steps).result(60)


def keeping(place, log, **options):
    """Return a flow of which a step waits for what another keeps, and the pool."""
    p = pool("kept", 2)
    steps = flow(place, **options)
    opens = steps.add_step("opens", log, acquires=[(p, 2)], releases=[])
    waits = steps.add_step("waits", log, acquires=[(p, 1)], requires=((opens, SUCCESS),))
    return steps, waits, p


def too_late(log):
    """Return a flow of which a step gives back what another waits for, after that."""
    steps, waits, p = keeping(":memory:", log)
    steps.add_step("closes", log, requires=((waits, SUCCESS),), releases=[(p, 2)])
    return steps.__wfengine_definition__()


@pytest.mark.parametrize("database_url", KINDS, indirect=True)
def test_what_is_kept_and_never_given_back_is_not_waited_for_on_any_database(
    database_url, log, soon
):
    with Store(database_url) as store:
        steps, waits, p = keeping(store, log)
        steps.add_step("closes", log, requires=((waits, SUCCESS),), releases=[(p, 2)])
        assert not ended(steps)
        assert log.take() == ["opens/1"]
        assert children(store, steps.uuid)["waits/1"][0] is WorkflowStatus.ERROR
        said = store.summary(steps.uuid).error
        assert "ResourceDeadlockError: waits/1 waits for 1 of pool 'kept'" in said
        assert states(store) == [("opens/1", "kept")]


def test_a_refused_step_has_failed_as_any_other_so_that_somebody_can_give_back(log, soon, caplog):
    steps, waits, p = keeping(":memory:", log, config={"stop_on_exception": False})
    steps.add_step("also", log, acquires=[(p, 2)], requires=((waits, FAILURE),))
    closes = steps.add_step("closes", log, requires=(("also", FAILURE),), releases=[(p, 2)])
    steps.add_step("late", log, acquires=[(p, 2)], requires=((closes, SUCCESS),))
    assert ended(steps), caplog.text
    assert log.calls == ["opens/1", "closes/1", "late/1"]


def test_steps_that_hold_something_and_wait_for_each_other_inside_fail_until_one_can_go_on(
    log, soon, caplog
):
    p, q = pool("p", 1), pool("q", 1)
    both = threading.Barrier(2)
    steps = flow(config={**THREADS, "stop_on_exception": False})
    for name, has, wants in (("one", p, q), ("two", q, p)):
        box = steps.add_step(name, acquires=[(has, 1)])
        meets = box.add_step("meets", both.wait)
        box.add_step("wants", log, acquires=[(wants, 1)], requires=((meets, SUCCESS),))
    assert not ended(steps)
    (served,) = log.calls
    refused, other = ("one", "two") if served == "two_wants/1.1" else ("two", "one")
    wanted = {"one": "q", "two": "p"}
    assert (
        f"{refused}_wants/1.1 waits for 1 of pool '{wanted[refused]}', of which there are 1: "
        f"{other}/1 holds 1. Nothing else is running or delayed that could give it back; "
        f"{other}_wants/1.1 waits for 1 of pool '{wanted[other]}', of which there are 1: "
        f"{refused}/1 holds 1"
    ) in caplog.text


def test_a_container_that_can_never_have_what_it_acquires_fails_before_its_steps_begin(log, soon):
    steps, waits, p = keeping(":memory:", log)
    box = steps.add_step("box", acquires=[(p, 1)], requires=((waits, FAILURE),))
    box.add_step("inside", log)
    steps.add_step("closes", log, requires=((box, FAILURE),), releases=[(p, 2)])
    assert ended(steps)
    assert log.calls == ["opens/1", "closes/1"]


def test_as_long_as_a_step_runs_or_is_delayed_what_is_kept_may_come_back(log, soon):
    def work():
        seen = len(soon)
        until(lambda: len(soon) > seen + 3)

    steps, _, p = keeping(":memory:", log, config=THREADS)
    works = steps.add_step("works", work, requires=(("opens", SUCCESS),))
    steps.add_step("closes", log, requires=((works, SUCCESS),), delay=0.05, releases=[(p, 2)])
    assert ended(steps)
    assert log.calls == ["opens/1", "closes/1", "waits/1"]


def test_what_another_flow_of_this_process_holds_is_waited_for(log, soon):
    p = pool("of two", 1)
    held, free = threading.Event(), threading.Event()
    holding, waiting = flow(config=THREADS), flow()
    holding.add_step("holds", lambda: held.set() or free.wait(60), acquires=[(p, 1)])
    waiting.add_step("waits", log, acquires=[(p, 1)])
    with ThreadPoolExecutor() as threads:
        runs = [threads.submit(holding)]
        assert held.wait(60)
        runs.append(threads.submit(waiting))
        until(lambda: len(soon) > 5)
        assert not log.calls
        free.set()
        assert all(run.result(60) for run in runs)
    assert log.calls == ["waits/1"]


def test_of_flows_of_this_process_that_wait_for_each_other_one_fails(log, soon):
    p, q = pool("of one", 1), pool("of the other", 1)
    both, flows = threading.Barrier(2), []
    for has, wants in ((p, q), (q, p)):
        steps = flow(config=THREADS)
        keeps = steps.add_step("keeps", both.wait, acquires=[(has, 1)], releases=[])
        steps.add_step("wants", log, acquires=[(wants, 1)], requires=((keeps, SUCCESS),))
        flows.append(steps)
    with ThreadPoolExecutor() as threads:
        runs = [threads.submit(steps) for steps in flows]
        assert sorted(run.result(60) for run in runs) == [False, True]
    assert log.calls == ["wants/1"]


def test_after_a_deadlock_the_run_is_recovered_with_all_pools_free(log, soon):
    with Store("sqlite://") as store:
        for mode, calls in ((RunMode.restart, ["opens/1"]), (RunMode.recover, ["waits/1"])):
            steps, waits, p = keeping(store, log, run_mode=mode)
            steps.add_step("closes", int, requires=((waits, SUCCESS),), releases=[(p, 2)])
            assert ended(steps) is (mode is RunMode.recover)
            assert log.take() == calls


def test_many_that_can_never_be_served_are_all_refused(log, soon):
    steps, waits, p = keeping(":memory:", log, config={"stop_on_exception": False})
    for number in range(50):
        steps.add_step(f"more {number}", log, acquires=[(p, 1)], requires=((waits, FAILURE),))
    steps.add_step("closes", log, requires=(("more 0", FAILURE),), releases=[(p, 2)])
    assert not ended(steps)
    assert log.calls == ["opens/1", "closes/1"]
    assert len(soon) < 200


def test_what_is_certain_to_be_kept_is_refused_before_anything_is_run(log):
    steps, _, p = keeping(":memory:", log)
    with pytest.raises(WorkflowDefinitionError) as raised:
        steps()
    said = (
        "step 'waits' acquires 1 of pool 'kept', of which there are 2; what ends before it, 'opens'"
    )
    assert said in str(raised.value)
    assert not log.calls
    steps.add_step("closes", log, releases=[(p, 1)], requires=(("opens", SUCCESS),))
    assert steps()


def test_what_only_one_way_through_a_flow_keeps_is_not_refused(log):
    p = pool("maybe", 1)
    steps = flow()
    fails = steps.add_step("fails", log)
    keeps = steps.add_step(
        "keeps", log, acquires=[(p, 1)], releases=[], requires=((fails, SUCCESS),)
    )
    steps.add_step(
        "wants", log, acquires=[(p, 1)], requires=or_((keeps, SUCCESS), (fails, FAILURE))
    )
    log.failing = {"fails/1"}
    assert steps()
    assert log.calls == ["fails/1", "wants/1"]


AMOUNTS = st.lists(st.tuples(st.sampled_from("pq"), st.integers(1, 2)), max_size=2)
STEPS = st.lists(
    st.tuples(AMOUNTS, st.none() | AMOUNTS, st.lists(st.integers(0, 4), max_size=2), AMOUNTS),
    min_size=1,
    max_size=5,
)


@given(STEPS, st.sampled_from([1, 2, 0]), st.booleans())
def test_whatever_is_kept_every_flow_comes_to_its_end(drawn, limit, stops):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desks, "LOOK_EVERY", 0.001)
        check_end(drawn, limit, stops)


def check_end(drawn, limit, stops):
    pools = {name: pool(f"any {name}", 2) for name in "pq"}
    steps = flow(
        config={"max_concurrent": limit, "task_construct": "thread", "stop_on_exception": stops}
    )
    try:
        for number, (acquires, releases, after, inside) in enumerate(drawn):
            step = steps.add_step(
                f"s{number}",
                None if inside else int,
                acquires=[(pools[name], amount) for name, amount in acquires],
                releases=None if releases is None else [(pools[n], a) for n, a in releases],
                requires=tuple((f"s{each}", COMPLETE) for each in after if each < number),
            )
            if inside:
                of = [(pools[name], amount) for name, amount in inside]
                step.add_step("inside", int, acquires=of)
        steps.__wfengine_definition__()
        check_given_back(steps)
    except WorkflowDefinitionError:
        return
    keeps = any(releases is not None or inside for _, releases, _, inside in drawn)
    assert ended(steps) or keeps
    assert not any(LOCAL_DESK._taken.values())


# Several processes


@contextmanager
def holding(database_url, folder, how):
    """Yield a process that has the pool "shared"."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), database_url, str(folder), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        try:
            until(lambda: (folder / "has").exists() or holder.poll() is not None)
            assert holder.poll() is None, holder.communicate()
            yield holder
        finally:
            holder.kill()


def until(is_so):
    """Wait until something is so."""
    end = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def states(store):
    """Return what the database says of each share of a pool."""
    with store.session() as session:
        return [(row.step, row.state) for row in session.execute(select(claims))]


@pytest.mark.parametrize("database_url", KINDS, indirect=True)
def test_processes_share_pools_and_the_dead_hold_nothing(database_url, tmp_path, log, soon):
    p = pool("shared", 1)
    with (
        holding(database_url, tmp_path, "held") as holder,
        Store(database_url) as store,
        flow(store, config=THREADS) as steps,
        ThreadPoolExecutor() as threads,
    ):
        steps.add_step("wants", log, acquires=[(p, 1)])
        run = threads.submit(steps)
        until(lambda: ("wants/1", "still") in states(store))
        assert not log.calls
        holder.kill()
        holder.wait()
        assert run.result(100)
        assert log.calls == ["wants/1"]


@pytest.mark.parametrize("database_url", KINDS, indirect=True)
def test_what_another_process_holds_is_waited_for_though_nothing_else_goes_on(
    database_url, tmp_path, log, soon
):
    p = pool("shared", 1)
    with (
        holding(database_url, tmp_path, "held") as holder,
        Store(database_url) as store,
        flow(store, config=THREADS) as steps,
        ThreadPoolExecutor() as threads,
    ):
        first = steps.add_step("first", log, acquires=[(p, 1)])
        steps.add_step("second", log, acquires=[(p, 1)], requires=((first, SUCCESS),))
        run = threads.submit(steps)
        until(lambda: ("first/1", "still") in states(store))
        assert not run.done()
        (tmp_path / "free").touch()
        assert run.result(100)
        assert log.calls == ["first/1", "second/1"]
        assert holder.communicate(timeout=100)[0] == "True\n"
        assert states(store) == []


def crossing(log):
    """Return two flows each of which keeps what the other wants."""
    p, q = pool("of one", 1), pool("of the other", 1)
    both, flows = threading.Barrier(2), []
    for name, has, wants in (("one", p, q), ("two", q, p)):
        steps = flow(config={**THREADS, "stop_on_exception": False})
        keeps = steps.add_step(f"{name} keeps", both.wait, acquires=[(has, 1)], releases=[])
        steps.add_step(f"{name} wants", log, acquires=[(wants, 1)], requires=((keeps, SUCCESS),))
        flows.append(steps.__wfengine_definition__())
    return flows


def run_of(definition, place, in_loop):
    """Run a definition in an engine of its own."""
    if place == "memory":
        eng = GenericWorkflowEngine()
        eng.callbacks.replace(definition)
    else:
        eng = DbWorkflowEngine.with_name("larger", store=place, definition=definition)
    if in_loop:
        asyncio.run(eng.process_async([{}]))
    else:
        eng.process([{}])


@pytest.mark.parametrize("in_loop", [False, True], ids=["in threads", "in a loop"])
@pytest.mark.parametrize("place", ["memory", "store"])
def test_flows_that_are_branches_of_one_run_and_wait_for_each_other_fail(log, soon, place, in_loop):
    definition = [SYNCHRONIZE(*crossing(log), lambda obj, eng: log())]
    with Store("sqlite://") as store, ThreadPoolExecutor() as threads:
        run = threads.submit(run_of, definition, store if place == "store" else place, in_loop)
        error = run.exception(60)
    said = "".join(map(str, error.exceptions))
    assert "one wants/1 waits for 1 of pool 'of the other'" in said
    assert "two wants/1 waits for 1 of pool 'of one'" in said
    assert log.calls == []


@pytest.mark.parametrize("in_loop", [False, True], ids=["in a thread", "in a loop"])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_flow_inside_of_tasks_that_waits_for_what_it_keeps_fails(log, soon, depth, in_loop):
    definition = [too_late(log)]
    for _ in range(depth):
        definition = [RUN_WF(definition)]
    with ThreadPoolExecutor() as threads:
        error = threads.submit(run_of, definition, "memory", in_loop).exception(60)
    assert "waits/1 waits for 1 of pool 'kept'" in str(error)
    assert log.calls == ["opens/1"]


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_steps_inside_of_steps_in_a_loop_that_wait_for_each_other_fail(log, soon, limit, caplog):
    p = pool("kept", 1)
    steps = flow(config={**THREADS, "max_concurrent": limit, "stop_on_exception": False})
    opens = steps.add_step("opens", log, acquires=[(p, 1)], releases=[])
    box = steps.add_step("box", requires=((opens, SUCCESS),))
    box.add_step("waits", log, acquires=[(p, 1)])
    also = steps.add_step("also", log, acquires=[(p, 1)], requires=((opens, SUCCESS),))
    gives = ((box, SUCCESS), (also, SUCCESS))
    steps.add_step("closes", log, requires=gives, releases=[(p, 1)])
    with ThreadPoolExecutor() as threads:
        run = threads.submit(run_of, [steps.__wfengine_definition__()], "memory", True)
        error = run.exception(60)
    assert "box_waits/1.1 waits for 1 of pool 'kept'" in str(error)
    assert "also/1 waits for 1 of pool 'kept'" in str(error)
    assert log.calls == ["opens/1"]


@pytest.mark.parametrize("in_loop", [False, True], ids=["in threads", "in a loop"])
def test_as_long_as_a_task_beside_a_flow_goes_on_what_is_kept_may_come_back(log, soon, in_loop):
    gives = flow()
    gives.add_step("gives", log, releases=[(pool("kept", 2), 2)])

    def work(obj, eng):
        until(lambda: "opens/1" in log.calls)
        seen = len(soon)
        until(lambda: len(soon) > seen + 3)

    beside = [work, gives.__wfengine_definition__()]
    definition = [SYNCHRONIZE(too_late(log), beside, lambda obj, eng: None)]
    with ThreadPoolExecutor() as threads:
        assert threads.submit(run_of, definition, "memory", in_loop).exception(60) is None
    assert log.calls == ["opens/1", "gives/1", "waits/1", "closes/1"]


@pytest.mark.parametrize("database_url", KINDS, indirect=True)
def test_of_two_processes_that_wait_for_each_other_one_fails_and_the_other_goes_on(
    database_url, tmp_path, caplog, soon
):
    shared, other = pool("shared", 1), pool("other", 1)
    with (
        holding(database_url, tmp_path, "kept") as holder,
        flow(database_url, config=THREADS) as steps,
    ):
        other_file = tmp_path / "other"
        keeps = steps.add_step("keeps", other_file.touch, acquires=[(other, 1)], releases=[])
        steps.add_step("wants", int, acquires=[(shared, 1)], requires=((keeps, SUCCESS),))
        success = steps()
        said, problems = holder.communicate(timeout=100)
        assert {str(success), said.strip()} == {"True", "False"}, problems
    text = problems if success else caplog.text
    waits, keeper = ("want/1", "keeps/1") if success else ("wants/1", "keep/1")
    assert f"ResourceDeadlockError: {waits} waits for 1 of pool" in text
    assert f"{keeper} of run " in text
