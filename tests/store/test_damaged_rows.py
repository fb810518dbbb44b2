"""Each column of each table spoilt in turn: what then goes wrong is told as an error of our own."""

import sqlite3
from contextlib import closing, suppress
from shutil import copyfile

import pytest

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import DamagedDataError, HaltProcessing, WorkflowError
from wfengine.patterns import PARALLEL_SPLIT
from wfengine.store import Store
from wfengine.store.columns import Document, LongText, Name
from wfengine.store.models import Base
from wfengine.store.watching import marks, waiting_groups

NO_DOCUMENTS, NO_NUMBERS, NO_TEXTS = ["x", "[]", "{}", "null"], ["x", -1, 2**62], ["x", b"\xff"]


def note(token, eng):
    token["seen"] = True


def halt(token, eng):
    if token["number"] == 1:
        eng.halt("look", action="look", payload={"a": 1})


def fail(token, eng):
    if token["number"] == 2:
        raise WorkflowError("no")


def other(token, eng):
    """Stand for a task that the definition did not have before."""


DEFINITION = [note, PARALLEL_SPLIT([note], [note]), halt, fail]
CHANGED = [other, *DEFINITION]


def open_store(path):
    definitions = Registry()
    definitions.add("run", DEFINITION)
    return Store(f"sqlite:///{path}", definitions=definitions)


class Sample:
    """A store with two runs, one forked from the other, and what is needed to ask about them."""

    def __init__(self, path):
        with open_store(path) as store:
            eng = DbWorkflowEngine.with_name("run", store=store)
            eng.process(
                [{"number": number} for number in range(3)],
                stop_on_error=False,
                stop_on_halt=False,
            )
            self.uuid = eng.uuid
            self.halted, self.failed = eng.halted_objects[0].id, store.tokens(eng.uuid)[2].id
            self.fork = store.fork(self.halted, 1)
            self.failure = store.failures(eng.uuid)[0].failure
            self.mark = store.run(eng.uuid).fingerprint
            store.edit(self.halted, {"number": 1}, by="me")

    def readings(self, store):
        """Return calls that only look, by name."""
        uuid = self.uuid

        def engine(definition=DEFINITION):
            return DbWorkflowEngine.from_uuid(uuid, store=store, definition=definition)

        return {
            "runs": lambda: store.runs().items,
            "latest": store.latest,
            "summary": lambda: store.summary(uuid),
            "run": lambda: store.run(uuid),
            "places": lambda: store.places(uuid),
            "tokens": lambda: [looked_at(token) for token in store.tokens(uuid)],
            "halted": lambda: [looked_at(token) for token in store.halted()],
            "halted of a run": lambda: list(store.halted(uuid)),
            "history": lambda: [looked_at(step) for step in store.history(self.halted)],
            "compare": lambda: store.compare(uuid, self.fork).text(),
            "outcome": lambda: store.outcome(uuid),
            "failures": lambda: store.failures(uuid),
            "timings": lambda: store.timings(uuid),
            "slowest": lambda: store.slowest(uuid),
            "activity": lambda: store.activity(uuid),
            "audit": store.audit,
            "live": lambda: store.live(uuid),
            "skeleton": lambda: store.skeleton(self.mark),
            "recover": lambda: store.recover(dry_run=True),
            "marks": lambda: marks(store),
            "waiting": lambda: waiting_groups(store),
            "prune": lambda: store.prune(older_than=0, keep_history=1, dry_run=True),
            "resume": lambda: engine().resume(dry_run=True).text(),
            "resume what has changed": lambda: engine(CHANGED).resume(dry_run=True).text(),
            "the engine's tokens": lambda: list(engine().halted_objects),
        }

    def steps(self, store):
        """Return calls that change something, by name, in an order in which each can be done."""
        uuid, definition = self.uuid, DEFINITION

        def engine():
            return DbWorkflowEngine.from_uuid(uuid, store=store, definition=definition)

        return {
            "note": lambda: store.note("look", uuid=uuid),
            "edit": lambda: store.edit(self.halted, {"number": 4}),
            "decide": lambda: store.decide(self.halted, "yes"),
            "fork": lambda: store.fork(self.failed, 1),
            "rewind": lambda: engine().rewind(self.failed, 1),
            "stop": lambda: store.stop(uuid, wait=0),
            "recover": store.recover,
            "restart": lambda: store.resume_failures(uuid, self.failure, how="restart"),
            "resume failures": lambda: store.resume_failures(uuid, self.failure),
            "resume": lambda: engine().resume(),
            "prune": lambda: store.prune(older_than=0, keep_history=1),
            "delete": lambda: store.delete(uuid),
        }


def looked_at(found):
    """Return all that can be asked of a token or a step."""
    return [getattr(found, name) for name in dir(found) if not name.startswith("_")]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "runs.db"
    found = Sample(path)
    found.path = path
    return found


def columns():
    return [
        pytest.param(table, column, id=f"{table}.{column.name}")
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.name != "id"
    ]


def bad_values(column):
    """Return what a column should never have."""
    if isinstance(column.type, Document):
        values = NO_DOCUMENTS
    else:
        values = NO_TEXTS if isinstance(column.type, Name | LongText) else NO_NUMBERS
    return [*values, None] if column.nullable else values


