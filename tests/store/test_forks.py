"""Runs that begin in the middle of another run's history."""

from decimal import Decimal

import pytest

from wfengine.errors import HaltProcessing, PositionError, WorkflowAPIError
from wfengine.patterns import FOR, RUN_WF, SYNCHRONIZE
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store

from .travelling import (
    ASKING,
    NESTED,
    PLAIN,
    Clock,
    answer,
    change,
    completed,
    engine,
    first,
    halted,
    left,
    loaded,
    right,
    third,
    token_of,
    tokens_of_branches,
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(emptied_url, clock):
    with Store(emptied_url, clock=clock) as found:
        yield found


def test_a_fork_is_a_run_of_its_own_that_goes_on_from_a_step(store):
    eng = completed(store, NESTED)
    source = token_of(store, eng)
    uuid = store.fork(source.id, "item")
    [token] = store.tokens(uuid)
    assert token.data == {"log": ["first", 1, 2]}
    assert (token.status, token.path, token.steps) == (ObjectStatus.RUNNING, "1.1", 0)
    assert store.run(uuid).status is WorkflowStatus.HALTED
    assert store.run(uuid).name == eng.name
    fork = loaded(store, uuid, NESTED)
    fork.resume()
    assert token_of(store, uuid).data == source.data
    assert fork.status is WorkflowStatus.COMPLETED
    assert token_of(store, eng) == source


def test_a_fork_goes_on_with_other_data_if_wanted(store):
    eng = completed(store)
    uuid = store.fork(token_of(store, eng).id, 3, data={"log": []})
    loaded(store, uuid, PLAIN).resume()
    assert token_of(store, uuid).data == {"log": ["third"]}


def test_a_fork_has_the_extra_data_of_the_run(store):
    def put(token, eng):
        eng.extra_data["rate"] = Decimal("1.1")

    def use(token, eng):
        token["rate"] = eng.extra_data["rate"]

    eng = completed(store, [put, use])
    uuid = store.fork(token_of(store, eng).id, "use")
    loaded(store, uuid, [put, use]).resume()
    assert token_of(store, uuid).data == {"rate": Decimal("1.1")}


def test_a_fork_that_begins_after_a_halt_is_asked_anew(store):
    eng = halted(store)
    token_id = token_of(store, eng).id
    store.decide(token_id, "yes", data={"log": ["decided"]})
    eng.resume()
    uuid = store.fork(token_id, "answer")
    [token] = store.tokens(uuid)
    assert (token.status, token.outcome, token.path) == (ObjectStatus.HALTED, "halted", "1")
    assert token.payload == {"asked": (1, 2)}
    assert (token.action, token.message, token.decision) == ("approve", "may it go on?", None)
    assert token.data == {"log": ["first"]}
    store.decide(token.id, "no")
    fork = loaded(store, uuid, ASKING)
    fork.resume()
    assert token_of(store, uuid).data == {"log": ["first", "no", "third"]}
    assert token_of(store, eng).data == {"log": ["decided", "yes", "third"]}


def test_a_fork_from_a_decision_or_an_edit_is_asked_anew_with_the_payload(store):
    eng = halted(store)
    token_id = token_of(store, eng).id
    store.edit(token_id, {"log": ["edited"]})
    store.decide(token_id, "yes")
    edited, decided = (token_of(store, store.fork(token_id, step)) for step in (3, 4))
    for token in (edited, decided):
        assert (token.status, token.action) == (ObjectStatus.HALTED, "approve")
        assert token.payload == {"asked": (1, 2)}
    assert (edited.data, decided.data) == ({"log": ["first"]}, {"log": ["edited"]})


def test_inside_a_loop_a_fork_is_asked_in_the_same_turn(store):
    def ask_of(token, eng):
        eng.halt(f"{eng.extra_data['i']}?", action="approve")

    definition = [first, FOR(["a", "b"], "i", [ask_of, answer])]
    eng = halted(store, definition)
    token_id = token_of(store, eng).id
    store.decide(token_id, 1)
    with pytest.raises(HaltProcessing):
        eng.resume()
    store.decide(token_id, 2)
    eng.resume()
    uuid = store.fork(token_id, "answer")
    [token] = store.tokens(uuid)
    assert (token.message, token.data) == ("b?", {"log": ["first", 1]})
    store.decide(token.id, 3)
    loaded(store, uuid, definition).resume()
    assert token_of(store, uuid).data == {"log": ["first", 1, 3]}


@pytest.mark.parametrize("at", ["first", "ask", 1, 2])
def test_a_fork_from_before_the_halt_runs_into_it(store, at):
    eng = halted(store)
    token_id = token_of(store, eng).id
    store.decide(token_id, "yes")
    eng.resume()
    uuid = store.fork(token_id, at)
    assert token_of(store, uuid).status is ObjectStatus.RUNNING
    with pytest.raises(HaltProcessing):
        loaded(store, uuid, ASKING).resume()
    assert token_of(store, uuid).payload == {"asked": (1, 2)}


def test_a_fork_from_where_the_halting_task_was_repeated_repeats_it(store):
    eng = halted(store)
    with pytest.raises(HaltProcessing):
        eng.restart("current", "current")
    token_id = token_of(store, eng).id
    assert [step.name for step in store.history(token_id)] == ["first", "ask", "ask"]
    uuid = store.fork(token_id, "ask")
    assert (token_of(store, uuid).status, token_of(store, uuid).path) == (ObjectStatus.RUNNING, "1")


def test_a_token_that_left_its_halt_by_going_back_is_not_asked_by_its_fork(store):
    eng = halted(store)
    token_id = token_of(store, eng).id
    eng.rewind(token_id, "first")
    with pytest.raises(HaltProcessing):
        eng.resume()
    uuid = store.fork(token_id, 4)
    assert (token_of(store, uuid).status, token_of(store, uuid).path) == (ObjectStatus.RUNNING, "0")


def test_a_fork_from_branches_that_were_waited_for_begins_them_anew(store):
    definition = [first, SYNCHRONIZE([left], [right], third)]
    eng = halted(store, definition)
    token_id = token_of(store, eng).id
    [waiting] = [token for token in tokens_of_branches(store) if token.action]
    store.decide(waiting.id, "yes")
    eng.resume()
    last = [step for step in store.history(token_id) if step.path == "1.0"][-1]
    uuid = store.fork(token_id, last.step, data={"log": [], "is_quick": True})
    assert token_of(store, uuid).status is ObjectStatus.RUNNING
    loaded(store, uuid, definition).resume()
    assert token_of(store, uuid).data == {
        "log": ["third"],
        "is_quick": True,
        "left": 1,
        "right": 1,
    }


def test_a_token_of_a_branch_is_not_forked_but_the_one_that_waits_for_it(store):
    eng = halted(store, [first, RUN_WF([RUN_WF([right])])])
    [inner] = [token for token in tokens_of_branches(store) if token.outcome == "halted"]
    outer = token_of(store, eng).id
    with pytest.raises(WorkflowAPIError, match=f"fork token {outer} of run {eng.uuid}"):
        store.fork(inner.id, 1)


@pytest.mark.parametrize(("at", "said"), [("secnd", "'second'"), (7, "1 to 3"), ("8.8", "no step")])
def test_a_fork_from_where_nothing_was_is_refused(store, at, said):
    token_id = token_of(store, completed(store)).id
    with pytest.raises(WorkflowAPIError, match=said):
        store.fork(token_id, at)
    with store.session() as session:
        assert session.query(store.models.workflow).count() == 1


def test_a_fork_of_a_step_that_an_earlier_definition_ran_is_refused(store):
    eng = completed(store, NESTED)
    changed = engine(store, PLAIN).recorder.run.fingerprint
    change(store, "UPDATE workflow SET fingerprint = :f WHERE token_count = 1", f=changed)
    token_id = token_of(store, eng).id
    for step in ("third", 3):
        with pytest.raises(PositionError, match="has changed since"):
            store.fork(token_id, step)
    store.fork(token_id, 1)  # which is what it was
