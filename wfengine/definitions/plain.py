"""Plain data as text that is the same in every process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from typing import Any
from uuid import UUID

__all__ = ["digest_of", "is_plain", "plain_text"]

SCALARS: set[type] = {str, bytes, int, float, complex, bool, type(None), range}
SCALARS |= {date, datetime, time, timedelta, Decimal, Fraction, UUID}

BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("{", "}"),
    dict: ("{", "}"),
}

MOST = 1000
"""Larger collections are not looked at: as data of a definition they are its input."""

DEEPEST = 10


def digest_of(text: str, digits: int = 8) -> str:
    """Return some hexadecimal digits that differ where texts do."""
    return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:digits]


def is_plain(value: object) -> bool:
    """Return whether it is a text, a number, a date or the like, and no collection of them."""
    return type(value) in SCALARS


def plain_text(value: object, depth: int = 0) -> str:
    """Return plain data, and collections of it, as text; nothing for anything else.

    >>> plain_text({"b", "a"}), plain_text([1, ("x", None)]), plain_text([object()])
    ("{'a', 'b'}", "[1, ('x', None)]", '')
    """
    if is_plain(value):
        return repr(value)
    if not isinstance(value, list | tuple | set | frozenset | dict) or type(value) not in BRACKETS:
        return ""
    if depth > DEEPEST or len(value) > MOST:
        return ""
    texts = _item_texts(value, depth + 1)
    if not all(texts):
        return ""
    opening, closing = BRACKETS[type(value)]
    return f"{opening}{', '.join(texts)}{closing}"


def _item_texts(values: Any, depth: int) -> list[str]:
    if isinstance(values, Mapping):
        pairs = [(plain_text(key, depth), plain_text(values[key], depth)) for key in values]
        return [f"{key}: {value}" if key and value else "" for key, value in pairs]
    texts = [plain_text(value, depth) for value in values]
    return sorted(texts) if isinstance(values, set | frozenset) else texts
