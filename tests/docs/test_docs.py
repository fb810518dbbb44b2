"""The documentation tells the truth: every example in it is run, and prints what the page shows.

In a page,

- a ``python`` block is executed, in the namespace of the blocks before it; the comment
  ``<!-- a namespace of its own -->`` above it begins a new one;
- ``<!-- file: NAME -->`` above a block of any language writes it to that file instead;
- a ``console`` block with ``$ wfengine ...`` runs the command, in the folder of those files, and
  prints what the block shows; ``$ make demo`` runs what the Makefile says;
- a ``text`` block is what the ``python`` block above it prints, with the exception that it ends in.

What differs from run to run may differ from the page: times, and the uuids of runs.
"""

import ast
import contextlib
import difflib
import doctest
import importlib
import io
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import traceback
from itertools import pairwise
from pathlib import Path

import blinker
import pytest
from attrs import frozen

import wfengine.patterns
from wfengine import engine, errors, signals
from wfengine.deprecated import DeprecatedSpellings
from wfengine.store import Models

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]

FENCED = re.compile(
    r"(?:^<!-- (?P<note>.*?) -->\n+)?^```(?P<language>\w*)\n(?P<content>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

MAKE_DEMO = re.compile(r"(wfengine run .*) \$\(ARGS\)")

NOT_IMPORTED = ("__main__", "migrations.env")
"""Modules that are run: by Python, by Alembic."""

UNSTEADY = {
    r"(?m)^[\d,]+ tokens, .*\n": "",  # how far a command has come, if it takes long
    r"[\d.,]+ seconds, [\d,]+ tokens/s": "SECONDS",
    r"\b[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}\b": "UUID",
    r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b": "TIME",
}


@frozen
class Block:
    """A fenced block of a page, with the comment above it."""

    language: str
    content: str
    note: str
    line: int

    @property
    def file(self):
        return self.note.removeprefix("file: ") if self.note.startswith("file: ") else None


def blocks_of(text):
    return [
        Block(
            language=found["language"],
            content=found["content"],
            note=found["note"] or "",
            line=text.count("\n", 0, found.start("content")),
        )
        for found in FENCED.finditer(text)
    ]


def trimmed(text):
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def check(page, block, printed, shown):
    """Fail with the difference between what was printed and what the page shows."""
    printed, shown = steady(trimmed(printed)), steady(trimmed(shown))
    if printed == shown:
        return
    difference = difflib.unified_diff(
        shown.splitlines(), printed.splitlines(), "shown", "printed", lineterm=""
    )
    lines = "\n".join(difference)
    pytest.fail(f"{page.name}, after line {block.line}:\n{lines}", pytrace=False)


def execute(page, block, namespace):
    """Run a block and return what it printed, and the exception that left it."""
    # Empty lines put the block's lines where the page has them, for tracebacks.
    code = compile("\n" * block.line + block.content, str(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            exec(code, namespace)
        except Exception as error:  # noqa: BLE001 - the page may show any
            print("".join(traceback.format_exception_only(error)))
    return printed.getvalue()


def run_command(command):
    """Run a command line of wfengine; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        check=False,
    )
    return done.stdout


def steady(output):
    """Return what was printed without what differs from run to run."""
    for pattern, name in UNSTEADY.items():
        output = re.sub(pattern, name, output)
    return output


def commands_of(block):
    """Return the commands of a console block, each with the output shown below it."""
    _, *entries = re.split(r"^\$ (?:\.venv/bin/)?", block.content, flags=re.MULTILINE)
    return [entry.partition("\n")[::2] for entry in entries]


def show_command(command):
    """Return what a command prints; None for one that is not run."""
    if command == "make demo":
        line = MAKE_DEMO.search((ROOT / "Makefile").read_text())[1]
        return f".venv/bin/{line}\n{run_command(line)}"
    return run_command(command) if command.startswith("wfengine ") else None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to be in, with the examples, from which files are imported as next to a script."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_print_what_the_page_shows(page):
    namespace = {}
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    nothing = Block(language="", content="", note="", line=0)
    for block, following in pairwise([*blocks, nothing]):
        if block.note == "a namespace of its own":
            namespace = {}
        if block.file:
            Path(block.file).write_text(block.content, encoding="utf-8")
        elif block.language == "python":
            shown = following.content if following.language == "text" else ""
            check(page, block, execute(page, block, namespace), shown)
        elif block.language == "console":
            for command, shown in commands_of(block):
                printed = show_command(command)
                if printed is not None:
                    check(page, block, printed, shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_outputs_follow_what_prints_them(page):
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    stray = [
        block.line
        for before, block in pairwise([None, *blocks])
        if block.language == "text" and (before is None or before.language != "python")
    ]
    assert stray == []


def module_names():
    for package in (wfengine, wfengine.patterns):
        yield package.__name__
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(NOT_IMPORTED):
                yield module.name


@pytest.mark.parametrize("name", sorted(set(module_names())))
def test_examples_in_docstrings_give_what_they_show(name):
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_the_reference_of_the_command_line_is_that_of_the_commands(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    written = importlib.import_module("write_cli").page()
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == written, "run: python docs/write_cli.py"


def test_pictures_are_those_that_the_script_draws(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    drawn = importlib.import_module("draw_pictures").pictures()
    committed = {
        file.name: file.read_text(encoding="utf-8") for file in (DOCS / "pictures").iterdir()
    }
    assert committed.keys() == drawn.keys()
    stale = [name for name in drawn if committed[name] != drawn[name]]
    assert stale == [], "run: python docs/draw_pictures.py"


@pytest.mark.parametrize("name", wfengine.patterns.__all__)
def test_pattern_has_a_section_with_its_picture_described(name):
    sections = (DOCS / "patterns.md").read_text(encoding="utf-8").split("\n### ")
    (section,) = [section for section in sections if section.startswith(f"{name}\n")]
    described = re.search(rf"!\[(.+?)\]\(pictures/{name.lower()}\.svg\)", section, re.DOTALL)
    assert described, f"the section {name} shows no pictures/{name.lower()}.svg with a description"


def missing_from_tables(page, names):
    """Return those of the names that no table of a page has as code."""
    text = page.read_text(encoding="utf-8")
    code = " ".join(re.findall(r"`[^`]*`", "\n".join(re.findall(r"^\|.*", text, re.MULTILINE))))
    return [name for name in names if not re.search(rf"\b{name}\b", code)]


def test_every_old_spelling_is_in_the_migration_table():
    old = [name for name in vars(DeprecatedSpellings) if not name.startswith("_")]
    old += ["JumpTokenForward", "JumpTokenBack", "getFeature"]
    assert missing_from_tables(DOCS / "migrating.md", old) == []


def hooks_of(*classes):
    methods = [(name, method) for each in classes for name, method in vars(each).items()]
    return [name for name, method in methods if isinstance(method, staticmethod)]


def test_every_hook_and_handler_is_in_a_table_of_the_engine_page():
    names = hooks_of(engine.ProcessingFactory, engine.ActionMapper, engine.TransitionActions)
    assert missing_from_tables(DOCS / "engine.md", names) == []


def test_every_signal_is_in_a_table_of_the_engine_page():
    sent = [name for name, value in vars(signals).items() if isinstance(value, blinker.Signal)]
    assert missing_from_tables(DOCS / "engine.md", sent) == []


def test_every_transition_is_in_a_table_of_the_engine_page():
    public = {name: getattr(errors, name) for name in errors.__all__}
    names = [
        name
        for name, value in public.items()
        if isinstance(value, type) and issubclass(value, errors.WorkflowTransition)
    ]
    names.remove("WorkflowTransition")
    assert missing_from_tables(DOCS / "engine.md", names) == []


def test_links_of_the_readme_lead_to_files():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_row_of_the_failure_matrix_names_a_test_that_there_is():
    page = (DOCS / "guarantees.md").read_text(encoding="utf-8")
    _, matrix = page.split("## The failure matrix")
    _, _, *rows = re.findall(r"^\|.*\|$", matrix, re.MULTILINE)
    named = [re.search(r"`(tests/[\w/]+\.py)::(\w+)` \|$", row) for row in rows]
    assert [row for row, found in zip(rows, named, strict=True) if not found] == []
    missing = [found[0] for found in named if found[2] not in functions_in(ROOT / found[1])]
    assert missing == []


def functions_in(file):
    """Return the names of the functions in a file."""
    tree = ast.parse(file.read_text(encoding="utf-8")) if file.exists() else ast.Module([], [])
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("table", Models().tables, ids=lambda table: table.name)
def test_every_column_is_in_the_reference_of_its_table(table):
    sections = (DOCS / "databases.md").read_text(encoding="utf-8").split("\n### ")
    (section,) = [section for section in sections if section.startswith(f"{table.name}\n")]
    section = section.split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == [c.name for c in table.columns]


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_every_error_is_in_a_table(name):
    is_of_store = issubclass(getattr(errors, name), errors.StoreError)
    page = "durable.md" if is_of_store else "engine.md"
    assert missing_from_tables(DOCS / page, [name]) == []
