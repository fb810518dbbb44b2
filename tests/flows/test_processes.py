"""Runners in several processes: a flow is run by one, and goes on when its runner was killed."""

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from wfengine.flows import FlowRunner, FlowStatus, TaskStatus
from wfengine.store import Store

from .working import PATIENCE, template

FLOWS = 12
PROGRAM = Path(__file__).with_name("working.py")


def started(url, folder):
    return subprocess.Popen(
        [sys.executable, PROGRAM, url, folder], stdout=subprocess.PIPE, text=True
    )


def work_done(folder):
    """Return how often each task of each flow was run, and by how many processes."""
    lines = [line.split() for line in (folder / "done").read_text().splitlines()]
    runs = Counter((flow, task) for flow, task, _ in lines)
    owners = Counter(flow for flow, _ in {(flow, process) for flow, _, process in lines})
    return runs, owners


@pytest.fixture
def runner(database_url, tmp_path):
    with Store(database_url) as store, FlowRunner(store) as found:
        found.register_flow_template(template(tmp_path))
        yield found


def test_two_runners_run_each_flow_once(runner, database_url, tmp_path):
    ids = [runner.schedule_flow("working", {"flow": n}) for n in range(FLOWS)]
    both = [started(database_url, tmp_path) for _ in range(2)]
    latest = time.monotonic() + PATIENCE
    while len(list(tmp_path.glob("ready-*"))) < 2 and time.monotonic() < latest:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    done = [process.communicate(timeout=PATIENCE)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted([*done[0], *done[1]]) == sorted(ids)
    runs, owners = work_done(tmp_path)
    assert set(owners.values()) == {1}
    assert len(owners) == FLOWS
    times = {"first": 1, "second": 1, "third": 3}
    assert runs == {(str(n), task): times[task] for n in range(FLOWS) for task in times}
    assert len(runner.service.get_flow_executions(FlowStatus.SUCCEEDED)) == FLOWS


@pytest.mark.parametrize("task", ["first", "second", "third"])
def test_when_its_runner_is_killed_a_flow_goes_on_with_the_task_it_was_at(tmp_path, task):
    url = f"sqlite:///{tmp_path}/flows.db"
    (tmp_path / "go").touch()
    (tmp_path / f"death-{task}").touch()
    with FlowRunner(url) as runner:
        runner.register_flow_template(template(tmp_path))
        flow_id = runner.schedule_flow("working", {"flow": 0})
        killed = started(url, tmp_path)
        killed.communicate(timeout=PATIENCE)
        assert killed.returncode == -signal.SIGKILL
        assert runner.service.get_flow_execution(flow_id).status is FlowStatus.RUNNING
        history = runner.service.get_flow_task_execution_history(flow_id)
        assert (history[-1].name, history[-1].status) == (task, TaskStatus.RUNNING)
        (flow,) = runner.run_due()
        assert (flow.id, flow.status) == (flow_id, FlowStatus.SUCCEEDED)
        assert dict(flow.context) == {"flow": 0, "first": 1, "second": 1, "third": 3}
        runs, _ = work_done(tmp_path)
        assert runs == {("0", "first"): 1, ("0", "second"): 1, ("0", "third"): 3}
        assert runner.run_due() == []


def test_attempts_made_before_a_crash_count(tmp_path):
    url = f"sqlite:///{tmp_path}/flows.db"
    (tmp_path / "go").touch()
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; import working\n"
        "work = working.Work.run\n"
        "def run(self, context):\n"
        "    if self.name == 'third' and 'third' in (self.folder / 'done').read_text():\n"
        "        (self.folder / 'death-third').touch()\n"
        "    return work(self, context)\n"
        "working.Work.run = run; sys.argv[1:] = sys.argv[2:]; working.main()\n"
    )
    with FlowRunner(url) as runner:
        runner.register_flow_template(template(tmp_path))
        flow_id = runner.schedule_flow("working", {"flow": 0})
        done = subprocess.run(
            [sys.executable, "-c", program, PROGRAM.parent, url, tmp_path],
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL
        (flow,) = runner.run_due()
        assert flow.status is FlowStatus.SUCCEEDED
        history = runner.service.get_flow_task_execution_history(flow_id)
        third = [(entry.attempt, entry.status.name) for entry in history if entry.step == 3]
        assert third == [
            (1, "RUNNING"),
            (1, "FAILED"),
            (2, "RUNNING"),
            (2, "FAILED"),
            (3, "RUNNING"),
            (3, "SUCCEEDED"),
        ]
