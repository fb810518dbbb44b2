"""Where a process is killed: at the k-th statement, commit or entry in the ledger.

The statements are counted inside the database driver, below everything that is tested, by
connections and cursors that the driver is asked to use.
"""

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from threading import Lock, RLock
from typing import Any

import psycopg
from attrs import define, field, frozen
from psycopg.pq import TransactionStatus
from sqlalchemy import make_url

from .definition import Ledger

__all__ = ["KINDS", "Dead", "Fate", "FeignedDeath", "Point", "WatchedLedger", "engine_options"]

KINDS = ("statement", "commit", "entry")
"""What can be counted: what goes to the database, what ends a transaction there, and what is done
outside of it. A statement that writes outside of a transaction is a commit of its own."""

READING = ("SELECT", "PRAGMA", "BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "SHOW", "SET")


@frozen
class Point:
    """A point in a process's life.

    :param number: of the statement, commit or entry, from 1 on.
    :param is_after: whether it has been done.
    """

    kind: str
    number: int
    is_after: bool

    def __str__(self) -> str:
        return f"{'after' if self.is_after else 'before'} {self.kind} {self.number}"


@define
class Fate:
    """Counts what a process does, and sends it a signal at one point."""

    at: Point | None = None
    signal: int = signal.SIGKILL
    counts: Counter[str] = field(factory=Counter)
    _lock: Any = field(factory=RLock)

    def opened(self, connection: Any) -> None:
        """Note a connection that was opened."""

    def before(self, kind: str) -> Point:
        """Count something that is about to be done."""
        with self._lock:
            self.counts[kind] += 1
            point = Point(kind, self.counts[kind], is_after=False)
            self._meet(point)
            return point

    def after(self, point: Point) -> None:
        """Note that it has been done."""
        with self._lock:
            self._meet(Point(point.kind, point.number, is_after=True))

    def _meet(self, point: Point) -> None:
        if point == self.at:
            os.kill(os.getpid(), self.signal)

    def doing(self, connection: Any, act: Callable[[], Any], is_commit: bool) -> Any:
        """Do something in a database."""
        points = [self.before("statement")]
        if is_commit:
            points.append(self.before("commit"))
        result = self.do(connection, act)
        for point in points:
            self.after(point)
        return result

    def do(self, connection: Any, act: Callable[[], Any]) -> Any:
        """Do it."""
        return act()


class Dead(BaseException):
    """Stands for the end of a process."""


@define
class FeignedDeath(Fate):
    """Ends what happens in this process at one point: nothing reaches the database afterwards.

    Much quicker than a process that is killed, and good enough where many points are to be tried.
    """

    is_dead: bool = False
    _connections: dict[Any, Any] = field(factory=dict)
    """Each with the lock that is held while it does something."""

    def _meet(self, point: Point) -> None:
        self.is_dead = self.is_dead or point == self.at
        if self.is_dead:
            raise Dead

    def opened(self, connection: Any) -> None:
        """Note a connection that was opened."""
        self._connections[connection] = Lock()

    def do(self, connection: Any, act: Callable[[], Any]) -> Any:
        """Do it, unless the connection is closed already."""
        with self._connections[connection]:
            if self.is_dead:
                raise Dead
            return act()

    def bury(self) -> None:
        """Close what a dead process would have left to the operating system.

        What waits for a lock that another connection holds gets it when that one is closed.
        """
        waiting = list(self._connections.items())
        while waiting:
            connection, lock = waiting.pop(0)
            if lock.acquire(timeout=0.01):
                connection.close()
            else:
                waiting.append((connection, lock))


class WatchedLedger(Ledger):
    """A ledger whose entries are counted."""

    def __init__(self, path: Any, fate: Fate) -> None:
        super().__init__(path)
        self._fate = fate

    def add(self, **entry: Any) -> None:
        """Add an entry."""
        point = self._fate.before("entry")
        super().add(**entry)
        self._fate.after(point)


def engine_options(url: str, fate: Fate) -> dict[str, Any]:
    """Return what SQLAlchemy has to be told so that the statements are counted."""
    if url.startswith("sqlite"):
        return {"connect_args": {"factory": _watched_sqlite(fate)}}
    return {"creator": _watched_psycopg(url, fate)}


def _is_commit(text: Any, is_idle: bool) -> bool:
    words = str(text).split(None, 1)
    first = words[0].upper().rstrip(";") if words else ""
    return first == "COMMIT" or (is_idle and first not in READING)


def _watched_cursor(cursor_class: Any, fate: Fate, is_idle: Callable[[Any], bool]) -> Any:
    class WatchedCursor(cursor_class):  # type: ignore[misc]
        def execute(self, query: Any, *values: Any, **options: Any) -> Any:
            return self._watched(super().execute, query, *values, **options)

        def executemany(self, query: Any, *values: Any, **options: Any) -> Any:
            return self._watched(super().executemany, query, *values, **options)

        def _watched(self, act: Any, query: Any, *values: Any, **options: Any) -> Any:
            is_commit = _is_commit(query, is_idle(self.connection))
            return fate.doing(self.connection, lambda: act(query, *values, **options), is_commit)

    return WatchedCursor


def _watched_sqlite(fate: Fate) -> Any:
    def is_idle(connection: Any) -> bool:
        return not connection.in_transaction

    cursors = _watched_cursor(sqlite3.Cursor, fate, is_idle)

    class WatchedConnection(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            fate.opened(self)

        def cursor(self, *arguments: Any) -> Any:
            return super().cursor(cursors)

        def commit(self) -> None:
            if not is_idle(self):
                fate.doing(self, super().commit, is_commit=True)

    return WatchedConnection


def _watched_psycopg(url: str, fate: Fate) -> Callable[[], Any]:
    def is_idle(connection: Any) -> bool:
        return bool(connection.info.transaction_status == TransactionStatus.IDLE)

    class WatchedConnection(psycopg.Connection[Any]):
        def commit(self) -> None:
            if not is_idle(self):
                fate.doing(self, super().commit, is_commit=True)

    parsed = make_url(url)
    _, arguments = parsed.get_dialect()().create_connect_args(parsed)
    # Only the server's death could cost what is not on its disk yet; here clients die.
    arguments["options"] = "-c synchronous_commit=off"
    cursors = _watched_cursor(psycopg.Cursor, fate, is_idle)
    return lambda: WatchedConnection.connect(**arguments, cursor_factory=cursors)
