"""What goes wrong with a database: said as what, where and what to do, without a password."""

import os
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from wfengine.errors import StoreError
from wfengine.store import Store, schema
from wfengine.store.database import Database
from wfengine.store.models import Models
from wfengine.store.problems import explained, place

from ..support.databases import MARIADB, POSTGRESQL, require

OWN = Models()
SECRET = "tops3cret"


@pytest.fixture
def refusal():
    """Use a database that cannot be used; return what the error says."""
    opened = []

    def use(url, **options):
        opened.append(Database(url, **options))
        with pytest.raises(StoreError) as refused:
            schema.ensure(opened[-1].engine, OWN)
        assert refused.value.__cause__ is not None
        return str(refused.value)

    yield use
    for each in opened:
        each.close()


@pytest.fixture
def ordinary_user():
    """Be a user who may not do everything, and have a folder that this user may look into."""
    folder = Path(tempfile.mkdtemp(prefix="wfengine-test-"))
    (folder / "closed").mkdir(mode=0)
    folder.chmod(0o755)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    else:
        folder.chmod(0o555)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)
        (folder / "closed").chmod(0o755)
        shutil.rmtree(folder)


# SQLite


def test_a_missing_folder_is_named(refusal, tmp_path):
    said = refusal(f"sqlite:///{tmp_path}/missing/runs.db")
    assert f"there is no folder {tmp_path}/missing: make the folder first" in said
    assert f"sqlite:///{tmp_path}/missing/runs.db" in said
    assert not (tmp_path / "missing").exists()


def test_a_file_in_the_place_of_the_folder_is_named(refusal, tmp_path):
    (tmp_path / "file").write_text("")
    assert f"there is no folder {tmp_path}/file" in refusal(f"sqlite:///{tmp_path}/file/runs.db")


def test_a_missing_folder_is_named_in_a_uri_too(refusal, tmp_path):
    said = refusal(f"sqlite:///file:{tmp_path}/missing/runs.db?uri=true")
    assert f"there is no folder {tmp_path}/missing: make" in said


