"""Runs the tests in every way of running, and watches that they leave no thread behind."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from wfengine import GenericWorkflowEngine, MachineState

from .support import PATIENCE, Way


class Threads:
    """The threads that a test has started."""

    def __init__(self) -> None:
        self.before = set(threading.enumerate())

    def running(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in self.before]

    def join(self) -> None:
        for thread in self.running():
            thread.join(PATIENCE)


@pytest.fixture(autouse=True)
def threads() -> Iterator[Threads]:
    """Give the threads of the test, and assert at its end that none is left."""
    threads = Threads()
    yield threads
    threads.join()
    assert [thread.name for thread in threads.running()] == []


@pytest.fixture(
    params=[(False, False), (False, True), (True, False), (True, True)],
    ids=["process-tasks", "process-coroutines", "async-tasks", "async-coroutines"],
)
def run(request: pytest.FixtureRequest) -> Way:
    return Way(*request.param)


class TakeUp:
    """Restarts a run at its current task: in its engine, or from storage as another process does.

    What is stored goes through JSON, and the definition is built anew.
    """

    def __init__(self, run: Way, from_storage: bool) -> None:
        self.run = run
        self.from_storage = from_storage
        self.engine: GenericWorkflowEngine | None = None

    def __call__(self, engine: GenericWorkflowEngine, definition: Any) -> GenericWorkflowEngine:
        tokens = engine.objects
        self.engine = engine = self.restored(engine, definition) if self.from_storage else engine
        self.run.restart(engine, "current", "current", objects=tokens)
        return engine

    def restored(self, engine: GenericWorkflowEngine, definition: Any) -> GenericWorkflowEngine:
        other = self.run.engine(definition)
        state, extra_data = json.loads(json.dumps(stored(engine)))
        other.state, other.extra_data = MachineState(**state), extra_data
        return other


@pytest.fixture(params=[False, True], ids=["here", "elsewhere"])
def take_up(request: pytest.FixtureRequest, run: Way) -> TakeUp:
    return TakeUp(run, request.param)


def stored(engine: GenericWorkflowEngine) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a database would keep; a lock belongs to the process, and is made anew."""
    data = {key: value for key, value in engine.extra_data.items() if key != "lock"}
    return engine.state.to_dict(), data
