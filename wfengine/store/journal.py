"""The journal of a run: each step of an engine becomes rows, several of them one checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, field
from sqlalchemy import func, select

from wfengine.errors import (
    DamagedDataError,
    HaltProcessing,
    LeaseLostError,
    PositionError,
    StopRequested,
    StoreError,
    WorkflowAPIError,
    together,
)
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.leases import Lease, acquire, check, owner_name
from wfengine.store.memory import recall
from wfengine.store.passes import Halts
from wfengine.store.records import RunRecord, TokenRecord, columns_of
from wfengine.store.steps import DONE
from wfengine.store.token_notes import TokenNotes, has_halted

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

__all__ = ["Journal"]


@define(eq=False)
class Journal(TokenNotes):
    """Writes down one run for one engine, which is a branch's if the run is a branch."""

    is_new: bool = field(init=False, default=False)
    """Whether the tokens that come are to be stored."""
    shares_token: bool = field(init=False, default=False)
    """Whether it is a branch whose token is that of its parent."""
    adopts: bool = field(init=False, default=False)
    """Whether branches that were left behind are to be taken up."""
    is_noted: bool = field(init=False, default=False)
    """Whether the store says already that it is running."""
    may_differ: bool = field(init=False, default=False)
    """Whether objects in memory may not be what is stored, because others have changed that."""
    _is_running: bool = field(init=False, default=False)
    _suspect: DamagedDataError | None = field(init=False, default=None)
    _damaged: list[StoreError] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.tokens.save = self._save_tokens
        self.tokens.unwritten = self._unwritten
        self.tokens.check = self._check_lease

    def session(self) -> Session:
        """Return a session whose writes are part of the next checkpoint.

        :raises WorkflowAPIError: when the engine is at rest, and nothing would commit them.
        """
        if not self._is_running:
            raise WorkflowAPIError(
                "eng.session is for the tasks and hooks of a run that is going on, whose "
                "checkpoints commit what they write; outside of it, use store.session()",
                self.run.uuid,
            )
        return super().session()

    def _save_tokens(self, write: Callable[[Connection], Any]) -> None:
        """Store further tokens, by themselves: they are read over another connection."""
        self.flush()
        self.writer.transact(write)

    def _check_lease(self, connection: Connection) -> None:
        """Refuse to go on with what another process has made of a token meanwhile."""
        if self.lease is not None:
            check(self.store, connection, self.lease)

    def _unwritten(self) -> dict[int, TokenRecord]:
        return {change.token.index: change.token for change in self._pending.tokens.values()}

    def stored_extra_data(self) -> dict[str, Any]:
        """Return ``extra_data`` as it was stored last.

        :raises DamagedDataError: naming the row.
        """
        try:
            found = self.types.loads(self.run.extra_text)
            if not isinstance(found, dict):
                raise DamagedDataError("extra_data is no dictionary")
        except DamagedDataError as error:
            raise DamagedDataError(error.message, row=f"workflow {self.run.id}") from error
        return found

    def check_count(self) -> None:
        """Look whether the run has as many tokens as its row says; those that are there count."""
        table, said = self.store.models.object.__table__, self.run.token_count
        index, of_run = table.c.token_pos, table.c.workflow_id == self.run.id
        with self.store.explaining(), self.store.database.reading() as connection:
            last = connection.execute(select(func.max(index)).where(of_run)).scalar()
            if last == said - 1 or (last is None and not said):
                return
            rows = connection.execute(select(func.count()).where(of_run)).scalar_one()
            is_beyond = index >= max(said, rows)
            inside = select(func.max(index)).where(of_run, ~is_beyond)
            last = connection.execute(inside).scalar()
            beyond = connection.execute(select(table.c.id, index).where(of_run, is_beyond)).first()
        count = 0 if last is None else last + 1
        reason, row = f"it has {count} tokens and says {said}", f"workflow {self.run.id}"
        if beyond is not None:
            reason = f"its index in the run is {str(beyond.token_pos)[:60]!r}, of {rows}"
            row = f"workflow_object {beyond.id}"
        self._suspect = DamagedDataError(reason, row=row)
        self.store.log.warning("run %s: %s", self.run.uuid, self._suspect)
        if self.passing.cursor >= said:
            self.passing.cursor = count
        self.tokens.reload(count)

    def reload(self, run: RunRecord) -> None:
        """Take the row of the run as it is now."""
        self.run = self.writer.run = run
        self.passing.cursor, self._extra_text = run.token_pos, run.extra_text
        self.tokens.reload(run.token_count)
        self.may_differ = True

    def expect_new(self, stop_on_error: bool, stop_on_halt: bool) -> None:
        """Have the tokens that come stored, and run.

        :raises WorkflowAPIError: when those of the last time are not done.
        """
        if self.passing.cursor < len(self.tokens) and len(self.tokens) and self.lease is None:
            raise WorkflowAPIError(
                f"run {self.run.uuid} is not over: eng.resume() goes on with it. For other tokens "
                "begin another run",
                self.run.uuid,
            )
        self.go_where_told()
        self.is_new = self.lease is None
        self.run.options.update(stop_on_error=stop_on_error, stop_on_halt=stop_on_halt)

    def go_where_told(self) -> None:
        """Take up nothing of what an earlier plan may have left."""
        self.passing.clear()
        self.is_new, self.halts = False, Halts.REPEAT

    def run_begins(self, objects: Sequence[Any]) -> Any:
        """Take the lease and store the tokens."""
        if self._is_running and self._task is not None:  # restarted by one of its own tasks
            self._note_step(self._task, DONE, {"transition": "restart"})
        is_new, self.is_new = self.is_new, False
        if self.run.parent_id is not None and self.passing.goes_on is None and not is_new:
            self._halt_again()
        if is_new:
            self._begin_anew(objects)
        elif self.lease is None:
            self.lease = self.store.take(self.run, self._stop)
            if self.lease.checkpoints != self.run.checkpoints:
                self.reload(self.store.run(self.run.uuid))
        self.writer.lease = self.lease
        if not (is_new or self._is_running or self.is_noted):
            self.writer.transact(self._write_options)
        self.is_noted = False
        self.run.status = WorkflowStatus.RUNNING
        self._is_running = True
        self._is_stopped = self._has_request = False
        self._damaged = [] if self._suspect is None else [self._suspect]
        self._suspect = None
        self._task = None
        self.passing.begin()
        if not is_new and objects is not self.tokens:
            self.tokens.stand_in(objects)
        if self.adopts:
            self.adopts = False
            self.eng.adopt_branches()
        return self.tokens

    def _halt_again(self) -> None:
        """Raise the halt of a branch about which nothing was decided."""
        table = self.store.models.object.__table__
        query = (
            select(*columns_of(table, "id", "message", "action", "payload"))
            .where(table.c.workflow_id == self.run.id)
            .where(table.c.status == ObjectStatus.HALTED.name, table.c.decision.is_(None))
            .order_by(table.c.token_pos)
        )
        with self.store.explaining(), self.store.database.reading() as connection:
            row = connection.execute(query).first()
        if row is not None:
            if self.shares_token:
                self.restore(
                    self.eng.parent.current_object, self.tokens.record(self.passing.cursor)
                )
            raise HaltProcessing(row.message or "", row.action, self._payload_of(row))

    def _payload_of(self, row: Any) -> Any:
        try:
            return None if row.payload is None else self.types.loads(row.payload)
        except DamagedDataError as error:
            raise DamagedDataError(error.message, row=f"workflow_object {row.id}") from error

    def _begin_anew(self, objects: Sequence[Any]) -> None:
        """Take the lease, and store how the run is run, and its tokens, all or nothing."""
        count = len(self.tokens)
        self.eng.state.token_pos = self.passing.cursor = count - 1
        self.writer.lease = None
        try:
            lease = self.writer.transact(lambda connection: self._open(connection, objects))
        except BaseException:
            self.tokens.reload(count)
            raise
        self.lease = lease
        self.store.keep(self.run, lease, self._stop)
        if hasattr(objects, "reaches"):
            self.tokens.read_from(iter(_one_by_one(objects)))
        self.policy.begin(self.store.clock())

    def _open(self, connection: Connection, objects: Sequence[Any]) -> Lease:
        store = self.store
        lease = acquire(store, connection, self.run.id, owner_name())
        if (lease.checkpoints, lease.token_count) != (self.run.checkpoints, len(self.tokens)):
            raise WorkflowAPIError(
                "another engine has worked on this run since; get a new one from "
                "DbWorkflowEngine.from_uuid(uuid, store=store)",
                self.run.uuid,
            )
        if hasattr(objects, "reaches"):
            self.run.options["is_complete"] = False
        else:
            self.tokens.add(connection, objects)
        self._write_options(connection)
        return lease

    def _write_options(self, connection: Connection) -> None:
        values = {"run": self.run.id, "how": self.run.options, "now": self.store.clock()}
        connection.execute(self.store.queries.begin, values)

    def _stop(self, transition: Any) -> None:
        self.eng.interrupt(transition)

    def next_token(self, index: int) -> int | None:
        """Return which token comes next: those to take up first, then the pass.

        Tokens whose rows are damaged are left out, and told of at the end.
        """
        found = self._next(index)
        while found is not None and found < len(self.tokens) and not self._is_sound(found):
            found = self._next(found + 1)
        if found is not None and found >= len(self.tokens) and self.passing.is_whole:
            self.passing.cursor = found  # of the input, which is read on now
        return found

    def _is_sound(self, index: int) -> bool:
        try:
            token = self.tokens.record(index)
            if self.may_differ or token.is_dirty:
                self._restore(index, token)
            recall(token, self.types)
            start = self.passing.start
            if start is not None and not start.is_fresh:
                self._check_position(token)
        except (DamagedDataError, PositionError) as error:
            self.store.log.warning("run %s: %s", self.run.uuid, error)
            self._damaged.append(error)
            return False
        return True

    def _restore(self, index: int, token: TokenRecord) -> None:
        """Make sure that tasks get what is stored, and what they had before is that too."""
        if not self.restore(self.tokens[index], token):
            self.tokens.replace(index, token.value(self.types))

    def _check_position(self, token: TokenRecord) -> None:
        if self.eng.chooses or self.eng.parent is not None:
            return
        position, definition = token.position, self.eng.callbacks.get()
        around = definition.at(position[:-1])
        stands_at_end = isinstance(around, list) and position[-1] == len(around)
        if stands_at_end and len(position) > 1:  # no task of a list inside halts there
            stands_at_end = not has_halted(token)
        if definition.at(position) is None and not stands_at_end:
            raise PositionError(
                f"workflow_object {token.id}: position {token.path} is not in the definition",
                self.run.uuid,
                token.id,
            )

    def _next(self, index: int) -> int | None:
        found = self.passing.next(index)
        if self.passing.start is not None and found is not None:
            self.tokens.refresh(found)  # others may have decided on it meanwhile
        return found

    def run_ended(self, error: BaseException | None) -> Any:
        """Write down how the run has ended, and give it back."""
        if error is None:
            return self._later(self._end_well)
        try:
            with self._lock:  # a write in a thread may be under way
                self._writes.drop()
                self._end(error)
        except StoreError as problem:
            self.store.log.warning("run %s: its end is not written: %s", self.run.uuid, problem)
        return None

    def _end_well(self) -> None:
        damaged, self._damaged = self._damaged, []
        if not damaged:
            self._end(None)
            return
        problem = together(f"{len(damaged)} tokens have damaged rows", damaged)
        self._end(None, problem)
        raise problem

    def close(self) -> None:
        """Give back a run of which nothing is to be done; its tokens tell its status."""
        self.writer.lease = self.lease
        token = self.tokens.sound(self.passing.cursor)
        is_failed = token is not None and token.status is ObjectStatus.ERROR
        status = WorkflowStatus.ERROR if is_failed else None
        if not self.tokens.is_complete:
            status = WorkflowStatus.HALTED
        try:
            self.writer.write_end(self._take_pending(), status, None)
        finally:
            self.writer.close()
            if self.lease is not None:
                self.store.keeper.drop(self.lease)
                self.lease = None

    def _end(self, error: BaseException | None, problem: Exception | None = None) -> None:
        """Write down how the run has ended, and give it back.

        :param error: what has broken it off.
        :param problem: what is wrong with tokens that were left out of a run that has come to its
            end; it has failed then.
        """
        self._is_running = False
        self.writer.lease = self.lease  # which may have been taken a moment before the error
        self._writes.keep()
        is_over = error is None and not self._is_stopped
        if is_over and (self.passing.is_whole or self._was_last()):
            self._note_end()
        try:
            if self.lease is not None and not isinstance(error, LeaseLostError):
                status = self._status(error)
                if status is None and problem is not None:
                    status = WorkflowStatus.ERROR
                end = self.writer.write_end(self._take_pending(), status, error or problem)
                self._tell_parent(end)
        finally:
            self.writer.close()
            if self.run.root_id is None and self.lease is not None:
                self.store.keeper.drop(self.lease)
                self.lease = None

    def _tell_parent(self, request: StopRequested | None) -> None:
        """Have the run around a branch stop, if somebody wants that and it was not known yet."""
        if request is not None and self.run.root_id is not None and not self._has_request:
            self.eng.parent.interrupt(request)

    def _was_last(self) -> bool:
        """Return whether no token is left after the one at which the pass had stopped."""
        if not 0 <= self.passing.cursor == len(self.tokens) - 1:
            return False
        token = self.tokens.sound(self.passing.cursor)
        return token is not None and token.status is ObjectStatus.COMPLETED

    def _note_end(self) -> None:
        """Note that the pass over all tokens is over, and how, if it says so nowhere else."""
        options = self.run.options
        before = dict(options)
        if self.tokens.is_complete and not options.get("is_complete", True):
            options["is_complete"] = True
        if self.passing.cursor + 1 < len(self.tokens):
            options["stopped_at"] = self.passing.cursor
        if options != before:
            self.writer.transact(self._write_options)
        self.passing.cursor = len(self.tokens)

    def _status(self, error: BaseException | None) -> WorkflowStatus | None:
        """Return the status at the end, or None where that of the tokens decides."""
        if isinstance(error, HaltProcessing) or self._is_stopped:
            return WorkflowStatus.HALTED
        if error is None:
            is_over = self.passing.cursor >= len(self.tokens) and self.tokens.is_complete
            return None if is_over else WorkflowStatus.HALTED
        return WorkflowStatus.ERROR if isinstance(error, Exception) else WorkflowStatus.HALTED


def _one_by_one(stream: Any) -> Iterator[Any]:
    """Yield the tokens of a stream, which reads them when asked."""
    index = 0
    while stream.reaches(index):
        yield stream[index]
        index += 1
