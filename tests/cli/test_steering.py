"""The commands for stored runs: halted, decide, resume."""

import json
import re
import shlex
import sqlite3
from collections import OrderedDict
from decimal import Decimal
from subprocess import PIPE, Popen

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.patterns import HALT
from wfengine.store import Store

from .support import ENVIRONMENT, INTERRUPTIBLE, Started

TARGET = "birds.py:workflow"
STORE = ["--store", "sqlite:///kept.db"]
HELPS = ["halted", "decide", "resume"]

FLOW = """
from datetime import date
from wfengine.cli.outputs import output_file
from wfengine.patterns import HALT, IF, IF_ELSE

def clean(obj, eng):
    obj["count"] = int(obj["count"])

def is_incredible(obj, eng):
    return obj["count"] > 1000

def is_ridiculous(obj, eng):
    return obj["count"] > 50_000

def halt(action):
    return HALT(
        lambda obj, eng: f"{obj['count']}? \\x1b[31m[red]{obj['bird']}\\nreally",
        action=action,
        payload=lambda obj, eng: {"seen": date(2026, 5, 4)},
    )

def write(obj, eng):
    output_file(eng, "birds.txt").write(f"{obj['bird']} {eng.decision!r}\\n")

workflow = [
    clean,
    IF(is_incredible, IF_ELSE(is_ridiculous, halt("laugh"), halt("confirm"))),
    write,
]
"""
ROWS = "bird,count\nrobin,2\nstarling,20000\nwren,3\nswift,90000\nrook,30000\n"


@pytest.fixture
def birds(folder):
    """A folder with a stored run of which tokens 2, 4 and 5 wait for a decision."""
    folder.write(birds_py=FLOW, birds_csv=ROWS)
    done = folder.run(TARGET, "--input", "birds.csv", *STORE)
    assert done.status == 0, done.err
    return folder


def written(folder):
    return (folder / "output" / "birds.txt").read_text().splitlines()


def waiting(folder, *arguments):
    """The tokens that wait, by their ids."""
    done = folder.wfengine("halted", "--json", *STORE, *arguments)
    assert done.status == 0, done.err
    return {token["id"]: token for token in map(json.loads, done.out.splitlines())}


def uuid_of(folder):
    connection = sqlite3.connect(folder / "kept.db")
    try:
        return connection.execute("SELECT uuid FROM workflow").fetchone()[0]
    finally:
        connection.close()


# What waits


def test_the_tokens_that_wait_are_listed_with_what_has_to_be_done(birds):
    done = birds.wfengine("halted", *STORE)
    assert (done.status, done.err) == (0, "")
    header, *lines = done.out.splitlines()
    assert header.split() == ["token", "since", "action", "message"]
    assert [line.split()[0] for line in lines if "?" in line] == ["2", "4", "5"]
    assert [line.split()[3] for line in lines if "?" in line] == ["confirm", "laugh", "confirm"]


def test_hostile_text_cannot_steer_the_terminal(birds):
    done = birds.wfengine("halted", *STORE)
    assert "\x1b" not in done.out
    assert "20000? \\x1b[31m[red]starling" in done.out


def test_as_json_each_token_has_what_a_decision_needs(birds):
    token = waiting(birds)[2]
    assert token["data"] == {"bird": "starling", "count": 20000}
    assert token["origin"] == "birds.csv, line 3"
    assert token["payload"] == {"seen": {"$": "date", "v": "2026-05-04"}}
    assert (token["action"], token["token_pos"], token["run"]) == ("confirm", 1, uuid_of(birds))
    assert token["message"] == "20000? \x1b[31m[red]starling\nreally"


def test_they_can_be_chosen_by_action_and_by_run(birds):
    assert list(waiting(birds, "--action", "confirm")) == [2, 5]
    assert list(waiting(birds, "--run", uuid_of(birds))) == [2, 4, 5]
    assert waiting(birds, "--action", "weep") == {}


