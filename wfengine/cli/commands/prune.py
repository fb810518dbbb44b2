"""The command ``wfengine prune``: what is old is deleted."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer
from attrs import astuple
from rich.console import Console

from wfengine.cli.data import plain
from wfengine.cli.going_on import patient
from wfengine.cli.options import (
    DEFAULT_STORE,
    INTERRUPTED,
    AsJson,
    By,
    DryRun,
    Quiet,
    StoreUrl,
    Yes,
    confirmed,
    seconds_of,
    users_errors,
)
from wfengine.cli.printing import print_text
from wfengine.cli.progress import TokenMeter, shown
from wfengine.cli.stores import opened
from wfengine.cli.tables import count_of, print_json
from wfengine.status import WorkflowStatus
from wfengine.store.retention import Pruned

__all__ = ["prune"]

Status = Enum(  # type: ignore[misc]
    "Status",
    {each.name: each.name.lower() for each in WorkflowStatus if each is not WorkflowStatus.RUNNING},
)
"""The statuses as they are typed."""


def prune(  # noqa: PLR0913, PLR0917 - each is an option
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="AGE", help="Runs that ended longer ago than 30d, 12h ..."
        ),
    ],
    status: Annotated[
        list[Status] | None,
        typer.Option(
            "--status",
            "-s",
            help="Runs with this status; may be repeated.",
            show_default="completed",
        ),
    ] = None,
    keep_history: Annotated[
        int | None,
        typer.Option(
            "--keep-history",
            min=0,
            metavar="STEPS",
            help="Of the runs that stay, delete all but the last so many steps of each token.",
            show_default=False,
        ),
    ] = None,
    history_older_than: Annotated[
        str | None,
        typer.Option(
            "--history-older-than",
            metavar="AGE",
            help="Of the runs that stay, delete the steps that are older.",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    quiet: Quiet = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Delete old runs with all that belongs to them, and old steps of others.

    Runs that somebody has are left alone. Ctrl-C stops after the run that is being deleted; a \
second one breaks that off. The next prune deletes the rest. In Python: \
store.prune(older_than=seconds).

    [bold]Examples[/bold]

    wfengine prune --older-than 30d --dry-run

    wfengine prune --older-than 30d --status completed --status error --yes

    wfengine prune --older-than 90d --keep-history 10 --yes --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0; 1 when you said no; 2 when there is something wrong with the command; 130 after Ctrl-C.
    """
    with users_errors(), opened(store) as kept:
        what = {
            "older_than": seconds_of(older_than),
            "keep_history": keep_history,
            "history_older_than": seconds_of(history_older_than),
            **({"statuses": [WorkflowStatus[each.name] for each in status]} if status else {}),
        }
        found = kept.prune(**what, dry_run=True)
        if dry_run or not any(astuple(found)):
            _print(found, "Would delete", as_json, is_dry=dry_run)
            return
        confirmed(f"Delete {_said(found)}?", yes)
        done, is_whole = _deleted(kept, what, by, sum(astuple(found)), quiet)
        if as_json or is_whole or any(astuple(done)):
            _print(done, "Deleted", as_json, is_dry=False)
    if not is_whole:
        print_text(Console(stderr=True), "Interrupted: the next prune deletes the rest.", "yellow")
        raise typer.Exit(INTERRUPTED)


def _deleted(
    store: Any, what: dict[str, Any], by: str | None, whole: int, quiet: bool
) -> tuple[Pruned, bool]:
    """Delete, and return what was, and whether that is all."""
    meter = TokenMeter("pruning", whole, "rows")
    done = Pruned()
    with shown(meter, None if quiet else Console(stderr=True)) as tick, patient() as check:

        def count(so_far: Pruned) -> None:
            nonlocal done
            done, meter.count = so_far, sum(astuple(so_far))
            tick()

        try:
            return store.prune(**what, by=by, on_batch=count, between=check), True
        except KeyboardInterrupt:
            return done, False


def _print(found: Pruned, verb: str, as_json: bool, is_dry: bool) -> None:
    if as_json:
        print_json({**plain(found), "dry_run": is_dry})
    elif any(astuple(found)):
        print_text(Console(), f"{verb} {_said(found)}.")
    else:
        print_text(Console(), "There is nothing to delete.")


def _said(found: Pruned) -> str:
    counts = {
        "run": found.runs,
        "token": found.tokens,
        "step": found.steps,
        "definition": found.definitions,
    }
    return ", ".join(count_of(number, what) for what, number in counts.items() if number)
