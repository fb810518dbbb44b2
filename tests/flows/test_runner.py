"""FlowRunner: what is scheduled is run once, and what has failed goes on where it failed."""

import logging
import os
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import StoreError
from wfengine.flows import (
    ExecutionContext,
    FlowError,
    FlowRunner,
    FlowStatus,
    FlowStatusError,
    FlowTemplate,
    TaskStatus,
)
from wfengine.status import WorkflowStatus
from wfengine.store import Store, Workflow, scheduling

from .conftest import Call, Failing, adds


@pytest.fixture(scope="module")
def shared():
    """A store for many flows."""
    with Store("sqlite://", synchronous="OFF") as opened:
        yield opened


def history_of(runner, flow_id):
    history = runner.service.get_flow_task_execution_history(flow_id)
    assert all(entry.flow_id == flow_id for entry in history)
    return [(entry.step, entry.name, entry.attempt, entry.status.name) for entry in history]


def scheduled(runner, *tasks, name="f", context=None, **how):
    """Register a template of these tasks and schedule a flow of it."""
    template = FlowTemplate(name)
    for task in tasks:
        template.add_task(task)
    runner.register_flow_template(template)
    return runner.schedule_flow(name, context, **how)


# Templates


def test_a_template_is_found_by_its_name(runner):
    template = FlowTemplate("flights").add_task(adds("a", 1))
    runner.register_flow_template(template)
    runner.register_flow_template(template)
    assert runner.get_flow_template("flights") is template
    with pytest.raises(ValueError, match=r"'flihgts' is registered.* there are: 'flights'"):
        runner.get_flow_template("flihgts")


def test_two_templates_of_one_name_are_refused(runner):
    runner.register_flow_template(FlowTemplate("f").add_task(adds("a", 1)))
    with pytest.raises(ValueError, match="another template 'f'"):
        runner.register_flow_template(FlowTemplate("f").add_task(adds("b", 1)))
    assert runner.get_flow_template("f").tasks[0].name == "add_a"


def test_a_template_has_tasks(runner):
    with pytest.raises(FlowError, match="'empty' has no tasks"):
        runner.register_flow_template(FlowTemplate("empty"))
    with pytest.raises(FlowError, match="a FlowTemplate is registered, not 'f'"):
        runner.register_flow_template("f")


def test_what_is_not_registered_is_not_scheduled(runner):
    with pytest.raises(FlowError, match="there are none"):
        runner.schedule_flow("f")
    template = FlowTemplate("f").add_task(adds("a", 1))
    runner.schedule_flow(template)
    assert runner.get_flow_template("f") is template
    with pytest.raises(FlowError, match="another template 'f'"):
        runner.schedule_flow(FlowTemplate("f").add_task(adds("a", 1)))


# Running


def test_a_flow_is_run_task_by_task(runner):
    flow_id = scheduled(runner, adds("a", 1), adds("b", [2]), context={"n": 0})
    flow = runner.run_flow(FlowStatus.SCHEDULED)
    assert (flow.id, flow.status, flow.error) == (flow_id, FlowStatus.SUCCEEDED, None)
    assert dict(flow.context) == {"n": 0, "a": 1, "b": [2]}
    assert flow.not_before is None
    assert flow.finished is not None
    assert history_of(runner, flow_id) == [
        (1, "add_a", 1, "RUNNING"),
        (1, "add_a", 1, "SUCCEEDED"),
        (2, "add_b", 1, "RUNNING"),
        (2, "add_b", 1, "SUCCEEDED"),
    ]


def test_where_nothing_is_due_nothing_is_run(runner):
    assert runner.run_flow() is None
    flow = runner.service.create_flow_execution(FlowTemplate("f").add_task(adds("a", 1)))
    assert (runner.run_flow(), runner.re_run_flow(), runner.run_due()) == (None, None, [])
    assert runner.service.get_flow_execution(flow.id).status is FlowStatus.CREATED


