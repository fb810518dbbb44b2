"""Checkpoints: what has to be written together, and who writes it.

Each checkpoint of a run has a number, and is written only on top of the one before. So it can be
told, when a connection breaks, whether the last one arrived; and an owner whose lease is over
cannot write.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from wfengine.errors import LeaseLostError, StopRequested, StoreError
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.database import Link
from wfengine.store.failures import describe_error
from wfengine.store.leases import Lease, check
from wfengine.store.problems import explained
from wfengine.store.records import RunRecord, TokenRecord, path_text
from wfengine.store.steps import DOCUMENTS

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["Checkpoint", "Writer"]

PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to reach a database again."""

DETAILS = ("action", "message", "payload", "error", "failure")


@define(eq=False)
class TokenChange:
    """What is to be written of a token; the record tells it at the time of writing."""

    token: TokenRecord
    has_data: bool = False
    has_left: bool = False
    since: float = 0.0
    details: dict[str, Any] = field(factory=dict)

    def values(self) -> dict[str, Any]:
        """Return the values for a statement."""
        token = self.token
        values: dict[str, Any] = {
            "object_id": token.id,
            "data": token.text if self.has_data else None,
            "token_callback_pos": token.path,
            "token_visits": path_text(token.visits),
            "token_memory": token.memory,
            "token_steps": token.steps,
            "token_attempts": token.attempts,
        }
        if self.has_left:
            values.update(
                token_status=token.status.name,
                token_since=self.since,
                token_outcome=token.outcome,
                token_decision=token.decision,
            )
            for name in DETAILS:
                values[f"token_{name}"] = self.details.get(name)
        return values


@define(eq=False)
class Checkpoint:
    """What is to be written together.

    :param joined: the branches whose changes are in a token's data from now on.
    """

    steps: list[dict[str, Any]] = field(factory=list)
    tokens: dict[int, TokenChange] = field(factory=dict)
    joined: list[RunRecord] = field(factory=list)
    cursor: int = -1
    extra_data: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.steps or self.tokens or self.joined) and self.extra_data is None

    def _change(self, token: TokenRecord) -> TokenChange:
        change = self.tokens.get(token.id)
        if change is None:
            change = self.tokens[token.id] = TokenChange(token)
        return change

    def step(self, token: TokenRecord, row: dict[str, Any]) -> None:
        """Add a row to the history of a token."""
        self._change(token)
        self.steps.append(row)

    def last_step(self, token: TokenRecord) -> dict[str, Any] | None:
        """Return the row that was added last, if it is one of this token's."""
        last = self.steps[-1] if self.steps else None
        return last if last is not None and last["object_id"] == token.id else None

    def advance(self, token: TokenRecord, now: float) -> None:
        """Note that a token has come further."""
        change = self._change(token)
        if token.status is not ObjectStatus.RUNNING:
            token.status, token.outcome = ObjectStatus.RUNNING, None
            change.has_left, change.since, change.details = True, now, {}

    def decided(self, token: TokenRecord, now: float) -> None:
        """Note that what was decided about a token has been handed over."""
        change = self._change(token)
        token.status, token.outcome = ObjectStatus.RUNNING, None
        change.has_left, change.since, change.details = True, now, {}

    def begin_again(self, token: TokenRecord, now: float) -> None:
        """Note that a token that had been begun starts at its first task."""
        token.status, token.decision = ObjectStatus.INITIAL, None
        self.advance(token, now)

    def leave(self, token: TokenRecord, now: float, details: dict[str, Any]) -> None:
        """Note that a token has another status."""
        change = self._change(token)
        change.has_left, change.since, change.details = True, now, details

    def data(self, token: TokenRecord) -> None:
        """Note that a token's data has changed."""
        self._change(token).has_data = True


