"""Stopping runs wherever they are, and taking up those whose owner died.

Run as a program, this file is the other process: it begins a run, and says so in a folder.
"""

import asyncio
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest
from sqlalchemy import func, select, update

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import (
    DamagedDataError,
    HaltProcessing,
    LeaseLostError,
    PositionError,
    WorkflowDefinitionError,
)
from wfengine.patterns import RUN_WF, SYNCHRONIZE
from wfengine.patterns.graph import GRAPH, Node
from wfengine.status import WorkflowStatus
from wfengine.store import Store, TaskExecution, Workflow, WorkflowObject

PATIENCE = 60.0
"""Seconds after which something that hangs fails its test."""

SHORT = 1.0
"""Seconds that a lease lasts whose owner is about to die."""


# What the other process runs


def mark(token, eng):
    with (Path(token["folder"]) / "marks").open("a") as marks:
        marks.write(f"{token['n']}\n")


def nap(token, eng):
    (Path(token["folder"]) / "is at it").touch()
    time.sleep(0.02)


def sleep(token, eng):
    folder = Path(token["folder"])
    (folder / "is at it").touch()
    while not (folder / "wake").exists():
        time.sleep(0.01)


def ask(token, eng):
    eng.halt("go on?", action="approve")


def fail(token, eng):
    raise ValueError("this never works")


def ask_the_second(token, eng):
    if token["n"] == 1:
        ask(token, eng)


DEFINITIONS = {
    "napping": [mark, nap],
    "sleeping": [mark, sleep, mark],
    "beside": [mark, SYNCHRONIZE([sleep, mark], [mark, sleep, mark], mark)],
}


def definitions_here():
    registry = Registry()
    for name, definition in DEFINITIONS.items():
        registry.add(name, definition)
    return registry


def work(url, folder, name, lease_seconds):
    with Store(url, lease_seconds=float(lease_seconds), definitions=definitions_here()) as store:
        eng = DbWorkflowEngine.with_name(name, store=store)
        (Path(folder) / "uuid").write_text(eng.uuid)
        count = 2_000 if name == "napping" else 2
        eng.process([{"n": number, "folder": folder} for number in range(count)])


class Worker:
    """The other process, which is at a task when this is made."""

    def __init__(self, url, folder, name, lease_seconds):
        self.folder = folder
        arguments = [__file__, url, str(folder), name, str(lease_seconds)]
        self.process = subprocess.Popen([sys.executable, *arguments])
        end = time.monotonic() + PATIENCE
        while not (folder / "is at it").exists():
            assert self.process.poll() is None, "the worker has ended"
            assert time.monotonic() < end, "the worker hangs"
            time.sleep(0.01)
        self.uuid = (folder / "uuid").read_text()

    @property
    def marks(self):
        """The tokens whose tasks have been run, in order."""
        return (self.folder / "marks").read_text().split()

    def wake(self):
        """Let the task end that sleeps."""
        (self.folder / "wake").touch()

    def wait(self):
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.wait()


@pytest.fixture
def store(emptied_url):
    with Store(emptied_url, definitions=definitions_here()) as store:
        yield store


@pytest.fixture
def any_store(database_url):
    """A store in a database of each kind."""
    with Store(database_url, definitions=definitions_here(), lease_seconds=PATIENCE) as store:
        yield store


@pytest.fixture
def other_process(database_url, tmp_path):
    """Begin a run in another process."""
    workers = []

    def begin(name, lease_seconds=PATIENCE):
        workers.append(Worker(database_url, tmp_path, name, lease_seconds))
        return workers[-1]

    yield begin
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()


def halted(store, definition, *tokens, **how):
    """Run tokens until they halt or fail; return the run's engine."""
    store.definitions.add("run", definition, replace=True)
    eng = DbWorkflowEngine.with_name("run", store=store)
    with suppress(HaltProcessing, ValueError):
        eng.process([*tokens], **how)
    return eng


def leave_to_die(store, uuid, **values):
    """Make a run look as its owner leaves it that dies before the run's end is written."""
    with store.session() as session:
        session.execute(
            update(Workflow)
            .where(Workflow.uuid == str(uuid))
            .values(status="RUNNING", lease_owner="the dead", lease_expires=1.0, **values)
        )


def run_of(store, uuid):
    with store.session() as session:
        found = session.scalars(select(Workflow).where(Workflow.uuid == str(uuid))).one()
        session.expunge(found)
        return found


