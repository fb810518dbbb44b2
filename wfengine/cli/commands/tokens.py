"""The command ``wfengine tokens``: the tokens of a run."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import islice
from typing import Annotated, Any

import typer

from wfengine.cli.data import token_data
from wfengine.cli.options import DEFAULT_STORE, AsJson, Run, StoreUrl, users_errors
from wfengine.cli.stores import find_run, opened
from wfengine.cli.tables import local, print_json_lines, print_table, table_console
from wfengine.status import ObjectStatus

__all__ = ["tokens"]

Status = Enum(
    "Status",
    {
        "INITIAL": "new",
        "RUNNING": "running",
        "HALTED": "halted",
        "ERROR": "error",
        "COMPLETED": "done",
    },
)
"""The statuses as they are typed."""


def tokens(
    run: Run = None,
    status: Annotated[
        Status | None,
        typer.Option("--status", "-s", help="Only tokens with this status.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Show so many.")] = 20,
    offset: Annotated[
        int, typer.Option("--offset", min=0, help="Leave out the first so many.")
    ] = 0,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """List the tokens of a run, in their order.

    With [bold]--json[/bold] each has its data, and what it waits for or why it failed. In Python: \
store.tokens(uuid).

    [bold]Examples[/bold]

    wfengine tokens

    wfengine tokens 3f2a --status error --json --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0, also when there is none; 2 when there is no such run, or something is wrong with the command.
    """
    with users_errors(), opened(store) as kept:
        found = kept.tokens(find_run(kept, run), ObjectStatus[status.name] if status else None)
        page: Iterator[Any] = islice(found[offset : offset + limit], limit)
        if as_json:
            print_json_lines(map(token_data, page))
            return
        console, total = table_console(), len(found)
        if offset >= total:
            console.print("No tokens." if not total else f"No more than {total:,} tokens.")
            return
        print_table(
            console, ("token>", "number>", "status", "at", "since", "what"), map(_row, page)
        )
        if total > offset + limit:
            left = total - offset - limit
            console.print(f"and {left:,} more; --limit and --offset show them", highlight=False)


def _row(token: Any) -> tuple[Any, ...]:
    status = token.status.label.lower() if token.status else "damaged"
    return token.id, token.token_pos, status, token.path, local(token.since), _what(token)


def _what(token: Any) -> str:
    """Return what is to be said about a token, in one line."""
    if token.damage:
        return str(token.damage)
    error = token.error if token.status is ObjectStatus.ERROR else None
    if error:
        return ": ".join(str(error[key]) for key in ("type", "message") if error.get(key))
    said = ": ".join(part for part in (token.action, token.message) if part)
    return " ".join(said.split())
