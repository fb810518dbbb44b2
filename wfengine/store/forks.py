"""New runs that begin in the middle of the history of another run's token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import Connection, insert, select

from wfengine.errors import UnknownTokenError, WorkflowAPIError
from wfengine.signals import TokenOutcome
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.audit import note, user_name
from wfengine.store.decisions import UNCHANGED
from wfengine.store.edits import EDIT, document
from wfengine.store.history import TASK, Step, find_step, no_such_step, steps_of
from wfengine.store.leftovers import branches_in, without_branches
from wfengine.store.places import check_old_step
from wfengine.store.records import RunRecord, path_text, position_of
from wfengine.store.retention import is_being_deleted
from wfengine.store.serialization import text_of
from wfengine.store.steps import HALTED
from wfengine.store.views import exact

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["FORKED_AT", "fork", "fork_point"]

FORKED_AT = "forked_at"
"""In the options of a run: the first step of the history it was forked from that it repeats."""

PROGRESS = frozenset({"is_complete", "stopped_at"})
"""What the options of a run say of how far it has come."""

DECIDE, MAP = "decide", "map"

KEEPS_HALTED = frozenset({DECIDE, EDIT, MAP})
"""What may happen to a halted token that does not take it from its halt."""


def fork(store: Store, token_id: int, at: int | str, *, data: Any, by: str | None = None) -> str:
    """Begin a run with one token, which stands where another stood before a step; return its uuid.

    It is run when somebody resumes the new run, with an engine that has the definition. No decision
    is taken over: where the step came after a halt, the new token is halted there as well, and what
    was asked is asked again; what was put into the token with the decision is not in it.
    ``extra_data`` is that of the other run as it is now. Branches that the step had begun, or that
    ran beside it, are not copied.

    :param at: the number of a step; or a path, or the name of a task, of which the latest counts.
    :param data: what the token is to be; by default what it was before the step.
    :param by: who forks; by default the user of this process.
    :raises WorkflowAPIError: when there is no such step, or the token is one of a branch.
    :raises PositionError: when the definition has changed since that step.
    :raises NotStorableError: before anything is written.
    """
    token, run_id = store.token(token_id)
    run = store.find_run(id=run_id)
    if run is None or is_being_deleted(store, run.root_id or run.id):
        raise UnknownTokenError(f"token {token_id} is being deleted with its run")
    if run.parent_id is not None:
        raise _is_in_branch(store, token_id, run)
    steps = steps_of(store, token)
    step = find_step(steps, at)
    if step is None:
        raise no_such_step(token, steps, at)
    check_old_step(store, run, step)
    halt = _halt_before(steps, step)
    if data is UNCHANGED:
        text = text_of(_undecided(steps, step, halt).before)
    else:
        text = store.types.dumps(data, "token 0")
    stand = _standing(step) if halt is None else _halted(halt)
    point = step.step if halt is None else halt.step + 1
    with store.explaining(), store.database.writing() as connection:
        uuid = _write(store, connection, run, token_id, point, {**stand, "data": document(text)})
        said = {"step": step.step, "new_run": uuid}
        note(store, connection, "fork", user_name(by), run.uuid, token_id, said)
    return uuid


def fork_point(store: Store, run: RunRecord) -> tuple[int, int] | None:
    """Return the token that a run was forked from, and the step; None if it was not forked."""
    table = store.models.workflow.__table__
    query = select(table.c.forked_from).where(table.c.id == run.id)
    with store.explaining(), store.database.reading() as connection:
        token_id = connection.execute(query).scalar_one_or_none()
    step = run.options.get(FORKED_AT)
    return (token_id, step) if token_id is not None and isinstance(step, int) else None


def _is_in_branch(store: Store, token_id: int, run: RunRecord) -> WorkflowAPIError:
    """Return the error that names the token to fork instead."""
    outer: RunRecord | None = run
    waiting: int | None = None
    while outer is not None and outer.parent_id is not None:
        waiting, outer = outer.parent_object_id, store.find_run(id=outer.parent_id)
    instead = f"fork token {waiting}" if waiting is not None else "fork one"
    uuid = run.uuid if outer is None else outer.uuid
    return WorkflowAPIError(
        f"token {token_id} is one of a branch, which cannot run alone: {instead} of run {uuid}, "
        "which began it",
        id_object=token_id,
    )


# Where the new token stands


def _standing(step: Step, status: ObjectStatus = ObjectStatus.RUNNING) -> dict[str, Any]:
    """Return the columns of a token that stands where a step begins."""
    return {
        "status": status.name,
        "callback_pos": step.path,
        "visits": path_text([0] * len(position_of(step.path))),
        "memory": document(without_branches(step.memory, step.row)),
    }


def _halted(halt: Step) -> dict[str, Any]:
    """Return the columns of a token that was halted by a step, and is asked about anew."""
    said = halt.outcome or {}
    payload = said.get("payload")
    return {
        **_standing(halt, ObjectStatus.HALTED),
        "outcome": TokenOutcome.HALTED.value,
        "action": said.get("action"),
        "message": said.get("message"),
        "payload": document(None if payload is None else text_of(payload)),
    }


def _halt_before(steps: Sequence[Step], step: Step) -> Step | None:
    """Return the step whose halt has not been left before this one, if there is one.

    A task that waited for a branch is not past its halt: it is begun again.
    """
    earlier = [each for each in steps if each.step < step.step and each.event not in KEEPS_HALTED]
    last = earlier[-1] if earlier else None
    if last is None or (last.event, last.status) != (TASK, HALTED):
        return None
    waits = step.path == last.path and (step.event == TASK or branches_in(step.memory, step.row))
    return None if waits else last


def _undecided(steps: Sequence[Step], step: Step, halt: Step | None) -> Step:
    """Return the step, or the decision before it, whose data are part of the old answer."""
    between = (each for each in steps if halt and halt.step < each.step < step.step)
    return next((each for each in between if each.event == DECIDE), step)


# What is written


def _write(
    store: Store,
    connection: Connection,
    run: RunRecord,
    token_id: int,
    point: int,
    stand: dict[str, Any],
) -> str:
    """Add the run with its token; neither is there without the other."""
    table, tokens = store.models.workflow.__table__, store.models.object.__table__
    uuid, now = str(uuid4()), store.clock()
    options = {key: run.options[key] for key in run.options if key not in PROGRESS}
    options[FORKED_AT] = point
    connection.execute(
        insert(table).values(
            uuid=uuid,
            name=run.name,
            style=connection.execute(select(table.c.style).where(table.c.id == run.id)).scalar(),
            fingerprint=run.fingerprint,
            status=WorkflowStatus.HALTED.name,
            token_pos=0,
            token_count=1,
            checkpoints=0,
            extra_data=document(run.extra_text),
            options=options,
            forked_from=token_id,
            lease_token=0,
            created=exact(now),
        )
    )
    run_id = connection.execute(select(table.c.id).where(table.c.uuid == uuid)).scalar_one()
    connection.execute(
        insert(tokens).values(
            workflow_id=run_id, token_pos=0, steps=0, attempts=0, since=now, **stand
        )
    )
    return uuid
