"""The connection to a database: how it is set up, and how a few databases differ."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

from attrs import field, frozen
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from wfengine.errors import NotStorableError, StoreError
from wfengine.store.problems import explained

__all__ = ["Database", "Link", "Prepared"]

WRITES = "wfengine_writes"

SHORT = 100_000
"""What any server takes, and what the rest of a statement has at most."""

TRANSIENT = frozenset({"40001", "40P01", 1205, 1213})
"""Serialization failure and deadlock of PostgreSQL; lock timeout and deadlock of MariaDB."""

ADVICE = {
    "psycopg": "pip install 'wfengine[postgres]'",
    "psycopg2": "pip install 'wfengine[postgres]' and write postgresql+psycopg://...",
    "pymysql": "pip install 'wfengine[mysql]'",
    "MySQLdb": "pip install 'wfengine[mysql]' and write mysql+pymysql://...",
}
"""What to do about a driver that is missing."""


@frozen
class Prepared:
    """A statement in the words of one database, whose values go straight to its driver.

    :param text: SQL.
    :param names: of the values, in order, or None where the driver takes them by name.
    """

    text: str
    names: tuple[str, ...] | None
    _pick: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        pick = _itself if self.names is None else itemgetter(*self.names)
        object.__setattr__(self, "_pick", pick)  # two names or more, so that it returns a tuple

    @classmethod
    def of(cls, statement: Any, engine: Engine) -> Prepared:
        """Write a statement down for one database."""
        compiled = statement.compile(dialect=engine.dialect)
        names = tuple(compiled.positiontup) if compiled.positional else None
        return cls(str(compiled), names)

    def run(self, cursor: Any, values: Mapping[str, Any]) -> int:
        """Execute it; return how many rows it was about."""
        cursor.execute(self.text, self._pick(values))
        return int(cursor.rowcount)

    def run_all(self, cursor: Any, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute it for each row."""
        cursor.executemany(self.text, [self._pick(row) for row in rows])


def _itself(values: Any) -> Any:
    return values


