"""The statements of a checkpoint, written down once for each store.

A checkpoint runs thousands of times a second, so it goes to the driver without detours: SQLAlchemy
only puts the statements into the words of the database.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from sqlalchemy import (
    BigInteger,
    Double,
    Integer,
    Text,
    and_,
    bindparam,
    exists,
    func,
    insert,
    null,
    select,
    type_coerce,
    update,
)

from wfengine.store.database import Database, Prepared
from wfengine.store.models import Models

__all__ = ["ADVANCE", "LEAVE", "STEP", "Statements"]

TYPES = {
    "steps": BigInteger,
    "attempts": Integer,
    "since": Double,
    "step": BigInteger,
    "visit": BigInteger,
    "attempt": Integer,
    "started": Double,
    "finished": Double,
}
"""Of the values that are no texts."""

ADVANCE = ("callback_pos", "visits", "memory", "steps", "attempts")
"""What changes when a token comes to its next task."""

LEAVE = (
    *ADVANCE,
    "status",
    "since",
    "outcome",
    "action",
    "message",
    "payload",
    "decision",
    "error",
    "failure",
)
"""What changes when a token gets another status."""

STEP = (
    "step",
    "event",
    "path",
    "name",
    "visit",
    "attempt",
    "status",
    "started",
    "finished",
    "outcome",
    "inverse",
    "memory",
)
"""What is known of a step."""


def _value(name: str, parameter: str | None = None) -> Any:
    """Return a placeholder whose value goes to the driver as it is."""
    return bindparam(parameter or name, type_=TYPES.get(name, Text)())


@frozen
class Statements:
    """The statements of a checkpoint for one database.

    :param fence: write how far the run has come, if it is still owned and nobody has stopped it.
    :param force: the same, although somebody has stopped it.
    :param advance: write how far a token has come.
    :param leave: the same, with another status.
    :param step: add to its history.
    :param at_once: ``fence``, ``advance`` and ``step`` in one statement, where there is such.
    :param end: write the status of a run, and give up its lease; a branch has none of its own.
    :param options: write how a run is run.
    :param any_token: tell whether a run has a token with a status.
    """

    fence: Prepared
    force: Prepared
    advance: Prepared
    leave: Prepared
    step: Prepared
    at_once: Prepared | None
    end: Prepared
    end_of_branch: Prepared
    options: Prepared
    any_token: Prepared

    @classmethod
    def of(cls, database: Database, models: Models) -> Statements:
        """Write them down for a database and its tables."""
        run, token, execution = (
            model.__table__ for model in (models.workflow, models.object, models.execution)
        )
        engine = database.engine
        fence = _fence(run).where(run.c.stop_requested.is_(None))
        advance = _token(token, ADVANCE)
        return cls(
            fence=Prepared.of(fence, engine),
            force=Prepared.of(_fence(run), engine),
            advance=Prepared.of(advance, engine),
            leave=Prepared.of(_token(token, LEAVE), engine),
            step=Prepared.of(_step(execution), engine),
            at_once=Prepared.of(_at_once(fence, advance, run, token, execution), engine)
            if database.is_postgresql
            else None,
            end=Prepared.of(_end(run).values(lease_owner=null(), lease_expires=null()), engine),
            end_of_branch=Prepared.of(_end(run), engine),
            options=Prepared.of(_options(run), engine),
            any_token=Prepared.of(_any_token(token), engine),
        )


def _fence(run: Any) -> Any:
    extra_data = type_coerce(run.c.extra_data, Text)
    number = BigInteger()
    return (
        update(run)
        .where(
            and_(
                run.c.id == bindparam("run_id", type_=number),
                run.c.lease_token == bindparam("lease", type_=number),
                run.c.checkpoints == bindparam("before", type_=number),
                type_coerce(run.c.lease_expires, Double) > bindparam("now", type_=Double()),
            )
        )
        .values(
            token_pos=bindparam("cursor", type_=number),
            checkpoints=bindparam("checkpoints", type_=number),
            extra_data=func.coalesce(bindparam("extra_data", type_=Text()), extra_data),
        )
    )


def _token(token: Any, columns: tuple[str, ...]) -> Any:
    changes = {
        name: _value(name, "token_memory" if name == "memory" else f"token_{name}")
        for name in columns
    }
    data = func.coalesce(bindparam("data", type_=Text()), type_coerce(token.c.data, Text))
    return (
        update(token)
        .where(token.c.id == bindparam("object_id", type_=BigInteger()))
        .values(data=data, **changes)
    )


def _step(execution: Any) -> Any:
    values = {name: _value(name) for name in STEP}
    return insert(execution).values(object_id=bindparam("object_id", type_=BigInteger()), **values)


def _end(run: Any) -> Any:
    return (
        update(run)
        .where(run.c.id == bindparam("run_id", type_=BigInteger()))
        .values(
            status=bindparam("status", type_=Text()),
            finished=bindparam("finished", type_=Double()),
            error=bindparam("error", type_=Text()),
        )
    )


def _options(run: Any) -> Any:
    return (
        update(run)
        .where(run.c.id == bindparam("run_id", type_=BigInteger()))
        .values(options=bindparam("options", type_=Text()))
    )


def _any_token(token: Any) -> Any:
    return select(
        exists().where(
            token.c.workflow_id == bindparam("run_id", type_=BigInteger()),
            token.c.status == bindparam("status", type_=Text()),
        )
    )


def _at_once(fence: Any, advance: Any, run: Any, token: Any, execution: Any) -> Any:
    fenced = fence.returning(run.c.id).cte("fenced")
    advanced = advance.where(exists(select(fenced.c.id))).returning(token.c.id).cte("advanced")
    columns = ["object_id", *STEP]
    values = select(advanced.c.id, *(_value(name) for name in STEP)).select_from(advanced)
    return insert(execution).from_select(columns, values, include_defaults=False)
