"""What the tests of steps share."""

import threading
from typing import Any

from sqlalchemy import select

from wfengine.steps import Sequent, StepStatus

SUCCESS, FAILURE = StepStatus.success, StepStatus.failure
READY, ACTIVE, COMPLETE = StepStatus.ready, StepStatus.active, StepStatus.complete

INLINE = {"task_construct": "inline"}


class Log:
    """Notes which step was called in which round, and fails where it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failing: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, *args: Any) -> str:
        call = f"{Sequent.get_step_name()}/{Sequent.get_step_sequence()}"
        with self._lock:
            self.calls.append(call)
        if call in self.failing:
            raise ValueError(f"{call} was told to")
        return call

    def take(self) -> list[str]:
        """Return what was noted since the last time."""
        calls, self.calls = self.calls, []
        return calls


def flow(store: Any = ":memory:", config: Any = None, **options: Any) -> Sequent:
    """Return a flow whose steps are run in this thread, unless the configuration says otherwise."""
    return Sequent("flow", store=store, config={**INLINE, **(config or {})}, **options)


def children(store, uuid):
    """Return the status and the result of each step, by its path and sequence."""
    table = store.models.workflow.__table__
    root = store.run(uuid).id
    with store.session() as session:
        uuids = session.execute(select(table.c.uuid).where(table.c.root_id == root)).scalars()
        found = {}
        for each in list(uuids):
            for token in store.tokens(each):  # there is none yet if its process died just then
                name = f"{token.data['step']}/{token.data['sequence']}"
                found[name] = (store.run(each).status, token.data.get("result"))
        return found
