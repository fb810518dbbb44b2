"""Deciding on halted tokens: once, by somebody, and handed to the task after the halt."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from threading import Barrier

import pytest
from sqlalchemy import select, update

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import (
    HaltProcessing,
    NotStorableError,
    UnknownTokenError,
    WorkflowDefinitionError,
    WorkflowObjectStatusError,
)
from wfengine.patterns import RUN_WF, SYNCHRONIZE
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store, TaskExecution, WorkflowObject
from wfengine.store.decisions import queue_waiting

SEEN = "seen"


def ask(token, eng):
    eng.halt("too expensive?", action="approve", payload={"price": token["price"]})


def ask_legal(token, eng):
    eng.halt("is it legal?", action="check")


def note(token, eng):
    token.setdefault(SEEN, []).append(eng.decision)


def note_as(key):
    """Note the decision under a key of its own, as branches that are joined have to."""

    def note_it(token, eng):
        token[key] = eng.decision

    return note_it


def ask_the_dear(token, eng):
    if token["price"] > 1:
        ask(token, eng)


@pytest.fixture
def definitions():
    return Registry()


@pytest.fixture
def store(emptied_url, definitions):
    with Store(emptied_url, definitions=definitions) as store:
        yield store


@pytest.fixture
def any_store(database_url, definitions):
    """A store in a database of each kind."""
    with Store(database_url, definitions=definitions, lease_seconds=5) as store:
        yield store


def halted(store, definition, *tokens, **how):
    """Run tokens to their halts; return the run's engine and the ids of the halted tokens."""
    store.definitions.add("orders", definition, replace=True)
    eng = DbWorkflowEngine.with_name("orders", store=store)
    with suppress(HaltProcessing):
        eng.process([*tokens] or [{"price": 7}], **how)
    return eng, [token.id for token in eng.halted_objects]


def halted_in_branches(store):
    """Return the ids of tokens of branches that are halted by themselves, in order."""
    with store.session() as session:
        query = select(WorkflowObject.id).where(
            WorkflowObject.status == "HALTED", WorkflowObject.outcome == "halted"
        )
        return list(session.scalars(query.order_by(WorkflowObject.id)))


def row(store, token_id):
    with store.session() as session:
        token = session.get(WorkflowObject, token_id)
        session.expunge(token)
        return token


def steps(store, token_id):
    with store.session() as session:
        query = select(TaskExecution).where(TaskExecution.object_id == token_id)
        found = list(session.scalars(query.order_by(TaskExecution.step)))
        session.expunge_all()
        return found


def test_the_task_after_the_halt_gets_the_decision_and_no_other(any_store):
    eng, [token_id] = halted(any_store, [ask, note, note])
    any_store.decide(token_id, "approved", by="ann")
    eng.resume()
    assert eng.final_objects[0].data[SEEN] == ["approved", None]


def test_a_decision_may_be_anything_that_can_be_stored(store):
    eng, [token_id] = halted(store, [ask, note])
    store.decide(token_id, {"price": Decimal("1.50"), "to": ("a", None)})
    eng.resume()
    assert eng.final_objects[0].data[SEEN] == [{"price": Decimal("1.50"), "to": ("a", None)}]


def test_no_is_a_decision_too_and_so_is_none(store):
    eng, [first, second] = halted(
        store, [ask, note], {"price": 1}, {"price": 2}, stop_on_halt=False
    )
    store.decide(first, False)
    store.decide(second, None)
    eng.resume()
    assert [token.data[SEEN] for token in eng.final_objects] == [[False], [None]]


def test_a_decision_is_queued_until_somebody_resumes_the_run(store):
    eng, [first, second] = halted(
        store, [ask, note], {"price": 1}, {"price": 2}, stop_on_halt=False
    )
    store.decide(second, "yes")
    assert row(store, second).status == "HALTED"
    eng.resume()
    assert row(store, second).status == "COMPLETED"
    assert row(store, first).status == "HALTED"


def test_the_history_says_who_decided_what_and_when(definitions):
    with Store("sqlite://", definitions=definitions, clock=lambda: 1_000_000.0) as store:
        _, [token_id] = halted(store, [ask, note])
        store.decide(token_id, "yes", by="ann")
        step = steps(store, token_id)[-1]
        at = datetime.fromisoformat(step.outcome["at"])
        assert (step.event, step.status, step.name, step.path) == ("decide", "done", "ask", "0")
        assert {**step.outcome, "at": at.timestamp()} == {
            "decision": "yes",
            "by": "ann",
            "at": 1_000_000.0,
        }


def test_whoever_runs_the_process_decides_unless_somebody_is_named(store, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "olga")
    _, [token_id] = halted(store, [ask])
    store.decide(token_id, "yes")
    assert row(store, token_id).decision["by"] == "olga"


def test_a_process_without_a_user_can_decide(store, monkeypatch):
    def nobody():
        raise OSError("no user")

    monkeypatch.setattr("getpass.getuser", nobody)
    _, [token_id] = halted(store, [ask])
    store.decide(token_id, "yes")
    assert row(store, token_id).decision["by"] == "unknown"


