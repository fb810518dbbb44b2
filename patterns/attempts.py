"""TRY: run tasks that may fail, again if need be, and do something else when they keep failing."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import wraps
from typing import Any

from wfengine import frames
from wfengine.callbacks import Definition, Task
from wfengine.description import Description, described
from wfengine.errors import JumpCall, WorkflowDefinitionError, WorkflowError, WorkflowTransition
from wfengine.frames import Frame, Live

from .conditions import end_of_branch
from .parts import Branch, as_branch, digest, named, then

__all__ = ["TRY"]


def TRY(
    call: Branch, retry: int = 1, onfailure: Any = None, delay: float = 0, backoff: float = 1
) -> Definition:
    """Run tasks, and run all of them again when one raises an exception.

    Its list is ``[begin, task, task, ..., end, failed, what is done on failure, ...]``.
    Transitions are no failures: they pass. Before anything is done on failure, the error is put
    under ``eng.extra_data["error"]`` as plain data: ``type``, ``message`` and ``attempts``.

    :param call: one task, or a list.
    :param retry: how many times to try again after the first failure.
    :param onfailure: what to do when the last attempt failed: nothing (the exception is raised
        on), an exception class or instance (raised from it), or tasks (run; then the workflow
        goes on).
    :param delay: seconds to wait before the second attempt.
    :param backoff: the factor by which the delay grows from attempt to attempt.
    """
    _check_numbers(retry, delay, backoff)
    body = as_branch(call, "TRY's tasks")
    instead = _on_failure(onfailure)
    kind = digest("TRY", body)
    failed_at = len(body) + 2
    back = JumpCall(1 - failed_at)

    def begin(obj: Any, eng: Any) -> None:
        frames.enter(eng, kind)["attempts"] = 0

    def failed(obj: Any, eng: Any) -> Any:
        frame = frames.find(eng, kind)
        failure = frames.live_of(eng, frame) if frame is not None else None
        if frame is None or failure is None:
            raise WorkflowError("TRY: a failure was looked for where nothing has failed")
        error = failure.error
        eng.live = failure.outer
        frame["attempts"] += 1
        eng.log.info("attempt %d of %d failed: %r", frame["attempts"], retry + 1, error)
        if frame["attempts"] <= retry:
            wait = delay * backoff ** (frame["attempts"] - 1)
            return then(_pause(eng, wait), lambda _: back)
        frames.leave(eng, frame)
        if onfailure is None:
            raise error
        if not instead:
            raise onfailure from error
        eng.extra_data["error"] = {
            "type": type(error).__name__,
            "message": str(error),
            "attempts": frame["attempts"],
        }
        return None

    description = Description(
        "TRY",
        roles=("begin", *("body",) * len(body), "end", "failed", *("onfailure",) * len(instead)),
        options={"retry": retry, "delay": delay, "backoff": backoff},
    )
    return Definition(
        [
            described(named(begin, "TRY"), description),
            *_guarded(body, kind, failed_at),
            end_of_branch,
            named(failed, "TRY failed"),
            *instead,
        ]
    )


class _Failure(Live):
    """The exception of the attempt that has just failed."""

    __slots__ = ("error",)

    def __init__(self, eng: Any, frame: Frame, error: Exception) -> None:
        super().__init__(eng, frame)
        self.error = error


def _check_numbers(retry: int, delay: float, backoff: float) -> None:
    if isinstance(retry, bool) or not isinstance(retry, int) or retry < 0:
        raise WorkflowDefinitionError(f"TRY's retry is a whole number from 0 on, not {retry!r}")
    if delay < 0 or backoff < 0:
        raise WorkflowDefinitionError("TRY's delay and backoff are not negative")


def _on_failure(onfailure: Any) -> Definition:
    is_exception = isinstance(onfailure, BaseException) or (
        isinstance(onfailure, type) and issubclass(onfailure, BaseException)
    )
    if onfailure is None or is_exception:
        return Definition()
    return as_branch(onfailure, "TRY's onfailure")


def _guarded(body: Definition, kind: str, failed_at: int) -> Iterable[Any]:
    """Return the body with every task guarded, however deep it is nested."""
    for place, element in enumerate(body, start=1):
        yield _guarded_element(element, kind, failed_at - place)


def _guarded_element(element: Any, kind: str, offset: int) -> Any:
    if not isinstance(element, Definition):
        return _guard(element, kind, JumpCall(offset))
    done: list[list[Any]] = [[]]
    open_lists = [iter(element)]
    repeats = [element.repeats_from]
    while True:
        for step in open_lists[-1]:
            if isinstance(step, Definition):
                open_lists.append(iter(step))
                repeats.append(step.repeats_from)
                done.append([])
                break
            done[-1].append(_guard(step, kind, JumpCall(offset, levels=len(open_lists))))
        else:
            open_lists.pop()
            finished = Definition(done.pop(), repeats.pop())
            if not open_lists:
                return finished
            done[-1].append(finished)


def _guard(task: Task, kind: str, to_failed: JumpCall) -> Task:
    def give_up(eng: Any, error: Exception) -> JumpCall:
        frame = frames.find(eng, kind, levels=to_failed.levels)
        if frame is None:
            raise error
        eng.note_position(error)
        _Failure(eng, frame, error)
        return to_failed

    async def guarded_wait(awaitable: Any, eng: Any) -> Any:
        try:
            return await awaitable
        except WorkflowTransition:
            raise
        except Exception as error:
            return give_up(eng, error)

    @wraps(task, updated=("__dict__",) if hasattr(task, "__dict__") else ())
    def guarded(obj: Any, eng: Any) -> Any:
        try:
            result = task(obj, eng)
        except WorkflowTransition:
            raise
        except Exception as error:
            return give_up(eng, error)
        return guarded_wait(result, eng) if hasattr(result, "__await__") else result

    return guarded


def _pause(eng: Any, seconds: float) -> Any:
    if not eng.is_asynchronous:
        return time.sleep(seconds)
    import asyncio

    return asyncio.sleep(seconds)
