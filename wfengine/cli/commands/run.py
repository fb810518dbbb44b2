"""The command ``wfengine run``: what was typed is looked at, the rows are pushed, and reported."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import Enum
from typing import Annotated, Any, NoReturn

import typer
from attrs import field, frozen
from rich.console import Console

from wfengine.cli.formats import read
from wfengine.cli.options import FAILED, INTERRUPTED, USAGE
from wfengine.cli.outputs import OUTPUT_DIR
from wfengine.cli.printing import print_error
from wfengine.cli.progress import Meter, shown
from wfengine.cli.report import (
    print_ending,
    print_failures,
    print_run,
    print_summary,
    summary_data,
)
from wfengine.cli.running import Ending, create_engine, push
from wfengine.cli.sources import Format, Source
from wfengine.cli.tally import Tally
from wfengine.cli.tracebacks import users_traceback
from wfengine.definitions.loading import import_target
from wfengine.definitions.styles import compiled, is_of_style
from wfengine.errors import (
    StoreError,
    WorkflowAPIError,
    WorkflowDefinitionError,
    WorkflowError,
    WorkflowObjectStatusError,
)

__all__ = ["run"]


OUTPUT = "output"


class OnError(Enum):
    """What to do when a token fails or a row cannot be read."""

    CONTINUE = "continue"
    STOP = "stop"


class Checkpoint(Enum):
    """After what a stored run is written down."""

    TASK = "task"
    TOKEN = "token"  # noqa: S105 - no password
    HALT = "halt"


def run(  # noqa: PLR0913, PLR0917 - each is an option
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The workflow: path/to/file.py:attribute or package.module:attribute. The "
            "attribute is a list of tasks, a single task, an engine, or a flow.",
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
    ] = OUTPUT,
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
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            envvar="WFENGINE_STORE",
            metavar="URL",
            help="Keep the run in this database, as sqlite:///runs.db, so that it can go on after "
            "a halt, an error, Ctrl-C or a crash.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the latest run that is not over. Needs --store, but for a flow of "
            "steps that has a store.",
        ),
    ] = False,
    checkpoint: Annotated[
        Checkpoint,
        typer.Option("--checkpoint", help="With --store: after what the run is written down."),
    ] = Checkpoint.TOKEN,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what came of it as a JSON object.")
    ] = False,
) -> None:
    """Run a workflow over the rows of a file.

    Each row of a CSV file with a header row, and each object of a JSON Lines file, becomes a \
token. Tokens that fail and rows that cannot be read are counted, and shown at the end. The first \
Ctrl-C stops before the next task; with --store, the run can go on. In Python: eng.process(tokens).

    A flow of steps reads no rows: it is run once, and kept where it keeps its runs itself, or in \
--store. In Python: flow.run().

    [bold]Examples[/bold]

    wfengine run workflow.py:workflow --input rows.csv

    wfengine run package.module:workflow --input rows.jsonl --output results --limit 100

    zcat rows.csv.gz | wfengine run workflow.py:workflow --on-error stop

    wfengine run workflow.py:workflow --input rows.csv --store sqlite:///runs.db

    wfengine run workflow.py:workflow --input rows.csv --store sqlite:///runs.db --resume

    wfengine run steps.py:flow

    [bold]Exit status[/bold]

    0 when every token was processed or halted, 1 when a token, a row or a step failed, 2 when \
