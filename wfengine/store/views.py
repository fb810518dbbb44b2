"""Tokens as they are stored, for people and programs that look at them.

A row that cannot be what was written does not stop the others from being looked at: its token says
what is wrong with it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

from attrs import field, frozen
from sqlalchemy import Double, func, select, type_coerce

from wfengine.errors import DamagedDataError
from wfengine.status import ObjectStatus
from wfengine.store.records import RunRecord, TokenRecord, columns_of
from wfengine.store.serialization import Types
from wfengine.store.tokens import LARGEST_PAGE, PAGE_BYTES

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["StoredToken", "StoredTokens", "moment_of", "plain_of", "tokens"]

FIRST_PAGE = 16

BESIDES = ("action", "message", "payload", "error")
"""What is shown of a row besides what the engine works with."""


@frozen(slots=False)
class StoredToken:
    """A token as it is stored.

    :param token_pos: its index in the run.
    :param status: None where the row has none that there is.
    :param outcome: how it left the engine, in a word; None while it has not.
    :param path: the task to go on with, or, of a halted token, that halted it: ``0.2.1``.
    :param steps: how many steps its history has had.
    :param action: what has to be done about a halted token; ``message`` says why.
    :param since: when it got its status, in UTC; None where the row has no such time.
    :param id_workflow: the uuid of its run.
    :param damage: what in the row cannot be what was written; empty if nothing was found.
    """

    id: int
    token_pos: int
    status: ObjectStatus | None
    outcome: str | None
    path: str
    steps: int
    action: str | None
    message: str | None
    since: datetime | None
    id_workflow: str
    damage: str
    _texts: dict[str, Any] = field(repr=False, hash=False)
    _types: Types = field(repr=False, eq=False)

    @cached_property
    def data(self) -> Any:
        """What the token is.

        :raises DamagedDataError: naming the row, when it cannot be what was written, or names a
            type that is not known in this process; see :attr:`plain_data`.
        """
        return self._value("data")

    @property
    def plain_data(self) -> Any:
        """Its data as the JSON structure that is stored, which needs no types to be known.

        :raises DamagedDataError: naming the row, when it is none.
        """
        return plain_of(self._texts["data"], self._row)

    @cached_property
    def payload(self) -> Any:
        """What the task that halted has handed over for the decision."""
        return self._value("payload")

    @property
    def plain_payload(self) -> Any:
        """The payload as the JSON structure that is stored.

        :raises DamagedDataError: naming the row, when it is none.
        """
        text = self._texts["payload"]
        return None if text is None else plain_of(text, self._row)

    @cached_property
    def decision(self) -> Any:
        """What was decided and is not handed over yet: ``decision``, ``by``, ``at``; or None."""
        return self._value("decision")

    @cached_property
    def error(self) -> dict[str, Any] | None:
        """Why it failed: ``type``, ``message``, ``task``, ``path``, ``traceback``; or None."""
        text = self._texts["error"]
        found = None if text is None else plain_of(text, self._row)
        if found is not None and not isinstance(found, dict):
            raise DamagedDataError("the error is no document", row=self._row)
        return found

    @property
    def size(self) -> int:
        """The number of characters that its data are stored as."""
        text = self._texts["data"]
        return len(text) if isinstance(text, str) else 0

    @property
    def _row(self) -> str:
        return f"workflow_object {self.id}"

    def _value(self, name: str) -> Any:
        text = self._texts[name]
        if text is None:
            return None
        try:
            return self._types.loads(text)
        except DamagedDataError as error:
            raise DamagedDataError(f"{name}: {error.message}", row=self._row) from error

    @classmethod
    def of(cls, row: Any, id_workflow: str, types: Types) -> StoredToken:
        """Read one, whatever is in it."""
        since = moment_of(row.since)
        status = ObjectStatus.__members__.get(row.status)
        damage = "" if since else f"{str(row.since)[:60]!r} is no time"
        try:
            TokenRecord.of(row)
        except DamagedDataError as error:
            damage = error.message
        return cls(
            row.id,
            row.token_pos,
            status,
            row.outcome,
            row.callback_pos,
            row.steps,
            row.action,
            row.message,
            since,
            id_workflow,
            damage,
            {name: getattr(row, name) for name in ("data", "payload", "decision", "error")},
            types,
        )


class StoredTokens(Sequence[StoredToken]):
    """The tokens of a run as they are whenever they are looked at; never all of them in memory.

    Their number, and each by its index, is asked for anew. Going through them reads pages, and
    meets each token once, also while others change.

    >>> from wfengine.store import Store
    >>> from wfengine.engine_db import DbWorkflowEngine
    >>> with Store("sqlite://") as store:
    ...     eng = DbWorkflowEngine.with_name("nothing", store=store, definition=[lambda t, e: None])
    ...     eng.process(["a", "b", "c"])
    ...     found = store.tokens(eng.uuid)
    ...     len(found), found[-1].data, [token.data for token in found[:2]]
    (3, 'c', ['a', 'b'])
    """

    def __init__(self, store: Store, run: RunRecord, status: ObjectStatus | None = None) -> None:
        self._store, self._run, self._status = store, run, status
        table = store.models.object.__table__
        self._id, self._pos = table.c.id, table.c.token_pos
        self._condition = [table.c.workflow_id == run.id]
        if status is not None:
            self._condition.append(table.c.status == status.name)
        self._query = (
            TokenRecord.query(table)
            .add_columns(
                *columns_of(table, *BESIDES), type_coerce(table.c.since, Double).label("since")
            )
            .where(*self._condition)
        )

    def __len__(self) -> int:
        query = select(func.count()).where(*self._condition)
        with self._store.explaining(), self._store.database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    @overload
    def __getitem__(self, index: int) -> StoredToken: ...

    @overload
    def __getitem__(self, index: slice) -> list[StoredToken]: ...

    def __getitem__(self, index: int | slice) -> StoredToken | list[StoredToken]:
        if isinstance(index, slice):
            return self._sliced(range(len(self))[index])
        number = operator.index(index)
        if number < 0:
            found = list(self._read(-number - 1, 1, self._pos.desc()))
        else:
            found = list(self._read(number, 1, self._pos))
        if not found:
            raise IndexError(f"there is no token {number}: there are {len(self)}")
        return found[0]

    def find(self, token_id: int) -> StoredToken | None:
        """Return the token with an id, or None where it is not one of these."""
        found = self._read(0, 1, self._pos, self._id == token_id)
        return found[0] if found else None

    def __iter__(self) -> Iterator[StoredToken]:
        return self._through(self._pos, self._pos.__gt__)

    def __reversed__(self) -> Iterator[StoredToken]:
        return self._through(self._pos.desc(), self._pos.__lt__)

    def _sliced(self, wanted: range) -> list[StoredToken]:
        if not wanted:
            return []
        first, last = sorted((wanted[0], wanted[-1]))
        found = islice(self._through(self._pos, self._pos.__gt__, first), last - first + 1)
        kept = list(islice(found, 0, None, abs(wanted.step)))
        return kept if wanted.step > 0 else kept[::-1]

    def _through(
        self, order: Any, beyond: Callable[[Any], Any], skipped: int = 0
    ) -> Iterator[StoredToken]:
        """Yield tokens, in pages that are the smaller the larger the tokens are."""
        size = FIRST_PAGE
        conditions: list[Any] = []
        while page := self._read(skipped, size, order, *conditions):
            yield from page
            conditions, skipped = [beyond(page[-1].token_pos)], 0
            size = next_size(size, sum(token.size for token in page))

    def _read(self, skipped: int, count: int, order: Any, *conditions: Any) -> list[StoredToken]:
        query = self._query.where(*conditions).order_by(order).offset(skipped).limit(count)
        with self._store.explaining(), self._store.database.reading() as connection:
            rows = connection.execute(query).all()
        uuid, types = self._run.uuid, self._store.types
        return [StoredToken.of(row, uuid, types) for row in rows]

    def __repr__(self) -> str:
        kind = f" with the status {self._status.label!r}" if self._status else ""
        return f"<the tokens of run {self._run.uuid}{kind}>"


def tokens(store: Store, run: RunRecord, status: ObjectStatus | None = None) -> StoredTokens:
    """Return the tokens of a run, in their order, or those with a status."""
    return StoredTokens(store, run, status)


def next_size(size: int, length: int) -> int:
    """Return how many rows to read next, when the last page had so many characters of data."""
    return max(size // 2, 1) if length > PAGE_BYTES else min(size * 2, LARGEST_PAGE)


def moment_of(seconds: Any) -> datetime | None:
    """Return a stored time; None for what cannot be one."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def exact(seconds: float) -> float:
    """Return a time as whole microseconds, so that :func:`moment_of` tells it as it is stored."""
    return round(seconds, 6)


def plain_of(text: Any, row: str) -> Any:
    """Return the structure of a stored document.

    :param row: which row it is of.
    :raises DamagedDataError: naming the row.
    """
    try:
        return Types.plain(text)
    except DamagedDataError as error:
        raise DamagedDataError(error.message, row=row) from error
