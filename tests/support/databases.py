"""Databases for tests: each test has one of its own, made before it and dropped after it.

SQLite is a file. The servers are looked for at ``WFENGINE_TEST_POSTGRES_URL`` and
``WFENGINE_TEST_MYSQL_URL``; tests that need one that does not answer are skipped, or fail where
``WFENGINE_REQUIRE_SERVICES`` is 1.

A folder of tests gets the fixtures, and with them one line for each server that is missing, by a
``conftest.py`` with ``from ..support.databases import database_url, pytest_runtest_setup``.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from attrs import frozen
from sqlalchemy import URL, Connection, create_engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

PATIENCE = 5
"""Seconds within which a server that is there answers."""

KINDS = ["sqlite", "postgresql", "mariadb"]
"""What a test is parametrized with that is to run on every database."""


@frozen
class Server:
    """A database server.

    :param variable: of the environment, which says where it is.
    :param evicting: asks for the numbers of the connections that keep a database from being
        dropped, where dropping does not end them by itself.
    """

    name: str
    variable: str
    default: str
    dropping: str
    evicting: str | None = None

    @property
    def url(self) -> URL:
        """The URL of the database from which others are made."""
        return make_url(os.environ.get(self.variable) or self.default)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Connect to that database."""
        engine = create_engine(
            self.url,
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            connect_args={"connect_timeout": PATIENCE},
        )
        with engine.connect() as connection:
            yield connection

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make a database, yield its URL, and drop it, whoever is still connected to it."""
        require(self)
        name = f"wfengine_test_{uuid4().hex}"
        with self.connected() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield self.url.set(database=name).render_as_string(hide_password=False)
        finally:
            with self.connected() as connection:
                self._evict(connection, name)
                connection.execute(text(self.dropping.format(name=name)))

    def _evict(self, connection: Connection, name: str) -> None:
        if self.evicting:
            for number in connection.scalars(text(self.evicting), {"name": name}).all():
                with suppress(DBAPIError):  # it may have gone by itself
                    connection.execute(text(f"KILL {int(number)}"))


POSTGRESQL = Server(
    "PostgreSQL",
    variable="WFENGINE_TEST_POSTGRES_URL",
    default="postgresql+psycopg://postgres@127.0.0.1:5432/test",
    dropping="DROP DATABASE {name} WITH (FORCE)",
)

MARIADB = Server(
    "MariaDB",
    variable="WFENGINE_TEST_MYSQL_URL",
    default="mysql+pymysql://root@127.0.0.1:3306/test",
    dropping="DROP DATABASE {name}",
    evicting="SELECT id FROM information_schema.processlist WHERE db = :name",
)

SERVERS = {"postgresql": POSTGRESQL, "mariadb": MARIADB}


@cache
def silence(server: Server) -> str | None:
    """Return why a server cannot be used; None if it can."""
    try:
        with server.connected():
            return None
    except (DBAPIError, ModuleNotFoundError) as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        where = server.url.render_as_string(hide_password=True)
        return f"no {server.name} at {where} ({server.variable}): {reason}"


def require(server: Server) -> None:
    """Skip the test, or fail it, if a server cannot be used."""
    reason = silence(server)
    if reason and os.environ.get("WFENGINE_REQUIRE_SERVICES") == "1":
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test before its fixtures do: what these skip takes a line for each test."""
    callspec = getattr(item, "callspec", None)
    params = callspec.params if callspec else {}
    kind = params.get("database_url") or params.get("emptied_url")
    if kind in SERVERS:
        require(SERVERS[kind])


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of the test's own; the test runs once for each kind.

    A test for some of the kinds is parametrized with them: ``@pytest.mark.parametrize(
    "database_url", ["postgresql"], indirect=True)``.
    """
    with database(request.param, tmp_path) as url:
        yield url


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Make a database of a kind, yield its URL, and drop it.

    :param folder: where the file of SQLite goes; the test's own.
    """
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'runs.db'}"
    else:
        with SERVERS[kind].database() as url:
            yield url


@pytest.fixture(scope="session")
def shared_database() -> Iterator[Callable[[str], str]]:
    """Return the URL of a server's database that tests use one after the other, by its kind."""
    with ExitStack() as made:
        yield cache(lambda kind: made.enter_context(SERVERS[kind].database()))


@pytest.fixture(params=KINDS)
def emptied_url(
    request: pytest.FixtureRequest, tmp_path: Path, shared_database: Callable[[str], str]
) -> Iterator[str]:
    """The URL of a database without a row; it may have its tables already.

    For tests of which there are many: a server needs long to make a database.
    """
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'runs.db'}"
        return
    url = shared_database(request.param)
    try:
        yield url
    finally:
        _empty(url)


def _empty(url: str) -> None:
    """Delete all rows but what says of which version the tables are; numbers begin anew."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        tables = [name for name in inspect(connection).get_table_names() if "version" not in name]
        if tables and engine.dialect.name == "postgresql":
            connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE"))
        elif tables:
            connection.execute(text("SET foreign_key_checks = 0"))
            for table in tables:
                connection.execute(text(f"DELETE FROM {table}"))
                connection.execute(text(f"ALTER TABLE {table} AUTO_INCREMENT = 1"))
