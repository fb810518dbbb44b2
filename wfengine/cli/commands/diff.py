"""The command ``wfengine diff``: two versions of a definition, and where positions would land."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from wfengine.cli.data import plain
from wfengine.cli.options import DEFAULT_STORE, FAILED, StoreUrl, users_errors
from wfengine.cli.printing import print_text
from wfengine.cli.renaming import Renamed, names
from wfengine.cli.stores import find_run, opened
from wfengine.cli.tables import print_json
from wfengine.definitions import compare, registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import DamagedDataError, WorkflowAPIError

__all__ = ["diff"]


def diff(
    old: Annotated[
        str, typer.Argument(metavar="TARGET", help="A workflow; the old one, if two are named.")
    ],
    new: Annotated[
        str | None,
        typer.Argument(metavar="NEW", help="The new workflow.", show_default=False),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Compare with what this stored run was begun with.",
            show_default=False,
        ),
    ] = None,
    renamed: Renamed = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Show what changed between two versions of a definition, or since a run was begun.

    For a run, it shows as well where each of its tokens would go on. Nothing is changed. In \
Python: wfengine.definitions.compare(old, new), and eng.resume(dry_run=True).drift.

    [bold]Examples[/bold]

    wfengine diff old/workflow.py:workflow workflow.py:workflow

    wfengine diff workflow.py:workflow --run 3f2a --renamed clean=tidy

    wfengine diff workflow.py:workflow --run 3f2a --json --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0 when they are the same, or each token of the run has a place; 1 when they differ, or one has \
none; 2 when there is something wrong with the command.
    """
    with users_errors():
        if (new is None) == (run is None):
            raise WorkflowAPIError("compare with another TARGET, or with a stored run: --run RUN")
        if new is not None:
            found, status = _compared(old, new, names(renamed))
        else:
            with opened(store) as kept:
                found, status = _of_run(kept, old, find_run(kept, run), names(renamed))
        if as_json:
            print_json({key: value for key, value in found.items() if key != "text"})
        else:
            print_text(Console(), found["text"])
    raise typer.Exit(status)


def _compared(old: str, new: str, renamed: dict[str, str]) -> tuple[dict[str, Any], int]:
    found = compare(registry.find(old), registry.find(new), renamed)
    return {**_changes(found), "text": found.text()}, 0 if found.is_same else FAILED


def _changes(found: Any) -> dict[str, Any]:
    return {
        "is_same": found.is_same,
        "added": found.added,
        "removed": found.removed,
        "moved": found.moved,
    }


def _of_run(
    store: Any, target: str, uuid: str, renamed: dict[str, str]
) -> tuple[dict[str, Any], int]:
    definition = registry.find(target)
    stored = store.skeleton(store.run(uuid).fingerprint)
    if stored is None:
        raise DamagedDataError(f"what run {uuid} was begun with is not stored any more")
    found = compare(stored, definition, renamed)
    eng = DbWorkflowEngine.from_uuid(uuid, store=store, definition=target)
    drift = eng.resume(dry_run=True, renamed=renamed).drift
    tokens = {"same": 0, "moved": 0, "refused": 0}
    if drift is not None:
        tokens = {
            "same": drift.same_count,
            "moved": drift.move_count,
            "refused": drift.refused_count,
        }
    data = {
        "run": uuid,
        **_changes(found),
        "tokens": tokens,
        "moves": [plain(each) for each in drift.moves] if drift else [],
        "refusals": [plain(each) for each in drift.refused] if drift else [],
        "text": drift.text() if drift else found.text(),
    }
    return data, FAILED if drift is not None and drift.is_refused else 0
