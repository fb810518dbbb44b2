"""The command ``wfengine check``: what is wrong with a definition, for people and for CI."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from wfengine.cli.definitions import Target, written
from wfengine.cli.options import FAILED, AsJson, users_errors
from wfengine.cli.printing import print_text, printable
from wfengine.cli.tables import count_of
from wfengine.definitions import Problem
from wfengine.definitions import check as problems_of
from wfengine.definitions.problems import ERROR, NOTE, SEVERITIES, WARNING
from wfengine.errors import WorkflowDefinitionError

__all__ = ["check"]

STYLES = {ERROR: "bold red", WARNING: "yellow", NOTE: "blue"}


def check(
    target: Target,
    strict: Annotated[
        bool, typer.Option("--strict", help="Let warnings count as errors do.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a workflow, without running it.

    In Python: wfengine.definitions.check(definition).

    [bold]Examples[/bold]

    wfengine check workflow.py:workflow

    wfengine check workflow.py:workflow --strict --json

    [bold]Exit status[/bold]

    0 when there is no error, 1 when there is one, or with --strict a warning, 2 when there is \
something wrong with the command or the file cannot be imported.
    """
    with users_errors():
        problems = _problems_of(target)
    counts = Counter(problem.severity for problem in problems)
    if as_json:
        for problem in problems:
            typer.echo(json.dumps(problem.as_data()))
    else:
        _print(problems, counts, target)
    if counts[ERROR] or (strict and counts[WARNING]):
        raise typer.Exit(FAILED)


def _problems_of(target: str) -> list[Problem]:
    """Return what is wrong; of a definition that a pattern has refused, that.

    :raises WorkflowDefinitionError: when it cannot be loaded for another reason.
    """
    try:
        definition = written(target)
    except WorkflowDefinitionError as error:
        if not isinstance(error.__cause__, WorkflowDefinitionError):
            raise
        advice = "mend it and check again: nothing else was looked at"
        return [Problem("refused", ERROR, "", "", None, error.message, advice)]
    return problems_of(definition)


def _print(problems: list[Problem], counts: Counter[str], target: str) -> None:
    console = Console()
    for problem in problems:
        console.print(_heading(problem), soft_wrap=True)
        print_text(console, f"    {problem.message}")
        print_text(console, f"    {problem.advice}", "dim")
    found = [count_of(counts[each], each) for each in SEVERITIES if counts[each]]
    print_text(console, f"{target}: {', '.join(found) or 'nothing is wrong with it'}")


def _heading(problem: Problem) -> Text:
    heading = Text(problem.severity, STYLES[problem.severity])
    place = f"{problem.path} at {problem.node}" if problem.node else "the definition"
    heading.append(f" {printable(place)}".replace("\n", "\\n"), "default")
    heading.append(f"  [{problem.rule}]", "dim")
    if problem.source:
        heading.append(f"  {printable(str(problem.source))}", "dim")
    return heading
