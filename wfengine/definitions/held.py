"""The plain data that a task holds: arguments, defaults, closed-over values.

It is part of no name, since it may be secret or differ from machine to machine, but it tells tasks
apart that have the same name and stand in the same list.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from wfengine.callbacks import Definition
from wfengine.definitions.contents import closure_of, unwrapped
from wfengine.definitions.plain import digest_of, plain_text
from wfengine.description import describe

__all__ = ["digest_of_held"]

DEEPEST = 5


def digest_of_held(element: Any) -> str:
    """Return a digest of the data that a task, or the parts of a pattern, hold; or nothing."""
    held = list(_held(element, 0))
    return digest_of("\n".join(held)) if held else ""


def _held(found: Any, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        return
    description = describe(found)
    if description is not None:
        for part in description.parts:
            if callable(part.content):
                yield from _held(part.content, depth + 1)
    elif isinstance(found, functools.partial):
        yield from _texts((*found.args, *sorted(found.keywords.items())))
        yield from _held(found.func, depth + 1)
    elif not isinstance(found, Definition):
        yield from _held_by_task(unwrapped(found), depth)


def _held_by_task(task: Any, depth: int) -> Iterator[str]:
    if not isinstance(task, FunctionType):
        yield from _held_by_object(task.__self__ if isinstance(task, MethodType) else task)
        return
    closed_over = list(closure_of(task))
    if closed_over:
        rebound = set(_rebound_in(task.__code__))
        closed_over = [item for item in closed_over if item[0] not in rebound]
    yield from _texts((*(task.__defaults__ or ()), *sorted((task.__kwdefaults__ or {}).items())))
    yield from _texts(closed_over)
    if task.__name__ == "<lambda>":
        yield from sorted(_words_in(task.__code__))
    for _, value in closed_over:
        if isinstance(value, FunctionType):
            yield from _held(value, depth + 1)


def _held_by_object(holder: Any) -> Iterator[str]:
    """Yield the texts among the attributes of an object; its numbers may be counters."""
    attributes = sorted(getattr(holder, "__dict__", {}).items())
    yield from _texts(item for item in attributes if type(item[1]) is str)


def _texts(values: Iterable[Any]) -> Iterator[str]:
    return filter(None, map(plain_text, values))


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    waiting = [code]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(const for const in found.co_consts if isinstance(const, CodeType))


def _rebound_in(code: CodeType) -> Iterator[str]:
    """Yield the closed-over names that a function assigns to, so that they change as it runs."""
    for inner in _codes_in(code):
        for step in dis.get_instructions(inner):
            if step.opname == "STORE_DEREF":
                yield step.argval


def _words_in(code: CodeType) -> Iterator[str]:
    """Yield the names and texts in a function: what of its code is the same in any Python."""
    for inner in _codes_in(code):
        yield from inner.co_names
        yield from (repr(const) for const in inner.co_consts if isinstance(const, str))
