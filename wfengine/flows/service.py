"""The service: what may be done with flows, and what they are asked."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

from wfengine.flows.context import ExecutionContext
from wfengine.flows.errors import FlowError
from wfengine.flows.executions import FlowExecution, TaskExecution
from wfengine.flows.repository import FlowRepository, PersistenceMode
from wfengine.flows.status import FlowStatus
from wfengine.flows.templates import FlowTemplate
from wfengine.store import Store

__all__ = ["FlowService"]

Moment = datetime | float | None


class FlowService:
    """Makes flows, changes their status as it may change, and tells about them.

    :param repository: or where flows are kept: a :class:`PersistenceMode`, a
        :class:`~wfengine.store.Store` or the URL of one.
    """

    def __init__(
        self, repository: FlowRepository | PersistenceMode | Store | str = PersistenceMode.TRANSIENT
    ) -> None:
        self._is_own = not isinstance(repository, FlowRepository)
        self.repository = (
            repository if isinstance(repository, FlowRepository) else FlowRepository(repository)
        )

    @property
    def store(self) -> Store:
        """The store that the flows are in."""
        return self.repository.store

    def create_flow_execution(
        self, template: FlowTemplate, context: Mapping[str, Any] | None = None
    ) -> FlowExecution:
        """Make a flow that is CREATED: it is run when somebody has scheduled it.

        :param context: an :class:`ExecutionContext` or a dictionary.
        :raises FlowError: for a context that the flow cannot begin with.
        :raises NotStorableError: naming the entry of the context and its type.
        """
        return self.repository.add(template, _checked(template, context), None)

    def schedule_flow_execution(
        self,
        template: FlowTemplate,
        context: Mapping[str, Any] | None = None,
        not_before: Moment = None,
    ) -> FlowExecution:
        """Make a flow that is SCHEDULED.

        :param not_before: when it may be run: aware, or seconds since 1970; by default at once.
        """
        due = self._seconds(not_before)
        return self.repository.add(template, _checked(template, context), due)

    def get_flow_execution(self, flow_id: str) -> FlowExecution:
        """Return a flow.

        :raises UnknownFlowError: when there is none.
        """
        return self.repository.get(flow_id)

    def get_flow_executions(
        self,
        status: FlowStatus | None = None,
        *,
        name: str | None = None,
        since: Moment = None,
        until: Moment = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[FlowExecution]:
        """Return flows, in the order in which they were created.

        :param name: only those of the template of this name.
        :param since: only those that were created then or later.
        :param until: only those that were created before.
        :param limit: how many at most.
        """
        if status is not None and not isinstance(status, FlowStatus):
            raise FlowError(f"the status of a flow is a FlowStatus, not {status!r}")
        if name is not None and not isinstance(name, str):
            raise FlowError(f"the name of a flow's template is a text, not {name!r}")
        return self.repository.find(
            status, name=name, since=since, until=until, offset=offset, limit=limit
        )

    def update_flow_status(
        self, flow_id: str, status: FlowStatus, not_before: Moment = None
    ) -> FlowExecution:
        """Give a flow another status; the runner does so by running it.

        :param not_before: with SCHEDULED and RESCHEDULED, when it may be run.
        :raises FlowStatusError: when the status may not follow the one it has, naming both; or
            when somebody runs the flow.
        """
        return self.repository.move(flow_id, status, self._seconds(not_before))

    def get_flow_task_execution_history(self, flow_id: str) -> list[TaskExecution]:
        """Return what was done in a flow: for each attempt at a task its beginning and its end."""
        return self.repository.history(flow_id)

    def _seconds(self, moment: Moment) -> float:
        """Return a time as seconds since 1970; of None, now."""
        if moment is None:
            return self.store.clock()
        if isinstance(moment, datetime) and moment.tzinfo is None:
            raise FlowError(f"a time has a time zone, and {moment} has none")
        if isinstance(moment, bool) or not isinstance(moment, int | float | datetime):
            raise FlowError(f"a time is a datetime or seconds since 1970, not {moment!r}")
        seconds = moment.timestamp() if isinstance(moment, datetime) else moment
        try:
            datetime.fromtimestamp(seconds, UTC)
        except (OverflowError, OSError, ValueError):
            raise FlowError(
                f"a time is one in the years 1 to 9999 of UTC, and {reprlib.repr(moment)} is none; "
                "a flow that is not to be run yet is created with create_flow_execution(...)"
            ) from None
        return float(seconds)

    def close(self) -> None:
        """Close the repository, unless it was handed in."""
        if self._is_own:
            self.repository.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _checked(template: Any, context: Any) -> ExecutionContext:
    if not isinstance(template, FlowTemplate):
        raise FlowError(f"a flow is made of a FlowTemplate, not of {template!r}")
    if context is not None and not isinstance(context, Mapping):
        raise FlowError(
            "a flow begins with an ExecutionContext or a dictionary, not with an object of type "
            f"{type(context).__qualname__}"
        )
    begins_with = ExecutionContext(context)
    template.check_context(begins_with)
    return begins_with
