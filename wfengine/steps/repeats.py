"""The rounds of a step that is repeated.

A run is taken up again with the rounds of the flow as it is then. What had been done with other
values must not be taken for done, so each round that begins leaves a mark of the values up to it.
"""

from __future__ import annotations

import dataclasses
import reprlib
import threading
from collections.abc import Iterable, Iterator, Sized
from datetime import date
from enum import Enum
from math import inf
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

import attrs

from wfengine.definitions.plain import digest_of, is_plain
from wfengine.errors import WorkflowDefinitionError
from wfengine.steps.constructs import Construct
from wfengine.steps.errors import StepError

__all__ = ["Rounds"]

DEEPEST = 10
"""How deep values are looked into that are told apart by what is in them."""


class Rounds:
    """Numbers the rounds from 1 on, and knows the value of each.

    :param repeats: any iterable; an iterator is read as the rounds begin, and what was read is
        kept. The values of a set are sorted: their own order is another in each process.
    """

    def __init__(self, repeats: Any, of: str) -> None:
        if isinstance(repeats, str | bytes) or not isinstance(repeats, Iterable):
            raise WorkflowDefinitionError(
                f"{of}: repeats is a list, a range or another iterable, with a value for each "
                f"round, not {repeats!r}"
            )
        values: Any = _sorted(repeats, of) if isinstance(repeats, set | frozenset) else repeats
        is_known = isinstance(values, Sized)
        self._values: list[Any] = list(values) if is_known else []
        self._rest: Iterator[Any] | None = None if is_known else iter(values)
        self._lock = threading.Lock()
        self._marks: list[str] = []
        self._is_checked = False

    def check(self, construct: Construct, of: str) -> None:
        """Refuse values that are known by now and that a step's function cannot be told.

        :raises WorkflowDefinitionError: saying which it is.
        """
        if construct.name == "process" and not self._is_checked:
            construct.check_values(self._values, of)
            self._is_checked = True

    @property
    def count(self) -> float:
        """How many there are, infinite where only going through them tells."""
        return len(self._values) if self._rest is None else inf

    @property
    def numbers(self) -> Any:
        """The numbers, to go through."""
        return range(1, len(self._values) + 1) if self._rest is None else self._read_on()

    def _read_on(self) -> Iterator[int]:
        number = 1
        while self.has(number):
            yield number
            number += 1

    def has(self, number: int) -> bool:
        """Return whether there is such a round."""
        with self._lock:
            while self._rest is not None and len(self._values) < number:
                try:
                    self._values.append(next(self._rest))
                except StopIteration:
                    return False
            return len(self._values) >= number

    def value(self, number: int) -> Any:
        """Return the value of a round."""
        return self._values[number - 1] if self.has(number) else None

    @property
    def have_values(self) -> bool:
        """Whether they can be told apart by their values."""
        return self._rest is not None or any(value is not None for value in self._values)

    def mark(self, number: int) -> str:
        """Return a text that differs where values up to a round do; nothing if it is not there."""
        if not self.has(number):
            return ""
        with self._lock:
            marks = self._marks
            while len(marks) < number:
                before = marks[-1] if marks else ""
                marks.append(digest_of(f"{before} {_text_of(self._values[len(marks)])}", 16))
            return marks[number - 1]

    def check_begun(self, number: int, mark: str, of: str) -> None:
        """Refuse to go on with a round whose values, or those before it, are others by now.

        :param mark: what :meth:`mark` returned when the round began.
        :raises StepError: saying which round it is, what its value is now, and what to do.
        """
        if self.mark(number) == mark:
            return
        shown = reprlib.repr(self.value(number))
        now = f"whose value is {shown} now" if self.has(number) else "for which there is no value"
        raise StepError(
            f"{of} cannot go on with round {number}, {now}: the rounds that had begun have other "
            "values now, or another order. Put these back, with repeats=sorted(...) where the "
            "order is not certain; or begin a new run with RunMode.restart"
        )


def _sorted(values: Iterable[Any], of: str) -> list[Any]:
    try:
        return sorted(values)
    except TypeError as error:
        raise WorkflowDefinitionError(
            f"{of}: repeats is a set, whose order is another in each process, and its values "
            f"cannot be sorted ({error}): give them in an order, as a list"
        ) from None


def _text_of(value: Any, depth: int = 0) -> str:
    """Return a value as a text that is the same in each process: of some, only their type."""
    if is_plain(value):
        return repr(value)
    for kind, text_of in TEXTS:
        if isinstance(value, kind):
            return repr(text_of(value))
    parts = _parts_of(value) if depth < DEEPEST else None
    if parts is None:
        return f"{type(value).__module__}.{type(value).__qualname__}"
    texts = [_text_of(part, depth + 1) for part in parts]
    is_ordered = not isinstance(value, dict | set | frozenset)
    return f"[{', '.join(texts if is_ordered else sorted(texts))}]"


def _parts_of(value: Any) -> Iterable[Any] | None:
    """Return what a value consists of, as far as it is compared by that."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if dataclasses.is_dataclass(value):
        names = [each.name for each in dataclasses.fields(value) if each.compare]
    elif attrs.has(type(value)):
        names = [each.name for each in attrs.fields(type(value)) if each.eq]
    else:
        return None
    return [getattr(value, name, None) for name in names]


TEXTS: tuple[tuple[type, Any], ...] = (
    (Enum, lambda value: value.name),
    (str, str.__str__),
    (PurePath, str),
    (date, lambda value: value.isoformat()),
    (Integral, int),
    (Real, float),
)
"""What tells values apart whose classes are derived from these."""
