"""The command ``wfengine audit``: what people did."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from wfengine.cli.data import plain
from wfengine.cli.options import DEFAULT_STORE, AsJson, OfRun, StoreUrl, users_errors
from wfengine.cli.stores import find_run, opened
from wfengine.cli.tables import local, print_json_lines, print_table, table_console
from wfengine.errors import UnknownRunError

__all__ = ["audit"]


def audit(
    run: OfRun = None,
    token: Annotated[
        int | None,
        typer.Option("--token", "-t", help="Only what was done to this token.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Show so many.")] = 20,
    before: Annotated[
        int | None,
        typer.Option(
            "--before",
            metavar="ID",
            help="Only what was done before the entry with this id.",
            show_default=False,
        ),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Show what people did, the latest first, also to runs that are deleted by now.

    In Python: store.audit().

    [bold]Examples[/bold]

    wfengine audit

    wfengine audit --run 3f2a9c1e-0000-4000-8000-000000000000 --json --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0, also when there is nothing; 2 when there is something wrong with the command.
    """
    with users_errors(), opened(store) as kept:
        uuid = None if run is None else _uuid(kept, run)
        found = kept.audit(uuid=uuid, token_id=token, limit=limit, before=before)
        if as_json:
            print_json_lines(map(plain, found))
            return
        console = table_console()
        if not found:
            console.print("Nothing was done by anybody.")
            return
        print_table(
            console, ("id>", "when", "who", "action", "run", "token>", "details"), map(_row, found)
        )


def _uuid(store: Any, text: str) -> str:
    """Return the uuid of a run; one that is deleted has to be written in full."""
    try:
        return find_run(store, text)
    except UnknownRunError:
        return text


def _row(entry: Any) -> tuple[Any, ...]:
    details = ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in entry.details.items()
        if value is not None
    )
    run = (entry.uuid or "")[:8]
    return entry.id, local(entry.at), entry.who, entry.action, run, entry.token_id, details
