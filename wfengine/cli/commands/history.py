"""The command ``wfengine history``: what was done to a token."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from wfengine.cli.data import step_data
from wfengine.cli.options import DEFAULT_STORE, AsJson, StoreUrl, users_errors
from wfengine.cli.printing import print_text
from wfengine.cli.stores import opened
from wfengine.cli.tables import local, print_json_lines, span, table_console
from wfengine.store.changes import MISSING

__all__ = ["history"]

LONGEST = 60
"""How many characters of a value are shown."""


def history(
    token: Annotated[int, typer.Argument(metavar="TOKEN", help="The id of a token.")],
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Show what was done to a token, step by step, and what each step changed in its data.

    A step's number is what `wfengine rewind` takes. In Python: store.history(token_id).

    [bold]Examples[/bold]

    wfengine history 29

    wfengine history 29 --json --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0; 2 when there is no such token, or something is wrong with the command.
    """
    with users_errors(), opened(store) as kept:
        steps = kept.history(token)
        if as_json:
            print_json_lines(map(step_data, steps))
            return
        console = table_console()
        if not steps:
            print_text(console, f"Nothing was done to token {token} yet.")
        for step in steps:
            print_text(console, _line(step))
            for change in step.changes:
                print_text(console, f"       {change.path or 'all of it'}: {_change(change)}")


def _line(step: Any) -> str:
    seconds = (step.finished - step.started).total_seconds()
    what = f"{step.path} {step.name}" if step.event == "task" else f"{step.event} at {step.path}"
    attempt = f", attempt {step.attempt}" if step.attempt > 1 and step.event == "task" else ""
    took = f", {span(seconds)}" if step.event == "task" else ""
    said = _said(step.outcome or {})
    ending = f": {said}" if said else ""
    return f"{step.step:5}  {local(step.finished)}  {what}, {step.status}{attempt}{took}{ending}"


def _said(outcome: dict[str, Any]) -> str:
    keys = ("type", "action", "message", "transition", "decision", "to", "by")
    parts = {key: outcome[key] for key in keys if outcome.get(key) is not None}
    return ", ".join(f"{key} {_brief(value)}" for key, value in parts.items())


def _change(change: Any) -> str:
    if change.old is MISSING:
        return f"now {_json(change.new)}"
    if change.new is MISSING:
        return f"no longer {_json(change.old)}"
    return f"{_json(change.old)} -> {_json(change.new)}"


def _brief(value: Any) -> str:
    return _cut(" ".join(value.split())) if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return _cut(json.dumps(value, default=str, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
