"""What all patterns that hold branches have in common, whatever they do with them."""

from typing import Any

import pytest

from wfengine import GenericWorkflowEngine, HaltProcessing, WorkflowDefinitionError
from wfengine.patterns import (
    CHOICE,
    EMPTY_CALL,
    ERROR,
    FOR,
    IF,
    IF_ELSE,
    IF_NOT,
    PARALLEL_SPLIT,
    PROFILE,
    RUN_WF,
    SIMPLE_MERGE,
    SYNCHRONIZE,
    TASK_JUMP_IF,
    TRY,
    WHILE,
)

from .support import Way, breaks, jumps

ADDRESSABLE = {
    "IF": lambda run, branch: IF(run.answers(True), branch),
    "IF_NOT": lambda run, branch: IF_NOT(run.answers(False), branch),
    "IF_ELSE, first": lambda run, branch: IF_ELSE(run.answers(True), branch, ERROR()),
    "IF_ELSE, second": lambda run, branch: IF_ELSE(run.answers(False), ERROR(), branch),
    "WHILE": lambda run, branch: WHILE(run.holds(1), branch),
    "FOR": lambda run, branch: FOR([1], "item", branch),
    "CHOICE": lambda run, branch: CHOICE(run.answers("this"), this=branch, other=ERROR()),
    "CHOICE, default": lambda run, branch: CHOICE(run.answers("?"), other=ERROR(), default=branch),
    "SIMPLE_MERGE": lambda run, branch: SIMPLE_MERGE(branch, ERROR(), EMPTY_CALL),
    "SIMPLE_MERGE, last": lambda run, branch: SIMPLE_MERGE(EMPTY_CALL, branch),
    "SYNCHRONIZE, last": lambda run, branch: SYNCHRONIZE(EMPTY_CALL, branch),
    "TRY, onfailure": lambda run, branch: TRY(ERROR(), retry=0, onfailure=branch),
}
"""Patterns whose branch is part of the caller's own position, by name: each runs it once."""

RUN_INSIDE = {
    "SYNCHRONIZE": lambda run, branch: SYNCHRONIZE(branch, EMPTY_CALL, EMPTY_CALL),
    "RUN_WF": lambda run, branch: RUN_WF(branch),
    "PROFILE": lambda run, branch: PROFILE(branch),
}
"""Patterns whose branch runs inside a task, and goes on there after a halt."""

RESUMABLE = {**ADDRESSABLE, **RUN_INSIDE}

IN_ORDER = {**RESUMABLE, "TRY": lambda run, branch: TRY(branch, retry=0)}
"""Patterns that go on when the branch has come to its end."""

ALL = {**IN_ORDER, "PARALLEL_SPLIT": lambda run, branch: PARALLEL_SPLIT(branch, wait=True)}


