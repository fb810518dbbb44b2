"""How flows end: left by Ctrl-C, or inside of a running event loop; and which round has failed."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

import pytest

from wfengine.status import WorkflowStatus
from wfengine.store import Store

from ..cli.support import WITH_CTRL_C
from .support import Log, children, flow

PATIENCE = 60.0

given = ContextVar("given", default="nothing")


@pytest.fixture
def log():
    """Notes calls."""
    return Log()


# Inside of a running event loop


@pytest.mark.parametrize("place", [":memory:", "sqlite://"])
@pytest.mark.parametrize("construct", ["inline", "thread"])
@pytest.mark.parametrize("limit", [1, 4])
def test_coroutine_functions_are_awaited_where_an_event_loop_runs(log, place, construct, limit):
    async def work(number):
        await asyncio.sleep(0)
        log()
        return [number, given.get()]

    async def fails():
        await asyncio.sleep(0)
        raise ValueError("even here")

    async def run():
        given.set("something")
        config = {"task_construct": construct, "max_concurrent": limit, "stop_on_exception": False}
        with flow(place, config=config) as steps:
            for number in range(4):
                steps.add_step(f"s{number}", work, args=(number,))
            steps.add_step("fails", fails)
            is_success = steps()
            found = {} if place == ":memory:" else children(steps.engine.recorder.store, steps.uuid)
            return is_success, steps.failures, found

    is_success, failures, found = asyncio.run(run())
    assert (is_success, failures) == (False, [("fails/1", "ValueError: even here")])
    assert sorted(log.calls) == [f"s{number}/1" for number in range(4)]
    if found:
        results = [found[f"s{number}/1"][1] for number in range(4)]
        assert results == [[number, "something"] for number in range(4)]


def test_ctrl_c_where_an_event_loop_runs_cancels_what_a_step_awaits():
    seen = []

    async def waits():
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def run():
        steps = flow()
        steps.add_step("waits", waits)
        with pytest.raises(KeyboardInterrupt):
            steps()

    loop = asyncio.new_event_loop()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        loop.run_until_complete(run())
    finally:
        signal.signal(signal.SIGINT, before)
        loop.close()
    assert seen == ["cancelled"]


# Which round has failed


@pytest.mark.parametrize("place", [":memory:", "sqlite://"])
def test_a_function_with_repeats_ends_at_its_first_failed_round_and_that_is_named(log, place):
    log.failing = {"box_read/1.2.2", "once/1"}
    with flow(place, config={"stop_on_exception": False}) as steps:
        box = steps.add_step("box", repeats=["east", "west"])
        box.add_step("read", log, repeats=[1, 2, 3])
        steps.add_step("once", log)
        assert not steps()
        numbers = ("1.1", "1.2", "1.3", "2.1", "2.2")
        assert sorted(log.take()) == [*(f"box_read/1.{number}" for number in numbers), "once/1"]
        said = "ValueError: {} was told to"
        names = [name for name, _ in steps.failures]
        assert steps.failures == [(name, said.format(name)) for name in names]
        assert names == ["box_read/1.2.2", "once/1"]


# Ctrl-C, and processes

LONG = """
import os, subprocess, sys, time
from wfengine.steps import RunMode, Sequent, StepReplay, StepStatus

PLACE = os.path.dirname(os.path.abspath(__file__))


def wait(name):
    open(os.path.join(PLACE, f"{name}.{os.getpid()}.begun"), "w").close()
    while not os.path.exists(os.path.join(PLACE, "free")):
        time.sleep(0.01)


def run_program(name):
    with subprocess.Popen(["sleep", "100"]) as program:
        open(os.path.join(PLACE, f"{name}.{os.getpid()}.begun"), "w").close()
        return program.wait()


flow = Sequent(
    "long",
    store=f"sqlite:///{PLACE}/runs.db",
    run_mode=RunMode(os.environ.get("MODE", "restart")),
    config={"max_concurrent": 3},
)
skip = {StepStatus.failure: StepReplay.skip}
for name in ("a", "b", "c"):
    flow.add_step(name, wait, (name,), recovery=skip)
if __name__ == "__main__":
    with flow:
        print(flow(), flush=True)
"""


class Program:
    """A script in a folder, and what it has begun."""

    def __init__(self, folder, text=LONG):
        self.folder = folder
        (folder / "script.py").write_text(text)

    @contextmanager
    def start(self, *command, **environment):
        """Start it, in a group of processes of its own, which is gone at the end."""
        started = subprocess.Popen(
            [sys.executable, "-c", WITH_CTRL_C, *(command or (sys.executable, "script.py"))],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with started:
            try:
                yield started
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(started.pid, signal.SIGKILL)

    def pids(self, count):
        """Return the processes of steps, when so many have begun."""
        end = time.monotonic() + PATIENCE
        while len(found := list(self.folder.glob("*.begun"))) < count:
            assert time.monotonic() < end
            time.sleep(0.01)
        return [int(path.suffixes[0][1:]) for path in found]


def is_running(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_ctrl_c_ends_the_processes_of_all_steps_and_they_are_run_again(tmp_path, send):
    program = Program(tmp_path)
    with program.start() as started:
        pids = program.pids(3)
        send(started.pid, signal.SIGINT)
        _, said = started.communicate(timeout=PATIENCE)
    assert "KeyboardInterrupt" in said
    assert not any(is_running(pid) for pid in pids)
    (tmp_path / "free").touch()
    with program.start(MODE="recover") as started:
        out, said = started.communicate(timeout=PATIENCE)
    assert out == "True\n", said
    assert len(program.pids(6)) == 6
    with Store(f"sqlite:///{tmp_path}/runs.db") as store:
        assert store.latest().status is WorkflowStatus.COMPLETED


def test_processes_of_steps_leave_ctrl_c_to_the_command_and_are_waited_for(tmp_path):
    program = Program(tmp_path)
    with program.start(sys.executable, "-m", "wfengine", "run", "script.py:flow") as started:
        program.pids(3)
        os.killpg(started.pid, signal.SIGINT)
        while "Stopping after the current task" not in started.stderr.readline():
            assert started.poll() is None
        (tmp_path / "free").touch()
        out, said = started.communicate(timeout=PATIENCE)
    assert "Failed" not in said
    assert "  succeeded         3\n" in out


def test_programs_that_a_step_runs_are_told_of_ctrl_c(tmp_path):
    program = Program(tmp_path, LONG.replace("wait, (name", "run_program, (name"))
    with program.start(sys.executable, "-m", "wfengine", "run", "script.py:flow") as started:
        program.pids(3)
        os.killpg(started.pid, signal.SIGINT)
        out, said = started.communicate(timeout=PATIENCE)
    assert "Failed" not in said
    assert "  succeeded         3\n" in out
