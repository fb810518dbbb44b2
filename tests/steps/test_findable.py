"""What the process of a step can find: its function, and the store of a flow that it begins."""

import re
import subprocess
import sys
from contextlib import closing
from sqlite3 import connect

import pytest

FLOW = """
import functools
import multiprocessing
import sys
import wfengine.steps as seq

def work(value=None):
    print("works", flush=True)

class Thing:
    pass

flow = seq.Sequent("typed", store=":memory:", config={"task_construct": %(construct)s})
flow.add_step("a", %(step)s)
if __name__ == "__main__":
    print(flow(), flow.failures)
"""

WAYS = {
    "python -c": lambda script: ([sys.executable, "-c", script], None),
    "typed in": lambda script: ([sys.executable, "-i", "-q"], f"exec({script!r})\n"),
}


def run(arguments, text=None, folder=None):
    """Return a program that has been run."""
    return subprocess.run(
        arguments,
        input=text,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("step", "argument"),
    [
        ("work", "func"),
        ("functools.partial(work, 1)", "func"),
        ("print, args=(1, work)", r"args\[1\]"),
        ("print, kwargs={'sep': Thing()}", r"kwargs\['sep'\]"),
        ("print, repeats=[1, Thing()]", r"<.*Thi.*> in repeats"),
    ],
)
def test_what_only_a_program_without_a_file_knows_is_refused_when_the_step_is_added(
    way, step, argument
):
    arguments, text = WAYS[way](FLOW % {"construct": "'process'", "step": step})
    done = run(arguments, text)
    assert re.search(
        rf"WorkflowDefinitionError: step 'a': {argument} cannot be taken to a process of its own: "
        r"'(work|Thing)' is of a program that is in no file, .*"
        r"config={'task_construct': 'thread'}",
        done.stderr,
    ), done.stderr
    assert "works" not in done.stdout


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("construct", "step", "says"),
    [
        ("'process'", "print, args=('works', '__main__'), repeats=['__main__']", "works"),
        ("multiprocessing.get_context('fork').Process", "work", "works"),
        ("'thread'", "work", "works"),
    ],
)
def test_what_can_be_found_all_the_same_is_run(way, construct, step, says):
    arguments, text = WAYS[way](FLOW % {"construct": construct, "step": step})
    done = run(arguments, text)
    assert says in done.stdout, done.stderr
    assert "True []" in done.stdout


@pytest.mark.parametrize(
    ("construct", "says"),
    [
        ("'process'", "there is no file '<stdin>'; save it in one"),
        ("'thread'", "True []"),
        ("multiprocessing.get_context('fork').Process", "True []"),
    ],
)
def test_a_program_from_the_standard_input_cannot_start_processes_but_copies(construct, says):
    done = run([sys.executable, "-"], FLOW % {"construct": construct, "step": "print, ('works',)"})
    assert says in done.stdout + done.stderr
    assert ("works" in done.stdout) == (says == "True []")


def test_a_function_below_the_guard_of_a_script_fails_with_advice(tmp_path):
    script = tmp_path / "late.py"
    script.write_text(
        "import wfengine.steps as seq\n"
        "if __name__ == '__main__':\n"
        "    def late():\n"
        "        pass\n"
        "    flow = seq.Sequent('late', store=':memory:')\n"
        "    flow.add_step('a', late)\n"
        "    print(flow(), flow.failures)\n"
    )
    done = run([sys.executable, script])
    assert done.stdout.startswith("False "), done.stderr
    for part in ("WorkflowDefinitionError", "late", "not found", "above and outside", "thread"):
        assert part in done.stdout


INNER = """
import sys
import wfengine.steps as seq

def one():
    print("one", flush=True)

def two():
    print("two", flush=True)
    if sys.argv[-1] != "recover":
        raise ValueError("not yet")

flow = seq.Sequent(run_mode=seq.RunMode.recover if sys.argv[-1] == "recover" else
    seq.RunMode.restart, config={"task_construct": "inline"})
step = flow.add_step("one", one)
flow.add_step("two", two, requires=((step, seq.StepStatus.success),))

if __name__ == "__main__":
    print(flow(), flush=True)
    flow.close()
"""

OUTER = """
import subprocess
import sys
import inner
import wfengine.steps as seq

def script(mode):
    subprocess.run([sys.executable, "inner.py", mode])

def call():
    print(inner.flow(), flush=True)
    inner.flow.close()

flow = seq.Sequent()
last = None
for name, function, args in (("begin", script, ("begin",)), ("go on", script, ("recover",)),
        ("call", call, ())):
    requires = ((last, seq.StepStatus.success),) if last else ()
    last = flow.add_step(name, function, args, requires=requires)
flow()
flow.close()
"""


def test_a_flow_that_a_step_begins_keeps_its_runs_where_it_always_does(tmp_path):
    (tmp_path / "inner.py").write_text(INNER)
    (tmp_path / "outer.py").write_text(OUTER)
    done = run([sys.executable, "outer.py"], folder=tmp_path)
    assert done.stdout.split() == ["one", "two", "False", "two", "True", "one", "two", "False"], (
        done.stderr
    )
    assert names_in(tmp_path / "inner.db") == ["inner", "inner"]
    assert names_in(tmp_path / "outer.db") == ["outer"]


def names_in(file):
    """Return the names of the runs that a file has."""
    with closing(connect(file)) as database:
        found = database.execute("select name from workflow where parent_id is null")
        return [name for (name,) in found]


def test_nothing_is_opened_while_a_script_is_imported_for_the_process_of_a_step(tmp_path):
    (tmp_path / "inner.py").write_text(INNER)
    (tmp_path / "outer.py").write_text(
        "import inner\n"
        "import wfengine.steps as seq\n"
        "flow = seq.Sequent('outer', store=':memory:')\n"
        "flow.add_step('a', inner.one)\n"
        "print(flow())\n"
        "other = seq.Sequent('other')\n"
        "other.add_step('b', print)\n"
        "if flow.engine is None:\n"
        "    other()\n"
    )
    done = run([sys.executable, "outer.py"], folder=tmp_path)
    assert done.stdout.split() == ["True", "one", "True"], done.stderr
    assert not list(tmp_path.glob("*.db"))
