"""Definitions by name."""

import functools
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import wfengine.definitions
from wfengine import GenericWorkflowEngine
from wfengine.callbacks import Definition
from wfengine.definitions import Registry
from wfengine.errors import WorkflowDefinitionError
from wfengine.patterns import CALLFUNC, FOR, HALT, IF, SYNCHRONIZE


def task(obj: Any, eng: Any) -> None: ...


def other(obj: Any, eng: Any) -> None: ...


class Shop(GenericWorkflowEngine):
    def __init__(self) -> None:
        super().__init__()
        self.callbacks.replace([task, other])


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def path(monkeypatch) -> None:
    """Let a test import what it likes, and forget it afterwards."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "modules", sys.modules.copy())


@pytest.fixture
def module(tmp_path, path) -> str:
    """Return the name of a module with a definition, not imported yet."""
    name = f"flows_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Parcel: ...\n"
        "def task(obj, eng): ...\n"
        "workflow = [task]\nmade = lambda: workflow\nnumber = 3\n"
    )
    sys.path.insert(0, str(tmp_path))
    return name


# Added


@pytest.mark.parametrize(
    "definition", [[task, other], (task, other), lambda: [task, other], Shop, Shop()]
)
def test_what_was_added_is_found_as_a_definition(registry, definition):
    registry.add("shop", definition)
    found = registry.find("shop")
    assert isinstance(found, Definition)
    assert found == [task, other]


def test_a_task_and_a_pattern_are_definitions_of_one_element(registry):
    pattern = IF(task, other)
    registry.add("task", task)
    registry.add("pattern", pattern)
    assert registry.find("task") == [task]
    assert registry.find("pattern")[0] is pattern


def test_the_same_definition_is_found_each_time(registry):
    registry.add("shop", lambda: [task])
    assert registry.find("shop") is registry.find("shop") is registry.known("shop")


def test_a_decorated_function_stays_what_it_is_and_is_called_once_on_first_use(registry):
    calls = []

    @registry.workflow("shop")
    def shop():
        calls.append("called")
        return [task]

    assert calls == []
    assert registry.find("shop") == registry.find("shop") == [task]
    assert calls == ["called"]
    assert shop() == [task]


def test_a_function_is_called_once_however_many_threads_ask(registry):
    calls, together = [], threading.Barrier(8)

    @registry.workflow("shop")
    def shop():
        calls.append("called")
        return [task]

    def ask():
        together.wait()
        found.append(registry.find("shop"))

    found: list[Any] = []
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == ["called"]
    assert len({id(each) for each in found}) == 1


def test_one_workflow_may_be_made_of_another(registry):
    registry.add("inner", lambda: [task])
    registry.add("outer", lambda: [registry.find("inner"), other])
    assert registry.find("outer") == [[task], other]


def test_a_workflow_that_is_made_of_itself_is_an_error(registry):
    registry.add("shop", lambda: [registry.find("shop")])
    with pytest.raises(WorkflowDefinitionError, match="'shop' asks for itself"):
        registry.find("shop")


def test_a_function_that_failed_is_called_again_next_time(registry):
    answers = iter([ValueError("not yet"), None])

    def shop():
        if error := next(answers):
            raise error
        return [task]

    registry.add("shop", shop)
    with pytest.raises(WorkflowDefinitionError, match="'shop': ValueError: not yet") as caught:
        registry.find("shop")
    assert isinstance(caught.value.__cause__, ValueError)
    assert registry.find("shop") == [task]


async def coroutine() -> Any:
    return [task]


@pytest.mark.parametrize(
    "found", [3, "text", None, int, [3], {"a": task}, lambda: 3, lambda: lambda: [task], coroutine]
)
def test_what_is_no_definition_is_an_error_that_names_the_workflow(registry, found):
    def add_and_find() -> None:
        registry.add("shop", found)
        registry.find("shop")

    with pytest.raises(WorkflowDefinitionError, match="workflow 'shop': "):
        add_and_find()


def test_a_list_is_checked_when_it_is_added(registry):
    with pytest.raises(WorkflowDefinitionError):
        registry.add("shop", [3])
    assert registry.names() == []


def test_an_engine_without_a_definition_for_every_token_is_an_error(registry):
    eng = GenericWorkflowEngine()
    eng.callbacks.add(task, key="book")
    with pytest.raises(WorkflowDefinitionError, match="no callbacks under '\\*'; there are: 'bo"):
        registry.add("shop", eng)


@pytest.mark.parametrize("found", [task, [task], lambda needed: [task], Shop])
def test_the_decorator_takes_a_function_without_parameters_alone(registry, found):
    with pytest.raises(WorkflowDefinitionError, match="decorates a function without parameters"):
        registry.workflow("shop")(found)


# Names


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is empty"),
        (3, "is a text, not int"),
        (None, "is a text, not NoneType"),
        ("x" * 256, "at most 255 characters, not 256"),
        ("a\0b", "printable"),
        ("a\nb", "printable"),
        ("\ud800", "printable"),
        (" padded ", "blanks"),
    ],
)
def test_a_name_that_cannot_be_one_is_an_error(registry, name, said):
    for use in (registry.find, registry.workflow, lambda name: registry.add(name, [task])):
        with pytest.raises(WorkflowDefinitionError, match=said) as caught:
            use(name)
        str(caught.value).encode()
    assert registry.known(name) is None


@pytest.mark.parametrize("name", ["x" * 255, "Prüfung № 3", "<script>", "../x", "--opt", "a'b\"c"])
def test_any_other_name_is_possible(registry, name):
    registry.add(name, [task])
    assert registry.find(name) == [task]
    assert registry.names() == [name]


def test_another_definition_under_a_known_name_is_an_error(registry):
    registry.add("shop", [task])
    with pytest.raises(WorkflowDefinitionError, match="'shop' is registered already"):
        registry.add("shop", [task])
    with pytest.raises(WorkflowDefinitionError, match=r"registered already.*test_registry\.other"):
        registry.add("shop", other)
    assert registry.find("shop") == [task]


def test_the_same_definition_may_be_added_again(registry):
    definition = [task]
    registry.add("shop", definition)
    registry.add("shop", definition)
    assert registry.names() == ["shop"]


def test_another_definition_takes_the_place_of_one_on_demand(registry):
    registry.add("shop", [task])
    registry.find("shop")
    registry.add("shop", [other], replace=True)
    assert registry.find("shop") == [other]


def test_a_file_that_is_executed_twice_registers_its_functions_twice(registry, tmp_path):
    path = tmp_path / "twice.py"
    path.write_text("@registry.workflow('shop')\ndef shop():\n    return []\n")
    code = compile(path.read_text(), str(path), "exec")
    for name in ("twice", "__main__"):
        exec(code, {"registry": registry, "__name__": name})
    assert registry.names() == ["shop"]


def test_two_functions_of_one_file_do_not_share_a_name(registry):
    code = "@registry.workflow('shop')\ndef shop():\n    return []\n"
    with pytest.raises(WorkflowDefinitionError, match="registered already"):
        exec(compile(code * 2, "twice.py", "exec"), {"registry": registry, "__name__": "x"})


# Unknown


def test_an_unknown_name_is_an_error_with_those_that_may_be_meant(registry):
    registry.add("flights", [task])
    registry.add("nights", [task])
    with pytest.raises(WorkflowDefinitionError) as caught:
        registry.find("flihgts")
    assert "there is no workflow 'flihgts'; did you mean 'flights'" in str(caught.value)
    assert caught.value.payload["near"][0] == "flights"


def test_without_a_near_miss_those_that_there_are_are_named(registry):
    for number in range(20):
        registry.add(f"w{number:02}", [task])
    with pytest.raises(WorkflowDefinitionError) as caught:
        registry.find("quite another")
    assert "there are 'w00', 'w01'" in str(caught.value)
    assert "'w19'" not in str(caught.value)


def test_with_no_names_at_all_it_says_how_to_register_one(registry):
    with pytest.raises(WorkflowDefinitionError) as caught:
        registry.find("flights")
    for way in ("there are none", "@workflow(", "'wfengine.workflows'", "package.module:attribute"):
        assert way in str(caught.value)


# Targets


def test_a_module_and_an_attribute_are_imported_and_remembered(registry, module):
    target = f"{module}:workflow"
    assert registry.known(target) is None
    assert module not in sys.modules
    found = registry.find(target)
    assert found == sys.modules[module].workflow
    assert registry.find(target) is registry.known(target) is found
    assert registry.names() == []


@pytest.mark.parametrize("attribute", ["made", "task", "workflow"])
def test_a_file_and_an_attribute_are_found_as_well(registry, module, tmp_path, attribute):
    found = registry.find(f"{tmp_path / module}.py:{attribute}")
    assert [each.__name__ for each in found] == ["task"]


def test_a_target_that_is_no_definition_is_not_remembered(registry, module):
    with pytest.raises(WorkflowDefinitionError, match="type int, which is no definition"):
        registry.find(f"{module}:number")
    assert registry.known(f"{module}:number") is None


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_module:x", "there is no module 'no_such_module'"),
        ("no/such/file.py:x", "there is no file"),
        ("flows.py", "names no attribute"),
        ("json:dmups", "did you mean 'dumps'"),
    ],
)
@pytest.mark.usefixtures("path")
def test_a_target_that_is_not_there_says_what_is_missing(registry, target, said):
    with pytest.raises(WorkflowDefinitionError, match=said):
        registry.find(target)


@pytest.mark.parametrize(
    "name",
    [
        "antigravity:fly",
        "this:s",
        "/tmp/evil.py:x",
        "../evil.py:x",
        "os:system",
        "__import__('os')",
        "a.b.c:d",
        ":",
        "x" * 10**6,
        "\0",
        "\ud800",
        b"bytes",
        3,
        None,
        ["list"],
    ],
)
def test_a_name_in_a_database_imports_nothing(registry, name):
    before, path = set(sys.modules), list(sys.path)
    assert registry.known(name) is None
    assert set(sys.modules) == before
    assert sys.path == path


def test_a_registered_name_goes_before_a_target(registry, module):
    registry.add(f"{module}:workflow", [other])
    assert registry.find(f"{module}:workflow") == [other]
    assert module not in sys.modules


# Entry points


@pytest.fixture
def distribution(tmp_path):
    """Return what installs a distribution with workflows, and runs a program with it."""
    folders: list[Path] = []

    def install(name: str, entry_points: str, source: str) -> None:
        folder = tmp_path / name
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[wfengine.workflows]\n{entry_points}\n")
        (folder / f"{name}_flows.py").write_text(source)
        folders.append(folder)

    def run(program: str) -> Any:
        lines = ["import json, sys", f"sys.path[:0] = {list(map(str, folders))!r}"]
        lines += ["from wfengine.definitions import Registry, registry, find", program]
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", "\n".join(lines)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    install.run = run  # type: ignore[attr-defined]
    return install


FLOWS = """
def task(obj, eng): ...
def flights(): return [task]
workflow = [task, task]
broken = 3
"""

SAID = """
from wfengine.errors import WorkflowDefinitionError
def said(name):
    try:
        return [task.__name__ for task in find(name)]
    except WorkflowDefinitionError as error:
        return str(error)
