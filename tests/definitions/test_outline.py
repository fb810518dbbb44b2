"""Outlines: a definition as a tree of described nodes, without running anything of it."""

import functools
import json
from typing import Any

import pytest

from wfengine import patterns
from wfengine.callbacks import clean
from wfengine.definitions import outline
from wfengine.errors import WorkflowDefinitionError
from wfengine.patterns import (
    CALLFUNC,
    CHOICE,
    CMP,
    FOR,
    HALT,
    IF,
    IF_ELSE,
    OBJ_GET,
    PARALLEL_SPLIT,
    PROFILE,
    RUN_WF,
    SIMPLE_MERGE,
    SYNCHRONIZE,
    TASK_JUMP_IF,
    TRY,
    WHILE,
)

from ..support.everything import EVERYTHING


def weigh(obj: Any, eng: Any) -> None:
    """Weigh a parcel,
    on the scales.

    Only those that are weighed are sent.
    """


def stamp(obj: Any, eng: Any) -> None: ...


def is_heavy(obj: Any, eng: Any) -> bool:
    return bool(obj)


def nodes(definition: Any) -> list[str]:
    """The tree in short: id, role, kind and label of each node but the outermost."""
    _, *found = outline(definition).walk()
    return [
        " ".join(
            filter(None, ("?" if node.is_asked else node.id, node.role, node.kind, node.label))
        )
        for node in found
    ]


def only(definition: Any) -> Any:
    (node,) = outline(definition).children
    return node


# Plain lists and tasks


def test_tasks_and_lists_stand_at_their_positions() -> None:
    assert nodes([weigh, (stamp, [weigh, [stamp]]), None, []]) == [
        "0 task weigh",
        "1 task stamp",
        "2 list 2 tasks",
        "2.0 task weigh",
        "2.1 list 1 task",
        "2.1.0 task stamp",
        "3 list 0 tasks",
    ]


def test_a_single_task_is_a_definition_too() -> None:
    assert nodes(weigh) == ["0 task weigh"]
    assert nodes(IF(is_heavy, weigh))[0] == "0 IF is_heavy"


def test_a_task_says_what_it_does_and_where_it_is_written() -> None:
    node = only([weigh])
    assert node.doc == "Weigh a parcel, on the scales."
    assert node.source.file == __file__
    assert node.source.line == weigh.__code__.co_firstlineno
    assert str(node.source) == f"{__file__}:{node.source.line}"


def decorated(task: Any) -> Any:
    @functools.wraps(task)
    def around(obj: Any, eng: Any) -> Any:
        return task(obj, eng)

    return around


class Scales:
    """Scales that can be called."""

    def __call__(self, obj: Any, eng: Any) -> None: ...

    def tare(self, obj: Any, eng: Any) -> None:
        """Set them to 0."""


def with_unit(obj: Any, eng: Any, unit: str) -> None:
    """Weigh in a unit."""


@pytest.mark.parametrize(
    ("task", "label", "doc"),
    [
        (decorated(weigh), "weigh", "Weigh a parcel, on the scales."),
        (functools.partial(with_unit, unit="g"), "with_unit", "Weigh in a unit."),
        (Scales(), "Scales", "Scales that can be called."),
        (Scales().tare, "tare", "Set them to 0."),
        (TRY(weigh)[0][0], "weigh", "Weigh a parcel, on the scales."),
    ],
    ids=["decorated", "partial", "object", "method", "inside of a TRY"],
)
def test_callables_are_shown_by_what_they_stand_for(task: Any, label: str, doc: str) -> None:
    node = only([task])
    assert (node.kind, node.label, node.doc) == ("task", label, doc)
    assert node.source.file == __file__


def test_a_closure_is_shown_by_its_own_name() -> None:
    def remember(what: str) -> Any:
        def note(obj: Any, eng: Any) -> None:
            eng.extra_data["note"] = what

        return note

    assert nodes([remember("a")]) == ["0 task note"]


def test_a_name_that_is_no_text_is_shown_all_the_same() -> None:
    scales = Scales()
    scales.__name__ = 5  # type: ignore[attr-defined]
    assert nodes([scales]) == ["0 task 5"]


def test_a_builtin_has_no_source() -> None:
    assert only([print]).source is None


@pytest.mark.parametrize("found", [None, "text", 3, [weigh, 3], [lambda obj: None]])
def test_what_is_no_definition_is_refused(found: Any) -> None:
    with pytest.raises(WorkflowDefinitionError):
        outline(found)


# Patterns


def test_the_branches_of_a_choice_say_which_they_are() -> None:
    assert nodes(IF_ELSE(is_heavy, weigh, [stamp, weigh])) == [
        "0 IF_ELSE is_heavy",
        "? condition task is_heavy",
        "0.0 then list 1 task",
        "0.0.0 task weigh",
        "0.1 else list 2 tasks",
        "0.1.0 task stamp",
        "0.1.1 task weigh",
    ]
    assert nodes(CHOICE(OBJ_GET("size"), small=weigh, default=stamp)) == [
        "0 CHOICE OBJ_GET('size')",
        "? arbiter OBJ_GET size",
        "0.0 branch list small",
        "0.0.0 task weigh",
        "0.1 branch list default",
        "0.1.0 task stamp",
    ]


