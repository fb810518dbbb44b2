"""Errors as they are stored: plain data, whatever the exception is like, and alike when it is."""

from __future__ import annotations

import re
import traceback
from hashlib import blake2b
from typing import Any

from wfengine.store.columns import storable_text

__all__ = [
    "brief_error",
    "describe_error",
    "failure_of",
    "message_shape",
    "text_of",
    "traceback_of",
]

SHAPES = (
    (re.compile(r"'[^']*'|\"[^\"]*\""), "'...'"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "#"),
    (re.compile(r"\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "#"),
    (re.compile(r"\d+(\.\d+)?"), "#"),
)

LONGEST_SHAPE = 1000


def text_of(found: object) -> str:
    """Return what an exception, or anything else, says, also when it fails to say it."""
    try:
        return storable_text(str(found))
    except Exception as problem:  # noqa: BLE001 - a task's own object may do anything
        return f"<{type(found).__name__} that cannot be shown: {type(problem).__name__}>"


def kind_of(error: BaseException) -> str:
    """Return the name of an exception's class, with its module unless that is ``builtins``."""
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return storable_text(f"{module}{kind.__qualname__}")


def traceback_of(error: BaseException) -> str:
    """Return where an exception came from; at least that, also when it fails to say what it is."""
    try:
        lines = traceback.format_exception(error)
    except Exception:  # noqa: BLE001
        lines = traceback.format_tb(error.__traceback__)
    return storable_text("".join(lines))


def brief_error(error: BaseException) -> dict[str, Any]:
    """Return the type and the message of an exception."""
    return {"type": kind_of(error), "message": text_of(error)}


def describe_error(error: BaseException, task: str = "", path: str = "") -> dict[str, Any]:
    """Return an exception as plain data."""
    place = {"task": task, "path": path}
    return {**brief_error(error), **place, "traceback": traceback_of(error)}


def message_shape(message: str) -> str:
    """Return a message without what differs from case to case: numbers and what is quoted.

    >>> message_shape("row 12: 'abc' is no number")
    "row #: '...' is no number"
    """
    shape = message[:LONGEST_SHAPE]
    for pattern, stands_for in SHAPES:
        shape = pattern.sub(stands_for, shape)
    return shape


def failure_of(kind: str, task: str, message: str) -> str:
    """Return the fingerprint that failures of the same kind, task and message shape share."""
    text = "\n".join((kind, task, message_shape(message)))
    return blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()
