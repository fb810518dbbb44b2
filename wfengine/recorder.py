"""What writes down how far a run has come, so that it can go on elsewhere.

An engine that has a recorder (``eng.recorder``) tells it of each step. It is told after all hooks,
however they were overridden, so that what they did counts, and nothing that a user replaces can
make a step go unrecorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Recorder"]


class Recorder:
    """Each method is a no-op, which may return an awaitable, and the order is that of a run.

    A StoreError from one ends the run and is not handed to the handlers, since a run that cannot
    be recorded must not go on. Anything else counts as raised by the task or token: that it made
    something that cannot be stored, for instance, or a request to stop.
    """

    def run_begins(self, objects: Sequence[Any]) -> Any:
        """Return the tokens to run, before anything else is done."""
        return objects

    def next_token(self, index: int) -> int | None:
        """Return which token comes next, where ``index`` is the one after the current; None ends.

        An index past the last token ends the run as well.
        """
        return index

    def token_begins(self, obj: Any, is_fresh: bool) -> Any:
        """Look at a token, before anything is done with it.

        The position says where the token will start; it may be changed.

        :param is_fresh: whether it starts at its first task.
        """

    def task_begins(self, task: Any, obj: Any) -> Any:
        """Look at the position, which is that of a task that has not begun."""

    def task_ended(self, task: Any, obj: Any, result: Any, error: BaseException | None) -> Any:
        """Note what a task handed over, or raised."""

    def waits(self) -> Any:
        """Note that the engine is about to wait for branches that run beside it."""

    def token_ended(self, obj: Any, outcome: Any, error: BaseException | None) -> Any:
        """Note how a token left: a :class:`~wfengine.signals.TokenOutcome`.

        It is told before an exception's handler is asked. A token whose run is broken off, by
        Ctrl-C for instance, has no outcome.
        """

    def run_ended(self, error: BaseException | None) -> Any:
        """Note the end: ``error`` is what the caller gets."""
