"""The tables in a database: made on first use, never changed unasked, refused with a reason."""

import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

import alembic
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from wfengine.errors import SchemaError, StoreError
from wfengine.store import migrations, schema
from wfengine.store.database import Database
from wfengine.store.models import (
    Base,
    Models,
    TaskExecutionMixin,
    WorkflowDefinitionMixin,
    WorkflowMixin,
    WorkflowObjectMixin,
)

from ..support.databases import database

OWN = Models()
TABLES = [own.name for own in OWN.tables]
MIGRATIONS = Path(migrations.__file__).parent
REVISIONS = ("0001", "0002", "0003")
LAST = REVISIONS[-1]
PATIENCE = 120.0
"""Seconds after which a process that hangs fails its test."""


@pytest.fixture
def engine(database_url):
    """An engine on an empty database of each kind, set up as a store does."""
    with_settings = Database(database_url)
    yield with_settings.engine
    with_settings.close()


@pytest.fixture
def on():
    """Make engines on given databases."""
    opened = []

    def connect(url, **options):
        opened.append(Database(url, **options))
        return opened[-1].engine

    yield connect
    for each in opened:
        each.close()


def execute(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def names_in(engine):
    """Return the names of all tables in a database."""
    return set(sa.inspect(engine).get_table_names())


def revision_in(engine):
    with engine.connect() as connection:
        return connection.scalar(sa.text("select version_num from wfengine_version"))


def described(engine):
    """Return everything that a database tells about its tables, whatever order it is in."""
    inspector = sa.inspect(engine)

    def plain(found):
        return sorted(map(repr, (sorted(item.items(), key=repr) for item in found)))

    return {
        name: {
            "columns": plain(
                {**column, "type": repr(column["type"])} for column in inspector.get_columns(name)
            ),
            "primary key": plain([inspector.get_pk_constraint(name)]),
            "foreign keys": plain(inspector.get_foreign_keys(name)),
            "unique": plain(inspector.get_unique_constraints(name)),
            "indexes": plain(
                {
                    **index,
                    "dialect_options": [
                        (option, str(value))
                        for option, value in index.get("dialect_options", {}).items()
                    ],
                }
                for index in inspector.get_indexes(name)
            ),
            "options": plain([inspector.get_table_options(name)]) if is_mysql(engine) else None,
        }
        for name in TABLES
    }


def is_mysql(engine):
    return engine.dialect.name in ("mysql", "mariadb")


# What the revisions make


def test_the_revisions_make_the_tables_of_the_models(engine):
    schema.ensure(engine, OWN)
    options = {"version_table": schema.VERSION_TABLE, "compare_server_default": True}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_they_are_in_everything_like_those_that_the_models_would_make(
    engine, on, request, tmp_path
):
    schema.ensure(engine, OWN)
    kind = request.node.callspec.params["database_url"]
    (tmp_path / "other").mkdir()
    with database(kind, tmp_path / "other") as url:
        other = on(url)
        Base.metadata.create_all(other)
        assert described(engine) == described(other)


def test_an_id_is_never_used_twice(engine):
    schema.ensure(engine, OWN)
    runs = OWN.workflow.__table__
    needed = {column.name: 0 for column in runs.columns if not column.nullable}
    row = {**needed, "uuid": "u", "name": "n", "status": "NEW"}
    del row["id"]
    ids = []
    for _ in range(2):
        with engine.begin() as connection:
            ids += connection.execute(runs.insert().values(row)).inserted_primary_key
            connection.execute(runs.delete())
    assert ids == [1, 2]


def test_the_last_revision_is_the_one_that_is_written_down():
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [schema.NEWEST]


def test_the_revisions_are_one_line_without_branches():
    scripts = list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())
    assert not [script.revision for script in scripts if script.is_branch_point]
    assert not [script.revision for script in scripts if script.is_merge_point]


