"""Branches that nobody waits for any more, because their token was taken elsewhere.

They are done: nothing in them is to be run or decided any more, and nothing of them comes into the
token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, null, select, update

from wfengine.errors import DamagedDataError
from wfengine.signals import TokenOutcome
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.branches import RUN
from wfengine.store.serialization import text_of
from wfengine.store.views import plain_of

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["abandon", "abandon_branches", "branches_in", "without_branches"]

FRAMES, BRANCHES = "frames", "branches"


def without_branches(memory: str | None, row: str) -> str | None:
    """Return what patterns remembered, without what they did of their branches.

    :param memory: as stored; so is what is returned.
    :param row: where it is stored.
    :raises DamagedDataError: naming the row; so for the others.
    """
    if memory is None:
        return None
    found, frames = _frames(memory, row)
    kept = [frame for frame in frames if BRANCHES not in frame and RUN not in frame]
    return text_of({**found, FRAMES: kept}) if kept else None


def branches_in(memory: str | None, row: str) -> set[str]:
    """Return the uuids of the branches' runs that patterns remembered."""
    frames = [] if memory is None else _frames(memory, row)[1]
    inside = [each for frame in frames for each in (frame, *frame.get(BRANCHES, ()))]
    return {frame[RUN] for frame in inside if RUN in frame}


def _frames(memory: str, row: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    found = plain_of(memory, row)
    frames = found.get(FRAMES) if isinstance(found, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise DamagedDataError("what patterns remembered is no list of frames", row=row)
    return found, frames


def abandon_branches(
    store: Store, connection: Connection, run_id: int, token_id: int, step: int, uuids: set[str]
) -> None:
    """Give up the branches that a token has begun in a step or later, and others by their uuid."""
    table = store.models.workflow.__table__
    rows = connection.execute(
        select(table.c.id, table.c.uuid, table.c.branch).where(
            table.c.parent_id == run_id, table.c.parent_object_id == token_id
        )
    ).all()
    found = [row.id for row in rows if row.uuid in uuids or _begun_in(row.branch) >= step]
    abandon(store, connection, found)


def abandon(store: Store, connection: Connection, found: list[int]) -> None:
    """Give up branches, by their ids, with all that they have begun."""
    table = store.models.workflow.__table__
    if found:
        connection.execute(
            update(table).where(table.c.id.in_(found)).values(parent_object_id=null())
        )
    while found:
        _finish(store, connection, found)
        inside = select(table.c.id).where(table.c.parent_id.in_(found))
        found = list(connection.execute(inside).scalars())


def _begun_in(branch: Any) -> int:
    """Return the step in which a branch was begun: its name has the number of those before it."""
    parts = str(branch).split(".")
    return int(parts[1]) + 1 if len(parts) == 3 and parts[1].isdecimal() else 0


def _finish(store: Store, connection: Connection, run_ids: list[int]) -> None:
    """Write that runs are done, and their tokens skipped."""
    run, token = store.models.workflow.__table__, store.models.object.__table__
    done = WorkflowStatus.COMPLETED.name
    connection.execute(
        update(run).where(run.c.id.in_(run_ids), run.c.status != done).values(status=done)
    )
    connection.execute(
        update(token)
        .where(token.c.workflow_id.in_(run_ids), token.c.status != ObjectStatus.COMPLETED.name)
        .values(
            status=ObjectStatus.COMPLETED.name,
            outcome=TokenOutcome.SKIPPED.value,
            since=store.clock(),
        )
    )
