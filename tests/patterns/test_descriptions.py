"""What every pattern tells tools about itself."""

import inspect
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfengine import GenericWorkflowEngine, patterns
from wfengine.callbacks import Definition, task_name
from wfengine.description import Description, Need, describe
from wfengine.patterns import (
    BREAK,
    CALLFUNC,
    CHOICE,
    CMP,
    COUNT,
    DEBUG_CYCLE,
    EMPTY_CALL,
    ENG_GET,
    ENG_SET,
    ERROR,
    FOR,
    GRAPH,
    HALT,
    IF,
    IF_ELSE,
    IF_NOT,
    OBJ_GET,
    OBJ_JUMP_BWD,
    OBJ_JUMP_FWD,
    OBJ_NEXT,
    OBJ_SET,
    PARALLEL_SPLIT,
    PROFILE,
    RUN_WF,
    SIMPLE_MERGE,
    STOP,
    SYNCHRONIZE,
    TASK_JUMP_BWD,
    TASK_JUMP_FWD,
    TASK_JUMP_IF,
    TRY,
    WHILE,
)
from wfengine.patterns.graph import MOST_TOLD, After, AllOf, AnyOf, Node


def first(obj: Any, eng: Any) -> None: ...


def second(obj: Any, eng: Any) -> None: ...


def third(obj: Any, eng: Any) -> None: ...


def holds(obj: Any, eng: Any) -> bool:
    return True


def make(size: int = 0) -> int:
    return size


PATTERNS: dict[str, Any] = {
    "BREAK": BREAK(2),
    "CALLFUNC": CALLFUNC(make, size=3),
    "CHOICE": CHOICE(holds, (1, first), yes=[second, third], default=third),
    "CMP": CMP(ENG_GET("size"), 10, "<"),
    "COUNT": COUNT("seen"),
    "DEBUG_CYCLE": DEBUG_CYCLE(first),
    "EMPTY_CALL": EMPTY_CALL,
    "ENG_GET": ENG_GET("size"),
    "ENG_SET": ENG_SET("size", 3),
    "ERROR": ERROR("no paper"),
    "FOR": FOR(range(3), "item", [first, second], order="DSC"),
    "HALT": HALT("look at it", action="approve"),
    "IF": IF(holds, [first, second]),
    "IF_ELSE": IF_ELSE(holds, first, [second, third]),
    "IF_NOT": IF_NOT(holds, first),
    "OBJ_GET": OBJ_GET("title"),
    "OBJ_JUMP_BWD": OBJ_JUMP_BWD(2),
    "OBJ_JUMP_FWD": OBJ_JUMP_FWD(2),
    "OBJ_NEXT": OBJ_NEXT(),
    "OBJ_SET": OBJ_SET("title", "Walden"),
    "PARALLEL_SPLIT": PARALLEL_SPLIT(first, [second, third]),
    "GRAPH": GRAPH(Node("a", first), Node("b", [second, third], requires="a"), limit=2),
    "PROFILE": PROFILE([first, second]),
    "RUN_WF": RUN_WF([first, second]),
    "SIMPLE_MERGE": SIMPLE_MERGE(first, [second], third),
    "STOP": STOP(),
    "SYNCHRONIZE": SYNCHRONIZE(first, [second], third, timeout=2.5),
    "TASK_JUMP_BWD": TASK_JUMP_BWD(2),
    "TASK_JUMP_FWD": TASK_JUMP_FWD(2),
    "TASK_JUMP_IF": TASK_JUMP_IF(holds, 2),
    "TRY": TRY([first, second], retry=2, onfailure=third, delay=1.5, backoff=2),
    "WHILE": WHILE(holds, [first, second]),
}

ROLES = {
    "CHOICE": ("branch", "branch", "branch"),
    "FOR": ("next", "body", "body"),
    "IF": ("then",),
    "IF_ELSE": ("then", "else"),
    "IF_NOT": ("then",),
    "SIMPLE_MERGE": ("branch", "jump", "branch", "jump", "last"),
    "SYNCHRONIZE": ("branches", "last"),
    "TRY": ("body", "onfailure"),
    "WHILE": ("condition", "body", "body"),
}
"""The roles of the elements of those patterns that are lists."""

