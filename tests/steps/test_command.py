"""A flow of steps that a script has run, looked at and gone on with by commands."""

import json
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from wfengine.store import Store

from ..cli import support
from ..cli.support import Folder

JOBS = """
from pathlib import Path

from wfengine.steps import Sequent, StepStatus

flow = Sequent("jobs", store="sqlite:///runs.db", config={"task_construct": "inline"})


def note():
    with open("log", "a") as log:
        print(flow.get_step_name(), flow.get_step_sequence(), file=log)


def publish():
    if not Path("ready").exists():
        raise ValueError("not ready yet")
    note()


extract = flow.add_step("extract", repeats=["east", "west"])
extract.add_step("read", note)
flow.add_step("publish", publish, requires=((extract, StepStatus.success),))

if __name__ == "__main__":
    raise SystemExit(not flow())
"""
STORE = ["--store", "sqlite:///runs.db"]


@pytest.fixture
def folder(tmp_path):
    """A folder in which the flow has failed."""
    folder = Folder(tmp_path)
    folder.write(jobs_py=JOBS)
    done = subprocess.run([sys.executable, "jobs.py"], cwd=tmp_path, check=False)
    assert done.returncode == 1
    return folder


def run_of(folder):
    """Return what the list says of the run."""
    (found,) = folder.wfengine("list", "--style", "steps", "--json", *STORE).out.splitlines()
    return json.loads(found)


def log_of(folder):
    return (folder / "log").read_text().splitlines()


def test_the_run_is_listed_and_shown_and_drawn(folder):
    found = run_of(folder)
    assert (found["name"], found["status"]) == ("jobs", "ERROR")
    shown = folder.wfengine("show", found["uuid"], "-d", "jobs.py:flow", *STORE)
    assert shown.status == 0, shown.err
    assert "not ready yet" in shown.out
    assert {"extract", "read", "publish"} <= set(re.findall(r"\w+", shown.out))
    drawn = folder.wfengine("draw", "jobs.py:flow", "-f", "mermaid")
    assert drawn.status == 0, drawn.err
    assert {"extract", "read", "publish"} <= set(re.findall(r"\w+", drawn.out))
    assert folder.wfengine("check", "jobs.py:flow").status == 0


@pytest.mark.parametrize("run_id", [None, "may"])
def test_a_flow_that_has_changed_goes_on_where_it_keeps_its_runs(tmp_path, run_id):
    jobs = JOBS.replace('Sequent("jobs",', f'Sequent("jobs", run_id={run_id!r},')
    folder = Folder(tmp_path).write(jobs_py=jobs.replace("runs.db", "jobs.db"))
    assert folder.run("jobs.py:flow", "--quiet").status == 1
    (folder / "ready").touch()
    changed = JOBS.replace("runs.db", "jobs.db").replace(
        "if __name__", 'flow.add_step("tell", note)\n\nif __name__'
    )
    folder.write(jobs_py=changed)
    planned = folder.wfengine("resume", "jobs.py:flow", "--dry-run")
    assert planned.status == 0, planned.err
    assert "the definition has changed" in planned.out
    done = folder.wfengine("resume", "jobs.py:flow", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["status"] == "COMPLETED"
    assert sorted(log_of(folder)[2:]) == ["publish 1", "tell 1"]
    assert not (folder / "runs.db").exists()
    left = folder.wfengine("resume", "jobs.py:flow")
    assert left.out == "No run of jobs.py:flow is left to go on with.\n"
    again = folder.wfengine("restart", "jobs.py:flow", "--json")
    assert (again.status, json.loads(again.out)["run"]) == (0, found["run"])


def test_runs_of_another_flow_are_not_taken_up(folder):
    folder.write(jobs_py=JOBS.replace('"jobs"', '"other jobs"'), ready="")
    done = folder.wfengine("resume", "jobs.py:flow")
    assert (done.status, log_of(folder)) == (0, ["extract_read 1.1", "extract_read 1.2"])
    assert "No run of jobs.py:flow is left to go on with, but of jobs." in done.out


def test_a_store_that_is_named_counts_and_not_that_of_the_flow(folder, monkeypatch):
    folder.write(ready="")
    monkeypatch.setitem(support.ENVIRONMENT, "WFENGINE_STORE", "sqlite:///none.db")
    refused = folder.wfengine("resume", "jobs.py:flow")
    assert (refused.status, refused.out) == (2, "")
    assert "there is no store at sqlite:///none.db" in refused.err
    assert folder.wfengine("resume", "jobs.py:flow", *STORE).status == 0


@pytest.mark.parametrize("store", [[], STORE])
def test_a_flow_is_run_once_as_its_own_run_would_and_names_the_steps_that_failed(tmp_path, store):
    folder = Folder(tmp_path).write(jobs_py=JOBS)
    failed = folder.run("jobs.py:flow", *store, stdin="text\n1\n2\n")
    assert failed.status == 1
    assert (failed.numbers()["succeeded"], failed.numbers()["failed"]) == (2, 1)
    assert failed.err == "Failed: publish/1: ValueError: not ready yet\n"
    found = run_of(folder)
    assert (found["name"], found["status"]) == ("jobs", "ERROR")
    said = re.search(r"  it goes on with: wfengine (.*)\n", failed.out)
    assert said is not None, failed.out
    again = folder.wfengine(*shlex.split(said[1]))
    assert (again.status, run_of(folder)["uuid"]) == (1, found["uuid"])
    (folder / "ready").touch()
    script = "import jobs; from wfengine.steps import RunMode; jobs.flow.run_mode = RunMode.recover"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; raise SystemExit(not jobs.flow())"],
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0
    assert (run_of(folder)["uuid"], run_of(folder)["status"]) == (found["uuid"], "COMPLETED")
    assert log_of(folder) == ["extract_read 1.1", "extract_read 1.2", "publish 1"]


def test_the_latest_run_of_a_flow_is_taken_up(folder):
    (folder / "ready").touch()
    done = folder.run("jobs.py:flow", "--resume", "--json")
    assert (done.status, done.err) == (0, "")
    found = json.loads(done.out)
    assert (found["run"], found["status"]) == (run_of(folder)["uuid"], "COMPLETED")
    assert (found["ending"], found["succeeded"], found["failures"]) == ("COMPLETE", 1, [])
    assert log_of(folder) == ["extract_read 1.1", "extract_read 1.2", "publish 1"]


def test_a_flow_is_kept_in_the_store_that_is_named(tmp_path):
    folder = Folder(tmp_path).write(jobs_py=JOBS)
    done = folder.run("jobs.py:flow", "--store", "sqlite:///other.db", "--quiet")
    assert (done.status, done.out) == (1, "")
    assert not (folder / "runs.db").exists()
    listed = folder.wfengine("list", "--style", "steps", "--json", "--store", "sqlite:///other.db")
    assert json.loads(listed.out)["name"] == "jobs"
    missing = folder.run("jobs.py:flow", "--store", "sqlite:///none.db", "--resume")
    assert (missing.status, missing.out) == (2, "")
    assert "no store" in missing.err


def test_a_flow_takes_no_rows(folder):
    done = folder.run("jobs.py:flow", "--input", "rows.csv", "--limit", "3", "--on-error", "stop")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "Error: jobs.py:flow is a flow of steps, which is run once and reads no rows: leave out "
        "--input, --limit, --on-error\n"
    )
    assert len(folder.wfengine("list", "--json", *STORE).out.splitlines()) == 1


