"""The tokens of a run and of its branches, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field
from sqlalchemy import and_, literal, or_, select

from wfengine.callbacks import Definition
from wfengine.definitions import Comparison, compare, fingerprint, skeleton
from wfengine.errors import DamagedDataError, WorkflowDefinitionError
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.drift.findings import (
    Element,
    Elements,
    Found,
    NoPlaceError,
    Opened,
    Refusal,
    Rerouted,
    Stand,
    branch_key,
)
from wfengine.store.drift.versions import Versions, frames_in, mark_in
from wfengine.store.records import RunRecord, TokenRecord, columns_of, path_text, position_of
from wfengine.store.serialization import Types

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from wfengine.store.store import Store

__all__ = ["Survey"]

PAGE = 500

MOST = 20
"""Of how many branches is told what has changed."""

NAME = "name"
"""In the options of a branch that is an element of a GRAPH: its name there."""


@define(eq=False)
class Survey:
    """Goes over the tokens of a run and of its branches, and finds the place of each."""

    store: Store
    renamed: dict[str, str]
    definitions: list[Definition] = field(init=False, factory=list)
    _marks: dict[int, str] = field(init=False, factory=dict)
    _versions: dict[tuple[str | None, int], Versions] = field(init=False, factory=dict)
    _names: set[str] = field(init=False, factory=set)

    def walk(
        self, run: RunRecord, definition: Definition, writes: Connection | None = None
    ) -> Iterator[Found]:
        """Yield a run, and the place of each token in it that has been begun and is not done.

        Before them come the branches that go on beside the tokens, after each those that it
        waits for.

        :param writes: the transaction in which the places are written, if they are.
        """
        yield Opened(run, definition)
        versions = self._versions_of(run.fingerprint, definition)
        yield from self._beside(run, versions, writes)
        for token in self._tokens(run, writes):
            if isinstance(token, DamagedDataError):
                yield token
                continue
            try:
                stand = versions.stand(token, run.id)
                elements = self._elements(run, stand, versions)
                branches = [] if elements else list(self._branches(run, stand, versions))
            except DamagedDataError as error:
                yield DamagedDataError(error.message, row=f"workflow_object {token.id}")
            except NoPlaceError as error:
                yield Refusal(token.id, token.index, token.path, str(error))
            else:
                yield stand
                if elements is not None:
                    yield elements
                    yield from self._inside(elements, writes)
                for branch, inner in branches:
                    yield from self.walk(branch, inner, writes)

    def mark(self, definition: Definition) -> str:
        """Return the fingerprint of a definition."""
        key = id(definition)
        if key not in self._marks:
            self._marks[key] = fingerprint(definition)
            self.definitions.append(definition)
        return self._marks[key]

    def changes(self) -> list[str]:
        """Return what is different in each definition that positions were looked for in."""
        texts = [versions.text() for versions in self._versions.values()]
        return [*dict.fromkeys([*texts[:1], *(f"in a branch, {text}" for text in texts[1:MOST])])]

    def check_names(self) -> None:
        """Refuse names that were given and are in none of the definitions."""
        unknown = self.renamed.keys() - self._names
        for versions in islice(self._versions.values(), 1) if unknown else ():
            if versions.comparison is not None:
                compare(versions.old, versions.new, {name: self.renamed[name] for name in unknown})

    def _versions_of(self, mark: str | None, definition: Definition) -> Versions:
        key = (mark, id(definition))
        if key not in self._versions:
            self.mark(definition)
            old, new = self.store.skeleton(mark), skeleton(definition)
            comparison = None if old is None else self._compared(old, new)
            self._versions[key] = Versions(definition, comparison, old or [], new)
        return self._versions[key]

    def _compared(self, old: Any, new: Any) -> Comparison:
        """Compare, with those of the new names that these definitions have."""
        comparison = compare(old, new)
        known = {}
        for name, new_name in self.renamed.items():
            try:
                compare(old, new, {name: new_name})
            except WorkflowDefinitionError:
                continue
            known[name] = new_name
        self._names |= known.keys()
        return compare(old, new, known) if known else comparison

    def _tokens(
        self, run: RunRecord, writes: Connection | None
    ) -> Iterator[TokenRecord | DamagedDataError]:
        """Yield the tokens whose positions matter, without their data; a page at a time."""
        table, last = self.store.models.object.__table__, -1
        names = ("id", "token_pos", "status", "outcome", "callback_pos", "visits", "memory")
        columns = columns_of(table, *names, "steps", "attempts", "decision")
        begun = [ObjectStatus.RUNNING.name, ObjectStatus.HALTED.name, ObjectStatus.ERROR.name]
        matters = or_(
            table.c.status.in_(begun),
            and_(
                table.c.status == ObjectStatus.INITIAL.name,
                or_(table.c.steps > 0, table.c.id.in_(self._ids_with_branches(run))),
            ),
        )
        while True:
            query = (
                select(*columns, literal("").label("data"))
                .where(table.c.workflow_id == run.id, table.c.token_pos > last, matters)
                .order_by(table.c.token_pos)
                .limit(PAGE)
            )
            query = query.with_for_update() if writes is not None else query
            rows = self._rows(query, writes)
            if not rows:
                return
            yield from map(_record, rows)
            last = rows[-1].token_pos

    def _beside(
        self, run: RunRecord, versions: Versions, writes: Connection | None
    ) -> Iterator[Found]:
        """Yield the branches that have not ended, or are to be joined, of tokens that went on."""
        for row in self._rows_beside(run, writes):
            path = ""
            try:
                branch = RunRecord.of(row)
                path = str(branch.options.get("path"))
                if versions.is_waited_for(path):
                    continue
                place, definition = self._place_beside(run, branch, position_of(path), versions)
            except DamagedDataError as error:
                yield DamagedDataError(error.message, row=f"workflow {row.id}")
            except NoPlaceError as error:
                reason = f"the branch that it has begun there: {error}"
                yield Refusal(row.parent_object_id, row.number, path, reason)
            else:
                if place != path:
                    yield Rerouted(branch, place)
                if definition is not None:
                    yield from self.walk(branch, definition, writes)

    def _place_beside(
        self, run: RunRecord, branch: RunRecord, position: list[int], versions: Versions
    ) -> tuple[str, Definition | None]:
        """Return where the task is now that began a branch, and the branch's definition if new."""
        place, _ = versions.place(position)
        definitions = versions.keeper(place).branches
        around, _, number = str(branch.branch).rpartition(".")
        if not versions.has_same_label(position, versions.keeper(place)):
            ends = [f"{around}.{len(definitions) + more}" for more in (-1, 0)]
            found = [self.store.find_run(parent_id=run.id, branch=end) for end in ends]
            if found[0] is None or found[1] is not None:
                raise NoPlaceError(f"there are {len(definitions)} now, which is another number")
        if not number.isdecimal() or not int(number) < len(definitions):
            raise NoPlaceError(f"there is no branch {number} now")
        return path_text(place), self._changed(branch, int(number), definitions)

    def _rows_beside(self, run: RunRecord, writes: Connection | None) -> Iterator[Any]:
        """Yield the rows of these branches, with the index of their token; a page at a time."""
        table, token = self.store.models.workflow.__table__, self.store.models.object.__table__
        done, last = WorkflowStatus.COMPLETED.name, -1
        while True:
            query = (
                RunRecord.query(table)
                .add_columns(token.c.token_pos.label("number"), token.c.status.label("of_token"))
                .join(token, token.c.id == table.c.parent_object_id)
                .where(table.c.parent_id == run.id, table.c.id > last)
                .where(or_(table.c.status != done, token.c.status != ObjectStatus.COMPLETED.name))
                .order_by(table.c.id)
                .limit(PAGE)
            )
            rows = self._rows(query, writes)
            if not rows:
                return
            yield from filter(_goes_on_beside, rows)
            last = rows[-1].id

    def _ids_with_branches(self, run: RunRecord) -> Any:
        """Return the query for tokens that have begun branches, maybe in their first task."""
        table = self.store.models.workflow.__table__
        return select(table.c.parent_object_id).where(
            table.c.parent_id == run.id, table.c.parent_object_id.is_not(None)
        )

    def _rows(self, query: Any, writes: Connection | None) -> Sequence[Any]:
        reading = self.store.database.reading() if writes is None else nullcontext(writes)
        with self.store.explaining(), reading as connection:
            return connection.execute(query).all()

    # Elements, which go by their names

    def _elements(self, run: RunRecord, stand: Stand, versions: Versions) -> Elements | None:
        """Return what has become of the elements of a GRAPH that a token has begun, if it has."""
        mark = mark_in(stand.memory, stand.position)
        if mark is None:
            return None
        keeper = versions.keeper(stand.position)
        if versions.has_same_label(stand.token.position, keeper):
            return Elements()
        numbers = {name: number for number, name in enumerate(keeper.names)}
        found = list[Element]()
        for branch in self._marked(run, mark):
            name = _name_of(branch)
            number = numbers.get(name)
            if number is None:
                found.append(Element(branch, name, None))
            else:
                definition = keeper.branches[number]
                found.append(self._element(branch, name, number, definition, mark))
        gone = [each.name for each in found if each.key is None]
        return Elements(
            tuple(found),
            dropped=tuple((name,) for name in dict.fromkeys(gone) if name not in numbers),
            anew=tuple((name,) for name in gone if name in numbers),
        )

    def _element(
        self, branch: RunRecord, name: str, number: int, definition: Definition, mark: str
    ) -> Element:
        again = str(branch.branch).removeprefix(f"{mark}.").partition(".")[2]
        key = f"{mark}.{number}.{again}" if again else f"{mark}.{number}"
        is_over = branch.status is WorkflowStatus.COMPLETED
        if is_over or branch.fingerprint == self.mark(definition):
            return Element(branch, name, key, number)
        if self._has_to_begin_anew(branch, definition):
            return Element(branch, name, None, number)
        return Element(branch, name, key, number, definition)

    def _has_to_begin_anew(self, branch: RunRecord, definition: Definition) -> bool:
        """Return whether the beginning of a branch is gone, in which nothing had been done."""
        try:
            self._versions_of(branch.fingerprint, definition).place([0])
        except NoPlaceError:
            tokens = self._tokens(branch, None)
            return not self._has_branches(branch) and all(map(_is_at_its_beginning, tokens))
        return False

    def _marked(self, run: RunRecord, mark: str) -> list[RunRecord]:
        table = self.store.models.workflow.__table__
        query = RunRecord.query(table).where(
            table.c.parent_id == run.id, table.c.branch.startswith(f"{mark}.", autoescape=True)
        )
        return [RunRecord.of(row) for row in self._rows(query.order_by(table.c.id), None)]

    def _has_branches(self, run: RunRecord) -> bool:
        table = self.store.models.workflow.__table__
        query = select(table.c.id).where(table.c.parent_id == run.id).limit(1)
        return bool(self._rows(query, None))

    def _inside(self, elements: Elements, writes: Connection | None) -> Iterator[Found]:
        for element in elements.of:
            if element.definition is None:
                continue
            for found in self.walk(element.run, element.definition, writes):
                yield _inside_of(element.name, found)

    # Branches, which go by their numbers

    def _branches(
        self, run: RunRecord, stand: Stand, versions: Versions
    ) -> Iterator[tuple[RunRecord, Definition]]:
        """Yield the branches that a token waits for and whose definitions have changed."""
        keeper = versions.keeper(stand.position)
        if not keeper.kind or versions.has_same_label(stand.token.position, keeper):
            return
        found = self._runs_of_branches(run, stand, len(keeper.branches))
        for number, branch in found.items():
            definition = self._changed(branch, number, keeper.branches)
            if definition is not None:
                yield branch, definition

    def _changed(
        self, branch: RunRecord, number: int, definitions: list[Definition]
    ) -> Definition | None:
        """Return the definition of a branch, or None if it is what it was."""
        marks = [self.mark(definition) for definition in definitions]
        if branch.fingerprint == marks[number]:
            return None
        if branch.fingerprint in marks:
            raise NoPlaceError(f"branch {number} is another one now: their order has changed")
        if branch.status is WorkflowStatus.COMPLETED:
            self._versions_of(branch.fingerprint, definitions[number]).check_end(number)
        return definitions[number]

    def _runs_of_branches(self, run: RunRecord, stand: Stand, count: int) -> dict[int, RunRecord]:
        """Return the branches that a token has begun where it stands.

        :param count: how many there are in the new definition.
        """
        memories = _memories(stand)
        if memories is not None and len(memories) != count:
            raise NoPlaceError(f"it has begun {len(memories)} branches, and there are {count} now")
        found = {}
        for number in range(count + 1):
            uuid = memories[number].get("run") if memories and number < count else None
            known = (
                {"uuid": uuid}
                if isinstance(uuid, str)
                else {"branch": branch_key(stand.token, number)}
            )
            branch = self.store.find_run(parent_id=run.id, **known)
            if branch is not None:
                found[number] = branch
            elif memories and number < count and "callback_pos" in memories[number]:
                raise NoPlaceError("it stands inside of an engine that is no part of the run")
        if found and memories is None and len(found) != count:
            raise NoPlaceError(f"it has begun {len(found)} branches, and there are {count} now")
        return found


