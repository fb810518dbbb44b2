"""The store that a command works with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import and_, exists, make_url, or_, select
from sqlalchemy.exc import ArgumentError

from wfengine.cli.options import DEFAULT_STORE, read_on_command, store_option
from wfengine.cli.outputs import OUTPUT_DIR, store_outputs, take_up_outputs
from wfengine.cli.records import Record
from wfengine.definitions import fingerprint, load, registry
from wfengine.definitions.loading import is_target
from wfengine.definitions.styles import Runs
from wfengine.engine import GenericWorkflowEngine
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import (
    StoreError,
    UnknownRunError,
    UnknownTokenError,
    WorkflowDefinitionError,
    WorkflowObjectStatusError,
)
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store, Workflow, WorkflowObject

__all__ = [
    "begin",
    "check_target",
    "engine_class",
    "failed_count",
    "failed_run",
    "find_run",
    "is_missing",
    "latest_run",
    "latest_unfinished",
    "needs_input",
    "opened",
    "others",
    "own_names",
    "run_of_token",
    "store_of",
    "take_up",
    "unfinished",
    "why_not",
    "why_not_all",
]

TOGETHER = {"checkpoint_tokens": 100, "checkpoint_seconds": 1.0}
"""How many tokens are written together where a run is written down after tokens."""

SHOWN_NAMES = 5
UUID_LENGTH = 36


@contextmanager
def opened(url: str, *, creates: bool = False, **options: Any) -> Iterator[Store]:
    """Open a store that knows what commands keep in it.

    :param creates: whether a file that is missing, or tables that are, are made; who only looks
        does not want that.
    :raises StoreError: when it is missing.
    """
    if not creates and is_missing(url):
        raise _missing(url)
    with Store(url, **options) as store:
        if not creates and store.is_empty():
            raise _missing(url)
        store.types.register(Record)
        store_outputs(store.types)
        yield store


def _missing(url: str) -> StoreError:
    shown = make_url(url).render_as_string(hide_password=True)
    return StoreError(
        f"there is no store at {shown} yet: wfengine run TARGET --store {shlex.quote(shown)} "
        "begins a run there; or name another with --store URL, or WFENGINE_STORE"
    )


def is_missing(url: str) -> bool:
    """Return whether a URL is that of a SQLite file that is not there, and could be."""
    try:
        where = make_url(url)
    except ArgumentError:  # of which the store says what is wrong with it
        return False
    name = where.database or ":memory:"
    if where.get_backend_name() != "sqlite" or name == ":memory:" or name.startswith("file:"):
        return False
    path = Path(name)
    return path.parent.is_dir() and not path.exists()


def find_run(store: Store, text: str | None) -> str:
    """Return the uuid of a run by how it begins; of nothing, that of the run created last.

    :raises UnknownRunError: when there is none, or more than one.
    """
    if text is None:
        latest = store.latest()
        if latest is None:
            raise UnknownRunError(f"there are no runs in {store}")
        return latest.uuid
    if len(text) < UUID_LENGTH and text.isascii() and text.isprintable() and text:
        found = _beginning_with(store, text.lower())
        if len(found) == 1:
            return found[0]
        if found:
            shown = ", ".join(found[:SHOWN_NAMES])
            more = " and others" if len(found) > SHOWN_NAMES else ""
            raise UnknownRunError(f"more than one run begins with {text!r}: {shown}{more}")
    return store.run(text).uuid


def _beginning_with(store: Store, text: str) -> list[str]:
    query = (
        select(Workflow.uuid)
        .where(Workflow.uuid.startswith(text, autoescape=True), Workflow.parent_id.is_(None))
        .order_by(Workflow.uuid)
        .limit(SHOWN_NAMES + 1)
    )
    with store.session() as session:
        return list(session.scalars(query))


def store_of(target: str, url: str | None) -> str:
    """Return the URL of the store that a command works with.

    :param url: what was named, if anything was; else it is where a target keeps its own runs.
    :raises WorkflowDefinitionError: for a target that there is not.
    """
    if url is not None:
        return url
    runs = registry.runs(target)
    return DEFAULT_STORE if runs is None or runs.place is None else runs.place


def latest_run(store: Store, target: str) -> str:
    """Return the latest run of a target.

    :raises UnknownRunError: when there is none.
    """
    query = select(Workflow.uuid).where(_is_of(store, target)).order_by(Workflow.id.desc()).limit(1)
    with store.session() as session:
        found = session.scalar(query)
    if found is None:
        raise UnknownRunError(f"there is no run of {target} in {store}{others(store)}")
    return found


def _is_of(store: Store, target: str) -> Any:
    """Return the condition for runs of a target: those of its name, and those of its own names.

    Of the latter, not those that nobody has begun, or that wait for their time.
    """
    runs, is_whole = registry.runs(target), Workflow.parent_id.is_(None)
    if runs is None:
        return and_(is_whole, Workflow.name == target)
    has_begun = Workflow.status != WorkflowStatus.NEW.name
    own = and_(Workflow.style == runs.style, Workflow.name.in_(own_names(store, runs)), has_begun)
    return and_(is_whole, or_(Workflow.name == target, and_(own, Workflow.due.is_(None))))


def own_names(store: Store, runs: Runs) -> list[str]:
    """Return the names of stored runs that are those of a target's own."""
    query = select(Workflow.name).where(Workflow.parent_id.is_(None), Workflow.style == runs.style)
    with store.session() as session:
        return [name for name in session.scalars(query.distinct()) if runs.is_name(name)]