DUE = (FlowStatus.SCHEDULED, FlowStatus.RESCHEDULED)


@pytest.mark.parametrize("status", [status for status in FlowStatus if status not in DUE])
def test_only_what_is_scheduled_is_run(runner, status):
    with pytest.raises(FlowError, match="SCHEDULED or RESCHEDULED"):
        runner.run_flow(status)


def test_a_failed_flow_goes_on_at_the_failed_task_with_the_context_it_had(any_store):
    calls, runner = [], FlowRunner(any_store)
    first = Call(lambda context: calls.append(1) or ExecutionContext({"rows": [1]}), "first")
    flow_id = scheduled(runner, first, Failing(2), adds("last", 3), context={"n": 0})
    for left in (1, 0):
        flow = runner.run_flow() or runner.re_run_flow()
        assert (flow.status, flow.error) == (FlowStatus.FAILED, f"ValueError: {left} left")
        assert dict(flow.context) == {"n": 0, "rows": [1]}
        assert runner.run_due() == []
        assert runner.reschedule_flow_execution(flow_id).status is FlowStatus.RESCHEDULED
        assert runner.run_flow(FlowStatus.SCHEDULED) is None
    flow = runner.re_run_flow()
    assert flow.status is FlowStatus.SUCCEEDED
    assert dict(flow.context) == {"n": 0, "rows": [1], "done": True, "last": 3}
    assert calls == [1]
    assert history_of(runner, flow_id) == [
        (1, "first", 1, "RUNNING"),
        (1, "first", 1, "SUCCEEDED"),
        (2, "Failing", 1, "RUNNING"),
        (2, "Failing", 1, "FAILED"),
        (2, "Failing", 2, "RUNNING"),
        (2, "Failing", 2, "FAILED"),
        (2, "Failing", 3, "RUNNING"),
        (2, "Failing", 3, "SUCCEEDED"),
        (3, "add_last", 1, "RUNNING"),
        (3, "add_last", 1, "SUCCEEDED"),
    ]


def test_the_output_of_every_failed_attempt_is_its_reason_and_traceback(runner):
    flow_id = scheduled(runner, Failing(2))
    runner.run_flow()
    runner.reschedule_flow_execution(flow_id)
    runner.run_due()
    history = runner.service.get_flow_task_execution_history(flow_id)
    outputs = [entry.output for entry in history if entry.status is TaskStatus.FAILED]
    for left, output in zip((1, 0), outputs, strict=True):
        assert output.startswith(f"ValueError: {left} left\n\nTraceback (most recent")
        assert f'{__file__.replace("test_runner", "conftest")}", line' in output
    assert [entry.output for entry in history if entry.status is not TaskStatus.FAILED] == ["", ""]


def test_the_times_of_the_history_are_those_at_which_tasks_began_and_ended(runner, clock):
    def take_time(context):
        clock.now += 5

    flow_id = scheduled(runner, Call(take_time, "a"), Call(take_time, "b"))
    began = clock.now
    runner.run_flow()
    history = runner.service.get_flow_task_execution_history(flow_id)
    times = [entry.timestamp.timestamp() - began for entry in history]
    assert times == [0, 5, 5, 10]
    assert all(entry.timestamp.tzinfo is UTC for entry in history)


def test_while_it_runs_the_history_has_the_beginning_of_the_task_it_is_at(runner):
    seen = []

    def look(context):
        (flow,) = runner.service.get_flow_executions(FlowStatus.RUNNING)
        seen.append(history_of(runner, flow.id))

    again = Failing(1)
    template = FlowTemplate("f").add_task(Call(look, "a")).add_task(Call(look, "b"))
    template.add_task(again, retries=1)
    runner.register_flow_template(template)
    flow_id = runner.schedule_flow("f")
    runner.run_flow()
    assert seen == [
        [(1, "a", 1, "RUNNING")],
        [(1, "a", 1, "RUNNING"), (1, "a", 1, "SUCCEEDED"), (2, "b", 1, "RUNNING")],
    ]
    assert history_of(runner, flow_id)[4:] == [
        (3, "Failing", 1, "RUNNING"),
        (3, "Failing", 1, "FAILED"),
        (3, "Failing", 2, "RUNNING"),
        (3, "Failing", 2, "SUCCEEDED"),
    ]


