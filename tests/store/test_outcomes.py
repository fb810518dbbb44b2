"""What became of the tokens of a run, by numbers and reasons, and what is done about failures."""

from contextlib import suppress

import pytest
from sqlalchemy import select, update

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import DamagedDataError, HaltProcessing, LeaseHeldError, WorkflowAPIError
from wfengine.patterns import FOR, RUN_WF, SYNCHRONIZE
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store, TaskExecution, Workflow, WorkflowObject, outcomes


@pytest.fixture
def broken():
    """What does not work at the moment."""
    return {"parse", "dividing"}


@pytest.fixture
def definition(broken):
    def begin(token, eng):
        if "all" in broken:
            raise KeyboardInterrupt
        token["began"] = token.get("began", 0) + 1
        token.setdefault("keys", []).append(eng.idempotency_key)

    def parse(token, eng):
        if "parse" in broken and token["kind"] == "text":
            raise ValueError(f"row {token['n']}: 'abc' is no number")

    def divide(token, eng):
        if "dividing" in broken and token["kind"] == "zero":
            1 / 0  # noqa: B018

    def steer(token, eng):
        steering = {
            "dear": lambda: eng.halt(f"order {token['n']}?", action="approve"),
            "odd": lambda: eng.halt("look at it"),
            "skip": eng.skip_token,
            "stop": eng.stop,
        }
        steering.get(token["kind"], lambda: None)()

    def finish(token, eng):
        token["done"] = True

    return [begin, FOR([1], "i", [parse]), divide, steer, finish]


@pytest.fixture
def store(emptied_url, definition):
    with Store(emptied_url, definitions=registry(definition)) as store:
        yield store


@pytest.fixture
def any_store(database_url, definition):
    """A store in a database of each kind."""
    with Store(database_url, definitions=registry(definition), lease_seconds=5) as store:
        yield store


def registry(definition):
    definitions = Registry()
    definitions.add("rows", definition)
    return definitions


def processed(store, *kinds, stop_on_error=False, stop_on_halt=False):
    """Run a token of each kind; return the uuid of the run."""
    eng = DbWorkflowEngine.with_name("rows", store=store)
    tokens = [{"n": number, "kind": kind} for number, kind in enumerate(kinds)]
    with suppress(HaltProcessing, ValueError, ZeroDivisionError):
        eng.process(tokens, stop_on_error=stop_on_error, stop_on_halt=stop_on_halt)
    return eng.uuid


def rows(store, uuid):
    with store.session() as session:
        query = select(WorkflowObject).join(Workflow).where(Workflow.uuid == str(uuid))
        found = list(session.scalars(query.order_by(WorkflowObject.token_pos)))
        session.expunge_all()
        return found


def events(store, token_id):
    with store.session() as session:
        query = select(TaskExecution.event).where(TaskExecution.object_id == token_id)
        return list(session.scalars(query.order_by(TaskExecution.step)))


def count_of(outcome):
    return {
        "completed": outcome.completed,
        "halted": outcome.halted,
        "waiting": outcome.waiting,
        "in_error": outcome.in_error,
        "skipped": outcome.skipped,
        "stopped": outcome.stopped,
        "running": outcome.running,
        "new": outcome.new,
        "damaged": outcome.damaged,
    }


# Counting


def test_each_token_is_counted_once_by_what_became_of_it(any_store):
    kinds = ["fine", "fine", "dear", "odd", "skip", "text", "zero", "stop", "fine"]
    outcome = any_store.outcome(processed(any_store, *kinds))
    counts = count_of(outcome)
    assert {kind: count for kind, count in counts.items() if count} == {
        "completed": 2,
        "halted": 2,
        "skipped": 1,
        "in_error": 2,
        "stopped": 1,
        "new": 1,
    }
    assert outcome.total == sum(counts.values()) == 9


def test_reasons_are_counted_and_tell_what_like_messages_have_in_common(any_store):
    kinds = ["dear", "dear", "odd", "text", "text", "text", "zero"]
    outcome = any_store.outcome(processed(any_store, *kinds))
    assert [(each.status, each.reason, each.count) for each in outcome.reasons] == [
        (ObjectStatus.ERROR, "ValueError: row #: '...' is no number", 3),
        (ObjectStatus.HALTED, "approve: order #?", 2),
        (ObjectStatus.HALTED, "look at it", 1),
        (ObjectStatus.ERROR, "ZeroDivisionError: division by zero", 1),
    ]


def test_a_reason_that_one_token_has_is_told_as_it_is(store):
    outcome = store.outcome(processed(store, "dear", "text"))
    assert {each.reason for each in outcome.reasons} == {
        "approve: order 0?",
        "ValueError: row 1: 'abc' is no number",
    }


