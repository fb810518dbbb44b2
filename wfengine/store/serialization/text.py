"""The text of stored values: JSON, and the tags for what JSON does not have."""

from __future__ import annotations

import json
import re
from typing import Any

from wfengine.errors import DamagedDataError

MAX_LEVELS = 200

TAG, VALUE = "$", "v"

# Written side by side, JSON would read these two as one character.
FALSE_PAIR = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")

text_of = json.JSONEncoder(check_circular=False, allow_nan=False, separators=(",", ":")).encode
"""Return the JSON text of a structure as it is stored."""


def name_of(cls: type) -> str:
    """Return the name under which instances of a class are stored: ``module:qualified name``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def is_true_text(text: str) -> bool:
    """Return whether JSON gives a text back as it is."""
    return text.isascii() or FALSE_PAIR.search(text) is None


def structure_of(text: str) -> Any:
    """Return the lists, dicts and scalars of a JSON text, tags left as they are.

    :raises DamagedDataError: it is no JSON, nested absurdly, or has a key twice.
    """
    try:
        if type(text) is not str:
            raise TypeError(f"a {type(text).__name__} instead of a text")
        return _DECODER.decode(text)
    except RecursionError as error:
        raise DamagedDataError("the stored data are nested too deep for the stack") from error
    except (ValueError, TypeError) as error:
        raise DamagedDataError(f"the stored data are no JSON: {error}") from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_doubles, parse_constant=_no_constant)
