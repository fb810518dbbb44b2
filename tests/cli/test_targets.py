"""The target: how a workflow is found, and what is said about one with a mistake in it."""

import re
import sys

import pytest

from wfengine.definitions import load
from wfengine.errors import WorkflowDefinitionError

FLOW = """
from wfengine import GenericWorkflowEngine
from wfengine.patterns import COUNT, IF

def task(obj, eng): pass
def always(obj, eng): return True

class Engine(GenericWorkflowEngine):
    def __init__(self):
        super().__init__()
        self.callbacks.replace([COUNT("in the class")])

engine = GenericWorkflowEngine()
engine.callbacks.replace([COUNT("in the engine")])
workflow = [task, COUNT("in the list")]
in_a_tuple = (task, COUNT("in the tuple"))
pattern = IF(always, COUNT("in the pattern"))
"""


@pytest.fixture
def flow(folder):
    return folder.write(flow_py=FLOW, rows_csv="a\n1\n2\n")


def refused(folder, target):
    """Run a target that is refused; return what is said about it."""
    done = folder.run(target, "--input", "rows.csv")
    assert (done.status, done.out) == (2, "")
    assert not (folder / "output").exists()
    return done.err


# What is found


@pytest.mark.parametrize(
    ("attribute", "label"),
    [
        ("workflow", "in the list"),
        ("in_a_tuple", "in the tuple"),
        ("pattern", "in the pattern"),
        ("engine", "in the engine"),
        ("Engine", "in the class"),
        ("task", "completed"),
    ],
)
def test_a_definition_a_task_an_engine_or_its_class_is_run(flow, attribute, label):
    done = flow.run(f"flow.py:{attribute}", "--input", "rows.csv")
    assert (done.status, done.err) == (0, "")
    assert done.numbers()[label] == 2


def test_a_module_beside_which_the_command_is_started_is_found(flow):
    assert flow.run("flow:workflow", "--input", "rows.csv").status == 0


@pytest.fixture
def package(folder):
    """A package, one module of which imports another in each of the two ways."""
    source = folder / "source"
    (source / "birds").mkdir(parents=True)
    (source / "birds" / "__init__.py").touch()
    (source / "birds" / "tasks.py").write_text("def task(obj, eng): pass")
    flow = "from . import tasks\nfrom birds.tasks import task\nworkflow = [task, tasks.task]"
    (source / "birds" / "flow.py").write_text(flow)
    return folder.write(rows_csv="a\n1\n")


def test_a_file_of_a_package_may_import_its_siblings(package):
    done = package.run("source/birds/flow.py:workflow", "--input", "rows.csv")
    assert (done.status, done.err) == (0, "")


def test_a_file_may_import_what_lies_beside_it(folder):
    (folder / "flows").mkdir()
    (folder / "flows" / "tasks.py").write_text("def task(obj, eng): pass")
    (folder / "flows" / "flow.py").write_text("from tasks import task")
    folder.write(rows_csv="a\n1\n")
    done = folder.run("flows/flow.py:task", "--input", "rows.csv")
    assert (done.status, done.err) == (0, "")


