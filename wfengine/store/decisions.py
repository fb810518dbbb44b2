"""What people decide about halted tokens.

A decision is written into the token's row, and from there handed to the first task after the halt,
by whoever resumes the run. The tokens around a branch are marked as well: they wait for it, and
would not be taken up otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update

from wfengine.errors import LeaseHeldError, UnknownTokenError, WorkflowObjectStatusError
from wfengine.status import ObjectStatus
from wfengine.store.audit import brief, note, user_name
from wfengine.store.control import task_at
from wfengine.store.edits import document, name_at, step_of
from wfengine.store.records import RunRecord, TokenRecord
from wfengine.store.retention import is_being_deleted
from wfengine.store.steps import DOCUMENTS
from wfengine.store.token_notes import WAITING
from wfengine.store.views import plain_of

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["INSIDE", "UNCHANGED", "decide", "queue_waiting"]

UNCHANGED: Any = object()
"""Stands for data that stay as they are."""

INSIDE = DOCUMENTS.dumps({"decision": None, "inside": True})
"""The decision of a token that waits for a branch: it was made further inside."""

BATCH = 500
"""How many tokens a statement names."""

SHOWN = 10
"""How many tokens a message names at most."""


def decide(
    store: Store,
    token_id: int,
    decision: Any,
    *,
    data: Any,
    by: str | None,
    resume: bool,
    seen: int | None = None,
    owner: Any = None,
) -> Generator[Any, Any, None]:
    """Decide about a halted token, once.

    Of two who decide at the same time, one does, and the other gets the error. The decision is
    part of the token's history, and so is the change of its data. A run that is going on does not
    look back at tokens that it has passed: whoever resumes it next hands the decision over.

    :param resume: take the token up in this process; of a branch, the token that waits for it.
        What that raises, another halt included, comes out of here, and the decision is made all
        the same. It stays queued, and nothing is raised, when another process has the run.
    :param seen: how many steps the token had when it was looked at, if it was.
    :param owner: the asyncio task that does it, if one does.
    :raises NotStorableError: before anything is written.
    :raises WorkflowObjectStatusError: when the token is not halted, waits for a branch, was
        decided on before, or has changed since it was seen; saying which, or who decided what.
    :raises WorkflowDefinitionError: when it is to be resumed, and what it runs is not known here;
        before anything is written.
    """
    token, run_id = store.token(token_id)
    around = list(_around(store, run_id))
    run = around[-1][0]
    _check(store, token, run_id, run, seen)
    waiting = _waiting(store, token_id, around)
    eng = _engine(store, run) if resume else None
    who = user_name(by)
    ruling = {"decision": decision, "by": who, "at": _now(store)}
    text = store.types.dumps(ruling, "the decision")
    new = token.text if data is UNCHANGED else store.text_of_token(data, token.index)
    while not _write(store, token, around[0][0], waiting, text, new, (who, run.uuid)):
        token, _ = store.token(token_id)
        new = token.text if data is UNCHANGED else new
        _check(store, token, run_id, run, seen)
    if eng is not None:
        is_left = waiting != [parent for _, parent in around[:-1]]
        with suppress(LeaseHeldError):
            yield from eng.resuming(None if is_left else [token_id, *waiting][-1], owner)


def queue_waiting(store: Store, connection: Connection, run_id: int) -> None:
    """Mark the tokens around branches whose tokens were decided on before they waited.

    :param run_id: of a run that is no branch, and that belongs to this process.
    """
    run, token = store.models.workflow.__table__, store.models.object.__table__
    decided = (
        select(run.c.parent_object_id)
        .join(token, token.c.workflow_id == run.c.id)
        .where(
            run.c.root_id == run_id,
            token.c.status == ObjectStatus.HALTED.name,
            token.c.decision.is_not(None),
        )
        .distinct()
    )
    waiting = sorted(connection.execute(decided).scalars())
    while waiting:
        around: set[int] = set()
        for start in range(0, len(waiting), BATCH):
            some = waiting[start : start + BATCH]
            _mark(store, connection, some)
            query = (
                select(run.c.parent_object_id)
                .join(token, token.c.workflow_id == run.c.id)
                .where(token.c.id.in_(some), run.c.parent_object_id.is_not(None))
            )
            around.update(connection.execute(query).scalars())
        waiting = sorted(around)


def _now(store: Store) -> str:
    return datetime.fromtimestamp(store.clock(), UTC).isoformat()


def _around(store: Store, run_id: int) -> Iterator[tuple[RunRecord, int | None]]:
    """Yield a run and the token that waits for it, and so on outwards to one that is no branch."""
    wanted: int | None = run_id
    while wanted is not None:
        run = store.find_run(id=wanted)
        if run is None:
            raise UnknownTokenError(f"run {wanted} has been deleted with its tokens")
        yield run, run.parent_object_id
        wanted = run.parent_id


def _engine(store: Store, run: RunRecord) -> Any:
    from wfengine.engine_db import DbWorkflowEngine

    return DbWorkflowEngine.from_uuid(run.uuid, store=store)


def _check(store: Store, token: TokenRecord, run_id: int, run: RunRecord, seen: int | None) -> None:
    """Refuse a token about which there is nothing to decide, or that is not as it was seen.

    :param run: the outermost run around it.
    """
    problem = ""
    if is_being_deleted(store, run.id):
        raise UnknownTokenError(f"token {token.id} is being deleted with its run", run.uuid)
    if token.decision is not None and token.outcome != WAITING:
        problem = f"was decided on {_ruling(token)}"
    elif token.status is not ObjectStatus.HALTED:
        problem = f"is not halted: its status is {token.status.label!r}"
    elif token.outcome == WAITING:
        problem = _what_it_waits_for(store, token, run_id)
    elif seen not in (None, token.steps):
        problem = "has changed in the meantime: look at it again, then decide"
    if problem:
        raise WorkflowObjectStatusError(f"token {token.id} {problem}", run.uuid, token.id)


def _ruling(token: TokenRecord) -> str:
    """Return who decided what about a token, and when."""
    found = plain_of(token.decision or "", f"workflow_object {token.id}")
    if not isinstance(found, dict):
        return "already"
    by, at, decision = (found.get(key) for key in ("by", "at", "decision"))
    return f"by {by} at {at}: {str(decision)[:200]!r}"


def _what_it_waits_for(store: Store, token: TokenRecord, run_id: int) -> str:
    found = sorted(_halted_inside(store, run_id, token.id))
    if not found:
        return "waits for a branch, and everything in that was decided: resume the run"
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return (
        "waits for a branch: decide about what halted in it, token "
        f"{', '.join(map(str, found[:SHOWN]))}{more}"
    )


def _halted_inside(store: Store, run_id: int, token_id: int) -> Iterator[int]:
    """Yield the tokens of branches, on any level, that nobody has decided on."""
    run, token = store.models.workflow.__table__, store.models.object.__table__
    is_decided = token.c.decision.is_not(None).label("is_decided")
    waiting = deque([(run_id, token_id)])
    while waiting:
        parent, parent_object = waiting.popleft()
        query = (
            select(token.c.workflow_id, token.c.id, token.c.outcome, is_decided)
            .join(run, run.c.id == token.c.workflow_id)
            .where(
                run.c.parent_id == parent,
                run.c.parent_object_id == parent_object,
                token.c.status == ObjectStatus.HALTED.name,
            )
        )
        with store.explaining(), store.database.reading() as connection:
            rows = connection.execute(query).all()
        waiting.extend((row.workflow_id, row.id) for row in rows if row.outcome == WAITING)
        yield from (row.id for row in rows if row.outcome != WAITING and not row.is_decided)


def _waiting(
    store: Store, token_id: int, around: Sequence[tuple[RunRecord, int | None]]
) -> list[int]:
    """Return the tokens that wait for a halted one.

    :raises WorkflowObjectStatusError: for a token of a branch that nothing will ever go on with.
    """
    found = []
    for branch, parent_id in around[:-1]:
        assert parent_id is not None  # noqa: S101 - only the last is no branch
        parent, _ = store.token(parent_id)
        if parent.status is not ObjectStatus.COMPLETED:
            found.append(parent_id)
        elif not branch.is_left_to_itself or branch.parent_id != around[-1][0].id:
            raise WorkflowObjectStatusError(
                f"token {token_id} is of a branch that nothing waits for: token {parent_id}, which "
                "began it, is done",
                id_object=token_id,
            )
    return found


def _write(
    store: Store,
    token: TokenRecord,
    run: RunRecord,
    waiting: list[int],
    text: str,
    data: str,
    audited: tuple[str, str],
) -> bool:
    """Write a decision; return False if the token is not any more as it was read.

    :param audited: who decides, and the uuid of the outermost run.
    """
    table = store.models.object.__table__
    statement = (
        update(table)
        .where(
            table.c.id == token.id,
            table.c.status == ObjectStatus.HALTED.name,
            table.c.decision.is_(None),
            table.c.steps == token.steps,
        )
        .values(
            steps=token.steps + 1,
            decision=document(text),
            data=document(data),
        )
    )
    step = step_of(store, token, "decide", _task_of(store, token, run), text, data)
    with store.explaining(), store.database.writing() as connection:
        if not connection.execute(statement).rowcount:
            return False
        connection.execute(step)
        said = {"step": token.steps + 1, "decision": _decision_in(text)}
        if data != token.text:
            said["data"] = "changed"
        note(store, connection, "decide", *audited, token.id, said)
        if waiting:
            _mark(store, connection, waiting)
    return True


def _decision_in(text: str) -> Any:
    """Return what was decided as plain data, or, of much, how it begins."""
    found = brief(text)
    return found["decision"] if isinstance(found, dict) else found


def _task_of(store: Store, token: TokenRecord, run: RunRecord) -> str:
    """Return the name of the task that halted a token."""
    return name_at(store, token) or task_at(store, run.fingerprint, token.path)


def _mark(store: Store, connection: Connection, token_ids: list[int]) -> None:
    """Mark those of these tokens that wait for a branch as decided on further inside."""
    table = store.models.object.__table__
    connection.execute(
        update(table)
        .where(
            table.c.id.in_(token_ids),
            table.c.status == ObjectStatus.HALTED.name,
            table.c.outcome == WAITING,
            table.c.decision.is_(None),
        )
        .values(decision=document(INSIDE))
    )
