"""Runs as lists show them: filtered, sorted, a page at a time, with their tokens counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from sqlalchemy import Double, false, func, or_, select, type_coerce

from wfengine.errors import DamagedDataError, UnknownRunError, WorkflowAPIError
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.columns import NAME_LENGTH, storable_text
from wfengine.store.control import is_free
from wfengine.store.queries import values_of
from wfengine.store.records import RunRecord, columns_of
from wfengine.store.serialization import Types
from wfengine.store.serialization.faults import check_number, shown
from wfengine.store.views import moment_of
from wfengine.store.waiting import is_at_rest, is_waiting

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["SORTS", "RunPage", "RunSummary", "places", "runs", "styles", "summary"]

SORTS = ("created", "started", "finished", "name", "status", "tokens")
"""By what runs are sorted; with a ``-`` before it, the other way round."""

SHORT = 300
"""How many characters of an error are shown."""

STANDING = (ObjectStatus.RUNNING, ObjectStatus.HALTED, ObjectStatus.ERROR)
"""The statuses of tokens that are on their way."""

BATCH = 500
"""How many runs a query counts the tokens of."""

COLUMNS = ("id", "uuid", "name", "fingerprint", "status", "options", "forked_from")
LEASE = ("lease_owner", "stop_requested", "error", "style")
TIMES = ("created", "started", "finished", "lease_expires", "due")


@frozen
class RunSummary:
    """A run, with its tokens counted.

    :param status: None where what is stored is no status.
    :param created: when, in UTC, as are the other times.
    :param error: what ended it, in one line; None if nothing did.
    :param counts: how many tokens have each status; those that none has are left out.
    :param total: how many tokens are stored.
    :param owner: who has it, or had it when it died.
    :param is_live: whether its owner is known to be alive.
    :param stop_requested: who asked it to stop, if it has not yet.
    :param is_complete_input: whether all that it is to work on is stored.
    :param forked_from: the id of the token that it was forked from.
    :param due: when it is to be begun, or taken up, if it waits for its time.
    :param style: which way of writing workflows began it; None for a definition as such.
    :param now: the time of this summary, as seconds since 1970.
    """

    uuid: str
    name: str
    status: WorkflowStatus | None
    created: datetime | None
    started: datetime | None
    finished: datetime | None
    error: str | None
    counts: Mapping[ObjectStatus, int]
    total: int
    owner: str | None
    lease_expires: datetime | None
    is_live: bool
    stop_requested: str | None
    is_complete_input: bool
    forked_from: int | None
    fingerprint: str | None
    due: datetime | None
    style: str | None
    now: float = field(repr=False)

    @property
    def done(self) -> int:
        """How many tokens are done."""
        return self.counts.get(ObjectStatus.COMPLETED, 0)

    @property
    def fraction(self) -> float | None:
        """How much of it is done, from 0 to 1; None while its input is still read."""
        if not self.is_complete_input:
            return None
        if self.total:
            return self.done / self.total
        return 1.0 if self.status is WorkflowStatus.COMPLETED else 0.0

    @property
    def seconds(self) -> float | None:
        """For how long it ran, or has been running; None where that is not known."""
        if self.started is None:
            return None
        if self.finished is not None:
            return max(self.finished.timestamp() - self.started.timestamp(), 0.0)
        return max(self.now - self.started.timestamp(), 0.0) if self.is_live else None

    @property
    def rate(self) -> float | None:
        """How many tokens were done a second since it started, by :attr:`seconds`."""
        return self.done / self.seconds if self.seconds else None


@frozen
class RunPage:
    """Some of the runs that were asked for.

    :param total: how many there are altogether.
    """

    items: list[RunSummary]
    total: int


def runs(  # noqa: PLR0913 - each narrows the list
    store: Store,
    *,
    status: WorkflowStatus | Collection[WorkflowStatus] | None = None,
    name: str | None = None,
    search: str | None = None,
    action: str | None = None,
    style: str | None = None,
    waits: bool | None = None,
    since: datetime | float | None = None,
    until: datetime | float | None = None,
    sort: str = "-created",
    offset: int = 0,
    limit: int | None = 50,
) -> RunPage:
    """Return a page of the runs; branches are no runs of their own here.

    :param status: one, or some.
    :param name: exactly.
    :param search: a part of the name, whatever its case, or how the uuid begins.
    :param action: only runs with a token that waits for a decision, having halted for this.
    :param style: only runs that this way of writing workflows began.
    :param waits: only those that wait for their time, or only those that do not.
    :param since: those that were created then or later; aware, or seconds since 1970.
    :param until: those that were created before.
    :param sort: one of ``SORTS``.
    :param limit: how many at most; None for all.
    :raises WorkflowAPIError: for what cannot be meant.
    """
    run = store.models.workflow.__table__
    _check_page(offset, limit)
    order = _order(run, sort)
    conditions = [
        run.c.parent_id.is_(None),
        *_of_status(run, status),
        *([] if name is None else [run.c.name == name]),
        *([] if not search else [_matches(run, storable_text(search))]),
        *([] if action is None else [run.c.id.in_(_with_action(store, action))]),
        *([] if style is None else [run.c.style == style]),
        *([] if waits is None else [run.c.due.is_not(None) if waits else run.c.due.is_(None)]),
        *([] if since is None else [_time(run, "created") >= _seconds(since)]),
        *([] if until is None else [_time(run, "created") < _seconds(until)]),
    ]
    query = _query(store).order_by(*order)
    with store.explaining(), store.database.reading() as connection:
        if action is None or limit is None:
            counting = select(func.count()).select_from(run).where(*conditions)
            total = int(connection.execute(counting).scalar_one())
            query = query.where(*conditions).offset(offset).limit(limit)
        else:  # what is looked for in the tokens is looked for once
            finding = select(run.c.id).where(*conditions).order_by(*order)
            found = connection.execute(finding).scalars().all()
            total = len(found)
            query = query.where(run.c.id.in_(found[offset : offset + limit]))
        return RunPage(_summaries(store, connection, connection.execute(query).all()), total)


def summary(store: Store, uuid: str) -> RunSummary:
    """Return one run, or branch, as lists show it, also where its row is damaged.

    :raises UnknownRunError: when there is none.
    """
    query = _query(store).where(store.models.workflow.__table__.c.uuid == storable_text(uuid))
    with store.explaining(), store.database.reading() as connection:
        found = _summaries(store, connection, connection.execute(query).all())
    if not found:
        raise UnknownRunError(f"there is no run {uuid[:80]!r} in {store}")
    return found[0]


def styles(store: Store) -> list[str]:
    """Return the ways of writing workflows that runs of the store were begun by, sorted."""
    return values_of(store, store.models.workflow.__table__.c.style)


def places(store: Store, run: RunRecord) -> dict[str, dict[ObjectStatus, int]]:
    """Return how many tokens stand at each position; those that are done, or not begun, nowhere."""
    token = store.models.object.__table__
    standing = [each.name for each in STANDING]
    query = (
        select(token.c.callback_pos, token.c.status, func.count())
        .where(token.c.workflow_id == run.id, token.c.status.in_(standing))
        .group_by(token.c.callback_pos, token.c.status)
    )
    found: dict[str, dict[ObjectStatus, int]] = {}
    with store.explaining(), store.database.reading() as connection:
        for path, status, count in connection.execute(query):
            found.setdefault(path, {})[ObjectStatus[status]] = count
    return found


# What is asked for


def _query(store: Store) -> Any:
    run = store.models.workflow.__table__
    times = (_time(run, name).label(name) for name in TIMES)
    is_held = (~is_free(run, store.clock())).label("is_held")
    return select(*columns_of(run, *COLUMNS, *LEASE), *times, is_held)


def _time(run: Any, name: str) -> Any:
    return type_coerce(run.c[name], Double)


def _of_status(run: Any, status: Any) -> list[Any]:
    if status is None:
        return []
    wanted = [status] if isinstance(status, WorkflowStatus) else list(status)
    for each in wanted:
        if not isinstance(each, WorkflowStatus):
            raise WorkflowAPIError(f"a run's status is a WorkflowStatus, not {shown(each)}")
    return [run.c.status.in_([each.name for each in wanted])]


def _matches(run: Any, search: str) -> Any:
    if len(search) > NAME_LENGTH:
        return false()
    return or_(
        run.c.name.icontains(search, autoescape=True),
        run.c.uuid.startswith(search.lower(), autoescape=True),
    )


def _with_action(store: Store, action: str) -> Any:
    """Return the query for the runs, of branches those around them, that wait for an action."""
    run, token = store.models.workflow.__table__.alias(), store.models.object.__table__
    return (
        select(func.coalesce(run.c.root_id, run.c.id))
        .join(token, token.c.workflow_id == run.c.id)
        .where(*is_waiting(token), is_at_rest(token), token.c.action == action)
    )


def _seconds(moment: Any) -> float:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise WorkflowAPIError(f"a time has a time zone, and {moment} has none")
        return moment.timestamp()
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        raise WorkflowAPIError(f"a time is a datetime or seconds since 1970, not {shown(moment)}")
    return float(moment)


def _order(run: Any, sort: str) -> Sequence[Any]:
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise WorkflowAPIError(f"runs are sorted by {', '.join(SORTS)}, not by {shown(sort)}")
    columns = [run.c["token_count" if name == "tokens" else name], run.c.id]
    return [column.desc() for column in columns] if sort.startswith("-") else columns


def _check_page(offset: Any, limit: Any) -> None:
    check_number(offset, 0, "offset")
    check_number(0 if limit is None else limit, 0, "limit")


# What is found


def _summaries(store: Store, connection: Any, rows: Sequence[Any]) -> list[RunSummary]:
    counts = _counts(store, connection, [row.id for row in rows])
    now = store.clock()
    return [_summary(row, counts.get(row.id, {}), now) for row in rows]


def _counts(store: Store, connection: Any, run_ids: list[int]) -> dict[int, dict[str, int]]:
    """Return how many tokens of runs have each status."""
    token = store.models.object.__table__
    found: dict[int, dict[str, int]] = {}
    for start in range(0, len(run_ids), BATCH):
        query = (
            select(token.c.workflow_id, token.c.status, func.count())
            .where(token.c.workflow_id.in_(run_ids[start : start + BATCH]))
            .group_by(token.c.workflow_id, token.c.status)
        )
        for run_id, status, count in connection.execute(query):
            found.setdefault(run_id, {})[status] = count
    return found


def _summary(row: Any, counts: dict[str, int], now: float) -> RunSummary:
    known = ObjectStatus.__members__
    return RunSummary(
        uuid=row.uuid,
        name=row.name,
        status=WorkflowStatus.__members__.get(row.status),
        created=moment_of(row.created),
        started=moment_of(row.started),
        finished=moment_of(row.finished),
        error=_error(row.error),
        counts={known[name]: count for name, count in counts.items() if name in known},
        total=sum(counts.values()),
        owner=row.lease_owner,
        lease_expires=moment_of(row.lease_expires),
        is_live=bool(row.is_held),
        stop_requested=row.stop_requested,
        is_complete_input=_document(row.options).get("is_complete", True) is not False,
        forked_from=row.forked_from,
        fingerprint=row.fingerprint,
        due=moment_of(row.due),
        style=row.style,
        now=now,
    )


def _document(text: Any) -> dict[str, Any]:
    """Return a stored document; an empty one, where it is damaged."""
    try:
        found = Types.plain(text)
    except DamagedDataError:
        found = None
    return found if isinstance(found, dict) else {}


def _error(text: Any) -> str | None:
    if text is None:
        return None
    found = _document(text)
    said = ": ".join(str(found[key]) for key in ("type", "message") if found.get(key))
    line = " ".join(said[: 2 * SHORT].split()) or "an error that is not readable any more"
    return line if len(line) <= SHORT else line[: SHORT - 3] + "..."