def test_no_more_are_shown_than_wanted_and_the_others_counted(birds):
    done = birds.wfengine("halted", "--limit", "1", *STORE)
    assert "starling" in done.out
    assert "swift" not in done.out
    assert "and 2 more; --limit shows more of them" in done.out


def test_where_nothing_waits_that_is_said(folder):
    assert folder.wfengine("db", "init", *STORE).status == 0
    done = folder.wfengine("halted", *STORE)
    assert (done.status, done.out) == (0, "No token waits for a decision.\n")


def test_where_there_is_no_store_none_is_made(folder):
    done = folder.wfengine("halted", *STORE)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Error: there is no store at sqlite:///kept.db yet: wfengine run ")
    assert list(folder.path.iterdir()) == []


def test_a_run_that_there_is_not_is_named(birds):
    done = birds.wfengine("halted", "--run", "nope", *STORE)
    assert (done.status, done.out) == (2, "")
    assert done.err == "Error: there is no run 'nope' in sqlite:///kept.db\n"


# Deciding, and going on


@pytest.mark.parametrize(
    ("typed", "got"),
    [
        ("yes", "'yes'"),
        ('"7"', "'7'"),
        ("7", "7"),
        ('{"count": [1, null, true]}', "{'count': [1, None, True]}"),
        ("", "''"),
        ("[red]\x1b", "'[red]\\x1b'"),
        ("{not json", "'{not json'"),
        ("NaN", "'NaN'"),
        ("1e999", "'1e999'"),
    ],
)
def test_a_decision_is_json_or_else_a_text_and_is_handed_to_the_tasks(birds, typed, got):
    decided = birds.wfengine("decide", typed, "--token", "2", *STORE)
    assert (decided.status, decided.err) == (0, "")
    assert decided.out == "Decided about 1 token.\n"
    resumed = birds.wfengine("resume", TARGET, *STORE)
    assert (resumed.status, resumed.err) == (0, "")
    assert written(birds) == ["robin None", "wren None", f"starling {got}"]
    assert list(waiting(birds)) == [4, 5]


def test_all_tokens_of_an_action_are_decided_on_together(birds):
    decided = birds.wfengine("decide", "no", "--action", "confirm", *STORE)
    assert decided.out == "Decided about 2 tokens.\n"
    assert list(waiting(birds)) == [4]


def test_when_the_last_is_decided_and_done_the_run_is_over(birds):
    birds.wfengine("decide", "no", "-t", "2", "-t", "4", "-t", "5", *STORE)
    resumed = birds.wfengine("resume", TARGET, *STORE)
    assert resumed.status == 0
    assert resumed.numbers()["done"] == 5
    assert f"run {uuid_of(birds)} is completed\n" in resumed.out
    assert "-> output/birds.txt\n" in resumed.out
    assert len(written(birds)) == 5
    again = birds.wfengine("resume", TARGET, *STORE)
    assert (again.status, again.out) == (0, f"No run of {TARGET} is left to go on with.\n")


def test_the_command_that_ran_it_resumes_what_was_decided_as_well(birds):
    birds.wfengine("decide", "no", "--token", "4", *STORE)
    done = birds.run(TARGET, "--input", "birds.csv", *STORE, "--resume")
    assert (done.status, done.err) == (0, "")
    assert written(birds)[-1] == "swift 'no'"


def test_nobody_decides_twice(birds):
    birds.wfengine("decide", "no", "--token", "4", "--by", "alice", *STORE)
    done = birds.wfengine("decide", "yes", "--token", "4", *STORE)
    assert (done.status, done.out) == (2, "Decided about 0 tokens.\n")
    assert "token 4 was decided on by alice" in done.err


