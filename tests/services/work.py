"""What is run while something breaks: tasks whose effects can be counted afterwards.

It is imported by tests and, as a script beside other scripts, by the processes that they start.
"""

import time
from collections import Counter
from contextlib import suppress
from typing import Any

from sqlalchemy import BigInteger, Integer, String, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import LeaseHeldError, WorkflowObjectStatusError
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store, TaskExecution, Workflow, WorkflowObject

__all__ = [
    "ALL",
    "DEFINITION",
    "DBAPIError",
    "DbWorkflowEngine",
    "Effect",
    "Workflow",
    "WorkflowStatus",
    "assert_exact",
    "begin",
    "finish",
    "go_on",
    "later",
    "tokens",
]

LATER = 1000
"""Seconds: more than any lease lasts."""


class Base(DeclarativeBase):
    """The table of the user's own."""


class Effect(Base):
    """What a task did inside the database; nothing but counting shows that it was done twice."""

    __tablename__ = "services_effect"
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True
    )
    run: Mapped[str] = mapped_column(String(40), index=True)
    token: Mapped[int]
    task: Mapped[str] = mapped_column(String(40))


def note(token: dict[str, Any], eng: Any, task: str, writes: bool = False) -> None:
    """Do a task's work: in the token, and for some tasks in the database."""
    token["seen"].append(task)
    if writes:
        eng.session.add(Effect(run=eng.uuid, token=token["number"], task=task))
        eng.session.flush()


def receive(token, eng):
    note(token, eng, "receive")


def charge(token, eng):
    note(token, eng, "charge", writes=True)


def pick(token, eng):
    note(token, eng, "pick")


def book(token, eng):
    note(token, eng, "book", writes=True)


def ship(token, eng):
    note(token, eng, "ship", writes=True)


def close(token, eng):
    note(token, eng, "close")


DEFINITION = [receive, charge, [pick, book, ship], close]

ALL = ["receive", "charge", "pick", "book", "ship", "close"]
WITH_EFFECTS = ["charge", "book", "ship"]


def tokens(count: int = 2) -> list[dict[str, Any]]:
    """Return the tokens of a run."""
    return [{"number": number, "seen": []} for number in range(count)]


def begin(store: Store, definition: Any = None) -> Any:
    """Return an engine for a new run; the user's own table is there."""
    Base.metadata.create_all(store.database.engine)
    return DbWorkflowEngine.with_name(
        "orders", store=store, definition=DEFINITION if definition is None else definition
    )


def later(url: Any, **options: Any) -> Store:
    """Return a store as it is when all leases of today have ended."""
    return Store(url, clock=lambda: time.time() + LATER, **options)


def go_on(store: Store, uuid: str, count: int = 2) -> None:
    """Do what a user does after a failure: resume, or hand the tokens over again."""
    eng = DbWorkflowEngine.from_uuid(uuid, store=store, definition=DEFINITION)
    if not eng.database_objects:
        eng.process(tokens(count))
    elif eng.status is not WorkflowStatus.COMPLETED:
        eng.resume()


def finish(store: Store, uuid: str, count: int, seconds: float = 30) -> None:
    """Go on with a run as soon as nobody else has it, until it is done."""
    end = time.monotonic() + seconds
    while store.run(uuid).status is not WorkflowStatus.COMPLETED and time.monotonic() < end:
        with suppress(LeaseHeldError, WorkflowObjectStatusError):
            go_on(store, uuid, count)
        time.sleep(0.02)


def assert_exact(store: Store, uuid: str, count: int = 2, of: str = "") -> None:
    """Assert that a run is done, with nothing lost and nothing doubled.

    :param of: what happened to it, for the message.
    """
    run = store.run(uuid)
    assert run.status is WorkflowStatus.COMPLETED, of
    with store.session() as session:
        found = session.scalars(
            select(WorkflowObject)
            .where(WorkflowObject.workflow_id == run.id)
            .order_by(WorkflowObject.token_pos)
        ).all()
        assert [row.data for row in found] == [
            {"number": number, "seen": ALL} for number in range(count)
        ], of
        assert {row.status for row in found} == {ObjectStatus.COMPLETED.name}, of
        steps = session.execute(
            select(WorkflowObject.token_pos, TaskExecution.name)
            .join(WorkflowObject, WorkflowObject.id == TaskExecution.object_id)
            .join(Workflow, Workflow.id == WorkflowObject.workflow_id)
            .where(Workflow.uuid == uuid)
            .where(TaskExecution.status == "done", TaskExecution.event == "task")
            .order_by(WorkflowObject.token_pos, TaskExecution.step)
        ).all()
        assert [tuple(step) for step in steps] == [
            (number, task) for number in range(count) for task in ALL
        ], of
        effects = Counter(
            map(tuple, session.execute(select(Effect.token, Effect.task).where(Effect.run == uuid)))
        )
        assert effects == Counter(
            (number, task) for number in range(count) for task in WITH_EFFECTS
        ), of
