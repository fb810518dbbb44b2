"""Definitions as people write them: what in them is no task."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from wfengine.callbacks import Definition, cannot_be_called, task_name

__all__ = ["Misfit", "with_misfits"]

SHOWN = (str, bytes, int, float, bool)


class Misfit:
    """Stands for something in a definition that is no task, so that all else can be looked at.

    :param reason: what is wrong with it.
    :param advice: what to do.
    """

    def __init__(self, found: Any, reason: str, advice: str) -> None:
        self.found = found
        self.reason = reason
        self.advice = advice
        self.__name__ = _name_of(found)

    def __call__(self, obj: Any, eng: Any) -> None:
        """Do nothing; it is never run."""


def with_misfits(callbacks: list[Any] | tuple[Any, ...]) -> list[Any]:
    """Return nested lists with a :class:`Misfit` in place of whatever is no task."""
    result: list[Any] = []
    levels: list[tuple[Any, Iterator[Any], list[Any]]] = [(callbacks, iter(callbacks), result)]
    around = {id(callbacks)}
    while levels:
        source, remaining, target = levels[-1]
        for item in remaining:
            if isinstance(item, Definition) or not isinstance(item, list | tuple):
                target.append(_checked(item))
            elif id(item) in around:
                target.append(_endless(item))
            else:
                inner: list[Any] = [] if isinstance(item, list) else target
                if isinstance(item, list):
                    target.append(inner)
                around.add(id(item))
                levels.append((item, iter(item), inner))
                break
        else:
            around.discard(id(source))
            levels.pop()
    return result


def _checked(item: Any) -> Any:
    """Return an element as it is, or what stands for it."""
    if item is None or isinstance(item, Definition):
        return item
    if isinstance(item, type):
        return Misfit(item, f"the class {item.__name__} is no task", "give an instance of it")
    if not callable(item):
        return Misfit(item, f"{_brief(item)} is no task", _advice(item))
    reason = cannot_be_called(item)
    if reason:
        return Misfit(
            item, reason, "give it the two parameters (obj, eng), and the others a default"
        )
    return item


def _endless(item: Any) -> Misfit:
    return Misfit(item, "the list contains itself", "use a WHILE, or a TASK_JUMP_BWD, to repeat it")


def _advice(item: Any) -> str:
    if inspect.iscoroutine(item):
        item.close()
        return "give the coroutine function itself, without calling it"
    return "put a callable task(obj, eng), or a list of them, there"


def _brief(item: Any) -> str:
    """Return what it is, without asking it."""
    kind = type(item)
    if kind not in SHOWN or (isinstance(item, int) and item.bit_length() > 200):
        return f"an object of type {kind.__name__}"
    text = repr(item)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({kind.__name__})"


def _name_of(found: Any) -> str:
    if isinstance(found, type) or callable(found):
        name = task_name(found)
        return name if isinstance(name, str) else type(found).__name__
    return "[...]" if isinstance(found, list) else _brief(found)
