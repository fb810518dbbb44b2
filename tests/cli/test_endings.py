"""How a run ends: at the end of the input, at a failure, by the workflow, or by Ctrl-C."""

import json
import signal
import sys

import pytest

from .support import MODULE, WITH_CTRL_C

STOP = ["--on-error", "stop"]

CLOSING = """
import os, sys
os.close(int(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Starts a program without one of its streams."""


# At a failure


def test_on_error_continue_is_the_default(birds):
    default = birds.run("birds.py:workflow", "--input", "birds.csv")
    named = birds.run("birds.py:workflow", "--input", "birds.csv", "--on-error", "continue")
    assert default.numbers() == named.numbers()
    assert default.numbers()["read"] == 5
    assert (default.status, named.status) == (1, 1)


def test_on_error_stop_ends_the_run_at_the_first_failed_token(birds):
    birds.write(birds_csv="bird,count\nrobin,2\nswift,many\nwren,1\n")
    done = birds.run("birds.py:workflow", "--input", "birds.csv", *STOP)
    assert done.status == 1
    numbers = done.numbers()
    assert (numbers["read"], numbers["written"], numbers["failed"]) == (2, 1, 1)
    assert done.err.splitlines()[-1] == "The run ended after 2 tokens, at birds.csv, line 3."


def test_on_error_stop_ends_the_run_at_the_first_bad_row(birds):
    birds.write(birds_csv="bird,count\nrobin,2\nswift\nwren,1\n")
    done = birds.run("birds.py:workflow", "--input", "birds.csv", *STOP)
    assert done.status == 1
    numbers = done.numbers()
    assert (numbers["read"], numbers["written"], numbers["failed"]) == (2, 1, 1)
    assert done.err == (
        "Failed once: the row has 1 of 2 fields; missing: count\n"
        "  birds.csv:3\n"
        "The run ended after 2 tokens, at birds.csv, line 3.\n"
    )


def test_on_error_stop_does_not_stop_at_a_halt(birds):
    birds.write(birds_csv="bird,count\nstarling,20000\nwren,1\n")
    done = birds.run("birds.py:workflow", "--input", "birds.csv", *STOP)
    assert (done.status, done.err) == (0, "")
    assert (done.numbers()["halted"], done.numbers()["written"]) == (1, 1)


def test_the_same_exception_object_raised_again_is_counted_again(folder):
    folder.write(
        flow_py="error = ValueError('no fish')\ndef fail(obj, eng): raise error",
        rows_csv="a\n1\n2\n3\n",
    )
    assert folder.run("flow.py:fail", "--input", "rows.csv").numbers()["failed"] == 3


HOOKS = """
from wfengine import GenericWorkflowEngine
from wfengine.engine import ProcessingFactory
def task(obj, eng): pass
class Factory(ProcessingFactory):
    @staticmethod
    def {hook}(eng, objects): raise OSError("the archive is gone")
class Engine(GenericWorkflowEngine):
    processing_factory = Factory
    def __init__(self):
        super().__init__()
        self.callbacks.replace([task])
"""


@pytest.mark.parametrize(("hook", "read"), [("before_processing", 0), ("after_processing", 1)])
def test_an_error_around_the_whole_run_fails_it(folder, hook, read):
    folder.write(flow_py=HOOKS.format(hook=hook), rows_csv="a\n1\n")
    done = folder.run("flow.py:Engine", "--input", "rows.csv")
    assert done.status == 1
    assert done.numbers()["read"] == read
    assert f"Failed once: OSError: the archive is gone\n  flow.py:7 in {hook}\n" in done.err


def test_a_definition_error_of_one_token_is_a_failure_and_no_usage_error(folder):
    folder.write(
        flow_py="""
from wfengine import GenericWorkflowEngine
def task(obj, eng): pass
class Engine(GenericWorkflowEngine):
    def callback_chooser(self, obj):
        return [task] if obj["a"] == "known" else []
""",
        rows_csv="a\nknown\nunknown\n",
    )
    done = folder.run("flow.py:Engine", "--input", "rows.csv")
    assert done.status == 1
    assert (done.numbers()["completed"], done.numbers()["failed"]) == (1, 1)
    assert "there is nothing to run for token 1" in done.err


def test_tasks_may_be_coroutines(folder):
    folder.write(
        flow_py="""
import asyncio
from wfengine.patterns import COUNT
async def task(obj, eng): await asyncio.sleep(0)
workflow = [task, COUNT("awaited")]
""",
        rows_csv="a\n1\n2\n",
    )
    assert folder.run("flow.py:workflow", "--input", "rows.csv").numbers()["awaited"] == 2