def tokens_of(store, uuid):
    with store.session() as session:
        query = select(WorkflowObject).join(Workflow).where(Workflow.uuid == str(uuid))
        found = list(session.scalars(query.order_by(WorkflowObject.token_pos)))
        session.expunge_all()
        return found


def until_stored(store, task, count):
    """Wait until so many steps of a task are stored."""
    query = select(func.count()).where(TaskExecution.name == task, TaskExecution.status == "done")
    end = time.monotonic() + PATIENCE
    while True:
        with store.session() as session:
            if session.scalar(query) >= count:
                return
        assert time.monotonic() < end, "the worker hangs"
        time.sleep(0.01)


# Stopping


def test_a_run_in_another_process_stops_and_begins_no_further_task(any_store, other_process):
    worker = other_process("napping")
    stopped = any_store.stop(worker.uuid, by="ann")
    begun = worker.marks
    assert stopped.is_stopped
    assert stopped.status is WorkflowStatus.HALTED
    assert run_of(any_store, worker.uuid).lease_owner is None
    assert worker.wait() == 0
    assert worker.marks == begun


def test_a_stopped_run_goes_on_where_it_stopped(any_store, other_process, tmp_path):
    worker = other_process("sleeping")
    assert not any_store.stop(worker.uuid, wait=0).is_stopped
    worker.wake()
    assert any_store.stop(worker.uuid).is_stopped
    assert worker.marks == ["0"]
    worker.wait()
    DbWorkflowEngine.from_uuid(worker.uuid, store=any_store).resume()
    assert worker.marks == ["0", "0", "1", "1"]
    assert any_store.run(worker.uuid).status is WorkflowStatus.COMPLETED


def test_a_task_that_is_still_running_is_named(any_store, other_process):
    worker = other_process("sleeping")
    stopped = any_store.stop(worker.uuid, wait=0.1)
    assert not stopped.is_stopped
    [running] = stopped.running
    assert (running.task, running.token) == ("sleep", 0)
    assert running.since.timestamp() <= time.time()
    assert f"process {worker.process.pid}" in stopped.owner


def test_tasks_of_branches_that_are_still_running_are_named(any_store, other_process):
    worker = other_process("beside")
    until_stored(any_store, "mark", 2)
    stopped = any_store.stop(worker.uuid, wait=0.1)
    assert [running.task for running in stopped.running][-2:] == ["sleep", "sleep"]


def test_branches_stop_with_their_run_and_go_on_with_it(any_store, other_process):
    worker = other_process("beside")
    until_stored(any_store, "mark", 2)
    any_store.stop(worker.uuid, wait=0)
    worker.wake()
    assert any_store.stop(worker.uuid).is_stopped
    assert worker.wait() == 0
    assert worker.marks == ["0", "0"]
    DbWorkflowEngine.from_uuid(worker.uuid, store=any_store).resume()
    assert worker.marks == ["0"] * 5 + ["1"] * 5


def test_stopping_a_branch_stops_the_run_that_it_belongs_to(any_store, other_process):
    worker = other_process("beside")
    with any_store.session() as session:
        branch = session.scalars(select(Workflow.uuid).where(Workflow.parent_id.is_not(None)))
        uuid = branch.first()
    any_store.stop(uuid, wait=0)
    worker.wake()
    stopped = any_store.stop(uuid)
    assert (stopped.is_stopped, stopped.uuid) == (True, worker.uuid)


@pytest.mark.parametrize("is_asynchronous", [False, True])
def test_a_stop_between_the_elements_of_a_graph_is_seen_at_once(any_store, is_asynchronous):
    done = []

    def stop_me(token, eng):
        done.append("first")
        any_store.stop(token["run"], wait=0)

    graph = GRAPH(
        Node("first", stop_me),
        Node("second", lambda token, eng: done.append("second"), requires="first"),
    )
    any_store.definitions.add("graph", [graph])
    eng = DbWorkflowEngine.with_name("graph", store=any_store)
    if is_asynchronous:
        asyncio.run(eng.process_async([{"run": eng.uuid}]))
    else:
        eng.process([{"run": eng.uuid}])
    assert (done, eng.status) == (["first"], WorkflowStatus.HALTED)
    eng.resume()
    assert (done, eng.status) == (["first", "second"], WorkflowStatus.COMPLETED)


