"""Where the time of a run goes: by task, and by token, over its latest steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen
from sqlalchemy import Double, select, type_coerce

from wfengine.errors import DamagedDataError
from wfengine.store.history import TASK
from wfengine.store.live import branches_of, place_in
from wfengine.store.records import RunRecord
from wfengine.store.serialization.faults import check_number
from wfengine.store.steps import BROKEN_OFF, FAILED, RETRIED

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from wfengine.store.store import Store

__all__ = ["TaskTime", "TokenTime", "slowest", "timings"]

BATCH = 500
"""How many tokens a query asks for the steps of."""

SLOWEST = 5
"""How many tokens are named for a task."""


@frozen
class TaskTime:
    """How long one task took, over some steps of a run.

    :param branch: for a task of a branch, where that begins and its number, as the outline of the
        definition has it: ``3/1``; else empty.
    :param path: its position; of a task of a branch, the one in the branch.
    :param count: how often it was run, failures and repetitions included.
    :param total: seconds in all, and so for ``mean`` and ``max``.
    :param share: of the time of all tasks, from 0 to 1. A task that waits for branches takes as
        long as they do, which are counted as well.
    :param failures: how many of these times it failed, or was tried again.
    :param slowest: the ids of the tokens with which it took longest.
    """

    branch: str
    path: str
    name: str
    count: int
    total: float
    mean: float
    max: float
    share: float
    failures: int
    slowest: tuple[int, ...]

    @property
    def place(self) -> str:
        """Its place, as the outline and :func:`~wfengine.store.live.live_state` name it."""
        return place_in(self.branch, self.path)


@frozen
class TokenTime:
    """How long the tasks took that were run with one token.

    :param token_id: the token, of the run or of a branch.
    :param seconds: in all.
    :param longest: the name of the task that took longest.
    """

    token_id: int
    token_pos: int
    seconds: float
    steps: int
    longest: str


def timings(store: Store, run: RunRecord, last: int = 10_000) -> list[TaskTime]:
    """Return how long each task of a run and its branches took, the one with most time first.

    :param last: of the steps of the last tokens that the run has come to, so many are looked at,
        and so many of branches.
    """
    found: dict[tuple[str, str, str], _Tally] = {}
    steps = list(_steps(store, run, last))
    branches = branches_of(store, run, {row.workflow_id for row in steps})
    for row in steps:
        branch = branches.get(row.workflow_id)
        if branch is not None:  # it was not deleted meanwhile
            found.setdefault((branch, row.path, row.name), _Tally()).add(row)
    everything = sum(tally.total for tally in found.values())
    tasks = [
        TaskTime(
            *task,
            tally.count,
            tally.total,
            tally.total / tally.count,
            tally.max,
            tally.total / everything if everything else 0.0,
            tally.failures,
            tuple(nlargest(SLOWEST, tally.tokens, key=tally.tokens.__getitem__)),
        )
        for task, tally in found.items()
    ]
    return sorted(tasks, key=lambda task: (-task.total, task.place))


def slowest(store: Store, run: RunRecord, count: int = 10, last: int = 10_000) -> list[TokenTime]:
    """Return the tokens that took longest, over the same steps as :func:`timings`."""
    check_number(count, 0, "count")
    found: dict[int, _OfToken] = {}
    for row in _steps(store, run, last):
        found.setdefault(row.object_id, _OfToken(row.token_pos)).add(row)
    first = nlargest(count, found.items(), key=lambda item: item[1].total)
    return [
        TokenTime(token_id, token.position, token.total, token.steps, token.name)
        for token_id, token in first
    ]


@define
class _Tally:
    """What is known of one task."""

    count: int = 0
    total: float = 0.0
    max: float = 0.0
    failures: int = 0
    tokens: dict[int, float] = field(factory=dict)

    def add(self, row: Any) -> None:
        seconds = _seconds(row)
        self.count += 1
        self.total += seconds
        self.max = max(self.max, seconds)
        self.failures += row.status in (FAILED, RETRIED, BROKEN_OFF)
        self.tokens[row.object_id] = max(self.tokens.get(row.object_id, 0.0), seconds)


@define
class _OfToken:
    """What is known of one token."""

    position: int
    total: float = 0.0
    steps: int = 0
    name: str = ""
    longest: float = -1.0

    def add(self, row: Any) -> None:
        seconds = _seconds(row)
        self.total += seconds
        self.steps += 1
        if seconds > self.longest:
            self.longest, self.name = seconds, row.name


def _seconds(row: Any) -> float:
    try:
        return max(float(row.finished - row.started), 0.0)
    except TypeError:  # no times
        return 0.0


def _steps(store: Store, run: RunRecord, last: int) -> Iterator[Any]:
    """Yield tasks that were run, at most so many of the run, and as many of its branches."""
    check_number(last, 1, "last")
    of_run, token = store.models.workflow.__table__, store.models.object.__table__
    tokens = select(token.c.id, token.c.steps)
    own = tokens.where(token.c.workflow_id == run.id, token.c.token_pos <= run.token_pos)
    branches = select(of_run.c.id).where(of_run.c.root_id == run.id)
    latest = branches.order_by(of_run.c.id.desc()).limit(last).subquery()
    inside = tokens.join(latest, latest.c.id == token.c.workflow_id)
    with store.explaining(), store.database.reading() as connection:
        yield from _steps_of(store, connection, own.order_by(token.c.token_pos.desc()), last)
        yield from _steps_of(store, connection, inside.order_by(latest.c.id.desc()), last)


def _steps_of(store: Store, connection: Connection, tokens: Any, left: int) -> Iterator[Any]:
    """Yield tasks that were run with these tokens, the last ones of the token that is too many."""
    whole: list[int] = []
    for token_id, steps in connection.execute(tokens.limit(left)).all():
        if not isinstance(steps, int) or steps < 0:
            said = f"steps is {str(steps)[:40]!r}, and at least 0"
            raise DamagedDataError(said, row=f"workflow_object {token_id}")
        if steps >= left:
            yield from _rows(store, connection, [token_id], steps - left)
            break
        whole.append(token_id)
        left -= steps
    for start in range(0, len(whole), BATCH):
        yield from _rows(store, connection, whole[start : start + BATCH])


def _rows(
    store: Store, connection: Connection, token_ids: list[int], beyond: int = 0
) -> Sequence[Any]:
    token, step = store.models.object.__table__, store.models.execution.__table__
    times = (type_coerce(step.c[name], Double).label(name) for name in ("started", "finished"))
    of_token = (token.c.workflow_id, token.c.token_pos)
    query = (
        select(step.c.object_id, *of_token, step.c.path, step.c.name, step.c.status, *times)
        .join(token, token.c.id == step.c.object_id)
        .where(step.c.object_id.in_(token_ids), step.c.event == TASK, step.c.step > beyond)
    )
    return connection.execute(query).all()