def alembic_config(folder):
    config = Config()
    config.set_main_option("script_location", str(folder))
    return config


def test_alembics_own_command_finds_nothing_that_a_revision_lacks():
    command.check(alembic_config(MIGRATIONS))


def test_alembics_own_command_writes_a_revision_in_the_form_of_the_others(tmp_path):
    folder = Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))
    command.revision(alembic_config(folder), "More columns", rev_id="9000")
    script = ScriptDirectory(str(folder)).get_revision("9000")
    assert Path(script.path).name == "9000_more_columns.py"
    assert (script.down_revision, script.doc) == (schema.NEWEST, "More columns.")
    with pytest.raises(NotImplementedError):  # nobody can ship it unfinished
        script.module.upgrade(None)


# First use


def test_first_use_makes_the_tables_and_says_of_which_revision(engine):
    schema.ensure(engine, OWN)
    assert names_in(engine) >= {*TABLES, schema.VERSION_TABLE}
    assert revision_in(engine) == schema.NEWEST


def test_alembics_own_table_is_left_to_the_user(engine):
    execute(engine, "create table alembic_version (version_num varchar(32))")
    execute(engine, "insert into alembic_version values ('theirs')")
    schema.ensure(engine, OWN)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select version_num from alembic_version")) == "theirs"


def test_other_tables_are_left_alone(engine):
    execute(engine, "create table customer (id integer)", "insert into customer values (7)")
    schema.ensure(engine, OWN)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select id from customer")) == 7


def test_later_use_is_one_query(engine):
    schema.ensure(engine, OWN)
    asked = []
    sa.event.listen(engine, "before_cursor_execute", lambda *event: asked.append(event[2]))
    schema.ensure(engine, OWN)
    assert [text.split()[0].upper() for text in asked] == ["BEGIN", "SELECT"]


def test_later_use_does_not_import_alembic(engine, database_url):
    schema.ensure(engine, OWN)
    program = """
import sys
from wfengine.store import schema
from wfengine.store.database import Database
from wfengine.store.models import Models
schema.ensure(Database(sys.argv[1]).engine, Models())
print("alembic" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", program, database_url],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def test_no_connection_is_kept(engine):
    schema.ensure(engine, OWN)
    schema.ensure(engine, OWN)
    schema.info(engine)
    assert engine.pool.checkedout() == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_how_long_a_connection_waits_for_others_stays_as_it_was(database_url, on):
    engine = on(database_url, busy_timeout=1.5, pool_size=1)
    schema.ensure(engine, OWN)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 1500


# Tables that this version cannot work with


def set_revision(engine, revision):
    execute(engine, f"update wfengine_version set version_num = '{revision}'")


def test_tables_of_a_newer_version_are_refused_untouched(engine):
    schema.ensure(engine, OWN)
    set_revision(engine, "9999")
    before = described(engine)
    for use in (lambda: schema.ensure(engine, OWN), lambda: schema.upgrade(engine)):
        with pytest.raises(
            SchemaError, match=rf"newer version of wfengine .*9999.*{schema.NEWEST}"
        ):
            use()
    assert (described(engine), revision_in(engine)) == (before, "9999")


@pytest.fixture
def with_a_later_revision(monkeypatch, tmp_path):
    """The same wfengine, one revision later."""
    folder = shutil.copytree(MIGRATIONS, tmp_path / "later")
    (folder / "versions" / "9000_notes.py").write_text(
        f"""
import sqlalchemy as sa
revision, down_revision = "9000", "{schema.NEWEST}"

def upgrade(op):
    op.add_column("workflow", sa.Column("note", sa.Text()))
