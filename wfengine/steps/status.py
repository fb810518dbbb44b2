"""The words of steps: where a step is, what recovery does with it, and how a flow is begun."""

from __future__ import annotations

from enum import Enum

from wfengine.status import WorkflowStatus

__all__ = ["STORED_STATUSES", "RunMode", "StepReplay", "StepStatus"]


class StepStatus(Enum):
    """Where a step is, and what can be required of it."""

    ready = "ready"  # what it requires has come
    active = "active"  # it has begun
    success = "success"
    failure = "failure"
    complete = "complete"  # it has ended, either way


class StepReplay(Enum):
    """What recovery does with a step, by the status that the step had."""

    rerun = "rerun"
    skip = "skip"


class RunMode(Enum):
    """How a flow is begun."""

    restart = "restart"  # as a new run
    recover = "recover"  # the latest run goes on; delays begin anew
    continue_ = "continue"  # the same, and delays count from when they first began


STORED_STATUSES = {
    StepStatus.ready: (WorkflowStatus.NEW,),
    StepStatus.active: (WorkflowStatus.RUNNING, WorkflowStatus.HALTED),
    StepStatus.success: (WorkflowStatus.COMPLETED,),
    StepStatus.failure: (WorkflowStatus.ERROR,),
    StepStatus.complete: (WorkflowStatus.COMPLETED, WorkflowStatus.ERROR),
}
"""How the run that a step is has its status stored; an active one is halted when it was stopped."""
