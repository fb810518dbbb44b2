"""Charts: what leads where, for each pattern."""

from typing import Any

import pytest

from wfengine import patterns
from wfengine.callbacks import clean
from wfengine.description import Description, Part, described
from wfengine.drawing.chart import Close, Frame
from wfengine.patterns import (
    BREAK,
    CHOICE,
    CMP,
    COUNT,
    ERROR,
    FOR,
    HALT,
    IF,
    IF_ELSE,
    IF_NOT,
    OBJ_JUMP_BWD,
    OBJ_NEXT,
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
from wfengine.patterns.graph import GRAPH, After, AnyOf, Node

from ..support.everything import EVERYTHING, task_named
from .charts import arrows, chart, shapes

a, b, c, d, asks = map(task_named, ["a", "b", "c", "d", "asks"])


def frames(definition: Any) -> list[str]:
    """The frames, each with what begins in it."""
    return [item.kind for item in chart(definition).items if isinstance(item, Frame)]


def test_tasks_follow_each_other() -> None:
    assert arrows([a, b]) == ["start -> a", "a -> b", "b -> finish"]


def test_nothing_leads_from_begin_to_end() -> None:
    assert arrows([]) == ["start -> finish"]
    assert arrows([[], [[]]]) == ["start -> finish"]


def test_a_choice_merges_again() -> None:
    assert arrows([IF_ELSE(asks, [a, b], c), d])[1:] == [
        "asks -yes-> a",
        "a -> b",
        "asks -no-> c",
        "b -> d",
        "c -> d",
        "d -> finish",
    ]
    assert arrows([CHOICE(asks, one=a, two=[], default=b), c])[1:-1] == [
        "asks -one-> a",
        "asks -default-> b",
        "a -> c",
        "asks -two-> c",
        "b -> c",
    ]


def test_a_condition_can_be_passed_by() -> None:
    assert arrows([IF(asks, a), b])[1:-1] == ["asks -yes-> a", "a -> b", "asks -no-> b"]
    assert arrows([IF_NOT(asks, a), b])[1:-1] == ["asks -no-> a", "a -> b", "asks -yes-> b"]


def test_loops_lead_back_to_what_leads_them() -> None:
    assert arrows([WHILE(CMP(asks, 1, "<"), [a, b]), c])[1:-1] == [
        "asks < 1 -yes-> a",
        "a -> b",
        "b -> asks < 1 (back)",
        "asks < 1 -no-> c",
    ]
    assert arrows([FOR([1], "x", a)]) == [
        "start -> x in a list",
        "x in a list -> a",
        "a -> x in a list (back)",
        "x in a list -done-> finish",
    ]
    assert "asks -yes-> asks (back)" in arrows([WHILE(asks, [])])


def test_a_failure_has_a_path_of_its_own() -> None:
    assert arrows([TRY([a, b], retry=2, onfailure=c), d])[1:-1] == [
        "TRY -> a",
        "a -> b",
        "TRY -on failure-> c (failure)",
        "b -> d",
        "c -> d",
    ]
    assert shapes(chart(TRY(a, retry=2)))[0].note == "up to 3 attempts"


def test_branches_that_are_waited_for_come_together() -> None:
    assert arrows([SYNCHRONIZE(a, [b, c], d)])[1:] == [
        "in parallel -> a",
        "in parallel -> b",
        "b -> c",
        "a -> join",
        "c -> join",
        "join -> d",
        "d -> finish",
    ]
    assert frames([SYNCHRONIZE(a, [b, c], d)]) == ["branch", "branch"]


def test_elements_of_a_graph_come_after_what_they_wait_for() -> None:
    graph = GRAPH(
        Node("d", d, requires=AnyOf("bc", After("a", "complete"))),
        Node("bc", [b, c], requires="a"),
        Node("a", a),
        Node("asks", asks, requires=[After("a", "failure"), After("a", "active")]),
    )
    assert arrows(graph)[1:-1] == [
        "4 elements -> a",
        "a -> b",
        "b -> c",
        "a -on failure-> asks (failure)",
        "a -when begun-> asks (aside)",
        "c -or-> d",
        "a -or in any case-> d",
        "c -> join",
        "asks -> join",
        "d -> join",
    ]
    assert frames(graph) == ["branch"]


def test_an_element_of_a_graph_may_wait_for_one_that_waits_for_it() -> None:
    graph = GRAPH(Node("a", a, requires=AnyOf("b", "c")), Node("b", b, requires="a"), Node("c", c))
    assert arrows(graph)[1:-1] == [
        "3 elements -> c",
        "c -or-> a",
        "a -> b",
        "b -or-> a",
        "c -> join",
        "b -> join",
    ]


def test_branches_that_nobody_waits_for_stand_aside() -> None:
    assert arrows([PARALLEL_SPLIT(a, b), c])[1:] == [
        "in parallel -> a (aside)",
        "in parallel -> b (aside)",
        "in parallel -> c",
        "c -> finish",
    ]


def test_what_runs_inside_has_a_frame() -> None:
    assert arrows([RUN_WF([a, b]), PROFILE([c])]) == [
        "start -> RUN_WF",
        "RUN_WF -> a",
        "a -> b",
        "b -> PROFILE",
        "PROFILE -> c",
        "c -> finish",
    ]
    assert frames([RUN_WF([a, b]), PROFILE([c]), [d]]) == ["inside", "inside", "list"]


def test_a_merge_takes_the_branches_by_turns() -> None:
    assert arrows([SIMPLE_MERGE(a, [b], c)])[1:] == [
        "a -> b (handover)",
        "a -> c",
        "b -> c",
        "c -> finish",
    ]


def test_a_halt_goes_on_when_it_is_resumed() -> None:
    assert arrows([HALT("why", action="look"), a])[1] == "look -> a (resumed)"
    (halt,) = shapes(chart(HALT("why", action="look")))
    assert (halt.kind, halt.title, halt.note) == ("halt", "look", "why")


@pytest.mark.parametrize(
    ("end", "title"),
    [
        (STOP(), "end of the run"),
        (OBJ_NEXT(), "next token"),
        (OBJ_JUMP_BWD(2), "2 tokens back"),
        (ERROR("no!"), "no!"),
    ],
)
def test_after_an_end_nothing_is_reached(end: Any, title: str) -> None:
    assert arrows([a, end, b])[1:] == [f"a -> {title}", f"{title} -> b (order)", "b -> finish"]
    assert [shape.is_reached for shape in shapes(chart([a, end, b]))] == [True, True, False]


def test_breaks_lead_behind_the_lists_that_they_leave() -> None:
    assert "BREAK -> c (jump)" in arrows([[a, BREAK(), b], c])
    assert "BREAK -> c (jump)" in arrows([WHILE(asks, [IF(a, BREAK(3)), b]), c])
    assert "BREAK -> b (jump)" in arrows([WHILE(asks, [IF(a, BREAK()), b]), c])
    assert "BREAK -> finish (jump)" in arrows([a, BREAK(99)])
    assert "BREAK -> join (jump)" in arrows([SYNCHRONIZE([a, BREAK(5)], b, c)])


def test_jumps_lead_to_where_they_go() -> None:
    assert "jump +2 -> c (jump)" in arrows([a, TASK_JUMP_FWD(2), b, c])
    assert "jump -2 -> a (jump)" in arrows([a, b, TASK_JUMP_BWD(-2), c])
    assert "asks -yes-> a (jump)" in arrows([a, TASK_JUMP_IF(asks, -1), b])
    assert "asks -no-> b" in arrows([a, TASK_JUMP_IF(asks, -1), b])
    assert "jump +9 -> finish (jump)" in arrows([[TASK_JUMP_FWD(9), a], []])
    assert "jump +1 -> b (jump)" in arrows([TASK_JUMP_FWD(1), [], b])
    assert "jump -9 -> asks (jump)" in arrows([WHILE(asks, [a, TASK_JUMP_BWD(-9)])])


def test_a_pattern_of_a_users_own_is_drawn_with_its_branches() -> None:
    parts = tuple(Part("branch", clean([task]), task.__name__) for task in (a, b))
    own = described(task_named("own"), Description("OWN", parts=parts, label="my way"))
    assert arrows([own, c])[1:-1] == [
        "my way -> a",
        "my way -> b",
        "a -> join",
        "b -> join",
        "join -> c",
    ]
    titles = [item.title for item in chart([own]).items if isinstance(item, Frame)]
    assert titles == ["a", "b"]
    (alone,) = shapes(chart(described(task_named("own"), Description("OWN"))))
    assert (alone.title, alone.note) == ("OWN", "")


def test_frames_end_where_they_began() -> None:
    depth = 0
    for item in chart(EVERYTHING).items:
        depth += isinstance(item, Frame) - isinstance(item, Close)
        assert depth >= 0
    assert depth == 0


def test_every_pattern_that_is_a_step_is_drawn() -> None:
    drawn = {f"{shape.title} {shape.note}" for shape in shapes(chart(EVERYTHING))}
    for pattern in (COUNT, patterns.CALLFUNC, patterns.ENG_SET, patterns.DEBUG_CYCLE):
        assert any(pattern.__name__ in text for text in drawn)
    assert "EMPTY_CALL " in drawn


def test_shapes_have_the_ids_of_nodes_and_no_two_the_same() -> None:
    items = [item for item in chart(EVERYTHING).items if not isinstance(item, Close)]
    ids = [item.node for item in items if item.node]
    assert len(ids) == len(set(ids))
    assert {"0", "1", "1.1", "1.2.0.0", "6.0/1:0", "7/0:0", "10/0:0"} <= set(ids)
