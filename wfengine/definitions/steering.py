"""What can be told of a task from its code, which is read and not run."""

from __future__ import annotations

import dis
import functools
import itertools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from wfengine.definitions.contents import OURS, closure_of
from wfengine.definitions.plain import plain_text
from wfengine.description import describe

__all__ = ["constant_of", "is_endless", "names_in"]

MOST_FUNCTIONS = 50
"""So many functions that a task calls are looked at."""

RETURNS = {"RETURN_VALUE", "RETURN_CONST"}
LONGEST = 10
"""Instructions that a function which only returns a constant has at most."""

SILENT = {"RESUME", "NOP", "CACHE", "COPY_FREE_VARS", "MAKE_CELL"}


def names_in(task: Any) -> set[str]:
    """Return the names that a task's code mentions, or that of the functions it calls."""
    found: set[str] = set()
    waiting: list[Any] = [task]
    seen: set[int] = set()
    while waiting and len(seen) < MOST_FUNCTIONS:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        waiting.extend(_behind(each))
        if isinstance(each, FunctionType) and not _is_ours(each):
            names = _names(each.__code__)
            found |= names
            held = (each.__globals__.get(name) for name in names)
            waiting.extend(other for other in held if isinstance(other, FunctionType))
    return found


def _behind(task: Any) -> Iterator[Any]:
    """Yield what a callable hands its call to."""
    if isinstance(task, functools.partial):
        yield from (task.func, *task.args, *task.keywords.values())
    elif isinstance(task, MethodType):
        yield task.__func__
    elif isinstance(task, FunctionType):
        yield vars(task).get("__wrapped__")
        yield from (value for _, value in closure_of(task) if callable(value))
    elif callable(task) and not isinstance(task, type):
        kinds = (vars(kind).get("__call__") for kind in type(task).__mro__)
        yield next((call for call in kinds if call is not None), None)


def _is_ours(function: FunctionType) -> bool:
    return f"{function.__module__}.".startswith(OURS)


def _names(code: CodeType) -> set[str]:
    found: set[str] = set()
    waiting = [code]
    while waiting:
        each = waiting.pop()
        found.update(each.co_names)
        waiting.extend(inner for inner in each.co_consts if isinstance(inner, CodeType))
    return found


def constant_of(condition: Any) -> bool | None:
    """Return what a condition answers whatever the token is, or None for one that depends.

    Such are a CMP of two plain values, and a function that only returns a constant.
    """
    if isinstance(condition, FunctionType):
        description = describe(condition)
        if description is None:
            return _returned(condition.__code__)
        if description.kind == "CMP" and condition.__module__.startswith("wfengine.patterns."):
            operands = [part.content for part in description.parts]
            if all(map(plain_text, operands)):
                return _compared(condition)
    return None


def _compared(condition: Any) -> bool | None:
    try:
        return bool(condition(None, None))
    except TypeError:  # values that cannot be compared: it fails each time
        return None


def _returned(code: CodeType) -> bool | None:
    found = itertools.islice(dis.get_instructions(code), LONGEST)
    steps = [step for step in found if step.opname not in SILENT]
    if not steps or steps[-1].opname not in RETURNS:
        return None
    *loads, end = steps
    if len(loads) != (end.opname == "RETURN_VALUE"):
        return None
    step = loads[0] if loads else end
    is_constant = step is end or step.opname in ("LOAD_CONST", "LOAD_SMALL_INT")
    is_said = is_constant and step.argval is not None  # which a function without return returns
    return bool(step.argval) if is_said else None


def is_endless(source: Any) -> bool:
    """Return whether a FOR's items never come to an end, as far as that shows."""
    if type(source) in (itertools.count, itertools.cycle):
        return True
    if type(source) is itertools.repeat:
        try:
            source.__length_hint__()
        except TypeError:
            return True
    return False