def test_of_several_tokens_those_are_decided_on_that_can_be(birds):
    done = birds.wfengine("decide", "yes", "-t", "1", "-t", "2", "-t", "2", "-t", "99", *STORE)
    assert (done.status, done.out) == (2, "Decided about 1 token.\n")
    assert "token 1 is not halted" in done.err
    assert "there is no token 99" in done.err
    assert list(waiting(birds)) == [4, 5]


@pytest.mark.parametrize(
    "data", ["NaN", "[-Infinity]", '{"count": 1e999}', '{"a": 1, "a": 2}', "{no", ""]
)
def test_data_that_are_no_json_are_refused(birds, data):
    done = birds.wfengine("decide", "yes", "--token", "2", "--data", data, *STORE)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Error: --data is no JSON: ")
    assert list(waiting(birds)) == [2, 4, 5]


@pytest.mark.parametrize("data", ["5", "null", '["starling"]', '"starling"'])
def test_a_token_that_is_an_object_stays_one(birds, data):
    done = birds.wfengine("decide", "yes", "--token", "2", "--data", data, *STORE)
    assert (done.status, done.out) == (2, "Decided about 0 tokens.\n")
    assert done.err == "Error: token 2 is an object, { ... }, and has to stay one\n"
    assert waiting(birds)[2]["data"] == {"bird": "starling", "count": 20000}


@pytest.mark.parametrize(
    ("token", "data", "status"),
    [
        ({"a": 1}, "[1]", 2),
        ({1: 2}, "[1]", 2),
        (OrderedDict(a=1), "[1]", 2),
        ((1, 2), "[3]", 0),
        ("text", '{"a": 1}', 0),
        (Decimal("1.5"), "2", 0),
    ],
)
def test_what_may_become_of_a_token_depends_on_what_it_is(folder, token, data, status):
    folder.write(flow_py=HALT_AND_FAIL)
    with Store(f"sqlite:///{folder / 'kept.db'}") as store:
        eng = DbWorkflowEngine.with_name("asking", store=store, definition=[HALT("well?")])
        eng.process([token], stop_on_halt=False)
    done = folder.wfengine("decide", "yes", "--token", "1", "--data", data, *STORE)
    assert done.status == status
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "say which tokens: --token ID, or --action ACTION"),
        (["--action", "weep"], "no token waits for a decision on 'weep'"),
        (["--token", "2", "--action", "confirm"], "leave out --action, --run"),
        (["--token", "-1"], "a token's id is a number"),
        (["--action", "confirm", "--run", "nope"], "there is no run 'nope'"),
    ],
)
def test_which_tokens_has_to_be_clear(birds, arguments, problem):
    done = birds.wfengine("decide", "yes", *arguments, *STORE)
    assert done.status == 2
    assert problem in done.err
    assert "Traceback" not in done.err
    assert list(waiting(birds)) == [2, 4, 5]


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("[" * 50_000, "it is nested too deeply"),
        ('{"to": "Bonn", "to": "Bath"}', "it has two fields of the same name: 'to'"),
    ],
)
def test_a_decision_that_would_not_be_kept_as_it_was_typed_is_refused(birds, typed, problem):
    done = birds.wfengine("decide", typed, "--token", "2", *STORE)
    assert (done.status, done.err) == (2, f"Error: the decision cannot be kept: {problem}\n")
    assert list(waiting(birds)) == [2, 4, 5]


# Resuming


def test_a_run_that_waits_says_which_commands_help(birds):
    done = birds.wfengine("resume", TARGET, *STORE)
    assert (done.status, done.err) == (0, "")
    assert "waits for decisions, the first about token 2: wfengine halted" in done.out


def test_a_dry_run_says_what_would_be_done_and_does_nothing(birds):
    birds.wfengine("decide", "no", "--token", "4", *STORE)
    done = birds.wfengine("resume", TARGET, "--dry-run", *STORE)
    assert (done.status, done.err) == (0, "")
    assert done.out == f"run {uuid_of(birds)} would go on with 1 token that it has left behind\n"
    assert len(written(birds)) == 2


