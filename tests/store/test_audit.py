"""What people did, written down together with it; and runs that they delete."""

import pytest
from sqlalchemy import event, func, select

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import (
    LeaseHeldError,
    NotStorableError,
    UnknownRunError,
    WorkflowAPIError,
    WorkflowObjectStatusError,
)
from wfengine.patterns import PARALLEL_SPLIT, SYNCHRONIZE
from wfengine.store import (
    Models,
    Store,
    TaskExecution,
    Workflow,
    WorkflowAudit,
    WorkflowObject,
)

DAY = 86_400.0


class Clock:
    """The time of the store, which passes when it is told to."""

    def __init__(self):
        self.now = 1_000_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(database_url, clock):
    with Store(database_url, clock=clock, definitions=Registry()) as store:
        yield store


def judge(token, eng):
    if token == "bad":
        raise ValueError("no")
    if eng.decision is None:
        eng.halt("?", action="choose")


def start(store, *tokens, definition=None):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=definition or [judge])
    eng.process(list(tokens), stop_on_halt=False, stop_on_error=False)
    return eng


def counts(store):
    with store.session() as session:
        models = (Workflow, WorkflowObject, TaskExecution)
        return tuple(session.scalar(select(func.count()).select_from(each)) for each in models)


def test_each_change_has_a_row_that_says_who_did_what(store, clock, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "olga")
    eng = start(store, "good", "bad", "kept")
    good, bad, kept = (token.id for token in store.tokens(eng.uuid))
    store.decide(good, "yes", data="better", by="ann")
    store.edit(kept, "other", by="bob")
    eng.rewind(good, 1, by="cleo")
    other = store.fork(good, 1, by="dan")
    (group,) = store.failures(eng.uuid)
    store.resume_failures(eng.uuid, group.failure, how="skip", by="eve")
    store.note("resume", uuid=eng.uuid, details={"page": 1})
    store.delete(eng.uuid, by="fred")
    entries = store.audit(uuid=eng.uuid)
    assert [(e.who, e.action, e.token_id) for e in reversed(entries)] == [
        ("ann", "decide", good),
        ("bob", "edit", kept),
        ("cleo", "rewind", good),
        ("dan", "fork", good),
        ("eve", "resume_failures", None),
        ("olga", "resume", None),
        ("fred", "delete", None),
    ]
    assert [e.details for e in reversed(entries)] == [
        {"step": 2, "decision": "yes", "data": "changed"},
        {"step": 2},
        {"step": 3, "to": 1},
        {"step": 1, "new_run": other},
        {"failure": group.failure, "task": "judge", "how": "skip", "tokens": 1},
        {"page": 1},
        {"name": "run", "status": "HALTED", "tokens": 3},
    ]
    assert {e.at.timestamp() for e in entries} == {clock.now}
    assert bad not in {e.token_id for e in entries}


def test_it_is_read_in_pages_the_latest_first_and_by_token(store):
    eng = start(store, "a", "b")
    first, second = (token.id for token in store.tokens(eng.uuid))
    for number in range(5):
        store.edit(first if number % 2 else second, str(number))
    whole = [entry.id for entry in store.audit()]
    assert whole == sorted(whole, reverse=True)
    assert [e.id for e in store.audit(limit=2)] + [
        e.id for e in store.audit(before=whole[1])
    ] == whole
    assert [e.details["step"] for e in store.audit(token_id=first)] == [3, 2]


