"""The statements at the beginning of a run, built once for each store.

SQLAlchemy takes longer to build such a statement than a database to execute it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Double,
    Text,
    bindparam,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.models import Models
from wfengine.store.records import RunRecord, TokenRecord

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["Queries", "values_of"]


def values_of(store: Store, column: Any) -> list[Any]:
    """Return the values in an indexed column, sorted, each once; there should be few."""
    found, following = list[Any](), select(func.min(column))
    with store.explaining(), store.database.reading() as connection:
        while (value := connection.execute(following).scalar_one()) is not None:
            found.append(value)
            following = select(func.min(column)).where(column > value)
    return found


class Queries:
    """Statements about the tables of one store; values are passed by name."""

    def __init__(self, models: Models) -> None:
        self._run = models.workflow.__table__
        self._token = models.object.__table__
        self._definition = models.definition.__table__

    @cached_property
    def run_of_uuid(self) -> Any:
        """A run by its ``uuid``."""
        return RunRecord.query(self._run).where(self._run.c.uuid == bindparam("uuid"))

    @cached_property
    def run_of_id(self) -> Any:
        """The same by its id, ``run``."""
        return RunRecord.query(self._run).where(self._run.c.id == bindparam("run"))

    @cached_property
    def add_run(self) -> Any:
        """Add a run, of which ``text`` is the ``extra_data``; the columns are named as they are."""
        return insert(self._run).values({self._run.c.extra_data: bindparam("text", type_=Text())})

    @cached_property
    def definition(self) -> Any:
        """The ``mark`` of a definition, if it is known."""
        mark = self._definition.c.fingerprint
        return select(mark).where(mark == bindparam("mark"))

    @cached_property
    def add_definition(self) -> Any:
        """Add a definition; the columns are named as they are."""
        return insert(self._definition)

    @cached_property
    def take(self) -> Any:
        """Make ``run`` the property of ``owner``, unless somebody has it ``now``."""
        run = self._run
        is_free = or_(
            run.c.lease_owner.is_(None),
            run.c.lease_expires.is_(None),
            run.c.lease_expires <= bindparam("now"),
        )
        return self._taking.where(is_free)

    @cached_property
    def take_over(self) -> Any:
        """Make ``run`` the property of ``owner``, if its lease is still ``held``."""
        return self._taking.where(self._run.c.lease_token == bindparam("held"))

    @property
    def _taking(self) -> Any:
        run = self._run
        return (
            update(run)
            .where(run.c.id == bindparam("run"))
            .values(
                lease_owner=bindparam("owner"),
                lease_token=run.c.lease_token + 1,
                lease_expires=bindparam("until"),
                stop_requested=None,
            )
        )

    @cached_property
    def owner(self) -> Any:
        """Who has ``run``."""
        run = self._run
        columns = (run.c.id, run.c.uuid, run.c.status, run.c.checkpoints, run.c.token_count)
        expires = type_coerce(run.c.lease_expires, Double).label("expires")
        lease = (run.c.lease_owner, run.c.lease_token, expires)
        return select(*columns, *lease).where(run.c.id == bindparam("run"))

    @cached_property
    def lease(self) -> Any:
        """The number of the lease of ``run``."""
        return select(self._run.c.lease_token).where(self._run.c.id == bindparam("run"))

    @cached_property
    def hold(self) -> Any:
        """The same, and nobody takes the run before the transaction is over."""
        return self.lease.with_for_update()

    @cached_property
    def take_branches(self) -> Any:
        """Give the branches of ``run`` the same lease."""
        run = self._run
        return (
            update(run)
            .where(run.c.root_id == bindparam("run"))
            .values(
                lease_token=bindparam("held"),
                lease_expires=bindparam("until"),
                stop_requested=None,
            )
        )

    @cached_property
    def begin(self) -> Any:
        """Note that ``run`` is running, how, and since when."""
        run = self._run
        return (
            update(run)
            .where(run.c.id == bindparam("run"))
            .values(
                status=WorkflowStatus.RUNNING.name,
                options=bindparam("how"),
                started=func.coalesce(run.c.started, bindparam("now")),
                due=None,
            )
        )

    @cached_property
    def add_token(self) -> Any:
        """Add a token that nothing has been done with."""
        token = self._token
        values = {
            "workflow_id": bindparam("run"),
            "token_pos": bindparam("index"),
            "data": bindparam("text", type_=Text()),
            "status": ObjectStatus.INITIAL.name,
            "callback_pos": "0",
            "visits": "0",
            "steps": 0,
            "attempts": 0,
            "since": bindparam("now"),
        }
        return insert(token).values({token.c[name]: value for name, value in values.items()})

    @cached_property
    def count_tokens(self) -> Any:
        """Note how many tokens ``run`` has."""
        run = self._run
        return (
            update(run).where(run.c.id == bindparam("run")).values(token_count=bindparam("count"))
        )

    @cached_property
    def page(self) -> Any:
        """So ``many`` tokens of ``run`` from an ``index`` on."""
        token = self._token
        return (
            TokenRecord.query(token)
            .where(token.c.workflow_id == bindparam("run"), token.c.token_pos >= bindparam("index"))
            .order_by(token.c.token_pos)
            .limit(bindparam("many", type_=BigInteger()))
        )