def test_a_token_that_fails_again_makes_the_command_fail(birds):
    birds.write(birds_py=FLOW.replace("def write(obj, eng):", "def write(obj, eng):\n    1 / 0"))
    birds.wfengine("decide", "no", "--token", "4", *STORE)
    done = birds.wfengine("resume", TARGET, *STORE)
    assert done.status == 1
    assert "need action" in done.out
    assert done.numbers()["error"] == 1
    assert done.err.startswith(
        f"Error: {uuid_of(birds)}: 1 token failed\nFailed once: ZeroDivision"
    )
    assert "  in task 'write' at [2], birds.py:" in done.err
    told = birds.wfengine("resume", TARGET, "--json", *STORE)
    (result,) = map(json.loads, told.out.splitlines())
    assert (told.status, result["failed"]) == (1, 1)
    assert result["problem"] == "1 token failed: ZeroDivisionError: division by zero"
    quiet = birds.wfengine("resume", TARGET, "--quiet", *STORE)
    assert (quiet.status, quiet.out, quiet.err) == (1, "", told.err)


HALT_AND_FAIL = """
def ask(obj, eng):
    eng.halt("well?", action="say")

def fail(obj, eng):
    raise ValueError("again")

workflow = [ask, fail]
"""


def test_what_is_said_to_go_on_after_an_error_does(folder):
    folder.write(flow_py=HALT_AND_FAIL, rows_csv="a\n1\n")
    folder.run("flow.py:workflow", "--input", "rows.csv", *STORE)
    folder.wfengine("decide", "yes", "--token", "1", *STORE)
    for command in ("resume", "restart"):
        failed = folder.wfengine(command, "flow.py:workflow", *STORE)
        assert failed.status == (1 if command == "resume" else 0)
    folder.wfengine("decide", "yes", "--token", "1", *STORE)
    failed = folder.wfengine("resume", "flow.py:workflow", *STORE)
    assert "--resume" not in failed.out
    said = re.search(r"  it goes on with: wfengine (.*)\n", failed.out)
    assert said is not None
    folder.write(flow_py=HALT_AND_FAIL.replace("raise ValueError", "return print"))
    done = folder.wfengine(*shlex.split(said[1]))
    assert (done.status, done.numbers()["done"]) == (0, 1)


def test_a_run_that_is_over_says_how_its_failed_tokens_are_tried_again(folder):
    flow = "def task(obj, eng):\n    if obj['a'] != '1':\n        raise ValueError('no')\n"
    folder.write(flow_py=flow, rows_csv="a\n1\n2\n3\n")
    assert folder.run("flow.py:task", "--input", "rows.csv", *STORE).status == 1
    none = folder.wfengine("resume", "flow.py:task", *STORE)
    assert (none.status, none.err) == (0, "")
    first, failed, *commands = none.out.splitlines()
    assert first == "No run of flow.py:task is left to go on with."
    assert failed.startswith(f"  2 tokens of run {uuid_of(folder)} failed")
    again = f"  wfengine resume flow.py:task --run {uuid_of(folder)} --store sqlite:///kept.db"
    assert [re.sub(r"[\da-f]{32}", "MARK", command) for command in commands] == [
        again,
        f"{again} --failure MARK  # 2 ValueError: no",
    ]
    assert folder.wfengine(*shlex.split(commands[0])[1:]).status == 1
    folder.write(flow_py=flow.replace("raise", "return"))
    done = folder.wfengine(*shlex.split(commands[1], comments=True)[1:])
    assert (done.status, done.numbers()["done"]) == (0, 3)
    over = folder.wfengine("resume", "flow.py:task", *STORE)
    assert over.out == "No run of flow.py:task is left to go on with.\n"


