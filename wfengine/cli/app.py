"""The command line: which commands there are. Each is imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from wfengine import __version__
from wfengine.cli.notes import notes_printed
from wfengine.cli.options import LARGEST

__all__ = ["app"]

COMMANDS = (
    "run",
    "list",
    "show",
    "tokens",
    "halted",
    "decide",
    "resume",
    "restart",
    "rewind",
    "history",
    "logs",
    "profile",
    "stop",
    "recover",
    "delete",
    "prune",
    "audit",
    "definitions",
    "outline",
    "check",
    "draw",
    "diff",
    "console",
    "db",
)
"""Modules of :mod:`wfengine.cli.commands`, each with a function, or a group, of its own name, with
``_`` behind it where Python has that name already."""

SETTINGS: dict[str, Any] = {
    "no_args_is_help": True,
    "rich_markup_mode": "rich",
    "pretty_exceptions_enable": False,
}


class Command(TyperCommand):
    """A command that refuses numbers with which no database can do anything."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return what is left of the arguments when all that is known was taken."""
        left = super().parse_args(ctx, args)
        parameter: Any
        for parameter in self.params:
            given = ctx.params.get(str(parameter.name))
            for value in given if isinstance(given, list | tuple) else [given]:
                if isinstance(value, int | float) and not abs(value) <= LARGEST:
                    problem = f"{value} is too far from 0: {LARGEST:,} is the most."
                    raise typer.BadParameter(problem, ctx=ctx, param=parameter)
        return left


class Commands(TyperGroup):
    """The commands, in the order in which the help lists them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return their names."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one; return None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"wfengine.cli.commands.{cmd_name}")
        found = getattr(module, cmd_name, None) or getattr(module, f"{cmd_name}_")
        holder = found
        if not isinstance(found, typer.Typer):
            holder = typer.Typer(**SETTINGS, add_completion=False)
            holder.command(cmd_name)(found)
        for each in holder.registered_commands:
            each.cls = Command
        command = get_command(holder)
        command.name = cmd_name
        return command


app = typer.Typer(name="wfengine", cls=Commands, **SETTINGS)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wfengine {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Push tokens through workflows."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it may have been closed
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    context.with_resource(notes_printed())
