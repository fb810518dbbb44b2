"""What was done to a token, step by step, and what it was before each step.

Only what is now is stored whole. Each step has the change that leads back over it, so what was
before is found by going back from now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from math import isqrt
from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from sqlalchemy import Double, select, type_coerce

from wfengine.errors import DamagedDataError, WorkflowAPIError
from wfengine.store.changes import Difference, apply, differences
from wfengine.store.records import TokenRecord, columns_of, position_of
from wfengine.store.serialization.faults import shown
from wfengine.store.steps import DOCUMENTS
from wfengine.store.views import moment_of, plain_of

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = [
    "TASK",
    "Step",
    "data_at",
    "find_step",
    "history",
    "last_visit",
    "no_such_step",
    "steps_of",
]

TASK = "task"

COLUMNS = (
    "id",
    "step",
    "event",
    "path",
    "name",
    "visit",
    "attempt",
    "status",
    "outcome",
    "inverse",
    "memory",
)


@frozen(eq=False)
class Step:
    """One step of a token's history.

    :param step: its number, from 1 on.
    :param event: ``task``, or what a person did: ``decide``, ``edit``, ``rewind``, ``move``, or
        ``map``, when the definition had changed.
    :param path: the position of the task, or of the token when a person did something.
    :param visit: the same for each attempt at the same visit.
    :param status: ``done``, ``halted``, ``failed``, ``retried`` or ``broken off``.
    :param memory: what the patterns around the position remembered, as it is stored.
    """

    step: int
    event: str
    path: str
    name: str
    visit: int
    attempt: int
    status: str
    memory: str | None = field(repr=False)
    _stored: Any = field(repr=False)
    _past: _Past = field(repr=False)
    _place: int = field(repr=False)

    @property
    def started(self) -> datetime:
        """When it began, in UTC.

        :raises DamagedDataError: naming the row, when that is no time; so for the others.
        """
        return self._moment(self._stored.started)

    @property
    def finished(self) -> datetime:
        """When it ended, in UTC."""
        return self._moment(self._stored.finished)

    @property
    def outcome(self) -> dict[str, Any] | None:
        """What came of it, if there is more to say: an error, a halt, a transition, a decision.

        What tasks and people have put into it is the JSON structure that is stored.
        """
        text = self._stored.outcome
        if text is None:
            return None
        found = plain_of(text, self.row)
        if self.event == TASK:
            found = self._decoded(found)
        if not isinstance(found, dict):
            raise DamagedDataError("the outcome is no document", row=self.row)
        return found

    @property
    def before(self) -> Any:
        """The token's data before it, as the JSON structure that is stored."""
        return self._past.at(self._place)

    @property
    def after(self) -> Any:
        """The token's data after it."""
        return self._past.at(self._place + 1)

    @property
    def changes(self) -> list[Difference]:
        """What it has changed in the token's data."""
        return differences(self.before, self.after) if self._stored.inverse is not None else []

    @property
    def position(self) -> list[int]:
        """Its path as indexes."""
        try:
            return position_of(self.path)
        except DamagedDataError as error:
            raise DamagedDataError(error.message, row=self.row) from error

    @property
    def row(self) -> str:
        """Which row it is, for messages."""
        return f"task_execution {self._stored.id}"

    def _decoded(self, found: Any) -> Any:
        try:
            return DOCUMENTS.decode(found)
        except DamagedDataError as error:
            raise DamagedDataError(error.message, row=self.row) from error

    def _moment(self, seconds: Any) -> datetime:
        found = moment_of(seconds)
        if found is None:
            raise DamagedDataError(f"{str(seconds)[:60]!r} is no time", row=self.row)
        return found