"""
    )
    monkeypatch.setattr(schema, "MIGRATIONS", folder)
    monkeypatch.setattr(schema, "NEWEST", "9000")


@pytest.fixture
def older(engine):
    """A database as a version before made it."""
    schema.ensure(engine, OWN)
    return engine


def test_tables_of_an_older_version_are_refused_untouched(older, with_a_later_revision):
    with pytest.raises(SchemaError, match=rf"older version.*{LAST}.*9000.*`wfengine db upgrade`"):
        schema.ensure(older, OWN)
    assert revision_in(older) == LAST
    assert "note" not in {column["name"] for column in sa.inspect(older).get_columns("workflow")}


def test_they_are_upgraded_by_command_and_work_then(older, with_a_later_revision):
    assert schema.upgrade(older) == ["9000"]
    assert "note" in {column["name"] for column in sa.inspect(older).get_columns("workflow")}
    schema.ensure(older, OWN)
    assert schema.upgrade(older) == []


def test_an_upgrade_makes_the_tables_where_there_are_none(engine, with_a_later_revision):
    assert schema.upgrade(engine) == [*REVISIONS, "9000"]
    assert schema.info(engine).is_current


def test_what_is_stored_survives_an_upgrade(older, with_a_later_revision):
    execute(older, "insert into workflow_definition values ('f', 'flights', '{}', 0)")
    schema.upgrade(older)
    with older.connect() as connection:
        assert connection.scalar(sa.text("select name from workflow_definition")) == "flights"


# From the first revision


@pytest.fixture
def first(engine):
    """A database as the first version made it, with a run in it."""
    with engine.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE}
        )
        scripts = ScriptDirectory(str(MIGRATIONS))
        scripts.get_revision("0001").module.upgrade(Operations(context))
        context.stamp(scripts, "0001")
        connection.execute(sa.insert(OWN.workflow.__table__).values(RUN))
    return engine


RUN = {
    "uuid": "c0ffee00-0000-4000-8000-000000000000",
    "name": "flights",
    "status": "HALTED",
    "token_pos": -1,
    "token_count": 0,
    "checkpoints": 0,
    "extra_data": {},
    "options": {},
    "lease_token": 0,
    "created": 1.0,
}


def test_a_store_of_the_first_revision_asks_for_an_upgrade_and_is_left_as_it_is(first):
    with pytest.raises(SchemaError, match=rf"older version.*0001.*{LAST}.*`wfengine db upgrade`"):
        schema.ensure(first, OWN)
    assert revision_in(first) == "0001"
    assert "workflow_audit" not in names_in(first)
    assert schema.info(first).pending == REVISIONS[1:]


def test_upgraded_from_the_first_revision_it_is_like_a_new_one_and_keeps_its_runs(
    first, on, request, tmp_path
):
    assert schema.upgrade(first) == [*REVISIONS[1:]]
    schema.ensure(first, OWN)
    with first.connect() as connection:
        assert connection.scalar(sa.text("select name from workflow")) == "flights"
    (tmp_path / "other").mkdir()
    with database(request.node.callspec.params["database_url"], tmp_path / "other") as url:
        other = on(url)
        schema.ensure(other, OWN)
        assert described(first) == described(other)


def test_an_upgrade_from_the_first_revision_that_was_broken_off_is_completed(first):
    with first.begin() as connection:
        OWN.audit.__table__.create(connection)
    schema.upgrade(first)
    schema.ensure(first, OWN)
    assert schema.info(first).is_current


@pytest.mark.parametrize("taken", TABLES)
def test_tables_of_somebody_elses_are_refused_by_name_and_untouched(engine, taken):
    execute(engine, f"create table {taken} (theirs integer)", f"insert into {taken} values (7)")
    for use in (lambda: schema.ensure(engine, OWN), lambda: schema.upgrade(engine)):
        with pytest.raises(SchemaError, match=rf"names that wfengine needs: {taken} "):
            use()
    assert names_in(engine) == {taken}
    with engine.connect() as connection:
        assert connection.scalar(sa.text(f"select theirs from {taken}")) == 7


def test_a_version_table_of_somebody_elses_is_refused(engine):
    execute(engine, "create table wfengine_version (theirs integer)")
    with pytest.raises(StoreError, match="lacks a table or a column"):
        schema.ensure(engine, OWN)
    assert names_in(engine) == {"wfengine_version"}


def test_a_dropped_table_is_named(engine):
    schema.ensure(engine, OWN)
    execute(engine, "drop table task_execution")
    with pytest.raises(SchemaError, match=r"lacks task_execution, .* backup"):
        schema.upgrade(engine)
    assert not schema.info(engine).is_current


# Half-made tables


def test_half_made_tables_are_completed(engine):
    schema.ensure(engine, OWN)
    complete = described(engine)
    execute(
        engine,
        "delete from wfengine_version",
        "drop table task_execution",
        "drop index ix_workflow_object_status_since"
        + (" on workflow_object" if is_mysql(engine) else ""),
    )
    assert schema.info(engine).revision is None
    schema.ensure(engine, OWN)
    assert (described(engine), revision_in(engine)) == (complete, schema.NEWEST)


def test_tables_of_unknown_revision_are_not_touched_if_something_is_in_them(engine):
    schema.ensure(engine, OWN)
    execute(
        engine,
        "insert into workflow_definition values ('f', 'flights', '{}', 0)",
        "delete from wfengine_version",
    )
    for use in (lambda: schema.ensure(engine, OWN), lambda: schema.upgrade(engine)):
        with pytest.raises(SchemaError, match=r"wfengine_version .* workflow_definition is not"):
            use()
    assert names_in(engine) >= set(TABLES)


KILLED_AT = """
import os, signal, sys
import alembic.operations, alembic.runtime.migration, alembic.script
import sqlalchemy as sa
from wfengine.store import schema
from wfengine.store.database import Database
from wfengine.store.models import Models

