"""The command itself: how it is started, what it says about itself, and its exit status."""

import subprocess
import sys

import pytest

import wfengine
from wfengine.cli.app import COMMANDS

from .support import ENVIRONMENT, MODULE, SCRIPT

DATABASE = [["db", "init"], ["db", "upgrade"], ["db", "info"]]

WITHOUT_THE_EXTRA = """
import sys
sys.modules[sys.argv.pop()] = None
from wfengine.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["python -m wfengine", "wfengine"])
def test_both_ways_of_starting_it_run_a_workflow(birds, command):
    done = birds.wfengine("run", "birds.py:workflow", "--input", "good.csv", command=command)
    assert (done.status, done.err) == (0, "")
    assert done.numbers()["written"] == 2


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["python -m wfengine", "wfengine"])
def test_the_help_calls_the_command_by_its_name(folder, command):
    done = folder.wfengine("--help", command=command)
    assert done.status == 0
    assert "Usage: wfengine " in done.out
    assert "run" in done.out


def test_the_help_of_run_has_examples_and_names_every_option(folder):
    done = folder.run("--help")
    assert done.status == 0
    assert "wfengine run workflow.py:workflow --input rows.csv" in done.out
    for option in ("--input", "--output", "--limit", "--quiet", "--on-error", "--format"):
        assert option in done.out


EVERY = [*(name.split() for name in COMMANDS if name != "db"), *DATABASE]


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_the_help_of_each_command_has_examples_and_says_the_same_in_python(folder, command):
    done = folder.wfengine(*command, "--help")
    assert (done.status, done.err) == (0, "")
    for part in ("Examples", f"wfengine {' '.join(command)}", "Exit status", "In Python"):
        assert part in " ".join(done.out.split())


def test_the_help_of_a_group_lists_its_commands(folder):
    done = folder.wfengine("db", "--help")
    assert done.status == 0
    assert all(command[1] in done.out for command in DATABASE)
    assert "--install-completion" not in done.out


def test_the_version_is_told(folder):
    done = folder.wfengine("--version")
    assert (done.status, done.out) == (0, f"wfengine {wfengine.__version__}\n")


@pytest.mark.parametrize("package", ["rich", "typer"])
def test_without_the_extra_one_line_names_it(folder, package):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, "--help", package],
        cwd=folder.path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "The command line is an extra: pip install 'wfengine[cli]'\n"


def test_another_missing_module_is_not_taken_for_the_extra(folder):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, "--help", "wfengine.cli.formats"],
        cwd=folder.path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "wfengine[cli]" not in done.stderr
    assert "wfengine.cli.formats" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--limit", "0"],
        ["--limit", "many"],
        ["--on-error", "explode"],
        ["--format", "xml"],
        ["--no-such-option"],
        [],
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_a_usage_error(birds, options):
    target = ["birds.py:workflow"] if options else []
    done = birds.run(*target, "--input", "good.csv", *options)
    assert done.status == 2
    assert "Error" in done.err
    assert "Traceback" not in done.err
    assert not (birds / "output").exists()


def test_everything_processed_or_halted_is_success(birds):
    birds.write(birds_csv="bird,count\nrobin,2\nstarling,20000\n")
    done = birds.run("birds.py:workflow", "--input", "birds.csv")
    assert (done.status, done.err) == (0, "")


def test_a_failed_token_is_status_1(birds):
    assert birds.run("birds.py:workflow", "--input", "birds.csv").status == 1


def test_a_bad_row_is_status_1(birds):
    birds.write(birds_csv="bird,count\nrobin\nwren,1\n")
    assert birds.run("birds.py:workflow", "--input", "birds.csv").status == 1