class _Past:
    """What a token's data were before each row of its history.

    Of a long history every so many-th document is kept, and those near the last one asked for. So
    going through all costs little more than undoing each step twice.

    :param rows: the history, ``rows[place]`` being undone to get from ``place + 1`` to ``place``.
    """

    def __init__(self, token: TokenRecord, rows: Sequence[Any]) -> None:
        self._token, self._rows = token, rows
        self._spacing = max(isqrt(len(rows)), 1)
        self._kept: dict[int, Any] = {}
        self._near: dict[int, Any] = {}

    def at(self, place: int) -> Any:
        if place not in self._near:
            self._near = self._way_back(place)
        return self._near[place]

    def _way_back(self, place: int) -> dict[int, Any]:
        """Return the documents from a place to the next that is kept."""
        above = min(place - place % self._spacing + self._spacing, len(self._rows))
        document = self._keep(above)
        found = {above: document}
        for number in range(above - 1, place - 1, -1):
            found[number] = document = self._undone(number, document)
        return found

    def _keep(self, place: int) -> Any:
        if not self._kept:
            self._kept[len(self._rows)] = self._now()
        lowest = min(self._kept)
        document = self._kept.get(place, self._kept[lowest])
        for number in range(lowest - 1, place - 1, -1):
            document = self._undone(number, document)
            if number % self._spacing == 0:
                self._kept[number] = document
        return document

    def _now(self) -> Any:
        self._check_follows(len(self._rows) - 1, self._token.steps + 1)
        return plain_of(self._token.text, f"workflow_object {self._token.id}")

    def _undone(self, place: int, document: Any) -> Any:
        row = self._rows[place]
        if place + 1 < len(self._rows):
            self._check_follows(place, self._rows[place + 1].step)
        if row.inverse is None:
            return document
        try:
            return apply(DOCUMENTS.plain(row.inverse), document)
        except DamagedDataError as error:
            raise DamagedDataError(error.message, row=f"task_execution {row.id}") from error

    def _check_follows(self, place: int, later: int) -> None:
        """Refuse to go back over steps that are not there."""
        step = self._rows[place].step if self._rows else later - 1
        if step != later - 1:
            raise DamagedDataError(
                f"its steps {step + 1} to {later - 1} are gone, so what it was before is not known",
                row=f"workflow_object {self._token.id}",
            )


def history(store: Store, token_id: int) -> list[Step]:
    """Return what was done to a token, in order, as far as it is still stored.

    :raises UnknownTokenError: when there is no such token.
    """
    token, _ = store.token(token_id)
    return steps_of(store, token)


def steps_of(store: Store, token: TokenRecord) -> list[Step]:
    """Return the history of a token up to how it was read."""
    table = store.models.execution.__table__
    times = (type_coerce(table.c[name], Double).label(name) for name in ("started", "finished"))
    query = (
        select(*columns_of(table, *COLUMNS), *times)
        .where(table.c.object_id == token.id, table.c.step <= token.steps)
        .order_by(table.c.step)
    )
    with store.explaining(), store.database.reading() as connection:
        rows = connection.execute(query).all()
    past = _Past(token, rows)
    return [
        Step(
            row.step,
            row.event,
            row.path,
            row.name,
            row.visit,
            row.attempt,
            row.status,
            row.memory,
            row,
            past,
            place,
        )
        for place, row in enumerate(rows)
    ]


def last_visit(token: TokenRecord, found: Any) -> int:
    """Return the number of a token's last visit; of one that is tried again it may be lower.

    :param found: the greatest in its history, or None.
    :raises DamagedDataError: when that is no number.
    """
    if found is not None and not isinstance(found, int):
        said = f"its history has a visit {str(found)[:40]!r}, which is no number"
        raise DamagedDataError(said, row=f"workflow_object {token.id}")
    return max(*token.visits, found or 0)


def data_at(store: Store, token: TokenRecord, step: int) -> Any:
    """Return a token's data before a step of its history, as the JSON structure that is stored.

    :raises WorkflowAPIError: when there is no such step.
    """
    steps = steps_of(store, token)
    found = find_step(steps, step)
    if found is None:
        raise no_such_step(token, steps, step)
    return found.before


def find_step(steps: Sequence[Step], to: int | str) -> Step | None:
    """Return the step with a number, or the latest of the tasks at a path, or with a name.

    :raises WorkflowAPIError: when it is neither a number nor a text.
    """
    if isinstance(to, int) and not isinstance(to, bool):
        return next((step for step in steps if step.step == to), None)
    if not isinstance(to, str):
        raise WorkflowAPIError(
            f"a step is a number, a path like '0.2.1', or the name of a task, not {shown(to)}"
        )
    tasks = (step for step in reversed(steps) if step.event == TASK)
    return next((step for step in tasks if to in (step.path, step.name)), None)


def no_such_step(
    token: TokenRecord, steps: Sequence[Step], to: int | str, also: Sequence[str] = ()
) -> WorkflowAPIError:
    """Return the error for a step that a token's history does not have.

    :param also: what else could have been meant.
    """
    if isinstance(to, int):
        span = f"{steps[0].step} to {steps[-1].step}" if steps else "no steps"
        said = f"no step {to}; it has {span}"
    else:
        tasks = (step for step in steps if step.event == TASK)
        known = {*also, *(name for step in tasks for name in (step.path, step.name))}
        near = get_close_matches(to[:200], sorted(known), n=3)
        meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        said = f"no step at, or of, {to[:200]!r}{meant}"
    return WorkflowAPIError(f"the history of token {token.id} has {said}", id_object=token.id)
