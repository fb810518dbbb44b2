"""What of a run can go on, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field
from sqlalchemy import and_, or_, select

from wfengine.callbacks import Definition
from wfengine.errors import (
    UnknownTokenError,
    WorkflowAPIError,
    WorkflowDefinitionError,
    WorkflowObjectStatusError,
)
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.columns import NAME_LENGTH
from wfengine.store.drift import Drift, drift_of
from wfengine.store.passes import Halts, Start
from wfengine.store.records import RunRecord, TokenRecord

if TYPE_CHECKING:
    from wfengine.store.journal import Journal
    from wfengine.store.store import Store

__all__ = ["Plan", "check_name", "definition_of", "pass_start", "plan", "starts_of"]

PAGE = 500


@define
class Plan:
    """What :meth:`~wfengine.engine_db.DbWorkflowEngine.resume` does, or would do.

    :param tokens: how many tokens are taken up before the pass over all of them goes on.
    :param goes_on_at: the token at which the pass goes on, or None when it is over.
    :param drift: what became of the positions, where the definition has changed.
    :param adopts: whether branches that nobody runs any more are taken up.
    """

    tokens: int = 0
    goes_on_at: int | None = None
    adopts: bool = False
    drift: Drift | None = None
    stop_on_error: bool = field(default=True)
    stop_on_halt: bool = field(default=True)

    def text(self) -> str:
        """Return it as a person would say it."""
        parts = []
        if self.tokens:
            parts.append("1 token by itself" if self.tokens == 1 else f"{self.tokens} tokens")
        if self.goes_on_at is not None:
            parts.append(f"all tokens from number {self.goes_on_at} on")
        if self.adopts:
            parts.append("the branches that nobody runs any more")
        lines = [f"goes on with {', then '.join(parts)}" if parts else "nothing can go on"]
        if self.drift is not None:
            lines.append(self.drift.text())
        return "\n".join(lines)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.tokens and self.goes_on_at is None and not self.adopts


def check_name(name: Any) -> None:
    """Refuse what cannot be the name of a run.

    :raises WorkflowAPIError: saying why.
    """
    problem = ""
    if not isinstance(name, str) or not name:
        problem = "is no text"
    elif len(name) > NAME_LENGTH:
        problem = f"has {len(name)} characters; at most {NAME_LENGTH} can be stored"
    elif not name.isprintable():
        problem = "has characters that cannot be printed"
    if problem:
        raise WorkflowAPIError(f"the name of a run, {str(name)[:60]!r}, {problem}")


def definition_of(store: Store, run: RunRecord) -> Definition | str:
    """Return the definition that a run was begun with, if this process knows it.

    :raises WorkflowDefinitionError: saying what to do.
    """
    target = run.options.get("definition")
    if run.parent_id is not None:
        raise WorkflowAPIError(f"run {run.uuid} is a branch: resume the run that it belongs to")
    if isinstance(target, str) and store.definitions.known(target) is not None:
        return target
    if target is None:
        raise WorkflowDefinitionError(
            f"run {run.uuid} was begun with a list of tasks that has no name: pass it as "
            "definition=, or register it under a name",
            id_workflow=run.uuid,
        )
    raise WorkflowDefinitionError(
        f"run {run.uuid} was begun with {str(target)[:200]!r}, which nobody has registered here, "
        "and nothing is imported because a row names it: pass definition=, or register it",
        id_workflow=run.uuid,
    )


def plan(
    eng: Any,
    token_id: int | None,
    objects: Iterable[Any] | None,
    stop_on_error: bool | None,
    stop_on_halt: bool | None,
    renamed: Mapping[str, str] | None,
    dry_run: bool,
    recovers: bool = False,
) -> Plan:
    """Take the run, and set its journal to go on; or only look, for a dry run.

    :param recovers: do only what its owner would have done, had it not died: nothing is tried
        again, and no halt passed. The plan may be empty then; the run gets the status it has.
    """
    journal: Journal = eng._own_journal()
    if journal.lease is not None:
        raise WorkflowAPIError("this engine is running already")
    store = journal.store
    if not dry_run:
        journal.lease = store.take(journal.run, eng.interrupt)
    try:
        drift = _read_anew(eng, journal, renamed, dry_run)
        was_running = journal.run.status is WorkflowStatus.RUNNING
        if objects is not None:
            journal.tokens.read_from(objects, skip=len(journal.tokens))
        found = _what_goes_on(journal, token_id, recovers)
        is_settled = recovers or (was_running and journal.tokens.is_complete)
        if found.is_empty and not (dry_run or is_settled):
            if was_running:
                journal.close()
            raise _nothing(journal)
        found.drift = drift
        options = journal.run.options
        found.stop_on_error = _chosen(stop_on_error, options.get("stop_on_error"))
        found.stop_on_halt = _chosen(stop_on_halt, options.get("stop_on_halt"))
        if found.is_empty and not dry_run:
            journal.close()
    except BaseException:
        if not dry_run:
            store.give_back(journal)
        raise
    return found


def _read_anew(
    eng: Any, journal: Journal, renamed: Mapping[str, str] | None, dry_run: bool
) -> Drift | None:
    """Read what others may have changed; return what became of the positions, which is applied."""
    if not dry_run:
        _queue_decided(journal)
    refresh(eng, journal)
    journal.check_count()
    drift = drift_of(journal.store, journal.run, eng.callbacks.get(), renamed)
    if drift is not None and not dry_run:
        drift.apply(journal.store, journal)
        refresh(eng, journal)
    return drift


def _queue_decided(journal: Journal) -> None:
    """Have tokens go on for whose branches something was decided while they were running."""
    from wfengine.store.decisions import queue_waiting

    store = journal.store
    with store.explaining(), store.database.writing() as connection:
        queue_waiting(store, connection, journal.run.id)


def _chosen(wanted: bool | None, stored: Any) -> bool:
    return bool(stored if stored is not None else True) if wanted is None else wanted


def refresh(eng: Any, journal: Journal) -> None:
    """Read the run anew; others may have had it since."""
    lease = journal.lease
    run = journal.store.run(journal.run.uuid)
    journal.reload(run)
    journal.lease = lease
    eng.extra_data = journal.stored_extra_data()


def _what_goes_on(journal: Journal, token_id: int | None, recovers: bool) -> Plan:
    if token_id is not None:
        start = _one(journal, token_id)
        journal.halts = Halts.PASS
        journal.passing.plan(iter([start]), None)
        return Plan(1, None)
    journal.halts = Halts.WAIT if recovers else Halts.PASS
    if _has_passed_over(journal):  # so that the token is no part of the pass any more
        journal.passing.cursor += 1
    goes_on = pass_start(journal, journal.halts, tries_again=not recovers)
    condition = _can_go_on(journal, None if goes_on is None else goes_on.index, recovers)
    found = Plan(
        _count(journal, condition),
        None if goes_on is None else goes_on.index,
        has_branches_to_adopt(journal, recovers),
    )
    journal.passing.plan(starts_of(journal, condition), goes_on)
    return found


def _one(journal: Journal, token_id: int) -> Start:
    token, run_id = journal.store.token(token_id)
    if run_id != journal.run.id:
        raise UnknownTokenError(f"token {token_id} is not of run {journal.run.uuid}")
    if token.index > journal.passing.cursor:
        raise WorkflowObjectStatusError(
            f"the run has not come to token {token_id} yet; eng.resume() goes on with the run",
            journal.run.uuid,
            token_id,
        )
    if token.status is ObjectStatus.COMPLETED:
        raise WorkflowObjectStatusError(
            f"token {token_id} is done; eng.rewind({token_id}, to=...) takes it back to a step",
            journal.run.uuid,
            token_id,
        )
    return Start(token.index, passes_halt=True)


def pass_start(journal: Journal, halts: Halts, tries_again: bool = True) -> Start | None:
    """Return where the pass over all tokens goes on, or None where it is over or has to wait.

    :param halts: what is done about a token that halted the run.
    :param tries_again: whether a token that failed and ended the run is tried again.
    """
    tokens, cursor = journal.tokens, journal.passing.cursor
    if not 0 <= cursor < len(tokens):
        begins_at = max(cursor, 0)
        return Start(begins_at) if begins_at < len(tokens) or tokens.can_read_on else None
    token = tokens.sound(cursor)
    if token is None:  # it is left out, and told of
        return Start(cursor)
    if token.status is ObjectStatus.COMPLETED or _has_passed_over(journal):
        return Start(cursor + 1, is_fresh=True)
    if token.status is ObjectStatus.HALTED:
        return _past_halt(token, halts)
    return Start(cursor) if tries_again or token.status is not ObjectStatus.ERROR else None


def _has_passed_over(journal: Journal) -> bool:
    """Return whether the pass has gone on from the current token, which halted or failed."""
    token = journal.tokens.sound(journal.passing.cursor)
    if token is None:
        return False
    stops_on = {ObjectStatus.HALTED: "stop_on_halt", ObjectStatus.ERROR: "stop_on_error"}
    name = stops_on.get(token.status)
    return name is not None and not journal.run.options.get(name, True)


def _past_halt(token: TokenRecord, halts: Halts) -> Start | None:
    if token.decision is not None or halts is Halts.PASS:
        return Start(token.index, passes_halt=True)
    return Start(token.index) if halts is Halts.REPEAT else None


def has_branches_to_adopt(journal: Journal, recovers: bool) -> bool:
    """Return whether a branch that nobody waits for can go on.

    :param recovers: do not count those that have failed.
    """
    models = journal.store.models
    table, token = models.workflow.__table__, models.object.__table__
    begun = [ObjectStatus.INITIAL.name, ObjectStatus.RUNNING.name]
    if not recovers:
        begun.append(ObjectStatus.ERROR.name)
    query = (
        RunRecord.query(table)
        .outerjoin(token, token.c.workflow_id == table.c.id)
        .where(table.c.parent_id == journal.run.id)
        .where(
            or_(
                table.c.status.in_([WorkflowStatus.NEW.name, WorkflowStatus.RUNNING.name]),
                token.c.status.in_(begun),
                and_(token.c.status == ObjectStatus.HALTED.name, token.c.decision.is_not(None)),
            )
        )
    )
    with journal.store.database.reading() as connection:
        runs = [RunRecord.of(row) for row in connection.execute(query)]
    return any(run.is_left_to_itself for run in runs)


def _can_go_on(journal: Journal, besides: int | None, recovers: bool) -> Any:
    """Return the condition for tokens that the pass has left behind and that can go on.

    Those whose status is none are among them, so that they are told of.
    """
    table = journal.store.models.object.__table__
    needs_nobody = table.c.decision.is_not(None)
    rests = [ObjectStatus.INITIAL.name, ObjectStatus.COMPLETED.name]
    if recovers:
        rests.append(ObjectStatus.ERROR.name)
    else:
        needs_nobody = or_(needs_nobody, table.c.action.is_(None))
    return and_(
        table.c.workflow_id == journal.run.id,
        table.c.token_pos <= journal.passing.cursor,
        table.c.token_pos != (-1 if besides is None else besides),
        table.c.status.not_in(rests),
        or_(table.c.status != ObjectStatus.HALTED.name, needs_nobody),
    )


def _count(journal: Journal, condition: Any) -> int:
    from sqlalchemy import func

    with journal.store.database.reading() as connection:
        return int(connection.execute(select(func.count()).where(condition)).scalar_one())


def starts_of(journal: Journal, condition: Any) -> Iterator[Start]:
    """Yield where each of these tokens goes on; a page at a time, each token once."""
    store, table, last = journal.store, journal.store.models.object.__table__, -1
    while True:
        query = (
            select(table.c.token_pos)
            .where(condition, table.c.token_pos > last)
            .order_by(table.c.token_pos)
            .limit(PAGE)
        )
        with store.database.reading() as connection:
            indexes = list(connection.execute(query).scalars())
        if not indexes:
            return
        for index in indexes:
            yield Start(index, passes_halt=True)
        last = indexes[-1]


def _nothing(journal: Journal) -> Exception:
    run, table = journal.run, journal.store.models.object.__table__
    with journal.store.database.reading() as connection:
        waiting = connection.execute(
            select(table.c.id, table.c.action)
            .where(table.c.workflow_id == run.id, table.c.status == ObjectStatus.HALTED.name)
            .order_by(table.c.token_pos)
            .limit(1)
        ).one_or_none()
    if not journal.tokens.is_complete:
        return WorkflowObjectStatusError(
            f"the input of run {run.uuid} was not read to its end: pass it again, as "
            f"eng.resume(objects=...); the {len(journal.tokens)} that are stored are skipped",
            id_workflow=run.uuid,
        )
    if waiting is None:
        return WorkflowObjectStatusError(
            f"run {run.uuid} has nothing left to do", id_workflow=run.uuid
        )
    return WorkflowObjectStatusError(
        f"run {run.uuid} waits for decisions, the first about token {waiting.id} "
        f"({waiting.action}): store.decide({waiting.id}, ...), or eng.resume({waiting.id}) to go "
        "on without one",
        id_workflow=run.uuid,
        id_object=waiting.id,
    )
