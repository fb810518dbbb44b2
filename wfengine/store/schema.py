"""The tables in a database: made on first use, looked at, upgraded on demand.

Which revision they are of is written in a table of its own, ``wfengine_version``, so that a user's
Alembic and this one never meet. Whoever makes or upgrades tables is alone in doing so, whichever
process it is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen
from sqlalchemy import Connection, Engine, column, func, inspect, select, table
from sqlalchemy.exc import DBAPIError

from wfengine.errors import SchemaError
from wfengine.store.models import Models
from wfengine.store.problems import explained, place

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

__all__ = ["NEWEST", "VERSION_TABLE", "SchemaInfo", "ensure", "info", "is_empty", "upgrade"]

VERSION_TABLE = "wfengine_version"

NEWEST = "0003"
"""The last revision; written down, because Alembic takes long to import."""

PATIENCE = 60
"""Seconds to wait for another process that makes or upgrades the tables."""

LOCK = 0x7766656E67696E65
"""What PostgreSQL's advisory lock is called: "wfengine" as a number."""

VERSION = table(VERSION_TABLE, column("version_num"))
MIGRATIONS = Path(__file__).with_name("migrations")
OWN_TABLES = Models().tables


@frozen
class SchemaInfo:
    """What is known about the tables in a database.

    :param revision: which one they are of; None where there are no tables, or half-made ones.
    :param newest: the revision that this version of wfengine works with.
    :param tables: the names of those that are there.
    :param pending: the revisions that an upgrade would apply, in their order; none where the
        tables are of a revision that this version does not know.
    """

    revision: str | None
    newest: str
    tables: tuple[str, ...]
    pending: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Whether the tables are those that this version works with, and all there."""
        return self.revision == self.newest and len(self.tables) == len(OWN_TABLES)


def ensure(engine: Engine, models: Models) -> None:
    """Make the tables if there are none, and refuse those that this version cannot work with.

    The tables of a user's own models are never made, only looked for.

    :raises SchemaError: the tables are older, newer, somebody else's, or not all there.
    :raises StoreError: the database cannot be opened, read or written.
    """
    with _explaining(engine):
        if not models.are_own:
            _refuse_incomplete(engine, models)
        elif (revision := _recorded(engine)) != NEWEST:
            _refuse_others(engine, revision, may_upgrade=False)
            with _alone(engine) as connection:
                _bring_up(connection, may_upgrade=False)


def upgrade(engine: Engine) -> list[str]:
    """Make the tables, or change them into those of the newest revision; return what was applied.

    :raises SchemaError: the tables are newer, or somebody else's.
    :raises StoreError: the database cannot be opened, read or written.
    """
    with _explaining(engine), _alone(engine) as connection:
        return _bring_up(connection, may_upgrade=True)


def is_empty(engine: Engine) -> bool:
    """Return whether there are no tables of wfengine's; changes nothing.

    :raises StoreError: the database cannot be opened or read.
    """
    with _explaining(engine):
        if _recorded(engine) is not None:
            return False
        with engine.connect() as connection:
            return not _State.of(connection).tables


def info(engine: Engine) -> SchemaInfo:
    """Look at the tables and change nothing.

    :raises StoreError: the database cannot be opened or read.
    """
    with _explaining(engine), engine.connect() as connection:
        state = _State.of(connection)
        is_known = state.revision is None or state.revision in _known()
        pending = [script.revision for script in _scripts_after(state.revision)] if is_known else ()
        return SchemaInfo(state.revision, NEWEST, state.tables, tuple(pending))


@contextmanager
def _explaining(engine: Engine) -> Iterator[None]:
    driver: Any = engine.dialect.dbapi
    try:
        yield
    except (DBAPIError, driver.Error) as error:  # what "begin" raises is not wrapped
        raise explained(error, engine) from error


# What is there


@frozen
class _State:
    """What is in a database.

    :param is_marked: whether there is the table that says which revision the others are of.
    """

    is_marked: bool
    revision: str | None
    tables: tuple[str, ...]

    @classmethod
    def of(cls, connection: Connection) -> _State:
        """Look at a database."""
        inspector = inspect(connection)
        is_marked = inspector.has_table(VERSION_TABLE)
        return cls(
            is_marked,
            _read_revision(connection) if is_marked else None,
            tuple(own.name for own in OWN_TABLES if inspector.has_table(own.name)),
        )


def _recorded(engine: Engine) -> str | None:
    """Return with one query what revision the tables are of; None also if it cannot be told."""
    with engine.connect() as connection:
        try:
            return _read_revision(connection)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return None


def _read_revision(connection: Connection) -> str | None:
    found = connection.scalars(select(VERSION.c.version_num))
    return " and ".join(sorted(map(str, found))) or None


def _refuse_incomplete(engine: Engine, models: Models) -> None:
    """Refuse tables of a user's own models that lack something that the models have."""
    with engine.connect() as connection:
        inspector = inspect(connection)
        missing = [lack for wanted in models.tables for lack in _lacks(inspector, wanted)]
    if missing:
        raise SchemaError(
            f"{place(engine)} lacks {', '.join(missing)}. They belong to models of your own, "
            "which wfengine does not make: make them with your metadata's create_all(engine), "
            "or with your own Alembic migrations"
        )


