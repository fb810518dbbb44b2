"""The command ``wfengine restart``: a stored run goes back, and runs again from there."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer

from wfengine.cli.going_on import GoingOn, noted
from wfengine.cli.options import AsJson, By, Quiet, StoreOfTarget, Target, users_errors
from wfengine.cli.stores import failed_count, find_run, latest_run, opened, store_of, take_up
from wfengine.cli.tables import print_json_lines

__all__ = ["restart"]


class Point(Enum):
    """A token, or a task, relative to where the run stands."""

    PREV = "prev"
    CURRENT = "current"
    NEXT = "next"
    FIRST = "first"


def restart(  # noqa: PLR0913, PLR0917 - each is an option
    target: Target,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Which run, or how its uuid begins; by default the latest of this workflow.",
            show_default=False,
        ),
    ] = None,
    token: Annotated[
        Point, typer.Option("--token", "-t", help="At which token, from where the run stands.")
    ] = Point.FIRST,
    task: Annotated[
        Point, typer.Option("--task", help="At which of its tasks, from where it stands.")
    ] = Point.FIRST,
    failure: Annotated[
        str | None,
        typer.Option(
            "--failure",
            metavar="FINGERPRINT",
            help="Only the tokens that failed so, at their first task; wfengine show tells.",
            show_default=False,
        ),
    ] = None,
    by: By = None,
    quiet: Quiet = False,
    store: StoreOfTarget = None,
    as_json: AsJson = False,
) -> None:
    """Run a stored run again, by default from its first token and task.

    Tokens that are done are run again, too, with their data as they are now. `wfengine resume` \
goes on without that. In Python: eng.restart("first", "first").

    [bold]Examples[/bold]

    wfengine restart workflow.py:workflow

    wfengine restart workflow.py:workflow --run 3f2a --token current --task next

    wfengine restart workflow.py:workflow --failure 70e860a3a303250196f724d391c82533

    [bold]Exit status[/bold]

    0 when it ran, 1 when a token failed or an error ended it, 2 when there is something wrong \
with the command, 130 after Ctrl-C.
    """
    with users_errors(), opened(url := store_of(target, store)) as kept:
        going = GoingOn(url, target, quiet, as_json)
        uuid = find_run(kept, run) if run else latest_run(kept, target)
        eng = take_up(kept, target, uuid)
        status = going.run(
            eng, lambda: _go(kept, eng, (token, task), failure, by), _whole(eng, token, failure)
        )
        if as_json:
            print_json_lines(going.results)
    raise typer.Exit(status)


def _go(store: Any, eng: Any, at: tuple[Point, Point], failure: str | None, by: str | None) -> None:
    if failure is not None:
        store.resume_failures(eng.uuid, failure, how="restart", by=by, engine=eng)
        return
    token, task = (point.value for point in at)
    with noted(eng, "restart", by, token=token, task=task):
        eng.restart(token, task, stop_on_error=False, stop_on_halt=False)


def _whole(eng: Any, token: Point, failure: str | None) -> int | None:
    """Return how many tokens there are to run."""
    if failure is not None:
        return failed_count(eng.run_store, eng.uuid, failure)
    summary = eng.run_store.summary(eng.uuid)
    gone = 0 if token is Point.FIRST else max(eng.state.token_pos, 0)
    return summary.total - gone if summary.is_complete_input else None
