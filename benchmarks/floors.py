"""The floor: what wfengine writes for a checkpoint, written by hand through the plain driver.

The same rows of the same tables with the same values, in one transaction: an UPDATE of the run, an
UPDATE of the token, and an INSERT into its history for each task. Nothing is decided, looked up or
formatted while the time runs.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import time
from typing import Any
from uuid import uuid4

from durable_workloads import TOKEN
from sqlalchemy import make_url

from wfengine.store import Store, Workflow, WorkflowObject

RUN = ("token_pos", "checkpoints")
TOKEN_MOVES = ("callback_pos", "visits", "memory", "steps", "attempts")
TOKEN_LEAVES = (*TOKEN_MOVES, "status", "outcome", "since")
STEP = (
    "object_id",
    "step",
    "event",
    "path",
    "name",
    "visit",
    "attempt",
    "status",
    "started",
    "finished",
    "outcome",
    "inverse",
    "memory",
)
EFFECT = "benchmark_effect"

Values = tuple[Any, ...]


@dataclass(frozen=True)
class Rows:
    """The values of one checkpoint, each in the order of its statement's placeholders.

    :param has_left: whether the token gets another status.
    :param effect: what the task itself writes, if it does.
    """

    run: Values
    tokens: list[Values]
    steps: list[Values]
    has_left: bool = False
    effect: Values | None = None


@dataclass(frozen=True)
class Floor:
    """A connection with the statements of a checkpoint in its driver's words.

    :param begin: begins a transaction that is going to write.
    :param at_once: the three statements as one, where the database has such.
    """

    connection: Any
    begin: str
    run: str
    moves: str
    leaves: str
    step: str
    effect: str
    at_once: str | None = None

    def write(self, checkpoints: Iterable[Rows]) -> None:
        """Write each checkpoint in a transaction of its own."""
        cursor = self.connection.cursor()
        execute, executemany = cursor.execute, cursor.executemany
        for rows in checkpoints:
            execute(self.begin)
            if rows.effect is not None:
                execute(self.effect, rows.effect)
            execute(self.run, rows.run)
            token = self.leaves if rows.has_left else self.moves
            for values in rows.tokens:
                execute(token, values)
            if len(rows.steps) == 1:
                execute(self.step, rows.steps[0])
            else:
                executemany(self.step, rows.steps)
            execute("COMMIT")

    def write_in_three_trips(self, checkpoints: Iterable[Rows]) -> None:
        """The same with the three statements sent as one, so that a checkpoint takes three."""
        cursor = self.connection.cursor()
        for rows in checkpoints:
            cursor.execute(self.begin)
            cursor.execute(self.at_once, (*rows.run, *rows.tokens[0], *rows.steps[0]))
            cursor.execute("COMMIT")


@contextmanager
def floor(url: str, synchronous: str = "FULL") -> Iterator[Floor]:
    """Yield a floor for a database."""
    backend = make_url(url).get_backend_name()
    mark = "?" if backend == "sqlite" else "%s"
    connection = _connect(url, synchronous)
    run = _update("workflow", RUN, mark)
    moves = _update("workflow_object", TOKEN_MOVES, mark)
    step = _insert("task_execution", STEP, mark)
    try:
        yield Floor(
            connection,
            begin="BEGIN IMMEDIATE" if backend == "sqlite" else "BEGIN",
            run=run,
            moves=moves,
            leaves=_update("workflow_object", TOKEN_LEAVES, mark),
            step=step,
            effect=_insert(EFFECT, ("n",), mark),
            at_once=f"WITH run AS ({run}), token AS ({moves}) {step}"
            if backend == "postgresql"
            else None,
        )
    finally:
        connection.close()


def _connect(url: str, synchronous: str) -> Any:
    where = make_url(url)
    if where.get_backend_name() == "sqlite":
        connection = sqlite3.connect(where.database, isolation_level=None)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection
    if where.get_backend_name() == "postgresql":
        import psycopg

        text = where.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(text, autocommit=True)
    import pymysql

    return pymysql.connect(
        host=where.host,
        port=where.port or 3306,
        user=where.username,
        password=where.password or "",
        database=where.database,
        charset="utf8mb4",
        autocommit=True,
    )


def _update(table: str, columns: tuple[str, ...], mark: str) -> str:
    changes = ", ".join(f"{column} = {mark}" for column in columns)
    return f"UPDATE {table} SET {changes} WHERE id = {mark}"  # noqa: S608 - of constants


def _insert(table: str, columns: tuple[str, ...], mark: str) -> str:
    names, marks = ", ".join(columns), ", ".join([mark] * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - of constants


def new_run(store: Store, tokens: int) -> tuple[int, list[int]]:
    """Add a run whose tokens are about to start; return its id and theirs."""
    now = time()
    objects = [
        WorkflowObject(
            token_pos=index,
            data=TOKEN,
            status="RUNNING",
            callback_pos="0",
            visits="0",
            steps=0,
            attempts=0,
            since=now,
        )
        for index in range(tokens)
    ]
    run = Workflow(
        uuid=str(uuid4()),
        name="floor",
        status="RUNNING",
        token_pos=0,
        token_count=tokens,
        checkpoints=0,
        extra_data={},
        options={},
        lease_owner="floor",
        lease_token=1,
        lease_expires=now + 60,
        created=now,
        objects=objects,
    )
    with store.session() as session:
        session.add(run)
        session.flush()
        return run.id, [token.id for token in objects]


def after_each_task(run_id: int, token_id: int, tasks: int, has_effect: bool = False) -> list[Rows]:
    """Return the checkpoints of a token whose run is written after each task."""
    return [
        Rows(
            run=(0, number + 1, run_id),
            tokens=[(*_place(number + 1), token_id)],
            steps=[_step(token_id, number)],
            effect=(number,) if has_effect else None,
        )
        for number in range(tasks)
    ]


def after_tokens(run_id: int, token_ids: list[int], tasks: int, together: int) -> list[Rows]:
    """Return the checkpoints of a run that is written after every so many tokens."""
    left = ("COMPLETED", "completed", time())
    groups = [token_ids[start : start + together] for start in range(0, len(token_ids), together)]
    return [
        Rows(
            run=(number * together, number + 1, run_id),
            tokens=[(*_place(tasks), *left, token_id) for token_id in group],
            steps=[_step(token_id, step) for token_id in group for step in range(tasks)],
            has_left=True,
        )
        for number, group in enumerate(groups)
    ]


def _place(done: int) -> Values:
    return (str(done), str(done), None, done, 0)


def _step(token_id: int, number: int) -> Values:
    done = (number, 1, "done", time(), time(), None, None, None)
    return (token_id, number + 1, "task", str(number), "noop", *done)
