"""How commands print what they have found: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wfengine.cli.printing import printable

__all__ = [
    "age",
    "away",
    "count_of",
    "local",
    "print_json",
    "print_json_lines",
    "print_table",
    "span",
    "table_console",
    "waiting_count",
]

WIDEST = 10_000
"""How wide a table may be where it is read by a program."""

UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def table_console() -> Console:
    """Return a console whose tables are not cut for a terminal that is not there."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDEST)


def print_table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as text in which nothing can steer the terminal.

    :param columns: the headings; one that ends with ``>`` is of numbers, to the right.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = column.endswith(">")
        justify: Any = "right" if is_number else "left"
        table.add_column(column.rstrip(">"), justify=justify, no_wrap=is_number)
    for row in rows:
        table.add_row(*(Text(printable("" if cell is None else str(cell))) for cell in row))
    console.print(table)


def print_json_lines(found: Iterable[dict[str, Any]]) -> None:
    """Print a JSON object on each line."""
    for each in found:
        typer.echo(json.dumps(each, default=str))


def print_json(found: dict[str, Any]) -> None:
    """Print one JSON object."""
    print_json_lines([found])


def local(moment: datetime | None) -> str:
    """Return a time as people here write it."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment else ""


def age(moment: datetime | None) -> str:
    """Return how long ago a time was."""
    return span((datetime.now(UTC) - moment).total_seconds()) if moment else ""


def away(moment: datetime) -> str:
    """Return how long it is until a time, or since it."""
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def span(seconds: float | None) -> str:
    """Return a duration with one unit.

    >>> span(0.00012), span(0.25), span(42), span(5400), span(200_000)
    ('0.12 ms', '250 ms', '42 s', '1.5 h', '2.3 d')
    """
    if seconds is None:
        return ""
    seconds = max(seconds, 0.0)
    for length, unit in UNITS:
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.3g} ms" if seconds else "0 s"


def count_of(number: int, what: str) -> str:
    """Return a number with what it counts.

    >>> count_of(1, "token"), count_of(2000, "token")
    ('1 token', '2,000 tokens')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def waiting_count(number: int) -> str:
    """Return how many tokens wait, as the beginning of a sentence.

    >>> waiting_count(1), waiting_count(2000)
    ('1 token waits', '2,000 tokens wait')
    """
    return f"{count_of(number, 'token')} wait{'s' if number == 1 else ''}"
