"""What became of the tokens of a run, and what is done about those that failed alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import define, frozen
from sqlalchemy import ColumnElement, Double, and_, func, select, type_coerce

from wfengine.errors import DamagedDataError, WorkflowAPIError
from wfengine.signals import TokenOutcome
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.audit import note, user_name
from wfengine.store.checkpoints import Checkpoint, Writer
from wfengine.store.columns import storable_text
from wfengine.store.control import end_run
from wfengine.store.failures import message_shape
from wfengine.store.history import last_visit
from wfengine.store.leases import release
from wfengine.store.leftovers import abandon_branches
from wfengine.store.passes import Start
from wfengine.store.records import RunRecord, TokenRecord, columns_of
from wfengine.store.serialization.faults import shown
from wfengine.store.steps import DOCUMENTS, DONE
from wfengine.store.token_notes import WAITING
from wfengine.store.views import moment_of

if TYPE_CHECKING:
    from sqlalchemy import Row

    from wfengine.store.journal import Journal
    from wfengine.store.store import Store

__all__ = ["FailureGroup", "Outcome", "Reason", "failures", "outcome", "treat"]

NAMED = 1000
"""How many tokens of a group are named."""

PAGE = 500
"""How many tokens are changed together."""

WAYS = ("resume", "restart", "skip")


@frozen
class Reason:
    """Why tokens are halted or in error.

    :param reason: a halt's action and message, or an error's type and message; of messages that
        are not all the same, what they have in common: ``row # is no number``.
    """

    status: ObjectStatus
    reason: str
    count: int


@frozen
class Outcome:
    """What became of the tokens of a run, in numbers. Each token is in one of them.

    :param total: the tokens that are stored; an iterator may not have been read to its end.
    :param completed: ran to the end of the definition, or asked for another token.
    :param halted: wait for a person, or for somebody to resume the run, ``decided`` among them.
    :param waiting: wait for a branch, in which a token is halted.
    :param stopped: were ended by ``stop`` or ``abort``.
    :param new: have not been begun.
    :param damaged: have a status that there is not.
    :param decided: halted tokens whose decision has not been handed over yet.
    """

    uuid: str
    status: WorkflowStatus
    total: int
    completed: int
    halted: int
    waiting: int
    in_error: int
    skipped: int
    stopped: int
    running: int
    new: int
    damaged: int
    decided: int
    reasons: tuple[Reason, ...]

    @property
    def is_failure(self) -> bool:
        """Whether an error ended the run, or all of its tokens failed."""
        return self.status is WorkflowStatus.ERROR or 0 < self.total == self.in_error

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do, but perhaps to resume failed tokens."""
        is_left = self.new or self.running or self.halted or self.waiting or self.damaged
        return not is_left and self.status in (WorkflowStatus.COMPLETED, WorkflowStatus.ERROR)


@frozen
class FailureGroup:
    """Tokens that failed alike: in the same task, by an exception of one type and message shape.

    :param failure: the fingerprint of the group.
    :param type: of the exception.
    :param message: that of the first token; the others' differ in numbers and quoted words.
    :param token_ids: of the first thousand.
    :param more: how many more there are.
    :param first: when the first of them failed, in UTC; None where what is stored is no time.
    """

    failure: str
    type: str
    task: str
    message: str
    count: int
    token_ids: tuple[int, ...]
    more: int
    first: datetime | None
    last: datetime | None


def outcome(store: Store, run: RunRecord) -> Outcome:
    """Return what became of the tokens of a run, counted by status and reason."""
    token = store.models.object.__table__
    is_decided = token.c.decision.is_not(None)
    query = (
        select(token.c.status, token.c.outcome, is_decided, func.count())
        .where(token.c.workflow_id == run.id)
        .group_by(token.c.status, token.c.outcome, is_decided)
    )
    with store.explaining(), store.database.reading() as connection:
        rows = connection.execute(query).all()
    counts: Counter[str] = Counter()
    for status, left_by, has_decision, count in rows:
        kind = _kind(status, left_by)
        counts[kind] += count
        if kind == "halted" and has_decision:
            counts["decided"] += count
    kinds = (*KINDS.values(), *KINDS_BY_OUTCOME.values(), "damaged", "decided")
    reasons = (*_reasons_of_halts(store, run), *_reasons_of_failures(store, run))
    return Outcome(
        uuid=run.uuid,
        status=run.status,
        total=sum(row[3] for row in rows),
        reasons=tuple(sorted(reasons, key=lambda reason: -reason.count)),
        **{kind: counts[kind] for kind in kinds},
    )


