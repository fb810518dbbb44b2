"""Writing the places of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field
from sqlalchemy import Text, bindparam, insert, update

from wfengine.store.columns import storable_text
from wfengine.store.drift.findings import (
    Element,
    Elements,
    Found,
    Opened,
    Rerouted,
    Stand,
    branch_key,
)
from wfengine.store.drift.survey import Survey
from wfengine.store.records import RunRecord, path_text

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from wfengine.store.leases import Lease
    from wfengine.store.store import Store

__all__ = ["Pen"]

PAGE = 500


@define(eq=False)
class Pen:
    """Writes the places of tokens, in a transaction of the run's owner."""

    store: Store
    connection: Connection
    lease: Lease
    _moves: list[dict[str, Any]] = field(init=False, factory=list)
    _steps: list[dict[str, Any]] = field(init=False, factory=list)
    _branches: list[dict[str, Any]] = field(init=False, factory=list)

    def write(self, found: Found, survey: Survey) -> None:
        """Write what was found; of tokens, some together."""
        if isinstance(found, Opened):
            self._write_fingerprint(found.run, survey.mark(found.definition))
        elif isinstance(found, Rerouted):
            self._write_options(found.run, {**found.run.options, "path": found.path})
        elif isinstance(found, Elements):
            self._write_elements([each for each in found.of if each.is_moved])
        elif isinstance(found, Stand) and (found.is_moved or found.memory != found.token.memory):
            self._note(found)
            if len(self._moves) >= PAGE:
                self.write_steps()

    def _write_fingerprint(self, run: RunRecord, mark: str) -> None:
        table = self.store.models.workflow.__table__
        written = self.connection.execute(
            update(table)
            .where(
                table.c.id == run.id,
                table.c.lease_token == self.lease.token,
                table.c.lease_expires > self.store.clock(),
            )
            .values(fingerprint=mark)
        )
        if not written.rowcount:
            raise self.lease.lost()

    def _write_options(self, run: RunRecord, options: dict[str, Any]) -> None:
        table = self.store.models.workflow.__table__
        self.connection.execute(update(table).where(table.c.id == run.id).values(options=options))

    def _write_elements(self, elements: list[Element]) -> None:
        """Give elements their new numbers, and up those that are gone or begin anew.

        One may get the number that another has up to now, so all lose theirs first.
        """
        from wfengine.store.leftovers import abandon

        table = self.store.models.workflow.__table__
        for element in elements:
            lost = update(table).where(table.c.id == element.run.id)
            self.connection.execute(lost.values(branch=f"gone.{element.run.id}"))
        abandon(self.store, self.connection, [each.run.id for each in elements if not each.key])
        for element in elements:
            if element.key is not None:
                options = {**element.run.options, "number": element.number}
                moved = update(table).where(table.c.id == element.run.id)
                self.connection.execute(moved.values(branch=element.key, options=options))

    def _note(self, stand: Stand) -> None:
        token = stand.token
        step = token.steps + stand.is_moved
        visits = _fitted(token.visits, len(stand.position))
        self._moves.append(
            {
                "token_id": token.id,
                "new_path": stand.path,
                "new_visits": path_text(visits),
                "new_memory": stand.memory,
                "new_steps": step,
            }
        )
        if stand.is_moved:
            self._steps.append(self._step(stand, step, visits[-1]))
            self._branches += [
                {
                    "in_run": stand.run_id,
                    "old_key": branch_key(token, number),
                    "new_key": branch_key(token, number, step),
                }
                for number in range(stand.branches)
            ]

    def _step(self, stand: Stand, step: int, visit: int) -> dict[str, Any]:
        now = self.store.clock()
        return {
            "object_id": stand.token.id,
            "step": step,
            "event": "map",
            "path": stand.path,
            "name": storable_text(stand.task),
            "visit": visit,
            "attempt": stand.token.attempts,
            "status": "done",
            "started": now,
            "finished": now,
            "outcome": {"from": stand.token.path, "to": stand.path},
            "remembered": stand.memory,
        }

    def write_steps(self) -> None:
        """Write the tokens that have not been written yet."""
        models = self.store.models
        token, execution, run = (
            model.__table__ for model in (models.object, models.execution, models.workflow)
        )
        moving = update(token).where(token.c.id == bindparam("token_id"))
        adding = insert(execution).values(memory=bindparam("remembered", type_=Text()))
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("visits", "steps")}
        memory = bindparam("new_memory", type_=Text())
        moving = moving.values(callback_pos=bindparam("new_path"), memory=memory, **values)
        keeping = update(run).values(branch=bindparam("new_key"))
        keeping = keeping.where(run.c.parent_id == bindparam("in_run"))
        keeping = keeping.where(run.c.branch == bindparam("old_key"))
        for statement, rows in (
            (moving, self._moves),
            (adding, self._steps),
            (keeping, self._branches),
        ):
            if rows:
                self.connection.execute(statement, rows)
        self._moves, self._steps, self._branches = [], [], []


def _fitted(visits: list[int], levels: int) -> list[int]:
    """Return the visits for a position with so many levels, the last one still the last."""
    return visits if len(visits) <= levels else [*visits[: levels - 1], visits[-1]]
