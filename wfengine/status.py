"""The statuses of stored runs and tokens, one table for every way to write workflows."""

from enum import Enum

__all__ = ["ObjectStatus", "WorkflowStatus"]


class Labelled(Enum):
    """A status, its value being what people read."""

    @property
    def label(self) -> str:
        """What people read."""
        return str(self.value)

    def __str__(self) -> str:
        return self.label


class WorkflowStatus(Labelled):
    """Where a run is."""

    NEW = "New"  # its tokens, if any, have not been begun
    RUNNING = "Running"  # somebody has the run, or died having it
    HALTED = "Halted"  # it waits: for a decision, or to be taken up again after a stop
    ERROR = "Error"  # an exception ended it, or all its tokens failed
    COMPLETED = "Completed"  # nothing is left to do but perhaps failed tokens


class ObjectStatus(Labelled):
    """Where a token is."""

    INITIAL = "New"
    COMPLETED = "Done"
    HALTED = "Need action"
    RUNNING = "In process"
    ERROR = "Error"
