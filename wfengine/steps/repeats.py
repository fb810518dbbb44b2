"""The rounds of a step that is repeated."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sized
from math import inf
from typing import Any

from wfengine.errors import WorkflowDefinitionError
from wfengine.steps.constructs import Construct

__all__ = ["Rounds"]


class Rounds:
    """Numbers the rounds from 1 on, and knows the value of each.

    :param repeats: any iterable; an iterator is read as the rounds begin, and what was read is
        kept.
    """

    def __init__(self, repeats: Any, of: str) -> None:
        if isinstance(repeats, str | bytes) or not isinstance(repeats, Iterable):
            raise WorkflowDefinitionError(
                f"{of}: repeats is a list, a range or another iterable, with a value for each "
                f"round, not {repeats!r}"
            )
        self._values: Any = [] if not isinstance(repeats, Sized) else list(repeats)
        self._rest: Iterator[Any] | None = None if isinstance(repeats, Sized) else iter(repeats)
        self._lock = threading.Lock()
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