PARTS = {
    "CALLFUNC": {"function": [make]},
    "CHOICE": {"arbiter": [holds]},
    "DEBUG_CYCLE": {"body": [first]},
    "GRAPH": {"branch": [[first], [second, third]]},
    "IF": {"condition": [holds]},
    "IF_ELSE": {"condition": [holds]},
    "IF_NOT": {"condition": [holds]},
    "PARALLEL_SPLIT": {"branch": [[first], [second, third]]},
    "PROFILE": {"body": [[first, second]]},
    "RUN_WF": {"workflow": [[first, second]]},
    "SYNCHRONIZE": {"branch": [[first], [second]]},
    "TASK_JUMP_IF": {"condition": [holds]},
    "WHILE": {"condition": [holds]},
    "FOR": {"source": [range(3)], "setter": ["item"]},
    "CMP": {"right": [10]},
}

LABELS = {
    "CALLFUNC": "make",
    "CHOICE": "holds",
    "COUNT": "seen",
    "DEBUG_CYCLE": "first",
    "ENG_GET": "size",
    "ENG_SET": "size",
    "ERROR": "no paper",
    "GRAPH": "2 elements",
    "HALT": "approve",
    "IF": "holds",
    "IF_ELSE": "holds",
    "IF_NOT": "holds",
    "OBJ_GET": "title",
    "OBJ_SET": "title",
    "WHILE": "holds",
    "FOR": "item in range(0, 3)",
    "CMP": "ENG_GET('size') < 10",
}

OPTIONS = {
    "BREAK": {"levels": 2},
    "CMP": {"op": "<"},
    "FOR": {"order": "DSC", "cache_data": False},
    "HALT": {"action": "approve", "message": "look at it"},
    "OBJ_JUMP_BWD": {"step": -2},
    "OBJ_JUMP_FWD": {"step": 2},
    "SYNCHRONIZE": {"timeout": 2.5},
    "TASK_JUMP_BWD": {"step": -2},
    "TASK_JUMP_FWD": {"step": 2},
    "TASK_JUMP_IF": {"step": 2},
    "TRY": {"retry": 2, "delay": 1.5, "backoff": 2},
}


def description_of(name: str) -> Description:
    description = describe(PATTERNS[name])
    assert description is not None
    return description


def test_these_are_all_patterns() -> None:
    assert sorted(PATTERNS) == sorted(patterns.__all__)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_says_its_name(name: str) -> None:
    assert description_of(name).kind == name


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_that_is_a_list_gives_the_role_of_each_element(name: str) -> None:
    pattern = PATTERNS[name]
    assert description_of(name).roles == ROLES.get(name, ())
    assert len(ROLES.get(name, ())) == (len(pattern) if isinstance(pattern, list) else 0)


@pytest.mark.parametrize("name", PARTS)
def test_a_pattern_gives_its_parts_by_role(name: str) -> None:
    parts = description_of(name).parts
    for role, contents in PARTS[name].items():
        assert [part.content for part in parts if part.role == role] == contents


@pytest.mark.parametrize("name", LABELS)
def test_a_pattern_says_what_to_write_into_a_box(name: str) -> None:
    assert description_of(name).label == LABELS[name]


@pytest.mark.parametrize("name", PATTERNS)
def test_the_label_of_a_pattern_is_short(name: str) -> None:
    assert len(description_of(name).label) <= 100


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_gives_its_settings_as_plain_data(name: str) -> None:
    options = description_of(name).options
    assert options.items() >= OPTIONS.get(name, {}).items()
    assert json.loads(json.dumps(options)) == options


def test_branches_that_run_in_engines_of_their_own_are_definitions_with_a_name() -> None:
    for name in ("PARALLEL_SPLIT", "SYNCHRONIZE"):
        for place, part in enumerate(description_of(name).parts):
            assert isinstance(part.content, Definition)
            assert part.label.startswith(str(place))


def test_choice_gives_the_key_of_each_branch_in_the_order_of_the_branches() -> None:
    keys = [part for part in description_of("CHOICE").parts if part.role == "key"]
    assert [part.label for part in keys] == ["1", "yes", "default"]
    assert [part.content for part in keys][:2] == [1, "yes"]


def needs_of(graph: Any) -> list[tuple[Need, ...]]:
    description = describe(graph)
    assert description is not None
    return [part.needs for part in description.parts]


def test_a_graph_tells_what_its_elements_need() -> None:
    either = AnyOf("a", AllOf("b", After("a", "failure")))
    graph = GRAPH(
        Node("a", first), Node("b", second, requires=["a", "a"]), Node("c", third, requires=either)
    )
    assert needs_of(graph) == [
        (),
        (Need("a"),),
        (Need("a", is_choice=True), Need("b", is_choice=True), Need("a", "failure", True)),
    ]


