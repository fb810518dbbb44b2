"""What a task of a flow is to the engine: a callable that is run again while it may be."""

from __future__ import annotations

from collections.abc import MutableMapping
from copy import deepcopy
from functools import partial
from inspect import iscoroutinefunction, unwrap
from typing import Any

from attrs import frozen

from wfengine import frames
from wfengine.errors import WorkflowTransition
from wfengine.flows.context import ExecutionContext, is_same
from wfengine.flows.errors import FlowError
from wfengine.flows.tasks import Task, TaskDataItem
from wfengine.flows.timeouts import within
from wfengine.interpreter import AskAgain, Process, settle
from wfengine.patterns.containing import contained
from wfengine.patterns.parts import growing_delay, pause, proceed
from wfengine.store import Types

__all__ = ["Attempts", "Step"]

FAILURES = "failures"


@frozen
class Attempts:
    """How often and how long a task is tried.

    :param retries: how many times again after the first failure.
    :param delay: seconds to wait before the second attempt.
    :param backoff: the factor by which the delay grows from attempt to attempt.
    :param timeout: seconds that an attempt may take; None for no limit.
    """

    retries: int = 0
    delay: float = 0.0
    backoff: float = 1.0
    timeout: float | None = None

    def wait_after(self, failures: int) -> float:
        """Return how long to wait after so many failures."""
        return growing_delay(self.delay, self.backoff, failures)


class Step:
    """A task as the engine calls it, ``step(obj, eng)``; the token is the context's entries.

    After a failure it asks the engine for the same step again. How often it has failed is kept
    with the position, as TRY does it, so that it is known after a crash, too.
    """

    def __init__(self, task: Task, attempts: Attempts) -> None:
        self.__name__ = task.name
        self.__doc__ = type(task).__doc__
        self.__module__ = type(task).__module__
        self.__code__ = getattr(unwrap(type(task).run), "__code__", None)  # where it is written
        self._task = task
        self._attempts = attempts
        self._kind = f"TRY {task.name}"

    @property
    def is_awaited(self) -> bool:
        """Whether it is known that it has to be awaited."""
        return self._attempts.timeout is not None or iscoroutinefunction(self._task.run)

    def __call__(self, obj: Any, eng: Any) -> Any:
        """Run the task for one flow; return an awaitable as soon as something has to be awaited."""
        return proceed(self._process(obj, eng))

    def _process(self, obj: Any, eng: Any) -> Process:
        frame = frames.find(eng, self._kind)
        failures = frame[FAILURES] if frame is not None else 0
        yield from settle(self._pause(eng, failures))
        try:
            yield from self._attempt(obj, _types_of(eng))
        except WorkflowTransition:
            self._leave(eng, frame)
            raise
        except Exception as error:
            if failures < self._attempts.retries:
                (frame or frames.enter(eng, self._kind))[FAILURES] = failures + 1
                return AskAgain(0, error)
            self._leave(eng, frame)
            raise
        self._leave(eng, frame)
        return None

    def _pause(self, eng: Any, failures: int) -> Any:
        wait = self._attempts.wait_after(failures)
        return pause(eng, wait) if wait else None

    @staticmethod
    def _leave(eng: Any, frame: frames.Frame | None) -> None:
        if frame is not None:
            frames.leave(eng, frame)

    def _attempt(self, obj: Any, types: Types) -> Process:
        """Run the task once, and put what it has found into the token, all or nothing."""
        context = ExecutionContext(_entries_of(obj))
        for item in self._task.inputs():
            self._check(item, context, "needs")
        found = yield from settle(self._run(context.copy()))
        added = self._added(context, found, types)
        for item in self._task.outputs():
            self._check(item, found, "says that it adds")
        obj.update({key: _own(value) for key, value in added.items()})

    def _run(self, context: ExecutionContext) -> Any:
        run, seconds = self._task.run, self._attempts.timeout
        call = partial(run, context)
        if seconds is not None:
            return contained(partial(within, seconds, self._task.name, call), self._left_by)
        try:
            return contained(call, self._left_by)
        except StopIteration as error:  # which a generator does not let through
            raise RuntimeError(f"task {self._task.name!r} raised {error!r}") from error

    def _left_by(self, error: BaseException) -> FlowError:
        if isinstance(error, SystemExit):
            return FlowError(
                f"task {self._task.name!r} called sys.exit({error.code!r}); let it return, or raise"
            )
        return FlowError(f"task {self._task.name!r} was left by {type(error).__name__}: {error}")

    def _check(self, item: TaskDataItem, context: ExecutionContext, says: str) -> None:
        if item.key not in context:
            raise FlowError(
                f"task {self._task.name!r} {says} {item.key!r}, which is not in the context"
            )
        value = context[item.key]
        if not item.accepts(value):
            raise FlowError(
                f"task {self._task.name!r} {says} {item.key!r} as {item.type_name}, and it is of "
                f"type {type(value).__qualname__}"
            )

    def _added(self, before: ExecutionContext, found: Any, types: Types) -> dict[str, Any]:
        """Return the entries that a task has added.

        :raises FlowError: when it returned no context, or changed an entry.
        """
        if not isinstance(found, ExecutionContext):
            raise FlowError(
                f"task {self._task.name!r} returned {_brief(found)}; it is to return an "
                "ExecutionContext, for instance a copy of its own with new entries"
            )
        for key, value in found.items():
            if key in before and not is_same(before[key], value, types):
                raise FlowError(
                    f"task {self._task.name!r} changed the entry {key!r}, which was there before: "
                    "an entry is set once, so give what is new another name"
                )
        return {key: value for key, value in found.items() if key not in before}

    def __repr__(self) -> str:
        return f"<Step {self.__name__}>"


def _own(value: Any) -> Any:
    """Return a copy, which the task does not have; of what can be stored there is always one."""
    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001 - whoever stores it says what is wrong with it
        return value


def _entries_of(obj: Any) -> MutableMapping[str, Any]:
    if not isinstance(obj, MutableMapping):
        raise FlowError(
            f"the token of a flow is a dictionary of its context's entries, not {_brief(obj)}"
        )
    return obj


def _types_of(eng: Any) -> Types:
    """Return what can be stored where a run is kept, or of a run in memory, could be."""
    store = getattr(eng.recorder, "store", None)
    return Types() if store is None else store.types


def _brief(found: object) -> str:
    return "None" if found is None else f"an object of type {type(found).__qualname__}"