@pytest.mark.parametrize("status", ["NEW", "HALTED", "COMPLETED"])
def test_a_run_that_nobody_has_is_stopped_already(store, status):
    definition = {"HALTED": [ask]}.get(status, [nap])
    store.definitions.add("run", definition)
    eng = DbWorkflowEngine.with_name("run", store=store)
    if status != "NEW":
        eng = halted(store, [ask] if status == "HALTED" else [lambda token, eng: None], {"n": 0})
    stopped = store.stop(eng.uuid)
    assert (stopped.is_stopped, stopped.status.name) == (True, status)
    assert run_of(store, eng.uuid).stop_requested is None


def test_a_run_whose_owner_died_is_halted_and_not_recovered(any_store):
    eng = halted(any_store, [ask], {"n": 0})
    leave_to_die(any_store, eng.uuid)
    stopped = any_store.stop(eng.uuid)
    assert (stopped.is_stopped, stopped.status) == (True, WorkflowStatus.HALTED)
    assert any_store.recover() == []


def test_a_run_that_somebody_has_taken_and_not_begun_has_not_stopped(store):
    eng = halted(store, [ask], {"n": 0})
    lease = store.take(store.run(eng.uuid), lambda transition: None)
    stopped = store.stop(eng.uuid, wait=0)
    store.keeper.drop(lease)
    assert (stopped.is_stopped, stopped.owner) == (False, lease.owner)
    assert run_of(store, eng.uuid).stop_requested is not None


def test_a_run_that_somebody_took_and_died_is_given_back_with_its_status(store):
    eng = halted(store, [lambda token, eng: None], {"n": 0})
    with store.session() as session:
        session.execute(update(Workflow).values(lease_owner="the dead", lease_expires=1.0))
    stopped = store.stop(eng.uuid)
    assert (stopped.is_stopped, stopped.status) == (True, WorkflowStatus.COMPLETED)
    assert run_of(store, eng.uuid).lease_owner is None


def test_a_sleeping_owner_that_wakes_after_its_run_was_stopped_cannot_write(tmp_path):
    asleep, wake, now = Event(), Event(), [1_000.0]

    def fall_asleep(token, eng):
        if token["n"] == 0:
            asleep.set()
            assert wake.wait(PATIENCE)

    url = f"sqlite:///{tmp_path / 'runs.db'}"
    came_out = []
    with (
        Store(url, clock=lambda: 1_000.0) as theirs,
        Store(url, clock=lambda: now[0], lease_seconds=PATIENCE) as ours,
    ):
        eng = DbWorkflowEngine.with_name("run", store=theirs, definition=[fall_asleep, nap])

        def process():
            try:
                eng.process([{"n": 0, "folder": str(tmp_path)}])
            except LeaseLostError as error:
                came_out.append(error)

        thread = Thread(target=process)
        thread.start()
        assert asleep.wait(PATIENCE)
        now[0] += 1_000
        assert ours.stop(eng.uuid).is_stopped
        wake.set()
        thread.join(PATIENCE)
        assert len(came_out) == 1
        assert not (tmp_path / "is at it").exists()
        assert run_of(ours, eng.uuid).status == "HALTED"


def test_a_run_that_others_take_up_again_meanwhile_has_not_stopped(store, monkeypatch):
    eng = halted(store, [ask], {"n": 0})
    leases = [store.take(store.run(eng.uuid), lambda transition: None)]

    def hand_over(seconds):
        """Let the owner stop and another begin between two looks."""
        store.keeper.drop(leases.pop())
        leave_to_die(store, eng.uuid)
        leases.append(store.take(store.run(eng.uuid), lambda transition: None))

    monkeypatch.setattr("wfengine.store.control.time.sleep", hand_over)
    stopped = store.stop(eng.uuid)
    store.keeper.drop(leases.pop())
    assert not stopped.is_stopped
    assert run_of(store, eng.uuid).stop_requested is None


@pytest.mark.parametrize("by", ["<script>", "../", "--opt", "a\0b", "x" * 100_000, "\ud800"])
def test_whoever_asks_may_have_any_name(store, by):
    eng = halted(store, [ask], {"n": 0})
    lease = store.take(store.run(eng.uuid), lambda transition: None)
    store.stop(eng.uuid, by=by, wait=0)
    store.keeper.drop(lease)
    assert run_of(store, eng.uuid).stop_requested


# Recovering