# By Ctrl-C


@pytest.fixture
def gated(folder):
    """A workflow that says when a token begins, and waits for a gate to open."""
    return folder.write(
        flow_py="""
import os, time
from wfengine.cli.outputs import output_file
from wfengine.patterns import COUNT

def begin(obj, eng):
    output_file(eng, "seen.txt").write(obj["a"] + "\\n")
    print("begun", obj["a"], flush=True)
    while obj["a"] == "wait" and not os.path.exists("gate"):
        time.sleep(0.01)

workflow = [begin, COUNT("done")]
""",
        rows_csv="a\n1\nwait\n3\n",
    )


def begun(started, name):
    assert started.line() == f"begun {name}"


def test_ctrl_c_stops_before_the_next_task_and_says_how_far_it_got(gated):
    with gated.start("flow.py:workflow", "--input", "rows.csv") as started:
        begun(started, "1")
        begun(started, "wait")
        started.press_ctrl_c()
        assert "Stopping after the current task" in started.error_line()
        (gated / "gate").write_text("")
        done = started.end()
    assert done.status == 130
    numbers = done.numbers()
    assert (numbers["read"], numbers["done"], numbers["stopped"]) == (2, 1, 1)
    assert done.err == "Interrupted after 2 tokens, at rows.csv, line 3.\n"


def test_ctrl_c_finishes_the_outputs_and_calls_them_partial(gated):
    with gated.start("flow.py:workflow", "--input", "rows.csv") as started:
        begun(started, "1")
        begun(started, "wait")
        started.press_ctrl_c()
        assert "Stopping after the current task" in started.error_line()
        assert (gated / "output" / "seen.txt.part").exists()
        (gated / "gate").write_text("")
        done = started.end()
    assert "output/seen.txt (partial: the run did not come to its end)" in done.out
    assert (gated / "output" / "seen.txt").read_text() == "1\nwait\n"
    assert not (gated / "output" / "seen.txt.part").exists()


def test_ctrl_c_twice_breaks_off_the_task(gated):
    with gated.start("flow.py:workflow", "--input", "rows.csv") as started:
        begun(started, "1")
        begun(started, "wait")
        started.press_ctrl_c()
        assert "Ctrl-C again breaks it off" in started.error_line()
        started.press_ctrl_c()
        done = started.end()
    assert done.status == 130
    assert done.numbers()["done"] == 1
    assert done.err == "Interrupted after 2 tokens, at rows.csv, line 3.\n"
    assert (gated / "output" / "seen.txt").read_text() == "1\nwait\n"


def test_ctrl_c_does_not_wait_for_input(gated):
    with gated.start("flow.py:workflow") as started:
        started.type("a\n1\n")
        begun(started, "1")
        started.press_ctrl_c()
        done = started.end_without_closing_its_input()
    assert done.status == 130
    assert "Interrupted after 1 token, at standard input, line 2.\n" in done.err


def test_ctrl_c_before_the_first_row_says_so(folder):
    folder.write(
        flow_py="""
from wfengine import GenericWorkflowEngine, signals
def begin(eng, **context): print("begun", flush=True)
signals.workflow_started.connect(begin)
def task(obj, eng): pass
"""
    )
    with folder.start("flow.py:task", "--format", "csv") as started:
        assert started.line() == "begun"
        started.press_ctrl_c()
        done = started.end_without_closing_its_input()
    assert done.status == 130
    assert done.err.endswith("Interrupted before anything was read.\n")


def test_where_ctrl_c_is_ignored_it_stays_ignored(gated):
    ignoring = [sys.executable, "-c", WITH_CTRL_C.replace("SIG_DFL", "SIG_IGN")]
    command = [*ignoring, *MODULE]
    with gated.start("flow.py:workflow", "--input", "rows.csv", command=command) as started:
        begun(started, "1")
        begun(started, "wait")
        started.process.send_signal(signal.SIGINT)
        (gated / "gate").write_text("")
        done = started.end()
    assert (done.status, done.err) == (0, "")
    assert done.numbers()["done"] == 3


@pytest.mark.parametrize("stream", [1, 2])
def test_a_command_whose_output_is_closed_does_its_work(birds, stream):
    closing = [sys.executable, "-c", CLOSING, str(stream), *MODULE]
    done = birds.wfengine("run", "birds.py:workflow", "--input", "good.csv", command=closing)
    assert done.status == 0
    assert "Traceback" not in done.out + done.err
    written = (birds / "output" / "sightings.jsonl").read_text().splitlines()
    assert [json.loads(line)["bird"] for line in written] == ["robin", "wren"]
