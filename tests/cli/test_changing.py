"""The commands that change runs: rewind, restart, resume, recover, stop, delete, prune."""

import json
import os
import re
import shlex

import pytest

from wfengine.store import Store

from .stored import TARGET, abandon, fill
from .support import Folder
from .test_progress import Terminal


@pytest.fixture
def parcels(tmp_path):
    """A folder with runs."""
    fill(tmp_path)
    return Folder(tmp_path)


def found(folder, *arguments):
    """Return what a command that succeeds prints for programs."""
    done = folder.wfengine(*arguments, "--json")
    assert (done.status, done.err) == (0, "")
    return [json.loads(line) for line in done.out.splitlines()]


def runs(folder):
    return {run["uuid"]: run for run in found(folder, "list", "--sort", "created")}


def test_a_token_is_taken_back_and_the_run_goes_on(parcels):
    uuid = next(iter(runs(parcels)))
    done = parcels.wfengine("rewind", TARGET, "4", "1", "--by", "bob")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Token 4 stands at 0 again.\n  wfengine resume ")
    assert found(parcels, "audit", "--limit", "1")[0]["who"] == "bob"
    assert found(parcels, "decide", "van", "--token", "2", "--data", '{"to": "Nice", "kg": 3}') == [
        {"decided": [2]}
    ]
    resumed = parcels.wfengine("resume", TARGET, "--run", uuid[:8], "--json")
    assert resumed.status == 1  # token 3 has failed again
    (result,) = map(json.loads, resumed.out.splitlines())
    assert result["tokens"] == {"COMPLETED": 3, "HALTED": 1, "ERROR": 1}
    assert (result["run"], result["status"], result["failed"]) == (uuid, "HALTED", 1)
    data = {token["id"]: token["data"] for token in found(parcels, "tokens", uuid)}
    assert data[2] == {"to": "Nice", "kg": 3, "stamped": True, "label": "NICE"}
    assert data[4] == {"to": "Bonn", "kg": 40}


def test_what_is_said_to_go_on_can_be_typed_though_names_have_blanks(tmp_path):
    folder = Folder(tmp_path)
    (folder / "my flow.py").write_text(
        "from pathlib import Path\n"
        "def task(obj, eng):\n    assert obj['a'] != '1' or Path('ready').exists()\n"
    )
    folder.write(rows_csv="a\n1\n2\n3\n")
    target, store = "my flow.py:task", ("--store", "sqlite:///my runs.db")
    stopped = folder.run(target, "--input", "rows.csv", "--on-error", "stop", *store)
    assert stopped.status == 1
    unread = folder.wfengine("resume", target, *store)
    read_on = re.search(r"not read to its end: wfengine (.*) reads the rest\n", unread.out)
    assert read_on is not None, unread.out
    folder.wfengine(*shlex.split(read_on[1].replace("FILE", "rows.csv")))
    rewound = folder.wfengine("rewind", target, "1", "1", *store)
    goes_on = re.search(r"\n  wfengine (.*) goes on there\n", rewound.out)
    assert goes_on is not None, rewound.err
    (folder / "ready").touch()
    done = folder.wfengine(*shlex.split(goes_on[1]))
    assert (done.status, done.numbers()["done"]) == (0, 3), done.err


def test_tokens_that_failed_alike_are_skipped_or_restarted(parcels):
    uuid = next(iter(runs(parcels)))
    (group,) = found(parcels, "show", uuid)[0]["failures"]
    again = parcels.wfengine(
        "restart", TARGET, "--run", uuid, "--failure", group["failure"], "--quiet"
    )
    assert (again.status, again.out) == (1, "")
    assert again.err.startswith(f"Error: {uuid}: 1 token failed\nFailed once: ValueError: invalid")
    skipped = ["resume", TARGET, "--run", uuid, "--failure", group["failure"], "--skip"]
    (result,) = found(parcels, *skipped)
    assert result["tokens"] == {"COMPLETED": 3, "HALTED": 2}
    assert [entry["details"]["how"] for entry in found(parcels, "audit", "--limit", "2")] == [
        "skip",
        "restart",
    ]
    gone = parcels.wfengine(*skipped)
    assert gone.status == 1
    assert "none has failed" in gone.err


def test_a_run_is_run_again_from_its_first_token(parcels):
    uuid = list(runs(parcels))[1]
    (result,) = found(parcels, "restart", TARGET, "--run", uuid)
    assert result["tokens"] == {"COMPLETED": 1}
    steps = [entry["attempt"] for entry in found(parcels, "logs", uuid, "--after", "0")]
    assert len(steps) > 5
    assert found(parcels, "audit", "--limit", "1")[0]["details"] == {
        "token": "first",
        "task": "first",
    }