def _lacks(inspector: Any, wanted: Any) -> list[str]:
    if not inspector.has_table(wanted.name, wanted.schema):
        return [f"the table {wanted.fullname}"]
    found = {column["name"] for column in inspector.get_columns(wanted.name, wanted.schema)}
    return [
        f"the column {wanted.fullname}.{column.name}"
        for column in wanted.columns
        if column.name not in found
    ]


# What is done about it


def _bring_up(connection: Connection, may_upgrade: bool) -> list[str]:
    """Make the tables or upgrade them, and return the revisions that were applied."""
    state = _State.of(connection)
    if state.revision == NEWEST:
        _refuse_gaps(connection.engine, state)
        return []
    _refuse_others(connection.engine, state.revision, may_upgrade)
    if state.revision is None:
        _make_room(connection, state)
    return _apply(connection, state.revision)


def _refuse_gaps(engine: Engine, state: _State) -> None:
    """Refuse tables of which somebody dropped one."""
    missing = [own.name for own in OWN_TABLES if own.name not in state.tables]
    if missing:
        raise SchemaError(
            f"{place(engine)} lacks {', '.join(missing)}, which wfengine made there. Nothing was "
            "changed: restore it from a backup, or name an empty database"
        )


def _refuse_others(engine: Engine, revision: str | None, may_upgrade: bool) -> None:
    """Refuse tables that another version of wfengine made."""
    if revision is None:
        return
    if revision not in _known():
        raise SchemaError(
            f"the tables in {place(engine)} were made by a newer version of wfengine (revision "
            f"{revision}; this version knows {NEWEST}). Nothing was changed: use that version, "
            "or a later one"
        )
    if not may_upgrade:
        raise SchemaError(
            f"the tables in {place(engine)} were made by an older version of wfengine (revision "
            f"{revision}; this version works with {NEWEST}). Nothing was changed: make a backup, "
            "then run `wfengine db upgrade` or Store.upgrade()"
        )


def _make_room(connection: Connection, state: _State) -> None:
    """Drop what is half-made, as MariaDB and MySQL leave it behind; refuse what is not ours."""
    where, names = place(connection.engine), ", ".join(state.tables)
    if state.tables and not state.is_marked:
        raise SchemaError(
            f"{where} has tables of other origin under names that wfengine needs: {names} (there "
            f"is no {VERSION_TABLE}, so wfengine did not make them). Nothing was changed: give "
            "wfengine a database or schema of its own, or models with other table names"
        )
    half_made = [own for own in OWN_TABLES if own.name in state.tables]
    for own in half_made:
        if connection.execute(select(1).select_from(own).limit(1)).first():
            raise SchemaError(
                f"{VERSION_TABLE} in {where} is empty, but {own.name} is not, so nobody can tell "
                f"which version of wfengine made the tables. Nothing was changed: restore "
                f"{VERSION_TABLE} from a backup, or move these tables away: {names}"
            )
    for own in reversed(half_made):
        own.drop(connection)


def _apply(connection: Connection, revision: str | None) -> list[str]:
    """Run the revisions after this one, each of them recorded when it is done.

    Where there were no tables, only the last is: what is half-made is made anew then.
    """
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    if revision is None:
        context.stamp(_directory(), "base")  # before any table, to tell half-made ones by it
    applied = []
    for script in _scripts_after(revision):
        script.module.upgrade(Operations(context))
        applied.append(script.revision)
        if revision is not None:
            context.stamp(_directory(), script.revision)
    if revision is None:
        context.stamp(_directory(), applied[-1])
    return applied


def _directory() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(MIGRATIONS))


def _known() -> list[str]:
    return [script.revision for script in _directory().walk_revisions()]


def _scripts_after(revision: str | None) -> Sequence[Any]:
    """Return the revisions after this one, in the order in which they are applied."""
    return list(_directory().iterate_revisions("head", revision or "base"))[::-1]


# Being alone


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Open a transaction in which no other process can make or upgrade tables."""
    ways = {
        "sqlite": _alone_in_sqlite,
        "postgresql": _alone_in_postgresql,
        "mariadb": _alone_in_mysql,
        "mysql": _alone_in_mysql,
    }
    alone = ways.get(engine.dialect.name)
    if alone is None:
        raise SchemaError(
            f"a store is a database of SQLite, PostgreSQL, MariaDB or MySQL, not {place(engine)}"
        )
    with engine.connect() as connection, alone(connection):
        yield connection


@contextmanager
def _alone_in_sqlite(connection: Connection) -> Iterator[None]:
    """Begin with the lock that others begin with too; all is undone if the process dies."""
    with connection.begin():
        driver: Any = connection.connection.dbapi_connection
        if driver.in_transaction:
            connection.exec_driver_sql("COMMIT")
        before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {PATIENCE * 1000}")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {before}")


@contextmanager
def _alone_in_postgresql(connection: Connection) -> Iterator[None]:
    """Begin with an advisory lock; it goes, and all is undone, when the transaction ends."""
    with connection.begin():
        # What others committed while this one waited has to be seen.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        yield


@contextmanager
def _alone_in_mysql(connection: Connection) -> Iterator[None]:
    """Take a named lock; it goes with the connection, but each statement is a transaction."""
    connection.detach()  # and thus is closed at the end, which releases the lock
    with connection.begin():
        lock = select(func.get_lock(func.concat("wfengine ", func.md5(func.database())), PATIENCE))
        if connection.scalar(lock) != 1:
            raise SchemaError(
                f"another process has been making or upgrading the tables in "
                f"{place(connection.engine)} for {PATIENCE} seconds. Try again when it is done"
            )
        yield
