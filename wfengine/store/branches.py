"""Branches of a durable run: each is a run of its own, with a copy of the token.

What a branch did to its copy is put into the token when the branches are joined: where several
changed the same, the later branch counts, as for ``extra_data``.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import define
from sqlalchemy import Double, select, type_coerce

from wfengine.description import describe
from wfengine.errors import HaltProcessing, PositionError, StopRequested
from wfengine.status import WorkflowStatus
from wfengine.store.changes import apply, diff, merge
from wfengine.store.drift import map_branch
from wfengine.store.journal import Journal
from wfengine.store.passes import Halts, Pass
from wfengine.store.records import RunRecord, path_text, position_of
from wfengine.store.resuming import pass_start
from wfengine.store.serialization import Types
from wfengine.store.tokens import Tokens

if TYPE_CHECKING:
    from wfengine.engine_db import DbWorkflowEngine

__all__ = [
    "Adopted",
    "adopt",
    "begun_branches",
    "join_adopted",
    "join_branch",
    "mark_of",
    "open_branch",
]

RUN = "run"
"""In what a pattern remembers of a branch: the uuid of its run."""


def open_branch(eng: DbWorkflowEngine, parent: Journal, branch: Any) -> Journal:
    """Return the journal of a branch, which goes on where it was left, or begins.

    What the branch remembers is set, and its tokens are those of the store.
    """
    parent.flush()
    is_parents = _is_of_parent(parent, branch)
    store, memory = parent.store, branch.memory
    run = _known_run(parent, branch)
    is_new = run is None
    if run is None:
        objects = branch.tokens if isinstance(branch.tokens, Sequence) else ()
        run = _new_run(eng, parent, branch, objects)
    memory[RUN] = run.uuid
    tokens = Tokens(store, run.id, run.token_count)
    journal = Journal(
        store, eng, run, parent.policy.copy(), tokens, Pass(run.token_pos), parent.lease
    )
    journal.writer.lease = parent.lease
    journal.is_noted = is_new and not branch.rests
    if not is_new:
        journal.may_differ = True
        map_branch(store, journal, eng.callbacks.get())
    journal.shares_token = is_parents
    journal.halts = parent.halts_inside
    if branch.waits:
        parent.branches.append(journal)
    _hand_over_tokens(journal, branch)
    if not is_new:
        memory["extra_data"] = journal.stored_extra_data()
    if run.status is WorkflowStatus.COMPLETED:
        memory["done"] = True
        journal.writer.close()
        return journal
    journal.passing.plan(iter(()), pass_start(journal, journal.halts))
    branch.tokens = tokens
    return journal


def _is_of_parent(parent: Journal, branch: Any) -> bool:
    """Return whether a branch runs for the token of its parent, and not for others."""
    found = branch.tokens
    if branch.is_beside:  # it has a copy
        return False
    return isinstance(found, list) and len(found) == 1 and found[0] is parent.eng.current_object


def _key(parent: Journal, branch: Any) -> str:
    """Return what identifies a branch in its parent, also when its task is begun again."""
    again = branch.memory.get("again", 0)
    attempt = f".{again}" if again else ""
    return f"{branch.mark or mark_of(parent)}.{branch.number}{attempt}"


def mark_of(parent: Journal) -> str:
    """Return what the keys of all branches begin with that the current task begins."""
    return f"{parent.token.id}.{parent.token.steps}"


def begun_branches(parent: Journal, mark: str) -> dict[int, dict[str, Any]]:
    """Return what is known of each branch under a mark, by its number: of its latest attempt."""
    table = parent.store.models.workflow.__table__
    query = select(
        table.c.uuid, table.c.branch, table.c.status, type_coerce(table.c.created, Double)
    ).where(table.c.parent_id == parent.run.id, table.c.branch.startswith(f"{mark}."))
    with parent.store.explaining(), parent.store.database.reading() as connection:
        rows = connection.execute(query).all()
    found: dict[int, dict[str, Any]] = {}
    for uuid, key, status, created in rows:
        number, again = (*map(int, key.removeprefix(f"{mark}.").split(".")), 0)[:2]
        if again >= found.get(number, {}).get("again", 0):
            found[number] = _memory(uuid, again, WorkflowStatus[status], created)
    return found


def _memory(uuid: str, again: int, status: WorkflowStatus, created: float) -> dict[str, Any]:
    memory: dict[str, Any] = {RUN: uuid, "again": again}
    if status is WorkflowStatus.COMPLETED:
        memory["done"] = True
    elif status is WorkflowStatus.ERROR:
        memory["failed"] = True
    elif status is WorkflowStatus.NEW:
        memory["since"] = created
    return memory


def _known_run(parent: Journal, branch: Any) -> RunRecord | None:
    store, uuid = parent.store, branch.memory.get(RUN)
    if uuid is not None:
        found = store.find_run(uuid=uuid, parent_id=parent.run.id)
        if found is not None:
            return found
    if branch.mark:  # it would have been known
        return None
    return store.find_run(parent_id=parent.run.id, branch=_key(parent, branch))


def _new_run(
    eng: DbWorkflowEngine, parent: Journal, branch: Any, objects: Sequence[Any]
) -> RunRecord:
    store, run, now = parent.store, parent.run, parent.store.clock()
    assert parent.lease is not None  # noqa: S101 - it is running
    options = {
        **parent.policy.to_dict(),
        "path": path_text(parent.eng.state.callback_pos),
        "number": branch.number,
        "is_beside": branch.is_beside,
        "waits": branch.waits,
        "outlives": branch.outlives,
    }
    if branch.mark:  # it is known by its name in a definition that has changed
        options["name"] = branch.name
    begins: dict[str, Any] = {}
    if not branch.rests:
        begins = {"status": WorkflowStatus.RUNNING.name, "started": now}
    return store.new_run(
        run.name,
        eng.callbacks.get(),
        options,
        lease=parent.lease,
        tokens=objects,
        parent_id=run.id,
        parent_object_id=parent.token.id,
        branch=_key(parent, branch),
        root_id=run.root_id or run.id,
        lease_token=parent.lease.token,
        lease_expires=now + store.lease_seconds,
        **begins,
    )


def _hand_over_tokens(journal: Journal, branch: Any) -> None:
    """Let the tasks of a branch get its tokens; those beside others get copies, from the store."""
    tokens, objects = journal.tokens, branch.tokens
    if not isinstance(objects, Sequence):
        if not len(tokens):
            tokens.read_from(objects)
    elif not branch.is_beside and len(objects) == len(tokens):
        tokens.stand_in(objects)


def join_branch(eng: DbWorkflowEngine, journal: Journal, branch: Any) -> None:
    """Put what a branch did to its tokens into the objects that it was begun with."""
    parent: Any = eng.parent
    if branch.is_beside:
        _merge_into(parent.current_object, journal)
        parent.recorder.note_joined(journal)
    elif journal.shares_token:
        journal.tokens.forget()
        journal.restore(parent.current_object, journal.tokens.record(0))


def _merge_into(obj: Any, journal: Journal) -> None:
    types, tokens = journal.types, journal.tokens
    tokens.forget()
    change = diff(_first_data(journal), Types.plain(tokens.record(0).text))
    if change is not None:
        merged = merge(change, types.encode(obj, "the token of a branch"))
        types.put_into(obj, types.decode(merged))


def _first_data(journal: Journal) -> Any:
    """Return the data that a branch's token began with."""
    store, token = journal.store, journal.tokens.record(0)
    table = store.models.execution.__table__
    query = (
        select(table.c.inverse)
        .where(table.c.object_id == token.id, table.c.inverse.is_not(None))
        .order_by(table.c.step.desc())
    )
    data = Types.plain(token.text)
    with store.database.reading() as connection:
        for inverse in connection.execute(query).scalars():
            data = apply(inverse, data)
    return data


