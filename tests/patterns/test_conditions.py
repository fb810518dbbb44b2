"""The patterns that choose between branches, and the comparison that helps them choose."""

from typing import Any

import pytest

from wfengine import HaltProcessing, WorkflowDefinitionError, WorkflowError
from wfengine.patterns import CHOICE, CMP, EMPTY_CALL, IF, IF_ELSE, IF_NOT, OBJ_GET, SIMPLE_MERGE

from .support import Way, add, breaks, jumps

ANSWERS = [True, False, 1, 0, "text", "", [0], [], None, 0.5]


# IF, IF_NOT, IF_ELSE


@pytest.mark.parametrize("answer", ANSWERS, ids=repr)
def test_if_runs_its_branch_when_the_answer_is_true_as_python_sees_it(
    run: Way, answer: Any
) -> None:
    expected = ["in", "after"] if answer else ["after"]
    assert run.trace(IF(run.answers(answer), run.add("in")), run.add("after")) == expected


@pytest.mark.parametrize("answer", ANSWERS, ids=repr)
def test_if_not_runs_its_branch_when_the_answer_is_not_true(run: Way, answer: Any) -> None:
    expected = ["after"] if answer else ["in", "after"]
    assert run.trace(IF_NOT(run.answers(answer), run.add("in")), run.add("after")) == expected


@pytest.mark.parametrize("answer", ANSWERS, ids=repr)
def test_if_else_runs_one_branch_of_two(run: Way, answer: Any) -> None:
    choice = IF_ELSE(run.answers(answer), run.add("yes"), run.add("no"))
    assert run.trace(choice, run.add("after")) == ["yes" if answer else "no", "after"]


def test_the_condition_is_asked_once_for_each_token_with_token_and_engine(run: Way) -> None:
    asked = []

    def is_long(obj: Any, eng: Any) -> bool:
        asked.append((obj[0], eng.state.token_pos, [*eng.state.callback_pos]))
        return len(obj) > 1

    tokens = [["x"], ["y", "y"]]
    definition = [EMPTY_CALL, IF_ELSE(run.task(is_long), run.add("long"), run.add("short"))]
    run.process(run.engine(definition), tokens)
    assert asked == [("x", 0, [1]), ("y", 1, [1])]
    assert tokens == [["x", "short"], ["y", "y", "long"]]


def test_conditions_nest(run: Way) -> None:
    yes, no = run.answers(True), run.answers(False)
    inner = IF_ELSE(no, run.add("a"), [run.add("b"), IF(yes, IF_NOT(no, run.add("c")))])
    assert run.trace(IF_ELSE(yes, inner, run.add("d")), run.add("after")) == ["b", "c", "after"]


def test_a_jump_out_of_the_first_branch_reaches_neither_the_second_nor_more(run: Way) -> None:
    choice = IF_ELSE(run.answers(True), [run.add("yes"), jumps(50)], run.add("no"))
    assert run.trace(choice, run.add("after")) == ["yes", "after"]


def test_the_list_of_if_else_holds_both_branches(run: Way) -> None:
    engine = run.engine([IF_ELSE(run.answers(False), add("yes"), [add("a"), run.halts()])])
    with pytest.raises(HaltProcessing):
        run.process(engine, [[]])
    assert engine.state.callback_pos == [0, 1, 1]


@pytest.mark.parametrize("pattern", [IF, IF_NOT])
def test_the_list_of_if_holds_its_branch(run: Way, pattern: Any) -> None:
    condition = run.answers(pattern is IF)
    engine = run.engine([add("a"), pattern(condition, run.halts())])
    with pytest.raises(HaltProcessing):
        run.process(engine, [[]])
    assert engine.state.callback_pos == [1, 0, 0]


