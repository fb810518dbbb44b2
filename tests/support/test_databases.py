"""The databases that tests get: gone afterwards; that a server is missing is said in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from .databases import SERVERS, database, require

ROOT = Path(__file__).resolve().parents[2]

TEST = "tests/store/test_schema.py"

LISTING = {
    "postgresql": "select datname from pg_database",
    "mariadb": "select schema_name from information_schema.schemata",
}


def names_on(kind):
    with SERVERS[kind].connected() as connection:
        return set(connection.scalars(sa.text(LISTING[kind])))


@pytest.mark.parametrize("kind", SERVERS)
def test_a_database_is_dropped_also_when_a_test_fails_that_is_in_the_middle_of_writing(
    kind, tmp_path
):
    require(SERVERS[kind])
    left_open = []

    def fail_while_writing():
        with database(kind, tmp_path) as url:
            connection = sa.create_engine(url, poolclass=NullPool).connect()
            left_open.append(connection)
            connection.execute(sa.text("create table busy (id integer)"))
            connection.execute(sa.text("insert into busy values (1)"))
            assert connection.engine.url.database in names_on(kind)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_while_writing()
    (connection,) = left_open
    assert connection.engine.url.database not in names_on(kind)
    connection.invalidate()
    connection.close()


def run_without_servers(required):
    """Run four tests that need a server where there is none; return the summary's lines."""
    nowhere = {
        server.variable: server.url.set(port=1).render_as_string(hide_password=False)
        for server in SERVERS.values()
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-k",
            "first_use or query",
            TEST,
        ],
        cwd=ROOT,
        env={**os.environ, **nowhere, "WFENGINE_REQUIRE_SERVICES": required, "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    return [line for line in done.stdout.splitlines() if line.startswith(("SKIPPED", "ERROR"))]


def test_servers_that_are_missing_are_one_line_each():
    lines = run_without_servers(required="")
    assert len(lines) == 2
    for line, server in zip(lines, SERVERS.values(), strict=True):
        assert line.startswith("SKIPPED [2] tests/support/databases.py:")
        assert f"no {server.name} at " in line
        assert server.variable in line


def test_servers_that_are_missing_fail_the_tests_where_they_are_required():
    lines = run_without_servers(required="1")
    assert len(lines) == 4
    assert all(line.startswith("ERROR") for line in lines)
