"""The store: one database with the runs, their tokens and their history."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from wfengine.definitions import Registry, fingerprint, registry, skeleton
from wfengine.definitions.trees import tree_of
from wfengine.errors import (
    DamagedDataError,
    UnknownRunError,
    UnknownTokenError,
    WorkflowAPIError,
    WorkflowDefinitionError,
)
from wfengine.interpreter import drive, drive_async
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import (
    activity,
    audit,
    control,
    decisions,
    listing,
    live,
    outcomes,
    retention,
    schema,
    timings,
    travel,
    views,
)
from wfengine.store.database import Database
from wfengine.store.leases import Keeper, Lease, acquire, check, owner_name, release
from wfengine.store.models import Models
from wfengine.store.queries import Queries
from wfengine.store.records import RunRecord, TokenRecord, columns_of
from wfengine.store.serialization import Types
from wfengine.store.serialization.faults import shown
from wfengine.store.statements import Statements
from wfengine.store.tokens import Tokens
from wfengine.store.waiting import WaitingTokens

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

    from wfengine.drawing import NodeState
    from wfengine.store.activity import LogEntry
    from wfengine.store.audit import AuditEntry
    from wfengine.store.listing import RunPage, RunSummary
    from wfengine.store.outcomes import FailureGroup, Outcome
    from wfengine.store.schema import SchemaInfo
    from wfengine.store.timings import TaskTime, TokenTime
    from wfengine.store.travel import RunComparison, Step
    from wfengine.store.views import StoredToken

__all__ = ["Store"]

OWN_MODELS = Models()


UUID_LENGTH = 36


class Store:
    """A database with runs, their tokens, and what was done to each.

    Its tables are made on first use. Any number of processes may share one; close it, or use it in
    a ``with`` statement, to give its connections back.

    :param url: ``sqlite:///runs.db``, ``postgresql+psycopg://...`` or ``mysql+pymysql://...``;
        ``sqlite://`` is a database that is gone when the store is closed.
    :param types: what can be stored besides plain data.
    :param models: the tables to use, where they are not wfengine's own.
    :param lease_seconds: for how long a process that died keeps its runs from others.
    :param synchronous: SQLite's setting; with ``NORMAL`` a power failure may cost the last steps.
    :param busy_timeout: seconds to wait for another process that writes to the same SQLite file.
    :param clock: returns the time as seconds since 1970.
    :param definitions: where definitions are found by name.
    :param options: for SQLAlchemy's ``create_engine``.

    >>> with Store("sqlite://") as store:
    ...     store.prepare()
    ...     store.schema_info().is_current
    True
    """

    def __init__(
        self,
        url: str | URL,
        *,
        types: Types | None = None,
        models: Models = OWN_MODELS,
        lease_seconds: float = 60.0,
        synchronous: str = "FULL",
        busy_timeout: float = 60.0,
        clock: Callable[[], float] = time.time,
        definitions: Registry = registry,
        **options: Any,
    ) -> None:
        if not lease_seconds > 0:
            raise WorkflowAPIError(f"lease_seconds is more than 0, not {shown(lease_seconds)}")
        self.types = types or Types()
        self.models = models
        self.lease_seconds = float(lease_seconds)
        self.clock = clock
        self.definitions = definitions
        self.log = logging.getLogger("wfengine.store")
        self._database = Database(url, synchronous, busy_timeout, **options)
        self._statements: Statements | None = None
        self._keeper: Keeper | None = None
        self.queries = Queries(models)
        self._is_ready = False

    # The database

    @property
    def database(self) -> Database:
        """The database, with its tables there and current.

        :raises SchemaError: when they are not.
        """
        if not self._is_ready:
            self.prepare()
        return self._database

    @property
    def statements(self) -> Statements:
        """The statements of a checkpoint."""
        if self._statements is None:
            self._statements = Statements.of(self.database, self.models)
        return self._statements

    @property
    def keeper(self) -> Keeper:
        """Who renews the leases of this process."""
        if self._keeper is None:
            self._keeper = Keeper(self)
        return self._keeper

    def prepare(self) -> None:
        """Make the tables, unless they are there; whatever needs them does so too.

        :raises SchemaError: when there are others, or they are not current.
        """
        schema.ensure(self._database.engine, self.models)
        self._is_ready = True

    def is_empty(self) -> bool:
        """Return whether there are no tables yet; changes nothing."""
        return schema.is_empty(self._database.engine)

    def schema_info(self) -> SchemaInfo:
        """Return which tables are there, and whether they are current; changes nothing."""
        return schema.info(self._database.engine)

    def upgrade(self) -> list[str]:
        """Bring the tables up to date; return the revisions that were applied."""
        return schema.upgrade(self._database.engine)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield a session for queries and changes of one's own; it is committed at the end.

        The models are those of :mod:`wfengine.store.models`. Tasks write through ``eng.session``
        instead, so that what they write is part of the checkpoint.
        """
        with Session(self.database.engine) as session, session.begin():
            yield session

    def close(self) -> None:
        """Give all connections back."""
        if self._keeper is not None:
            self._keeper.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __str__(self) -> str:
        return str(self._database)

    def __repr__(self) -> str:
        return f"<Store {self}>"

    # Runs

    def new_run(
        self,
        name: str,
        definition: Any,
        options: dict[str, Any],
        extra_data: dict[str, Any] | None = None,
        lease: Lease | None = None,
        tokens: Sequence[Any] = (),
        **columns: Any,
    ) -> RunRecord:
        """Add a run that nobody has begun, and remember what its definition looks like.

        :param lease: of the run that it is to be a branch of.
        :param tokens: those that it has from the beginning; neither is there without the other.
        :param columns: further columns of the run, by name.
        :raises LeaseLostError: when the lease is not this process's any more.
        :raises NotStorableError: for a token; nothing is written then.
        """
        values = {
            "uuid": str(uuid4()),
            "name": name,
            "fingerprint": fingerprint(definition),
            "status": WorkflowStatus.NEW.name,
            "token_pos": -1,
            "token_count": 0,
            "checkpoints": 0,
            "text": self.types.dumps(extra_data or {}, "extra_data"),
            "options": options,
            "lease_token": 0,
            "created": views.exact(self.clock()),
            **columns,
        }
        with self.explaining(), self.database.writing() as connection:
            if lease is not None:
                check(self, connection, lease, holds=True)
            self.remember_definition(connection, name, definition, values["fingerprint"])
            key: Any = connection.execute(self.queries.add_run, values).inserted_primary_key
            (run_id,) = key
            if tokens:
                Tokens(self, run_id, 0).add(connection, tokens)
            row = connection.execute(self.queries.run_of_id, {"run": run_id}).one()
        return RunRecord.of(row)

    def remember_definition(
        self, connection: Connection, name: str, definition: Any, mark: str
    ) -> None:
        """Write down what a definition looks like, unless that is known.

        :param mark: its fingerprint.
        """
        if connection.execute(self.queries.definition, {"mark": mark}).first() is not None:
            return
        row = {
            "fingerprint": mark,
            "name": name,
            "skeleton": skeleton(definition),
            "created": views.exact(self.clock()),
        }
        try:
            with connection.begin_nested():
                connection.execute(self.queries.add_definition, row)
        except IntegrityError:  # another process was first
            return

    def skeleton(self, mark: str | None) -> Any:
        """Return what the definition of a fingerprint looked like, or None.

        :raises DamagedDataError: naming the row, when it cannot be what was written.
        """
        table = self.models.definition.__table__
        with self.explaining(), self.database.reading() as connection:
            text = connection.execute(
                select(*columns_of(table, "skeleton")).where(table.c.fingerprint == mark)
            ).scalar_one_or_none()
        return None if text is None else _checked_skeleton(text, f"workflow_definition {mark}")

    def run(self, uuid: str | UUID) -> RunRecord:
        """Return the row of a run.

        :raises UnknownRunError: when there is none.
        """
        text, row = str(uuid), None
        if _may_be_uuid(text):
            with self.explaining(), self.database.reading() as connection:
                row = connection.execute(self.queries.run_of_uuid, {"uuid": text}).one_or_none()
        if row is None:
            raise UnknownRunError(f"there is no run {text[:80]!r} in {self._database}")
        return RunRecord.of(row)

    def find_run(self, **values: Any) -> RunRecord | None:
        """Return the row of the run with these values in its columns, or None."""
        table = self.models.workflow.__table__
        query = RunRecord.query(table).where(
            *(table.c[name] == value for name, value in values.items())
        )
        with self.explaining(), self.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else RunRecord.of(row)

    def token(self, token_id: int) -> tuple[TokenRecord, int]:
        """Return the row of a token, and the id of its run.

        :raises UnknownTokenError: when there is none.
        """
        table = self.models.object.__table__
        is_id = isinstance(token_id, int) and not isinstance(token_id, bool)
        if not is_id or not 0 <= token_id < 2**63:
            raise UnknownTokenError(f"a token's id is a number, not {shown(token_id)}")
        with self.explaining(), self.database.reading() as connection:
            row = connection.execute(
                TokenRecord.query(table).where(table.c.id == token_id)
            ).one_or_none()
        if row is None:
            raise UnknownTokenError(f"there is no token {token_id} in {self._database}")
        return TokenRecord.of(row), row.workflow_id

    def text_of_token(self, obj: Any, index: int) -> str:
        """Return a token as it is stored.

        :raises NotStorableError: when it cannot be, or takes more than the database carries.
        """
        text = self.types.dumps(obj, f"token {index}")
        self.database.check_length(text, f"token {index}")
        return text

    def take(self, run: RunRecord, on_request: Callable[[Any], None]) -> Lease:
        """Make a run this process's own.

        :raises LeaseHeldError: when another process has it.
        """
        with self.explaining(), self.database.writing() as connection:
            lease = acquire(self, connection, run.id, owner_name())
        self.keep(run, lease, on_request)
        return lease

    def keep(self, run: RunRecord, lease: Lease, on_request: Callable[[Any], None]) -> None:
        """Renew a lease that was taken."""
        lease.on_request = on_request
        self.keeper.keep(lease)

    def give_back(self, journal: Any) -> None:
        """Release a run that was taken and not run."""
        lease, journal.lease = journal.lease, None
        if lease is None:
            return
        self.keeper.drop(lease)
        with self.database.writing() as connection:
            release(self, connection, lease)

    # Looking

    def runs(self, **which: Any) -> RunPage:
        """Return a page of the runs; see :func:`wfengine.store.listing.runs`."""
        return listing.runs(self, **which)

    def summary(self, uuid: str | UUID) -> RunSummary:
        """Return a run with its tokens counted, as :meth:`runs` has it."""
        return listing.summary(self, str(uuid))

    def places(self, uuid: str | UUID) -> dict[str, dict[ObjectStatus, int]]:
        """Return how many tokens of a run stand at each position: halted, failed or in process."""
        return listing.places(self, self.run(uuid))

    def latest(self, **which: Any) -> RunSummary | None:
        """Return the run that was created last of those that :meth:`runs` would find, or None."""
        found = listing.runs(self, **which, limit=1).items
        return found[0] if found else None

    def tokens(self, uuid: str | UUID, status: ObjectStatus | None = None) -> Sequence[StoredToken]:
        """Return the tokens of a run, in their order, read in pages."""
        return views.tokens(self, self.run(uuid), status)

    def halted(self, uuid: str | UUID | None = None, *, action: str | None = None) -> WaitingTokens:
        """Return the tokens that wait for a decision, the oldest first.

        :param uuid: only those of this run and its branches.
        :param action: only those that halted for this.
        """
        return WaitingTokens(self, None if uuid is None else self.run(uuid), action)

    def history(self, token_id: int) -> list[Step]:
        """Return what was done to a token, step by step, with what each step changed."""
        return travel.history(self, token_id)

    def compare(self, first: str | UUID, second: str | UUID) -> RunComparison:
        """Return two runs side by side, step by step."""
        return travel.compare(self, self.run(first), self.run(second))

    def outcome(self, uuid: str | UUID) -> Outcome:
        """Return what became of the tokens of a run, counted by reason."""
        return outcomes.outcome(self, self.run(uuid))

    def failures(self, uuid: str | UUID) -> list[FailureGroup]:
        """Return the failed tokens of a run, those that failed alike together."""
        return outcomes.failures(self, self.run(uuid))

    def timings(self, uuid: str | UUID, last: int = 10_000) -> list[TaskTime]:
        """Return how long each task of a run took, over about its last so many steps."""
        return timings.timings(self, self.run(uuid), last)

    def slowest(self, uuid: str | UUID, count: int = 10, last: int = 10_000) -> list[TokenTime]:
        """Return the tokens of a run that took longest, over the steps of :meth:`timings`."""
        return timings.slowest(self, self.run(uuid), count, last)

    def activity(
        self,
        uuid: str | UUID,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[LogEntry]:
        """Return the steps of a run and its branches.

        :param after: only those with a greater ``id``, the oldest first; 0 for all.
        :param before: only those with a smaller ``id``; they, or by default all, the newest first.
        """
        return activity.activity(self, self.run(uuid), after=after, before=before, limit=limit)

    def audit(
        self,
        *,
        uuid: str | UUID | None = None,
        token_id: int | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> list[AuditEntry]:
        """Return what people did, the latest first, also to runs that are deleted by now.

        :param before: only what has a smaller ``id``.
        """
        return audit.audit(self, uuid=uuid, token_id=token_id, limit=limit, before=before)

    def live(self, uuid: str | UUID) -> dict[str, NodeState]:
        """Return how many tokens are at each node of a run's definition, to be drawn.

        See :func:`wfengine.store.live.live_state`.
        """
        return live.live_state(self, uuid)

    # Steering

    def decide(
        self,
        token_id: int,
        decision: Any,
        *,
        data: Any = decisions.UNCHANGED,
        by: str | None = None,
        resume: bool = False,
        seen: int | None = None,
    ) -> None:
        """Decide about a halted token.

        :param decision: handed to the next task as ``eng.decision``.
        :param data: what the token is to be from now on.
        :param by: who decides; by default the user of this process.
        :param resume: go on with the token here and now; otherwise whoever resumes the run does.
        :param seen: its number of steps when it was looked at; if it has more, nothing is decided.
        :raises WorkflowObjectStatusError: when it is not halted, was decided on before, or has
            changed since it was seen.
        """
        drive(
            decisions.decide(self, token_id, decision, data=data, by=by, resume=resume, seen=seen)
        )

    async def decide_async(
        self,
        token_id: int,
        decision: Any,
        *,
        data: Any = decisions.UNCHANGED,
        by: str | None = None,
        resume: bool = False,
        seen: int | None = None,
    ) -> None:
        """Do as :meth:`decide`; what is gone on with is awaited in the running event loop."""
        how = {"data": data, "by": by, "resume": resume, "seen": seen, "owner": _current_task()}
        await drive_async(decisions.decide(self, token_id, decision, **how))

    def edit(
        self, token_id: int, data: Any, *, by: str | None = None, seen: int | None = None
    ) -> None:
        """Change a token; its history says who did, and what.

        :param seen: its number of steps when it was looked at; if it has more, nothing is changed.
        """
        travel.edit(self, token_id, data, by=by, seen=seen)

    def fork(
        self,
        token_id: int,
        at: int | str,
        *,
        data: Any = decisions.UNCHANGED,
        by: str | None = None,
    ) -> str:
        """Begin a new run from a step, or path, of a token's history; return its uuid."""
        return travel.fork(self, token_id, at, data=data, by=by)

    def stop(
        self, uuid: str | UUID, *, by: str | None = None, wait: float | None = None
    ) -> control.Stopped:
        """Ask a run, wherever it is, to stop at its next checkpoint, and wait until it has.

        :param wait: seconds to wait at most; by default as long as a lease lasts.
        """
        return control.stop(self, self.run(uuid), by=by, wait=wait)

    def recover(self, **how: Any) -> list[control.Recovered]:
        """Take up the runs whose owner died; see :func:`wfengine.store.control.recover`."""
        found: list[control.Recovered] = drive(control.recover(self, **how))
        return found

    async def recover_async(self, **how: Any) -> list[control.Recovered]:
        """Do as :meth:`recover`, awaiting in the running event loop what has to be awaited."""
        found = await drive_async(control.recover(self, **how, owner=_current_task()))
        return list(found)

    def resume_failures(
        self,
        uuid: str | UUID,
        failure: str,
        *,
        how: str = "resume",
        dry_run: bool = False,
        by: str | None = None,
        engine: Any = None,
    ) -> list[int]:
        """Resume, skip or restart all tokens that failed alike; return their ids.

        :param failure: a :class:`~wfengine.store.outcomes.FailureGroup`'s fingerprint.
        :param how: ``resume`` at the task that failed, ``restart`` at the first, or ``skip``.
        :param engine: of this run, to do it with; by default one for the registered definition.
        """
        options = {"how": how, "dry_run": dry_run, "by": by, "engine": engine}
        return list(drive(outcomes.treat(self, self.run(uuid), failure, **options)))

    async def resume_failures_async(
        self,
        uuid: str | UUID,
        failure: str,
        *,
        how: str = "resume",
        dry_run: bool = False,
        by: str | None = None,
        engine: Any = None,
    ) -> list[int]:
        """Do as :meth:`resume_failures`, awaiting in the running event loop what has to be."""
        options = {"how": how, "dry_run": dry_run, "by": by, "engine": engine}
        group = outcomes.treat(self, self.run(uuid), failure, **options, owner=_current_task())
        return list(await drive_async(group))

    def prune(self, **what: Any) -> retention.Pruned:
        """Delete what is old; see :func:`wfengine.store.retention.prune`."""
        return retention.prune(self, **what)

    def delete(self, uuid: str | UUID, *, by: str | None = None) -> retention.Pruned:
        """Delete a run with its branches, tokens and history; return how many rows that were.

        :param by: who does; by default the user of this process.
        :raises LeaseHeldError: when somebody has it.
        """
        return retention.delete_run(self, self.run(uuid), by=by)

    def note(
        self,
        action: str,
        *,
        by: str | None = None,
        uuid: str | UUID | None = None,
        token_id: int | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Write down in the audit what somebody did by other means than those of this class.

        :param by: who did; by default the user of this process.
        :param details: plain data.
        """
        who, run = audit.user_name(by), None if uuid is None else str(uuid)
        if run is not None and not _may_be_uuid(run):
            raise UnknownRunError(f"there is no run {shown(run)} in {self._database}")
        with self.explaining(), self.database.writing() as connection:
            audit.note(self, connection, action, who, run, token_id, details)

    def explaining(self) -> AbstractContextManager[None]:
        """Turn what the driver complains about into a StoreError that says what to do."""
        return self._database.explaining()


def _checked_skeleton(text: str, row: str) -> Any:
    found = views.plain_of(text, row)
    if not isinstance(found, list):
        raise DamagedDataError("the skeleton is no list", row=row)
    try:
        tree_of(found)
    except WorkflowDefinitionError as error:
        raise DamagedDataError(error.message, row=row) from error
    return found


def _may_be_uuid(text: str) -> bool:
    return len(text) <= UUID_LENGTH and text.isprintable() and text.isascii()


def _current_task() -> Any:
    import asyncio

    return asyncio.current_task()
