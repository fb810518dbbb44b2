"""The tokens that wait for a decision, in all runs together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Double,
    String,
    and_,
    bindparam,
    func,
    or_,
    select,
    type_coerce,
)

from wfengine.signals import TokenOutcome
from wfengine.status import ObjectStatus
from wfengine.store.records import RunRecord, TokenRecord, columns_of
from wfengine.store.views import BESIDES, FIRST_PAGE, StoredToken, next_size

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["WaitingTokens", "is_at_rest", "is_waiting"]

AT_REST = bindparam(
    "at_rest",
    [ObjectStatus.HALTED.name, ObjectStatus.ERROR.name],
    String(),
    expanding=True,
    literal_execute=True,
)
"""What the index of such tokens is confined to, in the words by which SQLite knows it again."""


def is_waiting(token: Any) -> list[ColumnElement[bool]]:
    """Return the conditions for tokens that wait for a decision.

    :param token: the table of tokens.
    """
    return [
        token.c.status == ObjectStatus.HALTED.name,
        token.c.outcome == TokenOutcome.HALTED.value,
        token.c.decision.is_(None),
    ]


def is_at_rest(token: Any) -> ColumnElement[bool]:
    """Return the condition that leads to the index of tokens that wait, whatever run they are of.

    :param token: the table of tokens.
    """
    return token.c.status.in_(AT_REST)  # type: ignore[no-any-return]


class WaitingTokens:
    """Tokens that are halted and not decided on, the oldest first.

    Of a branch, it is the branch's own token, and not the one that waits for the branch.

    :param run: only those of this run and its branches.
    :param action: only those that halted for this.
    """

    def __init__(
        self, store: Store, run: RunRecord | None = None, action: str | None = None
    ) -> None:
        self._store = store
        token, of_run = store.models.object.__table__, store.models.workflow.__table__
        self._since, self._id = type_coerce(token.c.since, Double), token.c.id
        self._conditions = [*is_waiting(token), of_run.c.id == token.c.workflow_id]
        if run is None:
            self._conditions.append(is_at_rest(token))
        if action is not None:
            self._conditions.append(token.c.action == action)
        if run is not None:
            self._conditions.append(or_(of_run.c.id == run.id, of_run.c.root_id == run.id))
        self._query = TokenRecord.query(token).add_columns(
            *columns_of(token, *BESIDES), self._since.label("since"), of_run.c.uuid
        )

    def __len__(self) -> int:
        query = select(func.count()).where(*self._conditions)
        with self._store.explaining(), self._store.database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def __iter__(self) -> Iterator[StoredToken]:
        size, beyond = FIRST_PAGE, []  # type: tuple[int, list[Any]]
        while rows := self._page(size, beyond):
            found = [StoredToken.of(row, row.uuid, self._store.types) for row in rows]
            yield from found
            since, last = rows[-1].since, rows[-1].id
            is_later = or_(self._since > since, and_(self._since == since, self._id > last))
            beyond = [is_later]
            size = next_size(size, sum(token.size for token in found))

    def _page(self, size: int, beyond: list[Any]) -> list[Any]:
        query = self._query.where(*self._conditions, *beyond)
        query = query.order_by(self._since, self._id).limit(size)
        with self._store.explaining(), self._store.database.reading() as connection:
            return list(connection.execute(query).all())

    def __repr__(self) -> str:
        return f"<{len(self)} tokens that wait for a decision>"