"""


def test_installed_packages_offer_workflows(distribution):
    distribution("acme", "flights = acme_flows:flights\nlist = acme_flows:workflow", FLOWS)
    found = distribution.run(
        "names = registry.names()\n"
        "imported = 'acme_flows' in sys.modules\n"
        "found = registry.known('flights')\n"
        "print(json.dumps([names, imported, len(found), len(find('list')), "
        "found is find('flights'), [m.__name__ for m in registry.modules('flights')]]))"
    )
    assert found == [["flights", "list"], False, 1, 2, True, ["acme_flows"]]


def test_an_offered_name_is_among_those_that_may_be_meant(distribution):
    distribution("acme", "flights = acme_flows:flights", FLOWS)
    found = distribution.run(SAID + "print(json.dumps(said('fligths')))")
    assert "did you mean 'flights'?" in found


def test_what_was_registered_goes_before_what_is_offered(distribution):
    distribution("acme", "flights = acme_flows:flights", FLOWS)
    found = distribution.run(
        SAID + "def own(obj, eng): ...\n"
        "before = said('flights')\n"
        "registry.add('flights', own)\n"
        "print(json.dumps([before, said('flights')]))"
    )
    assert found == [["task"], ["own"]]


def test_an_offer_that_cannot_be_kept_is_an_error_that_names_the_package(distribution):
    distribution(
        "acme", "gone = acme_flows:gone\nmissing = no_such:x\nbad = acme_flows:broken", FLOWS
    )
    gone, missing, bad = distribution.run(
        SAID + "print(json.dumps([said('gone'), said('missing'), said('bad')]))"
    )
    assert "workflow 'gone': its entry point acme_flows:gone of acme cannot be loaded" in gone
    assert "No module named 'no_such'" in missing
    assert "workflow 'bad': there is an object of type int, which is no definition" in bad


def test_a_name_that_two_packages_offer_is_an_error_that_names_both(distribution):
    distribution("acme", "flights = acme_flows:flights", FLOWS)
    distribution("beta", "flights = beta_flows:flights", FLOWS)
    found = distribution.run(SAID + "print(json.dumps(said('flights')))")
    assert "offered more than once" in found
    assert "acme_flows:flights of acme" in found
    assert "beta_flows:flights of beta" in found


# Modules


@pytest.fixture
def elsewhere(module) -> Any:
    """Return a module with a task."""
    return __import__(module)


def decorated(inner: Any) -> Any:
    """Return a task that nothing but its closure ties to another."""

    def around(obj: Any, eng: Any) -> Any:
        return inner(obj, eng)

    return around


HERE = sys.modules[__name__]


@pytest.mark.parametrize(
    "place",
    [
        lambda inner: [[inner]],
        functools.partial,
        lambda inner: functools.wraps(inner)(lambda obj, eng: None),
        decorated,
        lambda inner: IF(inner, []),
        lambda inner: IF(task, inner),
        lambda inner: FOR(inner, None, []),
        HALT,
        CALLFUNC,
        lambda inner: SYNCHRONIZE(task, [SYNCHRONIZE(inner, task, task)], task),
        lambda inner: IF(decorated(inner), []),
    ],
)
def test_the_modules_of_a_workflow_are_those_of_its_tasks_wherever_they_are(
    registry, elsewhere, place
):
    registry.add("shop", [place(elsewhere.task)])
    assert elsewhere in registry.modules("shop")


def test_the_modules_of_wfengine_and_of_builtins_are_left_out(registry):
    registry.add("shop", [IF(task, HALT("why")), CALLFUNC(len), CALLFUNC(print)])
    assert registry.modules("shop") == {HERE}


def test_the_module_of_a_method_is_that_of_its_class(registry, elsewhere):
    holder = type(
        "Holder", (), {"__module__": elsewhere.__name__, "task": lambda self, obj, eng: None}
    )()
    registry.add("shop", [holder.task])
    assert registry.modules("shop") == {HERE, elsewhere}


def test_the_modules_of_targets_and_of_decorated_functions_count(registry, module):
    @registry.workflow("shop")
    def shop():
        return []

    registry.find(f"{module}:made")
    assert registry.modules(f"{module}:made") == {sys.modules[module]}
    assert registry.modules("shop") == {HERE}


def test_the_modules_of_a_workflow_that_is_not_known_are_an_error(registry, module):
    with pytest.raises(WorkflowDefinitionError, match="there is no workflow"):
        registry.modules(f"{module}:workflow")
    assert module not in sys.modules


# The usual registry


def test_the_functions_of_the_package_use_its_registry(monkeypatch):
    names = wfengine.definitions
    monkeypatch.setattr(names.registry, "_added", {})
    names.register("one", [task])

    @names.workflow("two")
    def two():
        return [other]

    assert names.registry.names() == ["one", "two"]
    assert names.find("two") == [other]