def test_a_run_whose_owner_died_goes_on_or_says_what_it_lacks(parcels):
    lost = list(runs(parcels))[-1]
    refused = parcels.wfengine("recover")
    assert refused.status == 1
    assert re.fullmatch(
        rf"Run {lost} of {TARGET}: refused: .*nobody has registered.*\n", refused.out
    )
    (result,) = found(parcels, "recover", TARGET, "--by", "eve")
    told = {"run": lost, "name": TARGET, "result": "completed", "error": None, "failed": 0}
    assert result == told
    assert [entry["who"] for entry in found(parcels, "audit", "--run", lost)] == ["eve"]
    assert (
        parcels.wfengine("recover", TARGET).out == f"No run of {TARGET} is without its process.\n"
    )


def test_a_lost_run_whose_name_does_not_say_where_its_workflow_is_says_what_to_type(parcels):
    lost = list(runs(parcels))[-1]
    assert f"and died: wfengine recover {TARGET}\n" in parcels.wfengine("show", lost).out
    with Store(f"sqlite:///{parcels / 'runs.db'}") as store, store.session() as session:
        session.query(store.models.workflow).filter_by(uuid=lost).one().name = "post"
    how = f"wfengine resume TARGET --run {lost}"
    assert f"and died: {how}\n" in parcels.wfengine("show", lost).out
    refused = parcels.wfengine("recover")
    assert refused.out.endswith(f"\n  with the workflow named, it may go on: {how}\n")
    done = parcels.wfengine(*shlex.split(how.replace("TARGET", TARGET))[1:])
    assert (done.status, runs(parcels)[lost]["status"]) == (0, "COMPLETED"), done.err


def test_a_recovered_run_of_which_a_token_fails_makes_the_command_fail(folder):
    folder.write(
        flow_py="""
from pathlib import Path

def task(obj, eng):
    if Path("broken").exists():
        raise ValueError("no")
""",
        rows_csv="a\n1\n2\n",
    )
    store_option = ("--store", "sqlite:///runs.db")
    assert folder.run("flow.py:task", "--input", "rows.csv", *store_option).status == 0
    (run,) = found(folder, "list")
    (folder / "broken").touch()
    for arguments in ([], ["--json"]):
        with Store(f"sqlite:///{folder / 'runs.db'}") as store:
            with store.session() as session:
                token = session.get(store.models.object, 1)
                token.status, token.callback_pos = "RUNNING", "0"
            abandon(store, run["uuid"])
        done = folder.wfengine("recover", "flow.py:task", *arguments)
        assert done.status == 1
        assert done.err.startswith(f"Error: {run['uuid']}: 1 token failed\nFailed once: ValueError")
    result = json.loads(done.out)
    assert (result["result"], result["failed"], result["error"]) == ("completed", 1, None)


def test_what_nobody_confirms_is_not_deleted(parcels):
    before = runs(parcels)
    uuid = next(iter(before))
    for command in (["delete", uuid], ["prune", "--older-than", "1d"]):
        done = parcels.wfengine(*command)
        assert (done.status, done.out) == (2, "")
        assert "say so with --yes" in done.err
    with Terminal(parcels, uuid, command="delete") as terminal:
        terminal.until("with 5 tokens?")
        os.write(terminal.ours, b"n\n")
        assert terminal.end() == 1
    assert "Nothing was changed." in terminal.shown
    with Terminal(parcels, uuid, command="delete") as terminal:
        terminal.until("with 5 tokens?")
        assert terminal.break_off() == 130
    assert "Nothing was changed." in terminal.shown
    assert runs(parcels).keys() == before.keys()


def test_runs_are_deleted_and_that_is_said(parcels):
    first, second, new, waits, lost = runs(parcels)
    done = parcels.wfengine("delete", first, second[:8], "--yes", "--by", "ann")
    assert (done.status, done.err) == (0, "")
    assert done.out == (
        f"Deleted run {first} of {TARGET}, with 5 tokens.\n"
        f"Deleted run {second} of {TARGET}, with 1 token.\n"
    )
    assert list(runs(parcels)) == [new, waits, lost]
    gone = parcels.wfengine("delete", first, "--yes")
    assert (gone.status, gone.out) == (2, "")
    assert [entry["action"] for entry in found(parcels, "audit", "--run", first)] == [
        "delete",
        "edit",
    ]


def test_a_terminal_shows_how_far_deleting_has_come(parcels):
    first, second, *_ = runs(parcels)
    with Terminal(parcels, first, second, "--yes", command="delete") as terminal:
        assert terminal.end() == 0
    bar, _, said = terminal.shown.partition("100%")
    assert "deleting" in bar
    assert "━" in bar
    assert "6 tokens" in said
    assert f"Deleted run {second}" in " ".join(said.split())