class Writer:
    """Writes the checkpoints of one run, over a connection of its own."""

    def __init__(self, store: Store, run: RunRecord) -> None:
        self._store = store
        self.run = run
        self._link: Link | None = None
        self._began = 0.0
        self.lease: Lease | None = None

    def link(self) -> Link:
        """Return the connection, which is open from its first use to the end of the run."""
        if self._link is None:
            with self._store.explaining():
                self._link = Link.to(self._store.database)
        return self._link

    def begin(self) -> Link:
        """Begin a transaction for the writes of tasks, unless one is under way.

        :raises StoreError: when the database cannot be reached.
        """
        for pause in (*PAUSES, None):
            link = self.link()
            if link.is_in_transaction:
                break
            self._began = self._store.clock()
            try:
                link.connection.begin()
            except DBAPIError as error:
                if not self._give_up_link(error) or pause is None:
                    raise explained(error, self._store.database.engine) from error
                time.sleep(pause)
            except BaseException:  # Ctrl-C, perhaps after the database has begun
                link.rollback()
                raise
            else:
                break
        return self.link()

    def gives_up(self, error: DBAPIError) -> bool:
        """Drop the connection if an error says that it is lost; return whether it does."""
        driver = None if self._link is None else self._link.driver
        return self._store.database.is_lost(error, driver) and self._give_up_link(error)

    def roll_back(self) -> None:
        """Drop the writes of tasks that are under way."""
        if self._link is not None:
            self._roll_back(self._link, in_transaction=True)

    def close(self) -> None:
        """Give the connection back."""
        if self._link is not None:
            self._link.close()
            self._link = None

    @property
    def has_writes(self) -> bool:
        """Whether a task has written something that is not committed yet."""
        return self._link is not None and self._link.is_in_transaction

    def transact(self, write: Callable[[Connection], Any]) -> Any:
        """Write something else, in a transaction with the tasks' own writes, or of its own.

        :raises LeaseLostError: when the run is not this process's any more.
        """
        with self._store.explaining():
            link = self.link()
            if link.is_in_transaction:
                return self._written(write, link.connection, holds=False)
            with link.connection.begin():
                return self._written(write, link.connection, holds=True)

    def _written(
        self, write: Callable[[Connection], Any], connection: Connection, holds: bool
    ) -> Any:
        """Write, unless the run is somebody else's; while a task runs its row is not locked."""
        if self.lease is not None:
            check(self._store, connection, self.lease, holds=holds)
        return write(connection)

    def write(self, checkpoint: Checkpoint) -> StopRequested | None:
        """Write a checkpoint; return the request, if somebody wants the run to stop.

        :raises LeaseLostError: when the run is not this process's any more.
        :raises StoreError: when the database cannot be written to; nothing of it is written then.
        """
        request: StopRequested | None = self._safely(lambda: self._write(checkpoint, None))
        return request

    def write_end(
        self, checkpoint: Checkpoint, status: WorkflowStatus | None, error: BaseException | None
    ) -> StopRequested | None:
        """Write the last checkpoint, with the status of the run, and give up the lease.

        :param status: or None to have that of its tokens decide.
        """
        request: StopRequested | None = self._safely(
            lambda: self._write(checkpoint, lambda: self._write_status(status, error))
        )
        return request

    def _safely(self, write: Callable[[], Any]) -> Any:
        """Write; when the connection is lost, look whether it arrived, and if not, write again."""
        had_writes = self.has_writes
        expected = self.run.checkpoints + 1
        is_repeated = False
        for pause in (*PAUSES, None):
            try:
                return write()
            except LeaseLostError as error:
                if not (is_repeated and self._has_arrived(expected, error, PAUSES[0])):
                    raise
                arrived = True
            except (self._store.database.error_class, DBAPIError) as error:
                is_lost = self._give_up_link(error)
                self.run.checkpoints = expected - 1
                can_repeat = is_lost or self._store.database.is_transient(error)
                if not can_repeat or pause is None:
                    raise explained(error, self._store.database.engine) from error
                arrived = is_lost and self._has_arrived(expected, error, pause)
            is_repeated = True
            if arrived:
                self.run.checkpoints = expected
                return None
            if had_writes:
                raise StoreError(
                    "the database dropped what the last task had written through eng.session, and "
                    "with it the step; the run can be resumed before that task",
                    id_workflow=self.run.uuid,
                )
        return None

    def _give_up_link(self, error: BaseException) -> bool:
        """Drop the connection after an error; return whether it was lost."""
        link, self._link = self._link, None
        is_lost = self._store.database.is_lost(error, None if link is None else link.driver)
        if link is not None and is_lost:
            link.discard()
        elif link is not None:
            link.rollback()
            link.close()
        return is_lost

    def _has_arrived(self, expected: int, cause: Exception, pause: float) -> bool:
        """Return whether a checkpoint was written before its connection broke."""
        table = self._store.models.workflow.__table__
        assert self.lease is not None  # noqa: S101 - a run is written to by its owner only
        query = select(table.c.checkpoints).where(
            table.c.id == self.run.id, table.c.lease_token == self.lease.token
        )
        for wait in (pause, *PAUSES):
            time.sleep(wait)
            try:
                with self._store.database.reading() as connection:
                    return bool(connection.execute(query).scalar_one_or_none() == expected)
            except DBAPIError:
                continue
        raise explained(cause, self._store.database.engine) from cause

    def _write(
        self, checkpoint: Checkpoint, at_end: Callable[[], None] | None
    ) -> StopRequested | None:
        if at_end is None and self._write_at_once(checkpoint):
            return None
        link, statements = self.link(), self._store.statements
        in_transaction = link.is_in_transaction
        try:
            if not in_transaction:
                link.begin()
            request = None
            values = self._fence(checkpoint)
            if not statements.fence.run(link.cursor, values):
                request = self._request()
                if not statements.force.run(link.cursor, values):
                    raise self._lost()
            for change in checkpoint.tokens.values():
                statement = statements.leave if change.has_left else statements.advance
                statement.run(link.cursor, change.values())
            if checkpoint.steps:
                statements.step.run_all(link.cursor, checkpoint.steps)
            for branch in checkpoint.joined:
                options = DOCUMENTS.dumps({**branch.options, "is_joined": True})
                statements.options.run(link.cursor, {"run_id": branch.id, "options": options})
            if at_end is not None:
                self._store.database.check_file()
                at_end()
            self._commit(link, in_transaction)
        except BaseException:
            self._roll_back(link, in_transaction)
            raise
        self.run.checkpoints += 1
        return request

    def _write_at_once(self, checkpoint: Checkpoint) -> bool:
        """Write a checkpoint in one statement, where the database and the checkpoint allow it."""
        statement = self._store.statements.at_once
        if statement is None or self.has_writes or len(checkpoint.steps) != 1 or checkpoint.joined:
            return False
        changes = list(checkpoint.tokens.values())
        if len(changes) != 1 or changes[0].has_left:
            return False
        values = {**self._fence(checkpoint), **changes[0].values(), **checkpoint.steps[0]}
        if not statement.run(self.link().cursor, values):
            return False
        self.run.checkpoints += 1
        return True

    def _fence(self, checkpoint: Checkpoint) -> dict[str, Any]:
        assert self.lease is not None  # noqa: S101 - a run is written to by its owner only
        number = self.run.checkpoints
        return {
            "run_id": self.run.id,
            "lease": self.lease.token,
            "before": number,
            "checkpoints": number + 1,
            "now": self._moment(),
            "cursor": checkpoint.cursor,
            "extra_data": checkpoint.extra_data,
        }

    def _moment(self) -> float:
        """Return the time at which the lease has to be valid.

        A transaction on SQLite keeps all others from writing, the thread that renews the lease
        included; so it is enough that the lease was valid when the transaction began.
        """
        is_alone = self._store.database.is_sqlite and self.has_writes
        return self._began if is_alone else self._store.clock()

    def _commit(self, link: Link, in_transaction: bool) -> None:
        if in_transaction:
            self._renew_after_long(link)
            transaction = link.connection.get_transaction()
            if transaction is not None:
                transaction.commit()
        else:
            link.commit()

    def _renew_after_long(self, link: Link) -> None:
        """Renew the lease where the thread that does so was kept from it for long."""
        store = self._store
        is_long = store.clock() - self._began > store.lease_seconds / 3
        if is_long and store.database.is_sqlite and self.lease is not None:
            store.keeper.renew(link.connection, self.lease)

    def _roll_back(self, link: Link, in_transaction: bool) -> None:
        if not in_transaction:
            link.rollback()
            return
        transaction = link.connection.get_transaction()
        if transaction is not None:
            transaction.close()

    def _request(self) -> StopRequested | None:
        """Return who wants the run to stop, if that is why it could not be written."""
        table = self._store.models.workflow.__table__
        with self._store.database.reading() as connection:
            row = connection.execute(
                select(table.c.stop_requested).where(table.c.id == self.run.id)
            ).one_or_none()
        return StopRequested(row.stop_requested) if row and row.stop_requested is not None else None

    def _lost(self) -> LeaseLostError:
        assert self.lease is not None  # noqa: S101
        return self.lease.lost()

    def _write_status(self, status: WorkflowStatus | None, error: BaseException | None) -> None:
        """Write how a run has ended, and give up its lease."""
        link, statements = self.link(), self._store.statements
        found = status or self._status_by_tokens(link)
        has_failed = error is not None and found is not WorkflowStatus.HALTED
        values = {
            "run_id": self.run.id,
            "status": found.name,
            "finished": self._store.clock() if found is WorkflowStatus.COMPLETED else None,
            "error": DOCUMENTS.dumps(describe_error(error)) if error and has_failed else None,
        }
        end = statements.end if self.run.root_id is None else statements.end_of_branch
        end.run(link.cursor, values)
        self.run.status = found

    def _status_by_tokens(self, link: Link) -> WorkflowStatus:
        """Return the status of a run that is over, as its tokens say."""

        def has(status: ObjectStatus) -> bool:
            values = {"run_id": self.run.id, "status": status.name}
            self._store.statements.any_token.run(link.cursor, values)
            return bool(link.cursor.fetchone()[0])

        if has(ObjectStatus.HALTED) or has(ObjectStatus.RUNNING):
            return WorkflowStatus.HALTED
        if has(ObjectStatus.ERROR) and not has(ObjectStatus.COMPLETED):
            return WorkflowStatus.ERROR
        return WorkflowStatus.COMPLETED
