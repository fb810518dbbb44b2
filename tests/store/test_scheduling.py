"""Runs that wait for their time, whichever way of writing workflows began them."""

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import LeaseHeldError, NotStorableError, WorkflowObjectStatusError
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store, scheduling

NEW, RUNNING, ERROR = WorkflowStatus.NEW, WorkflowStatus.RUNNING, WorkflowStatus.ERROR


def double(token, eng):
    token["n"] *= 2


DEFINITION = [double]


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def store(database_url):
    with Store(database_url, clock=Clock()) as opened:
        yield opened


def added(store, due, name="doubling", **columns):
    return store.new_run(name, DEFINITION, {}, tokens=[{"n": 1}], due=due, **columns)


def due_now(store, **which):
    return [uuid for uuid, _ in scheduling.due_runs(store, statuses=[NEW, ERROR], **which)]


def engine_of(store, run):
    return DbWorkflowEngine.from_uuid(run.uuid, store=store, definition=DEFINITION)


def test_a_run_is_due_when_its_time_has_come_and_is_begun_once(store):
    first, second = added(store, 1010.5), added(store, 1010.25)
    added(store, None)
    assert due_now(store) == []
    store.clock.now = 1010.5
    assert due_now(store) == [second.uuid, first.uuid]
    assert store.runs(waits=True).total == 2
    late = engine_of(store, first)
    eng = engine_of(store, first)
    scheduling.run_taken(eng, scheduling.take_due(eng))
    assert due_now(store) == [second.uuid]
    assert scheduling.take_due(late) is None
    (token,) = store.tokens(first.uuid)
    assert (token.data, token.status) == ({"n": 2}, ObjectStatus.COMPLETED)


def test_runs_are_due_by_name_and_style(store):
    plain, styled = added(store, 1.0), added(store, 2.0, style="flow")
    other = added(store, 3.0, name="other", style="flow")
    assert due_now(store) == [plain.uuid, styled.uuid, other.uuid]
    assert due_now(store, style="flow") == [styled.uuid, other.uuid]
    assert due_now(store, names=["doubling"]) == [plain.uuid, styled.uuid]
    assert due_now(store, names=[]) == []
    assert [run.uuid for run in store.runs(style="flow", sort="created").items] == [
        styled.uuid,
        other.uuid,
    ]


def test_by_whatever_way_it_is_begun_a_run_is_due_no_more(store):
    run = added(store, 1.0)
    engine_of(store, run).resume()
    assert due_now(store) == []
    assert store.summary(run.uuid).due is None


def test_what_somebody_has_is_not_begun_moved_or_refused(store):
    run = added(store, 1.0)
    holder = engine_of(store, run)
    holder.recorder.lease = store.take(run, lambda request: None)
    with pytest.raises(LeaseHeldError):
        scheduling.take_due(engine_of(store, run))
    assert scheduling.move(store, run, RUNNING, waited=True, due=None) is False
    assert scheduling.refuse(store, run, ValueError()) is False
    store.give_back(holder.recorder)
    assert due_now(store) == [run.uuid]
    assert scheduling.move(store, run, RUNNING, waited=True, due=None) is True
    assert scheduling.move(store, run, RUNNING, waited=True, due=None) is False


def test_why_a_run_was_refused_is_written_down(store):
    run = added(store, 1.0)
    assert scheduling.refuse(store, run, ValueError("no such day")) is True
    summary = store.summary(run.uuid)
    assert (summary.status, summary.due, summary.error) == (ERROR, None, "ValueError: no such day")


def test_what_cannot_go_on_says_so_while_it_is_due(store):
    run = added(store, None)
    engine_of(store, run).resume()
    done = store.run(run.uuid)
    assert scheduling.move(store, done, done.status, waited=False, due=1.0)
    with pytest.raises(WorkflowObjectStatusError, match="nothing left to do"):
        scheduling.take_due(engine_of(store, run))


def test_a_run_is_there_with_its_tokens_or_not_at_all(store):
    with pytest.raises(NotStorableError, match=r"token 1: \['call'\]"):
        store.new_run("doubling", DEFINITION, {}, tokens=[{"n": 1}, {"call": double}])
    assert store.runs().total == 0
