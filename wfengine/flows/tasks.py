"""Tasks: what is written by whoever writes a flow."""

from __future__ import annotations

import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from typing import Any

from attrs import field, frozen

from wfengine.flows.context import ExecutionContext
from wfengine.flows.errors import FlowError

__all__ = ["Task", "TaskDataItem"]

UNIONS = (typing.Union, types.UnionType)


def _check_key(item: Any, attribute: Any, key: Any) -> None:
    if not isinstance(key, str) or not key:
        raise FlowError(f"the key of a TaskDataItem is a text, not {key!r}")


def _check_type(item: Any, attribute: Any, wanted: Any) -> None:
    try:
        isinstance(None, _classes(wanted))
    except TypeError:
        raise FlowError(
            f"the type of the TaskDataItem {item.key!r} is a class, not {wanted!r}"
        ) from None


@frozen
class TaskDataItem:
    """An entry of the context that a task needs, or adds.

    :param type: its class; of ``list[int]`` and the like, the list counts. An ``int`` is a float,
        too.

    >>> TaskDataItem("total", float).accepts(3)
    True
    """

    key: str = field(validator=_check_key)
    type: Any = field(default=object, validator=_check_type)

    def accepts(self, value: Any) -> bool:
        """Return whether a value is of its type."""
        return isinstance(value, _classes(self.type))

    def takes(self, other: TaskDataItem) -> bool:
        """Return whether what another item says of a value is enough for this one."""
        wanted, given = _classes(self.type), _classes(other.type)
        return object in given or all(issubclass(each, wanted) for each in given)

    @property
    def type_name(self) -> str:
        """What people call its type."""
        return self.type.__qualname__ if type(self.type) is type else str(self.type)


def _classes(wanted: Any) -> tuple[type, ...]:
    """Return the classes that a type stands for."""
    if wanted is Any:
        return (object,)
    if wanted is None:
        return (types.NoneType,)
    origin = typing.get_origin(wanted) or wanted
    if origin in UNIONS:
        return tuple(each for part in typing.get_args(wanted) for each in _classes(part))
    return (float, int) if origin is float else (origin,)


class Task(ABC):
    """A step of a flow. Write a subclass with a :meth:`run` and add an instance to a template.

    Instances are shared by all flows of a template, so they hold nothing that belongs to one flow.
    A name other than that of the class is given by ``name = "..."`` in the class.

    >>> class Greet(Task):
    ...     def run(self, context):
    ...         found = context.copy()
    ...         found.set("greeting", f"hello {context.get('name')}")
    ...         return found
    >>> Greet().run(ExecutionContext({"name": "world"})).get("greeting")
    'hello world'
    """

    name: str = "Task"
    """By which history, errors and pictures call it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    @abstractmethod
    def run(self, context: ExecutionContext) -> ExecutionContext | Awaitable[ExecutionContext]:
        """Do the work, and return a context with what was found; it may be a coroutine function.

        :param context: a copy of the flow's context. What is done to it does not count.
        :returns: a context with new entries; those of the input may be in it, unchanged.
        """

    def inputs(self) -> Iterable[TaskDataItem]:
        """Return which entries the task needs; by default it does not say."""
        return ()

    def outputs(self) -> Iterable[TaskDataItem]:
        """Return which entries the task adds; by default it does not say."""
        return ()