def run_of_token(store: Store, token_id: int) -> str:
    """Return the uuid of the run that a token is of.

    :raises UnknownTokenError: when there is no such token.
    """
    _, run_id = store.token(token_id)
    run = store.find_run(id=run_id)
    if run is None:
        raise UnknownTokenError(f"token {token_id} is being deleted with its run")
    return run.uuid


def begin(store: Store, target: str, checkpoint: str, output: str) -> DbWorkflowEngine:
    """Return an engine for a new run of a target, whose name is the run's name too.

    :param output: the folder for what it writes.
    """
    together = TOGETHER if checkpoint == "token" else {}
    eng = engine_class(target).with_name(
        target,
        store=store,
        checkpoint=checkpoint,
        extra_data={OUTPUT_DIR: output},
        **together,  # type: ignore[arg-type]
    )
    take_up_outputs(eng)
    return eng


def take_up(store: Store, target: str, uuid: str) -> DbWorkflowEngine:
    """Return an engine for a stored run of a target, which the user has named.

    :raises WorkflowDefinitionError: for a run of another target; one whose file was moved is none.
    """
    eng = engine_class(target).from_uuid(uuid, store=store, definition=target)
    run = store.run(uuid)
    runs = registry.runs(target)
    is_own = runs is not None and runs.has(run.name, store.summary(uuid).style)
    is_same = run.name == target or is_own
    if not is_same and run.fingerprint != fingerprint(eng.callbacks.get()):
        advice = "name that" if is_target(run.name) else "name the file and the flow that began it"
        raise WorkflowDefinitionError(
            f"run {uuid} is one of {run.name}, and not of {target}: {advice}"
        )
    take_up_outputs(eng)
    return eng


def engine_class(target: str) -> type[DbWorkflowEngine]:
    """Return the class of the engine that a target names, if it names one."""
    found = load(target) if is_target(target) else None
    kind = found if isinstance(found, type) else type(found)
    if not issubclass(kind, GenericWorkflowEngine):
        return DbWorkflowEngine
    if not issubclass(kind, DbWorkflowEngine):
        raise WorkflowDefinitionError(
            f"{kind.__name__} is no DbWorkflowEngine, and keeps its runs in memory, not in a "
            "store: derive it from DbWorkflowEngine, or run it without --store"
        )
    return kind


def check_target(target: str) -> None:
    """Refuse a target that there is not.

    :raises WorkflowDefinitionError: saying what is wrong with it.
    """
    engine_class(target)
    registry.find(target)


def why_not(eng: Any, error: WorkflowObjectStatusError, url: str) -> str:
    """Return why a run cannot go on, with the commands that help."""
    if needs_input(eng):
        return why_not_all(eng, url)
    if error.id_object is not None:
        return (
            f"run {eng.uuid} waits for decisions, the first about token {error.id_object}: "
            f"wfengine halted{store_option(url)} lists them, wfengine decide makes them"
        )
    return error.message


def why_not_all(eng: Any, url: str) -> str:
    """Return what to type for a run to see the rest of its input."""
    return (
        f"the input of run {eng.uuid} was not read to its end: "
        f"{read_on_command(eng.name, url)} reads the rest"
    )


def needs_input(eng: Any) -> bool:
    """Return whether a stored run has not seen all of its input."""
    return eng.recorder.run.options.get("is_complete", True) is False


def unfinished(store: Store, target: str) -> list[str]:
    """Return the runs of a target that are not over, the latest first."""
    query = (
        select(Workflow.uuid)
        .where(_is_of(store, target), Workflow.status != WorkflowStatus.COMPLETED.name)
        .order_by(Workflow.id.desc())
    )
    with store.session() as session:
        return list(session.scalars(query))


def failed_run(store: Store, target: str) -> str | None:
    """Return the latest run of a target of which a token has failed, if there is one."""
    has_failed = WorkflowObject.status == ObjectStatus.ERROR.name
    query = (
        select(Workflow.uuid)
        .where(_is_of(store, target))
        .where(exists().where(WorkflowObject.workflow_id == Workflow.id, has_failed))
        .order_by(Workflow.id.desc())
        .limit(1)
    )
    with store.session() as session:
        return session.scalar(query)


def failed_count(store: Store, uuid: str, failure: str) -> int | None:
    """Return how many tokens of a run failed in a way; None where there is no such way."""
    return next((group.count for group in store.failures(uuid) if group.failure == failure), None)


def latest_unfinished(store: Store, target: str) -> str:
    """Return the latest run of a target that is not over.

    :raises UnknownRunError: when there is none.
    """
    found = unfinished(store, target)
    if not found:
        raise UnknownRunError(
            f"there is no run of {target} that could go on{others(store)}; leave out --resume to "
            "begin one"
        )
    return found[0]


def others(store: Store) -> str:
    """Return of what there are runs that are not over, as part of a sentence."""
    query = (
        select(Workflow.name)
        .where(Workflow.parent_id.is_(None))
        .where(Workflow.status != WorkflowStatus.COMPLETED.name)
        .distinct()
        .order_by(Workflow.name)
        .limit(SHOWN_NAMES)
    )
    with store.session() as session:
        names = list(session.scalars(query))
    return f", but of {', '.join(names)}" if names else ""
