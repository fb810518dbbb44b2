"""FlowTemplate: what is refused when a task is added, and what it comes to."""

from typing import Any

import pytest

from wfengine import GenericWorkflowEngine, WorkflowDefinitionError
from wfengine.definitions import Registry, fingerprint, load, outline
from wfengine.engine_db import DbWorkflowEngine
from wfengine.flows import ExecutionContext, FlowError, FlowTemplate, Task, TaskDataItem

from .conftest import Call, adds


def typed(name, inputs=(), outputs=()):
    """Return a task that says what it needs and adds."""

    class Typed(Task):
        def run(self, context):
            found = context.copy()
            for key, value in outputs:
                found.set(key, value)
            return found

        def inputs(self):
            return [TaskDataItem(*each) for each in inputs]

        def outputs(self):
            return [TaskDataItem(key, type(value)) for key, value in outputs]

    Typed.name = name
    return Typed()


def test_an_input_that_nobody_provides_is_refused_and_both_are_named():
    template = FlowTemplate("f").add_task(typed("fetch", outputs=[("rows", [])]))
    with pytest.raises(ValueError, match=r"'clean'.*needs 'row', which no task before"):
        template.add_task(typed("clean", inputs=[("row", list)]))
    assert [task.name for task in template.tasks] == ["fetch"]


def test_an_output_that_redefines_another_is_refused_and_both_are_named():
    template = FlowTemplate("f").add_task(typed("fetch", outputs=[("rows", [])]))
    with pytest.raises(ValueError, match=r"'again'.*provides 'rows', which 'fetch' provides"):
        template.add_task(typed("again", outputs=[("n", 1), ("rows", [])]))
    template.add_task(typed("count", outputs=[("n", 1)]))  # nothing of the other was kept


def test_what_a_flow_begins_with_counts_as_provided():
    template = FlowTemplate("f", inputs=[TaskDataItem("path", str)])
    template.add_task(typed("read", inputs=[("path", str)], outputs=[("rows", [])]))
    with pytest.raises(ValueError, match=r"'path'.*the context that a flow begins with"):
        template.add_task(typed("other", outputs=[("path", "x")]))


@pytest.mark.parametrize(
    ("given", "wanted", "fits"),
    [
        (1, int, True),
        (True, int, True),
        (1, float, True),
        (1.5, int, False),
        ("1", int, False),
        ([], list[int], True),
        ([], int | list, True),
        ({}, int | list, False),
        ("1", object, True),
        ("1", Any, True),
        ("1", str | None, True),
    ],
)
def test_the_types_of_an_output_and_an_input_have_to_fit(given, wanted, fits):
    template = FlowTemplate("f").add_task(typed("first", outputs=[("x", given)]))
    second = typed("second", inputs=[("x", wanted)])
    if fits:
        template.add_task(second)
        assert TaskDataItem("x", wanted).accepts(given)
    else:
        with pytest.raises(ValueError, match=r"'second'.*needs 'x' as.*'first' provides it as"):
            template.add_task(second)
        assert not TaskDataItem("x", wanted).accepts(given)


@pytest.mark.parametrize("wanted", ["int", 3, [int]])
def test_a_type_is_a_class(wanted):
    with pytest.raises(FlowError, match="type of the TaskDataItem 'x' is a class"):
        TaskDataItem("x", wanted)


def test_what_is_no_task_is_refused():
    class Nothing(Task):
        def run(self, context):
            return context

    for found in (Nothing, print, None):
        with pytest.raises(FlowError, match="made of Tasks"):
            FlowTemplate("f").add_task(found)
    with pytest.raises(FlowError, match="give an instance"):
        FlowTemplate("f").add_task(Nothing)
    with pytest.raises(TypeError):
        Task()


@pytest.mark.parametrize("name", [3, "", None])
def test_the_name_of_a_task_is_a_text(name):
    task = adds("a", 1)
    task.name = name
    with pytest.raises(FlowError, match="name of a task is a text"):
        FlowTemplate("f").add_task(task)


