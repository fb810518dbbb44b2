"""The command ``wfengine delete``: runs go, with all that belongs to them."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Console

from wfengine.cli.data import plain
from wfengine.cli.going_on import patient
from wfengine.cli.options import (
    DEFAULT_STORE,
    FAILED,
    INTERRUPTED,
    AsJson,
    By,
    DryRun,
    StoreUrl,
    Yes,
    confirmed,
    store_option,
    users_errors,
)
from wfengine.cli.printing import print_error, print_text
from wfengine.cli.progress import TokenMeter, shown
from wfengine.cli.stores import find_run, opened
from wfengine.cli.tables import count_of, print_json_lines
from wfengine.errors import LeaseHeldError, UnknownRunError

__all__ = ["delete"]


def delete(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN", help="The uuids of runs, or how they begin.")
    ],
    yes: Yes = False,
    dry_run: DryRun = False,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Delete runs with their branches, tokens and history.

    A run that somebody has is left alone: stop it first. What was written elsewhere, files for \
instance, stays. Ctrl-C stops after the run that is being deleted; a second one breaks that off, \
and the same command for that run deletes the rest. In Python: store.delete(uuid).

    [bold]Examples[/bold]

    wfengine delete 3f2a

    wfengine delete 3f2a 77c1 --yes --by alice --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0 when they are deleted, 1 when one is not, because somebody has it or you said no, 2 when \
there is no such run, or something is wrong with the command, 130 after Ctrl-C.
    """
    deleted: list[dict[str, Any]] = []
    said: list[str] = []
    errors, failed = Console(stderr=True), 0
    with users_errors(), opened(store) as kept:
        found = [kept.summary(uuid) for uuid in dict.fromkeys(find_run(kept, run) for run in runs)]
        if not dry_run:
            confirmed(f"Delete {_named(found)}?", yes)
        left, meter = list(found), TokenMeter("deleting", sum(run.total for run in found))
        watcher = None if dry_run else errors
        with shown(meter, watcher) as tick, patient() as check, suppress(KeyboardInterrupt):
            while left:
                check()
                run, counts = left[0], {"tokens": left[0].total}
                try:
                    if not dry_run:
                        counts = plain(kept.delete(run.uuid, by=by))
                except (LeaseHeldError, UnknownRunError) as error:
                    failed += 1
                    print_error(errors, str(error))
                else:
                    whose = {"run": run.uuid, "name": run.name, "dry_run": dry_run}
                    deleted.append({**whose, **counts})
                    said.append(f"{'Would delete' if dry_run else 'Deleted'} {_named([run])}.")
                del left[0]
                meter.count += run.total
                tick()
    if as_json:
        print_json_lines(deleted)
    else:
        for line in said:
            print_text(Console(), line)
    if left:
        rest = f"wfengine delete {' '.join(run.uuid for run in left)}{store_option(store)}"
        print_text(errors, f"Interrupted: {rest} deletes the rest.", "yellow")
        raise typer.Exit(INTERRUPTED)
    if failed:
        raise typer.Exit(FAILED)


def _named(found: list[Any]) -> str:
    tokens = count_of(sum(run.total for run in found), "token")
    if len(found) == 1:
        return f"run {found[0].uuid} of {found[0].name}, with {tokens}"
    return f"{len(found):,} runs, with {tokens}"