def test_what_did_not_come_about_is_not_in_it(store):
    eng = start(store, "a")
    (token,) = store.tokens(eng.uuid)
    store.decide(token.id, "yes")
    with pytest.raises(WorkflowObjectStatusError):
        store.decide(token.id, "no")
    with pytest.raises(WorkflowAPIError):
        eng.rewind(token.id, 99)
    store.stop(eng.uuid)  # nobody has it
    assert [entry.action for entry in store.audit()] == ["decide"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_change_and_its_row_are_written_together_or_not_at_all(store):
    eng = start(store, "a")
    (token,) = store.tokens(eng.uuid)

    def refuse(connection, cursor, statement, *rest):
        if statement.startswith("INSERT INTO workflow_audit"):
            raise RuntimeError("the disk is full")

    event.listen(store.database.engine, "before_cursor_execute", refuse)
    with pytest.raises(RuntimeError):
        store.decide(token.id, "yes")
    with pytest.raises(RuntimeError):
        store.delete(eng.uuid)
    event.remove(store.database.engine, "before_cursor_execute", refuse)
    assert len(store.halted()) == 1
    assert (store.summary(eng.uuid).owner, counts(store)[0]) == (None, 1)


def test_a_decision_in_a_branch_is_found_by_the_run_that_it_belongs_to(store):
    eng = start(store, {}, definition=[SYNCHRONIZE([judge], [])])
    (token,) = store.halted(eng.uuid)
    store.decide(token.id, "x" * 5000)
    (entry,) = store.audit(uuid=eng.uuid)
    assert entry.token_id == token.id
    assert len(entry.details["decision"]) < 1100


def test_who_asks_a_run_to_stop_is_noted_once(store):
    def ask(token, eng):
        store.stop(eng.uuid, by="ann", wait=0)
        store.stop(eng.uuid, by="bob", wait=0)

    start(store, 1, 2, definition=[ask])
    entries = store.audit()
    assert [(entry.who, entry.action) for entry in entries] == [("ann", "stop")]
    assert "process" in entries[0].details["owner"]


def test_pruning_names_each_run_and_counts_the_steps_of_others(store, clock):
    kept = start(store, "a")
    gone = start(store, 1, definition=[lambda token, eng: None])
    clock.now += DAY
    store.prune(older_than=DAY / 2, keep_history=0, by="ann")
    steps, run = store.audit()
    assert (run.action, run.uuid, run.who) == ("prune", gone.uuid, "ann")
    assert (steps.action, steps.uuid, steps.details["steps"]) == ("prune", None, 1)
    assert store.run(kept.uuid)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_details_are_plain_data(store):
    with pytest.raises(NotStorableError, match="'greet' are no plain data"):
        store.note("greet", details={"at": object()})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_models_of_a_user_need_not_have_a_table_for_it(store):
    assert Models().audit is WorkflowAudit
    own = Models(workflow=type("Run", (), {}))
    assert own.audit is None
    eng = start(store, "a")
    store.models = Models(audit=None)
    store.decide(store.tokens(eng.uuid)[0].id, "yes")
    with pytest.raises(WorkflowAPIError, match="WorkflowAuditMixin"):
        store.audit()


# Deleting


def test_a_run_is_deleted_with_all_that_belongs_to_it_and_nothing_else(store):
    other = start(store, "a", "b")
    before = counts(store)
    eng = start(store, {}, {}, definition=[PARALLEL_SPLIT([judge], [judge])])
    done = store.delete(eng.uuid)
    assert (done.runs, done.tokens) == (5, 6)
    assert counts(store) == before
    with pytest.raises(UnknownRunError):
        store.delete(eng.uuid)
    assert len(store.halted(other.uuid)) == 2


def test_a_run_that_somebody_has_is_left_alone(store):
    seen = []

    def try_to(token, eng):
        with pytest.raises(LeaseHeldError) as refused:
            store.delete(eng.uuid)
        seen.append(str(refused.value))

    eng = start(store, 1, definition=[try_to])
    assert eng.uuid in seen[0]
    assert store.audit() == []
    assert store.delete(eng.uuid).runs == 1


def test_a_branch_goes_with_its_run(store):
    eng = start(store, {}, definition=[SYNCHRONIZE([judge], [])])
    (token,) = store.halted(eng.uuid)
    assert token.id_workflow != eng.uuid
    with pytest.raises(WorkflowAPIError, match=eng.uuid):
        store.delete(token.id_workflow)


def test_a_run_whose_owner_died_can_be_deleted_and_what_was_broken_off_is_finished(store, clock):
    eng = start(store, *"abcdefgh")
    with store.session() as session:
        session.get(Workflow, 1).lease_owner = "elsewhere process 1 #1"
        session.get(Workflow, 1).lease_expires = clock.now + 1
    with pytest.raises(LeaseHeldError):
        store.delete(eng.uuid)
    clock.now += 2

    class Killed(BaseException):
        pass

    def die(connection, cursor, statement, *rest):
        if statement.startswith("DELETE FROM workflow_object"):
            raise Killed

    event.listen(store.database.engine, "before_cursor_execute", die)
    with pytest.raises(Killed):
        store.delete(eng.uuid)
    event.remove(store.database.engine, "before_cursor_execute", die)
    store.delete(eng.uuid)
    assert counts(store) == (0, 0, 0)
    assert [entry.action for entry in store.audit()] == ["delete"]
