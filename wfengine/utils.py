"""The two property helpers that the Workflow manual names; nothing else lives here."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

__all__ = ["classproperty", "staticproperty"]


class classproperty(Generic[T]):  # noqa: N801 - named like the built-in property
    """A read-only property of the class: the getter receives the class, not an instance.

    >>> class Engine:
    ...     @classproperty
    ...     def label(cls):
    ...         return cls.__name__.lower()
    >>> Engine.label, Engine().label
    ('engine', 'engine')
    """

    def __init__(self, getter: Callable[[Any], T]) -> None:
        self.getter = getter
        self.__doc__ = getter.__doc__

    def __get__(self, instance: object, owner: type) -> T:
        return self.getter(owner)


class staticproperty(Generic[T]):  # noqa: N801 - named like the built-in property
    """A read-only property whose getter receives nothing.

    >>> class Engine:
    ...     @staticproperty
    ...     def answer():
    ...         return 42
    >>> Engine.answer, Engine().answer
    (42, 42)
    """

    def __init__(self, getter: Callable[[], T]) -> None:
        self.getter = getter
        self.__doc__ = getter.__doc__

    def __get__(self, instance: object, owner: type) -> T:
        return self.getter()
