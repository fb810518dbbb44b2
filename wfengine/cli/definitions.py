"""The definition that a command is about, as the user names it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wfengine.definitions import find, load
from wfengine.definitions.loading import is_target

__all__ = ["Target", "written"]

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="The workflow: path/to/file.py:attribute, package.module:attribute, or the name of "
        "one that is registered.",
    ),
]


def written(target: str) -> Any:
    """Return the definition that a user names, nested lists as they are written.

    :raises WorkflowDefinitionError: when there is none.
    """
    found = load(target) if is_target(target) else None
    return found if isinstance(found, list | tuple) else find(target)
