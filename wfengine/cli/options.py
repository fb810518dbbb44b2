"""What several commands share: options, exit statuses, and how users' mistakes are told."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from wfengine.cli.printing import print_error
from wfengine.errors import WorkflowAPIError, WorkflowError

__all__ = [
    "DEFAULT_STORE",
    "FAILED",
    "INTERRUPTED",
    "LARGEST",
    "USAGE",
    "Action",
    "AsJson",
    "By",
    "DryRun",
    "OfRun",
    "Quiet",
    "Run",
    "StoreOfTarget",
    "StoreUrl",
    "Target",
    "Yes",
    "confirmed",
    "console_command",
    "moment_before",
    "read_on_command",
    "recover_command",
    "resume_command",
    "seconds_of",
    "store_option",
    "users_errors",
]

FAILED = 1
USAGE = 2
INTERRUPTED = 130

LARGEST = 10**18
"""The largest number that can be typed: two of them together still are one for a database."""

DEFAULT_STORE = "sqlite:///runs.db"


def _named(by: str | None) -> str | None:
    if by is not None and not by.strip():
        raise typer.BadParameter("a name is wanted, and this one is empty")
    return by


StoreUrl = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="WFENGINE_STORE",
        metavar="URL",
        help="The database with the runs, as sqlite:///runs.db or postgresql+psycopg://host/name.",
    ),
]
StoreOfTarget = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="WFENGINE_STORE",
        metavar="URL",
        help="The database with the runs, as sqlite:///runs.db or postgresql+psycopg://host/name; "
        "by default that of a flow of steps, else sqlite:///runs.db.",
        show_default=False,
    ),
]
Action = Annotated[
    str | None,
    typer.Option("--action", "-a", help="Only tokens that halted for this.", show_default=False),
]
OfRun = Annotated[
    str | None,
    typer.Option("--run", metavar="UUID", help="Only tokens of this run.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON Lines.")]
Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="The workflow, as it was named for the run.")
]
Run = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="The uuid of a run, or how it begins; by default the latest run.",
        show_default=False,
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="NAME", callback=_named, help="Who does it.", show_default="the user"
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]

UNITS = {"s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
AGE = re.compile(r"(?P<number>\d{1,9}(\.\d{1,9})?) ?(?P<unit>s|min|h|d|w)")


def store_option(url: str) -> str:
    """Return what to type behind another command for it to find a store, led by a blank."""
    if url == (os.environ.get("WFENGINE_STORE") or DEFAULT_STORE):
        return ""
    from sqlalchemy import make_url

    return f" --store {shlex.quote(str(make_url(url)))}"


def resume_command(target: str, uuid: str, url: str) -> str:
    """Return what to type for a run to go on."""
    return f"wfengine resume {shlex.quote(target)} --run {uuid}{store_option(url)}"


def read_on_command(target: str, url: str) -> str:
    """Return what to type for the latest run of a target to read the rest of its input."""
    return f"wfengine run {shlex.quote(target)} --input FILE{store_option(url)} --resume"


def recover_command(target: str, url: str) -> str:
    """Return what to type for the runs of a target to go on whose owner died."""
    return f"wfengine recover {shlex.quote(target)}{store_option(url)}"


def console_command(target: str, url: str) -> str:
    """Return what to type for a console that knows a workflow."""
    return f"wfengine console {shlex.quote(target)}{store_option(url)}"


def seconds_of(age: str | None) -> float | None:
    """Return an age such as ``90s``, ``30min``, ``2h``, ``7d`` or ``4w`` in seconds.

    :raises WorkflowAPIError: for anything else.
    """
    if age is None:
        return None
    found = AGE.fullmatch(age.strip())
    if found is None:
        raise WorkflowAPIError(
            f"{age!r} is no age: write a number and s, min, h, d or w, such as 30min or 7d"
        )
    return float(found["number"]) * UNITS[found["unit"]]


def moment_before(age: str | None) -> float | None:
    """Return when something of an age was made, in seconds since 1970."""
    seconds = seconds_of(age)
    return None if seconds is None else time.time() - seconds


def confirmed(question: str, yes: bool) -> None:
    """Ask whether to go on, and end the command if not.

    :param yes: do not ask.
    :raises WorkflowAPIError: when there is nobody to ask.
    """
    if yes:
        return
    if not (sys.stdin is not None and sys.stdin.isatty()):
        raise WorkflowAPIError(f"{question} There is no terminal to ask on: say so with --yes")
    status = FAILED
    try:
        if typer.confirm(question, err=True):
            return
    except typer.Abort:  # Ctrl-C
        status = INTERRUPTED
        typer.echo(err=True)
    typer.echo("Nothing was changed.", err=True)
    raise typer.Exit(status)


@contextmanager
def users_errors() -> Iterator[None]:
    """Print what is wrong in one line, and end the command."""
    try:
        yield
    except WorkflowError as error:
        print_error(Console(stderr=True), str(error))
        raise typer.Exit(USAGE) from None
