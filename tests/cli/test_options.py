"""What holds for an option of whichever command: found by going through all of them."""

from enum import Enum
from importlib import import_module
from inspect import Parameter, signature
from types import NoneType
from typing import get_args, get_type_hints

import pytest
import typer
from typer.models import OptionInfo
from typer.testing import CliRunner

from wfengine.cli.app import COMMANDS, app
from wfengine.cli.options import LARGEST

from .stored import TARGET, fill
from .support import Folder

WORDS = {
    "target": TARGET,
    "old": TARGET,
    "run": "RUN",
    "runs": "RUN",
    "token": "1",
    "step": "1",
    "decision": "yes",
    "older_than": "1d",
}
"""What is typed for parameters that have to be there, by their names."""


def functions():
    """Yield what each command is typed as, and its function."""
    for name in COMMANDS:
        module = import_module(f"wfengine.cli.commands.{name}")
        found = getattr(module, name, None) or getattr(module, f"{name}_")
        if isinstance(found, typer.Typer):
            for each in found.registered_commands:
                yield [name, each.name or each.callback.__name__], each.callback
        else:
            yield [name], found


def parameters(function):
    """Yield the name of each parameter, its type, what Typer knows of it, and its default."""
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in signature(function).parameters.items():
        kind, info = get_args(hints[name])[:2]
        yield name, type_in(kind), info, parameter.default


def type_in(kind):
    """The type of one value."""
    kinds = [each for each in get_args(kind) if each is not NoneType]
    if not kinds or (isinstance(kind, type) and issubclass(kind, Enum)):
        return kind
    return type_in(kinds[0]) if NoneType in get_args(kind) else kinds[0]


def option_of(info):
    """The long name of an option; None for an argument."""
    if not isinstance(info, OptionInfo):
        return None
    names = [info.default, *(info.param_decls or ())]
    return next(name for name in names if isinstance(name, str) and name.startswith("--"))


def typed(words, function, wanted, value):
    """Return a whole command line that gives a value to one parameter."""
    options, arguments = [], []
    for name, _, info, default in parameters(function):
        if name == wanted or default is Parameter.empty:
            option, text = option_of(info), value if name == wanted else WORDS[name]
            if option is None:
                arguments.append(text)
            else:
                options += [option, text]
    return [*words, *options, "--", *arguments]


def all_of(*kinds):
    return [
        pytest.param(words, function, name, id=f"{' '.join(words)} {name}")
        for words, function in functions()
        for name, kind, *_ in parameters(function)
        if kind in kinds
    ]


NUMBERS = all_of(int, float)
NAMES = [
    pytest.param(words, function, "by", id=" ".join(words))
    for words, function in functions()
    if "by" in signature(function).parameters
]


@pytest.fixture(scope="module")
def parcels(tmp_path_factory):
    path = tmp_path_factory.mktemp("parcels")
    uuid = fill(path)
    return Folder(path), uuid


def test_the_options_are_found():
    found = {case.id for case in NUMBERS}
    assert {"audit limit", "history token", "decide token", "stop wait", "logs after"} <= found
    assert len(NAMES) > 5


@pytest.mark.parametrize("value", [str(10**20), f"-{10**20}"])
@pytest.mark.parametrize(("words", "function", "name"), NUMBERS)
def test_a_number_that_no_database_can_keep_is_a_usage_error(words, function, name, value):
    done = CliRunner().invoke(app, typed(words, function, name, value))
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert "Usage: " in done.output
    assert "Invalid value" in done.output


@pytest.mark.parametrize(
    ("words", "function", "name"), [case for case in NUMBERS if case.values[0] != ["console"]]
)
def test_the_largest_number_is_taken(parcels, words, function, name):
    folder, uuid = parcels
    line = typed(words, function, name, str(LARGEST))
    done = folder.wfengine(*(uuid if word == "RUN" else word for word in line))
    assert done.status in (0, 1, 2)
    assert "Invalid value" not in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("words", "function", "name"), NAMES)
@pytest.mark.parametrize("value", ["", "  "])
def test_who_does_something_has_a_name(words, function, name, value):
    done = CliRunner().invoke(app, typed(words, function, name, value))
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert "a name is wanted" in done.output
