"""For whoever watches a store: whether anything has changed, and what waits for whom.

All of it is cheap enough to be asked once a second.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import frozen
from sqlalchemy import Double, Text, and_, func, literal_column, or_, select, type_coerce

from wfengine.errors import UnknownTokenError
from wfengine.signals import TokenOutcome
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.records import RunRecord, TokenRecord, columns_of
from wfengine.store.views import BESIDES, StoredToken, moment_of

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = [
    "Marks",
    "WaitingGroup",
    "WaitingPage",
    "changed_runs",
    "marks",
    "stored_token",
    "waiting_groups",
    "waiting_page",
]

MOST_RUNNING = 1000
CAN_WAIT = (WorkflowStatus.NEW, WorkflowStatus.ERROR, WorkflowStatus.HALTED)
"""The statuses of runs that may wait for their time."""
MOST_ID = 2**63


@frozen
class Marks:
    """What is different whenever something has changed.

    :param running: by uuid, how far the runs are that somebody has.
    :param latest: the last rows that were added to the other tables.
    :param due: how many runs wait for their time, and the latest of these times.
    """

    running: dict[str, tuple[Any, ...]]
    latest: tuple[Any, ...]
    due: tuple[Any, ...]


def marks(store: Store) -> Marks:
    """Return what tells whether anything has changed since it was asked for last.

    :raises StoreError: when the store does not answer.
    """
    run, step = store.models.workflow.__table__, store.models.execution.__table__
    columns = ("checkpoints", "token_pos", "token_count", "lease_owner", "stop_requested")
    running = (
        select(run.c.uuid, *(run.c[name] for name in columns))
        .where(run.c.status == WorkflowStatus.RUNNING.name, run.c.parent_id.is_(None))
        .limit(MOST_RUNNING)
    )
    tables = [run, step, *([] if store.models.audit is None else [store.models.audit.__table__])]
    latest = select(*(select(func.max(table.c.id)).scalar_subquery() for table in tables))
    due = select(func.count(), func.max(type_coerce(run.c.due, Double))).where(
        run.c.status.in_([status.name for status in CAN_WAIT]), run.c.due.is_not(None)
    )
    with store.explaining(), store.database.reading() as connection:
        store.database.check_file()
        found = {row.uuid: tuple(row[1:]) for row in connection.execute(running)}
        added = tuple(connection.execute(latest).one())
        return Marks(found, added, tuple(connection.execute(due).one()))


def changed_runs(before: Marks, now: Marks) -> tuple[str, ...] | None:
    """Return the uuids of the runs that have changed, or None where it may be any."""
    if before.latest[0] != now.latest[0] or before.latest[2:] != now.latest[2:]:
        return None  # there is another run, or somebody did something
    if before.due != now.due:
        return None  # a run was given a time, or has lost it
    uuids = before.running.keys() | now.running.keys()
    changed = [uuid for uuid in uuids if before.running.get(uuid) != now.running.get(uuid)]
    return tuple(sorted(changed)) or None


@frozen
class WaitingGroup:
    """Tokens that wait for the same to be done.

    :param oldest: since when the first of them waits, in UTC.
    """

    action: str | None
    count: int
    oldest: datetime | None


def waiting_groups(store: Store, run: RunRecord | None = None) -> list[WaitingGroup]:
    """Return what the tokens wait for that nobody has decided on, what is longest first.

    :param run: only those of this run and its branches.
    """
    token = store.models.object.__table__
    action = type_coerce(token.c.action, Text)
    oldest = func.min(type_coerce(token.c.since, Double)).label("oldest")
    query = select(action.label("action"), func.count().label("many"), oldest)
    query = query.where(*_waits(store, run)).group_by(action).order_by(oldest)
    with store.explaining(), store.database.reading() as connection:
        rows = connection.execute(query).all()
    return [WaitingGroup(row.action, row.many, moment_of(row.oldest)) for row in rows]


@frozen
class WaitingPage:
    """Some of the tokens that wait.

    :param next: where the page after this one begins; None if there is none.
    """

    tokens: list[StoredToken]
    next: tuple[float, int] | None


def waiting_page(
    store: Store, run: RunRecord | None, action: str | None, after: tuple[float, int], limit: int
) -> WaitingPage:
    """Return some of the tokens that wait, the oldest first.

    :param action: only those that halted for this; of None, those that halted without saying what.
    :param after: what the page before has as ``next``; zeros for the first.
    """
    token = store.models.object.__table__
    since = type_coerce(token.c.since, Double).label("since")
    is_later = or_(since > after[0], and_(since == after[0], token.c.id > after[1]))
    is_of = token.c.action.is_(None) if action is None else token.c.action == action
    places = select(since, token.c.id).where(*_waits(store, run), is_of, is_later)
    with store.explaining(), store.database.reading() as connection:
        rows = connection.execute(places.order_by(since, token.c.id).limit(limit + 1)).all()
        shown = token.c.id.in_([row.id for row in rows[:limit]])
        found = connection.execute(_tokens(store).where(shown).order_by(since, token.c.id)).all()
    tokens = [StoredToken.of(row, row.uuid, store.types) for row in found]
    last = rows[limit - 1] if len(rows) > limit else None
    has_time = last is not None and isinstance(last.since, int | float)
    return WaitingPage(tokens, (last.since, last.id) if last is not None and has_time else None)


def _tokens(store: Store) -> Any:
    token, of_run = store.models.object.__table__, store.models.workflow.__table__
    since = type_coerce(token.c.since, Double).label("since")
    return (
        TokenRecord.query(token)
        .add_columns(*columns_of(token, *BESIDES), since, of_run.c.uuid)
        .where(of_run.c.id == token.c.workflow_id)
    )


def _waits(store: Store, run: RunRecord | None) -> list[Any]:
    """Return the conditions for tokens that wait, of all runs, or of one and its branches."""
    token, of_run = store.models.object.__table__, store.models.workflow.__table__
    conditions = [
        # As the index has it: SQLite finds a partial one by its own words only.
        token.c.status.in_([literal_column("'HALTED'"), literal_column("'ERROR'")]),
        token.c.status == ObjectStatus.HALTED.name,
        token.c.outcome == TokenOutcome.HALTED.value,
        token.c.decision.is_(None),
    ]
    if run is not None:
        runs = select(of_run.c.id).where(or_(of_run.c.id == run.id, of_run.c.root_id == run.id))
        conditions.append(token.c.workflow_id.in_(runs))
    return conditions


def stored_token(store: Store, token_id: int) -> StoredToken:
    """Return a token by its id, whatever is in its row.

    :param token_id: a number from 0 on.
    :raises UnknownTokenError: when there is none.
    """
    token, row = store.models.object.__table__, None
    if 0 <= token_id < MOST_ID:
        with store.explaining(), store.database.reading() as connection:
            query = _tokens(store).where(token.c.id == token_id)
            row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownTokenError(f"there is no token {token_id} in {store}")
    return StoredToken.of(row, row.uuid, store.types)