def _name_of(branch: RunRecord) -> str:
    name = branch.options.get(NAME)
    if not isinstance(name, str):
        raise NoPlaceError("it has begun elements of which the store does not know the names")
    return name


def _is_at_its_beginning(token: TokenRecord | DamagedDataError) -> bool:
    return isinstance(token, TokenRecord) and token.position == [0] and not token.memory


def _inside_of(name: str, found: Found) -> Found:
    if isinstance(found, Refusal):
        return evolve(found, reason=f"in {name!r}: {found.reason}")
    return found.inside(name) if isinstance(found, Elements) else found


def _record(row: Any) -> TokenRecord | DamagedDataError:
    try:
        return TokenRecord.of(row)
    except DamagedDataError as error:
        return error


def _goes_on_beside(row: Any) -> bool:
    """Return whether a branch is one that its token did not stay for, and still matters."""
    options = Types.plain(row.options)
    if not isinstance(options, dict) or not options.get("is_beside") or options.get("is_joined"):
        return False
    if NAME in options:  # its token waits for it
        return False
    if options.get("waits"):
        return bool(row.of_token != ObjectStatus.COMPLETED.name)
    return bool(row.status != WorkflowStatus.COMPLETED.name)


def _memories(stand: Stand) -> list[dict[str, Any]] | None:
    """Return what a token remembers of each of its branches, or None if it remembers none."""
    frames = frames_in(Types.plain(stand.memory)) if stand.memory else []
    for frame in frames:
        if frame["depth"] == len(stand.position):
            memories = frame.get("branches", [frame])
            if isinstance(memories, list) and all(isinstance(each, dict) for each in memories):
                return memories
            raise DamagedDataError("what a pattern remembers of its branches is damaged")
    return None