@pytest.mark.parametrize(
    "wrong",
    [
        {"retries": -1},
        {"retries": 1.5},
        {"retries": True},
        {"delay": -1},
        {"delay": float("inf")},
        {"backoff": "2"},
        {"timeout": 0},
        {"timeout": float("nan")},
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(FlowError, match=rf"'add_a': {name} is"):
        FlowTemplate("f").add_task(adds("a", 1), **wrong)


@pytest.mark.parametrize("name", ["", " x", "a\nb", 3, None, "x" * 256])
def test_a_name_can_be_printed_and_stored(name):
    with pytest.raises(FlowError, match="name"):
        FlowTemplate(name)


def test_tasks_are_called_by_their_class_unless_they_have_a_name():
    class Fetch(Task):
        def run(self, context):
            return context

    class Other(Fetch):
        name = "fetch the rest"

    assert [Fetch().name, Other().name] == ["Fetch", "fetch the rest"]


# To the engine


def test_it_is_a_flat_list_of_tasks_in_any_engine():
    template = FlowTemplate("f").add_task(adds("a", 1), retries=3).add_task(adds("b", 2))
    engine = GenericWorkflowEngine()
    engine.callbacks.replace(template.definition)
    tokens = [{"n": 0}, {"n": 1}]
    engine.process(tokens)
    assert tokens == [{"n": 0, "a": 1, "b": 2}, {"n": 1, "a": 1, "b": 2}]
    assert [node.label for node in outline(template.definition).children] == [
        "add_a",
        "add_b",
    ]


def test_retries_and_timeouts_are_no_other_version_of_the_flow():
    patient = FlowTemplate("f").add_task(adds("a", 1), retries=3, delay=2, timeout=9)
    hasty = FlowTemplate("f").add_task(adds("a", 1))
    marks = [fingerprint(each.definition) for each in (patient, hasty)]
    assert marks[0] == marks[1]


def test_it_can_be_given_wherever_a_definition_can(store):
    template = FlowTemplate("f").add_task(adds("a", 1))
    registry = Registry()
    registry.add("by name", template)
    registry.add("by a function", lambda: template)
    assert [len(registry.find(name)) for name in registry.names()] == [1, 1]
    eng = DbWorkflowEngine.with_name("a run", store=store, definition=template)
    eng.process([{"n": 1}])
    assert eng.final_objects[0].data == {"n": 1, "a": 1}


def test_it_is_loaded_by_the_place_it_is_written_at(tmp_path):
    (tmp_path / "some_flow.py").write_text(
        "from wfengine.flows import FlowTemplate, Task\n"
        "class Nothing(Task):\n"
        "    def run(self, context):\n"
        "        return context\n"
        "template = FlowTemplate('f').add_task(Nothing())\n"
        "empty = FlowTemplate('empty')\n"
    )
    (step,) = load(f"{tmp_path}/some_flow.py:template")
    assert step.__name__ == "Nothing"
    with pytest.raises(WorkflowDefinitionError, match="'empty' has no tasks"):
        load(f"{tmp_path}/some_flow.py:empty")


@pytest.mark.parametrize("token", [3, "text", None, [1]])
def test_a_token_that_is_no_dictionary_is_refused(token):
    engine = GenericWorkflowEngine()
    engine.callbacks.replace(FlowTemplate("f").add_task(adds("a", 1)).definition)
    with pytest.raises(FlowError, match="dictionary of its context's entries"):
        engine.process([token])


def test_a_context_that_a_flow_cannot_begin_with_is_refused():
    template = FlowTemplate("f", inputs=[TaskDataItem("n", int)]).add_task(adds("a", 1))
    template.check_context(ExecutionContext({"n": 1, "more": 2}))
    with pytest.raises(FlowError, match=r"'f' needs 'n' \(int\)"):
        template.check_context(ExecutionContext())
    with pytest.raises(FlowError, match=r"'n' as int, and it is of type str"):
        template.check_context(ExecutionContext({"n": "1"}))


def test_the_same_task_may_be_in_several_templates():
    task = Call(lambda context: None, "nothing")
    first, second = FlowTemplate("a").add_task(task), FlowTemplate("b").add_task(task)
    assert first.tasks == second.tasks == (task,)
