"""Which definitions a console runs, and which it never imports."""

import sys

import pytest

from wfengine.definitions import fingerprint
from wfengine.engine import GenericWorkflowEngine
from wfengine.errors import WorkflowAPIError, WorkflowDefinitionError
from wfengine.web import catalogue as catalogue_module
from wfengine.web.catalogue import Catalogue

WORKFLOW = """
from wfengine.engine_db import DbWorkflowEngine

def double(obj, eng):
    obj["n"] *= 2

workflow = [double]

class Engine(DbWorkflowEngine):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.callbacks.replace([double])
"""


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "doubling_for_the_console.py"
    path.write_text(WORKFLOW)
    yield f"{path}:workflow"
    sys.modules.pop(path.stem, None)
    sys.path[:] = [each for each in sys.path if each != str(tmp_path)]


def test_what_is_named_is_known_besides_what_is_registered(store, target):
    assert Catalogue(store, [target, target]).names() == sorted(["asking", "birds", target])


def test_a_run_that_was_begun_under_another_name_is_known_by_its_definition(store, target):
    catalogue = Catalogue(store, [target])
    eng = catalogue.begin(target)
    eng.process([{"n": 1}])
    with store.session() as session:
        session.connection().exec_driver_sql(
            "UPDATE workflow SET name = 'elsewhere.py:w', options = '{\"definition\": \"x:y\"}'"
        )
    assert catalogue.name_for(store.run(eng.uuid)) == target
    assert catalogue.take_up(store.run(eng.uuid)).uuid == eng.uuid


def test_the_definitions_are_compared_with_a_run_once(store, target, monkeypatch):
    made = []
    monkeypatch.setattr(
        catalogue_module, "fingerprint", lambda found: made.append(found) or fingerprint(found)
    )
    catalogue = Catalogue(store, [target])
    run = store.new_run("elsewhere.py:w", [print, [print]], {"definition": "x:y"})
    assert [catalogue.name_for(run) for _ in range(3)] == [None, None, None]
    assert len(made) == len(catalogue.names())
    store.definitions.add("printing", [print, [print]])
    assert catalogue.name_for(run) == "printing"


@pytest.mark.parametrize("name", ["os:system", "antigravity:x", "this.py:s", "", "\0", "x" * 9999])
def test_nothing_is_imported_because_somebody_names_it(store, name):
    catalogue = Catalogue(store)
    with pytest.raises(WorkflowDefinitionError, match="neither registered nor named"):
        catalogue.begin(name)
    run = store.new_run("unknown", [print], {"definition": name})
    assert catalogue.name_for(run) is None
    with pytest.raises(WorkflowDefinitionError, match="not known to this console"):
        catalogue.take_up(run)
    assert "antigravity" not in sys.modules


def test_a_branch_is_not_taken_up_by_itself(store):
    catalogue = Catalogue(store)
    outer = store.new_run("birds", [print], {})
    branch = store.new_run("birds", [print], {}, parent_id=outer.id, root_id=outer.id, branch="0")
    with pytest.raises(WorkflowAPIError, match="is a branch"):
        catalogue.take_up(branch)


def test_an_engine_that_is_named_is_used(store, target):
    name = target.replace(":workflow", ":Engine")
    catalogue = Catalogue(store, [name])
    assert type(catalogue.begin(name)).__name__ == "Engine"


def test_an_engine_that_keeps_nothing_is_refused(store, monkeypatch):
    module = type(sys)("in_memory_for_the_console")
    module.Engine = type("Engine", (GenericWorkflowEngine,), {"__init__": _with_a_task})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(WorkflowDefinitionError, match="keeps its runs in memory"):
        Catalogue(store, [f"{module.__name__}:Engine"])


def _with_a_task(self, *arguments, **options):
    GenericWorkflowEngine.__init__(self, *arguments, **options)
    self.callbacks.replace([print])
