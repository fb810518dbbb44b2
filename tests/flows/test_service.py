"""FlowService: every change of status that there is and no other, and what flows are asked."""

from datetime import UTC, datetime
from itertools import pairwise, product

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import LeaseHeldError, NotStorableError, WorkflowError
from wfengine.flows import (
    STORED_AS,
    FlowError,
    FlowRepository,
    FlowRunner,
    FlowService,
    FlowStatus,
    FlowStatusError,
    FlowTemplate,
    PersistenceMode,
    TaskDataItem,
    UnknownFlowError,
)
from wfengine.flows.status import status_of
from wfengine.status import WorkflowStatus

from .conftest import Call, adds

CREATED, SCHEDULED, RUNNING, SUCCEEDED, FAILED, RESCHEDULED = FlowStatus

ALLOWED = [
    (CREATED, SCHEDULED),
    (SCHEDULED, RUNNING),
    (RUNNING, SUCCEEDED),
    (RUNNING, FAILED),
    (FAILED, RESCHEDULED),
    (RESCHEDULED, RUNNING),
]
WAYS = {
    CREATED: [],
    SCHEDULED: [SCHEDULED],
    RUNNING: [SCHEDULED, RUNNING],
    SUCCEEDED: [SCHEDULED, RUNNING, SUCCEEDED],
    FAILED: [SCHEDULED, RUNNING, FAILED],
    RESCHEDULED: [SCHEDULED, RUNNING, FAILED, RESCHEDULED],
}

TEMPLATE = FlowTemplate("one").add_task(adds("a", 1))


def flow_in(service, status):
    """Return the id of a flow that was brought to a status."""
    flow = service.create_flow_execution(TEMPLATE, {"n": 1})
    for each in WAYS[status]:
        flow = service.update_flow_status(flow.id, each)
    assert flow.status is status
    return flow.id


# Statuses


@pytest.mark.parametrize(("old", "new"), [*product(FlowStatus, FlowStatus)])
def test_a_status_follows_another_as_the_table_has_it(service, old, new):
    flow_id = flow_in(service, old)
    if (old, new) in ALLOWED:
        assert service.update_flow_status(flow_id, new).status is new
    else:
        with pytest.raises(ValueError, match=rf"{old.name} cannot become {new.name}") as caught:
            service.update_flow_status(flow_id, new)
        assert isinstance(caught.value, WorkflowError)
        assert caught.value.id_workflow == flow_id
    status = new if (old, new) in ALLOWED else old
    assert service.get_flow_execution(flow_id).status is status


@pytest.mark.parametrize("status", FlowStatus)
def test_every_status_is_stored_as_one_of_the_journals_and_read_back(status):
    stored = STORED_AS[status]
    assert {status_of(each, stored.waits) for each in stored.statuses} == {status}


@pytest.mark.parametrize(("stored", "waits"), [*product(WorkflowStatus, [False, True])])
def test_whatever_is_stored_is_the_status_of_a_flow(stored, waits):
    assert status_of(stored, waits) in FlowStatus


def test_what_is_no_status_is_refused(service):
    flow_id = flow_in(service, CREATED)
    with pytest.raises(FlowError, match="is a FlowStatus, not 'SCHEDULED'"):
        service.update_flow_status(flow_id, "SCHEDULED")
    with pytest.raises(FlowError, match="is a FlowStatus, not 'SCHEDULED'"):
        service.get_flow_executions("SCHEDULED")


def test_by_the_service_a_flow_comes_to_its_end_on_every_database(any_store):
    service = FlowService(any_store)
    for status in FlowStatus:
        flow_id = flow_in(service, status)
        assert [each.id for each in service.get_flow_executions(status)] == [flow_id]
    assert len(service.get_flow_executions()) == len(FlowStatus)


def test_a_flow_that_somebody_runs_is_not_changed(service, store):
    flow_id = flow_in(service, SCHEDULED)
    told = []

    def look(context):
        assert service.get_flow_execution(flow_id).status is RUNNING
        with pytest.raises(FlowStatusError, match="somebody else runs the flow"):
            service.update_flow_status(flow_id, SUCCEEDED)
        told.append(True)

    eng = DbWorkflowEngine.from_uuid(
        flow_id, store=store, definition=FlowTemplate("one").add_task(Call(look, "add_a"))
    )
    eng.resume()
    assert told
    assert service.get_flow_execution(flow_id).status is SUCCEEDED


def test_whoever_runs_a_flow_cannot_write_any_more_when_it_was_taken_away(service, store, clock):
    flow_id = flow_in(service, SCHEDULED)

    def sleep(context):
        clock.now += 10 * store.lease_seconds
        service.update_flow_status(flow_id, FAILED)

    eng = DbWorkflowEngine.from_uuid(
        flow_id, store=store, definition=FlowTemplate("one").add_task(Call(sleep, "add_a"))
    )
    with pytest.raises(WorkflowError, match="lease"):
        eng.resume()
    assert service.get_flow_execution(flow_id).status is FAILED


# What flows are asked


def test_a_flow_is_what_was_stored(service, clock):
    flow = service.schedule_flow_execution(TEMPLATE, {"n": (1, 2)}, not_before=clock.now + 60)
    now = datetime.fromtimestamp(clock.now, UTC)
    assert (flow.name, flow.status, flow.created) == ("one", SCHEDULED, now)
    assert (flow.started, flow.finished, flow.error) == (None, None, None)
    assert flow.not_before.timestamp() == clock.now + 60
    assert dict(flow.context) == {"n": (1, 2)}
    assert service.get_flow_execution(flow.id) == flow


