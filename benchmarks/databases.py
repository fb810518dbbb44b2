"""Where the durable benchmark's databases are: files on a disk, and servers that answer."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

# The servers that the tests use.
SERVERS = {
    "postgresql": (
        "WFENGINE_TEST_POSTGRES_URL",
        "postgresql+psycopg://postgres@127.0.0.1:5432/test",
    ),
    "mariadb": ("WFENGINE_TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1:3306/test"),
}
UNREACHABLE = (DBAPIError, ImportError)
"""What :func:`server` raises when there is none, or no driver for it."""


@contextmanager
def file(folder: Path) -> Iterator[str]:
    """Yield the URL of a SQLite file that is there no longer than needed.

    :param folder: on the disk that is measured; a file in memory need not wait for a disk.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".wfengine-benchmark-") as made:
        yield f"sqlite:///{Path(made).resolve() / 'runs.db'}"


@contextmanager
def server(kind: str) -> Iterator[str]:
    """Yield the URL of a database of its own on a server.

    :param kind: ``postgresql`` or ``mariadb``.
    """
    variable, default = SERVERS[kind]
    url = make_url(os.environ.get(variable) or default)
    engine = create_engine(
        url, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args={"connect_timeout": 5}
    )
    name = f"wfengine_bench_{uuid4().hex}"
    force = " WITH (FORCE)" if kind == "postgresql" else ""
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}{force}"))


def described(url: str | URL) -> str:
    """Return which database this is, and for SQLite which disk its file is on."""
    where = make_url(url)
    if where.get_backend_name() == "sqlite":
        return f"SQLite {sqlite3.sqlite_version} on {_disk_of(Path(where.database))}"
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        version = connection.execute(text("SELECT version()")).scalar_one()
    return version.split(" (")[0]


def _disk_of(path: Path) -> str:
    """Return the file system that a file is on, as far as this platform tells."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "an unknown file system"
    found = [line.split()[:3] for line in mounts.read_text().splitlines()]
    holding = [mount for mount in found if path.is_relative_to(mount[1])]
    device, _, system = max(holding, key=lambda mount: len(mount[1]))
    return f"{system} ({device})"