CONDITIONAL = {
    "IF": lambda condition: IF(condition, add("in")),
    "IF_NOT": lambda condition: IF_NOT(condition, add("in")),
    "IF_ELSE": lambda condition: IF_ELSE(condition, add("in"), add("in")),
    "CHOICE": lambda condition: CHOICE(condition, (None, add("in")), default=add("in")),
}


@pytest.mark.parametrize("kind", CONDITIONAL)
@pytest.mark.parametrize("interruption", [HaltProcessing, ValueError])
def test_what_was_interrupted_while_it_was_asked_is_asked_again(
    run: Way, take_up: Any, kind: str, interruption: type[Exception]
) -> None:
    interrupted = run.halts() if interruption is HaltProcessing else run.fails()

    def definition() -> list[Any]:
        return [add("before"), CONDITIONAL[kind](interrupted), add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(interruption):
        run.process(engine, [token])
    assert (token, engine.state.callback_pos) == (["before"], [1])
    take_up(engine, definition())
    assert token == (["before", "after"] if kind == "IF" else ["before", "in", "after"])


@pytest.mark.parametrize("kind", CONDITIONAL)
@pytest.mark.parametrize(
    "wrong",
    [None, 5, "text", [add("a")], IF(add("a"), [])],
    ids=["None", "number", "text", "list", "pattern"],
)
def test_what_is_no_condition_is_refused(kind: str, wrong: Any) -> None:
    part = "arbiter" if kind == "CHOICE" else "condition"
    with pytest.raises(WorkflowDefinitionError, match=f"^{kind}'s {part} is a callable"):
        CONDITIONAL[kind](wrong)


@pytest.mark.parametrize("kind", CONDITIONAL)
def test_a_condition_that_cannot_take_token_and_engine_is_refused(kind: str) -> None:
    part = "arbiter" if kind == "CHOICE" else "condition"
    with pytest.raises(WorkflowDefinitionError, match=f"^{kind}'s {part} .*its signature is"):
        CONDITIONAL[kind](lambda obj: True)


@pytest.mark.parametrize(
    ("build", "part"),
    [
        (lambda: IF(add("a"), 5), "IF's branch"),
        (lambda: IF_NOT(add("a"), 5), "IF_NOT's branch"),
        (lambda: IF_ELSE(add("a"), 5, add("b")), "IF_ELSE's first branch"),
        (lambda: IF_ELSE(add("a"), add("b"), 5), "IF_ELSE's second branch"),
        (lambda: CHOICE(add("a"), known=5), "CHOICE's branch 'known'"),
        (lambda: CHOICE(add("a"), default=5), "CHOICE's branch default"),
        (lambda: SIMPLE_MERGE(add("a"), 5, add("b")), "SIMPLE_MERGE's branch 1"),
        (lambda: SIMPLE_MERGE(add("a"), 5), "SIMPLE_MERGE's last branch"),
    ],
)
def test_what_is_wrong_with_a_branch_is_told_with_its_name(build: Any, part: str) -> None:
    with pytest.raises(WorkflowDefinitionError, match=rf"^{part}: 5 \(int\) at \[0\] is no task"):
        build()


# CHOICE


@pytest.mark.parametrize("key", ["a", "b", 3, None, (1, 2)], ids=repr)
def test_choice_runs_the_branch_of_the_key_that_the_arbiter_returns(run: Way, key: Any) -> None:
    pairs = [((1, 2), run.add("pair")), (None, run.add("none")), [3, [run.add("three")]]]
    choice = CHOICE(run.answers(key), *pairs, a=run.add("A"), b=[run.add("B")])
    expected = {"a": "A", "b": "B", 3: "three", None: "none", (1, 2): "pair"}[key]
    assert run.trace(choice, run.add("after")) == [expected, "after"]


def test_choice_runs_the_default_for_every_other_key(run: Way) -> None:
    choice = CHOICE(run.answers("other"), a=run.add("A"), default=[run.add("default")])
    assert run.trace(choice, run.add("after")) == ["default", "after"]


def test_choice_prefers_a_branch_to_the_default(run: Way) -> None:
    choice = CHOICE(run.answers("a"), ("a", run.add("A")), default=run.add("default"))
    assert run.trace(choice) == ["A"]


def test_choice_may_have_a_default_only(run: Way) -> None:
    assert run.trace(CHOICE(run.answers("a"), default=run.add("default"))) == ["default"]


def test_choice_says_which_key_it_does_not_know_and_which_ones_it_does(run: Way) -> None:
    def kind_of_order(obj: Any, eng: Any) -> str:
        return "returned"

    engine = run.engine([CHOICE(run.task(kind_of_order), (1, add("one")), paid=add("paid"))])
    with pytest.raises(WorkflowError) as caught:
        run.process(engine, [[]])
    for part in ("CHOICE", "'kind_of_order'", "'returned'", "1, 'paid'", "default="):
        assert part in caught.value.message
    assert engine.state.callback_pos == [0]


def test_choice_can_be_asked_again_after_an_unknown_key(run: Way, take_up: Any) -> None:
    arbiter = run.answers("unknown", "known")
    definition = [CHOICE(arbiter, known=run.add("in"))]
    engine, token = run.engine(definition), []
    with pytest.raises(WorkflowError, match="'unknown'"):
        run.process(engine, [token])
    take_up(engine, definition)
    assert token == ["in"]


def test_choices_nest(run: Way) -> None:
    inner = CHOICE(run.answers("x"), x=run.add("inner"), y=run.add("wrong"))
    assert run.trace(CHOICE(run.answers("b"), a=add("wrong"), b=inner, c=add("wrong"))) == ["inner"]


def test_choice_needs_a_branch() -> None:
    with pytest.raises(WorkflowDefinitionError, match="CHOICE has no branches"):
        CHOICE(add("a"))


@pytest.mark.parametrize("wrong", [add("a"), ("key",), ("key", add("a"), add("b")), 5, "ab"])
def test_choice_takes_pairs_of_a_key_and_a_branch(wrong: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match=r"CHOICE takes pairs \(key, branch\)"):
        CHOICE(add("a"), wrong)


def test_choice_refuses_two_branches_for_one_key() -> None:
    with pytest.raises(WorkflowDefinitionError, match="CHOICE has two branches for 'a'"):
        CHOICE(add("a"), ("a", add("a")), a=add("b"))


def test_choice_refuses_a_key_that_no_answer_can_equal() -> None:
    with pytest.raises(WorkflowDefinitionError, match=r"CHOICE's key \[1\]"):
        CHOICE(add("a"), ([1], add("a")))


# SIMPLE_MERGE


def test_simple_merge_runs_the_first_branch_and_the_last(run: Way) -> None:
    merge = SIMPLE_MERGE(run.add("a"), run.add("b"), [run.add("c")], run.add("last"))
    assert run.trace(merge, run.add("after")) == ["a", "last", "after"]


def test_simple_merge_of_two_runs_both(run: Way) -> None:
    assert run.trace(SIMPLE_MERGE(run.add("a"), run.add("last"))) == ["a", "last"]


def test_a_single_task_of_simple_merge_hands_over_to_the_branch_after_it(run: Way) -> None:
    merge = SIMPLE_MERGE(jumps(2), jumps(2), run.add("third"), run.add("last"))
    assert run.trace(merge, run.add("after")) == ["third", "last", "after"]


def test_a_list_of_simple_merge_hands_over_from_one_level_further_out(run: Way) -> None:
    handing_over = [run.add("a"), jumps(2, levels=1), run.add("skipped")]
    merge = SIMPLE_MERGE(handing_over, [run.add("b")], run.add("last"))
    assert run.trace(merge, run.add("after")) == ["a", "b", "last", "after"]


def test_a_break_in_a_single_task_leaves_simple_merge(run: Way) -> None:
    assert run.trace(SIMPLE_MERGE(breaks, run.add("last")), run.add("after")) == ["after"]


def test_merges_nest(run: Way) -> None:
    inner = SIMPLE_MERGE(run.add("a"), run.add("wrong"), run.add("inner last"))
    merge = SIMPLE_MERGE(inner, run.add("wrong"), run.add("last"))
    assert run.trace(merge) == ["a", "inner last", "last"]


@pytest.mark.parametrize("branches", [(), (add("a"),)], ids=len)
def test_simple_merge_needs_two_branches(branches: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match="SIMPLE_MERGE takes at least two branches"):
        SIMPLE_MERGE(*branches)


# CMP

SAME = [1]
COMPARISONS = [
    *[(2, op, 2, True) for op in ("eq", "==", "gte", ">=", "lte", "<=", "is")],
    *[(2, op, 2, False) for op in ("ne", "!=", "gt", ">", "lt", "<", "is not")],
    *[(1, op, 2, True) for op in ("ne", "!=", "lt", "<", "lte", "<=", "is not")],
    *[(1, op, 2, False) for op in ("eq", "==", "gt", ">", "gte", ">=", "is")],
    *[(3, op, 2, True) for op in ("ne", "!=", "gt", ">", "gte", ">=")],
    *[(3, op, 2, False) for op in ("eq", "==", "lt", "<", "lte", "<=")],
    (1, "in", [1, 2], True),
    (3, "in", [1, 2], False),
    (1, "not in", [1, 2], False),
    (3, "not in", [1, 2], True),
    ([1, 2], "contains", 1, True),
    ([1, 2], "contains", 3, False),
    (SAME, "is", SAME, True),
    ([1], "is", [1], False),
    ([1], "is not", [1], True),
    ([0], "<", [0, 1, 0, 1], True),
    ("b", ">", "a", True),
]


@pytest.mark.parametrize(("left", "op", "right", "expected"), COMPARISONS)
def test_cmp_compares_as_python_does(
    run: Way, left: Any, op: str, right: Any, expected: bool
) -> None:
    for a, b in [
        (left, right),
        (run.answers(left), right),
        (left, run.answers(right)),
        (run.answers(left), run.answers(right)),
    ]:
        choice = IF_ELSE(CMP(a, b, op), run.add(True), run.add(False))
        assert run.trace(choice) == [expected]


def test_cmp_asks_its_operands_about_each_token(run: Way) -> None:
    tokens: list[Any] = [{"size": 1}, {"size": 9}]
    biggest = run.task(lambda obj, eng: max(token["size"] for token in eng.objects))
    mark = run.task(lambda obj, eng: obj.update(biggest=True))
    run.process(run.engine([IF(CMP(OBJ_GET("size"), biggest, "=="), mark)]), tokens)
    assert tokens == [{"size": 1}, {"size": 9, "biggest": True}]


def test_a_comparison_that_python_refuses_reaches_the_caller(run: Way) -> None:
    engine = run.engine([IF(CMP(run.answers("a"), 1, "<"), add("in"))])
    with pytest.raises(TypeError, match="'<' not supported"):
        run.process(engine, [[]])


def test_cmp_that_stands_alone_does_nothing(run: Way) -> None:
    assert run.trace(CMP(1, 1, "=="), run.add("after")) == ["after"]


@pytest.mark.parametrize("op", ["=", "", "equals", None, ["<"]], ids=repr)
def test_cmp_refuses_another_operator_and_names_those_that_it_knows(op: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match="CMP cannot compare by") as caught:
        CMP(1, 2, op)
    for known in ("eq", "==", "not in", "is not"):
        assert known in caught.value.message


@pytest.mark.parametrize("operands", [(lambda obj: 1, 1), (1, lambda: 1)], ids=["left", "right"])
def test_an_operand_that_cannot_take_token_and_engine_is_refused(operands: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match=r"CMP's .* cannot be called"):
        CMP(*operands, "==")
