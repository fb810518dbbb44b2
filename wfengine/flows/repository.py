"""The repository: flows as runs of a store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Self

from wfengine.errors import UnknownRunError
from wfengine.flows.errors import FlowError, FlowStatusError, UnknownFlowError
from wfengine.flows.executions import FlowExecution, TaskExecution, attempts_of
from wfengine.flows.status import STORED_AS, STYLE, FlowStatus, check_move
from wfengine.flows.templates import FlowTemplate
from wfengine.store import Store, scheduling
from wfengine.store.policy import Policy

__all__ = ["FlowRepository", "PersistenceMode"]

DEFAULT_STORE = "sqlite:///runs.db"


class PersistenceMode(Enum):
    """Where flows are kept."""

    TRANSIENT = "transient"  # in a database of their own that is gone when it is closed
    PERSISTENT = "persistent"  # in runs.db in the current folder


class FlowRepository:
    """Flows in a store: each is a run with one token, named after its template.

    :param where: a :class:`PersistenceMode`, or a :class:`~wfengine.store.Store` or the URL of one.
    """

    def __init__(self, where: PersistenceMode | Store | str = PersistenceMode.TRANSIENT) -> None:
        self._is_own = not isinstance(where, Store)
        self.store = _store(where)

    def add(
        self, template: FlowTemplate, context: Mapping[str, Any], due: float | None
    ) -> FlowExecution:
        """Add a flow that nobody has begun.

        :param due: when it is to be run, as seconds since 1970; None for not yet.
        :raises NotStorableError: naming the entry of the context and its type.
        """
        options = {"definition": template.name, "tracebacks": True, **Policy().to_dict()}
        run = self.store.new_run(
            template.name,
            template.definition,
            options,
            tokens=[dict(context)],
            due=due,
            style=STYLE,
        )
        return self.get(run.uuid)

    def get(self, flow_id: str) -> FlowExecution:
        """Return a flow.

        :raises UnknownFlowError: when there is none.
        """
        try:
            run = self.store.summary(flow_id)
        except UnknownRunError as error:
            raise UnknownFlowError(error.message) from None
        if run.style != STYLE:
            raise UnknownFlowError(f"run {run.uuid} is no flow, but one of {run.name!r}")
        return FlowExecution.of(run, self.store)

    def find(
        self,
        status: FlowStatus | None = None,
        *,
        name: str | None = None,
        since: datetime | float | None = None,
        until: datetime | float | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[FlowExecution]:
        """Return flows, in the order in which they were created.

        :param name: of their template.
        :param since: those that were created then or later; aware, or seconds since 1970.
        :param until: those that were created before.
        """
        stored = STORED_AS[status] if status is not None else None
        page = self.store.runs(
            style=STYLE,
            status=stored.statuses if stored else None,
            waits=stored.waits if stored else None,
            name=name,
            since=since,
            until=until,
            sort="created",
            offset=offset,
            limit=limit,
        )
        return [FlowExecution.of(run, self.store) for run in page.items]

    def move(self, flow_id: str, status: FlowStatus, due: float | None = None) -> FlowExecution:
        """Give a flow that nobody runs another status, if that may follow.

        :param due: when it is to be run; by default now. Of no meaning to other statuses.
        :raises FlowStatusError: when the status may not follow, or somebody runs the flow.
        """
        flow = self.get(flow_id)
        check_move(flow.id, flow.status, status)
        to = STORED_AS[status]
        run = self.store.run(flow.id)
        was_waiting = STORED_AS[flow.status].waits
        new = run.status if run.status in to.statuses else to.statuses[0]
        time = (self.store.clock() if due is None else due) if to.waits else None
        if not scheduling.move(self.store, run, new, waited=was_waiting, due=time):
            now = self.get(flow.id)
            raise FlowStatusError(
                f"somebody else runs the flow, or has changed it; it is {now.status.name} now",
                flow.id,
            )
        return self.get(flow.id)

    def history(self, flow_id: str) -> list[TaskExecution]:
        """Return what was done in a flow: for each attempt at a task its beginning and its end."""
        return attempts_of(self.store, self.get(flow_id))

    def close(self) -> None:
        """Close the store, unless it was handed in."""
        if self._is_own:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _store(where: Any) -> Store:
    if isinstance(where, Store):
        return where
    if where is PersistenceMode.TRANSIENT:
        return Store("sqlite://", synchronous="OFF")
    if where is PersistenceMode.PERSISTENT:
        return Store(DEFAULT_STORE)
    if isinstance(where, str):
        return Store(where)
    raise FlowError(
        f"flows are kept in a PersistenceMode, a Store or the URL of one, not {where!r}"
    )
