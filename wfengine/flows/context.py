"""What the tasks of a flow hand on: values by name, each of them set once."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from typing import Any

from wfengine.errors import DamagedDataError, NotStorableError
from wfengine.flows.errors import FlowError, MissingEntryError
from wfengine.store.serialization import Types

__all__ = ["ExecutionContext", "is_same"]

MISSING: Any = object()


class ExecutionContext(Mapping[str, Any]):
    """The state of a flow: what it was begun with, and what its tasks have found.

    :param entries: what it has from the beginning.
    :raises FlowError: for a name that is no text.

    >>> context = ExecutionContext({"city": "Oslo"})
    >>> context.set("rain", 12.5)
    >>> context.get("rain"), context.get("snow", 0), list(context)
    (12.5, 0, ['city', 'rain'])
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, Any] | None = None) -> None:
        self._entries: dict[str, Any] = {}
        for key, value in (entries or {}).items():
            self.set(key, value)

    def set(self, key: str, value: Any) -> None:
        """Add an entry.

        :raises FlowError: when there is one of that name, or the name is no text.
        """
        if not isinstance(key, str):
            raise FlowError(f"an entry's name is a text, not {reprlib.repr(key)}")
        if key in self._entries:
            held = reprlib.repr(self._entries[key])
            raise FlowError(
                f"the context has an entry {key!r} already, {held}; an entry is set once, so "
                "give this one another name"
            )
        self._entries[key] = value

    def get(self, key: str, default: Any = MISSING) -> Any:
        """Return the value of an entry, or a default if there is one.

        :raises MissingEntryError: a ValueError and a KeyError, when there is neither.
        """
        if key in self._entries:
            return self._entries[key]
        if default is MISSING:
            raise self._missing(key)
        return default

    def _missing(self, key: object) -> MissingEntryError:
        near = get_close_matches(str(key), self._entries)
        known = ", ".join(map(repr, self._entries)) or "none"
        meant = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are: {known}"
        return MissingEntryError(f"the context has no entry {key!r}; {meant}")

    def copy(self) -> ExecutionContext:
        """Return another context with copies of all values, to add to.

        :raises FlowError: for a value that cannot be copied, naming it.
        """
        copied = ExecutionContext()
        for key, value in self._entries.items():
            try:
                copied._entries[key] = deepcopy(value)
            except Exception as error:
                raise FlowError(
                    f"entry {key!r} is of type {type(value).__qualname__}, which cannot be copied "
                    f"({error}): keep in the context what can be stored"
                ) from error
        return copied

    def to_json(self, types: Types | None = None) -> str:
        """Return it as JSON text that :meth:`from_json` reads.

        :param types: what can be stored besides plain data; ``store.types`` of a store.
        :raises NotStorableError: naming the entry and its type.
        """
        return (types or Types()).dumps(self._entries, "the context")

    @classmethod
    def from_json(cls, text: str, types: Types | None = None) -> ExecutionContext:
        """Return the context that :meth:`to_json` made a text of.

        :raises FlowError: for any other text.
        """
        try:
            entries = (types or Types()).loads(text)
        except DamagedDataError as error:
            raise FlowError(f"this is no context: {error.message}") from error
        if not isinstance(entries, dict):
            raise FlowError(f"a context is a JSON object, and this is {reprlib.repr(text)}")
        return cls(entries)

    def __getitem__(self, key: str) -> Any:
        return self.get(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExecutionContext):
            return NotImplemented
        return self._entries == other._entries

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ExecutionContext({reprlib.repr(self._entries)})"


def is_same(first: Any, second: Any, types: Types) -> bool:
    """Return whether two values are alike, also of a class that does not say so itself.

    Two of one class that do not compare, and cannot be stored either, are taken to be.
    """
    if first is second:
        return True
    try:
        if first == second:
            return True
    except Exception:  # noqa: BLE001 - an array, for instance, does not compare as a whole
        return _is_stored_alike(first, second, types)
    return _is_stored_alike(first, second, types)


def _is_stored_alike(first: Any, second: Any, types: Types) -> bool:
    if type(first) is not type(second):
        return False
    try:
        return types.dumps(first) == types.dumps(second)
    except NotStorableError:
        return True