def each(patterns: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("pattern", patterns.values(), ids=patterns.keys())


def others(patterns: dict[str, Any], pattern: Any) -> list[tuple[str, Any]]:
    return [(name, other) for name, other in patterns.items() if other is not pattern]


@each(ALL)
def test_a_branch_is_a_single_task(run: Way, pattern: Any) -> None:
    assert run.trace(pattern(run, run.add("only"))) == ["only"]


@each(ALL)
@pytest.mark.parametrize("collection", [list, tuple])
def test_a_branch_is_a_list_or_a_tuple_of_tasks(run: Way, pattern: Any, collection: Any) -> None:
    branch = collection([run.add("first"), run.add("second")])
    assert run.trace(pattern(run, branch)) == ["first", "second"]


@each(ALL)
def test_a_branch_holds_nested_lists(run: Way, pattern: Any) -> None:
    branch = [[run.add(1), [run.add(2)]], run.add(3), ([run.add(4)], run.add(5))]
    assert run.trace(pattern(run, branch)) == [1, 2, 3, 4, 5]


@each(ALL)
@pytest.mark.parametrize("empty", [[], (), [None], [[], None]], ids=repr)
def test_a_branch_may_be_empty(run: Way, pattern: Any, empty: Any) -> None:
    assert run.trace(pattern(run, empty), run.add("after")) == ["after"]


@each(ALL)
def test_none_is_an_empty_branch_unless_it_says_that_there_is_no_branch(
    run: Way, pattern: Any
) -> None:
    if pattern not in (ALL["CHOICE, default"], ALL["TRY, onfailure"]):
        assert run.trace(pattern(run, None), run.add("after")) == ["after"]


@each(ALL)
def test_a_branch_is_any_other_pattern(run: Way, pattern: Any) -> None:
    for name, inner in others(ALL, pattern):
        inside = inner(run, [run.add(f"in {name}")])
        assert run.trace(pattern(run, inside)) == [f"in {name}"]


@each(IN_ORDER)
def test_a_branch_is_a_list_that_holds_any_other_pattern(run: Way, pattern: Any) -> None:
    for name, inner in others(IN_ORDER, pattern):
        inside = inner(run, run.add(f"in {name}"))
        assert run.trace(pattern(run, [inside, run.add("on")])) == [f"in {name}", "on"]


@each(IN_ORDER)
def test_a_branch_runs_for_every_token_and_in_every_run(run: Way, pattern: Any) -> None:
    for _ in range(2):
        engine = run.engine([pattern(run, run.add("in")), run.add("after")])
        tokens: list[list[str]] = [[], [], []]
        for _ in range(2):
            engine.extra_data.clear()
            run.process(engine, tokens[:1])
        assert tokens[0] == ["in", "after"] * 2


@each(IN_ORDER)
def test_a_jump_in_a_branch_is_relative_to_the_branch(run: Way, pattern: Any) -> None:
    branch = [jumps(2), run.add("skipped"), run.add("in")]
    assert run.trace(pattern(run, branch), run.add("after")) == ["in", "after"]


@each(IN_ORDER)
def test_a_jump_back_in_a_branch_stays_in_the_branch(run: Way, pattern: Any) -> None:
    branch = [run.add("in"), TASK_JUMP_IF(run.answers(True, False), -1), run.add("on")]
    assert run.trace(pattern(run, branch), run.add("after")) == ["in", "in", "on", "after"]


@each(IN_ORDER)
def test_a_break_in_a_branch_leaves_the_branch(run: Way, pattern: Any) -> None:
    branch = [run.add("in"), breaks, run.add("skipped")]
    assert run.trace(pattern(run, branch), run.add("after")) == ["in", "after"]


class Watching(GenericWorkflowEngine):
    """An engine that looks at every task, and returns nothing from it."""

    def execute_callback(self, callback: Any, obj: Any) -> Any:
        result = super().execute_callback(callback, obj)
        return result if hasattr(result, "__await__") else None


@each(ALL)
def test_a_pattern_does_the_same_in_an_engine_that_watches_every_task(
    run: Way, pattern: Any
) -> None:
    branch = [run.add("a"), jumps(2), run.add("skipped"), [run.add("b"), breaks]]
    token: list[str] = []
    run.process(run.engine([pattern(run, branch)], Watching), [token])
    assert token == ["a", "b"]


@each(RESUMABLE)
def test_a_halted_branch_goes_on_where_it_stood(run: Way, pattern: Any, take_up: Any) -> None:
    halts = run.halts()

    def definition() -> list[Any]:
        branch = [run.add("in"), halts, run.add("on")]
        return [run.add("before"), pattern(run, branch), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(HaltProcessing, match="decide"):
        run.process(engine, [token])
    assert token == ["before", "in"]
    assert not engine.has_completed
    assert take_up(engine, definition()).has_completed
    assert token == ["before", "in", "on", "after"]


@each(RESUMABLE)
def test_a_branch_halted_deep_inside_goes_on_where_it_stood(
    run: Way, pattern: Any, take_up: Any
) -> None:
    for name, inner in others(RESUMABLE, pattern):
        halts = run.halts()

        def definition(inner: Any = inner, halts: Any = halts) -> list[Any]:
            inside = inner(run, [run.add("in"), halts, run.add("on")])
            return [pattern(run, [run.add("before"), inside, run.add("after")])]

        engine, token = run.engine(definition()), []
        with pytest.raises(HaltProcessing):
            run.process(engine, [token])
        take_up(engine, definition())
        assert (name, token) == (name, ["before", "in", "on", "after"])


@each(RESUMABLE)
def test_a_halted_branch_can_be_passed_over(run: Way, pattern: Any) -> None:
    engine = run.engine([pattern(run, [run.halts(), run.add("on")]), run.add("after")])
    token: list[str] = []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    run.restart(engine, "next", "first")
    assert token == []
    assert engine.has_completed


@each(RESUMABLE)
def test_a_failed_branch_is_taken_up_at_the_task_that_failed(
    run: Way, pattern: Any, take_up: Any
) -> None:
    fails = run.fails()

    def definition() -> list[Any]:
        branch = [run.add("in"), fails, run.add("on")]
        return [run.add("before"), pattern(run, branch), run.add("after")]

    engine, token = run.engine(definition()), []
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    take_up(engine, definition())
    assert token == ["before", "in", "on", "after"]


@each(IN_ORDER)
def test_an_error_in_a_branch_reaches_the_caller(run: Way, pattern: Any) -> None:
    error = ValueError("broken")
    engine = run.engine([pattern(run, [run.fails(error=error)]), run.add("after")])
    token: list[str] = []
    with pytest.raises(ValueError, match="broken") as caught:
        run.process(engine, [token])
    assert caught.value is error
    assert token == []


@each(IN_ORDER)
def test_after_an_error_in_a_branch_the_next_token_starts_afresh(run: Way, pattern: Any) -> None:
    fails = run.fails()
    engine = run.engine([pattern(run, [run.add("in"), fails, run.add("on")]), run.add("after")])
    tokens: list[list[str]] = [[], []]
    engine.extra_data.clear()
    run.process(engine, tokens, stop_on_error=False)
    assert tokens[0] == ["in"]
    assert tokens[1][-1] == "after"


@each(ALL)
@pytest.mark.parametrize("wrong", [5, "text", {"a": 1}, object], ids=repr)
def test_what_is_no_branch_is_refused_by_name(pattern: Any, wrong: Any) -> None:
    with pytest.raises(WorkflowDefinitionError) as caught:
        pattern(Way(False, False), wrong)
    assert caught.value.message.startswith(kind_of(pattern))
    assert "is no task" in caught.value.message


@each(ALL)
def test_what_is_no_task_in_a_branch_is_refused_with_its_place(pattern: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match=r"'text' \(str\) at \[1, 0\]") as caught:
        pattern(Way(False, False), [EMPTY_CALL, ["text"]])
    assert caught.value.message.startswith(kind_of(pattern))


@each(ALL)
def test_a_task_that_cannot_take_token_and_engine_is_refused(pattern: Any) -> None:
    def alone(obj: Any) -> None: ...

    with pytest.raises(WorkflowDefinitionError, match=r"'alone'.*task\(obj, eng\)") as caught:
        pattern(Way(False, False), alone)
    assert caught.value.message.startswith(kind_of(pattern))


def kind_of(pattern: Any) -> str:
    name = next(name for name, held in ALL.items() if held is pattern)
    return name.partition(",")[0]
