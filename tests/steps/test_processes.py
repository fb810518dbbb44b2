"""Steps in processes: what they know, and what becomes of one that dies."""

import json
import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from wfengine.errors import WorkflowDefinitionError
from wfengine.steps.constructs import construct_of

PROGRAM = Path(__file__).parent / "in_processes.py"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Whether the flow has succeeded, the result and the error of each step, and whether its
    environment is as it was.
    """
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path_factory.mktemp("processes") / "runs.db"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def test_a_step_knows_who_it_is_by_the_environment_and_by_the_flow(found):
    name = "box_tells"
    assert found[1][name] == [[1, name, "1.1", "0", "yes", name, "1.1", True], None]


def test_the_environment_of_the_flow_stays_as_it_was(found):
    assert found[2]


def test_a_coroutine_function_is_run(found):
    assert found[1]["waits"] == [2, None]


@pytest.mark.parametrize(
    ("step", "kind", "says"),
    [
        ("die", "StepEndedError", "killed by signal 9 (SIGKILL)"),
        ("leave", "StepEndedError", "exited with status 7"),
        ("exits", "StepEndedError", "sys.exit(3)"),
        ("raise_base", "StepEndedError", "step raise_base/1 was left by Base: even"),
        ("divides", "ZeroDivisionError", "modulo by zero"),
        ("raise_odd", "RuntimeError", "Odd: one"),
        ("return_lock", "RuntimeError", "lock"),
    ],
)
def test_what_goes_wrong_in_a_process_is_a_failure_of_its_step(found, step, kind, says):
    result, error = found[1][step]
    assert result is None
    assert error["type"].endswith(kind)
    assert says in error["message"]


def test_others_go_on_and_the_flow_has_failed(found):
    assert found[0] is False
    assert found[1]["after"] == [0, None]


def test_a_construct_may_be_a_class():
    assert construct_of(threading.Thread, "a test").name == "thread"
    assert construct_of(multiprocessing.Process, "a test").name == "process"
    spawn = multiprocessing.get_context("spawn")
    assert construct_of(spawn.Process, "a test").context.get_start_method() == "spawn"
    with pytest.raises(WorkflowDefinitionError, match="task_construct"):
        construct_of(int, "a test")
