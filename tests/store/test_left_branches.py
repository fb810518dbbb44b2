"""Branches that nobody waits for: stopped, halted or failed, they go on when their run does."""

import threading
from contextlib import suppress

import pytest
from sqlalchemy import select

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import HaltProcessing, WorkflowObjectStatusError
from wfengine.patterns import PARALLEL_SPLIT, RUN_WF, SYNCHRONIZE
from wfengine.signals import workflow_error, workflow_halted
from wfengine.store import Store, Workflow, WorkflowObject

PATIENCE = 60


@pytest.fixture
def definitions():
    return Registry()


@pytest.fixture
def any_store(database_url, definitions):
    """A store in a database of each kind."""
    with Store(database_url, definitions=definitions) as store:
        yield store


class Calls:
    """Notes calls, and lets a first task wait until it is told to go on."""

    def __init__(self):
        self.noted, self.begun, self.may_go_on = [], threading.Event(), threading.Event()
        self.is_failing = True

    def first(self, token, eng):
        self.noted.append("first")
        self.begun.set()
        assert self.may_go_on.wait(PATIENCE)

    def second(self, token, eng):
        self.noted.append("second")

    def last(self, token, eng):
        self.noted.append("last")

    def ask(self, token, eng):
        eng.halt("may it?", action="approve")

    def note_decision(self, token, eng):
        self.noted.append(eng.decision)

    def fail(self, token, eng):
        if self.is_failing:
            raise ValueError("not yet")


@pytest.fixture
def calls():
    return Calls()


def begin(store, definition, *tokens):
    """Run a definition; return its engine."""
    store.definitions.add("orders", definition, replace=True)
    eng = DbWorkflowEngine.with_name("orders", store=store)
    with suppress(HaltProcessing):
        eng.process([*tokens] or [{}])
    return eng


def branches(store):
    """Return the status of each branch, and of its token."""
    with store.session() as session:
        query = (
            select(Workflow.status, WorkflowObject.status)
            .join(WorkflowObject, WorkflowObject.workflow_id == Workflow.id)
            .where(Workflow.parent_id.is_not(None))
            .order_by(Workflow.id)
        )
        return [tuple(row) for row in session.execute(query)]


def resume(eng, store):
    """Go on with a run as another process would."""
    return DbWorkflowEngine.from_uuid(eng.uuid, store=store).resume()


@pytest.mark.parametrize("how", ["interrupt", "stop"])
def test_one_that_was_stopped_with_its_run_goes_on_with_it(any_store, calls, how):
    def stop(token, eng):
        assert calls.begun.wait(PATIENCE)
        if calls.noted == ["first"]:
            eng.interrupt() if how == "interrupt" else any_store.stop(eng.uuid, wait=0)
        calls.may_go_on.set()

    signals = []

    def receive(eng, **said):
        signals.append(said)

    definition = [PARALLEL_SPLIT([calls.first, calls.second]), stop, calls.last]
    with workflow_error.connected_to(receive), workflow_halted.connected_to(receive):
        eng = begin(any_store, definition)
    assert calls.noted == ["first"]
    assert branches(any_store) == [("HALTED", "RUNNING")]
    assert eng.failed_branches == []
    assert signals == []
    assert resume(eng, any_store).adopts
    assert sorted(calls.noted) == ["first", "last", "second"]
    assert branches(any_store) == [("COMPLETED", "COMPLETED")]


def test_one_that_was_stopped_when_its_run_had_nothing_else_to_do_goes_on(any_store, calls):
    def stop_later(token, eng):
        assert calls.begun.wait(PATIENCE)
        eng.defer(lambda: (eng.interrupt(), calls.may_go_on.set()), until="run")

    eng = begin(any_store, [PARALLEL_SPLIT([calls.first, calls.second]), stop_later])
    assert branches(any_store) == [("HALTED", "RUNNING")]
    resume(eng, any_store)
    assert calls.noted == ["first", "second"]
    with pytest.raises(WorkflowObjectStatusError, match="nothing left to do"):
        resume(eng, any_store)


@pytest.mark.parametrize("resumes", [True, False])
def test_a_halt_inside_is_decided_on_and_gone_past(any_store, calls, resumes):
    inside = [RUN_WF([calls.ask, calls.note_decision]), calls.second]
    eng = begin(any_store, [PARALLEL_SPLIT(inside)], {}, {})
    decided, other = (token.id for token in any_store.halted())
    any_store.decide(decided, "yes", resume=resumes)
    if not resumes:
        resume(eng, any_store)
    assert calls.noted == ["yes", "second"]
    assert [token.id for token in any_store.halted()] == [other]


def test_nobody_goes_past_a_halt_inside_that_nobody_decided_on(any_store, calls):
    inside = [calls.ask, calls.note_decision]
    eng = begin(any_store, [PARALLEL_SPLIT(inside, inside)])
    first, second = (token.id for token in any_store.halted())
    any_store.decide(first, "yes")
    resume(eng, any_store)
    assert calls.noted == ["yes"]
    assert [token.id for token in any_store.halted()] == [second]
    with pytest.raises(WorkflowObjectStatusError, match="nothing left to do"):
        resume(eng, any_store)


def test_one_that_failed_is_tried_again_by_who_resumes_and_by_no_recovery(any_store, calls):
    eng = begin(any_store, [PARALLEL_SPLIT([calls.fail, calls.second])])
    assert [failure.branch for failure in eng.failed_branches] == ["0 (fail, second)"]
    calls.is_failing = False
    assert DbWorkflowEngine.from_uuid(eng.uuid, store=any_store).recover().is_empty
    assert branches(any_store) == [("ERROR", "ERROR")]
    resume(eng, any_store)
    assert calls.noted == ["second"]
    assert branches(any_store) == [("COMPLETED", "COMPLETED")]


def test_a_halt_in_one_of_a_branch_that_is_over_cannot_be_decided_on(any_store, calls):
    begin(any_store, [SYNCHRONIZE([PARALLEL_SPLIT([calls.ask])], calls.last)])
    [token] = any_store.halted()
    with pytest.raises(WorkflowObjectStatusError, match="nothing waits for"):
        any_store.decide(token.id, "yes")
