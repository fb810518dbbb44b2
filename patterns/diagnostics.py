"""Patterns for the time of writing a workflow: measure a task, or try it until it works."""

from __future__ import annotations

import importlib
import inspect
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from wfengine.callbacks import Definition, Task, cannot_be_called, task_name
from wfengine.description import Description, Part, described
from wfengine.errors import WorkflowDefinitionError, WorkflowTransition
from wfengine.interpreter import Process, settle

from .branches import run_inside
from .parts import Branch, as_branch, as_condition, as_element, digest, named, pause, proceed
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
    _check_report(output, stmt)
    definition = as_branch(call, "PROFILE's tasks")
    single = as_element(call, "PROFILE's tasks")

    def task(obj: Any, eng: Any) -> Any:
        from cProfile import Profile

        profile = Profile()
        profile.enable()
        try:
            if isinstance(single, Definition):
                result = run_inside(eng, [obj], definition, "PROFILE", eng.is_asynchronous)
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

    memory = digest("PROFILE", definition)
    description = Description("PROFILE", parts=(Part("body", definition),), memory=memory)
    return described(named(task, "PROFILE"), description)


def _check_report(output: Any, stmt: Any) -> None:
    import pstats

    if output is not None and not isinstance(output, str | bytes | os.PathLike):
        raise WorkflowDefinitionError(f"PROFILE's output is the path of a file, not {output!r}")
    known = pstats.Stats.sort_arg_dict_default
    if not isinstance(stmt, str) or stmt not in known:
        raise WorkflowDefinitionError(f"PROFILE's stmt is one of {', '.join(known)}, not {stmt!r}")


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
    name, module = _function_of_a_module(stmt)
    begin = as_condition(setup or EMPTY_CALL, "DEBUG_CYCLE's setup")
    stops = as_condition(debug_stopper or EMPTY_CALL, "DEBUG_CYCLE's debug_stopper")
    _check_onerror(onerror)

    def attempts(obj: Any, eng: Any) -> Process:
        while True:
            yield from settle(begin(obj, eng))
            current = getattr(sys.modules[module], name)
            try:
                return (yield from settle(current(obj, eng)))
            except WorkflowTransition:
                raise
            except Exception as error:
                if (yield from settle(stops(obj, eng))):
                    raise
                if onerror is not None:
                    yield from settle(onerror(obj, eng, error))
                else:
                    yield from _wait_for_change(current, eng, error)
            _reload(sys.modules[module])

    def task(obj: Any, eng: Any) -> Any:
        return proceed(attempts(obj, eng))

    helpers = (("setup", setup), ("onerror", onerror), ("debug_stopper", debug_stopper))
    parts = (Part("body", stmt), *(Part(role, helper) for role, helper in helpers if helper))
    description = Description("DEBUG_CYCLE", parts=parts, label=name)
    return described(named(task, "DEBUG_CYCLE"), description)


def _function_of_a_module(task: Any) -> tuple[str, str]:
    name, module = task_name(task), getattr(task, "__module__", None) or ""
    if getattr(sys.modules.get(module), name, None) is not task:
        raise WorkflowDefinitionError(
            f"DEBUG_CYCLE reloads the module of its task, and {name!r} is no function of a module"
        )
    if sys.modules[module].__spec__ is None:
        raise WorkflowDefinitionError(f"DEBUG_CYCLE cannot reload {module}: it was not imported")
    as_condition(task, "DEBUG_CYCLE's task")
    return name, module


def _check_onerror(onerror: Any) -> None:
    if onerror is None:
        return
    if not callable(onerror):
        raise WorkflowDefinitionError(
            f"DEBUG_CYCLE's onerror is a callable (obj, eng, error), not {onerror!r}"
        )
    reason = cannot_be_called(onerror, ("obj", "eng", "error"))
    if reason:
        raise WorkflowDefinitionError(f"DEBUG_CYCLE's onerror {reason}")


def _reload(module: ModuleType) -> None:
    """Read a module's source again, and not what was compiled from it in the same second."""
    if module.__spec__ is not None and module.__spec__.cached:
        Path(module.__spec__.cached).unlink(missing_ok=True)
    importlib.invalidate_caches()
    importlib.reload(module)


def _wait_for_change(task: Any, eng: Any, error: Exception) -> Process:
    path = Path(inspect.getfile(task))
    eng.log.error("%r in %s; change the file to try again", error, path, exc_info=error)
    before = path.read_bytes()
    while path.read_bytes() == before:
        yield from settle(pause(eng, 0.2))
