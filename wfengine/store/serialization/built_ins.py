"""What Python brings along: each type taken apart into storable parts and put together again."""

from __future__ import annotations

import base64
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import partial
from math import copysign, isnan
from operator import attrgetter
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any
from uuid import UUID, SafeUUID
from zoneinfo import ZoneInfo

from wfengine.store.serialization.faults import FaultError, attempt, short, shown, too_deep
from wfengine.store.serialization.forms import Form, Read, Write, strange_parts
from wfengine.store.serialization.text import FALSE_PAIR, TAG, VALUE, text_of


class BuiltInForm(Form):
    """A value by its parts, under its type's own name.

    :param apart: returns the parts of a value.
    :param together: returns the value of parts, or raises any error if they are none.
    """

    def __init__(
        self, cls: type, apart: Callable[[Any], Any], together: Callable[[Any], Any]
    ) -> None:
        self.cls = cls
        self.tag = cls.__name__
        self.apart = apart
        self.together = together

    def write(self, value: Any, write: Write, room: int) -> dict[str, Any]:
        """Write the parts."""
        return {TAG: self.tag, VALUE: write(self.apart(value), room - 1)}

    def read(self, structure: dict[str, Any], read: Read) -> Any:
        """Put the parts together."""
        if structure.keys() != {TAG, VALUE}:
            raise strange_parts(structure)
        return attempt(self.together, read(structure[VALUE]), f"no {self.tag}")


class SetForm(BuiltInForm):
    """A set by its items, in the order of their texts: equal sets have one text."""

    def __init__(self, cls: type) -> None:
        super().__init__(cls, list, partial(_unordered, cls))

    def write(self, value: Any, write: Write, room: int) -> dict[str, Any]:
        """Write the items in order."""
        structure = super().write(value, write, room)
        structure[VALUE] = sorted(structure[VALUE], key=text_of)
        return structure


class PairsForm(BuiltInForm):
    """A dict with any keys by the pairs of its keys and values."""

    def __init__(self, cls: type[dict[Any, Any]], together: Callable[[Any], Any]) -> None:
        super().__init__(cls, cls.items, together)

    def write(self, value: dict[Any, Any], write: Write, room: int) -> dict[str, Any]:
        """Write the pairs, telling of a fault at which key it is."""
        if room < (3 if value else 2):
            raise too_deep()
        pairs = []
        key = None
        try:
            for key, item in self.apart(value):
                pairs.append([write(key, room - 3), write(item, room - 3)])
        except FaultError as fault:
            fault.inside(f"[{shown(key)}]")
            raise
        return {TAG: self.tag, VALUE: pairs}


def _as(cls: type, parts: Any) -> Any:
    if type(parts) is not cls:
        raise TypeError(f"{cls.__name__} expected, not {type(parts).__name__}")
    return parts


def _list(parts: Any, *lengths: int) -> list[Any]:
    found: list[Any] = _as(list, parts)
    if lengths and len(found) not in lengths:
        raise ValueError(f"{len(found)} parts")
    return found


def _float_name(value: float) -> str:
    return "-nan" if isnan(value) and copysign(1, value) < 0 else repr(value)


def _float(parts: Any) -> float:
    if parts not in ("nan", "-nan", "inf", "-inf"):
        raise ValueError(short(parts))
    return float(parts)


def _dict(parts: Any) -> dict[Any, Any]:
    found = {}
    for pair in _list(parts):
        key, item = _list(pair, 2)
        found[key] = item
    if len(found) != len(parts):
        raise ValueError("a key occurs twice")
    return found


def _counter(parts: Any) -> Counter[Any]:
    found: Counter[Any] = Counter()
    dict.update(found, _dict(parts))
    return found


def _unordered(cls: type, parts: Any) -> Any:
    found = cls(_list(parts))
    if len(found) != len(parts):
        raise ValueError("an item occurs twice")
    return found


def _queue(parts: Any) -> deque[Any]:
    items, length = _list(parts, 2)
    return deque(_list(items), None if length is None else _as(int, length))


def _base64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode("ascii")


def _bytes(parts: Any) -> bytes:
    return base64.b64decode(_as(str, parts), validate=True)


