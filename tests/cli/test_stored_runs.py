"""Runs that are kept in a store: they go on after Ctrl-C, a failure or a crash."""

import os
import sqlite3

import pytest

TARGET = "flow.py:workflow"
STORE = ["--store", "sqlite:///kept.db"]
ROWS = 30

FLOW = """
import os, signal
from pathlib import Path
from wfengine.cli.outputs import output_file
from wfengine.patterns import COUNT, HALT, IF

def number(obj, eng):
    obj["n"] = int(obj["n"])

def odd(obj, eng):
    return obj["n"] % 2

def write(name):
    def write_line(obj, eng):
        output_file(eng, name).write(f"{obj['n']} {obj['text']}\\n")
    return write_line

def meet_death(obj, eng):
    death = Path(f"death-{obj['n']}")
    if death.exists():
        death.unlink()
        for file in eng.extra_data["outputs"].files.values():
            file.write("half a li")
            file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

def ask(obj, eng):
    return obj["n"] % 10 == 7

workflow = [
    number,
    IF(odd, [write("odd.txt")]),
    write("all.txt"),
    meet_death,
    IF(ask, HALT("seven", action="look")),
    write("later.txt"),
    COUNT("written"),
]
"""


@pytest.fixture
def flow(folder):
    rows = "".join(f'{n},"line {n}\nof two, with ü"\n' for n in range(ROWS))
    return folder.write(flow_py=FLOW, rows_csv=f"n,text\n{rows}")


def command(folder, *arguments, output="output"):
    return folder.run(TARGET, "--input", "rows.csv", "--output", output, *arguments)


def outputs(folder, name="output"):
    return {path.name: path.read_bytes() for path in (folder / name).iterdir()}


def undisturbed(folder):
    done = command(folder, output="undisturbed")
    assert done.status == 0, done.err
    return outputs(folder, "undisturbed")


def kill_at(folder, *numbers):
    for number in numbers:
        (folder / f"death-{number}").touch()


def stored(folder, query, name="kept.db"):
    connection = sqlite3.connect(folder / name)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


# Undisturbed


@pytest.mark.parametrize("checkpoint", ["task", "token", "halt"])
def test_a_stored_run_writes_what_a_run_in_memory_does(flow, checkpoint):
    done = command(flow, *STORE, "--checkpoint", checkpoint)
    assert (done.status, done.err) == (0, "")
    assert outputs(flow) == undisturbed(flow)
    numbers = done.numbers()
    assert (numbers["read"], numbers["written"], numbers["halted"]) == (ROWS, ROWS - 3, 3)


def test_the_summary_says_where_the_run_is_and_how_tokens_are_found(flow):
    done = command(flow, *STORE)
    [(uuid,)] = stored(flow, "SELECT uuid FROM workflow")
    assert f"  run {uuid} is halted\n" in done.out
    assert "  3 tokens wait for a decision: wfengine halted --store sqlite:///kept.db" in done.out
    assert "--resume" not in done.out


def test_a_run_is_named_after_its_target(flow):
    command(flow, *STORE)
    assert stored(flow, "SELECT name, status FROM workflow") == [(TARGET, "HALTED")]


def test_without_a_store_nothing_is_stored(flow):
    done = command(flow)
    assert "  run " not in done.out
    assert not list(flow.path.glob("*.db"))


def test_quiet_is_quiet(flow):
    done = command(flow, *STORE, "--quiet")
    assert (done.status, done.out, done.err) == (0, "", "")


def test_a_second_run_is_another_one_and_replaces_the_outputs(flow):
    for _ in range(2):
        assert command(flow, *STORE).status == 0
    assert outputs(flow) == undisturbed(flow)
    assert stored(flow, "SELECT count(*) FROM workflow") == [(2,)]


# After a crash


@pytest.mark.parametrize("checkpoint", ["task", "token", "halt"])
def test_killed_again_and_again_it_goes_on_and_writes_the_same_bytes(flow, checkpoint):
    kill_at(flow, 0, 1, 5, 7, 18, ROWS - 1)
    done = command(flow, *STORE, "--checkpoint", checkpoint)
    kills = 0
    while done.status < 0:
        kills += 1
        again = ["--resume"] if stored(flow, "SELECT 1 FROM workflow") else []
        done = command(flow, *STORE, *again)
    assert (kills, done.status, done.err) == (6, 0, "")
    assert outputs(flow) == undisturbed(flow)
    assert done.numbers()["written"] == ROWS - 3
    assert stored(flow, "SELECT count(*), sum(token_count) FROM workflow") == [(1, ROWS)]


