"""The option with which a user says that tasks have other names than they had."""

from __future__ import annotations

from typing import Annotated

import typer

from wfengine.errors import WorkflowAPIError

__all__ = ["Renamed", "names"]

Renamed = Annotated[
    list[str] | None,
    typer.Option(
        "--renamed",
        metavar="OLD=NEW",
        help="A task has another name since the run was begun; may be repeated.",
    ),
]


def names(renamed: list[str] | None) -> dict[str, str]:
    """Return the new names by the old ones.

    :raises WorkflowAPIError: when one is missing.
    """
    pairs = [pair.partition("=") for pair in renamed or ()]
    for old, _, new in pairs:
        if not (old and new):
            raise WorkflowAPIError("--renamed is followed by OLD=NEW, the names of a task")
    return {old: new for old, _, new in pairs}
