"""Importing: what it costs, what it leaves alone, and which names there are."""

import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

import wfengine
import wfengine.patterns

PUBLIC = {
    "wfengine": {
        "GenericWorkflowEngine",
        "HaltProcessing",
        "MachineState",
        "WorkflowDefinitionError",
        "WorkflowError",
        "__version__",
    },
    "wfengine.engine": {
        "ActionMapper",
        "BranchFailure",
        "Break",
        "Callbacks",
        "Continue",
        "GenericWorkflowEngine",
        "MachineState",
        "ProcessingFactory",
        "Signal",
        "TransitionActions",
    },
    "wfengine.errors": {
        "AbortProcessing",
        "BreakFromThisLoop",
        "ContinueNextToken",
        "DamagedDataError",
        "DrawingError",
        "HaltProcessing",
        "JumpCall",
        "JumpToken",
        "LeaseHeldError",
        "LeaseLostError",
        "NotStorableError",
        "PositionError",
        "SchemaError",
        "SkipToken",
        "StopProcessing",
        "StopRequested",
        "StoreError",
        "UnknownRunError",
        "UnknownTokenError",
        "WorkflowAPIError",
        "WorkflowDefinitionError",
        "WorkflowError",
        "WorkflowObjectStatusError",
        "WorkflowTransition",
        "together",
    },
    "wfengine.signals": {
        "Signal",
        "TokenOutcome",
        "task_failed",
        "task_finished",
        "task_started",
        "token_finished",
        "token_started",
        "workflow_error",
        "workflow_finished",
        "workflow_halted",
        "workflow_started",
    },
    "wfengine.extension": {
        "ActionMapper",
        "Break",
        "Continue",
        "ProcessingFactory",
        "TransitionActions",
    },
    "wfengine.utils": {"classproperty", "staticproperty"},
    "wfengine.flows": {
        "STORED_AS",
        "ExecutionContext",
        "FlowError",
        "FlowExecution",
        "FlowRepository",
        "FlowRunner",
        "FlowService",
        "FlowStatus",
        "FlowStatusError",
        "FlowTemplate",
        "MissingEntryError",
        "PersistenceMode",
        "StoredAs",
        "Task",
        "TaskDataItem",
        "TaskExecution",
        "TaskStatus",
        "TaskTimeoutError",
        "UnknownFlowError",
    },
    "wfengine.steps": {
        "STORED_STATUSES",
        "Event",
        "Resource",
        "ResourceDeadlockError",
        "ResourcePool",
        "RunMode",
        "Sequent",
        "Step",
        "StepEndedError",
        "StepError",
        "StepReplay",
        "StepState",
        "StepStatus",
        "and_",
        "or_",
        "resources",
    },
    "wfengine.description": {"Description", "Need", "Part", "describe", "described"},
    "wfengine.patterns.controlflow": {
        "BREAK",
        "CHOICE",
        "CMP",
        "FOR",
        "GRAPH",
        "HALT",
        "IF",
        "IF_ELSE",
        "IF_NOT",
        "OBJ_JUMP_BWD",
        "OBJ_JUMP_FWD",
        "OBJ_NEXT",
        "PARALLEL_SPLIT",
        "SIMPLE_MERGE",
        "STOP",
        "SYNCHRONIZE",
        "TASK_JUMP_BWD",
        "TASK_JUMP_FWD",
        "TASK_JUMP_IF",
        "WHILE",
    },
    "wfengine.patterns.utils": {
        "CALLFUNC",
        "COUNT",
        "DEBUG_CYCLE",
        "EMPTY_CALL",
        "ENG_GET",
        "ENG_SET",
        "ERROR",
        "OBJ_GET",
        "OBJ_SET",
        "PROFILE",
        "RUN_WF",
        "TRY",
    },
}
PUBLIC["wfengine.patterns"] = (
    PUBLIC["wfengine.patterns.controlflow"] | PUBLIC["wfengine.patterns.utils"]
)


COMMAND_LINE = {"wfengine.__main__", "wfengine.cli"}


def modules_in(package):
    names = [info.name for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]
    return [package.__name__, *(name for name in names if name not in COMMAND_LINE)]


