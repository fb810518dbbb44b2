"""What is wrong with a value, and where in the whole it is."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from reprlib import Repr
from typing import Any

from wfengine.errors import DamagedDataError, NotStorableError, WorkflowAPIError
from wfengine.store.serialization.text import MAX_LEVELS, name_of

_repr = Repr()
_repr.maxstring = _repr.maxother = 60


class FaultError(Exception):
    """A value that cannot be stored or read; on its way up it learns where it is.

    :param reason: what is wrong, as the end of a sentence about the value.
    :param cls: the class of a value that cannot be stored.
    :param is_depth: it is nested too deep, perhaps because something holds itself.
    """

    def __init__(self, reason: str, cls: type | None = None, *, is_depth: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cls = cls
        self.is_depth = is_depth
        self._trail: list[tuple[str, Any]] = []

    def inside(self, step: str, holder: Any = None) -> None:
        """Note that one more step leads to the value, and which object that step is taken in."""
        self._trail.append((step, holder))

    def steps(self) -> list[str]:
        """Return the steps from the whole to the value; to what holds itself, where one does."""
        seen: set[int] = set()
        steps: list[str] = []
        for step, holder in reversed(self._trail):
            if holder is not None and self.is_depth:
                if id(holder) in seen:
                    self.reason, self.cls = "which contains itself", type(holder)
                    return steps
                seen.add(id(holder))
            if step:
                steps.append(step)
        return steps


def too_deep() -> FaultError:
    """Return the fault of a value that JSON would nest more than ``MAX_LEVELS`` deep."""
    return FaultError(
        f"nested more than {MAX_LEVELS} levels deep: store it in a flatter form", is_depth=True
    )


def fault_of(error: Exception) -> FaultError:
    """Return the fault behind an error that came up between looking at a value and writing it."""
    if isinstance(error, RecursionError):
        return FaultError("nested too deep for what is left of the stack")
    return FaultError(f"changed while it was stored: {error}")


def not_storable(fault: FaultError, where: str) -> NotStorableError:
    """Return the error for the user: where, what, and why.

    :param where: what the whole is called; "" is "the value".
    """
    steps = fault.steps()
    path = "".join(steps) if len(steps) <= 20 else "".join([*steps[:10], " ... ", *steps[-5:]])
    if fault.is_depth and not fault.cls:
        path = "".join(steps[:5]) + " ..."
    whole = where or "the value"
    place = f"{whole}: {path}" if path else whole
    kind = name_of(fault.cls).removeprefix("builtins:") if fault.cls else ""
    what = f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}, " if kind else ""
    return NotStorableError(f"{place} is {what}{fault.reason}", path=path, kind=kind)


def damaged(fault: FaultError) -> DamagedDataError:
    """Return the error for the user, with the place in the stored structure."""
    path = "".join(fault.steps())
    return DamagedDataError(f"{path}: {fault.reason}" if path else fault.reason)


def attempt(build: Callable[[Any], Any], parts: Any, what: str) -> Any:
    """Call what may refuse its argument in whatever way; ``what`` begins the fault's reason."""
    try:
        return build(parts)
    except Exception as error:
        raise FaultError(f"{what}: {said(error)}") from error


def said(error: Exception) -> str:
    """Return what an error says of itself, shortened, as it may quote all of the data."""
    return "".join(traceback.format_exception_only(error)).strip()[:200]


def short(value: Any) -> str:
    """Return the repr of plain data, shortened."""
    try:
        return _repr.repr(value)
    except ValueError:  # a number with too many digits to be shown
        return f"a {type(value).__name__} that is too long to be shown"


def check_number(value: Any, least: int, what: str) -> None:
    """Refuse what is no whole number, or too small, or more than a database counts.

    :raises WorkflowAPIError: saying what it is for, and what it is.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**31:
        raise WorkflowAPIError(f"{what} is a whole number from {least} on, not {shown(value)}")


def shown(value: Any) -> str:
    """Return a short repr, or the name of the type where its repr could be anybody's code."""
    if type(value) in (str, int, float, bool, bytes, type(None)):
        return short(value)
    return f"a {type(value).__qualname__}"