KINDS = {
    ObjectStatus.INITIAL.name: "new",
    ObjectStatus.RUNNING.name: "running",
    ObjectStatus.ERROR.name: "in_error",
    ObjectStatus.HALTED.name: "halted",
    ObjectStatus.COMPLETED.name: "completed",
}

KINDS_BY_OUTCOME = {
    (ObjectStatus.HALTED.name, WAITING): "waiting",
    (ObjectStatus.COMPLETED.name, TokenOutcome.SKIPPED.value): "skipped",
    (ObjectStatus.COMPLETED.name, TokenOutcome.STOPPED.value): "stopped",
}


def _kind(status: str, left_by: str | None) -> str:
    """Return under what a token is counted."""
    return KINDS_BY_OUTCOME.get((status, left_by or ""), KINDS.get(status, "damaged"))


@define
class _Tally:
    """How many tokens have one reason, and what it is."""

    text: str
    shape: str
    count: int = 0

    def add(self, text: str, count: int) -> None:
        self.text = text if text == self.text else self.shape
        self.count += count


def _reasons_of_halts(store: Store, run: RunRecord) -> Iterator[Reason]:
    token = store.models.object.__table__
    query = (
        select(token.c.action, token.c.message, func.count())
        .where(token.c.workflow_id == run.id, token.c.status == ObjectStatus.HALTED.name)
        .group_by(token.c.action, token.c.message)
    )
    tallies: dict[tuple[Any, str], _Tally] = {}
    with store.explaining(), store.database.reading() as connection:
        for action, message, count in connection.execute(query):
            shape = message_shape(str(message or ""))
            text = ": ".join(str(part) for part in (action, message) if part)
            general = ": ".join(str(part) for part in (action, shape) if part)
            tally = tallies.setdefault((action, shape), _Tally(text, general))
            tally.add(text, count)
    return (Reason(ObjectStatus.HALTED, each.text, each.count) for each in tallies.values())


def _reasons_of_failures(store: Store, run: RunRecord) -> Iterator[Reason]:
    for row in _failed(store, run):
        described = _described(row)
        message = described["message"] if row.size == 1 else message_shape(described["message"])
        text = ": ".join(part for part in (described["type"], message) if part)
        yield Reason(ObjectStatus.ERROR, text, row.size)


def failures(store: Store, run: RunRecord) -> list[FailureGroup]:
    """Return the failed tokens of a run, those that failed alike together, most first."""
    named = _named(store, run)
    groups = []
    for row in _failed(store, run):
        described = _described(row)
        ids = tuple(named.get(row.failure, ()))
        groups.append(
            FailureGroup(
                failure=row.failure,
                type=described["type"],
                task=described["task"],
                message=described["message"],
                count=row.size,
                token_ids=ids,
                more=row.size - len(ids),
                first=moment_of(row.first),
                last=moment_of(row.last),
            )
        )
    return sorted(groups, key=lambda group: -group.count)


def _has_failed(token: Any, run: RunRecord) -> ColumnElement[bool]:
    return and_(
        token.c.workflow_id == run.id,
        token.c.status == ObjectStatus.ERROR.name,
        token.c.failure.is_not(None),
    )


def _failed(store: Store, run: RunRecord) -> list[Row[Any]]:
    """Return for each group of failures its size, its times, and the error of its first token."""
    token = store.models.object.__table__
    since = type_coerce(token.c.since, Double)
    groups = (
        select(
            token.c.failure,
            func.count().label("size"),
            func.min(since).label("first"),
            func.max(since).label("last"),
            func.min(token.c.id).label("example"),
        )
        .where(_has_failed(token, run))
        .group_by(token.c.failure)
        .subquery()
    )
    error = columns_of(token, "error")
    query = select(groups, *error).join(token, token.c.id == groups.c.example)
    with store.explaining(), store.database.reading() as connection:
        return list(connection.execute(query.order_by(groups.c.example)).all())


def _described(row: Any) -> dict[str, str]:
    """Return what is known of an error; nothing, where what is stored is damaged."""
    try:
        found = DOCUMENTS.plain(row.error or "null")
    except DamagedDataError:
        found = None
    error = found if isinstance(found, dict) else {}
    return {key: str(error.get(key, "")) for key in ("type", "task", "message")}


def _named(store: Store, run: RunRecord) -> dict[str, list[int]]:
    """Return the ids of the first tokens of each group."""
    token = store.models.object.__table__
    number = func.row_number().over(partition_by=token.c.failure, order_by=token.c.token_pos)
    numbered = (
        select(token.c.failure, token.c.id, token.c.token_pos, number.label("number"))
        .where(_has_failed(token, run))
        .subquery()
    )
    query = (
        select(numbered.c.failure, numbered.c.id)
        .where(numbered.c.number <= NAMED)
        .order_by(numbered.c.token_pos)
    )
    named: dict[str, list[int]] = {}
    with store.explaining(), store.database.reading() as connection:
        for failure, token_id in connection.execute(query):
            named.setdefault(failure, []).append(token_id)
    return named


