"""Patterns for the time of writing a workflow: measure a task, or try it until it works."""

from __future__ import annotations

import importlib
import inspect
import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wfengine.callbacks import Definition, Task, task_name
from wfengine.description import Description, Part, described
from wfengine.errors import WorkflowDefinitionError, WorkflowTransition

from .branches import run_inside
from .parts import Branch, as_branch, as_condition, as_element, named
from .values import EMPTY_CALL

__all__ = ["DEBUG_CYCLE", "PROFILE"]


def PROFILE(
    call: Branch, output: str | os.PathLike[str] | None = None, stmt: str = "cumulative"
) -> Task:
    """Run tasks under the profiler of the standard library.

    :param call: one task, or a list, which runs as the inside of this task.
    :param output: the file for the statistics, to be read with ``pstats``; without one, a
        report is logged.
    :param stmt: what the report is sorted by, a sort key of ``pstats``.
    """
    definition = as_branch(call, "PROFILE's tasks")
    single = as_element(call, "PROFILE's tasks")

    def task(obj: Any, eng: Any) -> Any:
        from cProfile import Profile

        profile = Profile()
        profile.enable()
        try:
            if isinstance(single, Definition):
                result = run_inside(eng, [obj], definition, "PROFILE")
            else:
                result = single(obj, eng)
        except BaseException:
            _report(profile, output, stmt, eng)
            raise
        profile.disable()
        if hasattr(result, "__await__"):
            return _profiled(result, profile, output, stmt, eng)
        _report(profile, output, stmt, eng)
        return result

    description = Description("PROFILE", parts=(Part("body", definition),))
    return described(named(task, "PROFILE"), description)


async def _profiled(awaitable: Any, profile: Any, output: Any, stmt: str, eng: Any) -> Any:
    profile.enable()
    try:
        return await awaitable
    finally:
        _report(profile, output, stmt, eng)


def _report(profile: Any, output: Any, stmt: str, eng: Any) -> None:
    import pstats

    profile.disable()
    if output is not None:
        profile.dump_stats(os.fspath(output))
        return
    text = io.StringIO()
    pstats.Stats(profile, stream=text).sort_stats(stmt).print_stats(20)
    eng.log.info("%s", text.getvalue())


def DEBUG_CYCLE(
    stmt: Task,
    setup: Task | None = None,
    onerror: Callable[[Any, Any, Exception], Any] | None = None,
    debug_stopper: Task | None = None,
) -> Task:
    """Run a task; when it fails, let it be mended, reload its module and run it again.

    :param stmt: the task, a function of a module.
    :param setup: called ``(obj, eng)`` before each attempt, to put the token back.
    :param onerror: called ``(obj, eng, error)`` after a failure; by default it logs the error
        and waits until the file of the task's module has changed.
    :param debug_stopper: called ``(obj, eng)`` after a failure; when it returns something true,
        the error is raised on.
    """
    _check_function_of_a_module(stmt)
    begin = as_condition(setup or EMPTY_CALL, "DEBUG_CYCLE's setup")
    stops = as_condition(debug_stopper or EMPTY_CALL, "DEBUG_CYCLE's debug_stopper")

    def task(obj: Any, eng: Any) -> Any:
        current: Any = stmt
        while True:
            begin(obj, eng)
            try:
                return current(obj, eng)
            except WorkflowTransition:
                raise
            except Exception as error:
                if stops(obj, eng):
                    raise
                if onerror is not None:
                    onerror(obj, eng, error)
                else:
                    _wait_for_change(current, eng, error)
            current = _reloaded(current)

    description = Description("DEBUG_CYCLE", parts=(Part("body", stmt),), label=task_name(stmt))
    return described(named(task, "DEBUG_CYCLE"), description)


def _check_function_of_a_module(task: Task) -> None:
    name, module = task_name(task), getattr(task, "__module__", None)
    if getattr(sys.modules.get(module or ""), name, None) is not task:
        raise WorkflowDefinitionError(
            f"DEBUG_CYCLE reloads the module of its task, and {name!r} is no function of a module"
        )


def _reloaded(task: Any) -> Any:
    module = importlib.reload(sys.modules[task.__module__])
    return getattr(module, task.__name__)


def _wait_for_change(task: Any, eng: Any, error: Exception) -> None:
    path = Path(inspect.getfile(task))
    eng.log.error("%r in %s; change the file to try again", error, path, exc_info=error)
    before = path.stat().st_mtime_ns
    while path.stat().st_mtime_ns == before:
        time.sleep(0.2)
