"""A limit to how long a task may take, in the same way for functions and coroutine functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from inspect import iscoroutinefunction
from threading import Thread
from typing import Any

from wfengine.flows.errors import TaskTimeoutError

__all__ = ["within"]


async def within(seconds: float, name: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns, awaited if it has to be.

    A function that is no coroutine function is called in a thread of its own. When the time is
    over, what is awaited is cancelled, and a thread that still computes is left behind: what it
    returns or raises is dropped.

    :param name: of the task, for the error.
    :raises TaskTimeoutError: when it takes longer.
    """
    limit = asyncio.timeout(seconds)
    too_late = TaskTimeoutError(f"task {name!r} took longer than {seconds:g} seconds")
    try:
        async with limit:
            is_async = iscoroutinefunction(call)
            result = call(*arguments) if is_async else await _in_thread(call, *arguments)
            if hasattr(result, "__await__"):
                result = await result
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise too_late from error
    if limit.expired():  # the task has caught that it was cancelled
        raise too_late
    return result


def _in_thread(call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
    """Call in a daemon thread, which nobody has to wait for, and return the result to await."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def work() -> None:
        try:
            result = context.run(call, *arguments)
        except StopIteration as error:  # which a future does not take
            deliver(None, RuntimeError(f"the task raised {error!r}"))
        except BaseException as error:  # noqa: BLE001 - is raised where the result is awaited
            deliver(None, error)
        else:
            deliver(result, None)

    def deliver(result: Any, error: BaseException | None) -> None:
        if future.cancelled():
            _drop(result)
            return
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            _drop(result)
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    Thread(target=work, name="flow task", daemon=True).start()
    return future


def _drop(result: Any) -> None:
    """Let a coroutine go that came too late to be awaited."""
    if asyncio.iscoroutine(result):
        result.close()