def test_the_body_of_a_loop_is_addressed_behind_what_leads_it() -> None:
    assert nodes([WHILE(CMP(is_heavy, 3, "<"), weigh), FOR([1, 2], "x", [stamp])]) == [
        "0 WHILE is_heavy < 3",
        "? condition CMP is_heavy < 3",
        "0.1 body task weigh",
        "1 FOR x in a list",
        "1.1 body task stamp",
    ]


def test_failures_and_their_treatment_are_shown() -> None:
    assert nodes(TRY([weigh], retry=2, onfailure=stamp)) == [
        "0 TRY",
        "0.0 body list 1 task",
        "0.0.0 task weigh",
        "0.1 onfailure list 1 task",
        "0.1.0 task stamp",
    ]
    assert only(TRY(weigh, retry=2)).options["retry"] == 2


def test_what_runs_in_an_engine_of_its_own_has_positions_of_its_own() -> None:
    assert nodes([weigh, PARALLEL_SPLIT(weigh, [stamp, RUN_WF(weigh)])]) == [
        "0 task weigh",
        "1 PARALLEL_SPLIT",
        "1/0: branch list 0 (weigh)",
        "1/0:0 task weigh",
        "1/1: branch list 1 (stamp, RUN_WF)",
        "1/1:0 task stamp",
        "1/1:1 RUN_WF",
        "1/1:1/0: workflow list 1 task",
        "1/1:1/0:0 task weigh",
    ]


def test_branches_that_are_waited_for_come_before_what_comes_after_them() -> None:
    assert nodes(SYNCHRONIZE(weigh, stamp, weigh)) == [
        "0 SYNCHRONIZE",
        "0.0/0: branch list 0 (weigh)",
        "0.0/0:0 task weigh",
        "0.0/1: branch list 1 (stamp)",
        "0.0/1:0 task stamp",
        "0.1 last task weigh",
    ]


def test_the_other_patterns_show_what_is_in_them() -> None:
    assert nodes([PROFILE([weigh]), CALLFUNC(len), SIMPLE_MERGE(weigh, stamp, weigh)]) == [
        "0 PROFILE",
        "0/0: body list 1 task",
        "0/0:0 task weigh",
        "1 CALLFUNC len",
        "? function task len",
        "2 SIMPLE_MERGE",
        "2.0 branch task weigh",
        "2.2 branch task stamp",
        "2.4 last task weigh",
    ]
    assert nodes([TASK_JUMP_IF(is_heavy, 1)]) == ["0 TASK_JUMP_IF", "? condition task is_heavy"]
    assert only(HALT("why", action="look")).options == {"action": "look", "message": "why"}


def test_every_pattern_has_a_node() -> None:
    kinds = {node.kind for node in outline(EVERYTHING).walk()}
    names = {name for name in patterns.__all__ if name.isupper()}
    assert names - kinds <= {"GRAPH"}


# Ids, paths and names


def test_no_two_steps_have_the_same_id() -> None:
    ids = [node.id for node in outline(EVERYTHING).walk() if not node.is_asked]
    assert len(ids) == len(set(ids))


def test_an_id_leads_to_its_task() -> None:
    definition = clean(EVERYTHING)
    own = [node for node in outline(definition).walk() if not (node.branch or node.is_asked)]
    assert [definition.at(node.position) is node.task for node in own] == [True] * len(own)


def test_what_is_asked_has_the_place_of_what_asks() -> None:
    _, pattern, asked, *_ = outline([IF(is_heavy, weigh)]).walk()
    assert (asked.id, asked.path, asked.name) == (pattern.id, pattern.path, "")


def test_paths_are_those_that_errors_name() -> None:
    tree = outline([IF(is_heavy, [weigh, weigh]), PARALLEL_SPLIT([weigh])])
    paths = {node.id: node.path for node in tree.walk() if not node.is_asked}
    assert paths["0.0.1"] == "IF is_heavy > then > weigh (2 of 2)"
    assert paths["1/0:0"] == f"{paths['1']} > weigh"
    names = {node.id: node.name for node in tree.walk() if not node.is_asked}
    assert (names["0.0.1"], names["0"], names[""]) == ("weigh", "IF is_heavy", "")


# Large ones, and as data


def test_deep_and_wide_definitions_have_outlines() -> None:
    deep: Any = [weigh]
    for _ in range(1000):
        deep = [stamp, IF(is_heavy, deep)]
    assert sum(1 for _ in outline(deep).walk()) == 4002
    assert len(outline([weigh, stamp] * 5000).children) == 10_000


def test_as_data_it_can_be_written_as_json() -> None:
    data = json.loads(json.dumps(outline([IF(is_heavy, weigh)]).as_data()))
    (pattern,) = data["children"]
    assert [pattern["id"], pattern["kind"], pattern["label"]] == ["0", "IF", "is_heavy"]
    assert [child["role"] for child in pattern["children"]] == ["condition", "then"]
    assert pattern["children"][0]["source"] == f"{__file__}:{is_heavy.__code__.co_firstlineno}"
