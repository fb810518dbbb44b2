"""What a collection, text or number of Python's own contains: taken out, and put into another.

Whatever a class derived from it does to its methods is passed by.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

Refill = Callable[[Any, Any], None]

CONTENTS_OF: dict[type, Callable[[Any], Any]] = {
    dict: lambda value: dict(dict.items(value)),
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    complex: complex.__complex__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    bytearray: lambda value: bytearray.__getitem__(value, slice(None)),
}
"""Returns the contents of an instance of a derived class, as the type that it is derived from."""


def _by_update(base: Any) -> Refill:
    def refill(target: Any, value: Any) -> None:
        base.clear(target)
        base.update(target, value)

    return refill


def _by_slice(base: Any) -> Refill:
    return lambda target, value: base.__setitem__(target, slice(None), value)


REFILLS: dict[type, Refill] = {
    dict: _by_update(dict),
    Counter: _by_update(dict),
    OrderedDict: _by_update(OrderedDict),
    set: _by_update(set),
    list: _by_slice(list),
    bytearray: _by_slice(bytearray),
}
"""Replaces the contents of an object that can change, or of an instance of a derived class."""
