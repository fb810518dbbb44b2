"""What people did to runs and tokens: who, what and when, in the order in which it was done."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from attrs import frozen
from sqlalchemy import Connection, Double, Text, bindparam, insert, select, type_coerce

from wfengine.errors import NotStorableError, WorkflowAPIError
from wfengine.store.columns import NAME_LENGTH, storable_text
from wfengine.store.records import columns_of
from wfengine.store.serialization import Types, text_of
from wfengine.store.serialization.faults import shown
from wfengine.store.views import moment_of, plain_of

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["AuditEntry", "audit", "brief", "note", "user_name"]

LONGEST = 1000
"""How many characters of what somebody decided are kept here; the history has all of it."""


@frozen
class AuditEntry:
    """What somebody did.

    :param id: grows; what was done later has a greater one.
    :param at: when, in UTC; None where what is stored is no time.
    :param who: as was said, or else the user of the process.
    :param action: ``decide``, ``edit``, ``rewind``, ``move``, ``fork``, ``stop``, ``delete``,
        ``prune``, ``resume_failures``, ``recover``, or another word that a program has given.
    :param uuid: of the run; of a branch, of the run that it belongs to. None for what was done to
        more than one.
    :param token_id: the token, if it was done to one.
    :param details: what else there is to say.
    """

    id: int
    at: datetime | None
    who: str
    action: str
    uuid: str | None
    token_id: int | None
    details: dict[str, Any]


def note(
    store: Store,
    connection: Connection,
    action: str,
    who: str,
    uuid: str | None = None,
    token_id: int | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Write down what somebody does, in the transaction in which it is done.

    :param details: plain data.
    :raises NotStorableError: when they are not.
    """
    model = store.models.audit
    if model is None:
        return
    try:
        text = text_of(details) if details else None
    except (TypeError, ValueError) as error:
        raise NotStorableError(
            f"the details of {shown(action)} are no plain data: {error}"
        ) from error
    statement = insert(model.__table__).values(
        at=store.clock(),
        who=storable_text(who)[:NAME_LENGTH],
        action=storable_text(action)[:NAME_LENGTH],
        run_uuid=uuid,
        object_id=token_id,
        details=bindparam("said", text, type_=Text()),
    )
    connection.execute(statement)


def audit(
    store: Store,
    *,
    uuid: str | UUID | None = None,
    token_id: int | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[AuditEntry]:
    """Return what people did, the latest first.

    :param uuid: only to this run and its tokens, whether they are still there or not.
    :param token_id: only to this token.
    :param before: only what has a smaller :attr:`~AuditEntry.id`: the last one of the page before.
    :raises WorkflowAPIError: when the store's models have no table for it.
    """
    model = store.models.audit
    if model is None:
        raise WorkflowAPIError(
            "the models of this store have no table for what people do: give Models an audit made "
            "of WorkflowAuditMixin"
        )
    table = model.__table__
    query = select(
        *columns_of(table, "id", "who", "action", "run_uuid", "object_id", "details"),
        type_coerce(table.c.at, Double).label("at"),
    )
    if uuid is not None:
        query = query.where(table.c.run_uuid == storable_text(str(uuid)))
    if token_id is not None:
        query = query.where(table.c.object_id == token_id)
    if before is not None:
        query = query.where(table.c.id < before)
    with store.explaining(), store.database.reading() as connection:
        rows = connection.execute(query.order_by(table.c.id.desc()).limit(limit)).all()
    return [_entry(row) for row in rows]


def _entry(row: Any) -> AuditEntry:
    found = {} if row.details is None else plain_of(row.details, f"workflow_audit {row.id}")
    return AuditEntry(
        row.id,
        moment_of(row.at),
        row.who,
        row.action,
        row.run_uuid,
        row.object_id,
        found if isinstance(found, dict) else {"said": found},
    )


def user_name(by: str | None = None) -> str:
    """Return who does something: as was said, or else the user of this process."""
    if by is not None:
        return storable_text(str(by))
    try:
        return storable_text(getpass.getuser())
    except (OSError, KeyError, ImportError):  # nobody whom this machine knows by name
        return "unknown"


def brief(text: str) -> Any:
    """Return the plain structure of a document, or, of a long one, how it begins."""
    return Types.plain(text) if len(text) <= LONGEST else text[:LONGEST] + "..."
