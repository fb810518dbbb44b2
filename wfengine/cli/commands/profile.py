"""The command ``wfengine profile``: where the time of a run goes."""

from __future__ import annotations

from typing import Annotated

import typer

from wfengine.cli.data import plain
from wfengine.cli.options import DEFAULT_STORE, AsJson, Run, StoreUrl, users_errors
from wfengine.cli.stores import find_run, opened
from wfengine.cli.tables import print_json, print_table, span, table_console

__all__ = ["profile"]


def profile(
    run: Run = None,
    last: Annotated[
        int, typer.Option("--last", min=1, help="Look at about so many of its last steps.")
    ] = 10_000,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="Name so many of the slowest tokens.")
    ] = 5,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Show how long each task of a run took, its share of the total, and the slowest tokens.

    A task that waits for branches takes as long as they do, and they are counted as well. In \
Python: store.timings(uuid) and store.slowest(uuid).

    [bold]Examples[/bold]

    wfengine profile

    wfengine profile 3f2a --last 100000 --json --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0; 2 when there is no such run, or something is wrong with the command.
    """
    with users_errors(), opened(store) as kept:
        uuid = find_run(kept, run)
        tasks, slowest = kept.timings(uuid, last), kept.slowest(uuid, limit, last)
    if as_json:
        print_json({"run": uuid, "tasks": [*map(plain, tasks)], "tokens": [*map(plain, slowest)]})
        return
    console = table_console()
    if not tasks:
        console.print(f"Run {uuid} has done nothing yet.", highlight=False)
        return
    rows = (
        (
            task.place,
            task.name,
            f"{task.count:,}",
            span(task.total),
            f"{task.share:.0%}",
            span(task.mean),
            span(task.max),
            f"{task.failures:,}" if task.failures else "",
        )
        for task in tasks
    )
    headings = ("at", "task", "runs>", "total>", "share>", "mean>", "longest>", "failures>")
    print_table(console, headings, rows)
    if slowest:
        console.print()
        print_table(
            console,
            ("slowest token>", "steps>", "total>", "longest task"),
            ((each.token_id, each.steps, span(each.seconds), each.longest) for each in slowest),
        )
