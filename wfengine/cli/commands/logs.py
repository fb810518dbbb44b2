"""The command ``wfengine logs``: the steps of a run, as they are written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import Annotated, Any

import typer

from wfengine.cli.data import plain
from wfengine.cli.options import DEFAULT_STORE, INTERRUPTED, AsJson, Run, StoreUrl, users_errors
from wfengine.cli.printing import print_text
from wfengine.cli.stores import find_run, opened
from wfengine.cli.tables import local, print_json, span, table_console
from wfengine.status import WorkflowStatus

__all__ = ["logs"]

LOOK_EVERY = 0.5
"""Seconds between two looks at what is new."""

PAGE = 500


def logs(
    run: Run = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Begin with the last so many steps.")
    ] = 50,
    after: Annotated[
        int | None,
        typer.Option(
            "--after",
            min=0,
            metavar="ID",
            help="Print all steps after this one; 0 for all there are.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on printing until the run ends.")
    ] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Print the steps of a run and its branches, the oldest first.

    In Python: store.activity(uuid).

    [bold]Examples[/bold]

    wfengine logs

    wfengine logs 3f2a --follow

    wfengine logs 3f2a --after 0 --json --store sqlite:///runs.db > steps.jsonl

    [bold]Exit status[/bold]

    0; 2 when there is no such run, or something is wrong with the command; 130 after Ctrl-C.
    """
    try:
        with users_errors(), opened(store) as kept:
            console, uuid = table_console(), find_run(kept, run)
            for entry in _entries(kept, uuid, limit, after, follow):
                if as_json:
                    print_json(plain(entry))
                else:
                    print_text(console, _line(entry))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _entries(store: Any, uuid: str, limit: int, after: int | None, follow: bool) -> Iterator[Any]:
    last = after or 0
    if after is None:
        for entry in reversed(store.activity(uuid, limit=limit)):
            yield entry
            last = entry.id
    if after is None and not follow:
        return
    for look in count():
        if look:
            time.sleep(LOOK_EVERY)
        is_over = not follow or store.run(uuid).status is not WorkflowStatus.RUNNING
        while page := store.activity(uuid, after=last, limit=PAGE):
            yield from page
            last = page[-1].id
        if is_over:  # as it was before the last page was read
            return


def _line(entry: Any) -> str:
    what = f"{entry.path} {entry.task}" if entry.event == "task" else entry.event
    who = f" by {entry.who}" if entry.who else ""
    took = f" ({span(entry.seconds)})" if entry.event == "task" else ""
    message = " ".join(entry.message.split())
    said = f": {message}" if message else ""
    return f"{local(entry.moment)}  token {entry.token_id}  {what}, {entry.status}{who}{took}{said}"
