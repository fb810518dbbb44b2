"""The durable benchmark runs and compares like with like; how fast anything is, no test asks."""

import json
import platform
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select

from wfengine.engine_db import DbWorkflowEngine
from wfengine.store import Store, TaskExecution, Workflow, WorkflowObject

from ..support.databases import MARIADB, POSTGRESQL, database_url, pytest_runtest_setup, require

__all__ = ["database_url", "pytest_runtest_setup"]

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LIMITS = {
    "sqlite-full": {"at_most": 1.5},
    "sqlite-normal": {"at_most": 3.0},
    "postgresql": {"at_most": 1.0},
    "postgresql-three-trips": {"at_most": 1.2},
    "postgresql-writes": {},
    "mariadb": {},
    "sqlite-token": {"at_most": 2.0},
    "sqlite-group": {},
    "growth-tokens": {"at_most": 1.5},
    "growth-runs": {"at_most": 1.5},
    "growth-history": {"at_most": 1.5},
    "memory": {"at_most": 10.0},
}
SERVERS = {
    "postgresql": POSTGRESQL,
    "postgresql-three-trips": POSTGRESQL,
    "postgresql-writes": POSTGRESQL,
    "mariadb": MARIADB,
}
AGAINST_THE_DRIVER = [name for name in LIMITS if name.startswith(("sqlite", *SERVERS))]
PEERS = ["sqlite-dbos", "postgresql-dbos", "sqlite-burr", "sqlite-langgraph"]
NOT_THE_SAME = {"id", "object_id", "started", "finished"}


def bench(folder, *arguments, status=0):
    """Run the benchmark on tiny sizes and return what its lines say, by figure."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "durable.py", "--quick", "--directory", folder, *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == status, done.stderr
    return {line["figure"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    lines = bench(folder)
    assert list(folder.iterdir()) == []
    return lines


@pytest.fixture
def line(printed, figure):
    if figure in SERVERS:
        require(SERVERS[figure])
    return printed[figure]


def test_each_figure_is_a_line_of_its_own(printed):
    assert list(printed) == list(LIMITS)


@pytest.mark.parametrize("figure", LIMITS)
def test_a_figure_says_what_was_measured_and_how_it_varied(line):
    assert line["compared"]
    assert line["unit"] in ("ratio", "MB")
    assert line["min"] <= line["median"] <= line["max"]
    assert line["python"] == platform.python_version()


@pytest.mark.parametrize("figure", LIMITS)
def test_a_figure_says_its_limit_and_whether_it_holds(line, figure):
    assert {key: line[key] for key in ("at_most", "at_least") if key in line} == LIMITS[figure]
    if LIMITS[figure]:
        assert line["holds"] == (line["median"] <= line["at_most"])
    else:
        assert "holds" not in line


@pytest.mark.parametrize("figure", AGAINST_THE_DRIVER)
def test_a_figure_says_the_times_and_where_they_were_measured(line, figure):
    assert set(line["us_per_checkpoint"]) == {"plain driver", "wfengine"}
    assert line["whole_run"] > 0
    names = {"sqlite": f"SQLite {_sqlite_version()} on ", "mariadb": "MariaDB"}
    assert names.get(figure.split("-")[0], "PostgreSQL") in line["database"]


def _sqlite_version():
    import sqlite3

    return sqlite3.sqlite_version


@pytest.mark.parametrize("figure", [name for name in LIMITS if name.startswith("growth")])
def test_growth_says_the_time_for_each_size(line):
    assert list(line["us_per_checkpoint"]) == ["10", "100"]


@pytest.mark.parametrize("figure", SERVERS)
def test_without_its_server_a_line_says_why_it_was_skipped(figure, tmp_path, monkeypatch):
    url = SERVERS[figure].url.set(port=1).render_as_string(hide_password=False)
    monkeypatch.setenv(SERVERS[figure].variable, url)
    assert "no database to measure with: " in bench(tmp_path, figure)[figure]["skipped"]


@pytest.fixture
def no_room_for_a_peer(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("TOX_ENV_DIR", str(file))


@pytest.mark.usefixtures("no_room_for_a_peer")
@pytest.mark.parametrize("figure", PEERS)
def test_without_a_peer_a_line_says_why_it_was_skipped(figure, tmp_path):
    assert "Not a directory" in bench(tmp_path, figure)[figure]["skipped"]


@pytest.mark.usefixtures("no_room_for_a_peer")
def test_a_skipped_figure_fails_only_under_strict(tmp_path):
    bench(tmp_path, "sqlite-burr", status=0)
    bench(tmp_path, "sqlite-burr", "--strict", status=1)


def test_an_unknown_figure_is_a_usage_error(tmp_path):
    assert bench(tmp_path, "no-such-figure", status=2) == {}


def test_a_directory_that_is_not_there_is_a_usage_error(tmp_path):
    assert bench(tmp_path / "nowhere", "sqlite-full", status=2) == {}


# The benchmark's own modules are imported from its folder, as they import each other.


@pytest.fixture
def floors(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import floors

    return floors


@pytest.fixture
def store(database_url):
    with Store(database_url) as store:
        yield store


def noop(obj, eng):
    pass


def rows_of(store, model, *criteria):
    """Return all that is in some rows, by column, but what cannot be the same twice."""
    table = model.__table__
    columns = [column for column in table.c if column.name not in NOT_THE_SAME]
    with store.session() as session:
        found = session.execute(select(*columns).where(*criteria).order_by(table.c.id))
        return [row._asdict() for row in found]


def history_of(store, token_id):
    return rows_of(store, TaskExecution, TaskExecution.object_id == token_id)


def place_of(store, token_id, names):
    (row,) = rows_of(store, WorkflowObject, WorkflowObject.id == token_id)
    return {name: row[name] for name in names}


def tokens_of(store, uuid):
    with store.session() as session:
        query = select(WorkflowObject.id).join(Workflow).where(Workflow.uuid == uuid)
        return session.scalars(query.order_by(WorkflowObject.token_pos)).all()


def written_by_wfengine(store, tasks, tokens, **policy):
    """Return the ids of a run's tokens, and how often the run was written."""
    eng = DbWorkflowEngine.with_name("noops", store=store, definition=[noop] * tasks, **policy)
    eng.process([{"n": 1, "name": "Ada Lovelace", "done": False} for _ in range(tokens)])
    return tokens_of(store, eng.uuid), store.run(eng.uuid).checkpoints


