"""What goes wrong in a flow of steps."""

from __future__ import annotations

from collections.abc import Sequence

from wfengine.errors import WorkflowError

__all__ = ["ResourceDeadlockError", "StepEndedError", "StepError", "ended"]


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
    """A step's function was left, or its process ended, without a result or an exception."""


class ResourceDeadlockError(WorkflowError):
    """A step waits for resources that nobody can give back any more."""


def ended(call: object, error: BaseException) -> StepEndedError:
    """Return what a step has failed with whose function was left by what is no ``Exception``."""
    if isinstance(error, SystemExit):
        return StepEndedError(
            f"step {call} called sys.exit({error.code!r}); let it return, or raise"
        )
    return StepEndedError(f"step {call} was left by {type(error).__name__}: {error}")
