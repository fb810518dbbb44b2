"""Taking a token back in its history, forward again, or elsewhere; and changing it."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest

from wfengine.errors import (
    HaltProcessing,
    LeaseHeldError,
    NotStorableError,
    PositionError,
    UnknownTokenError,
    WorkflowAPIError,
    WorkflowObjectStatusError,
)
from wfengine.patterns import COUNT, FOR, IF, OBJ_SET, RUN_WF, SYNCHRONIZE, TRY, WHILE
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store
from wfengine.store.changes import MISSING, Difference
from wfengine.store.retention import DELETING

from .travelling import (
    ASKING,
    DONE,
    NESTED,
    NOW,
    PLAIN,
    Clock,
    Order,
    ask,
    branches,
    change,
    completed,
    engine,
    events,
    fail_once,
    failed,
    first,
    halted,
    item,
    left,
    loaded,
    right,
    second,
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


# Going back


@pytest.mark.parametrize("to", [2, "1", "second"])
def test_a_token_goes_back_to_a_step_by_number_path_or_name(store, to):
    eng = completed(store)
    token_id = token_of(store, eng).id
    eng.rewind(token_id, to)
    token = token_of(store, eng)
    assert (token.status, token.outcome, token.path) == (ObjectStatus.RUNNING, None, "1")
    assert token.data == {"log": ["first"]}
    assert (eng.status, eng.state.callback_pos) == (WorkflowStatus.HALTED, [1])
    eng.resume()
    assert token_of(store, eng).data == DONE
    assert eng.status is WorkflowStatus.COMPLETED
    assert events(store, token_id) == [
        ("task", "first"),
        ("task", "second"),
        ("task", "third"),
        ("rewind", ""),
        ("task", "second"),
        ("task", "third"),
    ]


def test_a_place_at_which_no_task_was_run_is_not_proposed_in_place_of_itself(store):
    eng = completed(store)
    token_id = token_of(store, eng).id
    store.edit(token_id, {"log": []})  # where the token stands: at the end
    with pytest.raises(WorkflowAPIError, match="no step at, or of, '3'") as refused:
        eng.rewind(token_id, "3")
    assert "did you mean '3'" not in str(refused.value)


def test_of_several_steps_at_a_path_the_latest_counts(store):
    eng = completed(store, NESTED)
    token_id = token_of(store, eng).id
    eng.rewind(token_id, "item")
    assert token_of(store, eng).data == {"log": ["first", 1, 2]}
    eng.resume()
    assert token_of(store, eng).data == {"log": ["first", 1, 2, 3, "second", "third"]}


def test_inside_a_loop_the_token_goes_on_with_the_turn_that_it_was_in(store):
    eng = completed(store, NESTED)
    token_id = token_of(store, eng).id
    step = next(step for step in store.history(token_id) if step.name == "item")
    eng.rewind(token_id, step.step)
    eng.resume()
    assert token_of(store, eng).data == {"log": ["first", 1, 2, 3, "second", "third"]}


def test_the_callers_own_object_goes_back_as_well(store):
    token = {}
    eng = completed(store, PLAIN, [token])
    eng.rewind(token_of(store, eng).id, "second")
    eng.resume()
    assert token == DONE


def test_rewinding_to_the_rewind_goes_forward_again(store):
    eng = completed(store, NESTED)
    token_id = token_of(store, eng).id
    before, _ = store.token(token_id)
    eng.rewind(token_id, 1)
    assert token_of(store, eng).data == {}
    eng.rewind(token_id, before.steps + 1)
    after, _ = store.token(token_id)
    assert (after.text, after.path, after.memory) == (before.text, before.path, before.memory)
    eng.resume()
    assert store.token(token_id)[0].text == before.text
    assert events(store, token_id)[-2:] == [("rewind", ""), ("rewind", "first")]


def test_the_history_says_who_went_back_where_to(store, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    eng = completed(store)
    token_id = token_of(store, eng).id
    eng.rewind(token_id, "second")
    step = store.history(token_id)[-1]
    assert step.outcome == {"to": 2, "by": "ada"}
    assert step.changes == [
        Difference("log[1]", "second", MISSING),
        Difference("log[2]", "third", MISSING),
    ]


def test_what_is_done_again_has_idempotency_keys_of_its_own(store):
    keys = []

    def note(token, eng):
        keys.append(eng.idempotency_key)

    eng = completed(store, [note, FOR([1, 2], "i", [note]), TRY([note], retry=2)])
    token_id = token_of(store, eng).id
    for step in (1, 3, "2", 1):
        eng.rewind(token_id, step)
        eng.resume()
    assert len(keys) == len(set(keys)) > 12


def test_what_failed_and_is_begun_anew_has_another_idempotency_key(store):
    keys = []

    def fail(token, eng):
        keys.append(eng.idempotency_key)
        raise ValueError("not yet")

    eng = failed(store, [first, fail])
    with pytest.raises(ValueError, match="not yet"):
        eng.resume()
    eng.rewind(token_of(store, eng).id, "fail")
    with pytest.raises(ValueError, match="not yet"):
        eng.resume()
    assert keys[0] == keys[1] != keys[2]


def test_a_failed_token_goes_back_with_no_attempts_and_no_error_left(store):
    eng = failed(store, [first, fail_once])
    token_id = token_of(store, eng).id
    eng.rewind(token_id, "first")
    token = token_of(store, eng)
    record, _ = store.token(token_id)
    assert (token.status, token.error, record.attempts) == (ObjectStatus.RUNNING, None, 0)
    assert eng.status is WorkflowStatus.HALTED


def test_a_halted_token_that_goes_back_waits_for_nothing_and_is_asked_again(store):
    eng = halted(store)
    token_id = token_of(store, eng).id
    store.decide(token_id, "yes")
    eng.rewind(token_id, "first")
    token = token_of(store, eng)
    assert (token.status, token.action, token.message) == (ObjectStatus.RUNNING, None, None)
    assert (token.payload, token.decision) == (None, None)
    with pytest.raises(HaltProcessing):
        eng.resume()
    store.decide(token_id, "no")
    eng.resume()
    assert token_of(store, eng).data["log"] == ["first", "no", "third"]


def test_only_the_token_that_went_back_is_run_again(store):
    eng = completed(store, PLAIN, [{}, {}, {}])
    eng.rewind(token_of(store, eng, 1).id, "third")
    plan = eng.resume()
    assert (plan.tokens, plan.goes_on_at) == (1, None)
    assert [token.steps for token in store.tokens(eng.uuid)] == [3, 5, 3]
    assert eng.status is WorkflowStatus.COMPLETED


def test_another_engine_goes_on_where_the_token_was_taken(store):
    eng = completed(store)
    loaded(store, eng.uuid, PLAIN).rewind(token_of(store, eng).id, "third")
    loaded(store, eng.uuid, PLAIN).resume()
    assert token_of(store, eng).data == DONE


# Moving


def test_a_token_is_moved_to_a_task_that_it_has_not_come_to(store):
    eng = halted(store, [first, ask, second, [third]])
    token_id = token_of(store, eng).id
    eng.rewind(token_id, "3.0")
    token = token_of(store, eng)
    assert (token.status, token.path, token.data) == (
        ObjectStatus.RUNNING,
        "3.0",
        {"log": ["first"]},
    )
    eng.resume()
    assert token_of(store, eng).data == {"log": ["first", "third"]}
    step = store.history(token_id)[2]
    assert (step.event, step.path, step.name, step.outcome["to"]) == ("move", "1", "ask", "3.0")


def test_a_task_that_was_not_run_can_be_named_if_there_is_one_of_that_name(store):
    eng = halted(store, [first, ask, second, third, second])
    token_id = token_of(store, eng).id
    with pytest.raises(WorkflowAPIError, match="name of 2 tasks; name a path: "):
        eng.rewind(token_id, "second")
    eng.rewind(token_id, "third")
    eng.resume()
    assert token_of(store, eng).data == {"log": ["first", "third", "second"]}


@pytest.mark.parametrize("path", ["2.0", "2.1"])
def test_a_token_is_not_moved_into_a_loop_but_to_its_beginning(store, path):
    eng = halted(store, [first, ask, FOR([1, 2], "i", [item])])
    token_id = token_of(store, eng).id
    with pytest.raises(PositionError, match=r"inside of FOR at 2.* move it to '2'"):
        eng.rewind(token_id, path)
    assert token_of(store, eng).status is ObjectStatus.HALTED
    eng.rewind(token_id, "2")
    eng.resume()
    assert token_of(store, eng).data == {"log": ["first", 1, 2]}


def test_a_token_is_not_moved_into_a_choice_that_nobody_made(store):
    eng = halted(store, [first, ask, [IF(lambda token, eng: False, second)]])
    with pytest.raises(PositionError, match=r"inside of IF at 2\.0"):
        eng.rewind(token_of(store, eng).id, "2.0.0.0")


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("secnd", "did you mean 'second'"),
        ("1.5", "no step at, or of, '1.5'"),
        ("9", "no step at, or of, '9'"),
        (9, "no step 9; it has 1 to 3"),
        (0, "no step 0"),
        (-1, "no step -1"),
        ("", "no step"),
        ("<script>" * 1000, "no step"),
        (True, "a step is a number"),
        (None, "a step is a number"),
        (1.0, "a step is a number"),
        ([0], "a step is a number"),
    ],
)
def test_where_nothing_is_a_token_is_not_taken(store, to, said):
    eng = completed(store)
    token_id = token_of(store, eng).id
    with pytest.raises(WorkflowAPIError, match=said) as caught:
        eng.rewind(token_id, to)
    assert len(str(caught.value)) < 600
    assert token_of(store, eng).steps == 3


def test_a_token_that_the_run_has_not_come_to_is_refused(store):
    eng = halted(store, ASKING, [{}, {}])
    with pytest.raises(WorkflowObjectStatusError, match="has not come to"):
        eng.rewind(token_of(store, eng, 1).id, "third")


def test_a_token_of_another_run_is_refused(store):
    eng, other = completed(store), completed(store)
    with pytest.raises(UnknownTokenError, match="not of run"):
        eng.rewind(token_of(store, other).id, 1)


# Definitions that have changed


def test_a_token_goes_back_before_its_run_goes_on_with_another_definition(store):
    eng = failed(store, [first, second, fail_once])
    changed = loaded(store, eng.uuid, [first, third, second, third])
    token_id = token_of(store, eng).id
    with pytest.raises(PositionError, match="without a place"):
        changed.resume()
    changed.rewind(token_id, "second")
    changed.resume()
    assert token_of(store, eng).data == {"log": ["first", "second", "third"]}
    assert [event for event, _ in events(store, token_id)].count("map") == 1


def test_a_token_is_not_moved_before_its_run_goes_on_with_another_definition(store):
    eng = halted(store)
    changed = loaded(store, eng.uuid, [first, ask, second, third])
    with pytest.raises(PositionError, match="has changed since it ran"):
        changed.rewind(token_of(store, eng).id, "2")


@pytest.mark.parametrize("is_at_hand", [True, False])
def test_a_step_of_an_earlier_definition_is_refused_and_not_shifted(store, is_at_hand):
    eng = completed(store)
    later = [first, third, second]
    changed = engine(store, later).recorder.run.fingerprint
    change(store, "UPDATE workflow SET fingerprint = :f WHERE token_count = 1", f=changed)
    now = loaded(store, eng.uuid, later if is_at_hand else [first])
    token_id = token_of(store, eng).id
    with pytest.raises(PositionError, match="'second' at 1, where the definition has 'third'"):
        now.rewind(token_id, 2)
    now.rewind(token_id, 1)  # which is where it was
    assert token_of(store, eng).path == "0"


def test_a_definition_that_the_store_does_not_know_says_nothing_about_steps(store):
    eng = completed(store)
    change(store, "UPDATE workflow SET fingerprint = 'unknown'")
    with pytest.raises(PositionError, match="does not know the definition"):
        eng.rewind(token_of(store, eng).id, 1)


@pytest.mark.parametrize(
    "task",
    [
        first,
        FOR([1], "i", [first]),
        IF(lambda token, eng: True, first),
        TRY([first]),
        WHILE(lambda token, eng: not token["log"], [first]),
        SYNCHRONIZE([first], [left], second),
        RUN_WF([first]),
        COUNT("n"),
        OBJ_SET("x", 1),
        partial(lambda token, eng, log: token.update(log=log), log=["first"]),
    ],
)
def test_the_steps_of_every_pattern_are_known_by_what_the_store_knows(store, task):
    definition = [task, second]
    eng = completed(store, definition, [{"log": []}])
    token_id = token_of(store, eng).id
    changed = loaded(store, eng.uuid, [*definition, first])
    for step in store.history(token_id):
        changed.rewind(token_id, step.step)
        assert token_of(store, eng).path == step.path


# Whoever else is there


def test_an_engine_that_runs_does_not_go_back(store):
    refused = []

    def try_it(token, eng):
        with pytest.raises(WorkflowAPIError, match="is running") as caught:
            eng.rewind(1, 1)
        refused.append(caught.value)

    completed(store, [first, try_it])
    assert len(refused) == 1


@pytest.mark.parametrize("how", ["rewind", "edit"])
def test_a_token_on_which_somebody_works_is_left_alone(store, how):
    def meddle(token, eng):
        current = store.tokens(eng.uuid)[eng.state.token_pos]
        other = loaded(store, eng.uuid, definition)
        change = {"rewind": other.rewind, "edit": store.edit}[how]
        with pytest.raises(LeaseHeldError, match="stop the run first") as caught:
            change(current.id, 1)
        assert caught.value.owner
        assert caught.value.until == datetime.fromtimestamp(NOW + 60, UTC)
        token["refused"] = True

    definition = [first, meddle]
    eng = completed(store, definition, [{}, {}])
    assert all(token.data["refused"] for token in store.tokens(eng.uuid))


def test_a_token_that_a_running_run_is_done_with_can_be_changed(store):
    def meddle(token, eng):
        if eng.state.token_pos == 1:
            earlier = store.tokens(eng.uuid)[0]
            store.edit(earlier.id, {"log": ["edited"]})
            loaded(store, eng.uuid, definition).rewind(earlier.id, "third")

    definition = [first, meddle, third]
    eng = completed(store, definition, [{}, {}])
    assert token_of(store, eng).status is ObjectStatus.RUNNING
    eng.resume()
    assert [token.data for token in store.tokens(eng.uuid)] == [
        {"log": ["first", "third"]},
        {"log": ["first", "third"]},
    ]


def test_a_token_that_was_done_and_is_begun_again_is_left_alone(store):
    refused = []

    def meddle(token, eng):
        current = store.tokens(eng.uuid)[eng.state.token_pos]
        if current.status is ObjectStatus.COMPLETED:
            with pytest.raises(LeaseHeldError):
                store.edit(current.id, {})
            refused.append(current.token_pos)

    def back_once(token, eng):
        if eng.state.token_pos == 1 and not refused:
            eng.jump_token(-1)

    completed(store, [meddle, back_once], [{}, {}])
    assert 1 in refused


def test_a_halted_token_can_be_changed_until_it_is_decided_what_goes_on_with_it(store):
    def ask_first(token, eng):
        if eng.state.token_pos == 0:
            eng.halt("well?", action="approve")

    def meddle(token, eng):
        halted_one = store.tokens(eng.uuid)[0]
        store.edit(halted_one.id, {"log": ["edited"]})
        store.decide(halted_one.id, "yes")
        with pytest.raises(LeaseHeldError):
            store.edit(halted_one.id, {})

    eng = engine(store, [ask_first, meddle])
    eng.process([{}, {}], stop_on_halt=False)
    assert token_of(store, eng).data == {"log": ["edited"]}
    assert token_of(store, eng, 1).status is ObjectStatus.COMPLETED


def test_a_token_that_a_running_run_has_not_come_to_is_left_alone(store):
    def meddle(token, eng):
        if eng.state.token_pos == 0:
            with pytest.raises(LeaseHeldError):
                store.edit(store.tokens(eng.uuid)[1].id, {})

    completed(store, [meddle], [{}, {}])


def test_when_its_owner_is_dead_a_token_can_be_changed(store, clock):
    eng = completed(store)
    token_id = token_of(store, eng).id
    change(
        store,
        "UPDATE workflow SET lease_owner = 'dead', lease_expires = :until, status = 'RUNNING'",
        until=NOW + 60,
    )
    change(store, "UPDATE workflow_object SET status = 'RUNNING'")
    with pytest.raises(LeaseHeldError, match="dead is working on"):
        store.edit(token_id, {})
    clock.now += 60
    store.edit(token_id, {"log": []})
    eng.rewind(token_id, "third")
    assert eng.status is WorkflowStatus.RUNNING
    assert token_of(store, eng).path == "2"


def test_of_two_who_go_back_at_the_same_time_one_does(store, monkeypatch):
    eng = completed(store)
    token_id = token_of(store, eng).id
    other = loaded(store, eng.uuid, PLAIN)
    get = eng.callbacks.get

    def slowly(*arguments):
        monkeypatch.setattr(eng.callbacks, "get", get)
        other.rewind(token_id, "second")
        return get(*arguments)

    monkeypatch.setattr(eng.callbacks, "get", slowly)
    with pytest.raises(WorkflowObjectStatusError, match="has changed in the meantime"):
        eng.rewind(token_id, "third")
    assert token_of(store, eng).path == "1"
    assert len(store.history(token_id)) == 4


@pytest.mark.parametrize("status", ["COMPLETED", "HALTED"])
def test_a_token_that_is_being_deleted_is_left_alone(store, status):
    eng = completed(store)
    token_id = token_of(store, eng).id
    change(
        store,
        "UPDATE workflow SET lease_owner = :owner, lease_expires = 4102444800, status = :status",
        owner=DELETING,
        status=status,
    )
    for call in (
        lambda: eng.rewind(token_id, 1),
        lambda: store.edit(token_id, {}),
        lambda: store.fork(token_id, 1),
    ):
        with pytest.raises(UnknownTokenError, match="is being deleted"):
            call()
    assert token_of(store, eng).steps == 3


# Editing


def test_an_edit_is_part_of_the_history_and_can_be_undone(store):
    eng = halted(store)
    token_id = token_of(store, eng).id
    store.edit(token_id, {"log": ["edited"]}, by="Ada")
    assert token_of(store, eng).status is ObjectStatus.HALTED
    step = store.history(token_id)[-1]
    assert (step.event, step.name, step.path, step.outcome) == ("edit", "ask", "1", {"by": "Ada"})
    assert step.changes == [Difference("log[0]", "first", "edited")]
    store.decide(token_id, "yes")
    eng.resume()
    assert token_of(store, eng).data["log"] == ["edited", "yes", "third"]
    eng.rewind(token_id, step.step)
    assert token_of(store, eng).data["log"] == ["first"]


def test_an_edited_token_may_be_of_another_type(store):
    eng = completed(store)
    token_id = token_of(store, eng).id
    store.edit(token_id, Order([1], Decimal("0.10")))
    assert token_of(store, eng).data == Order([1], Decimal("0.10"))
    eng.rewind(token_id, 4)
    assert token_of(store, eng).data == DONE


def test_what_cannot_be_stored_changes_nothing(store):
    token_id = token_of(store, completed(store)).id
    with pytest.raises(NotStorableError):
        store.edit(token_id, {"lock": object()})
    assert len(store.history(token_id)) == 3


def test_an_edit_that_comes_too_late_is_refused(store):
    eng = halted(store)
    token_id = token_of(store, eng).id

    class Slow:
        pass

    def meanwhile(value):
        store.decide(token_id, "yes", by="Ada")
        return 1

    store.types.register(Slow, meanwhile, lambda value: Slow())
    with pytest.raises(WorkflowObjectStatusError, match="changed in the meantime"):
        store.edit(token_id, {"slow": Slow()})
    assert token_of(store, eng).data == {"log": ["first"]}
    assert token_of(store, eng).decision["by"] == "Ada"


# Branches


def test_branches_of_a_token_that_went_back_are_begun_anew(store):
    definition = [first, SYNCHRONIZE([left], [right], third)]
    eng = halted(store, definition)
    token_id = token_of(store, eng).id
    assert [status for status, _ in branches(store)] == ["COMPLETED", "HALTED"]
    eng.rewind(token_id, "first")
    assert branches(store) == [("COMPLETED", None), ("COMPLETED", None)]
    store.edit(token_id, {"is_quick": True})
    eng.resume()
    data = token_of(store, eng).data
    assert data == {"is_quick": True, "log": ["first", "third"], "left": 1, "right": 1}
    assert branches(store)[2:] == [("COMPLETED", token_id)] * 2


def test_going_back_into_the_middle_of_branches_begins_all_of_them_anew(store):
    definition = [first, SYNCHRONIZE([left], [right], third)]
    eng = halted(store, definition)
    token_id = token_of(store, eng).id
    waiting = [token for token in tokens_of_branches(store) if token.action]
    store.decide(waiting[0].id, "yes")
    eng.resume()
    assert token_of(store, eng).data["log"] == ["first", "third"]
    steps = [step for step in store.history(token_id) if step.path == "1.0"]
    assert steps[-1].memory is not None
    eng.rewind(token_id, steps[-1].step)
    with pytest.raises(HaltProcessing):
        eng.resume()
    assert len(branches(store)) == 4


def test_branches_that_a_token_has_come_back_to_are_given_up_as_well(store):
    eng = halted(store, [first, SYNCHRONIZE([left], [right, right], third)])
    token_id = token_of(store, eng).id
    [asking] = [token for token in tokens_of_branches(store) if token.action]
    store.decide(asking.id, "yes")
    with pytest.raises(HaltProcessing):
        eng.resume()
    assert branches(store) == [("COMPLETED", token_id), ("HALTED", token_id)]
    eng.rewind(token_id, store.history(token_id)[-1].step)
    assert branches(store) == [("COMPLETED", None), ("COMPLETED", None)]
    assert token_of(store, eng).path == "1.0"


def test_branches_inside_of_branches_are_given_up_with_them(store):
    inner = SYNCHRONIZE([left], [right], third)
    eng = halted(store, [first, RUN_WF([inner])])
    assert "HALTED" in {status for status, _ in branches(store)}
    eng.rewind(token_of(store, eng).id, "first")
    assert {status for status, _ in branches(store)} == {"COMPLETED"}
    assert {token.status for token in tokens_of_branches(store)} == {ObjectStatus.COMPLETED}


def test_branches_begun_before_the_step_stay_as_they_are(store):
    eng = completed(store, [RUN_WF([left]), first, RUN_WF([left]), third])
    token_id = token_of(store, eng).id
    eng.rewind(token_id, "first")
    assert branches(store) == [("COMPLETED", token_id), ("COMPLETED", None)]


# On every database


def test_travelling_is_the_same_on_every_database(database_url):
    with Store(database_url) as store:
        eng = halted(store, ASKING, [{"n": Decimal("1.0")}])
        token_id = token_of(store, eng).id
        store.decide(token_id, "yes")
        eng.resume()
        before, _ = store.token(token_id)
        eng.rewind(token_id, "ask")
        with pytest.raises(HaltProcessing):
            eng.resume()
        store.edit(token_id, {"log": ["ä" * 3]}, by="Ada")
        eng.rewind(token_id, "third")
        eng.resume()
        assert store.token(token_id)[0].text == before.text
        uuid = store.fork(token_id, 4)
        store.decide(token_of(store, uuid).id, "yes")
        loaded(store, uuid, ASKING).resume()
        assert token_of(store, uuid).data == token_of(store, eng).data
        assert [step.event for step in store.history(token_id)] == [
            *("task", "task", "decide", "task", "task", "rewind", "task", "edit", "rewind", "task"),
        ]