def test_a_run_whose_process_was_killed_goes_on_here(any_store, other_process):
    worker = other_process("sleeping", SHORT)
    worker.kill()
    worker.wake()
    found = []
    end = time.monotonic() + PATIENCE
    while not found and time.monotonic() < end:
        found = any_store.recover()
    assert [(each.uuid, each.name, each.result) for each in found] == [
        (worker.uuid, "sleeping", "completed")
    ]
    assert worker.marks == ["0", "0", "1", "1"]


def test_branches_that_were_killed_go_on_and_those_that_had_ended_do_not_run_again(
    any_store, other_process
):
    worker = other_process("beside", SHORT)
    until_stored(any_store, "mark", 2)
    worker.kill()
    worker.wake()
    end = time.monotonic() + PATIENCE
    while not any_store.recover():
        assert time.monotonic() < end
    assert worker.marks == ["0"] * 5 + ["1"] * 5


def test_nothing_to_recover_is_no_work(store):
    halted(store, [ask], {"n": 0})
    assert store.recover() == []


def test_a_run_whose_owner_lives_is_left_alone(store):
    eng = halted(store, [ask], {"n": 0})
    lease = store.take(store.run(eng.uuid), lambda transition: None)
    assert store.recover() == []
    store.keeper.drop(lease)


def test_a_halt_that_nobody_decided_on_stays_halted(any_store):
    eng = halted(any_store, [ask, nap], {"n": 0}, {"n": 1})
    leave_to_die(any_store, eng.uuid)
    [found] = any_store.recover()
    assert (found.result, found.error) == ("halted", None)
    assert [token.status for token in tokens_of(any_store, eng.uuid)] == ["HALTED", "INITIAL"]
    assert run_of(any_store, eng.uuid).lease_owner is None


def test_a_decision_that_was_made_meanwhile_is_handed_over(store):
    def note(token, eng):
        token["decision"] = eng.decision

    eng = halted(store, [ask, note], {"n": 0})
    store.decide(tokens_of(store, eng.uuid)[0].id, "yes")
    leave_to_die(store, eng.uuid)
    [found] = store.recover()
    assert found.result == "completed"
    assert tokens_of(store, eng.uuid)[0].data["decision"] == "yes"


def test_a_failed_token_that_ended_a_run_is_not_tried_again(any_store):
    def fail_the_second(token, eng):
        token["tries"] = token.get("tries", 0) + 1
        if token["n"] == 1:
            fail(token, eng)

    eng = halted(any_store, [fail_the_second], {"n": 0}, {"n": 1}, {"n": 2})
    leave_to_die(any_store, eng.uuid)
    [found] = any_store.recover()
    assert found.result == "error"
    statuses = [token.status for token in tokens_of(any_store, eng.uuid)]
    assert statuses == ["COMPLETED", "ERROR", "INITIAL"]
    with any_store.session() as session:
        failed = select(TaskExecution).where(TaskExecution.status == "failed")
        assert len(session.scalars(failed).all()) == 1


def test_a_run_that_halts_again_is_reported_as_halted(store):
    eng = halted(store, [ask_the_second], {"n": 0}, {"n": 1})
    with store.session() as session:
        session.execute(
            update(WorkflowObject).values(status="INITIAL", callback_pos="0", outcome=None)
        )
    leave_to_die(store, eng.uuid, token_pos=0)
    [found] = store.recover()
    assert (found.result, found.error) == ("halted", None)


def test_a_run_that_was_to_stop_is_halted_and_not_gone_on_with(store):
    eng = halted(store, [ask], {"n": 0})
    with store.session() as session:
        session.execute(update(WorkflowObject).values(status="RUNNING"))
    leave_to_die(store, eng.uuid, stop_requested="ann")
    [found] = store.recover()
    assert found.result == "halted"
    assert tokens_of(store, eng.uuid)[0].status == "RUNNING"


def died_at_its_first_task(store, name, definition, *, tokens=1):
    """Return the uuid of a run whose owner died in the first task."""
    eng = DbWorkflowEngine.with_name(name, store=store, definition=definition)

    def die(token, eng):
        raise KeyboardInterrupt

    eng.callbacks.replace([die])
    with pytest.raises(KeyboardInterrupt):
        eng.process([{"n": number} for number in range(tokens)])
    leave_to_die(store, eng.uuid)
    return eng.uuid


def count_up(token, eng):
    token["n"] += 1


