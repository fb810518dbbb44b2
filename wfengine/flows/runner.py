"""The runner: knows templates, and runs the flows whose time has come."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from itertools import islice
from typing import Any, Self

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import (
    DamagedDataError,
    LeaseHeldError,
    LeaseLostError,
    PositionError,
    UnknownRunError,
    WorkflowDefinitionError,
    WorkflowObjectStatusError,
)
from wfengine.flows.errors import FlowError
from wfengine.flows.executions import FlowExecution
from wfengine.flows.repository import FlowRepository, PersistenceMode
from wfengine.flows.service import FlowService
from wfengine.flows.status import STORED_AS, STYLE, FlowStatus
from wfengine.flows.templates import FlowTemplate
from wfengine.interpreter import LoopIsRunning, is_in_loop
from wfengine.store import Store, scheduling
from wfengine.store.control import REFUSED

__all__ = ["FlowRunner"]

log = logging.getLogger("wfengine.flows")

WAITING = (FlowStatus.SCHEDULED, FlowStatus.RESCHEDULED)

REASONS = (
    DamagedDataError,
    PositionError,
    WorkflowDefinitionError,
    WorkflowObjectStatusError,
)
"""Why a flow cannot be begun, now or later, unless somebody does something about it."""


class FlowRunner:
    """Schedules flows of the templates that it knows, and runs them.

    Any number of runners, in any number of processes, may work on one store: a flow is run by one.

    :param service: or where flows are kept: a :class:`PersistenceMode`, a
        :class:`~wfengine.store.Store` or the URL of one.

    >>> from wfengine.flows import ExecutionContext, Task
    >>> class Double(Task):
    ...     def run(self, context):
    ...         return ExecutionContext({"doubled": 2 * context.get("n")})
    >>> with FlowRunner() as runner:
    ...     runner.register_flow_template(FlowTemplate("doubling").add_task(Double()))
    ...     flow_id = runner.schedule_flow("doubling", {"n": 21})
    ...     flow = runner.run_flow(FlowStatus.SCHEDULED)
    ...     flow.status.name, flow.context.get("doubled")
    ('SUCCEEDED', 42)
    """

    def __init__(
        self,
        service: FlowService
        | FlowRepository
        | PersistenceMode
        | Store
        | str = PersistenceMode.TRANSIENT,
    ) -> None:
        self._is_own = not isinstance(service, FlowService)
        self.service = service if isinstance(service, FlowService) else FlowService(service)
        self._templates: dict[str, FlowTemplate] = {}

    @property
    def _store(self) -> Store:
        return self.service.store

    # Templates

    def register_flow_template(self, template: FlowTemplate) -> None:
        """Have the flows of a template run by this runner, as long as it lives.

        :raises FlowError: when there is another of that name, or it has no tasks.
        """
        if not isinstance(template, FlowTemplate):
            raise FlowError(f"a FlowTemplate is registered, not {template!r}")
        known = self._templates.get(template.name)
        if known is not None and known is not template:
            raise FlowError(
                f"there is another template {template.name!r}: give one of them another name"
            )
        if not template.tasks:
            raise FlowError(f"flow {template.name!r} has no tasks: add some with add_task(...)")
        self._templates[template.name] = template

    def get_flow_template(self, name: str) -> FlowTemplate:
        """Return the template of a name.

        :raises FlowError: when none of that name is registered, with those that may be meant.
        """
        found = self._templates.get(name)
        if found is None:
            near = get_close_matches(str(name), self._templates) or list(self._templates)
            meant = f"there are: {', '.join(map(repr, near))}" if near else "there are none"
            raise FlowError(
                f"no template {name!r} is registered with this runner; {meant}. "
                "register_flow_template(template) registers one"
            )
        return found

    # Scheduling

    def schedule_flow(
        self,
        name: str | FlowTemplate,
        context: Mapping[str, Any] | None = None,
        not_before: datetime | float | None = None,
    ) -> str:
        """Have a flow run when its time has come; return its id.

        :param name: of its template, which is registered; or the template, which is then.
        :param context: what it begins with: an :class:`ExecutionContext` or a dictionary.
        :param not_before: when it may be run: aware, or seconds since 1970; by default at once.
        :raises FlowError: for an unknown template, or a context that the flow cannot begin with.
        """
        if isinstance(name, FlowTemplate):
            self.register_flow_template(name)
            name = name.name
        template = self.get_flow_template(name)
        return self.service.schedule_flow_execution(template, context, not_before).id

    def reschedule_flow_execution(
        self, flow_id: str, not_before: datetime | float | None = None
    ) -> FlowExecution:
        """Have a flow that has failed go on, with the context it had, at the task that failed.

        :param not_before: when it may be run; by default at once.
        :raises FlowStatusError: when it has not failed.
        """
        return self.service.update_flow_status(flow_id, FlowStatus.RESCHEDULED, not_before)

    # Running

    def run_flow(self, status: FlowStatus = FlowStatus.SCHEDULED) -> FlowExecution | None:
        """Run the flow of this status that has been due for longest; return it as it is then.

        A task that fails is no error here: the flow is FAILED then, and its history says why.

        :param status: SCHEDULED or RESCHEDULED.
        :returns: None when no flow is due.
        """
        if status not in WAITING:
            raise FlowError(f"a flow is run that is SCHEDULED or RESCHEDULED, not {status!r}")
        return next(self._run_each([status]), None)

    def re_run_flow(self) -> FlowExecution | None:
        """Run a flow that was rescheduled; as ``run_flow(FlowStatus.RESCHEDULED)``."""
        return self.run_flow(FlowStatus.RESCHEDULED)

    def run_due(self, limit: int | None = None) -> list[FlowExecution]:
        """Run all flows that are due by now, one after the other; return them as they are then.

        Then come those whose runner died: they go on with the task that it was at. One that kills
        its runner does not keep the others from being run.

        :param limit: run so many at most.
        """
        is_number = isinstance(limit, int) and not isinstance(limit, bool)
        if limit is not None and not (is_number and limit >= 0):
            raise FlowError(f"limit is a whole number from 0 on, or None, not {limit!r}")
        done = list(islice(self._run_each(WAITING), limit))
        left = None if limit is None else limit - len(done)
        return [*done, *self._recover(left)]

    def _recover(self, limit: int | None) -> list[FlowExecution]:
        """Go on with flows whose runner died."""
        found = self._store.recover(
            names=list(self._templates), style=STYLE, definitions=self._templates, limit=limit
        )
        for each in found:
            if each.result == REFUSED:
                log.error("flow %s of %r cannot go on: %s", each.uuid, each.name, each.error)
        recovered = [each.uuid for each in found if each.result != REFUSED]
        return [self.service.get_flow_execution(uuid) for uuid in recovered]

    def _run_each(self, statuses: Collection[FlowStatus]) -> Iterator[FlowExecution]:
        """Run flows of these statuses that are due, one at a time, and yield each as it is then."""
        stored = {each for status in statuses for each in STORED_AS[status].statuses}
        found = scheduling.due_runs(
            self._store, statuses=stored, names=list(self._templates), style=STYLE
        )
        for flow_id, name in found:
            flow = self._run(flow_id, self._templates[name])
            if flow is not None:
                yield flow

    def _run(self, flow_id: str, template: FlowTemplate) -> FlowExecution | None:
        """Run a flow, and return it as it is then; None if others were faster.

        :raises FlowError: where a task has to be awaited and cannot be.
        """
        if template.is_awaited and is_in_loop():
            raise _cannot_await(template.name)
        try:
            eng = DbWorkflowEngine.from_uuid(flow_id, store=self._store, definition=template)
            plan = scheduling.take_due(eng)
        except (LeaseHeldError, LeaseLostError, UnknownRunError) as error:
            log.info("flow %s is run by others: %s", flow_id, error)
            return None
        except REASONS as error:
            return self._refused(flow_id, error)
        return None if plan is None else self._go_on(eng, plan)

    def _go_on(self, eng: DbWorkflowEngine, plan: Any) -> FlowExecution | None:
        """Run a flow that was taken, and return it; None if others have taken it meanwhile.

        What its tasks have raised is in the journal.

        :raises Exception: that, where the journal does not tell of it; and where a task has to be
            awaited and cannot be.
        """
        try:
            scheduling.run_taken(eng, plan)
        except Exception as error:
            flow = self.service.get_flow_execution(eng.uuid)
            if isinstance(error.__context__, LoopIsRunning):
                raise _cannot_await(flow.name, "; and reschedule the flow") from error
            if flow.status is FlowStatus.RUNNING and isinstance(error, LeaseLostError):
                log.info("flow %s is run by others: %s", flow.id, error)
                return None
            if flow.status is FlowStatus.RUNNING:
                raise
            log.info("flow %s of %r has failed: %s", flow.id, flow.name, flow.error)
            return flow
        return self.service.get_flow_execution(eng.uuid)

    def _refused(self, flow_id: str, error: Exception) -> FlowExecution | None:
        """Return the flow, which is FAILED because it cannot be begun; None if others have it."""
        if not scheduling.refuse(self._store, self._store.run(flow_id), error):
            return None
        flow = self.service.get_flow_execution(flow_id)
        log.info("flow %s of %r has failed: %s", flow.id, flow.name, flow.error)
        return flow

    def close(self) -> None:
        """Close the service, unless it was handed in."""
        if self._is_own:
            self.service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _cannot_await(name: str, besides: str = "") -> FlowError:
    return FlowError(
        f"a task of flow {name!r} has to be awaited, and the runner was called inside a running "
        "event loop: call it outside, or in a thread, as with await "
        f"asyncio.to_thread(runner.run_due){besides}"
    )
