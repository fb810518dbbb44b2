"""What a database driver complains about, said as: what, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, Engine
from sqlalchemy.exc import DBAPIError

from wfengine.errors import StoreError

__all__ = ["explained", "place"]

PERMISSIONS = (
    "may not be opened or made by this user",
    "check the permissions of the file and its folder",
)
UNREACHABLE = ("does not answer", "check that the server runs, and its host and port")
REFUSED_LOGIN = ("refuses the login", "check the user and the password")
NO_DATABASE = ("does not exist", "create the database first")
NO_RIGHTS = ("does not allow that to this user", "grant the user the right to do so")
READ_ONLY = ("is read-only", "connect to the primary server, or make it writable")
LOCKED = ("is locked by somebody else", "try again when it is done")
FULL = ("cannot grow: the disk is full", "make room, then resume")
TOO_MANY = ("takes no more connections", "try again later, or raise the server's limit")
STOPPED = ("ended the connection", "try again when the server is back")
NO_TABLE = (
    "lacks a table or a column that wfengine works with",
    "look at it with `wfengine db info`, and restore it from a backup",
)

SQLITE = {
    "SQLITE_NOTADB": ("is not an SQLite database", "name another file"),
    "SQLITE_CORRUPT": ("is damaged", "restore it from a backup, or try SQLite's .recover"),
    "SQLITE_READONLY": ("is read-only", "make the file and its folder writable"),
    "SQLITE_PERM": PERMISSIONS,
    "SQLITE_FULL": FULL,
    "SQLITE_IOERR": ("cannot be read or written", "check the disk, and that it is not full"),
    "SQLITE_BUSY": LOCKED,
    "SQLITE_LOCKED": LOCKED,
}
"""By the start of SQLite's name for the error: what is wrong with a file, and what to do."""

POSTGRESQL = {
    "08": UNREACHABLE,
    "28": REFUSED_LOGIN,
    "3D": NO_DATABASE,
    "25006": READ_ONLY,
    "42501": NO_RIGHTS,
    "42P01": NO_TABLE,
    "42703": NO_TABLE,
    "53100": FULL,
    "53300": TOO_MANY,
    "55P03": LOCKED,
    "40P01": LOCKED,
    "57P": STOPPED,
}
"""By the start of PostgreSQL's SQLSTATE."""

# No SQLSTATE comes with what ends a connection before it is there.
POSTGRESQL_WORDS = {
    "authentication failed|no password supplied|pg_hba.conf|role .* does not exist": REFUSED_LOGIN,
    "database .* does not exist": NO_DATABASE,
    "too many (clients|connections)": TOO_MANY,
    "connection failed|connection refused|timeout|resolve|translate host|could not connect": (
        UNREACHABLE
    ),
    "terminat|closed the connection|connection is (lost|closed)|consuming input failed": STOPPED,
}

MYSQL = {
    1021: FULL,
    1040: TOO_MANY,
    1044: NO_RIGHTS,
    1045: REFUSED_LOGIN,
    1049: NO_DATABASE,
    1053: STOPPED,
    1054: NO_TABLE,
    1142: NO_RIGHTS,
    1146: NO_TABLE,
    1205: LOCKED,
    1213: LOCKED,
    1290: READ_ONLY,
    1698: REFUSED_LOGIN,
    1792: READ_ONLY,
    1836: READ_ONLY,
    1927: STOPPED,
    2002: UNREACHABLE,
    2003: UNREACHABLE,
    2005: UNREACHABLE,
    2006: STOPPED,
    2013: STOPPED,
}
"""By the number of the error in MariaDB and MySQL, and in their client."""

UNKNOWN = ("reports an error", "its own words tell more")


def explained(error: Exception, engine: Engine) -> StoreError:
    """Return what a driver reported as an error that says what, where and what to do.

    No password is in its text, and neither are the statement and its values.

    :param error: the driver's own, or SQLAlchemy's :class:`~sqlalchemy.exc.DBAPIError` around it.
    """
    reported = error.orig if isinstance(error, DBAPIError) else error
    finders = {"sqlite": _of_sqlite, "postgresql": _of_postgresql}
    what, advice = finders.get(engine.dialect.name, _of_mysql)(reported, engine.url)
    said = " ".join(str(reported).split())
    return StoreError(f"the database {place(engine)} {what}: {advice} ({said})")


def place(engine: Engine) -> str:
    """Return where a database is, for messages and logs: its URL without a password."""
    url = engine.url
    query = {key: "***" if "pass" in key.lower() else value for key, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True)


def _of_sqlite(error: Any, url: URL) -> tuple[str, str]:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_CANTOPEN") and url.database:
        return _why_no_file(_file_in(url.database))
    if str(error).startswith(("no such table", "no such column")):
        return NO_TABLE
    return _first(SQLITE, name)


def _file_in(name: str) -> Path:
    """Return the path of a database, which SQLite also takes as a URI: ``file:/runs.db``."""
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)


def _why_no_file(path: Path) -> tuple[str, str]:
    """Return why a file cannot be opened, or made."""
    try:
        if path.is_dir():
            return ("is a folder, not a file", "name a file in it")
        has_folder = path.parent.exists() and path.parent.is_dir()
    except PermissionError:
        has_folder = True
    if not has_folder:
        return (f"cannot be made: there is no folder {path.parent}", "make the folder first")
    return PERMISSIONS


def _of_postgresql(error: Any, url: URL) -> tuple[str, str]:
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state:
        return _first(POSTGRESQL, state)
    for words, found in POSTGRESQL_WORDS.items():
        if re.search(words, str(error), re.IGNORECASE):
            return found
    return UNKNOWN


def _of_mysql(error: Any, url: URL) -> tuple[str, str]:
    return MYSQL.get(error.args[0] if error.args else 0, UNKNOWN)


def _first(known: Mapping[str, tuple[str, str]], code: str) -> tuple[str, str]:
    return next((found for start, found in known.items() if code.startswith(start)), UNKNOWN)