def test_new_data_are_the_token_from_then_on_and_the_old_ones_are_in_its_history(any_store):
    eng, [token_id] = halted(any_store, [ask, note])
    any_store.decide(token_id, "yes", data={"price": 5, "rebate": True}, by="ann")
    assert row(any_store, token_id).data == {"price": 5, "rebate": True}
    assert steps(any_store, token_id)[-1].inverse == {"drop": ["rebate"], "set": {"price": 7}}
    eng = DbWorkflowEngine.from_uuid(eng.uuid, store=any_store)
    eng.resume()
    assert eng.final_objects[0].data == {"price": 5, "rebate": True, SEEN: ["yes"]}


def test_data_that_stay_the_same_leave_no_change_in_the_history(store):
    _, [token_id] = halted(store, [ask])
    store.decide(token_id, "yes", data={"price": 7})
    assert steps(store, token_id)[-1].inverse is None


def test_deciding_twice_tells_who_did_it_first_and_what(store):
    _, [token_id] = halted(store, [ask])
    store.decide(token_id, "yes", by="ann")
    with pytest.raises(WorkflowObjectStatusError, match=r"decided on by ann at .*: 'yes'"):
        store.decide(token_id, "no", by="bob")
    assert row(store, token_id).decision["decision"] == "yes"
    assert [step.event for step in steps(store, token_id)] == ["task", "decide"]


def test_of_many_who_decide_at_once_one_does_and_the_others_learn_who(any_store):
    _, [token_id] = halted(any_store, [ask])
    names = [f"person {number}" for number in range(6)]
    gate = Barrier(len(names))

    def decide(name):
        gate.wait()
        try:
            any_store.decide(token_id, name, by=name)
        except WorkflowObjectStatusError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(len(names)) as pool:
        told = list(pool.map(decide, names))
    winner = names[told.index(None)]
    assert row(any_store, token_id).decision["by"] == winner
    assert [winner in text for text in told if text is not None] == [True] * 5
    assert [step.event for step in steps(any_store, token_id)] == ["task", "decide"]


def test_a_token_that_is_done_cannot_be_decided_on(store):
    eng, _ = halted(store, [note])
    token_id = eng.final_objects[0].id
    with pytest.raises(WorkflowObjectStatusError, match="not halted: its status is 'Done'"):
        store.decide(token_id, "yes")


def test_a_token_that_there_is_not_cannot_be_decided_on(store):
    with pytest.raises(UnknownTokenError, match="no token 99"):
        store.decide(99, "yes")


@pytest.mark.parametrize("what", ["decision", "data"])
def test_what_cannot_be_stored_is_refused_before_anything_is_written(store, what):
    _, [token_id] = halted(store, [ask])
    given = {"decision": "yes", "data": {"price": 1}, what: {"key": object()}}
    with pytest.raises(NotStorableError, match="object"):
        store.decide(token_id, given["decision"], data=given["data"])
    assert row(store, token_id).decision is None
    assert len(steps(store, token_id)) == 1


@pytest.mark.parametrize("by", ["a\0b", "<script>", "\ud800", "x" * 100_000, "'; --"])
def test_whoever_decides_may_have_any_name(any_store, by):
    _, [token_id] = halted(any_store, [ask])
    any_store.decide(token_id, by, by=by)
    with pytest.raises(WorkflowObjectStatusError):
        any_store.decide(token_id, "again")
    assert steps(any_store, token_id)[-1].event == "decide"


# Resuming at once


def test_the_token_can_be_resumed_at_once(store):
    eng, [first, second] = halted(
        store, [ask, note], {"price": 1}, {"price": 2}, stop_on_halt=False
    )
    store.decide(second, "yes", resume=True)
    assert row(store, second).data[SEEN] == ["yes"]
    assert row(store, first).status == "HALTED"
    assert eng.status is WorkflowStatus.HALTED


def test_the_next_halt_comes_out_of_a_decision_that_resumes(store):
    _, [token_id] = halted(store, [ask, note, ask_legal])
    with pytest.raises(HaltProcessing, match="legal"):
        store.decide(token_id, "yes", resume=True)
    assert row(store, token_id).decision is None
    assert row(store, token_id).action == "check"


def test_a_decision_that_cannot_be_resumed_here_is_not_made(store):
    _, [token_id] = halted(store, [ask])
    store.definitions = Registry()
    with pytest.raises(WorkflowDefinitionError, match="nobody has registered"):
        store.decide(token_id, "yes", resume=True)
    assert row(store, token_id).decision is None


def test_a_decision_about_a_run_that_is_going_on_is_queued(store):
    decided = []

    def decide_on_the_first(token, eng):
        if token["price"] == 1:
            [first] = eng.halted_objects
            store.decide(first.id, "yes", resume=True)
            decided.append(first.id)

    tokens = {"price": 9}, {"price": 1}
    definition = [ask_the_dear, note, decide_on_the_first]
    eng, [token_id] = halted(store, definition, *tokens, stop_on_halt=False)
    assert decided == [token_id]
    assert row(store, token_id).decision["decision"] == "yes"
    eng.resume()
    assert row(store, token_id).data[SEEN] == ["yes"]


