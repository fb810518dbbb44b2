"""Ctrl-C while runs are recovered, or deleted: it stops cleanly, and what is left can go on."""

import json
import os
import re
import select
import shlex
import subprocess
import sys

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import UnknownRunError
from wfengine.store import Store

from .support import ENVIRONMENT, INTERRUPTIBLE, PATIENCE, Done, Started
from .test_progress import Terminal

STORE = "sqlite:///runs.db"
TARGET = "gated.py:workflow"

# Recovering

GATED = """
import os, time

def wait(obj, eng):
    if os.path.exists("begun"):
        with open("begun", "a") as file:
            file.write("x")
        while not os.path.exists("gate"):
            time.sleep(0.01)

def write(obj, eng):
    with open("written", "a") as file:
        file.write(obj["a"] + "\\n")

workflow = [wait, write]
"""

OWNER = """
from wfengine.definitions import load
from wfengine.engine_db import DbWorkflowEngine
from wfengine.store import Store

with Store("sqlite:///runs.db") as store:
    eng = DbWorkflowEngine.with_name(
        "gated.py:workflow", store=store, definition=load("gated.py:workflow")
    )
    eng.process([{"a": "1"}, {"a": "2"}, {"a": "3"}])
"""


@pytest.fixture
def lost(folder):
    """A folder with two runs whose process was killed at the first of their three tokens."""
    folder.write(gated_py=GATED)
    os.mkfifo(folder / "begun")
    for _ in range(2):
        owner = subprocess.Popen([sys.executable, "-c", OWNER], cwd=folder.path, env=ENVIRONMENT)
        has_begun(folder)
        owner.kill()
        owner.wait(PATIENCE)
    return folder


