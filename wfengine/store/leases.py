"""Leases: a run belongs to one process at a time, for as long as that process is alive.

A lease has a token, which grows with each owner. Every write is conditional on it, so whoever lost
the lease cannot write any more, however long it slept. One thread for each store renews the leases
that this process holds, and looks whether somebody asked for a stop.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field
from sqlalchemy import bindparam, or_, select, update

from wfengine.errors import (
    DamagedDataError,
    LeaseHeldError,
    LeaseLostError,
    StopRequested,
    StoreError,
    UnknownRunError,
)
from wfengine.store.columns import NAME_LENGTH, storable_text
from wfengine.store.views import moment_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from wfengine.store.store import Store

__all__ = ["Keeper", "Lease", "acquire", "check", "has_ended", "held", "release"]

LOOKS_PER_LEASE = 3
LINGERS = 5
"""How many looks long the thread waits for another lease before it ends."""

LOOK_EVERY = 1.0
"""Seconds after which to look for a request to stop, at the latest."""

_numbers = count(1)

OWNER = re.compile(r"(?P<place>.*) process (?P<pid>\d+) #\d+", re.DOTALL)


def owner_name() -> str:
    """Return a name for this process that people understand, and a number of its own."""
    return f"{_place()} process {os.getpid()} #{next(_numbers)}"[-NAME_LENGTH:]


def _place() -> str:
    """Return the name of this machine, and of the part of it that numbers its own processes."""
    host = storable_text(socket.gethostname())
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
        space = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:  # not Linux
        return host
    return f"{host}/{boot}/{space}"


def is_dead(owner: str | None) -> bool:
    """Return whether an owner was a process of this machine that exists no more."""
    found = OWNER.fullmatch(owner or "")
    if os.name != "posix" or found is None or found["place"] != _place():
        return False
    try:
        os.kill(int(found["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


@define(eq=False)
class Lease:
    """The right to write to a run and to its branches.

    :param run_id: the run, which is no branch.
    :param token: its number: greater than that of all earlier owners.
    :param checkpoints: how often the run had been written.
    :param token_count: how many tokens it had.
    :param on_request: called with a transition when the run has to stop.
    """

    run_id: int
    uuid: str
    token: int
    owner: str
    checkpoints: int
    token_count: int
    on_request: Callable[[Any], None] = lambda transition: None
    has_stopped: bool = field(init=False, default=False)

    def stop(self, transition: Any) -> None:
        """Have the run stop before its next task; once is enough."""
        if not self.has_stopped:
            self.has_stopped = True
            self.on_request(transition)

    def lost(self) -> LeaseLostError:
        """Return the error for a write that came too late."""
        return LeaseLostError(
            f"the lease of run {self.uuid} has ended: {self.owner} did not renew it in time, or "
            "somebody else has taken the run up. What was not written yet is dropped, and will be "
            "done again by whoever goes on with the run",
            id_workflow=self.uuid,
        )


def acquire(store: Store, connection: Connection, run_id: int, owner: str) -> Lease:
    """Take a run, and its branches, for this process.

    It must belong to nobody, or its lease must have ended, or its owner be a process of this very
    machine that is dead.

    :raises LeaseHeldError: when another process has it.
    """
    now = store.clock()
    until = now + store.lease_seconds
    values = {"run": run_id, "now": now, "owner": owner, "until": until}
    while True:
        before = connection.execute(store.queries.owner, {"run": run_id}).one_or_none()
        if before is None:
            raise UnknownRunError(f"run {run_id} has been deleted")
        if connection.execute(store.queries.take, values).rowcount:
            break
        if has_ended(before, now):
            continue  # it was given up, or has ended, between the two looks
        if not is_dead(before.lease_owner):
            raise held(before)
        taken_over = {**values, "held": before.lease_token}
        if connection.execute(store.queries.take_over, taken_over).rowcount:
            break
    row = connection.execute(store.queries.owner, {"run": run_id}).one()
    if before.lease_token:  # else there has been no owner, and so no branch
        connection.execute(
            store.queries.take_branches, {"run": run_id, "held": row.lease_token, "until": until}
        )
    return Lease(run_id, row.uuid, row.lease_token, owner, row.checkpoints, row.token_count)


def has_ended(row: Any, now: float) -> bool:
    """Return whether nobody has a run, by its row; a lease whose end is no time has none."""
    is_nobodys = row.lease_owner is None or row.expires is None
    return is_nobodys or (isinstance(row.expires, int | float) and row.expires <= now)


def held(row: Any) -> StoreError:
    """Return the error for a run that somebody has, or whose row does not say until when."""
    until = moment_of(row.expires)
    if until is None:
        end = f"its lease ends at {str(row.expires)[:60]!r}, which is no time"
        return DamagedDataError(end, row=f"workflow {row.id}", id_workflow=row.uuid)
    return LeaseHeldError(
        f"run {row.uuid} belongs to {row.lease_owner} until {until:%Y-%m-%d %H:%M:%S} UTC, unless "
        "that renews it: wait, or stop it there, or with store.stop(uuid)",
        owner=row.lease_owner,
        until=until,
        id_workflow=row.uuid,
    )


def check(store: Store, connection: Connection, lease: Lease, *, holds: bool = False) -> None:
    """Make sure that a run is still this process's.

    :param holds: and stays so until the transaction is over.
    :raises LeaseLostError: when it is not.
    """
    query = store.queries.hold if holds else store.queries.lease
    if connection.execute(query, {"run": lease.run_id}).scalar_one_or_none() != lease.token:
        raise lease.lost()


def release(store: Store, connection: Connection, lease: Lease) -> bool:
    """Give a run back; return False when it is somebody else's by now."""
    table = store.models.workflow.__table__
    given = connection.execute(
        update(table)
        .where(table.c.id == lease.run_id, table.c.lease_token == lease.token)
        .values(lease_owner=None, lease_expires=None)
    )
    return bool(given.rowcount)


