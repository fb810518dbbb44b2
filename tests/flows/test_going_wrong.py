"""What goes wrong around flows: damaged rows, dying runners, others who are faster, event loops."""

import asyncio
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import update

from wfengine import HaltProcessing
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import DamagedDataError
from wfengine.flows import (
    ExecutionContext,
    FlowError,
    FlowStatus,
    FlowTemplate,
    Task,
    TaskDataItem,
)
from wfengine.status import WorkflowStatus
from wfengine.store import Workflow, WorkflowObject, scheduling

from .conftest import Call, Failing, adds
from .test_runner import history_of, scheduled


def write(store, table, **values):
    """Write into a row of a flow's by hand."""
    with store.session() as session:
        session.execute(update(table).values(**values))


# Damaged rows


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"data": '{"bad'}, "workflow_object 1: "),
        ({"status": "FINE"}, "workflow_object 1: 'FINE'"),
        ({"callback_pos": "9"}, "workflow_object 1: position 9"),
        ({"callback_pos": "x.y"}, "workflow_object 1: "),
    ],
)
@pytest.mark.parametrize("has_begun", [False, True])
def test_a_flow_whose_token_is_damaged_has_failed_and_says_which_row(
    runner, store, has_begun, values, said
):
    flow_id = scheduled(runner, adds("a", 1), Failing(1))
    if has_begun:
        runner.run_flow()
        runner.reschedule_flow_execution(flow_id)
    with store.session() as session:
        session.connection().exec_driver_sql(
            f"UPDATE workflow_object SET {next(iter(values))} = ?", tuple(values.values())
        )
    (flow,) = runner.run_due()
    assert (flow.id, flow.status) == (flow_id, FlowStatus.FAILED)
    assert said in flow.error


def test_what_is_no_context_and_a_token_that_is_gone_are_told(runner, store):
    flow_id = scheduled(runner, adds("a", 1))
    write(store, WorkflowObject, data=[1])
    with pytest.raises(DamagedDataError, match="the context of a flow is a dictionary, not"):
        _ = runner.service.get_flow_execution(flow_id).context
    with store.session() as session:
        session.connection().exec_driver_sql("DELETE FROM workflow_object")
    for ask in (
        lambda: runner.service.get_flow_execution(flow_id).context,
        lambda: runner.service.get_flow_task_execution_history(flow_id),
    ):
        with pytest.raises(DamagedDataError, match="the row of this one is gone"):
            ask()


# Runners that die


def left_behind(store, flow_id, owners):
    """Make a flow one whose runner died, after so many had it."""
    values = {"status": WorkflowStatus.RUNNING.name, "due": None, "lease_token": owners}
    with store.session() as session:
        session.execute(update(Workflow).where(Workflow.uuid == flow_id).values(**values))


def test_what_kills_its_runner_keeps_nobody_else_waiting(runner, store):
    """First come those that nobody has begun, last those that had the most runners."""
    often = scheduled(runner, adds("a", 1))
    once, twice, fresh = (runner.schedule_flow("f") for _ in range(3))
    for flow_id, owners in ((often, 7), (once, 1), (twice, 2)):
        left_behind(store, flow_id, owners)
    assert [found.uuid for found in store.recover(dry_run=True)] == [once, twice, often]
    done = runner.run_due(limit=3)
    assert [flow.id for flow in done] == [fresh, once, twice]
    assert [flow.id for flow in runner.run_due()] == [often]


# Why a flow has failed


def test_a_flow_that_others_went_on_with_says_why_it_has_failed(runner, store):
    flow_id = scheduled(runner, adds("a", 1), Failing(2))
    runner.run_flow()
    template = runner.get_flow_template("f")
    eng = DbWorkflowEngine.from_uuid(flow_id, store=store, definition=template)
    eng.resume(stop_on_error=False)
    flow = runner.service.get_flow_execution(flow_id)
    assert (flow.status, flow.error) == (FlowStatus.FAILED, "ValueError: 0 left")


