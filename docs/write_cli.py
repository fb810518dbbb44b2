"""Writes ``cli.md``, the reference of the command line, from the commands themselves.

Run ``python docs/write_cli.py`` when a command has changed; a test says when that was forgotten.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import typer
from attrs import frozen
from typer.models import ArgumentInfo, OptionInfo

from wfengine.cli.app import COMMANDS

PAGE = Path(__file__).with_name("cli.md")

INTRODUCTION = """# The command line

<!-- written by docs/write_cli.py -->

`pip install 'wfengine[cli]'` brings the command `wfengine`. What it does can be done from Python
as well: the help of each command names the function.

- A **TARGET** names a workflow: `path/to/file.py:attribute`, `package.module:attribute`, or the
  name of one that is registered. Nothing is imported because a stored run names it.
- A **RUN** is the uuid of a stored run, or as much of its beginning as no other run shares.
- `--store URL`, or the environment variable `WFENGINE_STORE`, says where runs are stored; without
  both that is `sqlite:///runs.db`, in the current folder. Commands that only look make no file.
- `--json` prints data for programs: JSON Lines for lists, one object for a single thing. The keys
  stay as they are; new ones may come. Notes, progress and errors go to standard error.
- An **AGE** is a number with `s`, `min`, `h`, `d` or `w`.
- Ctrl-C stops a run before its next task, and says how it goes on; a second one breaks off the
  task.
- The exit status is 0 when all went well, 1 when something failed or was not done, 2 when there is
  something wrong with the command, and 130 after Ctrl-C.
- `wfengine --install-completion`, typed once, has your shell complete commands, options and their
  values with Tab: bash, zsh, fish or PowerShell, beginning with the next one that is opened.
  `wfengine --show-completion` prints what that installs, for those who set up their shells
  themselves.

"""

PLAIN = {"[bold]": "**", "[/bold]": "**"}
EXAMPLE = re.compile(r"^(wfengine|zcat) ")
WORDS = {int: "NUMBER", float: "NUMBER"}


def page() -> str:
    """Return the reference."""
    commands = [each for name in COMMANDS for each in _commands(name)]
    table = "".join(
        f"| [`{each.name}`](#{each.name.replace(' ', '-')}) | {each.paragraphs[0]} |\n"
        for each in commands
    )
    sections = "".join("".join(each.section()) for each in commands)
    text = f"{INTRODUCTION}| Command | |\n| --- | --- |\n{table}{sections}"
    return text.rstrip("\n") + "\n"


def _commands(name: str) -> Iterator[Command]:
    """Yield a command, or those of a group."""
    module = import_module(f"wfengine.cli.commands.{name}")
    found: Any = getattr(module, name, None) or getattr(module, f"{name}_")
    if not isinstance(found, typer.Typer):
        yield Command(f"wfengine {name}", found)
        return
    for each in found.registered_commands:
        function: Any = each.callback
        yield Command(f"wfengine {name} {each.name or function.__name__}", function)


@frozen
class Command:
    """A command as one types it, and the function that it calls."""

    name: str
    function: Callable[..., Any]

    @property
    def paragraphs(self) -> list[str]:
        """The help, each paragraph in one line."""
        text = inspect.cleandoc(self.function.__doc__ or "")
        for mark, plain in PLAIN.items():
            text = text.replace(mark, plain)
        return [" ".join(part.split()) for part in text.split("\n\n")]

    @property
    def parameters(self) -> list[Parameter]:
        """What can be given to it, in the order of its function."""
        hints = get_type_hints(self.function, include_extras=True)
        signature = inspect.signature(self.function)
        return [
            Parameter(name, *get_args(hints[name])[:2], parameter.default)
            for name, parameter in signature.parameters.items()
        ]

    def section(self) -> Iterator[str]:
        """Yield the parts of what is to be said about it."""
        arguments = [each for each in self.parameters if isinstance(each.info, ArgumentInfo)]
        words = "".join(f" {each.in_usage}" for each in arguments)
        yield f"\n## {self.name}\n\n```\n{self.name} [OPTIONS]{words}\n```\n\n"
        yield from self._text()
        yield "| | |\n| --- | --- |\n"
        for each in self.parameters:
            yield f"| {each.names} | {each.help} |\n"

    def _text(self) -> Iterator[str]:
        examples: list[str] = []
        for paragraph in [*self.paragraphs, ""]:
            if EXAMPLE.match(paragraph):
                examples.append(paragraph)
                continue
            if examples:
                lines = "\n".join(examples)
                yield f"```sh\n{lines}\n```\n\n"
                examples = []
            if paragraph:
                yield f"{paragraph}\n\n"


@frozen
class Parameter:
    """An argument or an option.

    :param kind: of its value.
    """

    name: str
    kind: Any
    info: Any
    default: Any

    @property
    def in_usage(self) -> str:
        """How a usage line has it."""
        word = self.word + ("..." if self._is_list else "")
        return word if self.default is inspect.Parameter.empty else f"[{word}]"

    @property
    def names(self) -> str:
        """How it is typed."""
        if isinstance(self.info, ArgumentInfo):
            return f"`{self.word}`"
        value = "" if self._inner is bool else f" {self.word}"
        # Typer takes the first of the names for a default, where the annotation has the option.
        own = [name for name in (self.info.default, *(self.info.param_decls or ())) if name]
        return ", ".join(f"`{name}{value}`".replace("|", "\\|") for name in own)

    @property
    def word(self) -> str:
        """What stands for its value."""
        if self.info.metavar:
            return str(self.info.metavar)
        if isinstance(self._inner, type) and issubclass(self._inner, Enum):
            return "|".join(str(each.value) for each in self._inner)
        return WORDS.get(self._inner, "TEXT")

    @property
    def help(self) -> str:
        """What is to be said about it."""
        text = " ".join((self.info.help or "").split()).replace("|", "\\|")
        if isinstance(self.info, OptionInfo) and isinstance(self.info.show_default, str):
            return f"{text} By default {self.info.show_default}."
        is_shown = self.info.show_default and self.default not in (None, False)
        if not is_shown or self.default is inspect.Parameter.empty:
            return text
        return f"{text} By default `{getattr(self.default, 'value', self.default)}`."

    @property
    def _is_list(self) -> bool:
        return get_origin(self._kind) is list

    @property
    def _inner(self) -> Any:
        """The kind of one value."""
        return get_args(self._kind)[0] if self._is_list else self._kind

    @property
    def _kind(self) -> Any:
        """The kind of what is given, if something is."""
        kinds = get_args(self.kind)
        return (
            next(kind for kind in kinds if kind is not NoneType) if NoneType in kinds else self.kind
        )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