class Keeper:
    """Renews the leases of one process, in a thread that exists while there are any.

    It stays a little longer, for the next run.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._leases: dict[int, Lease] = {}
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._is_closed = False
        table = store.models.workflow.__table__
        self._renew = (
            update(table)
            .where(or_(table.c.id == bindparam("run"), table.c.root_id == bindparam("run")))
            .where(table.c.lease_token == bindparam("held"))
            .values(lease_expires=bindparam("until"))
        )
        self._requests = select(table.c.id, table.c.stop_requested).where(
            table.c.stop_requested.is_not(None)
        )
        self._id = table.c.id

    def keep(self, lease: Lease) -> None:
        """Renew a lease from now on."""
        with self._lock:
            self._leases[lease.run_id] = lease
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="wfengine leases", daemon=True
                )
                self._thread.start()

    def drop(self, lease: Lease) -> None:
        """Do not renew it any more."""
        with self._lock:
            self._leases.pop(lease.run_id, None)

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._is_closed = True
            self._leases.clear()
            self._wake.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _work(self) -> None:
        every = min(self._store.lease_seconds / LOOKS_PER_LEASE, LOOK_EVERY)
        looks = max(int(self._store.lease_seconds / LOOKS_PER_LEASE / every), 1)
        idle = 0
        for number in count(1):
            with self._lock:
                if not self._is_closed:
                    self._wake.wait(every)
                leases = list(self._leases.values())
                idle = 0 if leases else idle + 1
                if self._is_closed or idle > LINGERS:
                    self._thread = None
                    return
            if not leases:
                continue
            try:
                self._look(leases, renews=number % looks == 0)
            except Exception as error:  # noqa: BLE001 - the database may be back at the next look
                self._store.log.warning("leases could not be renewed: %s", error)

    def _look(self, leases: list[Lease], renews: bool) -> None:
        self._store.database.check_file()
        asked = self._asked([lease.run_id for lease in leases])
        for lease in leases:
            if lease.run_id in asked:
                lease.stop(StopRequested(asked[lease.run_id]))
            if renews and not self._renewed(lease):
                self.drop(lease)
                lease.stop(StopRequested("the end of its lease"))

    def _asked(self, run_ids: list[int]) -> dict[int, str]:
        """Return who asked which run to stop."""
        with self._store.database.reading() as connection:
            found = connection.execute(self._requests.where(self._id.in_(run_ids)))
            return {row.id: row.stop_requested for row in found}

    def _renewed(self, lease: Lease) -> bool:
        with self._store.database.writing() as connection:
            return self.renew(connection, lease)

    def renew(self, connection: Connection, lease: Lease) -> bool:
        """Renew a lease; return False when the run is somebody else's by now."""
        values = {
            "run": lease.run_id,
            "held": lease.token,
            "until": self._store.clock() + self._store.lease_seconds,
        }
        return bool(connection.execute(self._renew, values).rowcount)
