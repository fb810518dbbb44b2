"""The types of the store's columns: the same values in every database.

Texts are unbounded. Times are seconds since 1970 in the database, and aware datetimes in UTC for
whoever reads a model. Documents are JSON as :mod:`wfengine.store.serialization` writes it; a model
shows their plain structure.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Double, Integer, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator

__all__ = ["Document", "Id", "LongText", "Moment", "Name", "storable_text"]

NAME_LENGTH = 255

Id = BigInteger().with_variant(Integer(), "sqlite")
"""A number that the database gives; SQLite does so only for plain integers."""

Unbounded = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def storable_text(text: str) -> str:
    r"""Return a text that any database takes: NUL and lone surrogates are written as escapes.

    >>> storable_text("a\0b")
    'a\\x00b'
    """
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode(errors="backslashreplace").decode()
    return text


class LongText(TypeDecorator[str]):
    """A text of any length."""

    impl = Unbounded
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Write what every database takes."""
        return storable_text(value) if isinstance(value, str) else value


class Name(TypeDecorator[str]):
    """A short text that can be indexed."""

    impl = String
    cache_ok = True

    def __init__(self, length: int = NAME_LENGTH) -> None:
        super().__init__(length)
        self.length = length

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Write what every database takes."""
        return storable_text(value) if isinstance(value, str) else value


class Document(TypeDecorator[Any]):
    """Plain data as JSON."""

    impl = Unbounded
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Write JSON."""
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Read JSON."""
        return None if value is None else json.loads(value)


class Moment(TypeDecorator[datetime]):
    """A point in time."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Write seconds since 1970."""
        return value.timestamp() if isinstance(value, datetime) else value

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Read a datetime in UTC."""
        return None if value is None else datetime.fromtimestamp(value, UTC)
