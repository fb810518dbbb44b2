"""The tokens of a run: any sequence, or any iterable read lazily in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from wfengine.errors import WorkflowAPIError

__all__ = ["TokenStream", "as_tokens"]


class TokenStream(Sequence[Any]):
    """Tokens read one by one from an iterable; only the last ``kept`` of them are held.

    Its length is the number of tokens read so far. An index further back than what is kept
    raises :class:`WorkflowAPIError`; one that is not read yet is read now.
    """

    def __init__(self, tokens: Iterable[Any], kept: int) -> None:
        self._remaining = iter(tokens)
        self._window: deque[Any] = deque(maxlen=kept)
        self._read = 0

    def __len__(self) -> int:
        return self._read

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, int):
            raise TypeError(f"tokens read from an iterator are taken one by one, not by {index!r}")
        wanted = index if index >= 0 else index + self._read
        if not self.reaches(wanted):
            raise IndexError("no more tokens")
        behind = self._read - wanted
        if behind > len(self._window):
            raise WorkflowAPIError(
                f"token {wanted} is gone: tokens read from an iterator are not all held, only the "
                f"last {self._window.maxlen}. Pass a list to go back further, or raise kept_tokens "
                "on the engine's class"
            )
        return self._window[-behind]

    def reaches(self, index: int) -> bool:
        """Read on until there is such a token; return whether there is."""
        for token in islice(self._remaining, max(index + 1 - self._read, 0)):
            self._window.append(token)
            self._read += 1
        return index < self._read

    def __repr__(self) -> str:
        return f"<TokenStream: {self._read} tokens read>"


def as_tokens(objects: Any, kept: int) -> Sequence[Any]:
    """Return ``objects`` as something the engine can index.

    :raises WorkflowAPIError: for what is surely not meant as a collection of tokens.
    """
    if isinstance(objects, list):
        return objects
    if isinstance(objects, str | bytes | bytearray | Mapping):
        raise WorkflowAPIError(
            f"tokens come in a list or another iterable, not in a {type(objects).__name__}; "
            "for one token write [token]"
        )
    if isinstance(objects, Sequence):
        return objects
    if isinstance(objects, AsyncIterable):
        raise WorkflowAPIError(
            "tokens come from an ordinary iterable, not from an asynchronous one"
        )
    if not isinstance(objects, Iterable):
        kind = type(objects).__name__
        raise WorkflowAPIError(f"a {kind} is no collection of tokens; for one token write [token]")
    return TokenStream(objects, kept)
