"""The command ``wfengine halted``: what waits for a decision."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from wfengine.cli.data import waiting_data
from wfengine.cli.options import DEFAULT_STORE, Action, AsJson, OfRun, StoreUrl, users_errors
from wfengine.cli.stores import find_run, opened
from wfengine.cli.tables import print_json_lines, print_table, table_console

__all__ = ["halted"]

SHOWN_TOKENS = 20


def halted(
    store: StoreUrl = DEFAULT_STORE,
    action: Action = None,
    run: OfRun = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Show so many.")
    ] = SHOWN_TOKENS,
    as_json: AsJson = False,
) -> None:
    """List the tokens that wait for a decision, the oldest first.

    With [bold]--json[/bold] all of them are listed, each with its data. In Python: store.halted().

    [bold]Examples[/bold]

    wfengine halted

    wfengine halted --action "identify airport" --json --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0, also when none waits; 2 when there is something wrong with the command.
    """
    with users_errors(), opened(store) as kept:
        found = kept.halted(find_run(kept, run) if run else None, action=action)
        if as_json:
            print_json_lines(map(waiting_data, found))
            return
        console = table_console()
        count = len(found)
        if not count:
            console.print("No token waits for a decision.")
            return
        print_table(console, COLUMNS, map(_row, islice(found, limit)))
        if count > limit:
            console.print(f"and {count - limit:,} more; --limit shows more of them")


COLUMNS = ("token>", "since", "action", "message")


def _row(token: Any) -> tuple[Any, ...]:
    since = f"{token.since.astimezone():%Y-%m-%d %H:%M}" if token.since else ""
    return token.id, since, token.action, token.message
