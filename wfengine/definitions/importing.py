"""Which tasks another process, or the next version of a program, could not find again."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from wfengine.callbacks import Definition
from wfengine.definitions.contents import OURS, closure_of, unwrapped
from wfengine.definitions.misfits import Misfit
from wfengine.definitions.outline import OutlineNode
from wfengine.definitions.plain import plain_text
from wfengine.definitions.problems import NOTE, WARNING, Problem, problem_at
from wfengine.description import describe

__all__ = ["import_problems"]

RULE = "not-importable"
LOCAL = "<locals>"
MAIN = "__main__"

Finding = tuple[str, str, str]
"""A severity, what is wrong and what to do."""


def import_problems(tree: OutlineNode) -> Iterator[Problem]:
    """Yield the tasks that cannot be found again by name, each once."""
    seen: set[tuple[int, Finding | None]] = set()
    for node in tree.walk():
        task = node.task
        if isinstance(task, Definition | Misfit) or describe(task) is not None:
            continue
        finding = _finding(task)
        key = id(getattr(unwrapped(task), "__code__", task)), finding
        if finding is not None and key not in seen:
            seen.add(key)
            yield problem_at(node, RULE, *finding)


def _finding(task: Any) -> Finding | None:
    if isinstance(task, functools.partial):
        return _of_values("it is given", _arguments(task)) or _finding(task.func)
    inner = unwrapped(task)
    if isinstance(inner, MethodType):
        holder = inner.__self__
        return _of_class(holder if isinstance(holder, type) else type(holder))
    if isinstance(inner, FunctionType):
        return _of_function(inner)
    if isinstance(inner, BuiltinFunctionType) or describe(inner) is not None:
        return None
    return _of_class(type(inner))


def _arguments(task: functools.partial[Any]) -> Iterator[tuple[str, Any]]:
    yield from ((f"argument {number}", value) for number, value in enumerate(task.args, start=1))
    yield from task.keywords.items()


def _of_function(task: FunctionType) -> Finding | None:
    if _is_ours(task.__module__):
        return None
    if task.__name__ == "<lambda>":
        return (
            WARNING,
            "a lambda has no name to tell it from others, in errors, history and new versions",
            "make it a function of a module: def name(obj, eng)",
        )
    if task.__module__ == MAIN:
        return _main("it")
    if LOCAL in task.__qualname__:
        return _of_values("it closes over", closure_of(task)) or (
            NOTE,
            "it is a function inside of another function, and cannot be imported by itself",
            "let other processes load the whole definition by name, or put it into a module",
        )
    return _if_hidden(task)


def _of_class(kind: type) -> Finding | None:
    if kind.__module__ == MAIN:
        return _main(f"its class {kind.__name__}")
    if LOCAL in kind.__qualname__:
        return (
            WARNING,
            f"its class {kind.__name__} is defined inside of a function",
            "define the class in a module",
        )
    return None


def _main(what: str) -> Finding:
    return (
        WARNING,
        f"{what} is defined in the script that was started, which other processes cannot import",
        "move it into a module of its own and import it",
    )


def _of_values(how: str, values: Iterator[tuple[str, Any]]) -> Finding | None:
    """Return what is wrong with values that a task holds: whether they are no plain data."""
    for name, value in values:
        if not _is_told_apart(value):
            kind = f"is no plain data but of type {type(value).__name__}"
            return (
                WARNING,
                f"{how} {name}, which {kind}: another version cannot be told from this one",
                "let the task read it from the token, from eng.extra_data or from its module",
            )
    return None


def _is_told_apart(value: Any) -> bool:
    return (
        callable(value)
        or isinstance(value, type | ModuleType | Definition)
        or bool(plain_text(value))
    )


def _if_hidden(task: FunctionType) -> Finding | None:
    """Return what is wrong with a function in whose place its module has something else."""
    found: Any = sys.modules.get(task.__module__)
    if found is None:
        return None
    for name in task.__qualname__.split("."):
        found = inspect.getattr_static(found, name, None)
        if isinstance(found, staticmethod | classmethod):
            found = found.__func__
    if found is None or unwrapped(found) is task or not callable(found):
        return None if found is not None or _was_renamed(task) else _not_there(task)
    if isinstance(found, FunctionType) and found.__code__ is task.__code__:
        return None
    return (
        WARNING,
        f"{task.__module__}.{task.__qualname__} is something else by now",
        "give each task a name of its own; a decorator keeps it with functools.wraps",
    )


def _was_renamed(task: FunctionType) -> bool:
    """Return whether somebody gave it a name to be shown by, other than that of its code."""
    return task.__name__ != task.__code__.co_name


def _not_there(task: FunctionType) -> Finding:
    return (
        WARNING,
        f"there is no {task.__qualname__} in {task.__module__}",
        "keep it in its module, under the name that it was defined with",
    )


def _is_ours(module: object) -> bool:
    return f"{module}.".startswith(OURS)
