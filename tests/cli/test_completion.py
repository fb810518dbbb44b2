"""Completion in a shell, as it is installed with the command itself."""

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from wfengine.cli.app import COMMANDS

from .support import ENVIRONMENT, PATIENCE, SCRIPT

# What bash does when somebody presses Tab behind the words that it is given.
TAB = """
source ~/.bashrc
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
$(complete -p wfengine | sed 's/.*-F \\([^ ]*\\) .*/\\1/') wfengine
[ ${#COMPREPLY[@]} = 0 ] || printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def environment(tmp_path):
    """That of a user who has installed completion in bash."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    home = tmp_path / "home"
    home.mkdir()
    own = {
        **ENVIRONMENT,
        "HOME": str(home),
        "PATH": os.pathsep.join([str(Path(SCRIPT[0]).parent), ENVIRONMENT["PATH"]]),
    }
    done = subprocess.run(
        ["bash", "-c", "wfengine --install-completion; exit $?"],
        env=own,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert "bash completion installed" in done.stdout
    return own


@pytest.fixture
def completed(environment, tmp_path):
    def complete(*words: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", TAB, "bash", "wfengine", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return complete


def test_commands_are_completed(completed):
    assert completed("") == list(COMMANDS)
    assert completed("re") == ["resume", "restart", "rewind", "recover"]
    assert completed("db", "") == ["init", "upgrade", "info"]


def test_options_of_a_command_are_completed(completed):
    assert {"--input", "--store", "--checkpoint", "--json", "--help"} <= set(completed("run", "--"))
    assert completed("prune", "--older-than", "7d", "--dr") == ["--dry-run"]
    assert completed("db", "init", "--st") == ["--store"]


def test_values_are_completed_where_there_are_only_some(completed):
    assert completed("list", "--status", "") == ["new", "running", "halted", "error", "completed"]
    assert completed("list", "--status", "h") == ["halted"]
    assert completed("draw", "flow.py:workflow", "--theme", "") == ["light", "dark"]


def test_where_anything_can_be_typed_the_shell_completes_files(completed):
    assert completed("run", "--input", "") == []


def test_tab_completes_what_is_typed(environment, tmp_path):
    with Path(environment["HOME"], ".bashrc").open("a") as settings:
        settings.write("PS1='ready> '\n")
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "-i"],
        cwd=tmp_path,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        shown_until(ours, "ready> ")
        os.write(ours, b"wfengine prof\t")
        shown_until(ours, "wfengine profile ")
        os.write(ours, b"--js\t")
        shown_until(ours, "--json ")
    finally:
        shell.kill()
        shell.wait(PATIENCE)
        os.close(ours)


def shown_until(terminal: int, text: str) -> None:
    """Read what a terminal shows until there is some text in it."""
    shown, end = "", time.monotonic() + PATIENCE
    while text not in shown:
        is_shown = select.select([terminal], [], [], max(end - time.monotonic(), 0.0))[0]
        assert is_shown, f"there is no {text!r} in {shown!r}"
        shown += os.read(terminal, 4096).decode()


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        ("zsh", {}),
        ("fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
        ("pwsh", {"_TYPER_COMPLETE_WORD_TO_COMPLETE": "rew"}),
    ],
)
def test_other_shells_are_told_what_a_command_does(folder, shell, asked):
    done = subprocess.run(
        SCRIPT,
        cwd=folder.path,
        env={
            **ENVIRONMENT,
            "_WFENGINE_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": "wfengine rew",
            **asked,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "rewind" in done.stdout
    assert "Take a token back to where it was" in done.stdout
    assert "resume" not in done.stdout
