"""Runs that wait for their time: found when it has come, and run by one process only."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import Double, func, select, type_coerce, update

from wfengine.errors import WorkflowError
from wfengine.interpreter import drive
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.control import is_free, is_named
from wfengine.store.failures import describe_error
from wfengine.store.records import RunRecord

if TYPE_CHECKING:
    from wfengine.store.journal import Journal
    from wfengine.store.resuming import Plan
    from wfengine.store.store import Store

__all__ = ["due_runs", "is_waiting", "move", "refuse", "run_taken", "take_due"]

PAGE = 100
"""How many runs are read at a time."""

STATUS_OF_TOKENS = {
    WorkflowStatus.RUNNING: ObjectStatus.RUNNING,
    WorkflowStatus.ERROR: ObjectStatus.ERROR,
    WorkflowStatus.COMPLETED: ObjectStatus.COMPLETED,
}


def due_runs(
    store: Store,
    *,
    statuses: Collection[WorkflowStatus],
    names: Collection[str] | None = None,
    style: str | None = None,
) -> Iterator[tuple[str, str]]:
    """Yield the uuid and the name of each run that is due by now, the earliest first.

    Others may take them meanwhile.

    :param names: only runs of these names.
    :param style: only runs that this way of writing workflows began.
    """
    table, now = store.models.workflow.__table__, store.clock()
    due = type_coerce(table.c.due, Double)
    query = (
        select(table.c.id, table.c.uuid, table.c.name, due.label("due"))
        .where(table.c.status.in_([status.name for status in statuses]), due <= now)
        .where(table.c.parent_id.is_(None))
        .order_by(due, table.c.id)
        .limit(PAGE)
    )
    if names is not None:
        query = query.where(is_named(table, names))
    if style is not None:
        query = query.where(table.c.style == style)
    page = query
    while True:
        with store.explaining(), store.database.reading() as connection:
            rows = connection.execute(page).all()
        if not rows:
            return
        yield from ((row.uuid, row.name) for row in rows)
        last = rows[-1]
        page = query.where((due > last.due) | ((due == last.due) & (table.c.id > last.id)))


def is_waiting(store: Store, run: RunRecord) -> bool:
    """Return whether a run still waits for its time, or for somebody to see that it has come."""
    table = store.models.workflow.__table__
    with store.explaining(), store.database.reading() as connection:
        due = connection.execute(select(table.c.due).where(table.c.id == run.id)).scalar()
    return due is not None


def take_due(eng: Any) -> Plan | None:
    """Take a run that has become due; return what is to be done, None if others were faster.

    :param eng: an engine for that run, from ``from_uuid``.
    :raises LeaseHeldError: when others are running it.
    :raises WorkflowError: when it cannot be begun.
    """
    journal: Journal = eng.recorder
    try:
        plan: Plan = eng._plan()
    except WorkflowError:
        if is_waiting(journal.store, journal.run):
            raise
        return None
    if not is_waiting(journal.store, journal.run):
        journal.store.give_back(journal)
        return None
    return plan


def run_taken(eng: Any, plan: Plan) -> None:
    """Run what :func:`take_due` has taken; what comes out of its tasks is raised."""
    drive(eng._resume(plan))


def refuse(store: Store, run: RunRecord, error: BaseException) -> bool:
    """Note that a run that is due cannot be run, and why; return False if others have it."""
    table = store.models.workflow.__table__
    refused = (
        update(table)
        .where(table.c.id == run.id, table.c.due.is_not(None), is_free(table, store.clock()))
        .values(status=WorkflowStatus.ERROR.name, due=None, error=describe_error(error))
    )
    with store.explaining(), store.database.writing() as connection:
        return bool(connection.execute(refused).rowcount)


def move(
    store: Store, run: RunRecord, status: WorkflowStatus, *, waited: bool, due: float | None
) -> bool:
    """Give a run that nobody has another status, and a time; return False if it has changed.

    Its status has to be what it was when the run was read.

    :param waited: whether it had a time to wait for.
    :param due: when it is to be run, or None.
    """
    table, token = store.models.workflow.__table__, store.models.object.__table__
    now = store.clock()
    moved = (
        update(table)
        .where(table.c.id == run.id, table.c.status == run.status.name, is_free(table, now))
        .where(table.c.due.is_not(None) if waited else table.c.due.is_(None))
        .values(
            status=status.name,
            due=due,
            lease_owner=None,
            lease_expires=None,
            lease_token=table.c.lease_token + 1,
            **_times(table, status, now),
        )
    )
    with store.explaining(), store.database.writing() as connection:
        if not connection.execute(moved).rowcount:
            return False
        if status is not run.status and status in STATUS_OF_TOKENS:
            standing = {"status": STATUS_OF_TOKENS[status].name, "since": now}
            connection.execute(
                update(token).where(token.c.workflow_id == run.id).values(**standing)
            )
    return True


def _times(table: Any, status: WorkflowStatus, now: float) -> dict[str, Any]:
    if status is WorkflowStatus.RUNNING:
        return {"started": func.coalesce(table.c.started, now)}
    return {"finished": now} if status is WorkflowStatus.COMPLETED else {}
