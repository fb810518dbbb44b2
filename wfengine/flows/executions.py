"""Flows and the attempts at their tasks, as they are read from the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from wfengine.errors import DamagedDataError
from wfengine.flows.context import ExecutionContext
from wfengine.flows.status import FlowStatus, TaskStatus, status_of
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.control import task_at
from wfengine.store.history import TASK
from wfengine.store.steps import BROKEN_OFF, DONE, HALTED

if TYPE_CHECKING:
    from wfengine.store import Store
    from wfengine.store.history import Step
    from wfengine.store.listing import RunSummary
    from wfengine.store.views import StoredToken

__all__ = ["FlowExecution", "TaskExecution", "attempts_of"]

STOPPED = "it was stopped before its end"


@frozen
class FlowExecution:
    """One execution of a flow, as it was when it was read.

    :param id: what identifies it: the uuid of its run.
    :param name: that of its template.
    :param created: when it was made, in UTC, as are the other times.
    :param started: when it was first run.
    :param finished: when it succeeded.
    :param not_before: when it is to be run, if it is scheduled or rescheduled.
    :param error: why it failed, in one line.
    """

    id: str
    name: str
    status: FlowStatus
    created: datetime | None
    started: datetime | None
    finished: datetime | None
    not_before: datetime | None
    error: str | None
    _store: Store = field(repr=False, eq=False)

    @property
    def context(self) -> ExecutionContext:
        """Its context as it is now: after the last task that succeeded.

        :raises DamagedDataError: naming the row, when it cannot be what was written.
        """
        token = _token_of(self._store, self.id)
        entries = token.data
        if not isinstance(entries, Mapping):
            kind = type(entries).__qualname__
            raise DamagedDataError(
                f"the context of a flow is a dictionary, not of type {kind}",
                row=f"workflow_object {token.id}",
                id_workflow=self.id,
            )
        return ExecutionContext(entries)

    @classmethod
    def of(cls, run: RunSummary, store: Store) -> FlowExecution:
        """Read a run as a flow."""
        status = status_of(run.status or WorkflowStatus.ERROR, run.due is not None)
        has_failed = status in (FlowStatus.FAILED, FlowStatus.RESCHEDULED)
        return cls(
            id=run.uuid,
            name=run.name,
            status=status,
            created=run.created,
            started=run.started,
            finished=run.finished,
            not_before=run.due,
            error=run.error or (_why_failed(run.uuid, store) if has_failed else None),
            store=store,
        )


@frozen
class TaskExecution:
    """The beginning, or the end, of an attempt at a task of a flow.

    :param step: the number of the task in the flow, from 1 on.
    :param attempt: which attempt at this task it was, from 1 on.
    :param output: of an attempt that failed the reason, and the traceback; else empty.
    :param timestamp: when it began or ended, in UTC.
    """

    flow_id: str
    step: int
    name: str
    status: TaskStatus
    attempt: int
    output: str = field(repr=False)
    timestamp: datetime


def attempts_of(store: Store, flow: FlowExecution) -> list[TaskExecution]:
    """Return what was done in a flow, in order: for each attempt a beginning and an end.

    An attempt that goes on has no end yet. One whose process died is not in it: it is begun again.
    """
    token = _token_of(store, flow.id)
    steps = [step for step in store.history(token.id) if step.event == TASK]
    found, attempt = list[TaskExecution](), 1
    for step, after in zip_longest(steps, steps[1:]):
        found.extend(_both_ends(flow, step, attempt))
        is_again = step.status != DONE and (after is None or after.name == step.name)
        attempt = attempt + 1 if is_again else 1
    if flow.status is FlowStatus.RUNNING:
        found.extend(_under_way(store, flow, token, steps, attempt))
    return found


def _token_of(store: Store, flow_id: str) -> StoredToken:
    """Return the token of a flow.

    :raises DamagedDataError: when its row is gone.
    """
    try:
        return store.tokens(flow_id)[0]
    except IndexError:
        raise DamagedDataError(
            "a flow has one token, and the row of this one is gone", id_workflow=flow_id
        ) from None


def _why_failed(flow_id: str, store: Store) -> str:
    """Return why a flow has failed whose run does not say it, in one line."""
    try:
        token = _token_of(store, flow_id)
        error = token.error or {}
    except DamagedDataError as problem:
        return problem.message
    if token.status is ObjectStatus.ERROR and error:
        return f"{error.get('type')}: {error.get('message')}"
    if token.status is ObjectStatus.HALTED and token.message:
        return f"it was halted: {token.message}"
    return STOPPED


def _both_ends(flow: FlowExecution, step: Step, attempt: int) -> Iterator[TaskExecution]:
    number = int(step.path.partition(".")[0]) + 1
    status = TaskStatus.SUCCEEDED if step.status == DONE else TaskStatus.FAILED
    shared: dict[str, Any] = {"flow_id": flow.id, "step": number, "name": step.name}
    yield TaskExecution(
        **shared, status=TaskStatus.RUNNING, attempt=attempt, output="", timestamp=step.started
    )
    yield TaskExecution(
        **shared, status=status, attempt=attempt, output=_output(step), timestamp=step.finished
    )


def _output(step: Step) -> str:
    """Return why an attempt has failed."""
    if step.status == DONE:
        return ""
    said = step.outcome or {}
    parts = [str(said[name]) for name in ("type", "action", "message") if said.get(name)]
    reason = ": ".join(parts)
    if step.status in (HALTED, BROKEN_OFF):
        reason = f"{step.status}: {reason}" if reason else step.status
    return f"{reason}\n\n{said['traceback']}" if said.get("traceback") else reason


def _under_way(
    store: Store, flow: FlowExecution, token: StoredToken, steps: Sequence[Step], attempt: int
) -> Iterator[TaskExecution]:
    """Yield the beginning of the attempt that the flow is at, as far as that is written down."""
    since = steps[-1].finished if steps else flow.started
    name = task_at(store, store.run(flow.id).fingerprint, token.path)
    if since is not None and name != token.path:  # else it is at its end
        number = int(token.path.partition(".")[0]) + 1
        name = name.partition(" #")[0]  # by which tasks of the same name are told apart
        yield TaskExecution(flow.id, number, name, TaskStatus.RUNNING, attempt, "", since)