def test_the_floor_writes_the_rows_that_wfengine_writes_after_each_task(
    store, database_url, floors
):
    (ours,), _ = written_by_wfengine(store, tasks=50, tokens=1)
    run_id, (theirs,) = floors.new_run(store, tokens=1)
    with floors.floor(database_url) as plain:
        plain.write(floors.after_each_task(run_id, theirs, tasks=50))
    assert history_of(store, ours) == history_of(store, theirs)
    assert len(history_of(store, ours)) == 50
    names = ["data", *floors.TOKEN_MOVES]
    assert place_of(store, ours, names) == place_of(store, theirs, names)


@pytest.mark.parametrize("together", [1, 3])
def test_the_floor_writes_the_rows_that_wfengine_writes_after_tokens(
    store, database_url, floors, together
):
    ours, checkpoints = written_by_wfengine(
        store, tasks=8, tokens=6, checkpoint="token", checkpoint_tokens=together
    )
    run_id, theirs = floors.new_run(store, tokens=6)
    rows = floors.after_tokens(run_id, theirs, tasks=8, together=together)
    with floors.floor(database_url) as plain:
        plain.write(rows)
    assert [history_of(store, token) for token in ours] == [
        history_of(store, token) for token in theirs
    ]
    names = ["data", *floors.TOKEN_LEAVES[:-1]]
    assert [place_of(store, token, names) for token in ours] == [
        place_of(store, token, names) for token in theirs
    ]
    assert checkpoints - 1 == len(rows) == 6 // together, "the end of a run is one checkpoint more"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_floor_writes_the_same_in_three_trips(store, database_url, floors):
    written = []
    with floors.floor(database_url) as plain:
        for write in (plain.write, plain.write_in_three_trips):
            run_id, (token_id,) = floors.new_run(store, tokens=1)
            write(floors.after_each_task(run_id, token_id, tasks=8))
            (run,) = rows_of(store, Workflow, Workflow.id == run_id)
            place = place_of(store, token_id, floors.TOKEN_MOVES)
            written.append((history_of(store, token_id), place, run["checkpoints"]))
    assert written[0] == written[1]
    assert len(written[0][0]) == written[0][2] == 8


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("policy", "every", "checkpoints"),
    [
        ({}, 1, 32),
        ({"checkpoint": "token"}, 8, 4),
        ({"checkpoint": "token", "checkpoint_tokens": 2}, 16, 2),
    ],
)
def test_the_floor_takes_its_turn_after_each_checkpoint(
    store, monkeypatch, policy, every, checkpoints
):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import durable

    turns = []

    def write(rows):
        turns.append((rows, store.run(eng.uuid).checkpoints))

    measured = durable.Turns(write, list(range(checkpoints)), every, has_effect=False)
    definition = [measured.noop] * 8
    eng = DbWorkflowEngine.with_name("noops", store=store, definition=definition, **policy)
    times = measured.run(eng, tokens=4)
    assert turns == [([number], number) for number in range(checkpoints)]
    assert len(measured.plain) == checkpoints
    assert len(measured.durable) == checkpoints - 1
    assert min(times.plain, times.durable, times.whole) > 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_the_floor_waits_for_the_disk_as_the_store_does(database_url, floors, synchronous):
    def settings(connection):
        names = ["journal_mode", "synchronous", "foreign_keys"]
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    with Store(database_url, synchronous=synchronous) as store:
        engine = store.database.engine
        with (
            floors.floor(database_url, synchronous) as plain,
            closing(engine.raw_connection()) as ours,
        ):
            assert settings(plain.connection) == settings(ours)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
