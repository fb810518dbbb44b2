"""The command ``wfengine stop``: a run stops at its next checkpoint, wherever it is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from wfengine.cli.data import plain
from wfengine.cli.options import DEFAULT_STORE, FAILED, AsJson, By, StoreUrl, users_errors
from wfengine.cli.printing import print_text
from wfengine.cli.stores import find_run, opened
from wfengine.cli.tables import local, print_json
from wfengine.status import WorkflowStatus

__all__ = ["stop"]


def stop(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The uuid of a run, or how it begins.")],
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            min=0,
            metavar="SECONDS",
            help="How long to wait until it has; by default as long as a lease lasts.",
            show_default=False,
        ),
    ] = None,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Ask a run to stop before its next task, and wait until it has. It can be resumed.

    In Python: store.stop(uuid).

    [bold]Examples[/bold]

    wfengine stop 3f2a

    wfengine stop 3f2a --wait 5 --by alice --store postgresql+psycopg://host/runs

    [bold]Exit status[/bold]

    0 when nobody has the run any more, 1 when somebody still has, 2 when there is no such run, or \
something is wrong with the command.
    """
    with users_errors(), opened(store) as kept:
        uuid = find_run(kept, run)
        was_running = kept.summary(uuid).is_live
        found = kept.stop(uuid, by=by, wait=wait)
        if as_json:
            print_json(plain(found))
        else:
            _print(Console(), found, was_running)
    if not found.is_stopped:
        raise typer.Exit(FAILED)


def _print(console: Console, found: object, was_running: bool) -> None:
    stopped = plain(found)
    status = found.status  # type: ignore[attr-defined]
    if stopped["is_stopped"]:
        has_stopped = was_running and status is WorkflowStatus.HALTED
        said = "was stopped" if has_stopped else "is not running"
        print_text(console, f"Run {stopped['uuid']} {said}: it is {status.label.lower()}.")
        return
    print_text(console, f"Run {stopped['uuid']} was asked to stop, and has not yet.")
    for task in found.running:  # type: ignore[attr-defined]
        print_text(
            console,
            f"  {stopped['owner']} is at {task.task}, token {task.token}, "
            f"since {local(task.since)}",
        )