def test_an_output_of_an_earlier_run_does_not_take_the_place_of_the_one_that_was_cut_short(flow):
    (flow / "output").mkdir()
    (flow / "output" / "all.txt").write_text("of an earlier run\n" * 1000)
    kill_at(flow, 18)
    assert command(flow, *STORE).status < 0
    assert command(flow, *STORE, "--resume").status == 0
    assert outputs(flow) == undisturbed(flow)


def test_an_output_in_which_nothing_more_is_written_is_finished_all_the_same(folder):
    folder.write(
        flow_py=FLOW.replace('obj["n"] % 2', 'obj["n"] < 3'),
        rows_csv="n,text\n" + "".join(f"{n},x\n" for n in range(10)),
    )
    kill_at(folder, 5)
    assert command(folder, *STORE, "--checkpoint", "task").status < 0
    assert command(folder, *STORE, "--resume").status == 0
    assert outputs(folder) == undisturbed(folder)


def test_the_summary_says_how_many_tokens_the_run_had_before(flow):
    kill_at(flow, 18)
    command(flow, *STORE, "--checkpoint", "task")
    [(count,)] = stored(flow, "SELECT token_count FROM workflow")
    numbers = command(flow, *STORE, "--resume").numbers()
    assert (numbers["read"], numbers["of which the run had before"]) == (ROWS, count)


def test_killed_before_the_first_checkpoint_it_still_knows_its_folder(flow):
    kill_at(flow, 0)
    command(flow, *STORE, "--checkpoint", "halt", output="elsewhere")
    assert flow.run(TARGET, "--input", "rows.csv", *STORE, "--resume").status == 0
    assert outputs(flow, "elsewhere") == undisturbed(flow)
    assert not (flow / "output").exists()


def test_a_limit_counts_rows_from_the_first(flow):
    kill_at(flow, 5)
    command(flow, *STORE, "--checkpoint", "task", "--limit", "10")
    done = command(flow, *STORE, "--resume", "--limit", "10")
    assert (done.numbers()["read"], done.status) == (10, 0)
    assert len(outputs(flow)["all.txt"].split(b"line")) == 11


def test_bad_rows_are_counted_again_when_the_input_is_read_again(flow):
    rows = "".join(f"{n},x\n" if n != 4 else "4\n" for n in range(10))
    flow.write(rows_csv=f"n,text\n{rows}")
    kill_at(flow, 8)
    assert command(flow, *STORE, "--checkpoint", "task").status < 0
    done = command(flow, *STORE, "--resume")
    assert (done.status, done.numbers()["failed"], done.numbers()["read"]) == (1, 1, 10)


def test_standard_input_can_be_given_again(flow):
    rows = (flow / "rows.csv").read_text()
    kill_at(flow, 5)
    assert flow.run(TARGET, *STORE, "--checkpoint", "task", stdin=rows).status < 0
    assert flow.run(TARGET, *STORE, "--resume", stdin=rows).status == 0
    assert outputs(flow) == undisturbed(flow)


# Outputs that are not as the run has left them


def killed(flow):
    kill_at(flow, 18)
    assert command(flow, *STORE, "--checkpoint", "task").status < 0
    return flow / "output" / "all.txt.part"


def lose(path):
    path.unlink()


def shorten(path):
    path.write_bytes(path.read_bytes()[:100])


def change(path):
    path.write_bytes(path.read_bytes().replace(b"of two", b"of 222"))


@pytest.mark.parametrize("damage", [lose, shorten, change])
def test_an_output_that_was_changed_is_refused_and_left_alone(flow, damage):
    damage(killed(flow))
    before = outputs(flow)
    done = command(flow, *STORE, "--resume")
    assert done.status == 2
    assert done.err.startswith("Error: output output/all.txt")
    assert done.err.count("\n") == 1
    assert outputs(flow) == before


def test_once_the_output_is_back_the_run_goes_on(flow):
    part = killed(flow)
    part.rename(flow / "away")
    assert command(flow, *STORE, "--resume").status == 2
    (flow / "away").rename(part)
    assert command(flow, *STORE, "--resume").status == 0
    assert outputs(flow) == undisturbed(flow)


def test_what_another_run_has_written_in_the_same_place_is_not_cut(flow):
    command(flow, *STORE, "--limit", "9")
    command(flow, "--store", "sqlite:///other.db")
    before = outputs(flow)
    flow.wfengine("decide", "fine", "--action", "look", *STORE)
    done = flow.wfengine("resume", TARGET, *STORE)
    assert done.status == 1
    assert "is not as the run has left it" in done.err
    assert outputs(flow) == before


# After Ctrl-C