def test_what_is_wrong_with_one_run_is_reported_and_the_others_are_recovered(store):
    store.definitions.add("good", [count_up])
    store.definitions.add("bad", [fail])
    store.definitions.add("changed", [count_up])
    unknown = died_at_its_first_task(store, "unknown", [count_up])
    damaged = died_at_its_first_task(store, "good", "good")
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"update workflow set options = '[' where uuid = '{damaged}'")
    bad = died_at_its_first_task(store, "bad", "bad")
    good = died_at_its_first_task(store, "good", "good")
    found = {each.uuid: each for each in store.recover()}
    assert {uuid: each.result for uuid, each in found.items()} == {
        unknown: "refused",
        damaged: "refused",
        bad: "error",
        good: "completed",
    }
    assert isinstance(found[unknown].error, WorkflowDefinitionError)
    assert isinstance(found[damaged].error, DamagedDataError)
    assert isinstance(found[bad].error, ValueError)


def test_a_run_whose_definition_has_changed_too_much_is_refused_and_left(store):
    store.definitions.add("changing", [count_up, ask, count_up])
    eng = DbWorkflowEngine.with_name("changing", store=store)
    with pytest.raises(HaltProcessing):
        eng.process([{"n": 0}])
    with store.session() as session:
        session.execute(update(WorkflowObject).values(status="RUNNING"))
    leave_to_die(store, eng.uuid)
    store.definitions.add("changing", [nap], replace=True)
    [found] = store.recover()
    assert (found.result, type(found.error)) == ("refused", PositionError)
    assert run_of(store, eng.uuid).status == "RUNNING"


def test_definitions_can_be_given_for_runs_that_have_none_of_a_name(store):
    uuid = died_at_its_first_task(store, "unnamed", [count_up])
    [found] = store.recover(definitions={"unnamed": [count_up]})
    assert (found.uuid, found.result) == (uuid, "completed")


def test_an_engine_of_ones_own_can_be_used(store):
    class MyEngine(DbWorkflowEngine):
        def execute_callback(self, callback, obj):
            obj["seen"] = True
            return super().execute_callback(callback, obj)

    store.definitions.add("good", [count_up])
    uuid = died_at_its_first_task(store, "good", "good")
    store.recover(engine=MyEngine)
    assert tokens_of(store, uuid)[0].data == {"n": 1, "seen": True}


def test_a_dry_run_finds_runs_and_leaves_them(store):
    store.definitions.add("good", [count_up])
    uuid = died_at_its_first_task(store, "good", "good")
    assert [(each.uuid, each.result) for each in store.recover(dry_run=True)] == [(uuid, "found")]
    assert run_of(store, uuid).status == "RUNNING"


def test_only_so_many_runs_or_those_of_some_names_are_taken_up(store):
    for name in ("one", "two", "two"):
        store.definitions.add(name, [count_up], replace=True)
        died_at_its_first_task(store, name, name)
    died_at_its_first_task(store, "unknown", [count_up])
    assert [each.name for each in store.recover(names=["two"], limit=1)] == ["two"]
    assert [each.name for each in store.recover(names=["two"])] == ["two"]
    assert [each.name for each in store.recover()] == ["one", "unknown"]


def test_runs_that_cannot_be_taken_up_do_not_keep_others_out_by_the_limit(store):
    store.definitions.add("good", [count_up])
    died_at_its_first_task(store, "unknown", [count_up])
    died_at_its_first_task(store, "good", "good")
    assert [each.result for each in store.recover(limit=1)] == ["refused", "completed"]


def test_branches_are_recovered_with_the_run_that_they_belong_to(store):
    eng = halted(store, [RUN_WF([ask])], {"n": 0})
    with store.session() as session:
        session.execute(
            update(Workflow).values(status="RUNNING", lease_owner="the dead", lease_expires=1.0)
        )
    assert [each.uuid for each in store.recover(dry_run=True)] == [eng.uuid]


def test_each_run_is_taken_up_once_however_many_recover_at_once(any_store):
    any_store.definitions.add("good", [count_up])
    uuids = [died_at_its_first_task(any_store, "good", "good") for _ in range(6)]
    gate = Barrier(3)

    def recover(_):
        gate.wait()
        return any_store.recover()

    with ThreadPoolExecutor(3) as pool:
        found = [each for some in pool.map(recover, range(3)) for each in some]
    assert {each.uuid for each in found} == set(uuids)
    assert {each.result for each in found} == {"completed"}
    assert [tokens_of(any_store, uuid)[0].data for uuid in uuids] == [{"n": 1}] * 6


if __name__ == "__main__":
    work(*sys.argv[1:])
