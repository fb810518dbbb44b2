"""The statuses of flows and of their tasks: how one follows another, and how they are stored."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from wfengine.flows.errors import FlowStatusError
from wfengine.status import WorkflowStatus

__all__ = [
    "MOVES",
    "STORED_AS",
    "STYLE",
    "FlowStatus",
    "StoredAs",
    "TaskStatus",
    "check_move",
    "status_of",
]

STYLE = "flow"
"""What the store has as the style of the runs that are flows."""


class FlowStatus(Enum):
    """Where a flow is."""

    CREATED = "created"  # its context is stored, and nobody is to run it yet
    SCHEDULED = "scheduled"  # it is to be run when its time has come
    RUNNING = "running"  # a runner has it, or died having it
    SUCCEEDED = "succeeded"  # all its tasks did
    FAILED = "failed"  # a task failed, or somebody stopped the flow
    RESCHEDULED = "rescheduled"  # it is to go on, when its time has come, at the task that failed


class TaskStatus(Enum):
    """Where an attempt at a task is."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


MOVES = frozenset(
    {
        (FlowStatus.CREATED, FlowStatus.SCHEDULED),
        (FlowStatus.SCHEDULED, FlowStatus.RUNNING),
        (FlowStatus.RUNNING, FlowStatus.SUCCEEDED),
        (FlowStatus.RUNNING, FlowStatus.FAILED),
        (FlowStatus.FAILED, FlowStatus.RESCHEDULED),
        (FlowStatus.RESCHEDULED, FlowStatus.RUNNING),
    }
)
"""From which status a flow goes to which."""


@frozen
class StoredAs:
    """How a status of a flow is stored with its run.

    :param statuses: those that the run may have; the first is the one that is written.
    :param waits: whether there is a time at which the flow is to be run.
    """

    statuses: tuple[WorkflowStatus, ...]
    waits: bool = False


STORED_AS = {
    FlowStatus.CREATED: StoredAs((WorkflowStatus.NEW,)),
    FlowStatus.SCHEDULED: StoredAs((WorkflowStatus.NEW,), waits=True),
    FlowStatus.RUNNING: StoredAs((WorkflowStatus.RUNNING,)),
    FlowStatus.SUCCEEDED: StoredAs((WorkflowStatus.COMPLETED,)),
    FlowStatus.FAILED: StoredAs((WorkflowStatus.ERROR, WorkflowStatus.HALTED)),
    FlowStatus.RESCHEDULED: StoredAs((WorkflowStatus.ERROR, WorkflowStatus.HALTED), waits=True),
}
"""The statuses of flows in the words of the journal."""


def status_of(stored: WorkflowStatus, waits: bool) -> FlowStatus:
    """Return the status of a flow by what is stored.

    >>> status_of(WorkflowStatus.NEW, waits=True)
    <FlowStatus.SCHEDULED: 'scheduled'>
    """
    found = [status for status, kept in STORED_AS.items() if stored in kept.statuses]
    return next((status for status in found if STORED_AS[status].waits is waits), found[0])


def check_move(flow_id: str, old: FlowStatus, new: FlowStatus) -> None:
    """Refuse a change of status that there is not.

    :raises FlowStatusError: naming both, and what could follow.
    """
    if not isinstance(new, FlowStatus):
        raise FlowStatusError(f"the status of a flow is a FlowStatus, not {new!r}", flow_id)
    if (old, new) not in MOVES:
        after = [status.name for status in FlowStatus if (old, status) in MOVES]
        raise FlowStatusError(
            f"a flow that is {old.name} cannot become {new.name}; "
            f"it can become {' or '.join(after) or 'nothing else any more'}",
            flow_id,
        )
