"""What several patterns are made of."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from math import inf
from typing import Any, TypeGuard
from zlib import crc32

from wfengine.callbacks import (
    Callbacks,
    Definition,
    Task,
    cannot_be_called,
    task_name,
)
from wfengine.errors import WorkflowDefinitionError
from wfengine.interpreter import Process, drive_async

Branch = Task | list[Any] | tuple[Any, ...]

LONGEST = 366 * 24 * 3600.0
"""Seconds in a year: a delay that grows does not grow past that."""


def as_branch(branch: Branch | None, of: str) -> Definition:
    """Return one task, one pattern, or a list of them, as a list.

    :param of: the pattern and the part, for the error message.
    :raises WorkflowDefinitionError: for anything else.
    """
    try:
        return Callbacks.cleanup_callables(branch if _is_list_of_tasks(branch) else [branch])
    except WorkflowDefinitionError as error:
        raise WorkflowDefinitionError(f"{of}: {error.message}") from None


def as_element(branch: Branch | None, of: str) -> Any:
    """Return a branch as one element of a pattern's list: a single task or pattern stays itself."""
    definition = as_branch(branch, of)
    return definition if _is_list_of_tasks(branch) or not definition else definition[0]


def _is_list_of_tasks(branch: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Return whether it is a plain list, and not a pattern, which is a list with a lead."""
    is_pattern = isinstance(branch, Definition) and branch.is_pattern
    return isinstance(branch, list | tuple) and not is_pattern


def as_condition(condition: Any, of: str) -> Any:
    """Return a callable ``(obj, eng)`` that a pattern asks, after checking that it is one.

    :raises WorkflowDefinitionError: for anything else.
    """
    if not callable(condition) or isinstance(condition, list):
        raise WorkflowDefinitionError(f"{of} is a callable (obj, eng), not {condition!r}")
    reason = cannot_be_called(condition)
    if reason:
        raise WorkflowDefinitionError(f"{of} {reason}")
    return condition


def as_value(value: Any, of: str) -> Any:
    """Return a value, or a callable ``(obj, eng)`` that returns one, after checking the callable.

    :raises WorkflowDefinitionError: for a callable that cannot be called so.
    """
    reason = cannot_be_called(value) if callable(value) else ""
    if reason:
        raise WorkflowDefinitionError(f"{of} {reason}")
    return value


def as_key(key: Any, of: str) -> Any:
    """Return what can be a key of ``extra_data``.

    :raises WorkflowDefinitionError: for what cannot.
    """
    if not isinstance(key, str):
        raise WorkflowDefinitionError(f"{of} is a text, not {key!r}")
    return key


def named(task: Task, name: str, doc: str | None = None) -> Task:
    """Give a task the name by which people know it."""
    task.__name__ = task.__qualname__ = name
    task.__doc__ = doc
    return task


def then(value: Any, use: Callable[[Any], Any]) -> Any:
    """Use a value, or return an awaitable that does when it is there."""
    return _later(value, use) if hasattr(value, "__await__") else use(value)


async def _later(value: Awaitable[Any], use: Callable[[Any], Any]) -> Any:
    result = use(await value)
    return await result if hasattr(result, "__await__") else result


def proceed(process: Process) -> Any:
    """Return the result of a process, or an awaitable as soon as it has to await something."""
    try:
        awaited = next(process)
    except StopIteration as end:
        return end.value
    return drive_async(process, awaited)


def pause(eng: Any, seconds: float) -> Any:
    """Wait for so long, in the thread or in the event loop."""
    if not eng.is_asynchronous:
        return time.sleep(seconds)
    import asyncio

    return asyncio.sleep(seconds)


def as_duration(number: Any, of: str) -> float:
    """Return a number of seconds, or a factor, which is finite and not negative.

    :raises WorkflowDefinitionError: for anything else.
    """
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not 0 <= number < inf:
        raise WorkflowDefinitionError(f"{of} is a number from 0 on, not {number!r}")
    return float(number)


def growing_delay(delay: float, backoff: float, failures: int) -> float:
    """Return how long to wait after so many failures: a delay that grows, but not past LONGEST."""
    if not (delay and failures):
        return 0.0
    try:
        return min(delay * backoff ** (failures - 1), LONGEST)
    except OverflowError:
        return LONGEST


def ask(value: Any, obj: Any, eng: Any) -> Any:
    """Return a value, or what it returns for this token if it is a callable."""
    return value(obj, eng) if callable(value) else value


def digest(kind: str, branch: Iterable[Any], *details: str) -> str:
    """Return a short text that tells patterns over different tasks apart, in any process alike."""
    names = list(details)
    waiting = list(branch)
    while waiting:
        step = waiting.pop()
        if isinstance(step, list):
            names.append(str(len(step)))
            waiting.extend(step)
        else:
            names.append(task_name(step))
    return f"{kind} {crc32(' '.join(names).encode('utf-8', 'backslashreplace')):08x}"
