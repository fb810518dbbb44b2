"""JSON that people and programs send, read so that nothing in it is lost or made up."""

from __future__ import annotations

import json
import sys
from collections import Counter
from math import isfinite
from typing import Any

__all__ = ["JsonError", "JsonSyntaxError", "NumberError", "decoded", "repeated"]

LONGEST = 40
"""How many characters of a number are shown that cannot be one."""


class JsonError(ValueError):
    """A text cannot be read as JSON, or not as it was meant."""


class NumberError(JsonError):
    """Something stands in the place of a number that is none: ``NaN``, or ``1e999``."""


class JsonSyntaxError(JsonError):
    """A text is no JSON.

    :param problem: what is wrong.
    :param line: where it is, from 1 on; so is ``column``.
    """

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(problem, line, column)
        self.problem = problem
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"{self.problem} (line {self.line}, column {self.column})"


def decoded(text: str) -> Any:
    """Return what a JSON text stands for.

    :raises JsonSyntaxError: saying where it is none.
    :raises JsonError: for what Python's own parser takes for something else, such as two fields of
        one name, or cannot read, such as what is nested too deeply.

    >>> decoded('{"n": [1, null]}')
    {'n': [1, None]}
    """
    try:
        return _strictly(text)
    except json.JSONDecodeError as error:
        raise JsonSyntaxError(error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise JsonError("it is nested too deeply") from None
    except JsonError:
        raise
    except ValueError:
        most = sys.get_int_max_str_digits()
        raise JsonError(f"a number in it has more than {most:,} digits") from None


def repeated(names: list[str]) -> str:
    """Return the names that are there more than once."""
    return ", ".join(repr(name) for name, times in Counter(names).items() if times > 1)


def _strictly(text: str) -> Any:
    try:
        return DECODER.decode(text)
    except JsonError:
        json.loads(text)  # that it is no JSON at all is said first
        raise


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = repeated([name for name, _ in pairs])
        raise JsonError(f"it has two fields of the same name: {names}")
    return found


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse(text)


def _refuse(text: str) -> Any:
    raise NumberError(f"{text[:LONGEST]} is no number in JSON, or too large for one")


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse, parse_float=_finite)