there is something wrong with the command, 130 after Ctrl-C.
    """
    command = RunCommand(
        target,
        input_,
        output,
        limit,
        quiet,
        on_error is OnError.STOP,
        format_,
        store,
        resume,
        checkpoint.value,
        as_json,
    )
    raise typer.Exit(command.execute())


@frozen
class RunCommand:
    """What was typed.

    :param input_: a path, or ``-``; None is standard input unless that is a terminal.
    :param store: the URL of a database, or None to keep the run in memory.
    """

    target: str
    input_: str | None
    output: str
    limit: int | None
    quiet: bool
    stop_on_error: bool
    format_: Format | None
    store: str | None
    resume: bool
    checkpoint: str
    as_json: bool
    errors: Console = field(init=False, factory=lambda: Console(stderr=True))

    def execute(self) -> int:
        """Run it, and return the exit status."""
        found = self._load()
        try:
            if _is_flow_of_steps(found):
                return self._run_flow(found)
            if self.resume and self.store is None:
                self._refuse("--resume goes on with a stored run; say where it is with --store URL")
            with closing(self._source()) as source, self._engine(found) as eng:
                eng.extra_data.setdefault(OUTPUT_DIR, self.output)
                return self._push(eng, source)
        except (StoreError, WorkflowAPIError) as error:
            self._refuse(str(error))
        except WorkflowDefinitionError as error:
            self._refuse(f"{self.target}: {error}")

    def _run_flow(self, flow: Any) -> int:
        from wfengine.cli.stepping import FlowRun

        about_rows = {
            "--input": self.input_ is not None,
            "--limit": self.limit is not None,
            "--format": self.format_ is not None,
            "--on-error": self.stop_on_error,
            "--output": self.output != OUTPUT,
            "--checkpoint": self.checkpoint != Checkpoint.TOKEN.value,
        }
        given = [option for option, is_given in about_rows.items() if is_given]
        if given:
            self._refuse(
                f"{self.target} is a flow of steps, which is run once and reads no rows: leave out "
                f"{', '.join(given)}"
            )
        command = FlowRun(flow, self.target, self.store, self.resume, self.quiet, self.as_json)
        if self.store is None:
            return command.execute()
        with _stores().opened(self.store, creates=not self.resume) as store:
            flow.keep_in(store)
            return command.execute()

    def _load(self) -> Any:
        """Return what the target names: a flow of steps itself, of another style the definition."""
        try:
            _, found = import_target(self.target)
            return found if _is_flow_of_steps(found) else compiled(found)
        except WorkflowDefinitionError as error:
            cause = error.__cause__
            if isinstance(cause, Exception) and not isinstance(cause, WorkflowError):
                typer.echo(users_traceback(cause), err=True)
            self._refuse(str(error))

    def _source(self) -> Source:
        path = self.input_
        if path is None and sys.stdin is not None and sys.stdin.isatty():
            self._refuse("there is nothing to read; give --input FILE, or --input - to type rows")
        try:
            return Source.open(path or "-")
        except OSError as error:
            self._refuse(f"cannot read {path or 'standard input'}: {error.strerror or error}")

    @contextmanager
    def _engine(self, found: Any) -> Iterator[Any]:
        if self.store is None:
            yield create_engine(found)
            return
        stores = _stores()
        with stores.opened(self.store, creates=not self.resume) as store:
            if self.resume:
                uuid = stores.latest_unfinished(store, self.target)
                yield stores.take_up(store, self.target, uuid)
            else:
                yield stores.begin(store, self.target, self.checkpoint, self.output)

    def _push(self, eng: Any, source: Source) -> int:
        meter = Meter(source, Tally(), self.limit)
        stored = len(eng.objects) if self.resume else 0
        for token in eng.recorder.store.halted(eng.uuid) if self.resume else ():
            if token.action:  # without one it goes on
                meter.tally.waiting(token.action, token.message or "")
        with shown(meter, None if self.quiet else self.errors) as tick:
            try:
                ending = push(
                    eng,
                    read(source, self.format_),
                    meter.tally,
                    tick,
                    limit=self.limit,
                    stop_on_error=self.stop_on_error,
                    resumes=self.resume,
                )
            except WorkflowObjectStatusError as error:
                self._refuse(_stores().why_not(eng, error, str(self.store)))
        if self.as_json:
            typer.echo(json.dumps(summary_data(meter, eng, ending), default=str))
        elif not self.quiet:
            print_summary(Console(), meter, eng.extra_data, ending, stored)
            if self.store is not None:
                goes_on = ending in (Ending.FAILED, Ending.INTERRUPTED)
                goes_on = goes_on or _stores().needs_input(eng)
                print_run(Console(), eng, self.store, goes_on)
        print_failures(self.errors, meter.tally)
        print_ending(self.errors, meter.tally, ending)
        if ending is Ending.INTERRUPTED:
            return INTERRUPTED
        return FAILED if meter.tally.failed else 0

    def _refuse(self, problem: str) -> NoReturn:
        print_error(self.errors, problem)
        raise typer.Exit(USAGE)


def _is_flow_of_steps(found: Any) -> bool:
    if not is_of_style(found):
        return False
    from wfengine.steps import Sequent

    return isinstance(found, Sequent)


def _stores() -> Any:
    """Return what knows of stores; importing it takes longer than a short run without one."""
    from wfengine.cli import stores

    return stores