def treat(
    store: Store,
    run: RunRecord,
    failure: str,
    *,
    how: str,
    dry_run: bool,
    by: str | None = None,
    engine: Any = None,
    owner: Any = None,
) -> Generator[Any, Any, list[int]]:
    """Do something about all tokens of a run that failed alike; return their ids.

    Each is taken up once, whether it fails again or not, and none keeps the others from it. The
    rest of the run is left where it is: ``eng.resume()`` goes on with that.

    :param failure: the fingerprint of a :class:`FailureGroup`.
    :param how: ``resume`` at the task that failed, ``restart`` at the first task, with the data as
        they are stored, or ``skip``: the tokens are done, and were skipped.
    :param dry_run: only return the ids.
    :param by: who does it; by default the user of this process.
    :param engine: to run them with; by default one for the definition as it is registered.
    :param owner: the asyncio task that does it, if one does.
    :raises DamagedDataError: when something was done about the others, and one of them has a row
        that cannot be read.
    :raises WorkflowAPIError: when no tokens failed so, naming how tokens did fail.
    :raises WorkflowDefinitionError: when they are to be run, and what they run is not known here.
    :raises LeaseHeldError: when another process has the run.
    """
    if how not in WAYS:
        raise WorkflowAPIError(f"failed tokens are taken up by {', '.join(WAYS)}, not {shown(how)}")
    if run.parent_id is not None:
        raise WorkflowAPIError(
            f"run {run.uuid} is a branch: what fails in it fails the token of the run that it "
            "belongs to, which is where to resume"
        )
    group = _Group(store, run, failure, user_name(by), engine)
    found = group.ids()
    if not found:
        raise _unknown(store, run, failure)
    if dry_run:
        return found
    group.task = _task_of(store, found[0])
    if how == "skip":
        done = group.skip()
    else:
        done = yield from group.run_again(how == "restart", owner)
    if group.damage is not None:
        raise group.damage
    return done


def _task_of(store: Store, token_id: int) -> str:
    token = store.models.object.__table__
    query = select(*columns_of(token, "error")).where(token.c.id == token_id)
    with store.explaining(), store.database.reading() as connection:
        return _described(connection.execute(query).one())["task"]


def _unknown(store: Store, run: RunRecord, failure: Any) -> WorkflowAPIError:
    known = failures(store, run)
    listed = "; ".join(
        f"{group.failure} ({group.count}: {group.type} in {group.task})" for group in known[:10]
    )
    more = f"; and {len(known) - 10} more" if len(known) > 10 else ""
    return WorkflowAPIError(
        f"no token of the run failed as {str(failure)[:80]!r} says; "
        + (f"failures are {listed}{more}" if known else "none has failed"),
        id_workflow=run.uuid,
    )