def test_a_folder_is_no_database(refusal, tmp_path):
    assert "is a folder, not a file: name a file in it" in refusal(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize("content", ["hello", "hello" * 1000])
def test_another_file_is_no_database_and_stays_as_it_is(refusal, tmp_path, content):
    file = tmp_path / "letter.txt"
    file.write_text(content)
    assert "is not an SQLite database" in refusal(f"sqlite:///{file}")
    assert file.read_text() == content


def test_a_folder_in_which_nothing_may_be_made_is_said_to_be_so(refusal, ordinary_user):
    said = refusal(f"sqlite:///{ordinary_user}/runs.db")
    assert "may not be opened or made by this user: check the permissions" in said


def test_a_folder_that_may_not_be_entered_is_said_to_be_so(refusal, ordinary_user):
    said = refusal(f"sqlite:///{ordinary_user}/closed/runs.db")
    assert "may not be opened or made by this user: check the permissions" in said


def test_a_file_that_may_only_be_read_is_said_to_be_so(refusal, tmp_path):
    sqlite3_file(tmp_path / "runs.db")
    said = refusal(f"sqlite:///file:{tmp_path}/runs.db?mode=ro&uri=true")
    assert "is read-only: make the file and its folder writable" in said


def test_a_damaged_file_is_said_to_be_so(refusal, tmp_path):
    file = sqlite3_file(tmp_path / "runs.db")
    file.write_bytes(file.read_bytes()[:4096] + b"x" * 8192)
    assert "is damaged: restore it from a backup" in refusal(f"sqlite:///{file}")


def test_a_file_that_somebody_else_keeps_locked_is_said_to_be_so(refusal, tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "PATIENCE", 0)
    file = sqlite3_file(tmp_path / "runs.db")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "is locked by somebody else: try again" in refusal(f"sqlite:///{file}")


def sqlite3_file(path):
    """Make a database with a table of some pages, as another program may."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE other (text)")
        connection.executemany("INSERT INTO other VALUES (?)", [("x" * 1000,)] * 10)
    return path


# Servers


@pytest.mark.parametrize("server", [POSTGRESQL, MARIADB], ids=lambda server: server.name)
def test_a_server_that_is_not_there_is_said_to_be_so(refusal, server):
    url = server.url.set(host="127.0.0.1", port=1, password=SECRET)
    said = refusal(url)
    assert "does not answer: check that the server runs, and its host and port" in said
    assert "127.0.0.1:1" in said
    assert SECRET not in said


@pytest.mark.parametrize("server", [POSTGRESQL, MARIADB], ids=lambda server: server.name)
def test_a_login_that_a_server_refuses_is_said_to_be_so(refusal, server):
    require(server)
    said = refusal(server.url.set(username="nobody_of_that_name", password=SECRET))
    assert "refuses the login: check the user and the password" in said
    assert "nobody_of_that_name:***@" in said
    assert SECRET not in said


@pytest.mark.parametrize("server", [POSTGRESQL, MARIADB], ids=lambda server: server.name)
def test_a_database_that_is_not_there_is_said_to_be_so(refusal, server):
    require(server)
    said = refusal(server.url.set(database="no_database_of_that_name"))
    assert "does not exist: create the database first" in said


@pytest.fixture
def connection(database_url):
    """A connection to a database of its own."""
    database = Database(database_url)
    with database.engine.connect() as connected:
        yield connected
    database.close()


def said_about(connection, statement):
    """Return how the failure of a statement is explained."""
    with pytest.raises(DBAPIError) as failed:
        connection.execute(sa.text(statement))
    return str(explained(failed.value, connection.engine))


def test_a_table_that_is_not_there_is_said_to_be_so(connection):
    said = said_about(connection, "select * from no_such_table")
    assert "lacks a table or a column that wfengine works with" in said
    assert said.startswith(f"the database {place(connection.engine)} ")


def test_what_nobody_foresaw_is_told_in_the_drivers_words(connection):
    said = said_about(connection, "select select")
    assert "reports an error" in said
    assert "syntax" in said


def test_what_a_driver_raises_itself_is_explained_as_what_sqlalchemy_wraps(connection):
    with pytest.raises(DBAPIError) as failed:
        connection.execute(sa.text("select * from no_such_table"))
    engine = connection.engine
    assert str(explained(failed.value.orig, engine)) == str(explained(failed.value, engine))


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_a_connection_that_the_server_ended_is_said_to_be_so(connection):
    ending, number = {
        "postgresql": ("select pg_terminate_backend({})", "select pg_backend_pid()"),
        "mysql": ("kill {}", "select connection_id()"),
    }[connection.dialect.name]
    itself = connection.scalar(sa.text(number))
    with connection.engine.connect() as other:
        other.execute(sa.text(ending.format(itself)))
    assert "ended the connection: try again" in said_about(connection, "select 1")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_may_only_be_read_is_said_to_be_so(refusal, database_url):
    said = refusal(f"{database_url}?options=-cdefault_transaction_read_only%3Don")
    assert "is read-only: connect to the primary server" in said


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ('connection failed: FATAL:  password authentication failed for user "me"', "login"),
        ("connection failed: fe_sendauth: no password supplied", "login"),
        ('connection failed: FATAL:  no pg_hba.conf entry for host "::1"', "login"),
        ('connection failed: FATAL:  database "x" does not exist', "does not exist"),
        ("connection failed: FATAL:  sorry, too many clients already", "no more connections"),
        ("[Errno -2] Name or service not known: failed to resolve host 'x'", "does not answer"),
        ("connection timeout expired", "does not answer"),
        ("consuming input failed: server closed the connection", "ended the connection"),
        ("the connection is lost", "ended the connection"),
    ],
)
def test_what_postgresql_says_without_a_code_is_understood(words, meaning):
    psycopg = pytest.importorskip("psycopg")
    engine = sa.create_engine("postgresql+psycopg://me@host/runs")
    said = str(explained(psycopg.OperationalError(words), engine))
    assert meaning in said.removesuffix(f"({words})")


# Places


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////data/runs.db", "sqlite:////data/runs.db"),
        (f"postgresql+psycopg://me:{SECRET}@host/runs", "postgresql+psycopg://me:***@host/runs"),
        (
            f"postgresql+psycopg://host/runs?sslpassword={SECRET}&sslmode=require",
            "postgresql+psycopg://host/runs?sslmode=require&sslpassword=%2A%2A%2A",
        ),
    ],
)
def test_a_place_is_shown_without_any_password(url, shown):
    assert place(sa.create_engine(url)) == shown


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql+psycopg2://host/name", "write postgresql+psycopg://"),
        ("mysql+mysqldb://host/name", "write mysql+pymysql://"),
    ],
)
def test_a_driver_that_is_missing_is_named_with_what_to_do(url, advice):
    with pytest.raises(StoreError, match=f"needs the driver .*{re.escape(advice)}"):
        Store(url)