# Branches that were left behind: their process died when the run had gone on past their task


@define(eq=False)
class Adopted:
    """A branch that nobody runs any more and that has to be run to its end."""

    journal: Journal
    eng: Any
    thread: threading.Thread | None = None
    error: BaseException | None = None

    def start(self) -> None:
        """Run it in a thread, if there is something to do."""
        run = self.journal.run
        is_waited_for = run.options.get("waits") and run.status is not WorkflowStatus.COMPLETED
        if self.journal.passing.goes_on is not None or is_waited_for:
            name = f"branch {self.journal.run.branch}"
            self.thread = threading.Thread(target=self._work, name=name)
            self.thread.start()

    def _work(self) -> None:
        try:
            self.eng.process(self.journal.tokens, reset_state=False)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the branch
            self.error = error

    def wait(self) -> None:
        """Wait until it has ended, and tell what came out of it."""
        if self.thread is not None:
            self.thread.join()
        if self.error is not None and not isinstance(self.error, StopRequested):
            parent, name = self.eng.parent, str(self.journal.run.branch)
            parent.branch_failed(name, parent.state.token_pos, parent.current_object, self.error)


def adopt(parent: Journal, token_id: int | None) -> list[Adopted]:
    """Take up branches that were left behind, and start them.

    :param token_id: those that this token will wait for; None for all that nobody waits for.
    """
    found = [_adopted(parent, run) for run in _left_behind(parent, token_id)]
    for each in found:
        each.start()
    return found


