"""The command ``wfengine outline``: a definition as a tree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import typer
from attrs import asdict
from rich.console import Console
from rich.text import Text

from wfengine.cli.definitions import Target, written
from wfengine.cli.options import AsJson, users_errors
from wfengine.cli.printing import printable
from wfengine.definitions import OutlineNode
from wfengine.definitions import outline as outline_of

__all__ = ["outline"]

DEEPEST_INDENT = 40

ROLE_STYLE, KIND_STYLE, QUIET_STYLE = "cyan", "bold", "dim"


def outline(target: Target, as_json: AsJson = False) -> None:
    """Print a workflow as a tree: what is inside of what, and at which position.

    In Python: wfengine.definitions.outline(definition).

    [bold]Examples[/bold]

    wfengine outline workflow.py:workflow

    wfengine outline workflow.py:workflow --json

    [bold]Exit status[/bold]

    0; 2 when there is something wrong with the command or the workflow cannot be loaded.
    """
    with users_errors():
        tree = outline_of(written(target))
    if as_json:
        for node, depth, parent in _with_depths(tree):
            typer.echo(json.dumps(_as_data(node, depth, parent), default=str))
        return
    console = Console()
    for node, depth, _ in _with_depths(tree):
        if depth:
            console.print(_line(node, depth - 1), soft_wrap=True)


def _with_depths(tree: OutlineNode) -> Iterator[tuple[OutlineNode, int, str | None]]:
    """Yield each node with its depth and the id of the node around it."""
    waiting: list[tuple[OutlineNode, int, str | None]] = [(tree, 0, None)]
    while waiting:
        node, depth, parent = waiting.pop()
        yield node, depth, parent
        waiting.extend((child, depth + 1, node.id) for child in reversed(node.children))


def _as_data(node: OutlineNode, depth: int, parent: str | None) -> dict[str, Any]:
    return {
        "id": node.id,
        "parent": parent,
        "depth": depth,
        "kind": node.kind,
        "label": node.label,
        "path": node.path,
        "role": node.role,
        "is_asked": node.is_asked,
        "needs": [asdict(need) for need in node.needs],
        "doc": node.doc,
        "source": node.source and str(node.source),
        "options": node.options,
    }


def _line(node: OutlineNode, depth: int) -> Text:
    line = Text("  " * min(depth, DEEPEST_INDENT))
    if not node.is_asked:
        line.append(f"{printable(node.id)}  ", QUIET_STYLE)
    if node.role:
        line.append(f"{printable(node.role)}: ", ROLE_STYLE)
    is_plain = node.kind in ("task", "list")
    if not is_plain:
        line.append(f"{printable(node.kind)} ".rstrip(" " * (not node.label)), KIND_STYLE)
    line.append(_one_line(node.label))
    if node.doc:
        line.append(f"  {_one_line(node.doc)}", QUIET_STYLE)
    return line


def _one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n")
