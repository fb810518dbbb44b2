"""A token's history: what each step did, and what was before it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import select

from wfengine.errors import DamagedDataError, UnknownTokenError, WorkflowAPIError
from wfengine.store import Store, TaskExecution, Types
from wfengine.store.changes import MISSING, Difference
from wfengine.store.history import data_at

from .travelling import (
    ASKING,
    DONE,
    NESTED,
    NOW,
    Clock,
    Order,
    change,
    completed,
    fail_once,
    failed,
    first,
    halted,
    token_of,
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(emptied_url, clock):
    with Store(emptied_url, clock=clock) as found:
        yield found


def test_the_history_shows_each_step_with_what_it_changed(store):
    token = token_of(store, completed(store))
    steps = store.history(token.id)
    assert [step.step for step in steps] == [1, 2, 3]
    assert [(step.event, step.path, step.name, step.status) for step in steps] == [
        ("task", "0", "first", "done"),
        ("task", "1", "second", "done"),
        ("task", "2", "third", "done"),
    ]
    assert [step.changes for step in steps] == [
        [Difference("log", MISSING, ["first"])],
        [Difference("log[1]", MISSING, "second")],
        [Difference("log[2]", MISSING, "third")],
    ]
    assert [step.before for step in steps] == [{}, {"log": ["first"]}, {"log": ["first", "second"]}]
    assert steps[2].after == DONE
    assert {step.started for step in steps} == {datetime.fromtimestamp(NOW, UTC)}
    assert {step.finished for step in steps} == {datetime.fromtimestamp(NOW, UTC)}


def test_the_history_says_what_came_of_a_step(store):
    eng = failed(store, [first, fail_once])
    [done, failure] = store.history(token_of(store, eng).id)
    assert done.outcome is None
    assert (failure.status, failure.outcome) == (
        "failed",
        {"type": "ValueError", "message": "not yet"},
    )
    assert failure.changes == []
    assert [failure.attempt, done.attempt] == [1, 1]


def test_the_history_shows_what_a_halt_has_asked_and_what_was_decided(store):
    eng = halted(store)
    token_id = token_of(store, eng).id
    store.decide(token_id, (True, "yes"), by="Ada")
    *_, halt, decision = store.history(token_id)
    assert halt.outcome == {
        "action": "approve",
        "message": "may it go on?",
        "payload": Types.plain(store.types.dumps({"asked": (1, 2)})),
    }
    assert (decision.event, decision.outcome["by"]) == ("decide", "Ada")
    assert decision.outcome["decision"] == Types.plain(store.types.dumps((True, "yes")))


def test_the_data_before_any_step_can_be_asked_for(store):
    token_id = token_of(store, completed(store)).id
    token, _ = store.token(token_id)
    assert [data_at(store, token, step) for step in (3, 1, 2)] == [
        {"log": ["first", "second"]},
        {},
        {"log": ["first"]},
    ]
    with pytest.raises(WorkflowAPIError, match="no step 4; it has 1 to 3"):
        data_at(store, token, 4)


def test_data_of_the_past_are_those_that_are_stored_whatever_their_type(store):
    def pack(token, eng):
        token.lines.append((Decimal("1.50"), {3, 4}))

    def sum_up(token, eng):
        token.total, token.lines[0] = Decimal(2), ({}, frozenset())

    token = token_of(store, completed(store, [pack, sum_up, sum_up], [Order([])]))
    plain = [
        Types.plain(store.types.dumps(each))
        for each in (
            Order([]),
            Order([(Decimal("1.50"), {3, 4})]),
            Order([({}, frozenset())], Decimal(2)),
        )
    ]
    steps = store.history(token.id)
    assert [step.before for step in steps] == plain
    assert steps[2].changes == []
    assert "lines[0]" in steps[1].changes[0].path


def test_a_token_that_was_never_begun_has_no_history(store):
    eng = halted(store, ASKING, [{}, {}])
    assert store.history(token_of(store, eng, 1).id) == []
    with pytest.raises(UnknownTokenError):
        store.history(10**6)


def test_what_is_left_of_a_pruned_history_is_shown(store):
    token = token_of(store, completed(store, NESTED))
    whole = store.history(token.id)
    change(store, "DELETE FROM task_execution WHERE step < 5")
    rest = store.history(token.id)
    assert [step.step for step in rest] == [step.step for step in whole[4:]]
    assert [step.before for step in rest] == [step.before for step in whole[4:]]
    assert [step.changes for step in rest] == [step.changes for step in whole[4:]]


@pytest.mark.parametrize("gone", [5, 10])
def test_what_was_before_steps_that_are_gone_is_refused_and_not_guessed(store, gone):
    token = token_of(store, completed(store, NESTED))
    assert token.steps == 10
    whole = store.history(token.id)
    change(store, "DELETE FROM task_execution WHERE step = :gone", gone=gone)
    steps = {step.step: step for step in store.history(token.id)}
    assert steps.keys() == {*range(1, 11)} - {gone}
    for number in range(1, gone):
        with pytest.raises(DamagedDataError, match=f"steps {gone} to {gone} are gone"):
            _ = steps[number].before
    assert [steps[n].before for n in range(gone + 1, 11)] == [step.before for step in whole[gone:]]


def second_row(store, token):
    """Return what the row of a token's second step is called."""
    table = TaskExecution.__table__
    query = select(table.c.id).where(table.c.object_id == token.id, table.c.step == 2)
    with store.session() as session:
        return f"task_execution {session.execute(query).scalar_one()}"


@pytest.mark.parametrize("content", ["{", '{"drop":["nothing"]}', "[]", '{"len":1,"cut":1}'])
def test_a_damaged_change_stops_only_what_needs_it(store, content):
    token = token_of(store, completed(store))
    change(store, "UPDATE task_execution SET inverse = :c WHERE step = 2", c=content)
    steps = store.history(token.id)
    assert steps[2].before == {"log": ["first", "second"]}
    for step in steps[:2]:
        with pytest.raises(DamagedDataError) as caught:
            _ = step.before
        assert caught.value.row == second_row(store, token)


def check_damage(store, column, content):
    token = token_of(store, completed(store))
    change(store, f"UPDATE task_execution SET {column} = :c WHERE step = 2", c=content)
    steps = store.history(token.id)
    assert [step.name for step in steps] == ["first", "second", "third"]
    with pytest.raises(DamagedDataError) as caught:
        getattr(steps[1], column)
    assert caught.value.row == second_row(store, token)


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_other_damage_in_a_step_is_told_when_it_is_touched(store, content):
    check_damage(store, "outcome", content)


@pytest.mark.parametrize("emptied_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["started", "finished"])
def test_a_time_that_is_none_is_told_when_it_is_touched(store, column):
    check_damage(store, column, "soon")