@pytest.fixture
def path(monkeypatch):
    """Let a test load what it likes, and forget it afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.usefixtures("path")
def test_two_files_of_the_same_name_are_two_modules(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "flow.py").write_text(f"def task(obj, eng): return {name!r}")
    one, two = (load(f"{tmp_path / name / 'flow.py'}:task") for name in ("one", "two"))
    assert (one(None, None), two(None, None)) == ("one", "two")
    assert load(f"{tmp_path / 'two' / 'flow.py'}:task") is two


@pytest.mark.usefixtures("path")
def test_a_file_named_as_a_module_that_is_in_use_does_not_take_its_place(tmp_path):
    (tmp_path / "json.py").write_text("def task(obj, eng): pass")
    json = sys.modules["json"]
    assert load(f"{tmp_path / 'json.py'}:task").__name__ == "task"
    assert sys.modules["json"] is json


@pytest.mark.usefixtures("path")
def test_a_file_that_cannot_be_imported_is_not_remembered(tmp_path):
    file = tmp_path / "flow.py"
    file.write_text("1 / 0")
    with pytest.raises(WorkflowDefinitionError, match="ZeroDivisionError") as caught:
        load(f"{file}:task")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    file.write_text("def task(obj, eng): pass  # mended")
    assert load(f"{file}:task").__name__ == "task"


# What is not


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("flow.py:wrokflow", "there is no 'wrokflow' in flow.py; did you mean 'workflow'?"),
        ("flow.py:zzz", "there is no 'zzz' in flow.py"),
        ("flow:wrokflow", "there is no 'wrokflow' in flow; did you mean 'workflow'?"),
        ("flwo.py:workflow", "there is no file 'flwo.py'; did you mean 'flow.py'?"),
        ("no/such/flow.py:workflow", "there is no file 'no/such/flow.py'"),
        ("flow_:workflow", "there is no module 'flow_'; did you mean 'flow'?"),
        ("wfengine.util:x", "there is no module 'wfengine.util'; did you mean 'wfengine.utils'?"),
        ("flow.tasks:x", "there is no module 'flow.tasks'"),
        ("./:workflow", ". is a folder; a target is path/to/file.py:attribute or package.module"),
        ("./rows.csv:workflow", "rows.csv is no Python file: its name ends in .py"),
        ("my flow:workflow", "'my flow' is no name of a module; a target is"),
        (":workflow", "'' is no name of a module; a target is"),
        ("flow.py", "'flow.py' names no attribute; a target is path/to/file.py:attribute or"),
        ("flow.py:", "'flow.py:' names no attribute"),
        ("flow.py:a b", "'flow.py:a b' names no attribute"),
    ],
)
@pytest.mark.usefixtures("path")
def test_a_target_that_is_not_there_is_named_with_what_may_be_meant(
    flow, monkeypatch, target, said
):
    monkeypatch.chdir(flow.path)
    with pytest.raises(WorkflowDefinitionError, match=re.escape(said)):
        load(target)


def test_a_target_that_is_not_there_is_one_line(flow):
    err = refused(flow, "flow.py:wrokflow")
    assert err == "Error: there is no 'wrokflow' in flow.py; did you mean 'workflow'?\n"


def test_a_target_without_an_attribute_is_told_how_to_name_one(flow):
    assert "here perhaps flow.py:workflow" in refused(flow, "flow.py")


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ('[task, "task"]', "'task' (str) at [1] is no task"),
        ("[task, [task, None, 3]]", "3 (int) at [1, 2] is no task"),
        ("[task, lambda obj: None]", "at [1] cannot be called as task(obj, eng)"),
        ("[]", "the list of tasks is empty"),
        ("{'task': task}", "a dict is no definition: give a list of tasks, a task, or an engine"),
        ("len", "task 'len' at [0] cannot be called as task(obj, eng)"),
        ("GenericWorkflowEngine()", "the definition is empty"),
    ],
)
def test_a_definition_that_cannot_be_run_is_named_with_the_place_in_it(folder, definition, said):
    folder.write(
        flow_py="from wfengine import GenericWorkflowEngine\n"
        f"def task(obj, eng): pass\nworkflow = {definition}",
        rows_csv="a\n1\n",
    )
    err = refused(folder, "flow.py:workflow")
    assert err.startswith("Error: flow.py:workflow: ")
    assert said in err
    assert "Traceback" not in err


def test_a_pattern_that_is_used_wrongly_is_named_with_the_line(folder):
    folder.write(
        flow_py="from wfengine.patterns import CHOICE\n"
        "def kind(obj, eng): pass\n"
        "workflow = [\n    kind,\n    CHOICE(kind),\n]\n",
        rows_csv="a\n1\n",
    )
    err = refused(folder, "flow.py:workflow")
    assert err.endswith("flow.py, line 5: CHOICE has no branches: give it name=[tasks]\n")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("workflow = [claen]\ndef clean(obj, eng): pass", "NameError: name 'claen' is not defined"),
        ("from wfengine.patterns import IFELSE", "; did you mean 'IF_ELSE'?"),
        ("import jsn", "ModuleNotFoundError: No module named 'jsn'; did you mean 'json'"),
        ("from wfengine.patterns import IF\nIF(len)", "TypeError: IF() missing 1 required"),
        ("workflow = [a b]", "SyntaxError: invalid syntax. Perhaps you forgot a comma?"),
        ("def workflow(:", "SyntaxError"),
        ("raise BaseExceptionGroup('two', [ValueError('one')])", "ExceptionGroup: two"),
    ],
)
def test_a_file_that_cannot_be_imported_shows_the_users_own_traceback(folder, source, said):
    folder.write(flow_py=source, rows_csv="a\n1\n")
    err = refused(folder, "flow.py:workflow")
    assert 'flow.py", line ' in err
    assert err.splitlines()[-1].startswith(f"Error: {folder / 'flow.py'} cannot be imported: ")
    assert said in err
    assert "importlib" not in err
    assert "loading.py" not in err


def test_a_misspelt_name_gets_the_one_that_may_be_meant(folder):
    folder.write(flow_py="def clean(obj, eng): pass\nworkflow = [claen]", rows_csv="a\n1\n")
    assert "did you mean 'clean'" in refused(folder, "flow.py:workflow")


def test_the_traceback_shows_what_led_to_the_exception_too(folder):
    folder.write(
        flow_py="try:\n    1 / 0\nexcept ZeroDivisionError as error:\n"
        "    raise ValueError('no flow') from error\n",
        rows_csv="a\n1\n",
    )
    err = refused(folder, "flow.py:workflow")
    assert "ZeroDivisionError: division by zero" in err
    assert "ValueError: no flow" in err
    assert "importlib" not in err


def test_a_module_that_cannot_be_imported_shows_the_users_own_traceback(folder):
    folder.write(flow_py="def f(): 1 / 0\nf()\n", rows_csv="a\n1\n")
    err = refused(folder, "flow:workflow")
    assert 'flow.py", line 1, in f' in err
    assert err.endswith("Error: flow cannot be imported: ZeroDivisionError: division by zero\n")
    assert "importlib" not in err


def test_a_module_that_lacks_another_is_not_taken_for_missing_itself(folder):
    folder.write(flow_py="import flow_tasks_that_are_not_there\n", rows_csv="a\n1\n")
    err = refused(folder, "flow:workflow")
    assert "Error: flow cannot be imported: ModuleNotFoundError: No module named" in err


def test_a_file_that_ends_the_program_is_told_what_to_do(folder):
    folder.write(flow_py="import sys\nworkflow = []\nsys.exit(0)\n", rows_csv="a\n1\n")
    err = refused(folder, "flow.py:workflow")
    assert "ended the program while it was imported" in err
    assert "if __name__ == '__main__':" in err
    assert "Traceback" not in err