def test_after_ctrl_c_it_goes_on_and_writes_the_same_bytes(flow):
    os.mkfifo(flow / "gate")
    gated = FLOW.replace(
        "    death = Path",
        "    if obj['n'] == 13 and Path('closed').exists():\n"
        "        print('waiting', flush=True)\n"
        "        open('gate').close()\n"
        "    death = Path",
    )
    flow.write(flow_py=gated, closed="")
    arguments = [TARGET, "--input", "rows.csv", *STORE]
    with flow.start(*arguments) as started:
        assert started.line() == "waiting"
        started.press_ctrl_c()
        assert "Stopping after the current task" in started.error_line()
        (flow / "gate").write_text("")
        done = started.end()
    assert done.status == 130
    assert "the same command with --resume goes on with it" in done.out
    assert "-> output/all.txt (partial: the run did not come to its end)" in done.out
    (flow / "closed").unlink()
    done = flow.run(*arguments, "--resume")
    assert (done.status, done.err) == (0, "")
    assert outputs(flow) == undisturbed(flow)
    assert done.numbers()["written"] == ROWS - 3


def test_of_two_processes_one_gets_the_run_and_the_other_is_told_who_has_it(flow):
    os.mkfifo(flow / "gate")
    flow.write(
        flow_py="def task(obj, eng):\n    print('on', flush=True)\n    open('gate').close()\n"
    )
    arguments = ["flow.py:task", "--input", "rows.csv", "--limit", "1", *STORE]
    with flow.start(*arguments) as started:
        assert started.line() == "on"
        done = flow.run(*arguments, "--resume")
        assert done.status == 2
        assert f"process {started.process.pid}" in done.err
        assert " UTC" in done.err
        (flow / "gate").write_text("")
        assert started.end().status == 0


# After a failure


def test_on_error_stop_can_go_on_when_the_cause_is_gone(flow):
    needs_a_map = 'Path("map").stat(); obj["n"] = int(obj["n"])'
    flow.write(flow_py=FLOW.replace('obj["n"] = int(obj["n"])', needs_a_map))
    done = command(flow, *STORE, "--on-error", "stop")
    assert done.status == 1
    assert "the same command with --resume goes on with it" in done.out
    (flow / "map").touch()
    done = command(flow, *STORE, "--on-error", "stop", "--resume")
    assert (done.status, done.err) == (0, "")
    assert outputs(flow) == undisturbed(flow)


# What cannot be done


def test_resume_needs_a_store(flow):
    done = command(flow, "--resume")
    assert done.status == 2
    assert "--store URL" in done.err


def test_resume_needs_a_run_that_is_not_over(flow):
    assert flow.wfengine("db", "init", *STORE).status == 0
    done = command(flow, *STORE, "--resume")
    assert done.status == 2
    assert done.err == (
        f"Error: there is no run of {TARGET} that could go on; leave out --resume to begin one\n"
    )


def test_runs_of_other_targets_are_named(flow):
    command(flow, *STORE)
    done = flow.run("./flow.py:workflow", "--input", "rows.csv", *STORE, "--resume")
    assert done.status == 2
    assert f"but of {TARGET};" in done.err


def test_a_missing_input_leaves_no_run_behind(flow):
    done = flow.run(TARGET, "--input", "missing.csv", *STORE)
    assert done.status == 2
    assert not (flow / "kept.db").exists()


def test_the_store_may_be_named_by_the_environment(flow, monkeypatch):
    from . import support

    monkeypatch.setitem(support.ENVIRONMENT, "WFENGINE_STORE", "sqlite:///runs.db")
    done = command(flow)
    assert "3 tokens wait for a decision: wfengine halted\n" in done.out
    assert flow.wfengine("halted", "--json").out.count("\n") == 3


def test_an_engine_that_keeps_its_runs_in_memory_is_refused(folder):
    folder.write(
        flow_py="""
from wfengine import GenericWorkflowEngine
class Engine(GenericWorkflowEngine):
    def __init__(self):
        super().__init__()
        self.callbacks.replace([lambda obj, eng: None])
""",
        rows_csv="a\n1\n",
    )
    assert folder.run("flow.py:Engine", "--input", "rows.csv").status == 0
    done = folder.run("flow.py:Engine", "--input", "rows.csv", *STORE)
    assert done.status == 2
    assert "Engine is no DbWorkflowEngine" in done.err


def test_an_engine_class_of_the_users_keeps_its_hooks(folder):
    folder.write(
        flow_py="""
from wfengine.engine_db import DbProcessingFactory, DbWorkflowEngine
class Factory(DbProcessingFactory):
    @staticmethod
    def before_processing(eng, objects):
        print("begun")
class Engine(DbWorkflowEngine):
    processing_factory = Factory
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.callbacks.replace([lambda obj, eng: None])
""",
        rows_csv="a\n1\n",
    )
    done = folder.run("flow.py:Engine", "--input", "rows.csv", *STORE)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("begun\n")
