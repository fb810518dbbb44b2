"""What was done in a run, step by step, over all of its tokens and branches."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import frozen
from sqlalchemy import Double, func, or_, select, type_coerce

from wfengine.errors import DamagedDataError, WorkflowAPIError
from wfengine.status import WorkflowStatus
from wfengine.store.records import RunRecord, columns_of
from wfengine.store.serialization import Types
from wfengine.store.serialization.faults import check_number
from wfengine.store.views import moment_of

if TYPE_CHECKING:
    from sqlalchemy import Select

    from wfengine.store.store import Store

__all__ = ["LogEntry", "activity"]

MANY_TOKENS, VERY_MANY_TOKENS = 20_000, 300_000
"""From how many tokens on the steps of a run, while it is running and of any, are looked for among
all steps, and not by its tokens."""

FEW_RUNS = 500
"""How many runs and branches a query names at most."""

SHORT = 500
"""How many characters of a message are shown."""

COLUMNS = ("id", "step", "path", "name", "event", "status", "attempt", "outcome")


@frozen
class LogEntry:
    """One step of a token: a task that was run, or what a person did.

    :param id: of the step; what is written later has a greater one.
    :param moment: when it ended, in UTC; None where what is stored is no time.
    :param uuid: of the run, or of the branch, that the token is in.
    :param token_pos: the token's index there.
    :param step: its number in the token's history.
    :param path: the position of the task.
    :param event: ``task``, or what a person did: ``decide``, ``edit``, ``rewind`` ...
    :param status: ``done``, ``halted``, ``failed``, ``retried`` or ``broken off``.
    :param seconds: how long it took.
    :param message: why it failed or halted, what was decided; empty if there is nothing to say.
    :param who: who did it, if it was a person.
    """

    id: int
    moment: datetime | None
    uuid: str
    token_id: int
    token_pos: int
    step: int
    path: str
    task: str
    event: str
    status: str
    attempt: int
    seconds: float
    message: str
    who: str | None


def activity(
    store: Store,
    run: RunRecord,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[LogEntry]:
    """Return steps of a run and its branches: the oldest after one, or else the newest first.

    To follow a run, ask again with the ``id`` of the last one as ``after``; for a page further
    back, with the ``id`` of the last one as ``before``.

    :param after: only steps with a greater ``id``, the oldest first; 0 for all.
    :param before: only steps with a smaller ``id``, the newest first.
    :raises WorkflowAPIError: when both are given, or the limit is not a number from 1 on.
    """
    if after is not None and before is not None:
        raise WorkflowAPIError("steps are asked for after one, or before one, not both")
    check_number(limit, 1, "limit")
    step = store.models.execution.__table__
    if after is not None:
        beyond, order = [step.c.id > after], step.c.id
    else:
        beyond, order = [] if before is None else [step.c.id < before], step.c.id.desc()
    ids = _ids(store, run).where(*beyond).order_by(order).limit(limit)
    with store.explaining(), store.database.reading() as connection:
        found = list(connection.execute(ids).scalars())
        rows = connection.execute(_query(store).where(step.c.id.in_(found)).order_by(order)).all()
    return [_entry(row) for row in rows]


def _ids(store: Store, run: RunRecord) -> Select[Any]:
    """Return the query for the steps of a run, such that the database finds them by their tokens.

    Of a run with many tokens the database goes through all steps instead, in their order, since it
    meets the run's own soon.
    """
    of_run = store.models.workflow.__table__
    token, step = store.models.object.__table__, store.models.execution.__table__
    is_of_run = or_(of_run.c.id == run.id, of_run.c.root_id == run.id)
    run_ids: Any = select(of_run.c.id).where(is_of_run)
    counting = select(func.count(), func.sum(of_run.c.token_count)).where(is_of_run)
    with store.explaining(), store.database.reading() as connection:
        runs, tokens = connection.execute(counting).one()
        if runs <= FEW_RUNS:
            run_ids = list(connection.execute(run_ids).scalars())
    is_own = select(token.c.id).where(token.c.workflow_id.in_(run_ids))
    is_running = run.status is WorkflowStatus.RUNNING
    if (tokens or 0) > (MANY_TOKENS if is_running else VERY_MANY_TOKENS):
        is_own = is_own.where(token.c.id == step.c.object_id).correlate(step)
        return select(step.c.id).where(is_own.exists())
    return select(step.c.id).where(step.c.object_id.in_(is_own))


def _query(store: Store) -> Select[Any]:
    of_run = store.models.workflow.__table__
    token, step = store.models.object.__table__, store.models.execution.__table__
    times = (type_coerce(step.c[name], Double).label(name) for name in ("started", "finished"))
    return (
        select(
            *columns_of(step, *COLUMNS),
            *times,
            token.c.id.label("token_id"),
            token.c.token_pos,
            of_run.c.uuid,
        )
        .join(token, token.c.id == step.c.object_id)
        .join(of_run, of_run.c.id == token.c.workflow_id)
    )


def _entry(row: Any) -> LogEntry:
    outcome = _outcome(row.outcome)
    who = outcome.get("by")
    return LogEntry(
        row.id,
        moment_of(row.finished),
        row.uuid,
        row.token_id,
        row.token_pos,
        row.step,
        row.path,
        row.name,
        row.event,
        row.status,
        row.attempt,
        _duration(row.started, row.finished),
        _message(outcome),
        None if who is None else str(who),
    )


def _outcome(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = Types.plain(text)
    except DamagedDataError:
        return {"message": "what came of it is damaged"}
    return found if isinstance(found, dict) else {}


def _duration(started: Any, finished: Any) -> float:
    are_times = isinstance(started, int | float) and isinstance(finished, int | float)
    return max(float(finished - started), 0.0) if are_times else 0.0


def _message(outcome: dict[str, Any]) -> str:
    """Return what is to be said about a step, in one line."""
    said = [str(outcome[key]) for key in ("type", "action", "message") if outcome.get(key)]
    if "transition" in outcome:
        said.append(str(outcome["transition"]))
    if "decision" in outcome:
        said.append(f"{outcome['decision']!r}")
    if "to" in outcome:
        said.append(f"to {outcome['to']}")
    line = ": ".join(said)
    return line if len(line) <= SHORT else line[: SHORT - 3] + "..."