def test_decisions_that_wait_to_be_handed_over_are_counted(store):
    uuid = processed(store, "dear", "dear")
    store.decide(rows(store, uuid)[1].id, "yes")
    outcome = store.outcome(uuid)
    assert (outcome.halted, outcome.decided) == (2, 1)


def test_a_token_that_waits_for_a_branch_is_not_one_to_be_decided_on(store):
    store.definitions.add("inside", [RUN_WF([lambda token, eng: eng.halt("?", action="ask")])])
    eng = DbWorkflowEngine.with_name("inside", store=store)
    eng.process([{}], stop_on_halt=False)
    outcome = store.outcome(eng.uuid)
    assert (outcome.halted, outcome.waiting) == (0, 1)


@pytest.mark.parametrize("stop_on_error", [True, False])
def test_a_run_whose_tokens_all_failed_is_a_failure(store, stop_on_error):
    uuid = processed(store, "text", stop_on_error=stop_on_error)
    outcome = store.outcome(uuid)
    assert outcome.is_failure
    assert outcome.status is WorkflowStatus.ERROR


def test_a_run_whose_tokens_all_failed_differently_is_a_failure_too(store):
    outcome = store.outcome(processed(store, "text", "zero", "zero"))
    assert outcome.is_failure
    assert outcome.is_over


def test_a_run_with_one_good_token_is_no_failure(store):
    outcome = store.outcome(processed(store, "text", "fine"))
    assert not outcome.is_failure
    assert outcome.status is WorkflowStatus.COMPLETED


@pytest.mark.parametrize(
    ("kinds", "is_over"),
    [(["fine"], True), (["fine", "zero"], True), (["dear"], False), (["stop", "fine"], False)],
)
def test_a_run_is_over_when_only_failed_tokens_are_left(store, kinds, is_over):
    assert store.outcome(processed(store, *kinds)).is_over is is_over


def test_a_run_that_was_not_begun_is_neither_over_nor_a_failure(store):
    eng = DbWorkflowEngine.with_name("rows", store=store)
    outcome = store.outcome(eng.uuid)
    assert (outcome.total, outcome.is_over, outcome.is_failure) == (0, False, False)


def test_a_status_that_there_is_not_is_counted_apart(store):
    uuid = processed(store, "fine", "fine")
    with store.session() as session:
        session.execute(
            update(WorkflowObject).where(WorkflowObject.token_pos == 0).values(status="WEIRD")
        )
    outcome = store.outcome(uuid)
    assert (outcome.completed, outcome.damaged, outcome.is_over) == (1, 1, False)


# Failures


def test_tokens_that_failed_alike_are_one_group(any_store):
    uuid = processed(any_store, "text", "zero", "text", "fine", "text")
    tokens = rows(any_store, uuid)
    alike, alone = any_store.failures(uuid)
    assert (alike.type, alike.task, alike.count) == ("ValueError", "parse", 3)
    assert alike.message == "row 0: 'abc' is no number"
    assert alike.token_ids == tuple(tokens[index].id for index in (0, 2, 4))
    assert (alike.more, alike.first, alike.last) == (0, tokens[0].since, tokens[4].since)
    assert (alone.type, alone.task, alone.token_ids) == (
        "ZeroDivisionError",
        "divide",
        (tokens[1].id,),
    )


def test_of_a_large_group_only_the_first_tokens_are_named(store, monkeypatch):
    monkeypatch.setattr(outcomes, "NAMED", 2)
    uuid = processed(store, *["text"] * 5)
    [group] = store.failures(uuid)
    assert group.token_ids == tuple(token.id for token in rows(store, uuid)[:2])
    assert (group.count, group.more) == (5, 3)


def test_an_error_that_is_damaged_does_not_hide_the_others(store):
    uuid = processed(store, "text", "zero")
    damaged = "update workflow_object set error = '{' where token_pos = 0"
    with store.database.writing() as connection:
        connection.exec_driver_sql(damaged)
    assert {group.type for group in store.failures(uuid)} == {"", "ZeroDivisionError"}


def test_a_run_without_failures_has_no_groups(store):
    assert store.failures(processed(store, "fine", "dear")) == []


# Doing something about them


def group_of(store, uuid, kind="ValueError"):
    return next(group for group in store.failures(uuid) if group.type == kind)


def test_a_group_is_resumed_where_it_failed_and_nothing_else_is_run(any_store, broken):
    uuid = processed(any_store, "text", "zero", "fine", "text", "dear")
    before = rows(any_store, uuid)
    broken.clear()
    group = group_of(any_store, uuid)
    assert any_store.resume_failures(uuid, group.failure) == list(group.token_ids)
    after = rows(any_store, uuid)
    assert [token.status for token in after] == [
        "COMPLETED", "ERROR", "COMPLETED", "COMPLETED", "HALTED",
    ]  # fmt: skip
    assert [token.data["began"] for token in after] == [1] * 5
    assert [token.steps for token in after[1:3]] == [token.steps for token in before[1:3]]


