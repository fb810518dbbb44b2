"""The command ``wfengine list``: the runs in a store."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import typer
from rich.console import Console

from wfengine.cli.data import run_data
from wfengine.cli.options import (
    DEFAULT_STORE,
    Action,
    AsJson,
    StoreUrl,
    moment_before,
    users_errors,
)
from wfengine.cli.printing import print_text
from wfengine.cli.stores import opened
from wfengine.cli.tables import age, local, print_json_lines, print_table, table_console
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.listing import styles

__all__ = ["list_"]

UUID_SHOWN = 8

Status = Enum("Status", {each.name: each.name.lower() for each in WorkflowStatus})  # type: ignore[misc]
"""The statuses as they are typed."""


def list_(  # noqa: PLR0913, PLR0917 - each is an option
    status: Annotated[
        list[Status] | None,
        typer.Option("--status", "-s", help="Only runs with this status; may be repeated."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Only runs of this name.", show_default=False)
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            "--search", help="A part of the name, or how the uuid begins.", show_default=False
        ),
    ] = None,
    action: Action = None,
    style: Annotated[
        str | None,
        typer.Option(
            "--style",
            help="Only runs that this way of writing workflows began: flow, steps.",
            show_default=False,
        ),
    ] = None,
    newer_than: Annotated[
        str | None,
        typer.Option(
            "--newer-than",
            metavar="AGE",
            help="Only runs begun in the last 2h, 7d ...",
            show_default=False,
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE",
            help="Only runs begun longer ago than that.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            help="By created, started, finished, name, status or tokens; with - before it, the "
            "other way round.",
        ),
    ] = "-created",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Show so many.")] = 20,
    offset: Annotated[
        int, typer.Option("--offset", min=0, help="Leave out the first so many.")
    ] = 0,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """List the runs in a store, the latest first.

    In Python: store.runs().

    [bold]Examples[/bold]

    wfengine list

    wfengine list --status halted --status error --newer-than 7d

    wfengine list --action approve --json --store sqlite:///runs.db

    wfengine list --style flow --status new

    [bold]Exit status[/bold]

    0, also when there is none; 2 when there is something wrong with the command.
    """
    with users_errors(), opened(store) as kept:
        page = kept.runs(
            status=[WorkflowStatus[each.name] for each in status] if status else None,
            name=name,
            search=search,
            action=action,
            style=style,
            since=moment_before(newer_than),
            until=moment_before(older_than),
            sort=sort,
            offset=offset,
            limit=limit,
        )
        if as_json:
            print_json_lines(map(run_data, page.items))
            return
        console = table_console()
        if not page.items:
            text = f"No more than {page.total:,} runs." if page.total else _nothing(kept, style)
            print_text(console, text)
            return
        _print_runs(console, page.items)
        left = page.total - offset - len(page.items)
        if left > 0:
            console.print(f"and {left:,} more; --limit and --offset show them", highlight=False)


COLUMNS = (
    "run",
    "name",
    "style",
    "status",
    "due",
    "tokens>",
    "done>",
    "halted>",
    "failed>",
    "age>",
    "owner",
)
OF_SOME = ("style", "due")
"""Columns that are left out where none of the runs has such a thing."""


def _print_runs(console: Console, runs: Sequence[Any]) -> None:
    left_out = [name for name in OF_SOME if all(getattr(run, name) is None for run in runs)]
    shown = [place for place, name in enumerate(COLUMNS) if name not in left_out]
    rows = ([row[place] for place in shown] for row in map(_row, runs))
    print_table(console, [COLUMNS[place] for place in shown], rows)


def _row(run: Any) -> tuple[Any, ...]:
    return (
        run.uuid[:UUID_SHOWN],
        run.name,
        run.style,
        run.status.label.lower() if run.status else "damaged",
        local(run.due),
        f"{run.total:,}" + ("" if run.is_complete_input else "+"),
        f"{run.done:,}" + (f" ({run.fraction:.0%})" if run.fraction is not None else ""),
        _number(run.counts.get(ObjectStatus.HALTED)),
        _number(run.counts.get(ObjectStatus.ERROR)),
        age(run.created),
        run.owner if run.is_live else "",
    )


def _nothing(store: Any, style: str | None) -> str:
    """Return that there is no run, and, where a style was asked for, which ones there are."""
    known = styles(store) if style is not None else []
    if not known or style in known:
        return "No runs."
    return f"No runs: none is of the style {style!r}, but of {', '.join(known)}."


def _number(count: int | None) -> str:
    return f"{count:,}" if count else ""