@pytest.mark.parametrize("more", [[], ["--json"], ["--dry-run"]])
@pytest.mark.parametrize("target", ["missing.py:workflow", "broken.py:workflow", "nothing"])
def test_a_target_that_there_is_not_is_refused_where_no_run_is_its_own(birds, target, more):
    birds.write(broken_py="def workflow(:\n")
    done = birds.wfengine("resume", target, *more, *STORE)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err


# Who did it


def audited(folder):
    done = folder.wfengine("audit", "--json", *STORE)
    assert done.status == 0
    return [(entry["action"], entry["who"]) for entry in map(json.loads, done.out.splitlines())]


def test_who_has_a_run_go_on_is_written_down_once_it_does(birds):
    assert birds.wfengine("resume", TARGET, "--by", "alice", *STORE).status == 0
    assert birds.wfengine("resume", TARGET, "--by", "alice", "--dry-run", *STORE).status == 0
    assert audited(birds) == []  # nothing could go on
    birds.wfengine("decide", "no", "--token", "4", "--by", "bob", *STORE)
    birds.wfengine("resume", TARGET, "--by", "alice", *STORE)
    assert audited(birds) == [("resume", "alice"), ("decide", "bob")]
    birds.wfengine("restart", TARGET, "--by", "eve", *STORE)
    assert audited(birds)[0] == ("restart", "eve")


def test_who_could_not_restart_a_run_is_not_written_down(birds):
    birds.write(birds_py=FLOW + "\nworkflow = [clean, write]\n")
    assert birds.wfengine("restart", TARGET, "--by", "eve", *STORE).status == 1
    assert audited(birds) == []


def test_a_run_of_another_target_is_refused(birds):
    birds.write(other_py="def other(obj, eng): pass")
    done = birds.wfengine("resume", "other.py:other", "--run", uuid_of(birds), *STORE)
    assert done.status == 2
    assert f"is one of {TARGET}, and not of other.py:other" in done.err


def test_a_run_whose_file_was_moved_goes_on_when_it_is_named(birds):
    (birds / "birds.py").rename(birds / "flock.py")
    birds.wfengine("decide", "no", "--token", "4", *STORE)
    done = birds.wfengine("resume", "flock.py:workflow", "--run", uuid_of(birds), *STORE)
    assert (done.status, done.err) == (0, "")
    assert written(birds)[-1] == "swift 'no'"


def test_runs_of_other_targets_are_named(birds):
    birds.write(other_py="def other(obj, eng): pass")
    done = birds.wfengine("resume", "other.py:other", *STORE)
    first, how = done.out.splitlines()
    assert first == f"No run of other.py:other is left to go on with, but of {TARGET}."
    assert how == (
        "  if one of these was begun with it: "
        "wfengine resume other.py:other --run RUN --store sqlite:///kept.db"
    )


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("missing.py:workflow", "there is no file 'missing.py'"),
        ("birds.py:workflows", "there is no 'workflows' in birds.py; did you mean 'workflow'?"),
        ("nothing", "there is no workflow 'nothing'"),
    ],
)
def test_a_target_that_there_is_not_is_named(birds, target, problem):
    done = birds.wfengine("resume", target, "--run", uuid_of(birds), *STORE)
    assert done.status == 2
    assert problem in done.err
    assert "Traceback" not in done.err


def test_a_run_whose_input_was_not_read_to_its_end_says_what_to_type(folder):
    folder.write(birds_py=FLOW, birds_csv="bird,count\nrobin,many\n" + "wren,1\n" * 2000)
    done = folder.run(TARGET, "--input", "birds.csv", *STORE, "--on-error", "stop")
    assert done.status == 1
    folder.write(birds_py=FLOW.replace('int(obj["count"])', "7"))
    done = folder.wfengine("resume", TARGET, *STORE)
    expected = f"wfengine run {TARGET} --input FILE --store sqlite:///kept.db --resume"
    assert expected in done.out
    done = folder.run(TARGET, "--input", "birds.csv", *STORE, "--resume")
    assert (done.status, len(written(folder))) == (0, 2001)