def has_begun(folder) -> None:
    """Wait until what is gated has come to its gate."""
    pipe = os.open(folder / "begun", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert select.select([pipe], [], [], PATIENCE)[0], "it has not come to its gate"
        assert os.read(pipe, 1) == b"x"
    finally:
        os.close(pipe)


def started(folder, *arguments, command=INTERRUPTIBLE) -> Started:
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=folder.path,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return Started(process)


def statuses(folder) -> list[str]:
    done = folder.wfengine("list", "--sort", "created", "--json")
    return [json.loads(line)["status"] for line in done.out.splitlines()]


def written(folder) -> list[str]:
    return sorted((folder / "written").read_text().split())


def test_ctrl_c_stops_a_recovery_at_the_next_checkpoint_and_nothing_is_lost(lost):
    with Terminal(lost, TARGET, command="recover") as terminal:
        has_begun(lost)
        terminal.press_ctrl_c()
        terminal.until("Stopping after the current task")
        (lost / "gate").write_text("")
        assert terminal.end() == 130
    (lost / "begun").unlink()
    shown = " ".join(terminal.shown.split())
    assert "Traceback" not in shown
    assert "The next recover takes up the others" in shown
    assert "without its process" not in shown
    assert statuses(lost) == ["HALTED", "RUNNING"]
    assert not (lost / "written").exists()

    said = re.search(rf"it goes on with: wfengine (resume {TARGET} --run [0-9a-f-]{{36}})", shown)
    assert said is not None
    assert lost.wfengine(*shlex.split(said[1])).status == 0
    assert statuses(lost) == ["COMPLETED", "RUNNING"]
    again = lost.wfengine("recover", TARGET)
    assert (again.status, again.err) == (0, "")
    assert statuses(lost) == ["COMPLETED", "COMPLETED"]
    assert written(lost) == ["1", "1", "2", "2", "3", "3"]


def test_what_was_interrupted_is_told_to_programs_too(lost):
    with started(lost, "recover", TARGET, "--json") as recovery:
        has_begun(lost)
        recovery.press_ctrl_c()
        assert "Stopping after the current task" in recovery.error_line()
        (lost / "gate").write_text("")
        done = recovery.end()
    assert done.status == 130
    (result,) = map(json.loads, done.out.splitlines())
    assert (result["name"], result["result"], result["error"]) == (TARGET, "halted", None)


def test_ctrl_c_twice_breaks_off_a_recovery(lost):
    with started(lost, "recover", TARGET) as recovery:
        has_begun(lost)
        recovery.press_ctrl_c()
        assert "Ctrl-C again breaks it off" in recovery.error_line()
        recovery.press_ctrl_c()
        done = recovery.end()
    assert done.status == 130
    assert "Traceback" not in done.err
    assert f"it goes on with: wfengine resume {TARGET} --run " in done.err
    (lost / "begun").unlink()
    for command in (["resume", TARGET], ["recover", TARGET]):
        assert lost.wfengine(*command).status == 0
    assert statuses(lost) == ["COMPLETED", "COMPLETED"]
    assert written(lost) == ["1", "1", "2", "2", "3", "3"]


def test_a_recovered_run_that_lacks_input_says_how_it_is_read(lost):
    lost.write(rows_csv="a\n1\n2\n")
    with started(lost, "run", TARGET, "--input", "rows.csv", "--store", STORE) as run:
        has_begun(lost)
        run.process.kill()
    (lost / "begun").unlink()
    done = lost.wfengine("recover", TARGET)
    assert done.status == 0
    assert done.out.count(": completed\n") == 2
    assert f": halted\n  the input of run {uuids(lost)[-1]} was not read to its end: " in done.out
    assert f"wfengine run {TARGET} --input FILE --resume reads the rest\n" in done.out
    rest = lost.wfengine("run", TARGET, "--input", "rows.csv", "--store", STORE, "--resume")
    assert rest.status == 0
    assert statuses(lost) == ["COMPLETED"] * 3


# Deleting

START = 1_780_000_000.0
RUNS = 12

# Runs a command that comes to a gate in the transaction which deletes tokens of the third run.
GATED_COMMAND = """
import signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine

signal.signal(signal.SIGINT, signal.default_int_handler)
times = 0

@event.listens_for(Engine, "after_cursor_execute")
def wait(connection, cursor, statement, parameters, context, executemany):
    global times
    if statement.startswith("DELETE FROM workflow_object"):
        times += 1
        if times == 3:
            with open("begun", "w") as begun:
                begun.write("x")
            with open("gate") as gate:
                gate.read()

from wfengine.__main__ import main

main()
"""


def keep(obj, eng):
    obj["kept"] = True


@pytest.fixture
def ended(folder):
    """A folder with runs that ended long ago."""
    with Store(f"sqlite:///{folder / 'runs.db'}", clock=lambda: START) as store:
        for _ in range(RUNS):
            eng = DbWorkflowEngine.with_name("kept", store=store, definition=[keep, keep])
            eng.process([{"a": number} for number in range(3)])
    os.mkfifo(folder / "begun")
    os.mkfifo(folder / "gate")
    return folder


def uuids(folder) -> list[str]:
    done = folder.wfengine("list", "--sort", "created", "--limit", "100", "--json")
    return [json.loads(line)["uuid"] for line in done.out.splitlines()]


def gated(folder, *arguments) -> Started:
    return started(folder, *arguments, command=[sys.executable, "-c", GATED_COMMAND])


def open_gate(folder) -> None:
    (folder / "gate").write_text("")


def interrupted(folder, *arguments) -> Done:
    """Press Ctrl-C while a command is at its gate."""
    with gated(folder, *arguments) as command:
        has_begun(folder)
        command.press_ctrl_c()
        assert "Stopping after the current run" in command.error_line()
        open_gate(folder)
        return command.end()


PRUNE = ("prune", "--older-than", "1d", "--yes")


def test_ctrl_c_stops_pruning_after_a_whole_run(ended):
    before = uuids(ended)
    done = interrupted(ended, *PRUNE)
    assert done.status == 130
    assert done.out == "Deleted 3 runs, 9 tokens, 18 steps.\n"
    assert done.err == "Interrupted: the next prune deletes the rest.\n"
    with Store(f"sqlite:///{ended / 'runs.db'}") as store:
        for gone in before[:3]:
            with pytest.raises(UnknownRunError):
                store.run(gone)
        for uuid in before[3:]:
            tokens = store.tokens(uuid)
            assert [len(store.history(token.id)) for token in tokens] == [2, 2, 2]
        assert {entry.uuid for entry in store.audit()} == set(before[:3])
    again = ended.wfengine(*PRUNE)
    assert (again.status, again.err) == (0, "")
    assert again.out == "Deleted 9 runs, 27 tokens, 54 steps, 1 definition.\n"
    assert uuids(ended) == []


def test_ctrl_c_twice_breaks_off_pruning_and_the_next_prune_deletes_the_rest(ended):
    before = uuids(ended)
    with gated(ended, *PRUNE, "--json") as prune:
        has_begun(ended)
        prune.press_ctrl_c()
        assert "Ctrl-C again breaks it off" in prune.error_line()
        prune.press_ctrl_c()
        done = prune.end()
    assert done.status == 130
    assert done.err == "Interrupted: the next prune deletes the rest.\n"
    found = json.loads(done.out)
    assert (found["runs"], found["dry_run"]) == (2, False)
    assert uuids(ended) == before[2:]
    again = ended.wfengine(*PRUNE)
    assert (again.status, again.err) == (0, "")
    assert uuids(ended) == []
    with Store(f"sqlite:///{ended / 'runs.db'}") as store:
        assert sorted(entry.uuid for entry in store.audit()) == sorted(before)


def test_ctrl_c_stops_deleting_after_a_whole_run_and_says_what_deletes_the_others(ended):
    before = uuids(ended)
    done = interrupted(ended, "delete", *before, "--yes")
    assert done.status == 130
    assert done.out.splitlines() == [
        f"Deleted run {uuid} of kept, with 3 tokens." for uuid in before[:3]
    ]
    said = re.fullmatch(r"Interrupted: wfengine (delete .*) deletes the rest\.\n", done.err)
    assert said is not None
    assert uuids(ended) == before[3:]
    again = ended.wfengine(*shlex.split(said[1]), "--yes")
    assert (again.status, again.err) == (0, "")
    assert uuids(ended) == []


def test_a_run_that_is_deleted_in_part_is_deleted_by_the_same_command(ended):
    before = uuids(ended)
    with gated(ended, "delete", *before[:3], "--yes") as delete:
        has_begun(ended)
        delete.press_ctrl_c()
        assert "Ctrl-C again breaks it off" in delete.error_line()
        delete.press_ctrl_c()
        done = delete.end()
    assert done.status == 130
    assert done.err == f"Interrupted: wfengine delete {before[2]} deletes the rest.\n"
    again = ended.wfengine("delete", before[2], "--yes")
    assert (again.status, again.err) == (0, "")
    assert uuids(ended) == before[3:]