def test_what_is_old_is_pruned_and_counted(parcels):
    done = parcels.wfengine("prune", "--older-than", "1d", "--status", "completed", "--yes")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(r"Deleted \d runs, \d tokens, \d+ steps\.\n", done.out)  # with branches
    again = parcels.wfengine("prune", "--older-than", "1d", "--yes")
    assert (again.status, again.out) == (0, "There is nothing to delete.\n")
    assert len(runs(parcels)) == 4


def test_a_run_that_nobody_has_needs_no_stopping(parcels):
    uuid = next(iter(runs(parcels)))
    done = parcels.wfengine("stop", uuid[:8])
    assert (done.status, done.err) == (0, "")
    assert done.out == f"Run {uuid} is not running: it is halted.\n"


def test_what_the_store_has_to_say_is_a_sentence(parcels):
    flow = (parcels / "parcels.py").read_text()
    (parcels / "parcels.py").write_text(flow.replace("workflow = [", "workflow = [is_heavy,"))
    uuid = next(iter(runs(parcels)))
    done = parcels.wfengine("resume", TARGET, "--run", uuid)
    assert done.status == 1  # token 3 has failed again
    assert done.err.startswith(f"Note: run {uuid} goes on with another definition: ")
    assert "Traceback" not in done.err


# On a terminal

GATED = """
import os, time

def wait(obj, eng):
    if os.path.exists("begun"):
        with open("begun", "a") as file:
            file.write("x")
        while not os.path.exists("gate"):
            time.sleep(0.01)
    obj["seen"] = True

workflow = [wait]
"""


@pytest.fixture
def gated(folder):
    """A run of three tokens, interrupted at the first, which waits for a gate to open."""
    folder.write(gated_py=GATED, rows_csv="a\n1\n2\n3\n")
    done = folder.wfengine("run", "gated.py:workflow", "--input", "rows.csv", "--store",
                           "sqlite:///runs.db", "--quiet")  # fmt: skip
    assert done.status == 0
    (run,) = found(folder, "list")
    for token in (1, 2, 3):
        assert folder.wfengine("rewind", "gated.py:workflow", str(token), "1").status == 0
    os.mkfifo(folder / "begun")
    return folder, run["uuid"]


@pytest.mark.parametrize("command", ["resume", "restart"])
def test_ctrl_c_stops_at_the_next_checkpoint_and_says_how_to_go_on(gated, command):
    folder, uuid = gated
    with Terminal(folder, "gated.py:workflow", "--run", uuid, command=command) as terminal:
        with (folder / "begun").open() as begun:
            assert begun.read(1) == "x"
        terminal.press_ctrl_c()
        terminal.until("Stopping after the current task")
        (folder / "gate").write_text("")
        assert terminal.end() == 130
    assert "gated.py:workflow" in terminal.shown
    assert "━" in terminal.shown
    assert "tokens, " in terminal.shown
    shown = " ".join(terminal.shown.split())
    assert f"it goes on with: wfengine resume gated.py:workflow --run {uuid}" in shown
    (folder / "begun").unlink()
    (result,) = found(folder, "resume", "gated.py:workflow", "--run", uuid)
    assert result["tokens"] == {"COMPLETED": 3}


def test_tokens_that_failed_alike_are_tried_again_or_skipped_together(folder):
    folder.write(
        flow_py="""
def task(obj, eng):
    if obj["a"] == "1":
        raise ValueError("no")

workflow = [task]
""",
        rows_csv="a\n1\n2\n",
    )
    target = "flow.py:workflow"
    begin = ("run", target, "--input", "rows.csv", "--store", "sqlite:///runs.db", "--quiet")
    assert folder.wfengine(*begin).status == 1
    (run,) = found(folder, "list")
    with Store(f"sqlite:///{folder.path / 'runs.db'}") as store:
        (group,) = store.failures(run["uuid"])
    alike = ("resume", target, "--run", run["uuid"], "--failure", group.failure)
    again = folder.wfengine(*alike)
    assert (again.status, again.numbers()["error"]) == (1, 1)
    assert "Failed once: ValueError: no\n  in task 'task' at [0], flow.py:4 in task" in again.err
    restarted = folder.wfengine("restart", target, "--run", run["uuid"])
    assert (restarted.status, restarted.numbers()["done"]) == (1, 1)
    assert restarted.err == again.err
    assert found(folder, "tokens", run["uuid"], "--status", "error")
    assert folder.wfengine(*alike, "--skip").status == 0
    assert not found(folder, "tokens", run["uuid"], "--status", "error")
    for wrong, said in (
        (("--failure", group.failure), "name it with --run"),
        (("--run", run["uuid"], "--skip"), "say so with --failure"),
    ):
        refused = folder.wfengine("resume", target, *wrong)
        assert refused.status == 2
        assert said in refused.err