def test_ctrl_c_stops_before_the_next_task_and_nothing_is_decided_anew(folder):
    folder.write(
        flow_py="""
import time
from wfengine.cli.outputs import output_file
from wfengine.patterns import HALT

def begin(obj, eng):
    print("begun", flush=True)
    while not __import__("pathlib").Path("gate").exists():
        time.sleep(0.01)

def end(obj, eng):
    output_file(eng, "birds.txt").write(f"{obj['a']} {eng.decision}\\n")

workflow = [HALT("well?", action="say"), begin, end]
""",
        rows_csv="a\n1\n2\n3\n",
    )
    folder.run("flow.py:workflow", "--input", "rows.csv", *STORE)
    folder.wfengine("decide", "ok", "--action", "say", *STORE)
    resume = ["resume", "flow.py:workflow", *STORE]
    pipes = dict.fromkeys(["stdin", "stdout", "stderr"], PIPE)
    process = Popen([*INTERRUPTIBLE, *resume], cwd=folder.path, env=ENVIRONMENT, **pipes)
    with Started(process) as started:
        assert started.line() == "begun"
        started.press_ctrl_c()
        assert "Stopping after the current task" in started.error_line()
        (folder / "gate").touch()
        done = started.end()
    assert done.status == 130
    assert "wait for a decision" not in done.out
    again = folder.wfengine(*resume)
    assert (again.status, again.numbers()["done"]) == (0, 3)
    assert [line.split()[0] for line in written(folder)] == ["1", "2", "3"]


# Workflows that have changed


def test_a_task_before_the_halt_moves_the_tokens_with_it_and_that_is_said(birds):
    birds.write(birds_py=FLOW.replace("    clean,\n", "    lambda obj, eng: None,\n    clean,\n"))
    birds.wfengine("decide", "no", "--token", "4", *STORE)
    dry = birds.wfengine("resume", TARGET, "--dry-run", *STORE)
    assert dry.status == 0
    said = "not run before it: '<lambda>'"
    assert said in dry.out
    done = birds.wfengine("resume", TARGET, *STORE)
    assert done.status == 0
    assert said in done.err
    assert written(birds)[-1] == "swift 'no'"


def test_a_halt_that_is_gone_is_refused_and_nothing_is_done(birds):
    birds.write(birds_py=FLOW + "\nworkflow = [clean, write]\n")
    birds.wfengine("decide", "no", "--token", "4", *STORE)
    assert birds.wfengine("resume", TARGET, "--dry-run", *STORE).status == 1
    done = birds.wfengine("resume", TARGET, *STORE)
    assert done.status == 1
    assert "Traceback" not in done.err
    assert len(written(birds)) == 2


def test_renamed_is_followed_by_two_names(birds):
    done = birds.wfengine("resume", TARGET, "--renamed", "clean", *STORE)
    assert (done.status, done.err.count("OLD=NEW")) == (2, 1)


# The commands themselves


@pytest.mark.parametrize("command", HELPS)
def test_the_help_of_each_has_examples(folder, command):
    done = folder.wfengine(command, "--help")
    assert done.status == 0
    assert f"wfengine {command} " in done.out.partition("Examples")[2]


@pytest.mark.parametrize(
    "arguments", [["halted"], ["decide", "yes", "--token", "1"], ["resume", "birds.py:workflow"]]
)
@pytest.mark.parametrize("url", ["nonsense", "oracle://here/there", "sqlite:///."])
def test_a_store_that_cannot_be_one_is_refused_in_one_line(folder, arguments, url):
    folder.write(birds_py=FLOW)
    done = folder.wfengine(*arguments, "--store", url)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err


def test_no_color_and_pipes_get_plain_text(birds):
    for arguments in (["halted"], ["decide", "no", "-t", "2"], ["resume", TARGET]):
        assert "\x1b" not in birds.wfengine(*arguments, *STORE).out