class TestAStoreThatWasFilled:
    @pytest.fixture
    def growth(self, floors):
        import durable_growth

        return durable_growth

    @pytest.fixture
    def made(self, growth, store):
        return growth.new_run(store, [noop] * 50)

    def count(self, made, model, *criteria):
        with made.store.session() as session:
            return session.scalar(select(func.count()).select_from(model).where(*criteria))

    @pytest.mark.parametrize("times", [1, 3])
    def test_runs_its_first_token_again_and_again(self, made, times):
        for _ in range(times):
            made.put_back()
            made.engine().resume(made.token_id)
        assert len(history_of(made.store, made.token_id)) == 50 * times

    def test_has_so_many_more_tokens(self, made, growth):
        made.fill_tokens(99, **growth.DONE)
        assert self.count(made, WorkflowObject, WorkflowObject.workflow_id == made.id) == 100
        assert len(made.engine().recorder.tokens) == 100

    def test_has_so_many_more_runs(self, made):
        made.fill_runs(99)
        assert self.count(made, Workflow) == self.count(made, WorkflowObject) == 100

    def test_has_so_long_a_history(self, made):
        made.fill_history(100)
        made.put_back()
        made.engine().resume(made.token_id)
        steps = [row["step"] for row in history_of(made.store, made.token_id)]
        assert steps == list(range(1, 151))

    def test_can_be_run_by_wfengine_to_its_end(self, made, growth):
        made.fill_tokens(9, **growth.WAITING)
        made.engine().resume()
        done = WorkflowObject.status == "COMPLETED"
        assert self.count(made, WorkflowObject, done) == 10


def test_the_workload_makes_a_checkpoint_for_each_of_fifty_tasks(tmp_path):
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "durable_workloads.py", "wfengine", url, "2"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert [float(word) > 0 for word in done.stdout.split()] == [True, True]
    engine = create_engine(url)
    with engine.connect() as connection:
        runs = connection.execute(select(Workflow.status, Workflow.checkpoints)).all()
    engine.dispose()
    assert runs == [("COMPLETED", 51)] * 3, "one run to warm up, and the end is a checkpoint"