def make(url, survived):
    left = survived
    def count(connection, cursor, statement, *rest):
        nonlocal left
        left -= not statement.lstrip().lower().startswith(("select", "pragma", "show", "describe"))
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    engine = Database(url).engine
    sa.event.listen(engine, "before_cursor_execute", count)
    schema.ensure(engine, Models())

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        make(sys.argv[1], int(line))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_killed_before_any_statement_the_next_use_completes_it(database_url, on):
    engine, undisturbed = on(database_url), None
    # Elsewhere all statements are one transaction, so that a few of them tell enough.
    step = 1 if is_mysql(engine) else 4
    with Started(KILLED_AT, database_url) as maker:
        for survived in range(0, 100, step):
            status = int(maker.ask(str(survived)))
            schema.ensure(engine, OWN)
            undisturbed = undisturbed or described(engine)
            assert described(engine) == undisturbed
            assert revision_in(engine) == schema.NEWEST
            if status == 0:
                break
            assert status == -signal.SIGKILL
            execute(engine, *(f"drop table {name}" for name in [*TABLES[::-1], "wfengine_version"]))
    assert 10 < survived < 99


# Several at once


RACING = """
import os, sys, traceback
import alembic.operations, alembic.runtime.migration, alembic.script
from wfengine.store import schema
from wfengine.store.database import Database
from wfengine.store.models import Models

def make(url):
    os.close(trigger)
    os.read(gun, 1)
    try:
        schema.ensure(Database(url).engine, Models())
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

gun, trigger = os.pipe()
children = []
for number in range(8):
    children.append(os.fork())
    if children[-1] == 0:
        make(sys.argv[1])
os.close(trigger)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.parametrize("again", range(3))
def test_eight_processes_that_meet_a_new_database_at_once_all_find_its_tables(
    database_url, on, again
):
    with Started(RACING, database_url) as racers:
        assert racers.ask("") == str([0] * 8)
    assert schema.info(on(database_url)).is_current


def test_threads_make_tables_in_databases_of_their_own(tmp_path, on):
    engines = [on(f"sqlite:///{tmp_path / name}.db") for name in "abcd"]
    with ThreadPoolExecutor(len(engines)) as threads:
        list(threads.map(lambda engine: schema.ensure(engine, OWN), engines))
    assert all(schema.info(engine).is_current for engine in engines)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_users_own_migration_may_use_a_store(engine, on, tmp_path):
    with on(f"sqlite:///{tmp_path / 'theirs.db'}").begin() as connection:
        theirs = MigrationContext.configure(connection)
        with Operations.context(theirs):
            schema.ensure(engine, OWN)
            assert alembic.op.get_context() is theirs


class Started:
    """A program that answers a line with a line."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.too_late = Timer(PATIENCE, self.process.kill)

    def __enter__(self):
        self.too_late.start()
        return self

    def __exit__(self, *exc_info):
        self.too_late.cancel()
        self.too_late.join()
        with self.process:
            self.process.kill()

    def ask(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


# Models of a user's own


class TheirBase(DeclarativeBase):
    metadata = sa.MetaData(naming_convention=Base.metadata.naming_convention)


class Order(WorkflowMixin, TheirBase):
    __tablename__ = "orders"
    customer: Mapped[str | None] = mapped_column(sa.String(50))


class OrderItem(WorkflowObjectMixin, TheirBase):
    __tablename__ = "order_items"
    __workflow_table__ = "orders"


class OrderStep(TaskExecutionMixin, TheirBase):
    __tablename__ = "order_steps"
    __object_table__ = "order_items"


class OrderDefinition(WorkflowDefinitionMixin, TheirBase):
    __tablename__ = "order_definitions"


THEIRS = Models(OrderDefinition, Order, OrderItem, OrderStep)


@pytest.fixture
def with_their_tables(engine):
    TheirBase.metadata.create_all(engine)
    return engine


def test_tables_of_a_users_own_are_not_made_but_named(engine):
    with pytest.raises(SchemaError, match="models of your own") as refused:
        schema.ensure(engine, THEIRS)
    assert "the table order_definitions, the table orders, the table order_items" in str(
        refused.value
    )
    assert names_in(engine) == set()


def test_tables_of_a_users_own_are_taken_as_they_are(with_their_tables):
    before = names_in(with_their_tables)
    schema.ensure(with_their_tables, THEIRS)
    assert names_in(with_their_tables) == before


def test_the_names_of_indexes_do_not_hang_on_the_naming_convention_of_a_users_base():
    class PlainBase(DeclarativeBase):
        pass

    class Item(WorkflowObjectMixin, PlainBase):
        __tablename__ = "items"

    names = [index.name for index in Item.__table__.indexes]
    assert len(names) == len(set(names))


def test_a_column_that_a_users_own_table_lacks_is_named(with_their_tables):
    execute(with_their_tables, "alter table orders drop column stop_requested")
    with pytest.raises(SchemaError, match=r"lacks the column orders\.stop_requested\. They belong"):
        schema.ensure(with_their_tables, THEIRS)


# What is known about the tables


def test_the_tables_are_described_without_being_made(engine):
    assert schema.info(engine) == schema.SchemaInfo(None, schema.NEWEST, (), REVISIONS)
    assert not schema.info(engine).is_current
    assert names_in(engine) == set()


def test_tables_that_are_there_are_described(engine):
    schema.ensure(engine, OWN)
    known = schema.info(engine)
    assert known == schema.SchemaInfo(schema.NEWEST, schema.NEWEST, tuple(TABLES), ())
    assert known.is_current


def test_what_an_upgrade_would_do_is_told_before(older, with_a_later_revision):
    assert schema.info(older).pending == ("9000",)
    assert not schema.info(older).is_current


def test_tables_of_a_newer_version_are_described(engine):
    schema.ensure(engine, OWN)
    set_revision(engine, "9999")
    known = schema.info(engine)
    assert (known.revision, known.pending, known.is_current) == ("9999", (), False)
