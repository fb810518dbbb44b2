"""The commands: they read what was typed, call the library, and print what came of it."""

from __future__ import annotations

import sys
from contextlib import closing
from enum import Enum
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from wfengine import __version__
from wfengine.cli.formats import read
from wfengine.cli.outputs import OUTPUT_DIR
from wfengine.cli.progress import Meter, shown
from wfengine.cli.report import print_error, print_failures, print_summary
from wfengine.cli.running import Ending, create_engine, push
from wfengine.cli.sources import Format, Source
from wfengine.cli.tally import Tally
from wfengine.cli.tracebacks import users_traceback
from wfengine.definitions import load
from wfengine.errors import WorkflowDefinitionError, WorkflowError

__all__ = ["app"]

FAILED = 1
USAGE = 2
INTERRUPTED = 130

RUN_HELP = """\
Run a workflow over the rows of a file.

Each row of a CSV file with a header row, and each object of a JSON Lines file, becomes a token. \
Tokens that fail and rows that cannot be read are counted, and shown at the end.

[bold]Examples[/bold]

wfengine run workflow.py:workflow --input rows.csv

wfengine run package.module:workflow --input rows.jsonl --output results --limit 100

zcat rows.csv.gz | wfengine run workflow.py:workflow --on-error stop

[bold]Exit status[/bold]

0 when every token was processed or halted, 1 when a token or a row failed, 2 when there is \
something wrong with the command, 130 after Ctrl-C.
"""

app = typer.Typer(
    name="wfengine",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


class OnError(Enum):
    """What to do when a token fails or a row cannot be read."""

    CONTINUE = "continue"
    STOP = "stop"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wfengine {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Push tokens through workflows."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


@app.command(help=RUN_HELP)
def run(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The workflow: path/to/file.py:attribute or package.module:attribute. The "
            "attribute is a list of tasks, a single task, or an engine.",
            show_default=False,
        ),
    ],
    input_: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="What to read; - is standard input, which is also the default.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Where the workflow writes.")
    ] = "output",
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help="Read so many rows at most.", show_default=False),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    on_error: Annotated[
        OnError,
        typer.Option("--on-error", help="What to do when a token fails or a row cannot be read."),
    ] = OnError.CONTINUE,
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="How the input is written. By default the file name's suffix tells, or else the "
            "first character.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a workflow over the rows of a file."""
    errors = Console(stderr=True)
    eng = _engine(target, errors)
    eng.extra_data[OUTPUT_DIR] = output
    with closing(_source(input_, errors)) as source:
        meter = Meter(source, Tally(), limit)
        try:
            with shown(meter, None if quiet else errors) as tick:
                ending = push(
                    eng,
                    read(source, format_),
                    meter.tally,
                    tick,
                    limit=limit,
                    stop_on_error=on_error is OnError.STOP,
                )
        except WorkflowDefinitionError as error:
            _refuse(errors, f"{target}: {error}")
    if not quiet:
        print_summary(Console(), meter, eng.extra_data, ending)
    print_failures(errors, meter, ending)
    raise typer.Exit(_status(meter.tally, ending))


def _engine(target: str, errors: Console) -> Any:
    try:
        found = load(target)
    except WorkflowDefinitionError as error:
        cause = error.__cause__
        if isinstance(cause, Exception) and not isinstance(cause, WorkflowError):
            typer.echo(users_traceback(cause), err=True)
        _refuse(errors, str(error))
    try:
        return create_engine(found)
    except WorkflowDefinitionError as error:
        _refuse(errors, f"{target}: {error}")


def _source(path: str | None, errors: Console) -> Source:
    if path is None and sys.stdin is not None and sys.stdin.isatty():
        _refuse(errors, "there is nothing to read; give --input FILE, or --input - to type rows")
    try:
        return Source.open(path or "-")
    except OSError as error:
        _refuse(errors, f"cannot read {path or 'standard input'}: {error.strerror or error}")


def _status(tally: Tally, ending: Ending) -> int:
    if ending is Ending.INTERRUPTED:
        return INTERRUPTED
    return FAILED if tally.failed else 0


def _refuse(errors: Console, problem: str) -> NoReturn:
    print_error(errors, problem)
    raise typer.Exit(USAGE)
