"""What the tests of flows share: a store of each kind, and a clock that stands still."""

from collections.abc import Callable

import pytest

from wfengine.flows import ExecutionContext, FlowRunner, FlowService, Task
from wfengine.store import Store

from ..support.databases import database_url, pytest_runtest_setup

__all__ = ["database_url", "pytest_runtest_setup"]


class Clock:
    """A clock that somebody turns."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Call(Task):
    """A task that calls a function with its context, and returns what that returns, if anything."""

    def __init__(self, function: Callable[[ExecutionContext], object], name: str = "") -> None:
        self._function = function
        self.name = name or function.__name__

    def run(self, context):
        found = self._function(context)
        return context if found is None else found


def adds(key, value):
    """Return a task that adds an entry."""

    def add(context):
        found = context.copy()
        found.set(key, value)
        return found

    return Call(add, f"add_{key}")


class Failing(Task):
    """A task that fails so many times, and then adds an entry."""

    def __init__(self, times, adds="done"):
        self.left, self.adds = times, adds

    def run(self, context):
        if self.left:
            self.left -= 1
            raise ValueError(f"{self.left} left")
        return ExecutionContext({self.adds: True})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    url = f"sqlite:///{tmp_path}/flows.db"
    with Store(url, clock=clock, synchronous="OFF") as opened:
        yield opened


@pytest.fixture
def service(store):
    return FlowService(store)


@pytest.fixture
def runner(service):
    return FlowRunner(service)


@pytest.fixture
def any_store(database_url, clock):
    with Store(database_url, clock=clock) as opened:
        yield opened
