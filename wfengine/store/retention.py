"""What is deleted: a run, and what is old: finished runs, old steps, unused definitions.

A run that is being deleted is marked first: it gets an owner of that name, whose lease does not
end, so that nobody can take it up any more. Then go the histories of its tokens, the tokens, the
branches from the inside out, and the run, each batch in a transaction of its own. Whoever is killed
in between leaves a marked run with the rest of its rows, and the next :func:`prune` deletes these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import define
from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Select,
    and_,
    delete,
    false,
    func,
    or_,
    select,
    type_coerce,
    update,
)

from wfengine.errors import UnknownRunError, WorkflowAPIError
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.audit import note, user_name
from wfengine.store.control import DELETING, is_free
from wfengine.store.leases import has_ended, held, is_dead
from wfengine.store.records import RunRecord
from wfengine.store.serialization.faults import check_number, shown

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["DELETING", "Pruned", "delete_run", "is_being_deleted", "prune"]

FOREVER = 4102444800.0
"""The end of the lease of a run that is being deleted: the year 2100, in seconds since 1970."""


@define
class Pruned:
    """How many rows were deleted, or would be.

    :param runs: with their branches, each of which counts.
    :param steps: rows of history.
    :param definitions: descriptions of definitions that no run in the store has.
    """

    runs: int = 0
    tokens: int = 0
    steps: int = 0
    definitions: int = 0


def prune(  # noqa: PLR0913 - each is optional
    store: Store,
    *,
    older_than: timedelta | float,
    statuses: Iterable[WorkflowStatus] = (WorkflowStatus.COMPLETED,),
    keep_history: int | None = None,
    history_older_than: timedelta | float | None = None,
    dry_run: bool = False,
    batch: int = 500,
    by: str | None = None,
    on_batch: Callable[[Pruned], None] | None = None,
    between: Callable[[], None] | None = None,
) -> Pruned:
    """Delete finished runs, and of those that stay the oldest steps of their histories.

    A run that somebody has is not touched, whatever its status, and neither is its history. Steps
    that a run still needs stay: those of a branch until the token that began it is done.

    :param older_than: seconds, or a timedelta, since a run was finished; since its last token
        changed its status, for one that is not.
    :param statuses: of the runs to delete.
    :param keep_history: the last so many steps of each token stay, however old.
    :param history_older_than: steps of the last so many seconds, or of a timedelta, stay.
    :param dry_run: only count. What a deletion makes superfluous is not counted.
    :param batch: how many rows are deleted in one transaction.
    :param by: who deletes; by default the user of this process.
    :param on_batch: called with what was deleted so far, after each transaction. What it raises
        ends this; what is left then is deleted by the next.
    :param between: called whenever no run is deleted in part: before each run, and before each
        batch of old steps. What it raises ends this.
    :raises WorkflowAPIError: for a status or a number that cannot be meant.
    """
    names = _names(statuses)
    before = store.clock() - _seconds(older_than, "older_than")
    since = None
    if history_older_than is not None:
        since = store.clock() - _seconds(history_older_than, "history_older_than")
    check_number(batch, 1, "batch")
    if keep_history is not None:
        check_number(keep_history, 0, "keep_history")
    work: _Counting | _Pruning = _Counting(store, batch)
    if not dry_run:
        work = _Pruning(store, batch, user_name(by), on_batch, between)
    work.go_through_runs(names, before)
    if keep_history is not None or since is not None:
        work.go_through_steps(keep_history, since)
    work.go_through_definitions(before)
    return work.done


def delete_run(store: Store, run: RunRecord, *, by: str | None, batch: int = 500) -> Pruned:
    """Delete a run, whatever its status, with its branches, tokens and history.

    :param by: who deletes; by default the user of this process.
    :raises LeaseHeldError: when somebody has it; nothing is deleted.
    :raises WorkflowAPIError: when it is a branch, which goes with its run.
    """
    if run.parent_id is not None:
        around = store.find_run(id=run.root_id)
        raise WorkflowAPIError(
            f"run {run.uuid} is a branch, and is deleted with the run that it belongs to"
            + ("" if around is None else f": {around.uuid}"),
            id_workflow=run.uuid,
        )
    work = _Pruning(store, batch, user_name(by))
    work.go_through_run(run.id)
    return work.done


def is_being_deleted(store: Store, run_id: int) -> bool:
    """Return whether a run that is no branch is on its way out, or gone."""
    table = store.models.workflow.__table__
    query = select(table.c.lease_owner).where(table.c.id == run_id)
    with store.explaining(), store.database.reading() as connection:
        row = connection.execute(query).one_or_none()
    return row is None or row.lease_owner == DELETING


def _names(statuses: Iterable[WorkflowStatus]) -> list[str]:
    found = [statuses] if isinstance(statuses, WorkflowStatus) else list(statuses)
    for status in found:
        if not isinstance(status, WorkflowStatus):
            raise WorkflowAPIError(f"a run's status is a WorkflowStatus, not {shown(status)}")
        if status is WorkflowStatus.RUNNING:
            raise WorkflowAPIError(
                "runs that are running are not deleted: stop them, or let store.recover() take up "
                "those whose owner died"
            )
    return [status.name for status in found]


def _seconds(duration: timedelta | float, what: str) -> float:
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise WorkflowAPIError(
            f"{what} is a timedelta, or seconds from 0 on, not {shown(duration)}"
        )
    return float(seconds)


class _Work:
    """What is to be deleted, as queries."""

    def __init__(self, store: Store, batch: int) -> None:
        self.store, self.batch = store, batch
        self.done = Pruned()
        models = store.models
        self.definition, self.run = models.definition.__table__, models.workflow.__table__
        self.token, self.step = models.object.__table__, models.execution.__table__

    def old_runs(self, names: list[str], before: float) -> Select[Any]:
        """Return the query for runs that are no branches, and are to be deleted."""
        run = self.run
        is_old = and_(
            run.c.status.in_(names),
            func.coalesce(_number(run.c.finished), _number(run.c.started), _number(run.c.created))
            <= before,
            or_(run.c.finished.is_not(None), ~self._has_changed_since(before)),
            is_free(run, self.store.clock()),
        )
        return select(run.c.id).where(
            run.c.parent_id.is_(None), or_(run.c.lease_owner == DELETING, is_old)
        )

    def _has_changed_since(self, before: float) -> ColumnElement[bool]:
        """Return whether a token of a run, or of a branch of it, has changed its status since."""
        inner = self.run.alias()
        return (
            select(self.token.c.id)
            .join(inner, inner.c.id == self.token.c.workflow_id)
            .where(
                or_(inner.c.id == self.run.c.id, inner.c.root_id == self.run.c.id),
                _number(self.token.c.since) > before,
            )
            .correlate(self.run)
            .exists()
        )

    def settled_tokens(self) -> Select[Any]:
        """Return the query for tokens whose old steps nobody needs.

        A branch's steps tell what it did to its copy of a token, until that is put into the token.
        """
        run, outer, around = self.run, self.run.alias(), self.token.alias()
        return (
            select(self.token.c.id)
            .join(run, run.c.id == self.token.c.workflow_id)
            .join(outer, outer.c.id == func.coalesce(run.c.root_id, run.c.id))
            .outerjoin(around, around.c.id == run.c.parent_object_id)
            .where(
                is_free(outer, self.store.clock()), outer.c.status != WorkflowStatus.RUNNING.name
            )
            .where(
                or_(
                    run.c.parent_object_id.is_(None), around.c.status == ObjectStatus.COMPLETED.name
                )
            )
        )

    def old_steps(self, keep: int | None, since: float | None) -> Select[Any]:
        """Return the query for old steps, the first of each token first."""
        token, step = self.token, self.step
        query = (
            select(step.c.id)
            .join(token, token.c.id == step.c.object_id)
            .order_by(step.c.object_id, step.c.step)
        )
        if keep is not None:
            query = query.where(step.c.step <= token.c.steps - keep)
        if since is not None:
            query = query.where(_number(step.c.finished) <= since, ~self._is_after_later(since))
        return query

    def _is_after_later(self, since: float) -> ColumnElement[bool]:
        """Return whether a step comes after one that stays, as when a clock was set back."""
        earlier = self.step.alias()
        return (
            select(earlier.c.id)
            .where(
                earlier.c.object_id == self.step.c.object_id,
                earlier.c.step < self.step.c.step,
                _number(earlier.c.finished) > since,
            )
            .correlate(self.step)
            .exists()
        )

    def unused_definitions(self, before: float) -> ColumnElement[bool]:
        """Return the condition for definitions that no run has."""
        definition = self.definition
        has_run = select(self.run.c.id).where(self.run.c.fingerprint == definition.c.fingerprint)
        return and_(
            _number(definition.c.created) <= before, ~has_run.correlate(definition).exists()
        )


def _number(column: Any) -> Any:
    """Return a column of times as seconds since 1970."""
    return type_coerce(column, Double)


class _Counting(_Work):
    """Counts what would be deleted."""

    def __init__(self, store: Store, batch: int) -> None:
        super().__init__(store, batch)
        self._is_old: ColumnElement[bool] = false()

    def go_through_runs(self, names: list[str], before: float) -> None:
        """Count the runs and all that belongs to them."""
        old = self.old_runs(names, before).subquery()
        run, token, step = self.run, self.token, self.step
        self._is_old = func.coalesce(run.c.root_id, run.c.id).in_(select(old.c.id))
        tokens = select(token.c.id).join(run, run.c.id == token.c.workflow_id).where(self._is_old)
        steps = select(step.c.id).where(step.c.object_id.in_(tokens))
        self.done.runs = self._count(select(run.c.id).where(self._is_old))
        self.done.tokens, self.done.steps = self._count(tokens), self._count(steps)

    def go_through_steps(self, keep: int | None, since: float | None) -> None:
        """Count the old steps of runs that stay."""
        settled = self.settled_tokens().where(~self._is_old)
        query = self.old_steps(keep, since).where(self.token.c.id.in_(settled)).order_by(None)
        self.done.steps += self._count(query)

    def go_through_definitions(self, before: float) -> None:
        """Count the definitions that no run has."""
        unused = self.unused_definitions(before)
        self.done.definitions = self._count(select(self.definition.c.fingerprint).where(unused))

    def _count(self, query: Any) -> int:
        with self.store.explaining(), self.store.database.reading() as connection:
            found = connection.execute(select(func.count()).select_from(query.subquery()))
            return int(found.scalar_one())


class _Pruning(_Work):
    """Deletes, a batch at a time.

    :param by: who does.
    :param on_batch: told after each transaction what was deleted so far.
    :param between: called whenever no run is deleted in part.
    """

    def __init__(
        self,
        store: Store,
        batch: int,
        by: str,
        on_batch: Callable[[Pruned], None] | None = None,
        between: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(store, batch)
        self.by, self.on_batch = by, on_batch
        self.between = between or (lambda: None)

    def go_through_run(self, run_id: int) -> None:
        """Delete one run and all that belongs to it.

        :raises LeaseHeldError: when somebody has it.
        """
        with self._writing() as connection:
            connection.execute(
                select(self.run.c.id).where(self.run.c.id == run_id).with_for_update()
            )
            row = connection.execute(self.store.queries.owner, {"run": run_id}).one_or_none()
            if row is None:
                raise UnknownRunError(f"run {run_id} has been deleted")
            is_left = row.lease_owner == DELETING or has_ended(row, self.store.clock())
            if not is_left and not is_dead(row.lease_owner):
                raise held(row)
            self._make_nobodys(connection, run_id, "delete")
        self._delete_run(run_id)

    def go_through_runs(self, names: list[str], before: float) -> None:
        """Delete the runs and all that belongs to them."""
        old = self.old_runs(names, before)
        for page in self._pages(old, self.run.c.id):
            for run_id in page:
                self.between()
                if self._mark(run_id, old):
                    self._delete_run(run_id)

    def _mark(self, run_id: int, old: Select[Any]) -> bool:
        """Make a run nobody's; return False where it is not old any more."""
        run = self.run
        with self._writing() as connection:
            connection.execute(select(run.c.id).where(run.c.id == run_id).with_for_update())
            if connection.execute(old.where(run.c.id == run_id)).one_or_none() is None:
                return False
            self._make_nobodys(connection, run_id, "prune")
        return True

    def _make_nobodys(self, connection: Connection, run_id: int, action: str) -> None:
        """Have nobody take a run up any more; who deletes it is written down once."""
        run = self.run
        query = select(run.c.uuid, run.c.name, run.c.status, run.c.token_count, run.c.lease_owner)
        row = connection.execute(query.where(run.c.id == run_id)).one()
        if row.lease_owner != DELETING:
            said = {"name": row.name, "status": row.status, "tokens": row.token_count}
            note(self.store, connection, action, self.by, row.uuid, details=said)
        connection.execute(
            update(run)
            .where(or_(run.c.id == run_id, run.c.root_id == run_id))
            .values(
                lease_owner=DELETING,
                lease_token=run.c.lease_token + 1,
                lease_expires=FOREVER,
            )
        )

    def _delete_run(self, run_id: int) -> None:
        run, inner = self.run, self.run.alias()
        branches = select(run.c.id).where(run.c.root_id == run_id)
        for page in self._pages(branches, run.c.id):
            self._delete_tokens(page)
        self._delete_tokens([run_id])
        has_branch = select(inner.c.id).where(inner.c.parent_id == run.c.id).exists()
        self._delete(run, branches.where(~has_branch), "runs")
        self._delete(run, select(run.c.id).where(run.c.id == run_id), "runs")

    def _delete_tokens(self, run_ids: list[int]) -> None:
        token, step = self.token, self.step
        query = (
            select(token.c.id)
            .where(token.c.workflow_id.in_(run_ids))
            .order_by(token.c.workflow_id, token.c.token_pos)
            .limit(self.batch)
        )
        while found := self._numbers(query):
            is_found, of_found = token.c.id.in_(found), step.c.object_id.in_(found)
            self._delete(step, select(step.c.id).where(of_found), "steps")
            with self._writing() as connection:
                # Locked, so that a step which somebody added in the last moment is seen.
                connection.execute(select(token.c.id).where(is_found).with_for_update())
                self.done.steps += connection.execute(delete(step).where(of_found)).rowcount
                self.done.tokens += connection.execute(delete(token).where(is_found)).rowcount

    def go_through_steps(self, keep: int | None, since: float | None) -> None:
        """Delete the old steps of the runs that are left."""
        before = self.done.steps
        old = self.old_steps(keep, since)
        tokens = self.settled_tokens()
        if keep is not None:
            tokens = tokens.where(self.token.c.steps > keep)
        try:
            for page in self._pages(tokens, self.token.c.id):
                self.between()
                self._delete(self.step, old.where(self.token.c.id.in_(page)), "steps")
        finally:
            deleted = self.done.steps - before
            if deleted:
                said = {"steps": deleted, "keep_history": keep, "history_before": since}
                with self.store.explaining(), self.store.database.writing() as connection:
                    note(self.store, connection, "prune", self.by, details=said)

    def go_through_definitions(self, before: float) -> None:
        """Delete the definitions that no run has."""
        unused = delete(self.definition).where(self.unused_definitions(before))
        with self._writing() as connection:
            self.done.definitions = connection.execute(unused).rowcount

    def _pages(self, query: Select[Any], number: Any) -> Iterator[list[int]]:
        """Yield what a query finds, each a batch, by ascending numbers."""
        last = 0
        while found := self._numbers(query.where(number > last).order_by(number).limit(self.batch)):
            yield found
            last = found[-1]

    def _delete(self, table: Any, query: Select[Any], counted: str) -> None:
        """Delete the rows that a query finds, the first batch of them as long as there is one.

        :param counted: as what they are.
        """
        while found := self._numbers(query.limit(self.batch)):
            with self._writing() as connection:
                rows = connection.execute(delete(table).where(table.c.id.in_(found))).rowcount
                setattr(self.done, counted, getattr(self.done, counted) + rows)

    def _numbers(self, query: Select[Any]) -> list[int]:
        with self.store.explaining(), self.store.database.reading() as connection:
            return list(connection.execute(query).scalars())

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.store.explaining(), self.store.database.writing() as connection:
            yield connection
        if self.on_batch is not None:
            self.on_batch(self.done)
