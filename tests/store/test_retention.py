"""Deleting what is old, in steps of which each leaves a store that makes sense."""

from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select, update

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import (
    HaltProcessing,
    LeaseHeldError,
    UnknownRunError,
    UnknownTokenError,
    WorkflowAPIError,
)
from wfengine.patterns import FOR, PARALLEL_SPLIT, RUN_WF, SYNCHRONIZE
from wfengine.status import WorkflowStatus
from wfengine.store import (
    Store,
    TaskExecution,
    Workflow,
    WorkflowDefinition,
    WorkflowObject,
)
from wfengine.store.retention import Pruned

DAY = 86_400.0
START = 1_000_000_000.0


class Clock:
    """The time of the store, which passes when it is told to."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def days(self, number):
        self.now += number * DAY


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(emptied_url, clock):
    with Store(emptied_url, clock=clock, definitions=Registry(), lease_seconds=1000 * DAY) as store:
        yield store


@pytest.fixture
def any_store(database_url, clock):
    """A store in a database of each kind."""
    with Store(
        database_url, clock=clock, definitions=Registry(), lease_seconds=1000 * DAY
    ) as store:
        yield store


def count_up(token, eng):
    token["n"] = token.get("n", 0) + 1


def ask(token, eng):
    eng.halt("go on?", action="approve")


def fail(token, eng):
    raise ValueError("no")


def note(key):
    def note_it(token, eng):
        token[key] = True

    return note_it


NESTED = [
    count_up,
    SYNCHRONIZE([count_up, RUN_WF([SYNCHRONIZE([note("a")], [note("b")], [])])], [note("c")], []),
]


def ran(store, definition, tokens=1, **how):
    """Run tokens; return the uuid of the run."""
    eng = DbWorkflowEngine.with_name("run", store=store, definition=definition)
    with suppress(HaltProcessing, ValueError):
        eng.process([{} for _ in range(tokens)], **how)
    return eng.uuid


def counts(store):
    """Return how many runs, tokens, steps and definitions there are."""
    models = (Workflow, WorkflowObject, TaskExecution, WorkflowDefinition)
    with store.session() as session:
        return Pruned(*(session.scalar(select(func.count()).select_from(each)) for each in models))


def uuids(store):
    with store.session() as session:
        query = select(Workflow.uuid).where(Workflow.parent_id.is_(None)).order_by(Workflow.id)
        return list(session.scalars(query))


def steps_of(store, uuid, index=0):
    """Return the numbers of the steps that are left of a token."""
    with store.session() as session:
        query = (
            select(TaskExecution.step)
            .join(WorkflowObject)
            .join(Workflow)
            .where(Workflow.uuid == uuid, WorkflowObject.token_pos == index)
        )
        return list(session.scalars(query.order_by(TaskExecution.step)))


# Runs


def test_a_finished_run_goes_with_all_that_belongs_to_it(any_store, clock):
    ran(any_store, NESTED, tokens=2)
    before = counts(any_store)
    clock.days(8)
    assert any_store.prune(older_than=7 * DAY) == before
    assert counts(any_store) == Pruned(0, 0, 0, 0)


def test_what_is_younger_stays(any_store, clock):
    old = ran(any_store, [count_up])
    clock.days(5)
    young = ran(any_store, [count_up])
    clock.days(4)
    assert any_store.prune(older_than=timedelta(days=7)).runs == 1
    assert uuids(any_store) == [young]
    assert old not in uuids(any_store)


def test_age_counts_from_the_end_of_a_run(store, clock):
    def take_days(token, eng):
        clock.days(10)

    uuid = ran(store, [take_days])
    clock.days(5)
    assert store.prune(older_than=7 * DAY).runs == 0
    assert uuids(store) == [uuid]


@pytest.mark.parametrize(
    ("definition", "status"), [([ask], WorkflowStatus.HALTED), ([fail], WorkflowStatus.ERROR)]
)
def test_runs_that_are_not_finished_go_only_when_asked_for(store, clock, definition, status):
    ran(store, definition)
    clock.days(8)
    assert store.prune(older_than=7 * DAY).runs == 0
    assert store.prune(older_than=7 * DAY, statuses=[status]).runs == 1


def test_a_halted_run_in_which_something_happened_since_stays(store, clock):
    uuid = ran(store, [ask, RUN_WF([ask])])
    clock.days(8)
    with pytest.raises(HaltProcessing):
        DbWorkflowEngine.from_uuid(uuid, store=store, definition=[ask, RUN_WF([ask])]).resume()
    statuses = [WorkflowStatus.HALTED]
    assert store.prune(older_than=7 * DAY, statuses=statuses).runs == 0
    clock.days(8)
    assert store.prune(older_than=7 * DAY, statuses=statuses).runs == 2


def test_a_run_that_somebody_has_is_not_touched(any_store, clock):
    uuid = ran(any_store, [count_up, count_up])
    clock.days(8)
    lease = any_store.take(any_store.run(uuid), lambda transition: None)
    with any_store.session() as session:  # whatever its row says
        session.execute(update(Workflow).values(status="COMPLETED"))
    done = any_store.prune(older_than=0, keep_history=0)
    any_store.keeper.drop(lease)
    assert done == Pruned()
    assert steps_of(any_store, uuid) == [1, 2]


def test_a_run_whose_owner_died_is_not_deleted(store, clock):
    uuid = ran(store, [count_up])
    with store.session() as session:
        session.execute(update(Workflow).values(status="RUNNING", lease_owner="x", lease_expires=1))
    clock.days(8)
    store.prune(older_than=0, statuses=[each for each in WorkflowStatus if each.name != "RUNNING"])
    assert uuids(store) == [uuid]


def test_a_halted_branch_goes_with_the_run_that_did_not_wait_for_it(store, clock):
    ran(store, [PARALLEL_SPLIT([ask])])
    clock.days(1)
    assert store.prune(older_than=0).runs == 2
    assert counts(store).tokens == 0


def test_rows_are_deleted_in_batches(any_store, clock):
    ran(any_store, [count_up, count_up, RUN_WF([count_up])], tokens=7)
    before = counts(any_store)
    clock.days(1)
    assert any_store.prune(older_than=0, batch=2) == before
    assert counts(any_store) == Pruned()


@pytest.mark.parametrize(
    ("what", "match"),
    [
        ({"older_than": -1}, "older_than"),
        ({"older_than": float("nan")}, "older_than"),
        ({"older_than": "week"}, "older_than"),
        ({"older_than": True}, "older_than"),
        ({"older_than": 0, "statuses": [WorkflowStatus.RUNNING]}, "running are not deleted"),
        ({"older_than": 0, "statuses": ["COMPLETED"]}, "is a WorkflowStatus"),
        ({"older_than": 0, "batch": 0}, "batch"),
        ({"older_than": 0, "keep_history": -1}, "keep_history"),
        ({"older_than": 0, "history_older_than": -1}, "history_older_than"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_deleted(store, clock, what, match):
    ran(store, [count_up])
    clock.days(1)
    with pytest.raises(WorkflowAPIError, match=match):
        store.prune(**what)
    assert counts(store).runs == 1


# Being killed


class Killed(BaseException):
    """Stands for the death of the process."""


def dying_after(store, number):
    """Have the process die when so many transactions are committed."""
    commits = 0

    def count(connection):
        nonlocal commits
        if connection.get_execution_options().get("wfengine_writes"):
            commits += 1
            if commits > number:
                raise Killed

    event.listen(store.database.engine, "commit", count)
    return lambda: event.remove(store.database.engine, "commit", count)


def orphans(store):
    """Return how many rows refer to a row that is gone."""
    tokens, runs = select(WorkflowObject.id), select(Workflow.id)
    queries = [
        select(TaskExecution.id).where(TaskExecution.object_id.not_in(tokens)),
        select(WorkflowObject.id).where(WorkflowObject.workflow_id.not_in(runs)),
        select(Workflow.id).where(Workflow.parent_id.is_not(None), Workflow.parent_id.not_in(runs)),
    ]
    with store.session() as session:
        return sum(len(session.scalars(query).all()) for query in queries)


def test_being_killed_between_any_two_deletes_leaves_what_the_next_prune_deletes(store, clock):
    kills, is_killed = 0, True
    while is_killed:
        ran(store, NESTED, tokens=2)
        clock.days(8)
        kept = ran(store, [count_up])
        revive = dying_after(store, kills)
        try:
            store.prune(older_than=7 * DAY, batch=2)
            is_killed = False
        except Killed:
            kills += 1
        finally:
            revive()
        assert orphans(store) == 0
        store.prune(older_than=7 * DAY)
        assert uuids(store) == [kept]
        assert counts(store) == Pruned(1, 1, 1, 1)
        clock.days(8)
        store.prune(older_than=7 * DAY)
    assert kills > 10


@pytest.fixture
def half_deleted(store, clock):
    """The uuid of a run that is being deleted."""
    uuid = ran(store, [ask, count_up], tokens=2)
    clock.days(8)
    revive = dying_after(store, 2)
    with pytest.raises(Killed):
        store.prune(older_than=0, statuses=[WorkflowStatus.HALTED], batch=1)
    revive()
    assert uuids(store) == [uuid]
    return uuid


def test_a_run_that_is_being_deleted_cannot_be_taken_up(store, half_deleted):
    eng = DbWorkflowEngine.from_uuid(half_deleted, store=store, definition=[ask, count_up])
    with pytest.raises(LeaseHeldError, match="being deleted"):
        eng.resume()
    assert store.recover() == []
    assert store.stop(half_deleted).is_stopped


def test_a_token_of_a_run_that_is_being_deleted_cannot_be_decided_on(store, half_deleted):
    with store.session() as session:
        token_id = session.scalars(select(WorkflowObject.id)).first()
    with pytest.raises(UnknownTokenError, match="being deleted"):
        store.decide(token_id, "yes")


def test_what_was_begun_is_finished_by_the_next_prune_whatever_that_is_for(store, half_deleted):
    store.prune(older_than=1000 * DAY)
    assert uuids(store) == []
    with pytest.raises(UnknownRunError):
        store.run(half_deleted)


# Histories


def test_only_the_last_steps_of_each_token_are_kept(any_store, clock):
    uuid = ran(any_store, [count_up] * 5, tokens=2)
    done = any_store.prune(older_than=DAY, keep_history=2)
    assert done == Pruned(steps=6)
    assert [steps_of(any_store, uuid, index) for index in (0, 1)] == [[4, 5], [4, 5]]


def test_steps_of_some_age_are_deleted(any_store, clock):
    def take_a_day(token, eng):
        clock.days(1)

    uuid = ran(any_store, [take_a_day] * 5)
    assert any_store.prune(older_than=9 * DAY, history_older_than=2.5 * DAY).steps == 2
    assert steps_of(any_store, uuid) == [3, 4, 5]


def test_of_two_limits_the_one_that_keeps_more_counts(store, clock):
    def take_a_day(token, eng):
        clock.days(1)

    uuid = ran(store, [take_a_day] * 5)
    store.prune(older_than=9 * DAY, history_older_than=0, keep_history=4)
    assert steps_of(store, uuid) == [2, 3, 4, 5]
    store.prune(older_than=9 * DAY, history_older_than=2.5 * DAY, keep_history=0)
    assert steps_of(store, uuid) == [3, 4, 5]


def test_no_step_is_deleted_after_one_that_stays(store, clock):
    def set_the_clock(token, eng):
        clock.days(eng.current_object["days"].pop(0))

    definition = [set_the_clock] * 4
    eng = DbWorkflowEngine.with_name("run", store=store, definition=definition)
    eng.process([{"days": [1, 5, -4, 5]}])
    store.prune(older_than=99 * DAY, history_older_than=4 * DAY)
    assert steps_of(store, eng.uuid) == [2, 3, 4]


def test_a_halted_token_goes_on_without_its_old_steps(any_store):
    definition = [FOR([1, 2, 3], "i", [count_up]), ask, count_up]
    uuid = ran(any_store, definition)
    any_store.prune(older_than=DAY, keep_history=0)
    assert steps_of(any_store, uuid) == []
    eng = DbWorkflowEngine.from_uuid(uuid, store=any_store, definition=definition)
    any_store.decide(eng.halted_objects[0].id, "yes")
    eng.resume()
    assert eng.final_objects[0].data == {"n": 4}


def test_what_branches_did_is_kept_until_it_is_joined(any_store):
    """The steps of a branch tell what it changed, also when it has ended and another has not."""
    definition = [count_up, SYNCHRONIZE([note("a")], [note("b"), ask, note("c")], count_up)]
    uuid = ran(any_store, definition)
    any_store.prune(older_than=DAY, keep_history=0)
    DbWorkflowEngine.from_uuid(uuid, store=any_store, definition=definition).resume()
    [token] = any_store.tokens(uuid)
    assert token.data == {"n": 2, "a": True, "b": True, "c": True}
    any_store.prune(older_than=DAY, keep_history=0)
    assert counts(any_store).steps == 0


def test_histories_are_gone_through_in_batches(store):
    ran(store, [count_up] * 3, tokens=7)
    assert store.prune(older_than=DAY, keep_history=1, batch=2).steps == 14
    assert counts(store).steps == 7


# Being stopped


class Stopped(Exception):
    """Somebody does not want to go on."""


def stopping_at(number):
    """Return a function that raises when it is called for that time."""
    times = 0

    def stop(*so_far):
        nonlocal times
        times += 1
        if times == number:
            raise Stopped

    return stop


def test_between_runs_it_can_be_stopped_and_each_is_gone_or_whole(store, clock):
    first, *others = [ran(store, NESTED, tokens=2) for _ in range(3)]
    whole = counts(store)
    clock.days(8)
    with pytest.raises(Stopped):
        store.prune(older_than=7 * DAY, batch=2, between=stopping_at(2))
    assert uuids(store) == others
    left = counts(store)
    assert (left.runs, left.tokens, left.steps) == tuple(
        number * 2 // 3 for number in (whole.runs, whole.tokens, whole.steps)
    )
    assert [entry.uuid for entry in store.audit()] == [first]


@pytest.mark.parametrize("told", ["between", "on_batch"])
def test_what_was_deleted_of_histories_before_a_stop_is_written_down(store, told):
    ran(store, [count_up] * 5, tokens=6)
    before = counts(store).steps
    with pytest.raises(Stopped):
        store.prune(older_than=7 * DAY, keep_history=1, batch=2, **{told: stopping_at(3)})
    (entry,) = store.audit()
    assert entry.details["steps"] == before - counts(store).steps > 0


# Definitions


def test_definitions_that_no_run_has_go_with_the_last_that_had_them(store, clock):
    ran(store, [count_up])
    clock.days(8)
    ran(store, [count_up, count_up])
    assert store.prune(older_than=7 * DAY) == Pruned(1, 1, 1, 1)
    assert counts(store).definitions == 1


def test_a_definition_that_has_just_come_is_left_for_the_run_that_is_about_to(store):
    with store.session() as session:
        session.add(WorkflowDefinition(fingerprint="f", name="n", skeleton=[], created=START))
    assert store.prune(older_than=DAY).definitions == 0


# Dry runs


def test_a_dry_run_counts_and_deletes_nothing(any_store, clock):
    ran(any_store, NESTED, tokens=3)
    clock.days(8)
    ran(any_store, [count_up, count_up])
    before = counts(any_store)
    what = {"older_than": 7 * DAY, "keep_history": 1}
    would = any_store.prune(**what, dry_run=True)
    assert counts(any_store) == before
    did = any_store.prune(**what)
    assert (would.runs, would.tokens, would.steps) == (did.runs, did.tokens, did.steps)
    assert did.steps > 1


def test_an_empty_store_has_nothing_to_delete(store):
    assert store.prune(older_than=0, keep_history=0) == Pruned()
