"""What is inside of a definition: its tasks, the parts of its patterns, and what they wrap."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

from wfengine.callbacks import Definition
from wfengine.description import describe

__all__ = ["callables_in", "captured", "closure_of", "module_of", "parts_beside", "unwrapped"]

OURS = ("wfengine.", "builtins.")
DEEPEST = 100


def callables_in(definition: object) -> Iterator[Any]:
    """Yield every callable in a definition once, however it is nested, wrapped or captured."""
    waiting: list[Any] = [definition]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        description = describe(found)
        waiting.extend(part.content for part in (description.parts if description else ()))
        if isinstance(found, Definition):
            waiting.extend(found)
            waiting.append(found.lead)
        elif callable(found):
            yield found
            waiting.extend(_inside(found))


def _inside(task: Any) -> list[Any]:
    """Return what a callable stands for, and what it was given."""
    if isinstance(task, functools.partial):
        return [task.func, *captured(task)]
    if isinstance(task, MethodType):
        return [task.__func__, type(task.__self__)]
    return [getattr(task, "__wrapped__", None), *captured(task)]


def captured(task: Any) -> list[Any]:
    """Return the callables and definitions that a function holds in its closure, or a partial."""
    held: list[Any] = []
    if isinstance(task, functools.partial):
        held = [*task.args, *task.keywords.values()]
    elif isinstance(task, FunctionType):
        held = [value for _, value in closure_of(task)]
    return [value for value in held if isinstance(value, Definition) or callable(value)]


def closure_of(task: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each variable that a function holds in its closure."""
    for name, cell in zip(task.__code__.co_freevars, task.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # nothing was assigned to it
            continue


def unwrapped(task: Any) -> Any:
    """Return what a decorated callable was before, as far as its decorators tell."""
    for _ in range(DEEPEST):
        inner = getattr(task, "__wrapped__", None)
        if not callable(inner):
            break
        task = inner
    return task


def parts_beside(element: object, deepest: int = 5) -> Iterator[Definition]:
    """Yield the definitions that are parts of a pattern, or of its parts, and no elements of it."""
    waiting = [(element, 0)]
    while waiting:
        found, depth = waiting.pop()
        description = describe(found)
        for part in description.parts if description and depth < deepest else ():
            if isinstance(part.content, Definition):
                yield part.content
            else:
                waiting.append((part.content, depth + 1))


def module_of(found: object) -> ModuleType | None:
    """Return the user's module in which a callable, or the class of an object, is defined."""
    name = getattr(found, "__module__", None)
    if not isinstance(name, str) or f"{name}.".startswith(OURS):
        return None
    return sys.modules.get(name)