class Database:
    """One database, its connections and their settings.

    A connection commits each statement by itself; a transaction begins where one is begun.

    :param url: as SQLAlchemy writes it. ``sqlite://`` without a file is a file of its own, which
        is gone when the store is closed.
    :param synchronous: SQLite's setting: ``FULL`` loses nothing; ``NORMAL`` may lose the last
        commits when the machine, and not only the process, dies.
    :param busy_timeout: seconds to wait for another process to finish writing; on a server, for a
        row that it has locked.
    """

    def __init__(
        self, url: str | URL, synchronous: str = "FULL", busy_timeout: float = 60.0, **options: Any
    ) -> None:
        if synchronous not in ("FULL", "NORMAL", "EXTRA", "OFF"):
            raise StoreError(f"synchronous is FULL, NORMAL, EXTRA or OFF, not {synchronous!r}")
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.url = self._located(url)
        self.name = self.url.get_backend_name()
        self.is_sqlite = self.name == "sqlite"
        self.is_postgresql = self.name == "postgresql"
        self._synchronous, self._busy_timeout = synchronous, busy_timeout
        self._file: tuple[int, int] | None = None
        self.engine = self._engine(options)

    def _located(self, url: str | URL) -> URL:
        try:
            parsed = make_url(url)
            backend = parsed.get_backend_name()
        except ArgumentError as error:
            raise StoreError(
                f"{url!r} is no database URL; write for instance sqlite:///runs.db or "
                "postgresql+psycopg://user@host/database"
            ) from error
        if backend not in ("sqlite", "postgresql", "mysql", "mariadb"):
            raise StoreError(
                f"a store is a SQLite, PostgreSQL, MariaDB or MySQL database, not {backend}"
            )
        if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
            self._folder = tempfile.TemporaryDirectory(prefix="wfengine-")
            parsed = parsed.set(database=str(Path(self._folder.name) / "runs.db"))
        return parsed

    def _engine(self, options: dict[str, Any]) -> Engine:
        given = dict(options)
        arguments = dict(given.pop("connect_args", {}))
        if self.is_sqlite:
            arguments.setdefault("check_same_thread", False)
            arguments.setdefault("timeout", self._busy_timeout)
        elif self.name in ("mysql", "mariadb"):
            arguments.setdefault("charset", "utf8mb4")
        if given.get("poolclass") is not NullPool:
            given.setdefault("max_overflow", -1)
        given.setdefault("pool_pre_ping", not self.is_sqlite)
        try:
            engine = create_engine(
                self.url, isolation_level="AUTOCOMMIT", connect_args=arguments, **given
            )
        except NoSuchModuleError as error:
            raise StoreError(
                f"{self} has a driver that SQLAlchemy does not know: {error}"
            ) from error
        except ModuleNotFoundError as error:
            advice = ADVICE.get(str(error.name), f"pip install {error.name}")
            raise StoreError(f"{self} needs the driver {error.name}: {advice}") from error
        event.listen(engine, "begin", self._begin)
        if self.is_sqlite:
            event.listen(engine, "connect", self._set_up_sqlite)
        elif self.is_postgresql:
            event.listen(engine, "connect", self._set_up_postgresql)
        else:
            event.listen(engine, "connect", self._set_up_mysql)
        return engine

    def _begin(self, connection: Connection) -> None:
        writes = self.is_sqlite and connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def _set_up_sqlite(self, driver: Any, record: Any) -> None:
        cursor = driver.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(self._busy_timeout * 1000)}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA synchronous = {self._synchronous}")
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self._use_wal(cursor)
        cursor.close()
        self._file = self._file or self._file_id()

    def _set_up_postgresql(self, driver: Any, record: Any) -> None:
        """Have nobody wait for ever for rows that a lost connection has locked."""
        with driver.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {int(self._busy_timeout * 1000)}")
        driver.commit()

    def _set_up_mysql(self, driver: Any, record: Any) -> None:
        """Have a transaction see what others have written, as on the other databases.

        As the server does it by default, it would see what was there when it began, while its
        writes are about what is there now: whoever waits for a change would wait for ever.
        """
        with driver.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute(f"SET innodb_lock_wait_timeout = {max(int(self._busy_timeout), 1)}")

    def _use_wal(self, cursor: Any) -> None:
        """Switch to WAL, once in a file's life; SQLite itself does not wait for others here."""
        end = time.monotonic() + self._busy_timeout
        while True:
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > end:
                    raise
                time.sleep(0.01)
            else:
                return

    def is_lost(self, error: BaseException, driver: Any) -> bool:
        """Return whether an error of the driver's says that the connection is gone.

        :param driver: the driver's own connection, if there was one.
        """
        if isinstance(error, DBAPIError):
            return error.connection_invalidated or self.is_lost(error.orig, driver)  # type: ignore[arg-type]
        is_known = isinstance(error, self.error_class)
        return is_known and self.engine.dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]

    def is_transient(self, error: Any) -> bool:
        """Return whether the database gave up a transaction for another's sake, to be repeated."""
        error = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(error, "sqlstate", None) or (error.args[0] if error.args else None)
        return code in TRANSIENT

    @cached_property
    def longest_text(self) -> int | None:
        """How many bytes a statement may have, where the server says so."""
        if self.name not in ("mysql", "mariadb"):
            return None
        with self.reading() as connection:
            return int(connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one())

    def check_length(self, text: str, where: str) -> None:
        """Refuse a document that a statement cannot carry.

        :param where: what it is, for the message.
        :raises NotStorableError: saying how long it is, and how long it may be.
        """
        if len(text) < SHORT or self.longest_text is None:
            return
        length = len(text) + text.count('"') + text.count("\\")  # which the driver escapes
        if length > self.longest_text - SHORT:
            raise NotStorableError(
                f"{where} takes {length:,} bytes, and {self} takes statements of at most "
                f"{self.longest_text:,}: raise its max_allowed_packet"
            )

    def check_file(self) -> None:
        """Look whether SQLite's file is still the one that was opened.

        :raises StoreError: when it was deleted or replaced: what is written would be lost.
        """
        if self._file is not None and self._file_id() != self._file:
            raise StoreError(
                f"the file of {self} was deleted or replaced under this process; what was written "
                "since is lost, unless the file is put back"
            )

    def _file_id(self) -> tuple[int, int] | None:
        try:
            status = Path(str(self.url.database)).stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    @property
    def error_class(self) -> Any:
        """What the driver raises."""
        return self.engine.dialect.dbapi.Error  # type: ignore[union-attr]

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turn what the driver complains about into a StoreError that says what to do."""
        try:
            yield
        except (DBAPIError, self.error_class) as error:
            raise explained(error, self.engine) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection for a few queries, each seeing what is committed at that moment."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that is committed at the end."""
        with self.engine.connect() as plain:
            connection = plain.execution_options(**{WRITES: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.engine.dispose()
        if self._folder is not None:
            self._folder.cleanup()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


@frozen(eq=False)
class Link:
    """A connection that is held, for statements that go straight to the driver."""

    database: Database
    connection: Connection
    driver: Any = field(init=False)
    cursor: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        pooled = self.connection.connection
        object.__setattr__(self, "driver", pooled.driver_connection)
        object.__setattr__(self, "cursor", pooled.cursor())

    @classmethod
    def to(cls, database: Database) -> Link:
        """Open one."""
        return cls(database, database.engine.connect().execution_options(**{WRITES: True}))

    @property
    def is_in_transaction(self) -> bool:
        """Whether a task's own writes are under way."""
        return self.connection.in_transaction()

    def begin(self) -> None:
        """Begin a transaction."""
        self.cursor.execute("BEGIN IMMEDIATE" if self.database.is_sqlite else "BEGIN")

    def commit(self) -> None:
        """Commit it."""
        self.cursor.execute("COMMIT")

    def rollback(self) -> None:
        """Drop it; whatever is wrong with the connection does not matter any more."""
        with suppress(Exception):
            self.cursor.execute("ROLLBACK")

    def close(self) -> None:
        """Give the connection back."""
        with suppress(Exception):
            self.cursor.close()
        with suppress(Exception):
            self.connection.close()

    def discard(self) -> None:
        """Throw the connection away, because it is broken."""
        with suppress(Exception):
            self.connection.invalidate()
        self.close()
