"""Stores that were filled by bulk SQL: with many tokens, many runs, or a long history."""

from dataclasses import dataclass
from time import time
from typing import Any
from uuid import uuid4

from durable_workloads import TOKEN
from sqlalchemy import select, text, update

from wfengine.engine_db import DbWorkflowEngine
from wfengine.store import Store, Workflow, WorkflowObject

NUMBERS = (
    "WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < :count)"
)
OFFSET = 1_000_000_000
"""Added to the ids of filling rows, out of the way of those that the database gives."""

TOKENS = f"""
INSERT INTO workflow_object (workflow_id, token_pos, data, status, outcome, callback_pos, visits,
    steps, attempts, since)
{NUMBERS} SELECT :run, i, :data, :status, :outcome, :path, :path, :steps, 0, :now FROM numbers
"""  # noqa: S608 - of constants
RUNS = f"""
INSERT INTO workflow (id, uuid, name, status, token_pos, token_count, checkpoints, extra_data,
    options, lease_token, created)
{NUMBERS} SELECT {OFFSET} + i, :prefix || i, 'filling', 'COMPLETED', 1, 1, 51, '{{}}', '{{}}', 1,
    :now FROM numbers
"""  # noqa: S608 - of constants
TOKENS_OF_RUNS = f"""
INSERT INTO workflow_object (workflow_id, token_pos, data, status, outcome, callback_pos, visits,
    steps, attempts, since)
{NUMBERS} SELECT {OFFSET} + i, 0, :data, 'COMPLETED', 'completed', '50', '50', 50, 0, :now
    FROM numbers
"""  # noqa: S608 - of constants
HISTORY = f"""
INSERT INTO task_execution (object_id, step, event, path, name, visit, attempt, status, started,
    finished)
{NUMBERS} SELECT :token, i, 'task', '0', 'noop', i, 1, 'done', :now, :now FROM numbers
"""  # noqa: S608 - of constants
DATA = '{"n":1,"name":"Ada Lovelace","done":false}'
DONE = {"status": "COMPLETED", "outcome": "completed", "path": "50", "steps": 50}
WAITING = {"status": "INITIAL", "outcome": None, "path": "0", "steps": 0}


@dataclass(frozen=True)
class Run:
    """A run that has one token more than it was filled with, its first."""

    store: Store
    definition: list[Any]
    uuid: str
    id: int
    token_id: int

    def engine(self) -> DbWorkflowEngine:
        return DbWorkflowEngine.from_uuid(self.uuid, store=self.store, definition=self.definition)

    def put_back(self) -> None:
        """Have the first token stand before its first task, its history as it is."""
        with self.store.session() as session:
            session.execute(
                update(WorkflowObject)
                .where(WorkflowObject.id == self.token_id)
                .values(status="INITIAL", outcome=None, callback_pos="0", visits="0")
            )

    def fill_tokens(self, count: int, **state: Any) -> None:
        """Give the run further tokens."""
        with self.store.session() as session:
            values = {"run": self.id, "count": count, "data": DATA, "now": time(), **state}
            session.execute(text(TOKENS), values)
            session.execute(
                update(Workflow).where(Workflow.id == self.id).values(token_count=count + 1)
            )

    def fill_runs(self, count: int) -> None:
        """Add further runs with a token each."""
        with self.store.session() as session:
            values = {"count": count, "now": time()}
            session.execute(text(RUNS), {**values, "prefix": f"{uuid4().hex[:20]}-"})
            session.execute(text(TOKENS_OF_RUNS), {**values, "data": DATA})

    def fill_history(self, count: int) -> None:
        """Give the first token a past."""
        with self.store.session() as session:
            values = {"token": self.token_id, "count": count, "now": time()}
            session.execute(text(HISTORY), values)
            session.execute(
                update(WorkflowObject)
                .where(WorkflowObject.id == self.token_id)
                .values(steps=count, visits=str(count))
            )


def new_run(store: Store, definition: list[Any]) -> Run:
    """Add a run with one token, which has not begun."""
    eng = DbWorkflowEngine.with_name("growth", store=store, definition=definition)
    with store.session() as session:
        run = session.scalars(select(Workflow).where(Workflow.uuid == eng.uuid)).one()
        run.token_count, run.token_pos = 1, 0  # so that the token can be taken up by itself
        token = WorkflowObject(
            token_pos=0,
            data=TOKEN,
            status="INITIAL",
            callback_pos="0",
            visits="0",
            steps=0,
            attempts=0,
            since=time(),
        )
        run.objects.append(token)
        session.flush()
        return Run(store, definition, eng.uuid, run.id, token.id)
