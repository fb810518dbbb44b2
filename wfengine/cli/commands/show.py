"""The command ``wfengine show``: where a run stands."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from attrs import asdict
from rich.console import Console

from wfengine.cli.data import plain, run_data
from wfengine.cli.options import (
    DEFAULT_STORE,
    Run,
    StoreUrl,
    recover_command,
    resume_command,
    store_option,
    users_errors,
)
from wfengine.cli.outlines import Line, outline_lines
from wfengine.cli.printing import print_text
from wfengine.cli.stores import find_run, opened
from wfengine.cli.tables import (
    age,
    away,
    count_of,
    local,
    print_json,
    span,
    table_console,
    waiting_count,
)
from wfengine.definitions import registry
from wfengine.definitions.loading import is_target
from wfengine.drawing.states import nearest_node
from wfengine.status import ObjectStatus

__all__ = ["show"]

SHOWN_FAILURES = 5
SHOWN_LINES = 200

STANDING = ("failed", "halted", "running", "waiting")
"""What is said of the tokens that are at a task."""


def show(
    run: Run = None,
    definition: Annotated[
        str | None,
        typer.Option(
            "--definition",
            "-d",
            metavar="TARGET",
            help="The workflow, to draw the outline from; by default from what is registered, or "
            "was stored.",
            show_default=False,
        ),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Show a run: its status, its tokens, where in the definition they stand, what went wrong.

    In Python: store.summary(uuid), store.live(uuid), store.failures(uuid).

    [bold]Examples[/bold]

    wfengine show

    wfengine show 3f2a --definition workflow.py:workflow

    wfengine show 3f2a --json --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0; 2 when there is no such run, or something is wrong with the command.
    """
    with users_errors(), opened(store) as kept:
        uuid = find_run(kept, run)
        found, failures = kept.summary(uuid), kept.failures(uuid)
        lines = outline_lines(kept, uuid, definition)
        if as_json:
            print_json(_data(found, kept.places(uuid), failures, lines))
            return
        console = table_console()
        _print_run(console, found, store)
        _print_failures(console, failures)
        _print_outline(console, lines)
        waiting = len(kept.halted(uuid))
        if waiting:
            print_text(
                console,
                f"{waiting_count(waiting)} for a decision: "
                f"wfengine halted --run {uuid}{store_option(store)}",
                "yellow",
            )


def _data(found: Any, places: Any, failures: Any, lines: list[Line]) -> dict[str, Any]:
    tokens = _tokens_by_line(places, {line.path for line in lines if line.path})
    return {
        **run_data(found),
        "failures": [
            {key: value for key, value in plain(group).items() if key != "token_ids"}
            for group in failures
        ],
        "outline": [
            {
                "path": line.path,
                "level": line.level,
                "label": line.label,
                "tokens": tokens.get(line.path, {}),
                "state": {name: count for name, count in asdict(line.state).items() if count},
            }
            for line in lines
        ],
    }


def _tokens_by_line(places: Any, paths: set[str]) -> dict[str, Counter[str]]:
    """Return how many tokens of each status stand at a line, or where no line is nearer."""
    found = defaultdict[str, Counter[str]](Counter)
    for place, counts in places.items():
        path = nearest_node(place, paths)
        if path:
            found[path].update({status.name: count for status, count in counts.items()})
    return found


def _to_recover(run: Any, url: str) -> str:
    """Return what to type for a run to go on whose owner died.

    The name of one that a script has begun, such as a flow of steps, does not say where it is.
    """
    is_known = is_target(run.name) or run.name in registry.names()
    return recover_command(run.name, url) if is_known else resume_command("TARGET", run.uuid, url)


def _print_run(console: Console, run: Any, url: str) -> None:
    status = run.status.label.lower() if run.status else "of a status that there is not"
    print_text(console, f"Run {run.uuid} of {run.name} is {status}.", "bold")
    print_text(console, f"  {', '.join(_times(run))}")
    if run.style:
        print_text(console, f"  of the style {run.style}")
    if run.is_live:
        print_text(console, f"  {run.owner} has it")
    elif run.owner:
        print_text(console, f"  {run.owner} had it, and died: {_to_recover(run, url)}", "yellow")
    if run.stop_requested:
        print_text(console, f"  {run.stop_requested} has asked it to stop")
    if run.error:
        print_text(console, f"  ended by {run.error}", "red")
    part = "" if run.fraction is None else f", {run.fraction:.0%} done"
    more = "" if run.is_complete_input else "; its input was not read to its end"
    print_text(console, f"  {count_of(run.total, 'token')}{part}{more}")
    for each in ObjectStatus:
        if run.counts.get(each):
            print_text(console, f"    {each.label.lower():12} {run.counts[each]:10,}")


def _times(run: Any) -> Iterator[str]:
    yield f"created {local(run.created)} ({age(run.created)} ago)"
    if run.seconds is not None:
        ran = "ran for" if run.finished else "has been running for"
        yield f"{ran} {span(run.seconds)}"
    if run.due is not None:
        yield f"due {local(run.due)} ({away(run.due)})"
    if run.rate:
        yield f"{run.rate:,.3g} tokens/s"


def _print_failures(console: Console, failures: Any) -> None:
    for group in failures[:SHOWN_FAILURES]:
        message = " ".join(f"{group.type}: {group.message}".split())[:200]
        print_text(console, f"  {group.count:,} failed in {group.task}: {message}", "red")
        print_text(console, f"    --failure {group.failure}")
    if len(failures) > SHOWN_FAILURES:
        print_text(console, f"  and {len(failures) - SHOWN_FAILURES:,} further kinds of failure")


def _print_outline(console: Console, lines: list[Line]) -> None:
    """Print the definition, with the tokens that stand at each task."""
    if not lines:
        return
    width = max(len(line.text) for line in lines)
    for line in lines[:SHOWN_LINES]:
        counts = {name: getattr(line.state, name) for name in STANDING}
        stand = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        mark = ">" if stand else " "
        text = f"{mark} {line.text:{width}}  {stand}" if stand else f"{mark} {line.text}"
        print_text(console, text, "yellow" if stand else "")
    if len(lines) > SHOWN_LINES:
        print_text(console, f"  and {len(lines) - SHOWN_LINES:,} more lines; --json has them")