@define
class _Group:
    """The tokens of one run that failed alike.

    :param by: who does something about them.
    :param task: in which.
    :param damage: why the first of those was left alone whose rows cannot be read.
    """

    store: Store
    run: RunRecord
    failure: str
    by: str
    engine: Any = None
    task: str = ""
    damage: DamagedDataError | None = None

    @property
    def condition(self) -> ColumnElement[bool]:
        """Which tokens these are."""
        token = self.store.models.object.__table__
        return and_(
            _has_failed(token, self.run), token.c.failure == storable_text(str(self.failure))
        )

    def ids(self) -> list[int]:
        """Return their ids, in the order of the run."""
        token = self.store.models.object.__table__
        query = select(token.c.id).where(self.condition).order_by(token.c.token_pos)
        with self.store.explaining(), self.store.database.reading() as connection:
            return list(connection.execute(query).scalars())

    def run_again(self, from_first_task: bool, owner: Any) -> Generator[Any, Any, list[int]]:
        """Run them in one pass over them."""
        eng = self.engine or self._new_engine()
        plan = eng._plan(self._first(), stop_on_error=False, stop_on_halt=False)
        journal: Any = eng.recorder
        try:
            # Numbers only: no page of rows is held while the tokens run.
            found = {token.id: token.index for page in self._pages() for token in page}
            self._audit("restart" if from_first_task else "resume", len(found))
            if from_first_task:
                journal.writer.lease = journal.lease
                self._take_back(journal)
                journal.tokens.forget()
            starts = (Start(index, passes_halt=not from_first_task) for index in found.values())
            journal.passing.plan(starts, None)
        except BaseException:
            self.store.give_back(journal)
            raise
        yield from eng._resume(plan, owner)
        return list(found)

    def _first(self) -> int:
        """Return the id of the first that can be read."""
        for page in self._pages():
            return page[0].id
        raise self.damage or _unknown(self.store, self.run, self.failure)

    def _new_engine(self) -> Any:
        from wfengine.engine_db import DbWorkflowEngine

        return DbWorkflowEngine.from_uuid(self.run.uuid, store=self.store)

    def _take_back(self, journal: Journal) -> None:
        """Put them at their first task."""
        for page in self._pages():
            checkpoint = Checkpoint(cursor=journal.passing.cursor)
            visits = self._last_visits(page)
            for token in page:
                self._note(checkpoint, token, "restart")
                token.path, token.visits = "0", [visits[token.id] + 1]
                token.memory, token.attempts = None, 0
                checkpoint.advance(token, self.store.clock())
            self._write(journal.writer, checkpoint, page)

    def _last_visits(self, tokens: list[TokenRecord]) -> dict[int, int]:
        """Return the number of the last visit of each."""
        step = self.store.models.execution.__table__
        query = (
            select(step.c.object_id, func.max(step.c.visit).label("last"))
            .where(step.c.object_id.in_([token.id for token in tokens]))
            .group_by(step.c.object_id)
        )
        with self.store.explaining(), self.store.database.reading() as connection:
            found: dict[int, int] = {row.object_id: row.last for row in connection.execute(query)}
        return {token.id: last_visit(token, found.get(token.id)) for token in tokens}

    def _write(self, writer: Writer, checkpoint: Checkpoint, tokens: list[TokenRecord]) -> None:
        """Write what was done to tokens, and that their branches are over, all or nothing."""
        connection = writer.link().connection
        connection.begin()
        for token in tokens:
            abandon_branches(self.store, connection, self.run.id, token.id, 0, set())
        writer.write(checkpoint)

    def skip(self) -> list[int]:
        """Leave them as they are, and go without them."""
        store, skipped = self.store, []
        lease = store.take(self.run, lambda transition: None)
        run = store.run(self.run.uuid)
        writer = Writer(store, run)
        writer.lease = lease
        try:
            self._audit("skip", len(self.ids()))
            for page in self._pages():
                checkpoint = Checkpoint(cursor=run.token_pos)
                for token in page:
                    self._note(checkpoint, token, "skip")
                    token.status, token.outcome = ObjectStatus.COMPLETED, TokenOutcome.SKIPPED.value
                    token.memory = token.decision = None
                    checkpoint.leave(token, store.clock(), {})
                    skipped.append(token.id)
                self._write(writer, checkpoint, page)
        except BaseException:
            store.keeper.drop(lease)
            with store.database.writing() as connection:
                release(store, connection, lease)
            raise
        finally:
            writer.close()
        is_over = run.token_pos >= run.token_count
        end_run(store, run, lease, None if is_over else WorkflowStatus.HALTED)
        return skipped

    def _audit(self, how: str, count: int) -> None:
        """Write down who does this; what it does to each token is in that token's history."""
        said = {"failure": self.failure, "task": self.task, "how": how, "tokens": count}
        with self.store.explaining(), self.store.database.writing() as connection:
            note(self.store, connection, "resume_failures", self.by, self.run.uuid, details=said)

    def _pages(self) -> Iterator[list[TokenRecord]]:
        """Yield the rows of these tokens, each once, whatever is done to them meanwhile.

        Those that cannot be read are left out.
        """
        token, last = self.store.models.object.__table__, -1
        query = TokenRecord.query(token).where(self.condition).order_by(token.c.token_pos)
        while True:
            page = query.where(token.c.token_pos > last).limit(PAGE)
            with self.store.explaining(), self.store.database.reading() as connection:
                rows = connection.execute(page).all()
            if not rows:
                return
            last = rows[-1].token_pos
            found = list(filter(None, map(self._read, rows)))
            if found:
                yield found

    def _read(self, row: Any) -> TokenRecord | None:
        try:
            return TokenRecord.of(row)
        except DamagedDataError as error:
            self.damage = self.damage or error
            return None

    def _note(self, checkpoint: Checkpoint, token: TokenRecord, event: str) -> None:
        """Add to the history of a token what somebody did to it."""
        token.steps += 1
        now = self.store.clock()
        checkpoint.step(
            token,
            {
                "object_id": token.id,
                "step": token.steps,
                "event": event,
                "path": token.path,
                "name": self.task,
                "visit": token.visits[-1],
                "attempt": token.attempts,
                "status": DONE,
                "started": now,
                "finished": now,
                "outcome": DOCUMENTS.dumps({"by": self.by}),
                "inverse": None,
                "memory": token.memory,
            },
        )