@pytest.mark.parametrize("how", ["resume", "restart", "skip"])
@pytest.mark.parametrize("damaged", [0, 2])
def test_a_damaged_row_in_a_group_is_told_and_does_not_stop_the_others(store, broken, how, damaged):
    uuid = processed(store, "text", "fine", "text", "text")
    token = rows(store, uuid)[damaged]
    table = WorkflowObject.__table__
    with store.session() as session:
        session.execute(update(table).where(table.c.id == token.id).values(callback_pos="x"))
    broken.clear()
    with pytest.raises(DamagedDataError) as caught:
        store.resume_failures(uuid, group_of(store, uuid).failure, how=how)
    assert caught.value.row == f"workflow_object {token.id}"
    with store.session() as session:
        query = select(table.c.status).order_by(table.c.token_pos)
        found = session.execute(query).scalars().all()
    assert found == ["ERROR" if index == damaged else "COMPLETED" for index in range(4)]


def test_a_group_is_restarted_from_the_first_task_with_its_data_and_fresh_keys(any_store, broken):
    uuid = processed(any_store, "text", "fine", "text")
    broken.clear()
    any_store.resume_failures(uuid, group_of(any_store, uuid).failure, how="restart")
    tokens = rows(any_store, uuid)
    assert [token.status for token in tokens] == ["COMPLETED"] * 3
    assert [token.data["began"] for token in tokens] == [2, 1, 2]
    keys = [key for token in tokens for key in token.data["keys"]]
    assert len(set(keys)) == len(keys) == 5
    assert "restart" in events(any_store, tokens[0].id)


def test_a_restarted_group_that_is_cut_off_is_left_at_its_first_task(store, broken):
    uuid = processed(store, "text", "text")
    failure = group_of(store, uuid).failure
    broken.clear()
    broken.add("all")
    with pytest.raises(KeyboardInterrupt):
        store.resume_failures(uuid, failure, how="restart")
    broken.clear()
    DbWorkflowEngine.from_uuid(uuid, store=store).resume()
    assert [token.data["began"] for token in rows(store, uuid)] == [2, 2]


def test_a_group_is_skipped_and_its_history_says_by_whom(any_store, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "olga")
    uuid = processed(any_store, "text", "fine", "text", "zero")
    ids = any_store.resume_failures(uuid, group_of(any_store, uuid).failure, how="skip")
    tokens = rows(any_store, uuid)
    assert [token.outcome for token in tokens] == ["skipped", "completed", "skipped", "failed"]
    assert ids == [tokens[0].id, tokens[2].id]
    assert (tokens[0].error, tokens[0].failure) == (None, None)
    with any_store.session() as session:
        query = select(TaskExecution).where(TaskExecution.object_id == ids[0])
        last = list(session.scalars(query.order_by(TaskExecution.step)))[-1]
        assert (last.event, last.name, last.outcome) == ("skip", "parse", {"by": "olga"})


def test_skipping_what_failed_everywhere_ends_the_run_well(store):
    uuid = processed(store, "text", "text")
    assert store.run(uuid).status is WorkflowStatus.ERROR
    store.resume_failures(uuid, group_of(store, uuid).failure, how="skip")
    assert store.run(uuid).status is WorkflowStatus.COMPLETED
    assert store.outcome(uuid).skipped == 2


def test_skipping_the_token_that_ended_a_run_lets_it_go_on_after_it(store):
    uuid = processed(store, "fine", "text", "fine", stop_on_error=True)
    store.resume_failures(uuid, group_of(store, uuid).failure, how="skip")
    assert store.run(uuid).status is WorkflowStatus.HALTED
    DbWorkflowEngine.from_uuid(uuid, store=store).resume()
    assert [token.outcome for token in rows(store, uuid)] == ["completed", "skipped", "completed"]


def test_resuming_the_token_that_ended_a_run_leaves_the_rest_for_later(store, broken):
    uuid = processed(store, "text", "fine", stop_on_error=True)
    broken.clear()
    store.resume_failures(uuid, group_of(store, uuid).failure)
    assert [token.status for token in rows(store, uuid)] == ["COMPLETED", "INITIAL"]
    assert store.run(uuid).status is WorkflowStatus.HALTED


