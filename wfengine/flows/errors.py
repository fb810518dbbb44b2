"""What flows raise."""

from wfengine.errors import UnknownRunError, WorkflowError

__all__ = [
    "FlowError",
    "FlowStatusError",
    "MissingEntryError",
    "TaskTimeoutError",
    "UnknownFlowError",
]


class FlowError(WorkflowError, ValueError):
    """A flow, a template or a context was given something that it cannot take."""


class FlowStatusError(FlowError):
    """A flow cannot go from the status that it has to another."""


class MissingEntryError(FlowError, KeyError):
    """A context has no entry of that name."""


class UnknownFlowError(FlowError, UnknownRunError):
    """There is no flow of that id."""


class TaskTimeoutError(WorkflowError):
    """A task took longer than it may."""
