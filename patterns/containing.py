"""Calls of users' functions that end nothing but the call.

``sys.exit()`` in a function, or a ``CancelledError`` of its own, would otherwise leave all that is
around the call as well, as if somebody had ended the whole program, or the task of the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from attrs import frozen

__all__ = ["contained"]

AsFailure = Callable[[BaseException], Exception]


def contained(call: Callable[[], Any], as_failure: AsFailure) -> Any:
    """Return what a call returns; an awaitable that does, where it has to be awaited.

    :param as_failure: makes the exception that is raised where the call was left by what is none;
        Ctrl-C is let through, and so is a cancellation from outside.
    """
    try:
        found = call()
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise as_failure(error) from error
    return _Contained(found, as_failure) if hasattr(found, "__await__") else found


@frozen(eq=False)
class _Contained:
    """Something to await; nobody has to, if it is closed."""

    found: Any
    as_failure: AsFailure

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            return (yield from self.found.__await__())
        except (Exception, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            raise self.as_failure(error) from error

    def close(self) -> None:
        """Let it go without awaiting it."""
        if hasattr(self.found, "close"):
            self.found.close()


def _is_cancelled() -> bool:
    """Return whether somebody outside has cancelled what awaits, and not the function itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
