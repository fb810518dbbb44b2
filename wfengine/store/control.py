"""Runs of other processes: stopped, and taken up when their owner died."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from sqlalchemy import (
    ColumnElement,
    Double,
    and_,
    or_,
    select,
    type_coerce,
    update,
)

from wfengine.errors import (
    DamagedDataError,
    HaltProcessing,
    LeaseHeldError,
    UnknownRunError,
)
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.audit import note, user_name
from wfengine.store.checkpoints import Checkpoint, Writer
from wfengine.store.leases import Lease, has_ended, is_dead, owner_name
from wfengine.store.queries import values_of
from wfengine.store.records import RunRecord
from wfengine.store.views import moment_of

if TYPE_CHECKING:
    from wfengine.store.journal import Journal
    from wfengine.store.store import Store

__all__ = ["Recovered", "Running", "Stopped", "recover", "stop", "task_at"]

DELETING = "nobody, because it is being deleted"
"""The owner of a run that is on its way out, which :mod:`wfengine.store.retention` deletes."""

PAUSES = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3)
LONGEST_PAUSE = 0.5
"""Seconds between two looks whether a run has stopped."""

PAGE = 100
"""How many runs are read at a time."""


@frozen
class Running:
    """A task that may still be running.

    :param task: its name, or, where that is not known, its position.
    :param token: the index of its token.
    :param since: when the token came to it, as far as that is written down; in UTC.
    """

    task: str
    token: int
    since: datetime


@frozen
class Stopped:
    """What came of asking a run to stop.

    :param is_stopped: whether nobody has the run, so that no task of it begins.
    :param uuid: of the run; where a branch was meant, of the run that it belongs to.
    :param status: of the run.
    :param running: if it has not stopped, the tasks that it is at.
    :param owner: who has it, then.
    """

    is_stopped: bool
    uuid: str
    status: WorkflowStatus
    running: list[Running] = field(factory=list)
    owner: str | None = None


def stop(store: Store, run: RunRecord, *, by: str | None, wait: float | None) -> Stopped:
    """Ask a run to stop before its next task, and wait until it has; it can be resumed.

    A branch does not stop alone: what is stopped is the outermost run around it. A run that nobody
    has needs no stopping. A run whose owner died is taken from it, so that it cannot go on should
    it only have slept.

    :param by: who asks; by default this process, of which the audit says whose it is.
    :param wait: seconds to wait at most; by default as long as a lease lasts.
    """
    run_id = run.root_id or run.id
    who, person = owner_name() if by is None else str(by), user_name(by)
    end = time.monotonic() + (store.lease_seconds if wait is None else wait)
    first = now = _Ownership.of(store, run_id)
    pauses = chain(PAUSES, repeat(LONGEST_PAUSE))
    has_asked = False
    while not now.is_over(store, person):
        left = end - time.monotonic()
        is_taken_up_anew = now.number != first.number
        if not is_taken_up_anew:
            now.ask(store, who, None if has_asked else person)
            has_asked = True
        if is_taken_up_anew or left <= 0:
            return Stopped(
                is_stopped=False,
                uuid=now.uuid,
                status=store.run(now.uuid).status,
                running=_running(store, run_id),
                owner=now.owner,
            )
        time.sleep(min(next(pauses), left))
        now = _Ownership.of(store, run_id)
    return Stopped(is_stopped=True, uuid=now.uuid, status=store.run(now.uuid).status)


@frozen
class _Ownership:
    """Who had a run at a moment.

    :param number: the lease's.
    """

    run_id: int
    uuid: str
    status: str
    number: int
    owner: str | None
    is_live: bool

    @classmethod
    def of(cls, store: Store, run_id: int) -> _Ownership:
        table = store.models.workflow.__table__
        query = select(
            table.c.uuid,
            table.c.status,
            table.c.lease_token,
            table.c.lease_owner,
            is_free(table, store.clock()).label("is_free"),
        ).where(table.c.id == run_id)
        with store.explaining(), store.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownRunError(f"run {run_id} has been deleted")
        uuid, status, number, owner, is_without_owner = row
        return cls(run_id, uuid, status, number, owner, is_live=not is_without_owner)

    def is_over(self, store: Store, person: str | None = None) -> bool:
        """Return whether nobody has the run; what its owner left behind when it died is ended.

        :param person: who stops it, if somebody does.
        """
        if self.owner == DELETING:
            return True
        is_left = self.owner is not None or self.status == WorkflowStatus.RUNNING.name
        return not is_left or (not self.is_live and self._end(store, person))

    def _end(self, store: Store, person: str | None) -> bool:
        """Take the run from an owner whose lease is over, so that it cannot write any more."""
        table = store.models.workflow.__table__
        was_running = self.status == WorkflowStatus.RUNNING.name
        ended = (
            update(table)
            .where(
                table.c.id == self.run_id,
                table.c.lease_token == self.number,
                table.c.status == self.status,
                is_free(table, store.clock()),
            )
            .values(
                status=WorkflowStatus.HALTED.name if was_running else self.status,
                lease_owner=None,
                lease_token=self.number + 1,
                lease_expires=None,
            )
        )
        branches = (
            update(table)
            .where(table.c.root_id == self.run_id)
            .values(lease_token=self.number + 1, lease_expires=None)
        )
        with store.explaining(), store.database.writing() as connection:
            if not connection.execute(ended).rowcount:
                return False
            connection.execute(branches)
            if person is not None:
                said = {"owner": self.owner, "was": "dead"}
                note(store, connection, "stop", person, self.uuid, details=said)
        return True

    def ask(self, store: Store, who: str, person: str | None) -> None:
        """Ask the owner to stop, at the run and at all branches that have begun by now.

        :param person: who asks, if that is not written down yet.
        """
        table = store.models.workflow.__table__
        statement = (
            update(table)
            .where(
                or_(table.c.id == self.run_id, table.c.root_id == self.run_id),
                table.c.lease_token == self.number,
                table.c.stop_requested.is_(None),
            )
            .values(stop_requested=who)
        )
        with store.explaining(), store.database.writing() as connection:
            asked = connection.execute(statement).rowcount
            if asked and person is not None:
                said = {"owner": self.owner}
                note(store, connection, "stop", person, self.uuid, details=said)


def is_free(run: Any, now: float) -> ColumnElement[bool]:
    """Return the condition for runs that nobody has, or whose owner has died."""
    return or_(
        run.c.lease_owner.is_(None),
        run.c.lease_expires.is_(None),
        type_coerce(run.c.lease_expires, Double) <= now,
    )


def is_named(run: Any, names: Collection[str]) -> ColumnElement[bool]:
    """Return the condition for runs that have one of these names, or this name."""
    condition: ColumnElement[bool] = run.c.name.in_([names] if isinstance(names, str) else names)
    return condition


def task_at(store: Store, mark: str | None, path: str) -> str:
    """Return the name of what is at a position of a definition; the position if it is not known.

    :param mark: the fingerprint of the definition.
    """
    try:
        entries = store.skeleton(mark) or []
    except DamagedDataError:
        entries = []
    return next((label for position, label in entries if position == path), path)


def _running(store: Store, run_id: int) -> list[Running]:
    """Return what a run and its branches are at, as far as it is written down."""
    table = store.models.workflow.__table__
    query = (
        select(table.c.id, table.c.fingerprint, table.c.token_pos)
        .where(
            or_(
                table.c.id == run_id,
                and_(table.c.root_id == run_id, table.c.status != WorkflowStatus.COMPLETED.name),
            )
        )
        .order_by(table.c.id)
    )
    with store.explaining(), store.database.reading() as connection:
        rows = connection.execute(query).all()
    found = (_current(store, row.id, row.fingerprint, row.token_pos) for row in rows)
    return [running for running in found if running is not None]


def _current(store: Store, run_id: int, mark: str | None, cursor: int) -> Running | None:
    """Return the task that one run is at.

    Its token is in process, or, before its first step is written, where the pass is, or next.
    """
    token = store.models.object.__table__
    query = (
        select(token.c.id, token.c.token_pos, token.c.callback_pos, token.c.status, token.c.since)
        .where(token.c.workflow_id == run_id)
        .where(
            or_(
                token.c.status == ObjectStatus.RUNNING.name,
                and_(
                    token.c.token_pos.in_([cursor, cursor + 1]),
                    token.c.status == ObjectStatus.INITIAL.name,
                ),
            )
        )
        .order_by(token.c.status.desc(), token.c.since.desc(), token.c.token_pos)
        .limit(1)
    )
    with store.explaining(), store.database.reading() as connection:
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        step = store.models.execution.__table__
        last = (
            select(step.c.finished)
            .where(step.c.object_id == row.id)
            .order_by(step.c.step.desc())
            .limit(1)
        )
        since = connection.execute(last).scalar() or row.since
    return Running(task_at(store, mark, row.callback_pos), row.token_pos, since)


@frozen
class Recovered:
    """What became of a run whose owner had died.

    :param result: ``completed``, ``halted`` or ``error``, as the run then was; ``refused`` where
        it could not be taken up; or, of a dry run, ``found``.
    :param error: why it was refused, or what came out of it.
    """

    uuid: str
    name: str
    result: str
    error: Exception | None = None


FOUND, REFUSED = "found", "refused"


def recover(  # noqa: PLR0913 - each is optional
    store: Store,
    *,
    engine: Any = None,
    definitions: Mapping[str, Any] | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    names: Collection[str] | None = None,
    style: str | None = None,
    by: str | None = None,
    on_taken: Callable[[Any], AbstractContextManager[Any]] | None = None,
    on_found: Callable[[Recovered], Any] | None = None,
    owner: Any = None,
) -> Generator[Any, Any, list[Recovered]]:
    """Take up the runs whose owner died, one after the other, and run each in this process.

    :meth:`~wfengine.store.Store.recover` does so, and
    :meth:`~wfengine.store.Store.recover_async` inside an event loop.

    Run it when a program starts, or in a loop; any number of processes may. Each run goes on where
    it stood. Undecided halts stay halted and failed tokens are left alone, as they would have been
    had nobody died. A run that somebody had asked to stop is halted. What is wrong with one run
    is reported, and does not keep the others from being recovered.

    :param engine: the class to use; by default :class:`~wfengine.engine_db.DbWorkflowEngine`.
    :param definitions: by name of the run, what it runs, where that is not registered here.
    :param limit: take up so many runs at most.
    :param dry_run: only find them.
    :param names: only runs of these names.
    :param style: only runs that this way of writing workflows began.
    :param by: who asks for it, if a person does; the audit says so then.
    :param on_taken: called with the engine of each run that goes on; what it returns is entered
        before the run does, and left when it has ended.
    :param on_found: called with what became of each run, as soon as that is known.
    :param owner: the asyncio task that does it, if one does.
    """
    if engine is None:
        from wfengine.engine_db import DbWorkflowEngine as engine  # noqa: N813
    known, recovered, tell = definitions or {}, list[Recovered](), on_found or (lambda run: None)
    for uuid, name, is_to_stop in _abandoned(store, names, style):
        if limit is not None and sum(found.result != REFUSED for found in recovered) >= limit:
            break
        if dry_run:
            recovered.append(Recovered(uuid, name, FOUND))
            tell(recovered[-1])
            continue
        taken = _Attempt(store, engine, uuid, name, known.get(name), by, on_taken or nullcontext)
        found = taken.halt() if is_to_stop else (yield from taken.go_on(owner))
        if found is not None:
            recovered.append(found)
            tell(found)
    return recovered


def _abandoned(
    store: Store, names: Collection[str] | None, style: str | None
) -> Iterator[tuple[str, str, bool]]:
    """Yield the uuid and the name of runs whose owner has died, and whether they were to stop.

    Those that had the fewest owners come first: a run that kills whoever takes it up keeps the
    others waiting once, and not for ever. Those that somebody had and whose status is none are
    among them, to be told of.
    """
    table, seen = store.models.workflow.__table__, set[int]()
    owners = table.c.lease_token
    columns = (table.c.id, table.c.uuid, table.c.name, table.c.lease_owner, owners)
    is_begun = table.c.status == WorkflowStatus.RUNNING.name
    damaged = set(values_of(store, table.c.status)) - WorkflowStatus.__members__.keys()
    query = select(
        *columns,
        type_coerce(table.c.lease_expires, Double).label("expires"),
        table.c.stop_requested.is_not(None).label("stops"),
        is_begun.label("is_begun"),
    ).where(
        table.c.status.in_([WorkflowStatus.RUNNING.name, *damaged]),
        or_(is_begun, table.c.lease_owner.is_not(None)),
        table.c.parent_id.is_(None),
    )
    if names is not None:
        query = query.where(is_named(table, names))
    if style is not None:
        query = query.where(table.c.style == style)
    page = query = query.order_by(owners, table.c.id).limit(PAGE)
    while True:
        with store.explaining(), store.database.reading() as connection:
            rows = connection.execute(page).all()
        if not rows:
            return
        now = store.clock()
        for row in rows:
            if row.id not in seen and _is_left(row, now):
                seen.add(row.id)  # who could not go on with it was an owner, too
                yield row.uuid, row.name, bool(row.stops and row.is_begun)
        last = rows[-1]
        is_alike = (owners == last.lease_token) & (table.c.id > last.id)
        page = query.where((owners > last.lease_token) | is_alike)


def _is_left(row: Any, now: float) -> bool:
    """Return whether the owner of a run is gone, or it is not known until when it has it."""
    return has_ended(row, now) or moment_of(row.expires) is None or is_dead(row.lease_owner)


@frozen
class _Attempt:
    """An attempt to take up one run."""

    store: Store
    engine: Any
    uuid: str
    name: str
    definition: Any
    by: str | None
    on_taken: Callable[[Any], AbstractContextManager[Any]]

    def go_on(self, owner: Any) -> Generator[Any, Any, Recovered | None]:
        """Run it to where it ends or halts; None if somebody else was faster."""
        try:
            given = {} if self.definition is None else {"definition": self.definition}
            eng = self.engine.from_uuid(self.uuid, store=self.store, **given)
            with self.on_taken(eng):
                is_taken = yield from self._take_up(eng, owner)
            return self._reported() if is_taken else None
        except (LeaseHeldError, UnknownRunError):
            return None
        except HaltProcessing:
            return self._reported()
        except Exception as error:  # noqa: BLE001 - is reported, and the next run is looked at
            return self._reported(error)

    def halt(self) -> Recovered | None:
        """Do what its owner did not live to do."""
        run = self.store.find_run(uuid=self.uuid)
        if run is None or not _Ownership.of(self.store, run.id).is_over(self.store):
            return None
        return self._reported()

    def _take_up(self, eng: Any, owner: Any) -> Generator[Any, Any, bool]:
        """Go on with what was going on; return False if others have taken the run up since."""
        journal: Journal = eng.recorder
        plan = eng._plan(recovers=True)
        if not plan.is_empty and journal.run.status is not WorkflowStatus.RUNNING:
            journal.store.give_back(journal)
            return False
        if self.by is not None:
            with self.store.explaining(), self.store.database.writing() as connection:
                note(self.store, connection, "recover", user_name(self.by), self.uuid)
        if not plan.is_empty:
            yield from eng._resume(plan, owner)
        return True

    def _reported(self, error: Exception | None = None) -> Recovered:
        try:
            status = self.store.run(self.uuid).status
        except DamagedDataError:
            status = WorkflowStatus.RUNNING
        result = REFUSED if status is WorkflowStatus.RUNNING else status.name.lower()
        return Recovered(self.uuid, self.name, result, error)


def end_run(store: Store, run: RunRecord, lease: Lease, status: WorkflowStatus | None) -> None:
    """Give a run up with a status, or with that which its tokens say.

    :raises LeaseLostError: when it is not this process's any more.
    """
    writer = Writer(store, run)
    writer.lease = lease
    try:
        writer.write_end(Checkpoint(cursor=run.token_pos), status, None)
    finally:
        writer.close()
        store.keeper.drop(lease)