@pytest.mark.parametrize("how", ["resume", "restart"])
def test_what_fails_again_is_tried_once_and_does_not_keep_the_others_from_it(store, how):
    uuid = processed(store, "text", "text", "text")
    before = rows(store, uuid)
    store.resume_failures(uuid, group_of(store, uuid).failure, how=how)
    after = rows(store, uuid)
    assert [token.status for token in after] == ["ERROR"] * 3
    steps = {"resume": 1, "restart": 1 + before[0].steps}[how]
    assert [now.steps - then.steps for now, then in zip(after, before, strict=True)] == [steps] * 3
    assert group_of(store, uuid).count == 3


@pytest.mark.parametrize("how", ["resume", "restart", "skip"])
def test_a_dry_run_names_the_tokens_and_does_nothing(store, how):
    uuid = processed(store, "text", "fine", "text")
    before = [(token.status, token.steps) for token in rows(store, uuid)]
    group = group_of(store, uuid)
    ids = store.resume_failures(uuid, group.failure, how=how, dry_run=True)
    assert ids == list(group.token_ids)
    assert [(token.status, token.steps) for token in rows(store, uuid)] == before


def test_a_large_group_is_gone_through_in_pages(store, broken, monkeypatch):
    monkeypatch.setattr(outcomes, "PAGE", 2)
    uuid = processed(store, *["text"] * 5, *["zero"] * 5)
    store.resume_failures(uuid, group_of(store, uuid).failure, how="skip")
    broken.clear()
    failure = group_of(store, uuid, "ZeroDivisionError").failure
    store.resume_failures(uuid, failure, how="restart")
    outcome = store.outcome(uuid)
    assert (outcome.skipped, outcome.completed) == (5, 5)


def test_an_unknown_group_is_refused_with_those_that_there_are(store):
    uuid = processed(store, "text", "text", "zero")
    known = [group.failure for group in store.failures(uuid)]
    with pytest.raises(WorkflowAPIError) as caught:
        store.resume_failures(uuid, "nonsense", dry_run=True)
    assert all(failure in str(caught.value) for failure in known)
    assert "2: ValueError in parse" in str(caught.value)


def test_a_run_without_failures_says_so(store):
    with pytest.raises(WorkflowAPIError, match="none has failed"):
        store.resume_failures(processed(store, "fine"), "nonsense")


def test_another_way_than_the_three_is_refused(store):
    with pytest.raises(WorkflowAPIError, match="resume, restart, skip, not 'delete'"):
        store.resume_failures(processed(store, "text"), "x", how="delete")


@pytest.mark.parametrize("how", ["resume", "restart", "skip"])
def test_a_run_that_another_process_has_is_not_touched(store, how):
    uuid = processed(store, "text", "text")
    failure = group_of(store, uuid).failure
    before = [(token.status, token.steps) for token in rows(store, uuid)]
    lease = store.take(store.run(uuid), lambda transition: None)
    with pytest.raises(LeaseHeldError):
        store.resume_failures(uuid, failure, how=how)
    store.keeper.drop(lease)
    assert [(token.status, token.steps) for token in rows(store, uuid)] == before


def test_what_fails_in_a_branch_is_treated_where_the_branch_was_begun(store):
    store.definitions.add("inside", [RUN_WF([lambda token, eng: 1 / 0])])
    eng = DbWorkflowEngine.with_name("inside", store=store)
    with pytest.raises(ZeroDivisionError):
        eng.process([{}])
    with store.session() as session:
        branch = session.scalars(select(Workflow.uuid).where(Workflow.parent_id.is_not(None))).one()
    failure = store.failures(branch)[0].failure
    with pytest.raises(WorkflowAPIError, match="is a branch"):
        store.resume_failures(branch, failure)


@pytest.mark.parametrize("how", ["restart", "skip"])
def test_branches_of_tokens_that_are_taken_away_from_them_are_over(any_store, how):
    broken = {"x"}

    def fail_at_first(token, eng):
        if broken:
            raise ValueError("not yet")

    def ask_at_first(token, eng):
        if broken:
            eng.halt("?", action="ask")

    def count(token, eng):
        token["count"] = token.get("count", 0) + 1

    definition = [SYNCHRONIZE([count, fail_at_first], [ask_at_first], [])]
    any_store.definitions.add("beside", definition)
    eng = DbWorkflowEngine.with_name("beside", store=any_store)
    with pytest.raises(ValueError, match="not yet"):
        eng.process([{}])
    broken.clear()
    any_store.resume_failures(eng.uuid, group_of(any_store, eng.uuid).failure, how=how)
    [token] = rows(any_store, eng.uuid)
    assert token.status == "COMPLETED"
    assert token.data == ({"count": 1} if how == "restart" else {})
    with any_store.session() as session:
        left = select(WorkflowObject.id).where(WorkflowObject.status != "COMPLETED")
        assert session.scalars(left).all() == []
    assert any_store.run(eng.uuid).status is (
        WorkflowStatus.COMPLETED if how == "restart" else WorkflowStatus.HALTED
    )