def test_a_flow_that_was_halted_says_what_for(runner):
    def ask(context):
        raise HaltProcessing("is this a plane?")

    scheduled(runner, Call(ask))
    flow = runner.run_flow()
    assert flow.status is FlowStatus.FAILED
    assert "is this a plane?" in flow.error


def test_a_flow_that_is_rescheduled_as_soon_as_it_fails_is_returned(runner, monkeypatch):
    flow_id, run_taken = scheduled(runner, Failing(1)), scheduling.run_taken

    def rescheduled_at_once(eng, plan):
        try:
            run_taken(eng, plan)
        finally:
            runner.reschedule_flow_execution(flow_id)

    monkeypatch.setattr(scheduling, "run_taken", rescheduled_at_once)
    assert runner.run_flow().status is FlowStatus.RESCHEDULED


def test_what_a_task_has_not_found_elsewhere_is_a_failure_of_the_flow(runner, store):
    scheduled(runner, Call(lambda context: store.run("elsewhere"), "looks"))
    flow = runner.run_flow()
    assert flow.status is FlowStatus.FAILED
    assert "UnknownRunError" in flow.error


# Event loops


@pytest.mark.parametrize("how", [{}, {"timeout": 30}])
def test_inside_a_running_loop_it_is_said_that_a_task_cannot_be_awaited(runner, how):
    class Later(Task):
        async def run(self, context):
            return context

    runner.register_flow_template(FlowTemplate("f").add_task(Later(), **how))
    runner.schedule_flow("f")

    async def main():
        with pytest.raises(FlowError, match=r"inside a running event loop: .*asyncio.to_thread"):
            runner.run_flow()

    asyncio.run(main())
    assert runner.run_flow(FlowStatus.SCHEDULED).status is FlowStatus.SUCCEEDED


def test_what_turns_out_to_have_to_be_awaited_inside_a_running_loop_can_be_rescheduled(runner):
    class Pause:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return ExecutionContext()

    flow_id = scheduled(runner, Call(lambda context: Pause(), "pause"))

    async def main():
        with pytest.raises(FlowError, match=r"to be awaited.* and reschedule the flow"):
            runner.run_flow()

    asyncio.run(main())
    runner.reschedule_flow_execution(flow_id)
    assert runner.re_run_flow().status is FlowStatus.SUCCEEDED


def test_a_coroutine_that_does_not_let_itself_be_cancelled_was_too_slow_all_the_same(runner):
    class Stubborn(Task):
        async def run(self, context):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                return context

    runner.register_flow_template(FlowTemplate("f").add_task(Stubborn(), timeout=0.01))
    runner.schedule_flow("f")
    flow = runner.run_flow()
    assert flow.status is FlowStatus.FAILED
    assert "took longer than 0.01 seconds" in flow.error


# Times


@pytest.mark.parametrize(
    "moment",
    [
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=2))),
        1e300,
        float("nan"),
    ],
)
def test_a_time_that_no_clock_has_is_refused(runner, moment):
    runner.register_flow_template(FlowTemplate("f").add_task(adds("a", 1)))
    with pytest.raises(FlowError, match=r"years 1 to 9999.*create_flow_execution"):
        runner.schedule_flow("f", not_before=moment)
    assert runner.service.get_flow_executions() == []


@pytest.mark.parametrize("part", [0.0, 0.1234564, 0.1234565, 0.1234566, 0.9999996])
def test_a_flow_was_created_when_it_says(runner, clock, part):
    clock.now = 1_780_000_000 + part
    flow_id = scheduled(runner, adds("a", 1))
    moment = runner.service.get_flow_execution(flow_id).created
    found = runner.service.get_flow_executions
    assert [flow.id for flow in found(since=moment)] == [flow_id]
    assert found(until=moment) == []
    assert found(since=moment + timedelta(microseconds=1)) == []


# Attempts


