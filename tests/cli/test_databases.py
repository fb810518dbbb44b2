"""The commands for the tables of a store: db init, upgrade, info."""

import json
import os
import sqlite3

import pytest
from sqlalchemy import NullPool, create_engine, inspect, make_url

STORE = ["--store", "sqlite:///kept.db"]
COMMANDS = ["init", "upgrade", "info"]


def tables(folder, name="kept.db"):
    connection = sqlite3.connect(folder / name)
    try:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return {name for (name,) in connection.execute(query)}
    finally:
        connection.close()


def change(folder, statement, name="kept.db"):
    connection = sqlite3.connect(folder / name)
    try:
        connection.execute(statement)
        connection.commit()
    finally:
        connection.close()


def test_init_makes_the_tables_and_says_of_which_revision(folder):
    done = folder.wfengine("db", "init", *STORE)
    assert (done.status, done.err) == (0, "")
    assert "sqlite:///kept.db" in done.out
    assert "current" in done.out
    assert {"workflow", "workflow_object", "task_execution"} <= tables(folder)


def test_init_leaves_tables_alone_that_are_there(folder):
    folder.wfengine("db", "init", *STORE)
    again = folder.wfengine("db", "init", *STORE, "--json")
    assert (again.status, again.err) == (0, "")
    assert json.loads(again.out)["is_current"] is True


def test_info_changes_nothing(folder):
    (folder / "kept.db").touch()
    done = folder.wfengine("db", "info", *STORE)
    assert (done.status, done.err) == (0, "")
    assert done.out == "sqlite:///kept.db has no tables yet: wfengine db init\n"
    assert tables(folder) == set()


def test_upgrade_makes_what_is_missing_and_says_what_it_did(folder):
    done = folder.wfengine("db", "upgrade", *STORE)
    assert done.status == 0
    assert done.out.startswith("Applied: ")
    assert folder.wfengine("db", "upgrade", *STORE).out == "Applied: nothing.\n"


@pytest.mark.parametrize("command", ["init", "upgrade"])
def test_a_store_of_a_newer_version_is_refused_untouched(folder, command):
    folder.wfengine("db", "init", *STORE)
    [versions] = [name for name in tables(folder) if "version" in name]
    change(folder, f"UPDATE {versions} SET version_num = 'f00f00f00f00'")
    before = (folder / "kept.db").read_bytes()
    done = folder.wfengine("db", command, *STORE)
    assert done.status == 2
    assert done.err.startswith("Error: ")
    assert (folder / "kept.db").read_bytes() == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nonsense", "'nonsense' is no database URL"),
        ("oracle://here/there", "not oracle"),
        ("sqlite:///.", "is a folder"),
        ("sqlite:///no/where.db", "there is no folder no"),
        ("sqlite:///notes.txt", "is not an SQLite database"),
        ("postgresql+psycopg://nobody:secret@127.0.0.1:1/none", "does not answer"),
    ],
)
def test_a_store_that_cannot_be_one_is_refused_in_one_line(folder, command, url, problem):
    folder.write(notes_txt="milk, and bread; " * 100)
    done = folder.wfengine("db", command, "--store", url)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Error: ")
    assert problem in done.err
    assert "secret" not in done.err
    assert "Traceback" not in done.err


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is read-only for the superuser")
def test_a_read_only_file_is_refused_in_one_line(folder):
    folder.wfengine("db", "init", *STORE)
    (folder / "kept.db").chmod(0o400)
    folder.write(flow_py="def task(obj, eng): pass", rows_csv="a\n1\n")
    done = folder.run("flow.py:task", "--input", "rows.csv", *STORE)
    assert done.status == 2
    assert done.err.startswith("Error: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_has_an_example(folder, command):
    done = folder.wfengine("db", command, "--help")
    assert done.status == 0
    assert f"wfengine db {command} --store " in " ".join(done.out.split())


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_password_is_not_shown(folder, database_url):
    url = make_url(database_url).set(password="s3cret")
    done = folder.wfengine("list", "--store", url.render_as_string(hide_password=False))
    assert done.status == 2
    assert "s3cret" not in done.err


@pytest.mark.parametrize("command", ["list", "halted", "recover", "logs"])
def test_looking_at_a_database_without_tables_makes_none(folder, database_url, command):
    done = folder.wfengine(command, "--store", database_url)
    assert (done.status, done.out) == (2, "")
    assert f"there is no store at {database_url} yet" in done.err
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        assert inspect(connection).get_table_names() == []
