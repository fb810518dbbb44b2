"""Tokens taken back in their history, or elsewhere.

That is a step of the history itself, and can be undone like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen
from sqlalchemy import Connection, func, null, select, update

from wfengine.callbacks import Definition
from wfengine.definitions import fingerprint
from wfengine.errors import (
    PositionError,
    UnknownTokenError,
    WorkflowAPIError,
    WorkflowObjectStatusError,
)
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.audit import user_name
from wfengine.store.comparisons import RunComparison, compare
from wfengine.store.edits import add_step, document, edit
from wfengine.store.forks import fork
from wfengine.store.history import Step, find_step, history, last_visit, steps_of
from wfengine.store.leftovers import abandon_branches, branches_in, without_branches
from wfengine.store.places import check_old_step, check_step, path_to
from wfengine.store.records import RunRecord, TokenRecord, path_text, position_of
from wfengine.store.resuming import refresh
from wfengine.store.serialization import text_of
from wfengine.store.views import plain_of

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["RunComparison", "Step", "compare", "edit", "fork", "history", "rewind"]

REWIND, MOVE = "rewind", "move"


@frozen
class Place:
    """Where a token is taken.

    :param to: what the history says of it: the number of a step, or a path.
    :param data: the JSON structure that its data are to be.
    :param first: the first step that does not count any more.
    """

    event: str
    to: int | str
    path: str
    memory: str | None
    data: Any
    first: int


def rewind(store: Store, eng: Any, token_id: int, to: int | str, by: str | None = None) -> None:
    """Take a token back to where it was before a step; resuming goes on there.

    Its data, position, and what patterns remembered are as they were; branches that the task had
    begun are begun anew. ``extra_data`` is the run's, and stays. The steps in between stay in the
    history, and so does this one: rewinding to it takes the token forward again. What is done from
    here on counts as done for the first time: it has idempotency keys of its own, and a decision
    has to be made again.

    :param to: the number of a step; or a path, ``0.2.1``, or the name of a task, of which the
        latest step counts. Where there is none, the token is moved to it as it is.
    :param by: who takes it; by default the user of this process.
    :raises WorkflowAPIError: when there is no such step, nor task; saying what is similar.
    :raises PositionError: when the definition is another than it was at that step, or the token
        cannot be moved there.
    :raises LeaseHeldError: when somebody is working on the token.
    :raises WorkflowObjectStatusError: when the run has not come to the token yet, or somebody else
        was faster.
    """
    journal = eng._own_journal()
    if journal.lease is not None:
        raise WorkflowAPIError("this engine is running: rewind when it has stopped")
    run = store.run(journal.run.uuid)
    token = _token_of(store, run, token_id)
    place, steps = _place(store, eng, run, token, to)

    def take(connection: Connection) -> dict[str, Any]:
        _wake(store, connection, run)
        return _take(store, connection, run, token, place)

    add_step(
        store,
        run,
        token,
        place.event,
        _name_at(steps, token.path),
        {"to": place.to, "by": user_name(by)},
        text_of(place.data),
        take,
    )
    refresh(eng, journal)
    eng._stand()


# Where to


def _token_of(store: Store, run: RunRecord, token_id: int) -> TokenRecord:
    token, run_id = store.token(token_id)
    if run_id != run.id:
        raise UnknownTokenError(f"token {token_id} is not of run {run.uuid}", run.uuid)
    if token.index > run.token_pos:
        raise WorkflowObjectStatusError(
            f"the run has not come to token {token_id} yet, and will begin it at its first task",
            run.uuid,
            token_id,
        )
    return token


def _place(
    store: Store, eng: Any, run: RunRecord, token: TokenRecord, to: int | str
) -> tuple[Place, list[Step]]:
    definition: Definition = eng.callbacks.get()
    steps = steps_of(store, token)
    step = find_step(steps, to)
    is_same = fingerprint(definition) == run.fingerprint
    if step is not None:
        if is_same:
            check_step(step, definition)
        else:
            check_old_step(store, run, step)
        memory = without_branches(step.memory, step.row)
        return Place(REWIND, step.step, step.path, memory, step.before, step.step), steps
    if not is_same:
        raise PositionError(
            f"the definition of run {run.uuid} has changed since it ran: name a step of the "
            "history to rewind to; resuming maps the position, and then a token can be moved",
            run.uuid,
        )
    path = path_to(token, steps, to, definition)
    data = plain_of(token.text, f"workflow_object {token.id}")
    return Place(MOVE, path, path, None, data, token.steps + 1), steps


def _name_at(steps: list[Step], path: str) -> str:
    """Return the name of the task at which a token stands, if it has been there."""
    return next((step.name for step in reversed(steps) if step.path == path), "")


# What is written


def _take(
    store: Store, connection: Connection, run: RunRecord, token: TokenRecord, place: Place
) -> dict[str, Any]:
    """Return what a token's row is to be at a place; what it waits for is over."""
    waited_for = branches_in(token.memory, f"workflow_object {token.id}")
    abandon_branches(store, connection, run.id, token.id, place.first, waited_for)
    visit = _last_visit(store, connection, token) + 1
    cleared = ("outcome", "action", "message", "payload", "decision", "error", "failure")
    return {
        "status": ObjectStatus.RUNNING.name,
        "since": store.clock(),
        "callback_pos": place.path,
        "visits": path_text([visit] * len(position_of(place.path))),
        "memory": document(place.memory),
        "attempts": 0,
        **dict.fromkeys(cleared, null()),
    }


def _last_visit(store: Store, connection: Connection, token: TokenRecord) -> int:
    table = store.models.execution.__table__
    query = select(func.max(table.c.visit)).where(table.c.object_id == token.id)
    return last_visit(token, connection.execute(query).scalar_one())


def _wake(store: Store, connection: Connection, run: RunRecord) -> None:
    """Let a run that was over be seen as one that can go on."""
    table = store.models.workflow.__table__
    over = [WorkflowStatus.COMPLETED.name, WorkflowStatus.ERROR.name]
    connection.execute(
        update(table)
        .where(table.c.id == run.id, table.c.status.in_(over))
        .values(status=WorkflowStatus.HALTED.name, finished=None, error=null())
    )