def test_flows_are_found_by_status_name_and_time(service, clock):
    other = FlowTemplate("other").add_task(adds("a", 1))
    ids = []
    for template in (TEMPLATE, other, TEMPLATE, other):
        ids.append(service.create_flow_execution(template).id)
        clock.now += 10
    service.update_flow_status(ids[1], SCHEDULED)
    began = clock.now - 40

    def found(*which, **how):
        return [ids.index(flow.id) for flow in service.get_flow_executions(*which, **how)]

    assert found() == [0, 1, 2, 3]
    assert found(CREATED) == [0, 2, 3]
    assert found(SCHEDULED) == [1]
    assert found(RUNNING) == found(FAILED) == []
    assert found(name="other") == [1, 3]
    assert found(CREATED, name="other") == [3]
    assert found(since=began + 10, until=began + 30) == [1, 2]
    assert found(since=datetime.fromtimestamp(began + 30, UTC)) == [3]
    assert found(offset=1, limit=2) == [1, 2]


def test_other_runs_of_the_store_are_no_flows(service, store):
    eng = DbWorkflowEngine.with_name("one", store=store, definition=TEMPLATE)
    eng.process([{}])
    assert service.get_flow_executions() == []
    with pytest.raises(UnknownFlowError, match="is no flow"):
        service.get_flow_execution(eng.uuid)


@pytest.mark.parametrize("flow_id", ["nothing", "", "x" * 99, None, 3])
def test_an_unknown_flow_is_an_error(service, flow_id):
    for ask in (service.get_flow_execution, service.get_flow_task_execution_history):
        with pytest.raises(ValueError, match="there is no run"):
            ask(flow_id)
    with pytest.raises(UnknownFlowError):
        service.update_flow_status(flow_id, SCHEDULED)


@pytest.mark.parametrize(
    "moment",
    ["now", True, float("nan"), 1e20, -1e20, 10**400, datetime(2013, 1, 1)],  # noqa: DTZ001
)
def test_a_time_is_aware_or_a_number(service, moment):
    with pytest.raises(FlowError, match="a time"):
        service.schedule_flow_execution(TEMPLATE, not_before=moment)
    assert service.get_flow_executions() == []


def test_a_context_that_cannot_be_stored_is_refused_and_nothing_is_written(service, store):
    with pytest.raises(NotStorableError, match=r"\['lock'\].*function"):
        service.create_flow_execution(TEMPLATE, {"n": 1, "lock": lambda: 1})
    assert store.runs().total == 0


def test_a_context_that_the_template_does_not_take_is_refused(service, store):
    template = FlowTemplate("f", inputs=[TaskDataItem("n", int)]).add_task(adds("a", 1))
    for context in ({}, {"n": "1"}):
        with pytest.raises(FlowError, match="'n'"):
            service.create_flow_execution(template, context)
    with pytest.raises(FlowError, match="ExecutionContext or a dictionary, not with"):
        service.create_flow_execution(template, 7)
    with pytest.raises(FlowError, match="made of a FlowTemplate, not of 'f'"):
        service.create_flow_execution("f")
    assert store.runs().total == 0


# Where flows are kept


def test_transient_flows_are_gone_with_their_repository():
    with FlowRunner(PersistenceMode.TRANSIENT) as runner:
        runner.register_flow_template(TEMPLATE)
        runner.schedule_flow("one")
        assert runner.run_flow().status is SUCCEEDED
    with FlowService() as service:
        assert service.get_flow_executions() == []


def test_persistent_flows_stay_in_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with FlowRunner(PersistenceMode.PERSISTENT) as runner:
        runner.register_flow_template(TEMPLATE)
        flow_id = runner.schedule_flow("one")
    with FlowService("sqlite:///runs.db") as service:
        assert service.get_flow_execution(flow_id).status is SCHEDULED


def test_a_store_that_was_handed_in_stays_open(store):
    for kind in (FlowRepository, FlowService, FlowRunner):
        with kind(store):
            pass
        with FlowRepository(store) as repository, FlowService(repository) as service:
            service.create_flow_execution(TEMPLATE)
    assert store.runs().total == 3


@pytest.mark.parametrize("where", [None, 3, FlowRepository])
def test_flows_are_kept_in_what_can_keep_them(where):
    with pytest.raises(FlowError, match="flows are kept in"):
        FlowService(where)


def test_the_lease_keeps_two_from_running_one_flow(service, store):
    flow_id = flow_in(service, SCHEDULED)

    def take_it_too(context):
        other = DbWorkflowEngine.from_uuid(flow_id, store=store, definition=TEMPLATE)
        with pytest.raises(LeaseHeldError):
            other.resume()

    template = FlowTemplate("one").add_task(Call(take_it_too, "add_a"))
    runner = FlowRunner(service)
    runner.register_flow_template(template)
    assert runner.run_flow().status is SUCCEEDED


def test_the_allowed_moves_are_those_that_are_documented():
    from wfengine.flows.status import MOVES

    assert set(ALLOWED) == MOVES
    assert all(
        (old, new) in MOVES for way in WAYS.values() for old, new in pairwise([CREATED, *way])
    )
