"""TRY: run tasks that may fail, again if need be, and do something else when they keep failing."""

from __future__ import annotations

from copy import copy
from functools import wraps
from typing import Any

from wfengine import frames
from wfengine.callbacks import Definition, Enter, Shape, Task, enter
from wfengine.description import Description
from wfengine.errors import WorkflowDefinitionError, WorkflowTransition
from wfengine.frames import Frame, Live
from wfengine.interpreter import AskAgain

from .parts import Branch, as_branch, as_duration, digest, growing_delay, named, pause, then

__all__ = ["TRY"]

ATTEMPT, INSTEAD = Enter(0), Enter(1)


def TRY(
    call: Branch, retry: int = 1, onfailure: Any = None, delay: float = 0, backoff: float = 1
) -> Definition:
    """Run tasks, and run all of them again when one raises an exception.

    Its list is ``[tasks, what is done on failure]``; the position between two attempts is that of
    the list. Transitions are no failures: they pass. Before tasks are run on failure, the error is
    put under ``eng.extra_data["error"]`` as plain data: ``type``, ``message`` and ``attempts``.

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

    def lead(obj: Any, eng: Any) -> Any:
        frame = frames.find(eng, kind)
        failure = frames.live_of(eng, frame) if frame is not None else None
        if frame is None or failure is None:
            frames.enter(eng, kind)["attempts"] = 0
            return ATTEMPT
        frame["attempts"] += 1
        eng.live = failure.outer
        eng.log.info("attempt %d of %d failed: %r", frame["attempts"], retry + 1, failure.error)
        if frame["attempts"] > retry:
            return give_up(eng, frame, failure.error)
        wait = growing_delay(delay, backoff, frame["attempts"])
        return then(pause(eng, wait), lambda _: ATTEMPT)

    def give_up(eng: Any, frame: Frame, error: Exception) -> Enter:
        frames.leave(eng, frame)
        if onfailure is None:
            raise error
        if instead is None:
            raise copy(onfailure) from error
        eng.extra_data["error"] = {
            "type": type(error).__name__,
            "message": str(error),
            "attempts": frame["attempts"],
        }
        return INSTEAD

    description = Description(
        "TRY",
        roles=("body",) if instead is None else ("body", "onfailure"),
        options={"retry": retry, "delay": delay, "backoff": backoff},
        memory=kind,
    )
    branches = [_guarded(body, kind)] + ([] if instead is None else [instead])
    return Definition(branches, named(lead, "TRY"), Shape.CHOICE, description)


class _Failure(Live):
    """The exception of the attempt that has just failed."""

    __slots__ = ("error",)

    def __init__(self, eng: Any, frame: Frame, error: Exception) -> None:
        super().__init__(eng, frame)
        self.error = error


def _check_numbers(retry: int, delay: float, backoff: float) -> None:
    if isinstance(retry, bool) or not isinstance(retry, int) or retry < 0:
        raise WorkflowDefinitionError(f"TRY's retry is a whole number from 0 on, not {retry!r}")
    as_duration(delay, "TRY's delay")
    as_duration(backoff, "TRY's backoff")


def _on_failure(onfailure: Any) -> Definition | None:
    is_exception = isinstance(onfailure, BaseException) or (
        isinstance(onfailure, type) and issubclass(onfailure, BaseException)
    )
    if onfailure is None or is_exception:
        return None
    return as_branch(onfailure, "TRY's onfailure")


def _guarded(body: Definition, kind: str) -> Definition:
    """Return the body with every task guarded, however deep it is nested."""
    levels = [(body, iter(body), [])]  # type: list[tuple[Definition, Any, list[Any]]]
    while True:
        original, remaining, done = levels[-1]
        for step in remaining:
            if isinstance(step, Definition):
                levels.append((step, iter(step), []))
                break
            done.append(_guard(step, kind, 1 + len(levels)))
        else:
            levels.pop()
            lead = original.lead
            if lead is not enter:
                lead = _guard(lead, kind, 1 + len(levels))
            rebuilt = original.rebuilt(done, lead)
            if not levels:
                return rebuilt
            levels[-1][2].append(rebuilt)


def _guard(task: Task, kind: str, levels: int) -> Task:
    """Return a task that hands its failure over to the lead so many lists further out."""

    def give_up(eng: Any, error: Exception) -> AskAgain:
        frame = frames.find(eng, kind, levels)
        if frame is None:
            raise error
        eng.note_position(error)
        frames.live_of(eng, frame)
        _Failure(eng, frame, error)
        return AskAgain(levels, error)

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