def test_a_graph_of_more_needs_than_anybody_could_look_at_tells_none() -> None:
    count = MOST_TOLD + 2
    chain = [Node(str(n), first, requires=str(n - 1) if n else None) for n in range(count)]
    assert set(needs_of(GRAPH(*chain))) == {()}
    assert needs_of(GRAPH(*chain[:-1]))[-1] == (Need(str(count - 3)),)


def test_the_operands_of_a_comparison_describe_themselves() -> None:
    left = description_of("CMP").parts[0]
    assert left.role == "left"
    assert describe(left.content) == describe(ENG_GET("size"))


def test_a_comparison_describes_itself_as_the_condition_of_a_pattern() -> None:
    comparison = CMP(1, 2, "<")
    description = describe(IF(comparison, first))
    assert description is not None
    assert description.label == "1 < 2"
    assert description.parts[0].content is comparison


@pytest.mark.parametrize("long", ["x" * 500, [*range(500)]], ids=["text", "list"])
def test_a_long_operand_is_cut_short(long: Any) -> None:
    description = describe(CMP(long, 1, "=="))
    assert description is not None
    assert len(description.label) < 60
    assert "..." in description.label


def test_for_tells_its_source_in_words() -> None:
    def lines(obj: Any, eng: Any) -> list[str]:
        return []

    sources = {"a list": [1], "a dict": {}, "a str": "ab", "lines": lines, "range(0, 2)": range(2)}
    for words, source in sources.items():
        description = describe(FOR(source, lambda obj, eng, item: None, []))
        assert description is not None
        assert description.label == f"item in {words}"


def test_try_without_tasks_for_a_failure_has_a_body_only() -> None:
    description = describe(TRY(first, onfailure=ValueError))
    assert description is not None
    assert description.roles == ("body",)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_describes_itself_inside_of_a_definition(name: str) -> None:
    engine = GenericWorkflowEngine()
    engine.callbacks.replace([first, PATTERNS[name]])
    assert describe(engine.callbacks.get()[1]) == describe(PATTERNS[name])


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_describes_itself_inside_of_any_other(name: str) -> None:
    pattern = PATTERNS[name]
    for outer in (
        IF(holds, [pattern]),
        WHILE(holds, [pattern]),
        TRY([pattern]),
        FOR([], None, [pattern]),
    ):
        assert describe(pattern) in every_description(outer)
    for outer in (RUN_WF([pattern]), PARALLEL_SPLIT([pattern]), SYNCHRONIZE([pattern], first)):
        assert describe(pattern) in every_description(outer)


def every_description(step: Any) -> list[Any]:
    """Return the descriptions of a step and of all that is in it, as a drawing would find them."""
    description = describe(step)
    inside = [*step] if isinstance(step, list) else []
    inside += [part.content for part in description.parts] if description else []
    return [description, *(found for inner in inside for found in every_description(inner))]


PLAIN = {
    "task": first,
    "list": [first],
    "empty list": [],
    "list with a pattern": [IF(holds, first)],
    "list with a task that is a pattern": [EMPTY_CALL],
    "list of patterns": [EMPTY_CALL, IF(holds, first)],
    "number": 5,
    "None": None,
}


@pytest.mark.parametrize("plain", PLAIN.values(), ids=PLAIN.keys())
def test_what_is_no_pattern_has_no_description(plain: Any) -> None:
    assert describe(plain) is None


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_shown_to_people_by_its_name(name: str) -> None:
    shown = "1 < 2" if name == "CMP" else name
    pattern = CMP(1, 2, "<") if name == "CMP" else PATTERNS[name]
    assert task_name(pattern).startswith(shown)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_explains_itself_to_programmers(name: str) -> None:
    assert inspect.getdoc(getattr(patterns, name))


def test_two_patterns_do_not_share_a_description() -> None:
    assert describe(ENG_GET("a")) != describe(ENG_GET("b"))
    assert describe(HALT("a")) != describe(HALT("b"))


@given(st.lists(st.sets(st.integers(0, 30)), min_size=1, max_size=30))
def test_each_element_of_a_graph_needs_what_it_requires(numbers: list[set[int]]) -> None:
    required = [
        sorted({str(each % n) for each in found}) if n else [] for n, found in enumerate(numbers)
    ]
    nodes = [Node(str(n), first, requires=list(found)) for n, found in enumerate(required)]
    assert [[need.label for need in found] for found in needs_of(GRAPH(*nodes))] == required
