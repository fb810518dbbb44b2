"""What goes wrong in a flow of steps."""

from __future__ import annotations

from collections.abc import Sequence

from wfengine.errors import WorkflowError

__all__ = ["ResourceDeadlockError", "StepEndedError", "StepError"]


class StepError(WorkflowError):
    """Steps of a flow have failed.

    :param failed: which, as ``s1_s11/1.2``.
    """

    def __init__(self, message: str = "", failed: Sequence[str] = ()) -> None:
        super().__init__(message, payload={"failed": list(failed)})
        self.failed = tuple(failed)

    def __reduce__(self) -> tuple[type[StepError], tuple[str, tuple[str, ...]]]:
        return type(self), (self.message, self.failed)


class StepEndedError(WorkflowError):
    """The process of a step ended, by a signal or an exit, before its function had returned."""


class ResourceDeadlockError(WorkflowError):
    """A step waits for resources that nobody can give back any more."""
