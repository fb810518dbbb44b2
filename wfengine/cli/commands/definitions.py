"""The command ``wfengine definitions``: the workflows that are known by name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wfengine.cli.options import FAILED, AsJson
from wfengine.cli.tables import print_json_lines, print_table, table_console
from wfengine.definitions import fingerprint, registry, skeleton
from wfengine.errors import WorkflowDefinitionError

__all__ = ["definitions"]


def definitions(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="Workflows to show besides: path/to/file.py:attribute, or "
            "package.module:attribute.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the registered workflows: those of installed packages' entry points.

    The group of the entry points is wfengine.workflows. In Python: wfengine.definitions.registry.

    [bold]Examples[/bold]

    wfengine definitions

    wfengine definitions workflow.py:workflow --json

    [bold]Exit status[/bold]

    0, also when there is none; 1 when one cannot be loaded; 2 when there is something wrong with \
the command.
    """
    names = dict.fromkeys([*registry.names(), *(targets or ())])
    found = [_described(name) for name in names]
    if as_json:
        print_json_lines(found)
    elif not found:
        table_console().print(
            "No workflow is registered. Packages do so with entry points in the group "
            "wfengine.workflows; others are named as TARGET.",
            soft_wrap=True,
        )
    else:
        rows = (
            (each["name"], each["tasks"], each["fingerprint"], each["problem"]) for each in found
        )
        print_table(table_console(), ("name", "tasks>", "fingerprint", "problem"), rows)
    if any(each["problem"] for each in found):
        raise typer.Exit(FAILED)


def _described(name: str) -> dict[str, Any]:
    """Return what there is to say about a definition; why it cannot be loaded, where that is so."""
    try:
        definition = registry.find(name)
        tasks, mark = len(skeleton(definition)), fingerprint(definition)
    except WorkflowDefinitionError as error:
        return {"name": name, "tasks": None, "fingerprint": None, "problem": str(error)}
    return {"name": name, "tasks": tasks, "fingerprint": mark, "problem": None}
