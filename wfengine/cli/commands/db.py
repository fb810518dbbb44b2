"""The commands ``wfengine db``: the tables of a store."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console

from wfengine.cli.data import plain
from wfengine.cli.options import DEFAULT_STORE, AsJson, StoreUrl, users_errors
from wfengine.cli.stores import is_missing, opened
from wfengine.cli.tables import print_json

__all__ = ["db"]

db = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Make, upgrade and look at the tables of a store.",
)


def _show_schema(kept: Any, console: Console, as_json: bool = False) -> None:
    info = kept.schema_info()
    if as_json:
        print_json({"store": str(kept), **plain(info), "is_current": info.is_current})
        return
    if not info.tables:
        console.print(f"{kept} has no tables yet: wfengine db init", soft_wrap=True)
        return
    state = "current" if info.is_current else "to be upgraded with: wfengine db upgrade"
    revision = f"revision {info.revision or 'none'} of {info.newest}"
    console.print(f"{kept}: {revision}, {state}", soft_wrap=True)


@db.command()
def init(store: StoreUrl = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Make the tables, unless they are there.

    In Python: store.prepare().

    [bold]Examples[/bold]

    wfengine db init --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0; 2 when there is something wrong with the command, or the database does not do it.
    """
    with users_errors(), opened(store, creates=True) as kept:
        kept.prepare()
        _show_schema(kept, Console(), as_json)


@db.command()
def upgrade(store: StoreUrl = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Bring the tables to what this version works with.

    Make a backup before. In Python: store.upgrade().

    [bold]Examples[/bold]

    wfengine db upgrade --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0, also when there is nothing to do; 2 when there is something wrong with the command, or the \
database does not do it.
    """
    with users_errors(), opened(store, creates=True) as kept:
        applied = kept.upgrade()
        if as_json:
            print_json({"applied": applied})
            return
        Console().print(f"Applied: {', '.join(applied) or 'nothing'}.")


@db.command()
def info(store: StoreUrl = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Say of which revision the tables are.

    In Python: store.schema_info().

    [bold]Examples[/bold]

    wfengine db info --store sqlite:///runs.db --json

    [bold]Exit status[/bold]

    0, whatever the revision is; 2 when there is something wrong with the command.
    """
    with users_errors():
        if is_missing(store):  # looking would make the file
            with opened("sqlite://", creates=True) as empty:
                found = {**plain(empty.schema_info()), "is_current": False}
            if as_json:
                print_json({"store": store, **found})
            else:
                Console().print(f"{store} has no tables yet: wfengine db init", soft_wrap=True)
            return
        with opened(store, creates=True) as kept:
            _show_schema(kept, Console(), as_json)