# Branches


def test_a_decision_inside_a_branch_reaches_the_branch(any_store):
    branches = SYNCHRONIZE([ask, note_as("a")], [note_as("b")], note_as("c"))
    eng, [waiting] = halted(any_store, [branches])
    [inside] = halted_in_branches(any_store)
    any_store.decide(inside, "yes")
    eng.resume()
    assert row(any_store, waiting).data == {"price": 7, "a": "yes", "b": None, "c": None}
    assert eng.status is WorkflowStatus.COMPLETED


def test_a_token_that_the_run_has_passed_is_taken_up_when_its_branch_was_decided_on(store):
    eng, [first, second] = halted(
        store, [RUN_WF([ask, note])], {"price": 1}, {"price": 2}, stop_on_halt=False
    )
    _, inside = halted_in_branches(store)
    store.decide(inside, "yes")
    eng.resume()
    assert row(store, second).data[SEEN] == ["yes"]
    assert row(store, first).outcome == "waiting"


def test_branches_may_be_nested(store):
    innermost = RUN_WF([ask, note])
    _, [waiting] = halted(store, [RUN_WF([SYNCHRONIZE([innermost], [note_as("b")], [])])])
    [inside] = halted_in_branches(store)
    store.decide(inside, "yes", resume=True)
    assert row(store, waiting).status == "COMPLETED"
    assert row(store, waiting).data == {"price": 7, SEEN: ["yes"], "b": None}


def test_deciding_on_a_token_that_waits_for_branches_names_those_that_are_to_be_decided(store):
    _, [waiting] = halted(store, [RUN_WF([SYNCHRONIZE([ask, note], [ask_legal], note)])])
    first, second = halted_in_branches(store)
    with pytest.raises(WorkflowObjectStatusError, match=f"token {first}, {second}"):
        store.decide(waiting, "yes")
    store.decide(first, "yes")
    with pytest.raises(WorkflowObjectStatusError, match=f"halted in it, token {second} "):
        store.decide(waiting, "yes")
    store.decide(second, "yes")
    with pytest.raises(WorkflowObjectStatusError, match="everything in that was decided"):
        store.decide(waiting, "yes")


def test_a_branch_that_nobody_has_decided_on_stays_halted(store):
    eng, [waiting] = halted(
        store, [SYNCHRONIZE([ask, note_as("a")], [ask_legal, note_as("b")], [])]
    )
    first, second = halted_in_branches(store)
    store.decide(first, "yes")
    with pytest.raises(HaltProcessing, match="legal"):
        eng.resume()
    assert row(store, second).status == "HALTED"
    assert row(store, first).data["a"] == "yes"
    assert row(store, waiting).outcome == "waiting"
    store.decide(second, "no")
    eng.resume()
    assert row(store, waiting).data == {"price": 7, "a": "yes", "b": "no"}


def test_what_was_decided_before_the_token_around_it_waited_is_marked_later(store):
    eng, [waiting] = halted(store, [RUN_WF([RUN_WF([ask, note])])])
    [inside] = halted_in_branches(store)
    with store.session() as session:  # as if both around it were still on their way
        session.execute(
            update(WorkflowObject)
            .where(WorkflowObject.id != inside)
            .values(status=ObjectStatus.RUNNING.name)
        )
    store.decide(inside, "yes")
    assert row(store, waiting).decision is None
    with store.session() as session:
        session.execute(
            update(WorkflowObject)
            .where(WorkflowObject.id != inside)
            .values(status=ObjectStatus.HALTED.name)
        )
    with store.database.writing() as connection:
        queue_waiting(store, connection, eng.recorder.run.id)
    assert row(store, waiting).decision == {"decision": None, "inside": True}


def test_a_decision_in_a_branch_is_handed_over_however_long_its_siblings_take(store):
    def decide_on_the_other(token, eng):
        while not (found := halted_in_branches(store)):
            time.sleep(0.01)
        store.decide(found[0], "yes")

    branches = SYNCHRONIZE([ask, note_as("a")], [decide_on_the_other], [])
    eng, [waiting] = halted(store, [branches], stop_on_halt=False)
    eng.resume()
    assert row(store, waiting).data == {"price": 7, "a": "yes"}


def test_who_looked_at_a_token_before_others_changed_it_writes_nothing(any_store):
    halted(any_store, [ask, note], {"price": 1})
    (seen,) = any_store.halted()
    any_store.edit(seen.id, {"price": 2}, by="ann", seen=seen.steps)
    for change in (
        lambda: any_store.decide(seen.id, "yes", data={"price": 3}, by="bob", seen=seen.steps),
        lambda: any_store.edit(seen.id, {"price": 3}, by="bob", seen=seen.steps),
    ):
        with pytest.raises(WorkflowObjectStatusError, match="has changed in the meantime"):
            change()
    (now,) = any_store.halted()
    assert (now.data, now.steps) == ({"price": 2}, seen.steps + 1)
    any_store.decide(seen.id, "yes", by="bob", seen=now.steps)
    assert not len(any_store.halted())
