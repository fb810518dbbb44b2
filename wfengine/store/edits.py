"""Steps that people add to a token's history: its data are changed, or it is taken elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Double, Text, insert, literal, null, select, type_coerce, update

from wfengine.errors import (
    LeaseHeldError,
    UnknownTokenError,
    WorkflowObjectStatusError,
)
from wfengine.status import ObjectStatus
from wfengine.store.audit import note, user_name
from wfengine.store.changes import diff
from wfengine.store.history import TASK
from wfengine.store.leases import has_ended, held
from wfengine.store.records import RunRecord, TokenRecord
from wfengine.store.retention import DELETING
from wfengine.store.serialization import text_of
from wfengine.store.steps import DOCUMENTS, DONE
from wfengine.store.views import moment_of, plain_of

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["add_step", "changed", "document", "edit", "name_at", "step_of"]

EDIT = "edit"


def edit(
    store: Store, token_id: int, data: Any, *, by: str | None, seen: int | None = None
) -> None:
    """Replace the data of a token; its history says who did, and what.

    :param by: who does; by default the user of this process.
    :param seen: how many steps the token had when it was looked at, if it was.
    :raises NotStorableError: before anything is written.
    :raises LeaseHeldError: when somebody may be working on the token.
    :raises WorkflowObjectStatusError: when somebody else was faster.
    """
    token, run_id = store.token(token_id)
    run = store.find_run(id=run_id)
    if run is None:
        raise UnknownTokenError(f"token {token_id} is being deleted with its run")
    if seen not in (None, token.steps):
        raise changed(token, run)
    text = store.text_of_token(data, token.index)
    name = name_at(store, token)
    add_step(store, run, token, EDIT, name, {"by": user_name(by)}, text)


def add_step(
    store: Store,
    run: RunRecord,
    token: TokenRecord,
    event: str,
    name: str,
    outcome: dict[str, Any],
    text: str,
    also: Callable[[Connection], dict[str, Any]] = lambda connection: {},
) -> None:
    """Change a token, and write into its history how, unless somebody is working on it.

    :param token: as it was read; if it is not so any more, nothing is written.
    :param name: of the task at which it stands.
    :param outcome: what the history says of it; ``by`` is who does it.
    :param text: its new data, as stored.
    :param also: changes what else has to be, in the same transaction, and returns the token's other
        columns.
    """
    table = store.models.object.__table__
    step = step_of(store, token, event, name, DOCUMENTS.dumps(outcome), text)
    with store.explaining(), store.database.writing() as connection:
        uuid = _check_idle(store, connection, run, token)
        written = connection.execute(
            update(table)
            .where(
                table.c.id == token.id,
                table.c.steps == token.steps,
                table.c.status == token.status.name,
            )
            .values(steps=token.steps + 1, data=document(text), **also(connection))
        )
        if not written.rowcount:
            raise changed(token, run)
        connection.execute(step)
        said = {key: value for key, value in outcome.items() if key != "by"}
        note(
            store,
            connection,
            event,
            outcome["by"],
            uuid,
            token.id,
            {"step": token.steps + 1, **said},
        )


def changed(token: TokenRecord, run: RunRecord) -> WorkflowObjectStatusError:
    """Return the error for a token that is not as it was when it was looked at."""
    return WorkflowObjectStatusError(
        f"token {token.id} has changed in the meantime: look at it again, then repeat",
        run.uuid,
        token.id,
    )


def _check_idle(store: Store, connection: Connection, run: RunRecord, token: TokenRecord) -> str:
    """Return the uuid of the outermost run, and keep others off the token.

    One on which the owner is working, or may be, is refused: an owner has read the tokens that it
    will come to, and would not see that they changed.
    """
    table = store.models.workflow.__table__
    root = connection.execute(
        select(
            table.c.id,
            table.c.uuid,
            table.c.lease_owner,
            type_coerce(table.c.lease_expires, Double).label("expires"),
        )
        .where(table.c.id == (run.root_id or run.id))
        .with_for_update()
    ).one_or_none()
    cursor = connection.execute(select(table.c.token_pos).where(table.c.id == run.id)).scalar()
    if root is None or cursor is None or root.lease_owner == DELETING:
        raise UnknownTokenError(f"token {token.id} is being deleted with its run", run.uuid)
    is_owned, until = not has_ended(root, store.clock()), moment_of(root.expires)
    if is_owned and until is None:
        raise held(root)
    if is_owned and not (token.index < cursor and _is_at_rest(store, connection, token)):
        raise LeaseHeldError(
            f"{root.lease_owner} is working on run {root.uuid}, and may be on token {token.id}: "
            f"stop the run first, for instance with store.stop({root.uuid!r})",
            owner=root.lease_owner,
            until=until,
            id_workflow=run.uuid,
            id_object=token.id,
        )
    return str(root.uuid)


def _is_at_rest(store: Store, connection: Connection, token: TokenRecord) -> bool:
    """Return whether a token is done, or nothing goes on with it before somebody decides."""
    table = store.models.object.__table__
    row = connection.execute(
        select(table.c.status, table.c.action, table.c.decision.is_(None).label("is_open")).where(
            table.c.id == token.id
        )
    ).one_or_none()
    if row is None or row.status == ObjectStatus.COMPLETED.name:
        return True
    return bool(row.status == ObjectStatus.HALTED.name and row.action is not None and row.is_open)


def step_of(
    store: Store,
    token: TokenRecord,
    event: str,
    name: str,
    outcome: str,
    text: str,
) -> Any:
    """Return the statement that adds a step to the history of a token.

    :param outcome: what the history says of it, as stored.
    :param text: the token's new data, as stored.
    """
    row = f"workflow_object {token.id}"
    change = diff(plain_of(text, row), plain_of(token.text, row)) if text != token.text else None
    now = store.clock()
    return insert(store.models.execution.__table__).values(
        object_id=token.id,
        step=token.steps + 1,
        event=event,
        path=token.path,
        name=name,
        visit=token.visits[-1],
        attempt=token.attempts,
        status=DONE,
        started=now,
        finished=now,
        outcome=document(outcome),
        inverse=document(None if change is None else text_of(change)),
        memory=document(token.memory),
    )


def document(text: str | None) -> Any:
    """Return a document as a value for a statement, of which the text is there already."""
    return null() if text is None else literal(text, Text())


def name_at(store: Store, token: TokenRecord) -> str:
    """Return the name of the task at which a token stands, if it has been there."""
    table = store.models.execution.__table__
    query = (
        select(table.c.name)
        .where(table.c.object_id == token.id, table.c.path == token.path, table.c.event == TASK)
        .order_by(table.c.step.desc())
        .limit(1)
    )
    with store.explaining(), store.database.reading() as connection:
        return connection.execute(query).scalar() or ""
