"""Everything the engine raises: transitions, which steer a run, and errors, which report a fault.

Both carry their context as attributes, print it, and survive copying and pickling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "AbortProcessing",
    "BreakFromThisLoop",
    "ContinueNextToken",
    "DamagedDataError",
    "DrawingError",
    "HaltProcessing",
    "JumpCall",
    "JumpToken",
    "LeaseHeldError",
    "LeaseLostError",
    "NotStorableError",
    "PositionError",
    "SchemaError",
    "SkipToken",
    "StopProcessing",
    "StopRequested",
    "StoreError",
    "UnknownRunError",
    "UnknownTokenError",
    "WorkflowAPIError",
    "WorkflowDefinitionError",
    "WorkflowError",
    "WorkflowObjectStatusError",
    "WorkflowTransition",
    "together",
]


class WorkflowTransition(Exception):
    """The root of everything a task may raise, or return, to steer the engine."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.args))})"


class StopProcessing(WorkflowTransition):
    """End the run; tokens that follow are not touched and ``after_processing`` is called."""


class StopRequested(StopProcessing):
    """End the run before the next task, because somebody outside asked for it; it can go on.

    :param by: who asked.
    """

    def __init__(self, by: str = "") -> None:
        super().__init__(by)
        self.by = by


class AbortProcessing(WorkflowTransition):
    """End the run without saving the current token."""


class ContinueNextToken(WorkflowTransition):
    """Go on with the next token; ``after_object`` is not called."""


class SkipToken(WorkflowTransition):
    """Go on with the next token without saving the current one."""


class HaltProcessing(WorkflowTransition):
    """Hand the run to a person or another program, its position kept.

    :param message: why the run halts.
    :param action: the name of what has to be done or decided.
    :param payload: whatever the decision needs.
    """

    def __init__(self, message: str = "", action: str | None = None, payload: Any = None) -> None:
        super().__init__(message, action, payload)
        self.message = message
        self.action = action
        self.payload = payload

    def __str__(self) -> str:
        action = f" (action: {self.action})" if self.action is not None else ""
        return f"{self.message}{action}".strip()


class JumpToken(WorkflowTransition):
    """Go on ``offset`` tokens away from the current one: 1 is the next, 0 the same again."""

    def __init__(self, offset: int) -> None:
        super().__init__(_whole(offset, "a token jump's offset"))
        self.offset = offset


class JumpCall(WorkflowTransition):
    """Go on ``offset`` tasks away in the innermost list: 1 is the next, 0 the same again.

    :param levels: how many enclosing lists to leave first; the offset then counts from the
        list that was left last.
    """

    def __init__(self, offset: int, levels: int = 0) -> None:
        super().__init__(_whole(offset, "a task jump's offset"), _level(levels, least=0))
        self.offset = offset
        self.levels = levels


class BreakFromThisLoop(WorkflowTransition):
    """Leave the innermost list, or the ``levels`` innermost ones."""

    def __init__(self, levels: int = 1) -> None:
        super().__init__(_level(levels, least=1))
        self.levels = levels


class WorkflowError(Exception):
    """A fault in a run.

    :param message: what was wrong and what to do.
    :param id_workflow: which run, where one is known.
    :param id_object: which token, where one is known.
    :param payload: anything that helps to find the cause.
    """

    def __init__(
        self,
        message: str = "",
        id_workflow: Any = None,
        id_object: Any = None,
        payload: Any = None,
    ) -> None:
        super().__init__(message, id_workflow, id_object, payload)
        self.message = message
        self.id_workflow = id_workflow
        self.id_object = id_object
        self.payload = payload

    def __str__(self) -> str:
        context = {"workflow": self.id_workflow, "object": self.id_object}
        known = ", ".join(
            f"{name}: {value}" for name, value in context.items() if value is not None
        )
        return (f"{self.message} ({known})" if known else str(self.message)).strip()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.args))})"


class WorkflowDefinitionError(WorkflowError):
    """A definition cannot be run: unknown, empty, or with something in it that is no task."""


class WorkflowObjectStatusError(WorkflowError):
    """A token is not in the status that an operation needs."""


class WorkflowAPIError(WorkflowError):
    """The library was called in a way it cannot serve."""


class DrawingError(WorkflowError):
    """A definition cannot be drawn: Graphviz is not there, or does not get it done."""


class StoreError(WorkflowError):
    """The store cannot do what it was asked for; the root of all that it raises."""


class SchemaError(StoreError):
    """The tables are not those that this version of wfengine works with."""


class UnknownRunError(StoreError):
    """There is no run of that uuid."""


class UnknownTokenError(StoreError):
    """There is no token of that id."""


class PositionError(StoreError):
    """A stored position has no place in the definition as it is now."""


class NotStorableError(StoreError):
    """A value cannot be stored.

    :param path: where in the token it is.
    :param kind: the name of its type.
    """

    def __init__(self, message: str = "", path: str = "", kind: str = "", **context: Any) -> None:
        super().__init__(message, **context)
        self.path = path
        self.kind = kind

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, dict(vars(self)))


class DamagedDataError(StoreError):
    """What is stored cannot be what wfengine has written.

    :param row: which row, where it is known: ``workflow_object 12``.
    """

    def __init__(self, message: str = "", row: str = "", **context: Any) -> None:
        super().__init__(message, **context)
        self.row = row

    def __str__(self) -> str:
        text = super().__str__()
        return f"{self.row}: {text}" if self.row else text

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, dict(vars(self)))


class LeaseHeldError(StoreError):
    """Somebody else has the run.

    :param owner: who: host, process and a number.
    :param until: when the lease ends, if it is not renewed.
    """

    def __init__(
        self, message: str = "", owner: str = "", until: datetime | None = None, **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.owner = owner
        self.until = until

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, dict(vars(self)))


class LeaseLostError(StoreError):
    """The run's lease ended before it was renewed; what was not written yet is not written."""


def _restored(kind: type[WorkflowError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    """Build an error again that was copied or pickled."""
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


def together(message: str, errors: Sequence[Exception]) -> Exception:
    """Return several errors as one to raise: a single one itself, more as an ExceptionGroup."""
    return errors[0] if len(errors) == 1 else ExceptionGroup(message, errors)


def _whole(number: int, what: str) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{what} is a whole number, not {number!r}")
    return number


def _level(number: int, least: int) -> int:
    if _whole(number, "a number of levels") < least:
        raise ValueError(f"a number of levels is at least {least}, not {number}")
    return number


def __getattr__(name: str) -> Any:
    from wfengine import deprecated

    return deprecated.old_error(name, __name__)