IN_PROCESSES = """
from wfengine.steps import Sequent

def work(number):
    return 2 * number

flow = Sequent()
flow.add_step("works", work, (1,))
flow.add_step("fails", divmod, (1, 0), config={"stop_on_exception": False})
memory = Sequent(store=":memory:")
memory.add_step("works", work, (1,))
"""


def test_a_flow_in_processes_is_kept_beside_its_script_and_one_in_memory_nowhere(tmp_path):
    folder = Folder(tmp_path).write(script_py=IN_PROCESSES)
    done = folder.run("script.py:flow")
    assert done.status == 1
    assert "Failed: fails/1: ZeroDivisionError" in done.err
    listed = folder.wfengine("list", "--json", "--store", "sqlite:///script.db").out
    assert json.loads(listed)["name"] == "script"
    done = folder.run("script.py:memory", "--json")
    assert (done.status, json.loads(done.out)["run"]) == (0, None)
    done = folder.run("script.py:memory", "--resume")
    assert done.status == 2
    assert "kept in memory" in done.err


WAITING = """
import time
from pathlib import Path
from wfengine.steps import Sequent, StepStatus

def wait():
    print("begun", flush=True)
    while not Path("free").exists():
        time.sleep(0.01)

flow = Sequent(store="sqlite:///runs.db", config={"task_construct": "inline"})
waits = flow.add_step("waits", wait)
flow.add_step("after", print, ("after",), requires=((waits, StepStatus.success),))
"""


def test_ctrl_c_ends_a_flow_after_its_step_and_it_goes_on(tmp_path):
    folder = Folder(tmp_path).write(script_py=WAITING)
    with folder.start("script.py:flow") as started:
        assert started.line() == "begun"
        started.press_ctrl_c()
        assert "Stopping after the current task" in started.error_line()
        (folder / "free").touch()
        done = started.end()
    assert (done.status, "after" in done.out) == (130, False)
    assert "Interrupted." in done.err
    assert run_of(folder)["status"] == "HALTED"
    done = folder.run("script.py:flow", "--resume")
    assert (done.status, done.out.splitlines()[0]) == (0, "after")
    assert run_of(folder)["status"] == "COMPLETED"


def test_a_flow_that_another_command_stops_says_how_it_goes_on(tmp_path):
    folder = Folder(tmp_path).write(script_py=WAITING)
    with folder.start("script.py:flow") as started:
        assert started.line() == "begun"
        uuid = run_of(folder)["uuid"]
        with ThreadPoolExecutor() as pool, Store(f"sqlite:///{folder / 'runs.db'}") as store:
            stopping = pool.submit(folder.wfengine, "stop", uuid, *STORE)
            while store.summary(uuid).stop_requested is None:
                time.sleep(0.01)
            (folder / "free").touch()
            stopped = stopping.result()
        done = started.end()
    assert (stopped.status, stopped.out) == (0, f"Run {uuid} was stopped: it is halted.\n")
    assert (done.status, done.err, "after" in done.out) == (0, "", False)
    said = re.search(r"  it goes on with: wfengine (.*)\n", done.out)
    assert said is not None, done.out
    assert folder.wfengine(*shlex.split(said[1])).status == 0
    assert run_of(folder)["status"] == "COMPLETED"
    again = folder.wfengine("stop", uuid, *STORE)
    assert again.out == f"Run {uuid} is not running: it is completed.\n"


def test_the_run_goes_on_as_it_is_said_to(folder):
    uuid = run_of(folder)["uuid"]
    failed = folder.wfengine("resume", "jobs.py:flow", "--run", uuid, *STORE)
    assert failed.status == 1
    said = re.search(r"  it goes on with: wfengine (.*)\n", failed.out)
    assert said is not None, failed.out
    (folder / "ready").touch()
    done = folder.wfengine(*shlex.split(said[1]))
    assert (done.status, run_of(folder)["status"]) == (0, "COMPLETED"), done.err
    assert log_of(folder) == ["extract_read 1.1", "extract_read 1.2", "publish 1"]
