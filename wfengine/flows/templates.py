"""Templates: what flows of one kind consist of."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from math import inf
from typing import Any, Self

from attrs import frozen

from wfengine.callbacks import Definition, clean
from wfengine.definitions.registry import check_name
from wfengine.definitions.styles import Runs
from wfengine.errors import WorkflowDefinitionError
from wfengine.flows.attempts import Attempts, Step
from wfengine.flows.context import ExecutionContext
from wfengine.flows.errors import FlowError
from wfengine.flows.status import STYLE
from wfengine.flows.tasks import Task, TaskDataItem

__all__ = ["FlowTemplate"]


@frozen
class _Provider:
    """Who provides an entry of the context."""

    name: str
    item: TaskDataItem


class FlowTemplate:
    """The tasks of a flow, in order; the blueprint of which each flow is one execution.

    To the engine it is a flat list of tasks: it can be given wherever a definition can.

    :param name: what its flows are called.
    :param inputs: which entries the context of each flow has from the beginning. Tasks that say
        what they need are checked against it, and so are the contexts.
    :raises FlowError: for a name that cannot be one.

    >>> class Double(Task):
    ...     def run(self, context):
    ...         return ExecutionContext({"doubled": 2 * context.get("n")})
    >>> template = FlowTemplate("doubling").add_task(Double(), retries=2, delay=0.5)
    >>> template
    <FlowTemplate 'doubling': Double>
    """

    def __init__(self, name: str, inputs: Iterable[TaskDataItem] = ()) -> None:
        try:
            self.name = check_name(name)
        except WorkflowDefinitionError as error:
            raise FlowError(error.message) from None
        self._steps: list[Step] = []
        self._tasks: list[Task] = []
        self._inputs = _as_items(inputs, f"inputs of flow {self.name!r}")
        self._provided: dict[str, _Provider] = {}
        for item in self._inputs:
            self._provide("the context that a flow begins with", item)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Its tasks, in order."""
        return tuple(self._tasks)

    @property
    def inputs(self) -> tuple[TaskDataItem, ...]:
        """The entries that a flow begins with."""
        return self._inputs

    @property
    def is_awaited(self) -> bool:
        """Whether a task has to be awaited: a coroutine function, or one that may take so long."""
        return any(step.is_awaited for step in self._steps)

    def add_task(
        self,
        task: Task,
        *,
        retries: int = 0,
        delay: float = 0.0,
        backoff: float = 1.0,
        timeout: float | None = None,
    ) -> Self:
        """Put a task at the end, and return the template.

        :param retries: how many times to try again after the first failure.
        :param delay: seconds to wait before the second attempt.
        :param backoff: the factor by which the delay grows from attempt to attempt.
        :param timeout: seconds that an attempt may take.
        :raises FlowError: for what is no task; for an input that nothing before it provides, and
            an output that is provided already; for numbers that cannot be. Nothing is added then.
        """
        if not isinstance(task, Task):
            advice = ": give an instance" if isinstance(task, type) else ""
            raise FlowError(f"a flow is made of Tasks, not of {reprlib.repr(task)}{advice}")
        if not isinstance(task.name, str) or not task.name:
            raise FlowError(f"the name of a task is a text, not {task.name!r}")
        attempts = _attempts(task, retries, delay, backoff, timeout)
        of = f"task {task.name!r} of flow {self.name!r}"
        inputs = _as_items(task.inputs, f"inputs() of {of}")
        outputs = _as_items(task.outputs, f"outputs() of {of}")
        for item in inputs:
            self._check_input(task.name, item)
        for item in outputs:
            self._check_output(task.name, item)
        for item in outputs:
            self._provide(task.name, item)
        self._tasks.append(task)
        self._steps.append(Step(task, attempts))
        return self

    def _check_input(self, task: str, item: TaskDataItem) -> None:
        provider = self._provided.get(item.key)
        if provider is None:
            raise FlowError(
                f"task {task!r} of flow {self.name!r} needs {item.key!r}, which no task before it "
                "provides: add that first, or name it in FlowTemplate(..., inputs=[...])"
            )
        if not item.takes(provider.item):
            raise FlowError(
                f"task {task!r} of flow {self.name!r} needs {item.key!r} as {item.type_name}, and "
                f"{provider.name!r} provides it as {provider.item.type_name}"
            )

    def _check_output(self, task: str, item: TaskDataItem) -> None:
        provider = self._provided.get(item.key)
        if provider is not None:
            raise FlowError(
                f"task {task!r} of flow {self.name!r} provides {item.key!r}, which "
                f"{provider.name!r} provides already: give one of them another name"
            )

    def _provide(self, name: str, item: TaskDataItem) -> None:
        self._check_output(name, item)
        self._provided[item.key] = _Provider(name, item)

    def check_context(self, context: ExecutionContext) -> None:
        """Refuse a context that a flow cannot begin with.

        :raises FlowError: naming the entry that is missing, of another type, or provided by a
            task.
        """
        for item in self._inputs:
            if item.key not in context:
                raise FlowError(
                    f"flow {self.name!r} needs {item.key!r} ({item.type_name}) in its context"
                )
            if not item.accepts(context[item.key]):
                raise FlowError(
                    f"flow {self.name!r} needs {item.key!r} as {item.type_name}, and it is of type "
                    f"{type(context[item.key]).__qualname__}"
                )
        for key in context:
            provider = self._provided.get(key)
            if provider is not None and provider.item not in self._inputs:
                raise FlowError(
                    f"flow {self.name!r} cannot begin with {key!r} in its context: its task "
                    f"{provider.name!r} provides that"
                )

    @property
    def definition(self) -> Definition:
        """What the engine runs: a flat list of its tasks.

        :raises WorkflowDefinitionError: when there are none.
        """
        if not self._steps:
            raise WorkflowDefinitionError(
                f"flow {self.name!r} has no tasks: add some with add_task(...)"
            )
        return clean(self._steps)

    def __wfengine_definition__(self) -> Definition:
        """Return the definition, for whoever takes one; see :mod:`wfengine.definitions.styles`."""
        return self.definition

    def __wfengine_runs__(self) -> Runs:
        """Return by what the runs are known that are its flows."""
        return Runs(STYLE, self.name.__eq__)

    def __repr__(self) -> str:
        names = ", ".join(task.name for task in self._tasks)
        return f"<FlowTemplate {self.name!r}: {names or 'no tasks'}>"


def _as_items(found: Any, what: str) -> tuple[TaskDataItem, ...]:
    """Return items, or those that a method returns."""
    items = found() if callable(found) else found
    if not isinstance(items, Iterable):
        raise FlowError(f"{what}: a list of TaskDataItems, not {reprlib.repr(items)}")
    every = tuple(items)
    for item in every:
        if not isinstance(item, TaskDataItem):
            raise FlowError(f"{what}: each is a TaskDataItem, not {reprlib.repr(item)}")
    return every


def _attempts(task: Task, retries: int, delay: float, backoff: float, timeout: Any) -> Attempts:
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise FlowError(f"task {task.name!r}: retries is a whole number from 0 on, not {retries!r}")
    _check_number(task, "delay", delay)
    _check_number(task, "backoff", backoff)
    if timeout is not None:
        _check_number(task, "timeout", timeout)
        if not timeout:
            raise FlowError(f"task {task.name!r}: timeout is more than 0, or None for no limit")
    return Attempts(retries, delay, backoff, timeout)


def _check_number(task: Task, what: str, number: Any) -> None:
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not 0 <= number < inf:
        raise FlowError(f"task {task.name!r}: {what} is a number from 0 on, not {number!r}")
