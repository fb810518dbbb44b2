"""The daily reports: all fail for want of four airports, and go on when these are known."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from wfengine.flows import FlowService, FlowStatus

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flows_daily"
PATIENCE = 60.0
DAYS = [f"2013-01-{day:02}" for day in range(1, 8)]
FLIGHTS = [842, 943, 914, 915, 720, 832, 933]
MORE = ["--airports", EXAMPLE / "more_airports.csv"]


def command(*arguments):
    return [sys.executable, EXAMPLE / "report.py", *arguments]


def run(folder, *arguments):
    done = subprocess.run(
        command(*arguments),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def reports(folder):
    return {
        file.stem: json.loads(file.read_text()) for file in sorted((folder / "output").iterdir())
    }


@pytest.fixture
def service(tmp_path):
    with FlowService(f"sqlite:///{tmp_path}/runs.db") as found:
        yield found


def test_the_flows_fail_and_go_on_where_they_failed(tmp_path, service):
    assert run(tmp_path, "schedule") == [f"{day} is scheduled" for day in DAYS]
    assert run(tmp_path, "schedule") == []
    failed = run(tmp_path, "run")
    assert failed[0] == (
        "2013-01-01 failed LookupError: no airport table has BQN (3), PSE (1), SJU (20), STT (2)"
    )
    assert [line[:17] for line in failed] == [f"{day} failed" for day in DAYS]
    read = [len(flow.context.get("flights")) for flow in service.get_flow_executions()]
    assert read == FLIGHTS
    assert run(tmp_path, "run", *MORE) == [f"{day} succeeded " for day in DAYS]
    for flow in service.get_flow_executions(FlowStatus.SUCCEEDED):
        history = service.get_flow_task_execution_history(flow.id)
        ends = [(entry.name, entry.status.name) for entry in history[1::2]]
        assert ends == [
            ("ReadFlights", "SUCCEEDED"),
            ("NameAirports", "FAILED"),
            ("NameAirports", "SUCCEEDED"),
            ("Summarize", "SUCCEEDED"),
            ("Publish", "SUCCEEDED"),
        ]
    for day, count in zip(DAYS, FLIGHTS, strict=True):
        airlines = reports(tmp_path)[day]["airlines"].values()
        assert sum(each["left"] + each["cancelled"] for each in airlines) == count
    assert run(tmp_path, "history")[3].startswith("  2 NameAirports 1: running")


def test_killed_while_it_runs_it_goes_on(tmp_path, service):
    run(tmp_path, "schedule")
    killed = subprocess.Popen(command("run", *MORE), cwd=tmp_path)
    latest = time.monotonic() + PATIENCE
    while not (tmp_path / "output").exists() and time.monotonic() < latest:
        assert killed.poll() is None
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait(PATIENCE)
    run(tmp_path, "run", *MORE)
    flows = service.get_flow_executions()
    assert Counter(flow.status for flow in flows) == {FlowStatus.SUCCEEDED: len(DAYS)}
    assert list(reports(tmp_path)) == DAYS
