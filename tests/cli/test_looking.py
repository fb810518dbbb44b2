"""The commands that only look: list, show, tokens, history, logs, profile, audit, definitions.

What they print for programs is compared with the files in ``golden``; with WFENGINE_GOLDEN=1 these
are written anew.
"""

import json
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from .stored import DUE, TARGET, fill
from .support import Folder

GOLDEN = Path(__file__).with_name("golden")

UNSTEADY = (
    (re.compile(r"\b[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}\b"), "UUID"),
    (re.compile(r'"[^"]* process \d+ #\d+[^"]*"'), '"OWNER"'),
    (re.compile(r'"traceback": "([^"\\]|\\.)*"'), '"traceback": "TRACEBACK"'),
    (re.compile(r'"source": "[^"]*/(\w+\.py:\d+)"'), r'"source": "\1"'),
    (re.compile(r'"seconds": [\d.e-]+(?=})'), '"seconds": 0.1'),
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder with runs, and the uuid of the one to look at."""
    path = tmp_path_factory.mktemp("parcels")
    uuid = fill(path)
    return Folder(path), uuid


@pytest.fixture
def parcels(filled):
    return filled[0]


@pytest.fixture
def uuid(filled):
    return filled[1]


def steady(text):
    for pattern, stands_for in UNSTEADY:
        text = pattern.sub(stands_for, text)
    return text


def looked(folder, *arguments):
    """Return what a command prints that finds nothing wrong."""
    done = folder.wfengine(*arguments)
    assert (done.status, done.err) == (0, "")
    return done.out


def check_golden(name, printed):
    lines = [json.loads(line) for line in steady(printed).splitlines()]
    shown = "".join(f"{json.dumps(line, indent=1)}\n" for line in lines)
    file = GOLDEN / f"{name}.json"
    if os.environ.get("WFENGINE_GOLDEN") == "1":
        file.write_text(shown)
    assert file.read_text() == shown


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("list", ["list", "--sort", "created"]),
        ("show", ["show", "RUN", "--definition", TARGET]),
        ("tokens", ["tokens", "RUN"]),
        ("halted", ["halted"]),
        ("history", ["history", "4"]),
        ("logs", ["logs", "RUN", "--after", "0"]),
        ("profile", ["profile", "RUN"]),
        ("audit", ["audit"]),
        ("definitions", ["definitions", TARGET]),
        ("diff", ["diff", TARGET, "--run", "RUN"]),
        ("resume_dry_run", ["resume", TARGET, "--run", "RUN", "--dry-run"]),
        ("recover_dry_run", ["recover", "--dry-run", TARGET]),
        ("prune_dry_run", ["prune", "--older-than", "1s", "--dry-run"]),
        ("delete_dry_run", ["delete", "RUN", "--dry-run"]),
        ("db_info", ["db", "info"]),
    ],
)
def test_what_is_printed_for_programs_keeps_its_form(parcels, uuid, name, arguments):
    arguments = [uuid if word == "RUN" else word for word in arguments]
    check_golden(name, looked(parcels, *arguments, "--json"))


def test_runs_are_listed_by_what_they_are(parcels, uuid):
    printed = looked(parcels, "list")
    heading = ["run", "name", "style", "status", "due", "tokens"]
    assert printed.splitlines()[0].split()[:6] == heading
    assert len(printed.splitlines()) == 6
    row = next(line for line in printed.splitlines() if line.startswith(uuid[:8]))
    assert row.split()[1:8] == [TARGET, "halted", "5", "2", "(40%)", "2", "1"]
    found = [
        json.loads(line)["status"]
        for line in looked(
            parcels, "list", "--json", "--status", "completed", "--status", "new", "--older-than",
            "1d", "--newer-than", "9999w", "--sort", "name",
        ).splitlines()
    ]  # fmt: skip
    assert found == ["NEW", "COMPLETED", "NEW"]
    assert looked(parcels, "list", "--action", "weep") == "No runs.\n"
    assert "and 4 more" in looked(parcels, "list", "--limit", "1")


def test_a_run_that_waits_for_its_time_says_when_that_is_and_of_which_style_it_is(parcels):
    due = f"{datetime.fromtimestamp(DUE, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    heading, row = looked(parcels, "list", "--style", "flow").splitlines()
    assert heading.split()[1:5] == ["name", "style", "status", "due"]
    assert row.split()[1:6] == ["post", "flow", "new", *due.split()]
    (found,) = map(json.loads, looked(parcels, "list", "--style", "flow", "--json").splitlines())
    assert (found["style"], datetime.fromisoformat(found["due"]).timestamp()) == ("flow", DUE)
    shown = looked(parcels, "show", found["uuid"])
    assert re.search(rf", due {due} \((in .+|.+ ago)\)", shown)
    assert "\n  of the style flow\n" in shown


def test_columns_of_what_no_run_has_are_left_out(parcels):
    printed = looked(parcels, "list", "--name", TARGET)
    assert printed.splitlines()[0].split()[:4] == ["run", "name", "status", "tokens"]
    assert "style" not in looked(parcels, "show")


def test_a_style_that_no_run_has_is_told_with_those_that_there_are(parcels):
    said = "No runs: none is of the style 'flows', but of flow.\n"
    assert looked(parcels, "list", "--style", "flows") == said
    assert looked(parcels, "list", "--style", "flow", "--name", "letters") == "No runs.\n"
    assert looked(parcels, "list", "--style", "flows", "--json") == ""


def test_a_run_is_shown_with_where_its_tokens_stand(parcels, uuid):
    shown = looked(parcels, "show", uuid[:6], "--definition", TARGET)
    assert f"Run {uuid} of {TARGET} is halted." in shown
    assert re.search(r"need action +2", shown)
    assert "1 failed in weigh: ValueError: invalid literal for int()" in shown
    assert re.search(r"^> weigh +1 failed$", shown, re.MULTILINE)
    assert re.search(r"^> .*HALT choose.* +2 halted$", shown, re.MULTILINE)
    assert "2 tokens wait for a decision: wfengine halted --run" in shown
    without = looked(parcels, "show", uuid)
    assert re.search(r"^> weigh +1 failed$", without, re.MULTILINE)


def test_a_token_that_stands_in_a_branch_marks_its_task_there(tmp_path):
    folder = Folder(tmp_path).write(
        flow_py="""
from wfengine.patterns import SYNCHRONIZE

def begin(obj, eng): pass

def ask(obj, eng): eng.halt("well?", action="say")

def end(obj, eng): pass

workflow = [begin, SYNCHRONIZE([begin, ask], [end]), end]
""",
        rows_csv="a\n1\n2\n",
    )
    target, store = "flow.py:workflow", ("--store", "sqlite:///runs.db")
    assert folder.run(target, "--input", "rows.csv", *store).status == 0
    shown = looked(folder, "show", "--definition", target)
    marked = [line for line in shown.splitlines() if line.startswith(">")]
    assert [line.split()[1:] for line in marked] == [
        ["SYNCHRONIZE", "2", "waiting"],
        ["ask", "2", "halted"],
    ]
    outline = json.loads(looked(folder, "show", "--definition", target, "--json"))["outline"]
    assert [line["state"] for line in outline if line["label"] == "ask"] == [{"halted": 2}]


@pytest.mark.parametrize("named", [(), ("--definition", "flow.py:workflow")])
def test_a_token_that_stands_where_no_line_is_marks_the_line_around_it(tmp_path, named):
    folder = Folder(tmp_path).write(
        flow_py="""
from wfengine.patterns import WHILE

def cannot_tell(obj, eng): raise ValueError("cannot tell")

workflow = [WHILE(cannot_tell, [print])]
for level in range(60):
    workflow = [workflow]
""",
        rows_csv="a\n1\n2\n",
    )
    store = ("--store", "sqlite:///runs.db")
    assert folder.run("flow.py:workflow", "--input", "rows.csv", *store).status == 1
    shown = looked(folder, "show", *named)
    (marked,) = [line for line in shown.splitlines() if line.startswith(">")]
    assert marked.endswith(" 2 failed")
    outline = json.loads(looked(folder, "show", *named, "--json"))["outline"]
    (line,) = [line for line in outline if line["state"]]
    assert (line["state"], line["tokens"]) == ({"failed": 2}, {"ERROR": 2})


def test_a_run_whose_process_died_says_what_to_do(parcels):
    shown = looked(parcels, "show")
    assert "elsewhere process 1 #1 had it, and died: wfengine recover" in shown


def test_what_was_done_is_told_for_people(parcels, uuid):
    history = looked(parcels, "history", "4").splitlines()
    assert re.match(r" +1  .* 0 weigh, done, 250 ms$", history[0])
    assert history[1].strip() == 'kg: "40" -> 40'
    assert "HALT, halted" in "\n".join(history)
    assert history[-1].strip() == "kg: 40 -> 41"
    last = looked(parcels, "logs", uuid, "--limit", "1")
    assert re.fullmatch(r"[\d :-]+  token 4  edit, done by ann\n", last)
    assert looked(parcels, "audit").splitlines()[1].split()[3:5] == ["ann", "edit"]
    profile = looked(parcels, "profile", uuid)
    assert re.search(r"^0 +weigh +5 ", profile, re.MULTILINE)


def test_what_cannot_be_is_one_line_and_status_2(parcels, uuid):
    folder = Folder(parcels.path)
    for arguments, problem in [
        (["show", "nope"], "there is no run 'nope'"),
        (["history", "99"], "there is no token 99"),
        (["list", "--newer-than", "soon"], "'soon' is no age"),
        (["list", "--sort", "colour"], "runs are sorted by"),
        (["show", "--definition", "parcels.py:nothing"], "there is no 'nothing' in parcels.py"),
        (["diff", TARGET], "compare with another TARGET"),
        (["stop", uuid[:1] + "%"], "there is no run"),
    ]:
        done = folder.wfengine(*arguments)
        assert (done.status, done.out) == (2, "")
        assert problem in done.err
        assert done.err.startswith("Error: ")
        assert done.err.count("\n") == 1


def test_a_definition_that_has_changed_is_compared_task_by_task(parcels, uuid):
    (parcels / "changed.py").write_text(
        (parcels / "parcels.py").read_text().replace("weigh", "put_on_scales")
    )
    done = parcels.wfengine("diff", TARGET, "changed.py:workflow")
    assert (done.status, done.err) == (1, "")
    assert "  - weigh\n  + put_on_scales\n" in done.out
    refused = parcels.wfengine("diff", "changed.py:workflow", "--run", uuid)
    assert (refused.status, refused.err) == (1, "")
    assert "1 token without a place" in refused.out
    renamed = ["--renamed", "weigh=put_on_scales"]
    fits = parcels.wfengine("diff", "changed.py:workflow", "--run", uuid, *renamed)
    assert (fits.status, fits.err) == (0, "")


def test_looking_makes_no_store(tmp_path):
    folder = Folder(tmp_path)
    for command in ("list", "show", "audit"):
        done = folder.wfengine(command, "--store", "sqlite:///none.db")
        assert (done.status, done.out) == (2, "")
        assert "there is no store at sqlite:///none.db yet" in done.err
    info = json.loads(looked(folder, "db", "info", "--json", "--store", "sqlite:///none.db"))
    assert (info["revision"], info["is_current"]) == (None, False)
    assert list(tmp_path.iterdir()) == []


def test_hostile_texts_cannot_steer_a_terminal(parcels, tmp_path):
    shutil.copytree(parcels.path, tmp_path / "copy")
    folder = Folder(tmp_path / "copy")
    (folder / "evil.py").write_text(
        "def task(obj, eng): eng.halt('\\x1b[2J\\u202e[red]x', action='\\x1b]0;\\x07')\n"
    )
    done = folder.wfengine("run", "evil.py:task", "--store", "sqlite:///runs.db", "--format",
                           "jsonl", stdin='{"a": 1}\n')  # fmt: skip
    assert done.status == 0
    for command in (["tokens"], ["logs"], ["show"], ["history", "7"]):
        printed = looked(folder, *command)
        assert "\x1b" not in printed
        assert "\u202e" not in printed


def test_definitions_are_a_table_that_says_what_cannot_be_loaded(parcels):
    done = parcels.wfengine("definitions", TARGET, "nowhere.py:workflow")
    assert done.status == 1
    assert TARGET in done.out
    assert "nowhere.py" in done.out
    assert "No workflow is registered" in parcels.wfengine("definitions").out


def test_a_store_without_runs_says_so(tmp_path):
    folder = Folder(tmp_path)
    assert folder.wfengine("db", "init").status == 0
    for command in ("show", "tokens"):
        done = folder.wfengine(command)
        assert done.status == 2
        assert "no runs in" in done.err
    done = folder.wfengine("restart", "flow.py:workflow")
    assert done.status == 2


def test_a_dry_run_of_what_is_over_says_that_there_is_nothing_to_do(parcels):
    (over,) = [
        json.loads(line)["uuid"]
        for line in looked(parcels, "list", "--status", "completed", "--json").splitlines()
    ][:1]
    again = ("resume", TARGET, "--run", over, "--dry-run")
    assert "would go on with 0 tokens" in looked(parcels, *again)
    assert json.loads(looked(parcels, *again, "--json"))["tokens"] == 0
