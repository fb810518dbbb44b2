"""Which token comes next: those that are taken up by themselves, then the pass over all."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from attrs import define, field

__all__ = ["Halts", "Pass", "Start"]


class Halts(Enum):
    """What is done about a token that is halted and not decided on."""

    PASS = "go on after the task that halted"  # noqa: S105 - no password
    REPEAT = "run the task again that halted"
    WAIT = "halt again"


@define
class Start:
    """Where a token is taken up.

    :param passes_halt: after the task that halted, where it is halted.
    :param is_fresh: at its first task instead of where it was left.
    """

    index: int
    passes_halt: bool = False
    is_fresh: bool = False


@define(eq=False)
class Pass:
    """How a run goes through its tokens.

    :param cursor: how far the pass over all tokens has come: the index of the current one.
    :param is_whole: whether the current token is one of that pass, and not taken up by itself.
    :param start: where the token that comes next is taken up; None where the engine knows.
    :param goes_on: where the pass goes on after a plan, or None where it does not.
    """

    cursor: int = -1
    is_whole: bool = field(init=False, default=True)
    start: Start | None = field(init=False, default=None)
    goes_on: Start | None = field(init=False, default=None)
    _starts: Iterator[Start] | None = field(init=False, default=None)

    def plan(self, starts: Iterator[Start], goes_on: Start | None) -> None:
        """Take up these tokens, one by one, and then go on with the pass over all of them."""
        self._starts, self.goes_on = starts, goes_on

    def clear(self) -> None:
        """Forget an earlier plan."""
        self._starts = self.goes_on = None

    def begin(self) -> None:
        """Count what comes as the pass over all tokens, unless there is a plan."""
        self.is_whole = True

    def next(self, index: int) -> int | None:
        """Return which token comes next, ``index`` being the one after the current; None ends."""
        self.start = None
        if self._starts is None:
            return index if self.is_whole else None
        self.start = next(self._starts, None)
        self.is_whole = self.start is None
        if self.start is None:
            self._starts = None
            self.start, self.goes_on = self.goes_on, None
            self.is_whole = self.start is not None
        return None if self.start is None else self.start.index

    def take_start(self) -> Start | None:
        """Return where the token that begins is taken up; the next one has another."""
        start, self.start = self.start, None
        return start
