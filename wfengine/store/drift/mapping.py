"""What becomes of the positions in a run, told and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import define, field

from wfengine.callbacks import Definition
from wfengine.errors import DamagedDataError, PositionError
from wfengine.store.drift.findings import Elements, Found, Move, Refusal, Stand
from wfengine.store.drift.pen import Pen
from wfengine.store.drift.survey import Survey
from wfengine.store.records import RunRecord

if TYPE_CHECKING:
    from wfengine.store.journal import Journal
    from wfengine.store.store import Store

__all__ = ["Drift", "drift_of", "map_branch"]

MOST = 20
"""Of how many tokens is told what becomes of each."""

ADVICE = (
    "nothing was changed. If tasks only have other names, say so with renamed={old: new}; or take "
    "the tokens to another step with eng.rewind(token_id, to=...); or finish the run with the old "
    "definition"
)


@define
class Drift:
    """What becomes of the positions in a run when it goes on with another definition.

    :param changes: what is different, for the run and for the branches that tokens wait for.
    :param moves: the first of the tokens that stand elsewhere, or among other tasks.
    :param move_count: how many these are.
    :param refused: the first of those that have no place.
    :param refused_count: how many these are.
    :param same_count: how many tokens stand where they did.
    :param damaged: the first rows that cannot be read; they are left as they are.
    :param dropped: the names of elements that have been begun and are no part of it any more, each
        behind those of what it was in.
    :param anew: of those that are begun anew.
    """

    run: RunRecord = field(repr=False)
    definition: Definition = field(repr=False)
    changes: list[str] = field(factory=list)
    moves: list[Move] = field(factory=list)
    move_count: int = 0
    refused: list[Refusal] = field(factory=list)
    refused_count: int = 0
    same_count: int = 0
    damaged: list[str] = field(factory=list)
    dropped: list[tuple[str, ...]] = field(factory=list)
    anew: list[tuple[str, ...]] = field(factory=list)
    _survey: Survey = field(kw_only=True, repr=False, eq=False)

    @property
    def is_refused(self) -> bool:
        """Whether the run cannot go on with the new definition."""
        return self.refused_count > 0

    def text(self) -> str:
        """Return what has changed, and what that is for the tokens, in some lines."""
        return "\n".join(
            [
                *self.changes,
                *_told("without a place", self.refused_count, self.refused),
                *_told("moved, or among other tasks", self.move_count, self.moves),
                *_told("at the same place", self.same_count, ()),
                *_listed("begun, and no part of it any more", self.dropped),
                *_listed("begun anew", self.anew),
                *(f"left as it is: {row}" for row in self.damaged),
            ]
        )

    def apply(self, store: Store, journal: Journal) -> None:
        """Write where the tokens are now, all of them in one transaction.

        :param journal: of the run, which belongs to this process.
        :raises PositionError: when a token has no place; nothing is written then.
        :raises LeaseLostError: when the run is somebody else's by now.
        """
        lease = journal.lease
        assert lease is not None  # noqa: S101 - it has been taken
        if self.is_refused:
            raise self._error(self.text())
        with store.explaining(), store.database.writing() as connection:
            pen = Pen(store, connection, lease)
            for definition in self._survey.definitions:
                mark = self._survey.mark(definition)
                store.remember_definition(connection, self.run.name, definition, mark)
            for found in self._survey.walk(self.run, self.definition, connection):
                if isinstance(found, Refusal):
                    raise self._error(f"{'; '.join(self.changes)}\n  {found}")
                pen.write(found, self._survey)
            pen.write_steps()
        store.log.warning("run %s goes on with another definition: %s", self.run.uuid, self.text())

    def _error(self, text: str) -> PositionError:
        return PositionError(
            f"the run cannot go on with this definition: {text}\n{ADVICE}",
            id_workflow=self.run.uuid,
            id_object=self.refused[0].token_id if self.refused else None,
        )

    def note(self, found: Found) -> None:
        """Count what becomes of a token."""
        if isinstance(found, Refusal):
            self.refused_count += 1
            self.refused += [found][: MOST - len(self.refused)]
        elif isinstance(found, DamagedDataError):
            self.damaged += [str(found)][: MOST - len(self.damaged)]
        elif isinstance(found, Elements):
            self.dropped += found.dropped
            self.anew += found.anew
        elif isinstance(found, Stand) and (found.is_moved or found.said):
            self.move_count += 1
            self.moves += [found.move()][: MOST - len(self.moves)]
        elif isinstance(found, Stand):
            self.same_count += 1


def drift_of(
    store: Store,
    run: RunRecord,
    definition: Definition,
    renamed: Mapping[str, str] | None,
) -> Drift | None:
    """Return what has to be done about positions, or None where the definition is the same.

    :param renamed: the new names of tasks by their old ones.
    :raises WorkflowDefinitionError: for names in it that are in no definition.
    """
    survey = Survey(store, dict(renamed or {}))
    if run.fingerprint == survey.mark(definition):
        return None
    drift = Drift(run, definition, survey=survey)
    for found in survey.walk(run, definition):
        drift.note(found)
    survey.check_names()
    drift.changes = survey.changes()
    return drift


def map_branch(store: Store, journal: Journal, definition: Definition) -> None:
    """Map the positions of a branch that is opened again, if its definition has changed.

    Where what began it tells which definitions its branches have, that was done when the run was
    taken up.

    :raises PositionError: when a position has no place; nothing is written then.
    """
    drift = drift_of(store, journal.run, definition, None)
    if drift is not None:
        drift.apply(store, journal)
        journal.reload(store.run(journal.run.uuid))


def _listed(what: str, names: Sequence[Sequence[str]]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return [f"{what}: {', '.join(repr(' > '.join(each)) for each in names[:MOST])}{more}"]


def _told(what: str, count: int, each: Sequence[object]) -> list[str]:
    """Return how many tokens something happened to, and what to the first of them."""
    if not count:
        return []
    lines = [f"{count} {'token' if count == 1 else 'tokens'} {what}", *(f"  {one}" for one in each)]
    return [*lines, f"  and {count - len(each)} more"] if 0 < len(each) < count else lines
