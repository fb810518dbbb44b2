"""Death: whatever is killed whenever, what was done is not done again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import define, field, frozen

from wfengine.status import WorkflowStatus
from wfengine.store import Store

from .graphs import flow_to_kill, settled
from .reference import Reference
from .support import children

PROGRAM = Path(__file__).parent / "killing.py"
PATIENCE = 120.0

INSIDE = ("slow", "a", "b", "c")
EVERY = {
    "first/1",
    *(f"box_{name}/1.{turn}" for name in (*INSIDE, "joined") for turn in (1, 2)),
    "last/1",
}
FLOW_KILLS = {"thread": 6, "process": 3}
STEP_KILLS = 4


def noted(folder):
    """Return what was noted, as lists of words."""
    path = folder / "calls"
    if not path.exists():
        return []
    return [line.split() for line in path.read_text(encoding="utf-8").splitlines()]


def wait_until_gone(pid):
    """Wait until a process of a step has noticed that its flow is dead."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.005)
    raise AssertionError(f"process {pid} has outlived its flow")


# Flows that are killed at one moment


def started(folder, mode, construct):
    """Start the flow in a process of its own."""
    url = f"sqlite:///{folder / 'runs.db'}"
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), url, str(folder), mode, construct],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(folder, what, process):
    """Wait until something was noted; return its line."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        for words in noted(folder):
            if words[:2] == what:
                return words
        time.sleep(0.02)
    raise AssertionError(f"{what} was not noted; {noted(folder)} {process.communicate()}")


@pytest.mark.parametrize("construct", ["thread", "process"])
def test_a_killed_flow_is_recovered_and_no_success_is_repeated(tmp_path, construct):
    with started(tmp_path, "restart", construct) as process:
        words = wait_for(tmp_path, ["begins", "box_slow/1.1"], process)
        wait_for(tmp_path, ["ends", "box_b/1.1"], process)
        process.kill()
        process.communicate()
    if construct == "process":
        wait_until_gone(int(words[2]))
    before = noted(tmp_path)
    assert ["ends", "box_slow/1.1"] not in before
    (tmp_path / "go").touch()
    with started(tmp_path, "recover", construct) as process:
        out, err = process.communicate(timeout=200)
    assert out == "True\n", err
    after = noted(tmp_path)[len(before) :]
    done = {words[1] for words in before if words[0] == "ends"}
    again = {words[1] for words in after if words[0] == "begins"}
    # One step may have ended in the moment before its end was written down.
    assert len(done & again) <= 1
    assert done | again == EVERY
    assert {"first/1", "box_a/1.1"}.isdisjoint(again)
    if construct == "process":
        assert {words[3] for words in after if words[0] == "begins"} == {"1"}


def test_a_killed_step_is_a_failure_and_is_recovered(tmp_path):
    with started(tmp_path, "restart", "process") as process:
        words = wait_for(tmp_path, ["begins", "box_slow/1.1"], process)
        os.kill(int(words[2]), signal.SIGKILL)
        out, err = process.communicate(timeout=200)
    assert out == "False\n"
    assert "box_slow/1.1" in err
    assert "SIGKILL" in err
    (tmp_path / "go").touch()
    before = len(noted(tmp_path))
    with started(tmp_path, "recover", "process") as process:
        out, err = process.communicate(timeout=200)
    assert out == "True\n", err
    begun = [words[1] for words in noted(tmp_path)[before:] if words[0] == "begins"]
    assert "box_slow/1.1" in begun
    assert "first/1" not in begun


# Flows that are killed again and again, at random moments


@frozen
class Expected:
    """What is to come of a flow.

    :param seed: of a random one.
    :param calls: all that are made, some of them again and again.
    :param results: of the steps that succeed; None for those that hold others.
    :param result: whether the flow succeeds.
    :param needed: what must have succeeded when some calls have begun.
    """

    seed: str | None
    calls: set[str]
    results: dict[str, str | None]
    result: bool
    needed: Callable[[set[str]], set[str]]


def needed(begun: set[str]) -> set[str]:
    """Return the steps without whose success others cannot have begun."""
    found = {"first/1"} if begun - {"first/1"} else set()
    for turn in (1, 2):
        if f"box_joined/1.{turn}" in begun:
            found.update(f"box_{name}/1.{turn}" for name in INSIDE)
        if begun & ({f"box_{name}/1.2" for name in INSIDE} if turn == 1 else {"last/1"}):
            found.add(f"box_joined/1.{turn}")
    return found


FIXED = Expected(None, EVERY, {**{name: name for name in EVERY}, "box/1": None}, True, needed)


def expected_of(seed: str, construct: str) -> Expected:
    """Return what comes of a random flow that nobody kills."""
    flow, failing = flow_to_kill(seed, construct)
    reference = Reference(settled(flow), set(failing))
    calls = reference.play()
    results = {**reference.results(), **dict.fromkeys(reference.boxes_done())}
    return Expected(seed, calls, results, bool(reference.result), lambda _: set())


@define
class Killed:
    """A flow of one database, process after process of it.

    :param successes: for each process, the steps that had succeeded when it was begun.
    """

    url: str
    folder: Path
    construct: str
    forking: Any
    random: Random
    expected: Expected = FIXED
    successes: list[set[str]] = field(factory=list)
    pid: int = 0

    def start(self) -> None:
        """Have a process begin the flow, or go on with it."""
        self.successes.append(self._stored())
        attempt, mode = len(self.successes), "recover" if self._has_run else "restart"
        seed = self.expected.seed or ""
        line = f"{attempt} {self.folder} {self.url} {mode} {self.construct} {seed}\n"
        self.forking.stdin.write(line)
        self.forking.stdin.flush()
        self.pid = int(self.forking.stdout.readline())

    def begun(self) -> list[tuple[str, int]]:
        """Return the steps that this process of the flow has begun, and the pid of each."""
        attempt = str(len(self.successes))
        lines = noted(self.folder)
        return [(words[1], int(words[2])) for words in lines if words[-1] == attempt]

    def wait_for_steps(self, number: int) -> list[tuple[str, int]]:
        """Return what has begun when that is so many steps, or the flow is over."""
        end = time.monotonic() + PATIENCE
        while len(self.begun()) < number and not self.out:
            assert time.monotonic() < end, "the flow hangs"
            time.sleep(0.001)
        return self.begun()

    def wait_a_little(self, most: float) -> None:
        """Let the moment be a random one."""
        time.sleep(self.random.random() * most)

    @property
    def out(self) -> str:
        """What the flow says at its end."""
        path = self.folder / f"out{len(self.successes)}"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def end(self) -> int:
        """Wait until the process has ended, and its steps with it; return its exit status."""
        status = int(self.forking.stdout.readline())
        if self.construct == "process":
            for _, pid in self.begun():
                wait_until_gone(pid)
        return status

    def check(self) -> None:
        """Look whether a step was begun again that had succeeded before."""
        for attempt, successes in enumerate(self.successes, 1):
            lines = [words for words in noted(self.folder) if words[-1] == str(attempt)]
            assert successes.isdisjoint(words[1] for words in lines), (attempt, successes)

    def check_end(self) -> None:
        """Look whether the run has ended as one does that nobody kills."""
        begun = {words[1] for words in noted(self.folder) if words[0] == "begins"}
        assert begun == self.expected.calls
        with Store(self.url) as store:
            run = store.latest(name="killed")
            assert (run.status is WorkflowStatus.COMPLETED) is self.expected.result
            found = {
                name: result
                for name, (status, result) in children(store, run.uuid).items()
                if status is WorkflowStatus.COMPLETED
            }
        assert found == self.expected.results

    @property
    def _has_run(self) -> bool:
        with Store(self.url) as store:
            return store.latest(name="killed") is not None

    def _stored(self) -> set[str]:
        """Return the steps whose success is stored; that of what others waited for is."""
        with Store(self.url) as store:
            run = store.latest(name="killed")
            steps = {} if run is None else children(store, run.uuid)
        found = {name for name, (status, _) in steps.items() if status is WorkflowStatus.COMPLETED}
        begun = {words[1] for words in noted(self.folder) if words[0] == "begins"}
        assert self.expected.needed(begun) <= found
        return found


@pytest.fixture(scope="module")
def forking() -> Iterator[Any]:
    """A process that forks flows."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def killed(database_url, tmp_path, forking, request):
    """A flow that does not wait for anything."""
    (tmp_path / "go").touch()
    return Killed(database_url, tmp_path, request.param, forking, Random(database_url))