MODULES = sorted({*modules_in(wfengine), *modules_in(wfengine.patterns)})
DECLARING = [name for name in MODULES if hasattr(importlib.import_module(name), "__all__")]


@pytest.fixture
def fresh(tmp_path):
    """Run a program in a new interpreter, away from the source tree; return its output."""

    def run(program):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout

    return run


@pytest.fixture
def imported_by(fresh):
    """Import modules in a new interpreter; return the names of all that came with them."""

    def run(*names):
        lines = ["import json, sys", "before = set(sys.modules)"]
        lines += [f"import {name}" for name in names]
        lines += ["print(json.dumps(sorted(set(sys.modules) - before)))"]
        return set(json.loads(fresh("\n".join(lines))))

    return run


# Cost


@pytest.mark.parametrize(
    "module", ["wfengine", "wfengine.engine", "wfengine.errors", "wfengine.signals"]
)
def test_the_kernel_is_imported_without_what_it_can_do_without(imported_by, module):
    imported = imported_by(module)
    assert module in imported
    for unwanted in ("asyncio", "sqlalchemy", "typer", "rich", "wfengine.patterns"):
        assert unwanted not in imported


def test_the_patterns_are_imported_without_an_event_loop(imported_by):
    imported = imported_by("wfengine.patterns")
    assert "wfengine.patterns.controlflow" in imported
    assert not imported & {"asyncio", "sqlalchemy", "typer", "rich"}


@pytest.mark.parametrize("module", ["wfengine", "wfengine.patterns"])
def test_the_kernel_and_the_patterns_need_attrs_and_blinker_and_nothing_else(imported_by, module):
    roots = {name.partition(".")[0] for name in imported_by(module)}
    assert roots - sys.stdlib_module_names <= {"wfengine", "attr", "attrs", "blinker"}


def test_a_run_without_awaiting_needs_no_event_loop(fresh):
    program = """
import sys
from wfengine import GenericWorkflowEngine
eng = GenericWorkflowEngine()
eng.callbacks.replace([lambda obj, eng: None])
eng.process([1, 2])
print("asyncio" in sys.modules)
"""
    assert fresh(program) == "False\n"


# What is left alone


def test_importing_prints_nothing(fresh):
    assert fresh("\n".join(f"import {module}" for module in MODULES)) == ""


def test_importing_leaves_the_interpreter_as_it_was(fresh):
    program = """
import logging, signal, sys, threading, warnings

def ambient():
    return (
        logging.root.handlers[:],
        logging.root.level,
        logging.getLogger("wfengine").handlers[:],
        logging.getLogger("wfengine").level,
        logging.getLogger("wfengine").propagate,
        sys.excepthook,
        threading.excepthook,
        threading.active_count(),
        warnings.filters[:],
        signal.getsignal(signal.SIGINT),
    )

before = ambient()
import wfengine, wfengine.engine, wfengine.patterns
print(ambient() == before)
"""
    assert fresh(program) == "True\n"


# Names


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_has_the_names_that_are_meant_to_be_public(module):
    names = importlib.import_module(module).__all__
    assert set(names) == PUBLIC[module]


@pytest.mark.parametrize("module", DECLARING)
def test_a_module_declares_names_that_exist_each_of_them_once(module):
    imported = importlib.import_module(module)
    names = imported.__all__
    assert len(set(names)) == len(names)
    for name in names:
        assert hasattr(imported, name), name
        assert name == "__version__" or not name.startswith("_"), name


@pytest.mark.parametrize("module", DECLARING)
def test_a_star_imports_what_is_declared(module):
    namespace = {}
    exec(f"from {module} import *", namespace)
    assert namespace.keys() - {"__builtins__"} == set(importlib.import_module(module).__all__)


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_class_and_function_says_what_it_is(module):
    imported = importlib.import_module(module)
    for name in PUBLIC[module]:
        found = getattr(imported, name)
        if callable(found):
            assert found.__doc__, name


def test_the_version_is_the_one_that_is_installed():
    from importlib.metadata import version

    assert wfengine.__version__ == version("wfengine")
