"""The command ``wfengine rewind``: a token goes back in its history."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from wfengine.cli.options import (
    DEFAULT_STORE,
    AsJson,
    By,
    StoreUrl,
    Target,
    resume_command,
    users_errors,
)
from wfengine.cli.printing import print_text
from wfengine.cli.stores import opened, run_of_token, take_up
from wfengine.cli.tables import print_json

__all__ = ["rewind"]


def rewind(
    target: Target,
    token: Annotated[int, typer.Argument(metavar="TOKEN", help="The id of a token.")],
    step: Annotated[
        str,
        typer.Argument(
            metavar="STEP",
            help="The number of a step in its history; or a path such as 0.2.1, or the name of a "
            "task, of which the latest step counts.",
        ),
    ],
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Take a token back to where it was before a step, with its data as they were then.

    `wfengine resume` goes on there. Nothing is lost: the steps in between stay in the history, \
and rewinding to this step undoes it. In Python: eng.rewind(token_id, to).

    [bold]Examples[/bold]

    wfengine history 29

    wfengine rewind workflow.py:workflow 29 3

    wfengine rewind workflow.py:workflow 29 0.2.1 --by alice --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0; 2 when it cannot be taken there, or something is wrong with the command.
    """
    with users_errors(), opened(store) as kept:
        eng = take_up(kept, target, run_of_token(kept, token))
        eng.rewind(token, int(step) if step.isdecimal() and step.isascii() else step, by=by)
        now = kept.tokens(eng.uuid).find(token)  # type: ignore[attr-defined]
        if as_json:
            print_json({"token": token, "run": eng.uuid, "path": now.path, "steps": now.steps})
            return
        print_text(Console(), f"Token {token} stands at {now.path} again.")
        print_text(Console(), f"  {resume_command(target, eng.uuid, store)} goes on there")
