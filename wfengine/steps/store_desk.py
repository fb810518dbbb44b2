"""The desk of a store: who has what is in its database, for all processes that use it.

Its two tables are made when somebody first uses a pool there. They are no part of the store's own
schema, because the store knows nothing of steps; and they hold nothing that outlives a run.

What a run has is tied to its lease: when that is given up or has ended, whoever comes next may have
it. A step that waits for another process looks again each second: a database tells nobody that
something was given back. A run of which nothing else goes on says so at what it waits for, so that
others know when all wait for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary, proxy

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    type_coerce,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from wfengine.steps.desks import Desk, root_of
from wfengine.steps.resources import LONGEST, Claim
from wfengine.steps.standstill import Share
from wfengine.store.leases import is_dead

__all__ = ["StoreDesk", "desk_of"]

WAITING, HELD, KEPT = "waiting", "held", "kept"
STILL = "still"
"""As ``waiting``, and nothing of the run goes on meanwhile."""

WAITS = (WAITING, STILL)

LONGEST_STEP = 250

TABLE: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}

metadata = MetaData()

pools = Table(
    "step_pool",
    metadata,
    Column("name", String(LONGEST), primary_key=True),
    Column("turn", BigInteger, nullable=False),
    **TABLE,
)
"""A row for each pool, which is locked by whoever looks at its claims."""

claims = Table(
    "step_claim",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("ticket", String(36), nullable=False),
    Column("pool", String(LONGEST), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("most", BigInteger),
    Column("step", String(LONGEST_STEP), nullable=False),
    Column("state", String(16), nullable=False),
    Column("run_id", BigInteger, nullable=False),
    Column("lease_token", BigInteger, nullable=False),
    Index("ix_step_claim_pool", "pool", "id"),
    Index("ix_step_claim_ticket", "ticket"),
    **TABLE,
)
"""What each step wants or has of one pool, of which there is so much at most; the smaller id has
asked first."""


class StoreDesk(Desk):
    """Hands out what all processes share.

    :param store: which the desk does not keep alive.
    """

    def __init__(self, store: Any) -> None:
        super().__init__()
        self._store = proxy(store)
        self._known: set[str] = set()
        self._still: dict[int, list[int]] = {}
        """The rows at which a run says that it is still."""
        self._make_tables()

    def _make_tables(self) -> None:
        try:
            self._create()
        except DBAPIError:  # another process was doing the same
            self._create()

    def _create(self) -> None:
        with self._store.database.writing() as connection:
            metadata.create_all(connection)

    def _enter(self, claim: Claim) -> None:
        claim.ticket = str(uuid4())
        journal = root_of(claim.entry.eng).recorder
        owner = {"run_id": journal.run.id, "lease_token": journal.lease.token}
        rows = [
            {
                "ticket": claim.ticket,
                "pool": amount.pool.name,
                "amount": amount.number,
                "most": amount.pool.limit,
                "step": claim.name[:LONGEST_STEP],
                "state": WAITING,
                **owner,
            }
            for amount in claim.wants.acquires
        ]
        self._know(claim)
        if rows:
            with self._store.explaining(), self._store.database.writing() as connection:
                _lock(connection, claim.pools)
                connection.execute(insert(claims), rows)

    def _know(self, claim: Claim) -> None:
        """Have a row for each pool."""
        for name in claim.pools:
            if name in self._known:
                continue
            try:
                with self._store.database.writing() as connection:
                    found = connection.execute(select(pools.c.name).where(pools.c.name == name))
                    if found.first() is None:
                        connection.execute(insert(pools).values(name=name, turn=0))
            except IntegrityError:  # another process was first
                pass
            self._known.add(name)

    def _hand_out(self, claim: Claim) -> bool:
        with self._store.explaining(), self._store.database.writing() as connection:
            _lock(connection, claim.pools)
            is_enough = all(
                self._has_enough(connection, claim, amount) for amount in claim.wants.acquires
            )
            if is_enough:
                connection.execute(
                    update(claims).where(claims.c.ticket == claim.ticket).values(state=HELD)
                )
                self._note_move(connection, claim)
        return is_enough

    def _has_enough(self, connection: Connection, claim: Claim, amount: Any) -> bool:
        """Return whether there is enough of a pool, and nobody has asked before."""
        limit = amount.pool.limit
        taken = 0
        for row in self._alive(connection, amount.pool.name):
            if row.ticket == claim.ticket:
                return limit is None or taken + amount.number <= limit
            if row.state in WAITS:
                return False
            taken += row.amount
        return False

    def _alive(self, connection: Connection, pool: str) -> list[Any]:
        """Return the claims of runs that somebody has; others are dropped."""
        rows = self._rows(connection, claims.c.pool == pool)
        now = self._store.clock()
        dead = [row.id for row in rows if not _is_alive(row, now)]
        if dead:
            connection.execute(delete(claims).where(claims.c.id.in_(dead)))
        return [row for row in rows if row.id not in dead]

    def _rows(self, connection: Connection, *conditions: Any) -> Sequence[Any]:
        run = self._store.models.workflow.__table__
        query = (
            select(
                *claims.c,
                run.c.name.label("run_name"),
                run.c.uuid,
                run.c.lease_token.label("token"),
                run.c.lease_owner,
                type_coerce(run.c.lease_expires, Double).label("expires"),
            )
            .outerjoin(run, run.c.id == claims.c.run_id)
            .where(*conditions)
            .order_by(claims.c.state.in_(WAITS), claims.c.id)
        )
        return connection.execute(query).all()

    def _take_back(self, claim: Claim) -> None:
        journal = root_of(claim.entry.eng).recorder
        names = sorted({*claim.pools, *claim.wants.releases})
        with self._store.explaining(), self._store.database.writing() as connection:
            _lock(connection, names)
            for name in names:
                connection.execute(
                    update(claims)
                    .where(claims.c.ticket == claim.ticket, claims.c.pool == name)
                    .values(state=KEPT)
                )
                _reduce(connection, journal.run.id, name, claim.wants.releases.get(name, 0))
        claim.is_held = False

    def _give_up(self, claim: Claim) -> None:
        with self._store.explaining(), self._store.database.writing() as connection:
            connection.execute(delete(claims).where(claims.c.ticket == claim.ticket))
            self._note_move(connection, claim)

    # Standstills

    def _key(self, claim: Claim) -> Any:
        return claim.ticket

    def _shares(self, run: Any, waiting: Mapping[Any, Claim]) -> Sequence[Share]:
        run_id, now = run.recorder.run.id, self._store.clock()
        with self._store.explaining(), self._store.database.writing() as connection:
            rows = [row for row in self._rows(connection) if _is_alive(row, now)]
            own = [row.id for row in rows if row.run_id == run_id and row.state in WAITS]
            if self._still.get(run_id) != own:
                _set_state(connection, own, STILL)
                self._still[run_id] = own
        still = {run_id, *(row.run_id for row in rows if row.state == STILL)}
        return [
            Share(
                row.id,
                row.ticket,
                row.run_id,
                row.pool,
                row.amount,
                row.most,
                waits=row.state in WAITS,
                is_kept=row.state == KEPT,
                is_still=row.run_id in still,
                holder=row.step if row.run_id == run_id else _elsewhere(row),
            )
            for row in rows
        ]

    def _note_move(self, connection: Connection, claim: Claim) -> None:
        """Note that something of a run goes on, together with what lets it do so."""
        run_id = root_of(claim.entry.eng).recorder.run.id
        marked = self._still.pop(run_id, [])
        if marked:
            waiting = select(claims.c.id).where(claims.c.id.in_(marked), claims.c.state == STILL)
            _set_state(connection, connection.execute(waiting).scalars().all(), WAITING)


_desks: WeakKeyDictionary[Any, StoreDesk] = WeakKeyDictionary()
_desks_lock = threading.Lock()


def desk_of(store: Any) -> StoreDesk:
    """Return the desk that all flows of this process share that use a store."""
    with _desks_lock:
        if store not in _desks:
            _desks[store] = StoreDesk(store)
        return _desks[store]


def _lock(connection: Connection, names: list[str]) -> None:
    """Keep others from the claims of some pools, which all lock in one order."""
    for name in sorted(names):
        connection.execute(update(pools).where(pools.c.name == name).values(turn=pools.c.turn + 1))


def _set_state(connection: Connection, ids: Sequence[int], state: str) -> None:
    connection.execute(update(claims).where(claims.c.id.in_(ids)).values(state=state))


def _elsewhere(row: Any) -> str:
    return f"{row.step} of run {row.uuid} of {row.run_name!r}"


def _is_alive(row: Any, now: float) -> bool:
    is_owned = row.lease_owner is not None and row.token == row.lease_token
    is_valid = row.expires is None or row.expires > now
    return is_owned and is_valid and not is_dead(row.lease_owner)


def _reduce(connection: Connection, run_id: int, pool: str, number: int) -> None:
    """Take so much from what a run has kept of a pool."""
    kept = connection.execute(
        select(claims.c.id, claims.c.amount)
        .where(claims.c.run_id == run_id, claims.c.pool == pool, claims.c.state == KEPT)
        .order_by(claims.c.id.desc())
    ).all()
    for row in kept:
        given = min(number, row.amount)
        number -= given
        if given == row.amount:
            connection.execute(delete(claims).where(claims.c.id == row.id))
        elif given:
            left = row.amount - given
            connection.execute(update(claims).where(claims.c.id == row.id).values(amount=left))