def spoil(path, table, column, value):
    """Write a value into a column of all rows, or, where they have to differ, of the first.

    Return whether SQLite has taken it.
    """
    first = f" where rowid = (select min(rowid) from {table.name})"
    with closing(sqlite3.connect(path)) as connection:
        for where in ("", first):
            with suppress(sqlite3.IntegrityError), connection:
                connection.execute(f"update {table.name} set {column.name} = ?{where}", (value,))
                return True
    return False


def errors_of(call):
    """Return what comes out of a call; whatever that is, it is no error of another kind."""
    try:
        call()
    except HaltProcessing:
        return []
    except WorkflowError as error:
        return [error]
    except ExceptionGroup as group:
        return list(group.exceptions)
    return []


def assert_is_told(error):
    """Look whether an error is one of ours, which names the row where one is damaged."""
    assert isinstance(error, WorkflowError)
    assert len(str(error)) < 1000
    assert not isinstance(error, DamagedDataError) or error.row


@pytest.mark.parametrize(("table", "column"), columns())
@pytest.mark.parametrize("calls", [Sample.readings, Sample.steps])
def test_whatever_is_in_a_column_it_is_read_or_told_as_an_error_of_our_own(
    sample, tmp_path, subtests, table, column, calls
):
    for number, value in enumerate(bad_values(column)):
        path = copyfile(sample.path, tmp_path / f"{number}.db")
        if not spoil(path, table, column, value):
            continue
        with open_store(path) as store:
            for name, call in calls(sample, store).items():
                with subtests.test(f"{value!r}: {name}"):
                    for error in errors_of(call):
                        assert_is_told(error)


NO_SKELETONS = [
    "x",
    "[1",
    "[" * 100_000,
    "7",
    "{}",
    "null",
    '[["0"]]',
    "[[1, 2]]",
    '[["0", "note"], ["zz", "c"]]',
]


@pytest.mark.parametrize("text", NO_SKELETONS, ids=lambda text: text[:20])
def test_what_a_definition_looked_like_is_told_with_its_row_where_it_is_damaged(
    sample, tmp_path, text
):
    path = copyfile(sample.path, tmp_path / "runs.db")
    spoil(
        path,
        Base.metadata.tables["workflow_definition"],
        Base.metadata.tables["workflow_definition"].c.skeleton,
        text,
    )
    with open_store(path) as store:
        calls = sample.readings(store)
        looks = [calls["skeleton"], calls["resume what has changed"]]
        for look in (*looks, lambda: store.fork(sample.failed, 1)):
            with pytest.raises(DamagedDataError, match=f"workflow_definition {sample.mark}: "):
                look()
        store.decide(sample.halted, "yes")
        calls["resume"]()


def test_times_that_are_none_keep_nobody_from_looking_at_failures(sample, tmp_path):
    path = copyfile(sample.path, tmp_path / "runs.db")
    tokens = Base.metadata.tables["workflow_object"]
    spoil(path, tokens, tokens.c.since, "x")
    with open_store(path) as store:
        (group,) = store.failures(sample.uuid)
        assert (group.count, group.first, group.last) == (1, None, None)
        assert store.outcome(sample.uuid).in_error == 1


@pytest.mark.parametrize("call", ["timings", "slowest"])
def test_a_number_of_steps_that_is_none_is_told_with_its_row(sample, tmp_path, call):
    path = copyfile(sample.path, tmp_path / "runs.db")
    tokens = Base.metadata.tables["workflow_object"]
    spoil(path, tokens, tokens.c.steps, "x")
    with (
        open_store(path) as store,
        pytest.raises(DamagedDataError, match=r"^workflow_object \d+: steps is 'x'"),
    ):
        sample.readings(store)[call]()


def own(path, **values):
    """Give the runs an owner whose process is gone, and other columns besides."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for name, value in {"lease_owner": "elsewhere process 7 #1", **values}.items():
            connection.execute(f"update workflow set {name} = ? where parent_id is null", (value,))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"status": "FINE", "lease_expires": 1.0}, "'FINE' is no status"),
        ({"status": "RUNNING", "lease_expires": "soon"}, "'soon', which is no time"),
    ],
)
def test_runs_that_cannot_be_recovered_because_they_are_damaged_are_reported(
    sample, tmp_path, values, problem
):
    path = copyfile(sample.path, tmp_path / "runs.db")
    own(path, **values)
    with open_store(path) as store:
        with pytest.raises(DamagedDataError, match=rf"^workflow \d+: .*{problem}"):
            DbWorkflowEngine.from_uuid(sample.uuid, store=store).resume()
        found = store.recover()
    assert {run.uuid for run in found} == {sample.uuid, sample.fork}
    for run in found:
        assert run.result == "refused"
        assert problem in str(run.error)


def test_a_lease_without_an_end_keeps_nobody_from_a_run(sample, tmp_path):
    path = copyfile(sample.path, tmp_path / "runs.db")
    own(path, lease_expires=None)
    with open_store(path) as store:
        store.resume_failures(sample.uuid, sample.failure)