@pytest.mark.parametrize("killed", ["thread", "process"], indirect=True)
def test_a_flow_that_is_killed_again_and_again_comes_to_the_same_end(killed):
    kill_flow(killed)
    assert killed.out == "True\n"


@pytest.mark.parametrize("killed", ["process"], indirect=True)
def test_steps_that_are_killed_again_and_again_are_recovered_to_the_same_end(killed):
    kill_steps(killed)


def kill_flow(killed):
    """Kill the process of a flow again and again; look at its end."""
    for kills in count():
        killed.start()
        if kills < FLOW_KILLS[killed.construct]:
            killed.wait_for_steps(killed.random.randrange(5))
            killed.wait_a_little(0.03)
            _kill(killed.pid)
        if killed.end() != -signal.SIGKILL:  # it was over before
            break
    assert killed.out.splitlines()[-1] == str(killed.expected.result)
    killed.check()
    killed.check_end()


def kill_steps(killed):
    """Kill the processes of steps again and again; look at the end of the flow."""
    for failures in count():
        killed.start()
        begun, steps = [], killed.random.randrange(4)
        while failures < STEP_KILLS and not killed.out:
            steps = max(steps, len(begun)) + 1
            begun = killed.wait_for_steps(steps)
            killed.wait_a_little(0.01)
            if begun:
                _kill(begun[-1][1])
        assert killed.end() == 0, killed.out
        assert killed.out.splitlines()[-1] in ("True", "False")
        if killed.out == "True\n":
            break
    killed.check()
    killed.check_end()


def _kill(pid):
    """Kill a process, unless it has ended meanwhile."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


# Random flows


SEEDS = range(int(os.environ.get("WFENGINE_TEST_KILLED_FLOWS", "2")))
"""How many there are for each way to kill one: WFENGINE_TEST_KILLED_FLOWS may ask for more."""


@pytest.fixture
def random_killed(database_url, tmp_path, forking):
    """Return a random flow of this database."""

    def made(seed, construct):
        expected = expected_of(seed, construct)
        return Killed(database_url, tmp_path, construct, forking, Random(seed), expected)

    return made


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("database_url", "construct"),
    [("sqlite", "thread"), ("postgresql", "thread"), ("sqlite", "process")],
    indirect=["database_url"],
)
def test_a_random_flow_that_is_killed_comes_to_the_same_end(random_killed, seed, construct):
    kill_flow(random_killed(f"flow-{seed}", construct))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_random_flow_whose_steps_are_killed_comes_to_the_same_end(random_killed, seed):
    kill_steps(random_killed(f"steps-{seed}", "process"))
