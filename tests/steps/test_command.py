"""A flow of steps that a script has run, looked at and gone on with by commands."""

import json
import re
import shlex
import subprocess
import sys

import pytest

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
