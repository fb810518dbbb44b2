"""What an engine at rest refuses, and what a run holds in memory while it goes on."""

import gc

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import HaltProcessing, WorkflowAPIError
from wfengine.store import Store, Workflow
from wfengine.store.records import TokenRecord

MANY = 60


def note(token, eng):
    token["seen"] = token.get("seen", 0) + 1


@pytest.fixture
def store():
    with Store("sqlite://", busy_timeout=0.1) as store:
        yield store


def test_the_session_of_an_engine_that_is_not_running_is_refused(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[note])
    for _ in ("before the run", "after it"):
        with pytest.raises(WorkflowAPIError, match=r"use store\.session\(\)"):
            _ = eng.session
        if not len(eng.database_objects):
            eng.process([{}])
    again = DbWorkflowEngine.from_uuid(eng.uuid, store=store, definition=[note])
    with pytest.raises(WorkflowAPIError, match=r"use store\.session\(\)"):
        _ = again.session
    with store.session() as session:  # nobody is locked out
        session.query(Workflow).update({"name": "renamed"})
    assert store.run(eng.uuid).name == "renamed"


def test_the_session_of_a_run_that_has_failed_or_halted_is_refused(store):
    def stop(token, eng):
        assert eng.session is not None
        if token["fails"]:
            raise ValueError("no")
        eng.halt("look")

    for token, kind in (({"fails": True}, ValueError), ({"fails": False}, HaltProcessing)):
        eng = DbWorkflowEngine.with_name("run", store=store, definition=[stop])
        with pytest.raises(kind):
            eng.process([token])
        with pytest.raises(WorkflowAPIError, match="session"):
            _ = eng.session


def test_hooks_of_a_run_write_through_its_session(store):
    class Named(DbWorkflowEngine):
        @staticmethod
        def rename(eng, name):
            eng.session.query(Workflow).filter_by(uuid=eng.uuid).update({"name": name})

        class processing_factory(DbWorkflowEngine.processing_factory):  # noqa: N801
            @staticmethod
            def before_processing(eng, objects):
                Named.rename(eng, "begun")

            @staticmethod
            def after_processing(eng, objects):
                assert store.run(eng.uuid).name == "begun"
                Named.rename(eng, "ended")

    eng = Named.with_name("run", store=store, definition=[note])
    eng.process([{}])
    assert store.run(eng.uuid).name == "ended"


def records():
    return sum(isinstance(obj, TokenRecord) for obj in gc.get_objects())


@pytest.mark.parametrize("kind", ["failed", "decided", "restarted"])
def test_tokens_that_are_taken_up_by_themselves_are_let_go_afterwards(store, kind):
    rests, held = [True], []

    def rest(token, eng):
        if rests and kind == "decided":
            eng.halt("look", action="look")
        if rests:
            raise ValueError("no")

    def watch(token, eng):
        if token["number"] % 20 == 19:
            held.append(records())

    definition = [rest, watch]
    eng = DbWorkflowEngine.with_name("run", store=store, definition=definition)
    eng.process([{"number": n} for n in range(MANY)], stop_on_error=False, stop_on_halt=False)
    for token in list(eng.halted_objects):
        store.decide(token.id, "yes")
    rests.clear()
    del eng
    gc.collect()
    before = records()
    again = DbWorkflowEngine.from_uuid(_only_run(store), store=store, definition=definition)
    if kind == "restarted":
        (group,) = store.failures(again.uuid)
        store.resume_failures(again.uuid, group.failure, how="resume", engine=again)
    else:
        again.resume()
    assert len(again.final_objects) == MANY
    assert len(held) == 3
    assert max(held) - before < MANY / 2


def _only_run(store):
    (run,) = store.runs().items
    return run.uuid