def _moment_parts(value: Any) -> Any:
    text = value.replace(tzinfo=None).isoformat()
    return [text, value.fold, value.tzinfo] if value.fold or value.tzinfo is not None else text


def _moment(cls: type, parts: Any) -> Any:
    text, fold, zone = _list(parts, 3) if type(parts) is list else (parts, 0, None)
    naive = cls.fromisoformat(_as(str, text))  # type: ignore[attr-defined]
    if naive.tzinfo is not None:
        raise ValueError("a zone inside the text")
    return naive.replace(fold=_as(int, fold), tzinfo=zone)


def _offset(value: timezone) -> list[Any]:
    return list(value.__getinitargs__())  # type: ignore[attr-defined]


def _zone_key(value: ZoneInfo) -> str:
    try:
        value.__reduce__()  # refuses a zone that was read from a file of the user's
    except Exception as error:
        raise FaultError("which was read from a file and is not known by name", ZoneInfo) from error
    return value.key


def _uuid_parts(value: UUID) -> Any:
    is_unknown = value.is_safe is SafeUUID.unknown
    return value.hex if is_unknown else [value.hex, value.is_safe.value]


def _uuid(parts: Any) -> UUID:
    text, safety = _list(parts, 2) if type(parts) is list else (parts, None)
    return UUID(hex=_as(str, text), is_safe=SafeUUID(safety))


def _path_text(value: PurePath) -> str:
    text = str(value)
    if type(value)(text).parts != value.parts:
        raise FaultError("whose text makes another path", type(value))
    return text


def _by_text(cls: type, text_of_value: Callable[[Any], str], make: Callable[[str], Any]) -> Form:
    return BuiltInForm(cls, text_of_value, lambda parts: make(_as(str, parts)))


def _by_numbers(cls: type, *names: str) -> Form:
    """Return the form of a type that is called with numbers, and has them as attributes."""
    number = float if cls is complex else int
    numbers_of = attrgetter(*names)
    return BuiltInForm(
        cls,
        lambda value: list(numbers_of(value)),
        lambda parts: cls(*[_as(number, part) for part in _list(parts, len(names))]),
    )


_FORMS = (
    # A float or an int is taken apart only when JSON has no such number, a str when it has a pair
    # of characters that JSON would join, and a dict when its keys are not all texts.
    BuiltInForm(float, _float_name, _float),
    _by_text(int, hex, partial(int, base=16)),
    BuiltInForm(str, FALSE_PAIR.split, lambda parts: "".join(_list(parts))),
    PairsForm(dict, _dict),
    PairsForm(OrderedDict, lambda parts: OrderedDict(_dict(parts))),
    PairsForm(Counter, _counter),
    SetForm(set),
    SetForm(frozenset),
    BuiltInForm(tuple, list, lambda parts: tuple(_list(parts))),
    BuiltInForm(deque, lambda value: [list(value), value.maxlen], _queue),
    BuiltInForm(bytes, _base64, _bytes),
    BuiltInForm(bytearray, _base64, lambda parts: bytearray(_bytes(parts))),
    _by_numbers(complex, "real", "imag"),
    _by_numbers(range, "start", "stop", "step"),
    _by_numbers(Fraction, "numerator", "denominator"),
    _by_numbers(timedelta, "days", "seconds", "microseconds"),
    BuiltInForm(datetime, _moment_parts, partial(_moment, datetime)),
    BuiltInForm(time, _moment_parts, partial(_moment, time)),
    _by_text(date, date.isoformat, date.fromisoformat),
    BuiltInForm(timezone, _offset, lambda parts: timezone(*_list(parts, 1, 2))),
    _by_text(ZoneInfo, _zone_key, ZoneInfo),
    _by_text(Decimal, str, Decimal),
    BuiltInForm(UUID, _uuid_parts, _uuid),
    _by_text(PurePosixPath, _path_text, PurePosixPath),
    _by_text(PureWindowsPath, _path_text, PureWindowsPath),
    _by_text(PosixPath, _path_text, PosixPath),
    _by_text(WindowsPath, _path_text, WindowsPath),
)
BUILT_INS = {form.cls: form for form in _FORMS}
BY_TAG = {form.tag: form for form in _FORMS}
