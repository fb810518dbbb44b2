"""The tokens of a stored run: read in pages, so that their number does not matter.

Objects that a caller handed over stay the objects that tasks get; all others are made from the
rows. Tokens from an iterator are stored in batches before they are run, and let go afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from wfengine.errors import DamagedDataError, WorkflowAPIError
from wfengine.store.records import TokenRecord
from wfengine.tokens import TokenStream

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from wfengine.store.store import Store

__all__ = ["Tokens"]

BATCH = 500
"""How many rows are written at a time."""

LARGEST_BATCH = 256
PATIENCE = 0.1
"""Of an iterator, tokens are taken together up to so many, or for so many seconds."""

PAGE_BYTES = 1_000_000
LARGEST_PAGE = 256


class Tokens(TokenStream):
    """The tokens of one run.

    :param count: how many there are already.
    :param is_complete: whether these are all; else there were more in the input.
    """

    def __init__(self, store: Store, run_id: int, count: int, is_complete: bool = True) -> None:
        super().__init__((), 0)
        self.is_complete = is_complete
        self._store, self._run_id, self._count = store, run_id, count
        self._live: dict[int, Any] | Sequence[Any] = {}
        self._live_from = 0
        self._page: dict[int, TokenRecord | DamagedDataError] = {}
        self._page_size = 16
        self._source: Iterator[Any] | None = None
        self._batch = 1
        self._instead: dict[int, Any] = {}
        self.save: Callable[[Callable[[Connection], Any]], Any] | None = None
        self.unwritten: Callable[[], dict[int, TokenRecord]] = dict
        """Returns the rows that were changed and not written yet."""
        self.check: Callable[[Connection], None] = lambda connection: None
        """Looks whether what was read is still this process's to go on with."""

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, int):
            return [self[number] for number in range(*index.indices(self._count))]
        index = index + self._count if index < 0 else index
        if index in self._instead:
            return self._instead[index]
        if not 0 <= index < self._count:
            raise IndexError(f"there is no token {index}: the run has {self._count}")
        live = self._live
        if isinstance(live, dict):
            if index not in live:
                live.clear()
                live[index] = self.record(index).value(self._store.types)
            return live[index]
        if 0 <= index - self._live_from < len(live):
            return live[index - self._live_from]
        return self.record(index).value(self._store.types)

    # What the caller hands over

    def add(self, connection: Connection, objects: Sequence[Any]) -> None:
        """Store a sequence of tokens; it stays what tasks get."""
        self._live, self._live_from = objects, self._count
        self._write(connection, objects)

    def stand_in(self, objects: Sequence[Any]) -> None:
        """Let tasks get a caller's own objects in place of those that are stored.

        :raises WorkflowAPIError: when they are not as many as the tokens of the run.
        """
        if len(objects) != self._count:
            raise WorkflowAPIError(
                f"the run has {self._count} tokens; the {len(objects)} objects cannot be these"
            )
        self._live, self._live_from = objects, 0

    def replace(self, index: int, obj: Any) -> None:
        """Let tasks get this in place of what the caller handed over, which is of another type."""
        self._instead[index] = obj

    def read_from(self, source: Iterable[Any], skip: int = 0) -> None:
        """Take further tokens from an iterable when they are asked for.

        :param skip: how many of its first are stored already.
        """
        self._source = islice(source, skip, None)
        self._live = {}
        self.is_complete = False

    @property
    def can_read_on(self) -> bool:
        """Whether there may be further tokens in the input."""
        return self._source is not None

    def reaches(self, index: int) -> bool:
        """Store further tokens until there is such a one; return whether there is."""
        while index >= self._count and self._source is not None:
            batch = self._next_batch(self._source)
            if not batch:
                self._source, self.is_complete = None, True
                break
            first = self._count
            assert self.save is not None  # noqa: S101 - the journal sets it when it begins
            self.save(partial(self._write, objects=batch))
            self._live = {first + number: obj for number, obj in enumerate(batch)}
        return index < self._count

    def _next_batch(self, source: Iterator[Any]) -> list[Any]:
        batch: list[Any] = []
        end = time.monotonic() + PATIENCE
        for obj in source:
            batch.append(obj)
            if len(batch) >= self._batch or time.monotonic() > end:
                break
        self._batch = min(self._batch * 2, LARGEST_BATCH)
        return batch

    def _write(self, connection: Connection, objects: Sequence[Any]) -> None:
        store, number, moment = self._store, self._count, self._store.clock()
        for start in range(0, len(objects), BATCH):
            rows = []
            for obj in objects[start : start + BATCH]:
                text = store.text_of_token(obj, number)
                rows.append({"run": self._run_id, "index": number, "text": text, "now": moment})
                number += 1
            connection.execute(store.queries.add_token, rows)
        connection.execute(store.queries.count_tokens, {"run": self._run_id, "count": number})
        self._count = number

    # What is stored

    def record(self, index: int) -> TokenRecord:
        """Return the row of a token.

        :raises DamagedDataError: when it cannot be what was written, or is gone.
        """
        if index not in self._page:
            self._page = {**self._read_page(index), **self.unwritten()}
        found = self._page.get(index)
        if found is None:
            raise DamagedDataError(
                f"the row of token {index} is gone", row=f"workflow {self._run_id}"
            )
        if isinstance(found, DamagedDataError):
            raise found
        return found

    def sound(self, index: int) -> TokenRecord | None:
        """Return the row of a token, or None where there is none that can be read."""
        try:
            return self.record(index) if 0 <= index < self._count else None
        except DamagedDataError:
            return None

    def reload(self, count: int) -> None:
        """Read everything anew; others may have changed it, the number of tokens included."""
        self._count = count
        self.forget()

    def refresh(self, index: int) -> None:
        """Read the row of one token anew, and let go of others; it may have been changed."""
        unwritten = self.unwritten()
        read = {} if index in unwritten else self._read_page(index, 1)
        self._page = {**read, **unwritten}

    def forget(self) -> None:
        """Read the rows anew when they are needed; others may have changed them."""
        self._page = {}

    def _read_page(
        self, index: int, many: int | None = None
    ) -> dict[int, TokenRecord | DamagedDataError]:
        values = {"run": self._run_id, "index": index, "many": many or self._page_size}
        with self._store.explaining(), self._store.database.reading() as connection:
            rows = connection.execute(self._store.queries.page, values).all()
            self.check(connection)
        if many is None:
            self._fit_page_size(rows)
        return {row.token_pos: _read(row) for row in rows}

    def _fit_page_size(self, rows: Sequence[Any]) -> None:
        """Read the fewer rows together the larger they are."""
        size = sum(len(row.data) for row in rows if isinstance(row.data, str))
        self._page_size = (
            max(self._page_size // 2, 1)
            if size > PAGE_BYTES
            else min(self._page_size * 2, LARGEST_PAGE)
        )

    def __repr__(self) -> str:
        return f"<Tokens: {self._count} of run {self._run_id}>"


def _read(row: Any) -> TokenRecord | DamagedDataError:
    try:
        return TokenRecord.of(row)
    except DamagedDataError as error:
        return error
