"""Coroutines of steps where an event loop is running that has to wait for the flow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

__all__ = ["result_of"]


def result_of(awaitable: Awaitable[Any]) -> Any:
    """Return what comes of an awaitable, which has a thread and an event loop of its own.

    It sees the context variables of the caller, who waits for it. Ctrl-C cancels it.
    """
    helper = _Helper(awaitable)
    context = copy_context()
    threading.Thread(target=context.run, args=(helper.work,), name="coroutine", daemon=True).start()
    try:
        helper.is_over.wait()
    except BaseException:  # Ctrl-C
        helper.cancel()
        helper.is_over.wait()
        raise
    return helper.result()


class _Helper:
    """Awaits something in another thread."""

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.is_over = threading.Event()
        self._awaitable = awaitable
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False
        self._result: Any = None
        self._error: BaseException | None = None

    def work(self) -> None:
        try:
            self._result = asyncio.run(self._awaited())
        except BaseException as error:  # noqa: BLE001 - raised where the result is wanted
            self._error = error
        finally:
            self.is_over.set()

    async def _awaited(self) -> Any:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._is_cancelled:
            raise asyncio.CancelledError
        return await self._awaitable

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._task.cancel)

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result