@pytest.mark.parametrize("status", ["SCHEDULED", "SUCCEEDED"])
def test_only_a_failed_flow_is_rescheduled(runner, status):
    flow_id = scheduled(runner, adds("a", 1))
    if status == "SUCCEEDED":
        runner.run_flow()
    with pytest.raises(FlowStatusError, match=f"{status} cannot become RESCHEDULED"):
        runner.reschedule_flow_execution(flow_id)


def test_what_cannot_be_stored_fails_its_task_and_names_entry_and_type(runner):
    flow_id = scheduled(runner, adds("out", os.environ), adds("b", 1))
    flow = runner.run_flow()
    assert flow.status is FlowStatus.FAILED
    assert "['out']" in flow.error
    assert "_Environ" in flow.error
    assert dict(flow.context) == {}
    assert history_of(runner, flow_id)[-1] == (1, "add_out", 1, "FAILED")


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=4))
def test_a_flow_that_is_rescheduled_until_it_succeeds_has_run_what_it_had_to(shared, plan):
    """Of each task it is given how often it fails, and how often it is tried again by itself."""
    with FlowRunner(shared) as runner:
        template = FlowTemplate(f"flow {len(runner.service.get_flow_executions())}")
        for number, (failures, retries) in enumerate(plan):
            task = Failing(failures, adds=f"done {number}")
            template.add_task(task, retries=retries)
        flow_id = runner.schedule_flow(template)
        pending, runs = [failures for failures, _ in plan], 0
        flow = runner.run_flow()
        while flow.status is FlowStatus.FAILED:
            runs += 1
            at = next(number for number, left in enumerate(pending) if left > plan[number][1])
            pending = [0] * at + [pending[at] - plan[at][1] - 1, *pending[at + 1 :]]
            assert list(flow.context) == [f"done {number}" for number in range(at)]
            runner.reschedule_flow_execution(flow_id)
            flow = runner.re_run_flow()
        assert runs == sum(failures // (retries + 1) for failures, retries in plan)
        assert list(flow.context) == [f"done {number}" for number in range(len(plan))]
        ends = [each for each in history_of(runner, flow_id) if each[3] != "RUNNING"]
        assert ends == [
            (number + 1, "Failing", attempt + 1, "SUCCEEDED" if attempt == failures else "FAILED")
            for number, (failures, _) in enumerate(plan)
            for attempt in range(failures + 1)
        ]


# What is due


def test_a_flow_is_not_run_before_its_time(any_store, clock):
    runner = FlowRunner(any_store)
    flow_id = scheduled(runner, Failing(1), not_before=clock.now + 60)
    clock.now += 59
    assert (runner.run_flow(), runner.run_due()) == (None, [])
    clock.now += 1
    assert runner.run_flow().status is FlowStatus.FAILED
    moment = datetime.fromtimestamp(clock.now + 60, UTC)
    assert runner.reschedule_flow_execution(flow_id, not_before=moment).not_before == moment
    assert (runner.re_run_flow(), runner.run_due()) == (None, [])
    clock.now += 60
    assert [flow.status for flow in runner.run_due()] == [FlowStatus.SUCCEEDED]


def test_what_has_been_due_for_longest_is_run_first(runner, clock):
    runner.register_flow_template(FlowTemplate("f").add_task(adds("a", 1)))
    delays = [30, 10, 20, 10, 99]
    ids = [runner.schedule_flow("f", not_before=clock.now + delay) for delay in delays]
    clock.now += 50
    assert runner.run_flow().id == ids[1]
    assert [ids.index(flow.id) for flow in runner.run_due()] == [3, 2, 0]


def test_more_than_a_page_is_run_and_no_more_than_asked_for(any_store, clock, monkeypatch):
    monkeypatch.setattr(scheduling, "PAGE", 4)
    runner = FlowRunner(any_store)
    runner.register_flow_template(FlowTemplate("f").add_task(adds("a", 1)))
    clock.now += 1 / 3
    ids = [runner.schedule_flow("f", {"n": n}) for n in range(15)]
    assert [flow.id for flow in runner.run_due(limit=2)] == ids[:2]
    assert runner.run_due(limit=0) == []
    done = runner.run_due()
    assert [flow.id for flow in done] == ids[2:]
    assert {flow.status for flow in done} == {FlowStatus.SUCCEEDED}


def test_what_a_flow_schedules_for_later_is_left_for_the_next_time(runner):
    ids = []

    def another(context):
        ids.append(runner.schedule_flow("again", not_before=runner.service.store.clock() + 1))

    flow_id = scheduled(runner, Call(another, "another"), name="again")
    assert [flow.id for flow in runner.run_due()] == [flow_id]
    assert runner.service.get_flow_execution(ids[0]).status is FlowStatus.SCHEDULED


def test_a_runner_runs_flows_of_its_own_templates_only(store):
    first, second = FlowRunner(store), FlowRunner(store)
    flow_id = scheduled(first, adds("a", 1), name="a")
    scheduled(second, adds("a", 1), name="b")
    assert [flow.name for flow in second.run_due()] == ["b"]
    assert first.service.get_flow_execution(flow_id).status is FlowStatus.SCHEDULED


def test_of_two_who_want_a_flow_one_runs_it(store, service):
    """One finds the flow due; before it takes the flow, the other has run it, and it has failed."""
    first, second = FlowRunner(service), FlowRunner(service)
    task = Failing(5)
    for runner in (first, second):
        runner.register_flow_template(FlowTemplate("f").add_task(task))
    flow_id = first.schedule_flow("f")
    found = DbWorkflowEngine.from_uuid(
        flow_id, store=store, definition=first.get_flow_template("f")
    )
    assert second.run_flow().status is FlowStatus.FAILED
    assert scheduling.take_due(found) is None
    assert task.left == 4
    assert first.reschedule_flow_execution(flow_id).status is FlowStatus.RESCHEDULED
    assert first.run_flow(FlowStatus.RESCHEDULED).status is FlowStatus.FAILED
    assert task.left == 3


@pytest.mark.parametrize("status", ["NEW", "RUNNING", "ERROR"])
def test_runs_of_others_that_wait_or_were_left_are_left_alone(runner, store, status):
    scheduled(runner, adds("a", 1))
    with store.session() as session:
        session.execute(insert(Workflow).values(**NOT_A_FLOW, status=status, created=1.0, due=1.0))
    assert len(runner.run_due()) == 1
    assert store.run(NOT_A_FLOW["uuid"]).status is WorkflowStatus[status]


NOT_A_FLOW = {
    "uuid": "c0ffee00-0000-4000-8000-000000000000",
    "name": "f",
    "token_pos": -1,
    "token_count": 0,
    "checkpoints": 0,
    "extra_data": {},
    "options": {},
    "lease_token": 0,
}


# What goes wrong


def test_a_failure_is_logged_once(runner, caplog):
    flow_id = scheduled(runner, Failing(1))
    with caplog.at_level(logging.INFO, "wfengine.flows"):
        runner.run_flow()
    assert caplog.messages == [f"flow {flow_id} of 'f' has failed: ValueError: 0 left"]


def test_a_flow_whose_template_has_changed_goes_on_where_its_task_is_now(store):
    before = FlowRunner(store)
    flow_id = scheduled(before, adds("a", 1), Failing(1), adds("c", 3))
    before.run_flow()
    before.reschedule_flow_execution(flow_id)
    after = FlowRunner(store)
    template = FlowTemplate("f").add_task(adds("z", 0)).add_task(adds("a", 1))
    template.add_task(Failing(0), retries=2).add_task(adds("c", 3))
    after.register_flow_template(template)
    flow = after.re_run_flow()
    assert (flow.status, dict(flow.context)) == (
        FlowStatus.SUCCEEDED,
        {"a": 1, "done": True, "c": 3},
    )


def test_a_flow_that_has_no_place_in_its_template_any_more_fails_and_says_so(store):
    before = FlowRunner(store)
    flow_id = scheduled(before, adds("a", 1), Failing(1))
    before.run_flow()
    before.reschedule_flow_execution(flow_id)
    after = FlowRunner(store)
    other = scheduled(after, adds("x", 1), adds("y", 1), name="f")
    done = {flow.id: flow for flow in after.run_due()}
    assert done[other].status is FlowStatus.SUCCEEDED
    assert done[flow_id].status is FlowStatus.FAILED
    assert "PositionError" in done[flow_id].error
    assert after.run_due() == []
    before.reschedule_flow_execution(flow_id)
    assert before.re_run_flow().status is FlowStatus.SUCCEEDED


def test_a_flow_whose_row_is_damaged_fails_and_the_others_are_run(runner, store):
    damaged = scheduled(runner, adds("a", 1))
    other = runner.schedule_flow("f")
    with store.session() as session:
        session.execute(
            update(Workflow)
            .where(Workflow.uuid == damaged)
            .values(options={"definition": "f", "checkpoint": "never"})
        )
    done = {flow.id: flow for flow in runner.run_due()}
    assert done[damaged].status is FlowStatus.FAILED
    assert "DamagedDataError: workflow 1: checkpoint is 'task'" in done[damaged].error
    assert done[other].status is FlowStatus.SUCCEEDED


def test_what_is_wrong_with_the_store_is_raised_and_the_flow_stays_scheduled(
    runner, store, monkeypatch
):
    def unreachable(*arguments):
        raise StoreError("the database cannot be reached")

    flow_id = scheduled(runner, adds("a", 1))
    with monkeypatch.context() as patched:
        patched.setattr(store, "take", unreachable)
        with pytest.raises(StoreError, match="cannot be reached"):
            runner.run_due()
    assert runner.service.get_flow_execution(flow_id).status is FlowStatus.SCHEDULED
    assert [flow.id for flow in runner.run_due()] == [flow_id]


def test_a_stopped_flow_has_failed_and_can_be_rescheduled(runner, store):
    def stop(context):
        assert store.stop(flow_ids[0], wait=0).is_stopped is False

    flow_ids = [scheduled(runner, Call(stop, "stop"), adds("a", 1))]
    flow = runner.run_flow()
    assert (flow.status, flow.error) == (FlowStatus.FAILED, "it was stopped before its end")
    runner.reschedule_flow_execution(flow.id)
    assert runner.service.get_flow_execution(flow.id).status is FlowStatus.RESCHEDULED
    flow = runner.re_run_flow()
    assert (flow.status, dict(flow.context)) == (FlowStatus.SUCCEEDED, {"a": 1})


def test_ctrl_c_leaves_a_flow_that_can_be_rescheduled(runner):
    def interrupt(context):
        if not done:
            done.append(True)
            raise KeyboardInterrupt

    done = []
    flow_id = scheduled(runner, adds("a", 1), Call(interrupt, "wait"))
    with pytest.raises(KeyboardInterrupt):
        runner.run_due()
    assert runner.service.get_flow_execution(flow_id).status is FlowStatus.FAILED
    assert history_of(runner, flow_id)[-1] == (2, "wait", 1, "FAILED")
    runner.reschedule_flow_execution(flow_id)
    assert runner.re_run_flow().status is FlowStatus.SUCCEEDED
