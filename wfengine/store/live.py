"""What a run is doing just now, by the nodes of its definition's outline.

Where tokens are is counted for all of them. What has been done is counted for the tokens that were
begun last, whose history is read; so looking at a large run costs hardly more than at a small one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from attrs import define, field
from sqlalchemy import Double, and_, func, select, type_coerce, union

from wfengine.drawing.states import NodeState
from wfengine.errors import DamagedDataError
from wfengine.signals import TokenOutcome
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.history import TASK
from wfengine.store.records import RunRecord, TokenRecord, columns_of
from wfengine.store.serialization import Types
from wfengine.store.steps import DONE, HALTED
from wfengine.store.views import BESIDES, StoredToken

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from wfengine.store.store import Store

__all__ = ["branches_of", "live_state", "place_in", "tokens_at"]

LAST_TOKENS = 1000
"""The history of so many tokens is read, and the branches of so many are looked at."""

MOST_STEPS = 20_000

TOGETHER = 500
"""How many ids are asked about at once."""

UNDER_WAY = (ObjectStatus.RUNNING.name, ObjectStatus.HALTED.name, ObjectStatus.ERROR.name)

SKIPPED = ("ContinueNextToken", "SkipToken")

TOTALS = {
    ObjectStatus.INITIAL.name: "waiting",
    ObjectStatus.RUNNING.name: "running",
    ObjectStatus.HALTED.name: "halted",
    ObjectStatus.ERROR.name: "failed",
    ObjectStatus.COMPLETED.name: "done",
}


def live_state(store: Store, uuid: str | UUID) -> dict[str, NodeState]:
    """Return the state of each node at which something is or was; under ``""`` that of the run.

    ``done`` and ``skipped`` of a node count visits by the 1,000 tokens that were begun last, all
    else every token. A place in a pattern that has no node of its own, such as that of a loop's
    condition, is given by its position; drawings lay it over the pattern.

    :raises UnknownRunError: when there is no such run.
    """
    run = store.run(uuid)
    with store.explaining(), store.database.reading() as connection:
        return _Live(store, connection, run).state()


def tokens_at(
    store: Store, run: RunRecord, is_there: Callable[[str], bool], limit: int
) -> list[StoredToken]:
    """Return some of the tokens that stand at a node and are not done, those of branches last.

    Branches are looked for as :func:`live_state` does.

    :param is_there: whether a place, such as ``2.0`` or ``3/1:0.2``, is that of the node.
    """
    with store.explaining(), store.database.reading() as connection:
        found = _Live(store, connection, run)
        ids = [*found.own_tokens_at(is_there, limit), *found.inner_tokens_at(is_there)][:limit]
        rows = {row.id: row for row in connection.execute(_tokens(store, ids))}
    return [StoredToken.of(rows[id_], rows[id_].uuid, store.types) for id_ in ids if id_ in rows]


def _tokens(store: Store, ids: Sequence[int]) -> Any:
    token, of_run = store.models.object.__table__, store.models.workflow.__table__
    since = type_coerce(token.c.since, Double).label("since")
    return (
        TokenRecord.query(token)
        .add_columns(*columns_of(token, *BESIDES), since, of_run.c.uuid)
        .where(of_run.c.id == token.c.workflow_id, token.c.id.in_(ids))
    )


def place_in(branch: str, path: str) -> str:
    """Return the place of a position in a branch, as the outline has it: ``3/1:0.2``."""
    return f"{branch}:{path}" if branch else path


def branches_of(store: Store, run: RunRecord, run_ids: Iterable[int]) -> dict[int, str]:
    """Return in which branch of a run other runs are: ``3/1``, or nothing for the run itself."""
    names = {run.id: ""}
    for row in sorted(_runs_between(store, run, run_ids), key=lambda row: row.id):
        names[row.id] = _branch_name(names.get(row.parent_id, ""), row.options)
    return names


def _runs_between(store: Store, run: RunRecord, run_ids: Iterable[int]) -> Iterator[Any]:
    """Yield runs and those that they are branches of, up to one that all of them are inside of."""
    table = store.models.workflow.__table__
    query = select(*columns_of(table, "id", "parent_id", "options"))
    known, wanted = {run.id, None}, set(run_ids) - {run.id}
    with store.explaining(), store.database.reading() as connection:
        while wanted:
            known |= wanted
            parents = set()
            for ids in _some(wanted):
                for row in connection.execute(query.where(table.c.id.in_(ids))):
                    parents.add(row.parent_id)
                    yield row
            wanted = parents - known


def _branch_name(around: str, options: Any) -> str:
    found = _options(options)
    return place_in(around, f"{found.get('path')}/{found.get('number')}")


@define(eq=False)
class _Live:
    store: Store
    connection: Connection
    run: RunRecord
    _counts: dict[str, dict[str, int]] = field(
        init=False, factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    _steps_left: int = field(init=False, factory=lambda: MOST_STEPS)

    def state(self) -> dict[str, NodeState]:
        """Count everything."""
        self._count_all()
        tokens = self._last_tokens()
        for branch, row in list(self._inside(tokens)):
            place = place_in(branch, row.callback_pos)
            self._add(place, self._standing(row.status, row.outcome, row.is_open))
            tokens[row.id] = branch
        self._count_steps(tokens)
        return {place: NodeState(**counts) for place, counts in self._counts.items()}

    def _add(self, place: str, name: str, count: int = 1) -> None:
        if name and count > 0:
            self._counts[place][name] += count

    # The run's own tokens

    def _count_all(self) -> None:
        """Count the tokens by status, and those that are under way by position as well."""
        table = self.store.models.object.__table__
        of_run = table.c.workflow_id == self.run.id
        by_status = select(table.c.status, func.count()).where(of_run).group_by(table.c.status)
        for status, count in self.connection.execute(by_status):
            self._add("", TOTALS.get(status, ""), count)
            if status == ObjectStatus.INITIAL.name:
                self._add("0", "waiting", count)
        is_open = table.c.decision.is_(None).label("is_open")
        what = (table.c.callback_pos, table.c.status, table.c.outcome, is_open)
        by_place = select(*what, func.count()).where(of_run, table.c.status.in_(UNDER_WAY))
        for path, *row, count in self.connection.execute(by_place.group_by(*what)):
            self._add(path, self._standing(*row), count)

    def _standing(self, status: str, outcome: str | None, is_open: bool) -> str:
        """Return what to call a token that is somewhere, or nothing for one that is done."""
        if status == ObjectStatus.HALTED.name:
            waits = is_open and outcome == TokenOutcome.HALTED.value
            return "halted" if waits else "waiting"
        if status == ObjectStatus.RUNNING.name:
            return "running" if self.run.status is WorkflowStatus.RUNNING else "waiting"
        return {ObjectStatus.ERROR.name: "failed", ObjectStatus.INITIAL.name: "waiting"}.get(
            status, ""
        )

    def _last_tokens(self) -> dict[int, str]:
        """Return the ids of the tokens that were begun last, and of those under way."""
        table = self.store.models.object.__table__
        of_run = select(table.c.id).where(table.c.workflow_id == self.run.id)
        order = table.c.token_pos.desc()
        begun = of_run.where(table.c.token_pos <= self.run.token_pos)
        under_way = of_run.where(table.c.status.in_(UNDER_WAY))
        limited = [
            select(query.order_by(order).limit(LAST_TOKENS).subquery().c.id)
            for query in (begun, under_way)
        ]
        return dict.fromkeys(self.connection.execute(union(*limited)).scalars(), "")

    def own_tokens_at(self, is_there: Callable[[str], bool], limit: int) -> list[int]:
        """Return some of the run's own tokens that stand at a node and are not done."""
        table = self.store.models.object.__table__
        under_way = (table.c.workflow_id == self.run.id, table.c.status.in_(UNDER_WAY))
        places = select(table.c.callback_pos).where(*under_way).distinct()
        there = list(filter(is_there, self.connection.execute(places).scalars()))
        query = select(table.c.id).where(*under_way, table.c.callback_pos.in_(there))
        return list(
            self.connection.execute(query.order_by(table.c.token_pos).limit(limit)).scalars()
        )

    def inner_tokens_at(self, is_there: Callable[[str], bool]) -> list[int]:
        """Return tokens of branches that stand at a node and are not done."""
        return sorted(
            row.id
            for branch, row in self._inside(self._last_tokens())
            if row.status in UNDER_WAY and is_there(place_in(branch, row.callback_pos))
        )

    def _inside(self, tokens: Mapping[int, str]) -> Iterator[tuple[str, Any]]:
        """Yield the tokens of branches of tokens, then those of their branches, and so on."""
        while tokens:
            inside = self._tokens_of_branches(tokens)
            yield from inside
            tokens = {row.id: branch for branch, row in inside}

    # What was done

    def _count_steps(self, tokens: Mapping[int, str]) -> None:
        """Count the steps of tokens.

        :param tokens: by id, the branch that each runs in: nothing, or ``3/1``.
        """
        for ids in _some(tokens):
            if self._steps_left <= 0:
                return
            rows = self._steps_of(ids)
            self._steps_left -= len(rows)
            last = {row.object_id: row.step for row in sorted(rows, key=_number)}
            for row in rows:
                is_open = row.halts and row.step == last[row.object_id]
                self._add(place_in(tokens[row.object_id], row.path), _done(row, is_open))

    def _steps_of(self, ids: Sequence[int]) -> Sequence[Any]:
        steps, tokens = (
            model.__table__ for model in (self.store.models.execution, self.store.models.object)
        )
        is_halted = tokens.c.status == ObjectStatus.HALTED.name
        query = (
            select(
                *columns_of(steps, "object_id", "step", "path", "status", "outcome"),
                and_(is_halted, tokens.c.decision.is_(None)).label("halts"),
            )
            .join(tokens, tokens.c.id == steps.c.object_id)
            .where(steps.c.object_id.in_(ids), steps.c.event == TASK)
            .limit(self._steps_left)
        )
        return self.connection.execute(query).all()

    # Branches

    def _tokens_of_branches(self, tokens: Mapping[int, str]) -> list[tuple[str, Any]]:
        """Return the tokens of the branches of tokens, each with the branch that it is in."""
        found: list[tuple[str, Any]] = []
        runs = self._branches(tokens)
        table = self.store.models.object.__table__
        columns = (table.c.id, table.c.workflow_id, table.c.callback_pos, table.c.status)
        is_open = table.c.decision.is_(None).label("is_open")
        for ids in _some(runs):
            query = select(*columns, table.c.outcome, is_open).where(table.c.workflow_id.in_(ids))
            found += ((runs[row.workflow_id], row) for row in self.connection.execute(query))
        return found

    def _branches(self, tokens: Mapping[int, str]) -> dict[int, str]:
        """Return the branches that were begun for tokens: their names, by the ids of their runs."""
        table = self.store.models.workflow.__table__
        columns = columns_of(table, "id", "parent_object_id", "options")
        found: dict[int, str] = {}
        for ids in _some(tokens):
            query = select(*columns).where(table.c.parent_object_id.in_(ids))
            for row in self.connection.execute(query):
                found[row.id] = _branch_name(tokens[row.parent_object_id], row.options)
        return found


def _number(row: Any) -> int:
    """Return the number of a step; zero, where it is damaged."""
    return row.step if isinstance(row.step, int) else 0


def _done(row: Any, is_open: bool) -> str:
    """Return as what a step counts: nothing for one that has to be done again.

    :param is_open: whether its token has halted there, and nothing was decided yet.
    """
    if row.status == HALTED:
        return "" if is_open else "done"
    if row.status != DONE:
        return ""
    return "skipped" if any(name in str(row.outcome or "") for name in SKIPPED) else "done"


def _options(text: Any) -> dict[str, Any]:
    try:
        found = Types.plain(text)
    except DamagedDataError:
        return {}
    return found if isinstance(found, dict) else {}


def _some(ids: Iterable[int]) -> Iterator[list[int]]:
    every = list(ids)
    for start in range(0, len(every), TOGETHER):
        yield every[start : start + TOGETHER]
