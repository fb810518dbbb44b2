"""The points at which a subclass changes what an engine does.

Each hook is a documented no-op. One that nobody overrode costs nothing. A hook may return an
awaitable, which the engine awaits. What a hook around a token or a task raises counts as raised at
that place of the run: a transition steers, any other exception goes to the handlers. What a hook
around the whole run raises goes to the caller as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wfengine import errors

__all__ = [
    "ActionMapper",
    "Break",
    "Continue",
    "ProcessingFactory",
    "TransitionActions",
]


class Break(Exception):
    """Raised by a handler: leave the loop over the tokens, and end the run normally."""


class Continue(Exception):
    """Raised by a handler: go on with the next token."""


class ActionMapper:
    """What is done around the tasks of one token."""

    @staticmethod
    def before_callbacks(eng: Any, callbacks: Any, obj: Any) -> Any:
        """Run before the first task of a token, after ``before_object``."""

    @staticmethod
    def after_callbacks(eng: Any, callbacks: Any, obj: Any) -> Any:
        """Run after the last task of a token that came to its end, before ``after_object``."""

    @staticmethod
    def before_each_callback(eng: Any, callback_func: Any, obj: Any) -> Any:
        """Run before a task; ``eng.state.callback_pos`` addresses it."""

    @staticmethod
    def after_each_callback(eng: Any, callback_func: Any, obj: Any) -> Any:
        """Run after a task, whatever it did: returned, jumped, halted or failed."""


class TransitionActions:
    """What is done when a transition or an exception has left the tasks of a token.

    A handler is a method named as the exception's class; the engine looks for it along the
    class's MRO. It receives ``(obj, eng, callbacks, e)`` with ``e`` the exception. It may raise
    :class:`Continue` (next token), :class:`Break` (end of the run) or anything else, which then
    leaves the run. Returning is the same as raising Continue.
    """

    @staticmethod
    def StopProcessing(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        """End the run."""
        raise Break

    @staticmethod
    def StopRequested(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        """End the run, and any run it is a branch of: neither is over."""
        raise Break if eng.parent is None else e

    @staticmethod
    def AbortProcessing(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        """End the run, the current token not saved."""
        raise Break

    @staticmethod
    def SkipToken(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        """Go on with the next token, the current one not saved."""
        raise Continue

    @staticmethod
    def ContinueNextToken(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        """Go on with the next token."""
        raise Continue

    @staticmethod
    def JumpToken(obj: Any, eng: Any, callbacks: Any, e: errors.JumpToken) -> Any:
        """Go on with the token that is ``e.offset`` away.

        Before the first means the first; past the last ends the run.
        """
        eng.state.token_pos = max(eng.state.token_pos + e.offset, 0) - 1
        raise Continue

    @staticmethod
    def HaltProcessing(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        """Hand the halt to the caller."""
        raise e

    @staticmethod
    def Exception(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        """Hand any other exception to the caller."""
        raise e


class ProcessingFactory:
    """What is done around a run and around each of its tokens."""

    action_mapper: Any = ActionMapper
    transition_exception_mapper: Any = TransitionActions

    @staticmethod
    def before_processing(eng: Any, objects: Sequence[Any]) -> Any:
        """Run once at the start of each run, before ``workflow_started`` is sent."""

    @staticmethod
    def after_processing(eng: Any, objects: Sequence[Any]) -> Any:
        """Run at the end of a run that was not halted and did not fail."""

    @staticmethod
    def before_object(eng: Any, objects: Sequence[Any], obj: Any) -> Any:
        """Run before a token; ``eng.state.token_pos`` is its index."""

    @staticmethod
    def after_object(eng: Any, objects: Sequence[Any], obj: Any) -> Any:
        """Run after a token that came to the end of its tasks."""


def unwrapped(held: Any) -> Any:
    """Return what holds hooks, from a class, an instance, or a method that returns either."""
    return held if isinstance(held, type) or not callable(held) else held()


def overridden(holder: Any, name: str, base: type) -> Any:
    """Return the hook ``name`` of ``holder``, or None where it is the no-op of ``base``."""
    hook = getattr(holder, name, None)
    return None if hook is getattr(base, name) else hook


def handler_of(error: BaseException, mapper: Any) -> Any:
    """Return the handler of an exception: by class name along its MRO, else ``Exception``."""
    return next(
        handler
        for family in type(error).__mro__
        for holder in (mapper, TransitionActions)
        if (handler := getattr(holder, family.__name__, None)) is not None
    )