def _left_behind(parent: Journal, token_id: int | None) -> list[RunRecord]:
    store = parent.store
    table, tokens = store.models.workflow.__table__, store.models.object.__table__
    query = (
        RunRecord.query(table)
        .add_columns(tokens.c.steps)
        .join(tokens, tokens.c.id == table.c.parent_object_id)
        .where(table.c.parent_id == parent.run.id)
    )
    if token_id is None:
        query = query.where(table.c.status != WorkflowStatus.COMPLETED.name)
    else:
        query = query.where(table.c.parent_object_id == token_id)
    with store.database.reading() as connection:
        rows = connection.execute(query).all()
    waits = token_id is not None
    found = []
    for row in rows:
        run = RunRecord.of(row)
        is_over = str(run.branch).split(".")[1:2] != [str(row.steps)]
        is_over = is_over and not run.options.get("is_joined")
        if is_over and run.options.get("outlives") and run.options.get("waits") is waits:
            found.append(run)
    return found


def _adopted(parent: Journal, run: RunRecord) -> Adopted:
    eng = parent.eng.child(_definition_of(parent, run))
    store = parent.store
    tokens = Tokens(store, run.id, run.token_count)
    journal = Journal(
        store, eng, run, parent.policy.copy(), tokens, Pass(run.token_pos), parent.lease
    )
    journal.writer.lease = parent.lease
    journal.halts = parent.halts_inside
    eng.recorder = journal
    eng.extra_data.update(journal.stored_extra_data())
    is_over = run.status is WorkflowStatus.COMPLETED
    tries_again = not run.is_left_to_itself or parent.halts is Halts.PASS
    goes_on = None if is_over else pass_start(journal, journal.halts, tries_again)
    journal.passing.plan(iter(()), goes_on)
    if run.options.get("waits"):
        parent.branches.append(journal)
    return Adopted(journal, eng)


def _definition_of(parent: Journal, run: RunRecord) -> Any:
    """Return the definition of a branch: a part of the pattern that began it."""
    path, number = str(run.options.get("path")), run.options.get("number")
    task = parent.eng.callbacks.get().at(position_of(path))
    description = None if task is None else describe(task)
    parts = description.parts if description is not None else ()
    branches = [part.content for part in parts if part.role == "branch"]
    if not isinstance(number, int) or not 0 <= number < len(branches):
        raise PositionError(
            f"branch {run.branch} of run {parent.run.uuid} was begun at {path}, where the "
            "definition has no such branch; was it changed?",
            id_workflow=run.uuid,
        )
    return branches[number]


def join_adopted(obj: Any, found: Sequence[Adopted]) -> None:
    """Wait for branches, and put what they did into the token; raise what they raised."""
    for adopted in found:
        adopted.eng.parent.recorder.waits()
        adopted.wait()
    errors = [adopted.error for adopted in found if adopted.error is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, HaltProcessing)):
        raise error
    for adopted in found:
        _merge_into(obj, adopted.journal)
        adopted.eng.parent.recorder.note_joined(adopted.journal)