def test_attempts_are_those_at_one_task_wherever_it_stands_by_now(runner, store):
    a, n, b, c = adds("a", 1), adds("n", 1), Failing(2, "b"), adds("c", 1)
    b.name = "b"
    flow_id = scheduled(runner, a, b, c)
    runner.run_flow()
    for tasks in ([a, n, b, c], [b, c]):
        runner.reschedule_flow_execution(flow_id)
        changed = FlowTemplate("f")
        for task in tasks:
            changed.add_task(task)
        runner._templates["f"] = changed
        runner.re_run_flow()
    ends = [entry[1:] for entry in history_of(runner, flow_id) if entry[3] != "RUNNING"]
    assert ends == [
        ("add_a", 1, "SUCCEEDED"),
        ("b", 1, "FAILED"),
        ("b", 2, "FAILED"),
        ("b", 3, "SUCCEEDED"),
        ("add_c", 1, "SUCCEEDED"),
    ]


def test_a_fork_of_a_flow_is_a_flow(runner, store):
    flow_id = scheduled(runner, adds("a", 1), adds("b", 2))
    runner.run_flow()
    (token,) = store.tokens(flow_id)
    fork = store.fork(token.id, "add_b")
    assert runner.service.get_flow_execution(fork).status is FlowStatus.FAILED
    runner.reschedule_flow_execution(fork)
    assert dict(runner.re_run_flow().context) == {"a": 1, "b": 2}


# Tasks


def test_what_a_task_keeps_of_what_it_has_added_is_not_what_the_others_get(runner):
    kept = []

    def first(context):
        kept.append(["mine"])
        return ExecutionContext({"list": kept[0]})

    def second(context):
        kept[0].append("later")

    scheduled(runner, Call(first), Call(second))
    assert dict(runner.run_flow().context) == {"list": ["mine"]}


def test_a_task_may_run_out_of_what_it_iterates_over(runner):
    scheduled(runner, Call(lambda context: next(iter([])), "looks"))
    assert runner.run_flow().error == "RuntimeError: task 'looks' raised StopIteration()"


class Says(Task):
    def __init__(self, **said):
        self.said = said

    def run(self, context):
        return context

    def inputs(self):
        return self.said.get("inputs", ())

    def outputs(self):
        return self.said.get("outputs", ())


@pytest.mark.parametrize("which", ["inputs", "outputs"])
@pytest.mark.parametrize("items", [None, TaskDataItem("a"), ["a"], 1])
def test_what_a_task_says_is_a_list_of_items(which, items):
    said = f"{which}() of task 'Says' of flow 'f': "
    with pytest.raises(FlowError, match=re.escape(said)):
        FlowTemplate("f").add_task(Says(**{which: items}))


def test_what_a_template_begins_with_is_a_list_of_items():
    with pytest.raises(FlowError, match="inputs of flow 'f': a list of TaskDataItems, not"):
        FlowTemplate("f", inputs=TaskDataItem("a"))


def test_a_context_does_not_begin_with_what_a_task_provides(runner):
    template = FlowTemplate("f", inputs=[TaskDataItem("n")])
    template.add_task(Says(outputs=[TaskDataItem("total", int)]))
    with pytest.raises(FlowError, match="'total' in its context: its task 'Says' provides that"):
        runner.schedule_flow(template, {"n": 1, "total": 2})
    runner.schedule_flow(template, {"n": 1, "other": 2})


# Arguments


@pytest.mark.parametrize("limit", [-1, 1.5, True, "2"])
def test_a_limit_is_a_whole_number(runner, limit):
    with pytest.raises(FlowError, match="limit is a whole number from 0 on"):
        runner.run_due(limit=limit)


def test_flows_are_found_by_the_name_of_their_template(runner):
    template = FlowTemplate("f").add_task(adds("a", 1))
    with pytest.raises(FlowError, match="name of a flow's template is a text, not <FlowTemplate"):
        runner.service.get_flow_executions(name=template)
