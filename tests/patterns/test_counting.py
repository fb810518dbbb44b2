"""COUNT."""

from typing import Any

import pytest

from wfengine import HaltProcessing, WorkflowDefinitionError
from wfengine.patterns import (
    COUNT,
    EMPTY_CALL,
    ERROR,
    FOR,
    IF,
    PARALLEL_SPLIT,
    RUN_WF,
    SYNCHRONIZE,
    TRY,
)

from .support import Way


def counts(run: Way, *definition: Any, tokens: Any = ((),)) -> Any:
    engine = run.engine(definition)
    run.process(engine, [*tokens])
    return engine.extra_data["counts"]


def test_count_counts_by_name(run: Way) -> None:
    assert counts(run, COUNT("seen"), [COUNT("other"), COUNT("other")], tokens="ab") == {
        "seen": 2,
        "other": 4,
    }


def test_count_asks_a_callable_for_the_name(run: Way) -> None:
    name = run.task(lambda obj, eng: f"kind {obj}")
    assert counts(run, COUNT(name), tokens="aba") == {"kind a": 2, "kind b": 1}


def test_count_counts_where_the_way_leads(run: Way) -> None:
    is_even = run.task(lambda obj, eng: obj % 2 == 0)
    definition = [IF(is_even, COUNT("even")), FOR("xyz", None, COUNT("letters"))]
    assert counts(run, *definition, tokens=[1, 2, 3]) == {"even": 1, "letters": 9}


def test_the_counts_go_on_from_run_to_run(run: Way) -> None:
    engine = run.engine([COUNT("seen")])
    run.process(engine, [1])
    run.process(engine, [1, 2])
    assert engine.extra_data["counts"] == {"seen": 3}


@pytest.mark.parametrize(
    "pattern",
    [
        lambda: [RUN_WF(COUNT("in")), RUN_WF(RUN_WF(COUNT("in")))],
        lambda: SYNCHRONIZE(COUNT("in"), COUNT("in"), EMPTY_CALL),
        lambda: PARALLEL_SPLIT(COUNT("in"), [COUNT("in")], wait=True),
    ],
    ids=["RUN_WF", "SYNCHRONIZE", "PARALLEL_SPLIT"],
)
def test_branches_count_into_the_outermost_engine(run: Way, pattern: Any) -> None:
    assert counts(run, COUNT("in"), pattern()) == {"in": 3}


def test_no_count_of_a_branch_is_lost(run: Way) -> None:
    branch = FOR(range(500), None, COUNT("in"))
    assert counts(run, SYNCHRONIZE(*[branch] * 4, EMPTY_CALL)) == {"in": 2000}


def test_an_engine_of_its_own_tells_its_counts_to_the_one_around_it(run: Way) -> None:
    inner = RUN_WF(COUNT("in"), engine=lambda: run.engine([EMPTY_CALL]))
    assert counts(run, COUNT("in"), inner) == {"in": 2}


def test_the_counts_survive_a_halt(run: Way, take_up: Any) -> None:
    halts = run.halts()

    def definition() -> list[Any]:
        return [COUNT("in"), RUN_WF([COUNT("in"), halts, COUNT("in")]), COUNT("in")]

    engine = run.engine(definition())
    with pytest.raises(HaltProcessing):
        run.process(engine, [[]])
    assert take_up(engine, definition()).extra_data["counts"] == {"in": 4}


def test_every_attempt_counts(run: Way) -> None:
    assert counts(run, TRY([COUNT("tries"), ERROR()], retry=2, onfailure=COUNT("given up"))) == {
        "tries": 3,
        "given up": 1,
    }


@pytest.mark.parametrize("wrong", [None, 5, ["seen"]], ids=repr)
def test_a_name_is_a_text_or_a_callable(wrong: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match="COUNT's name is a text or a callable, not"):
        COUNT(wrong)


def test_a_callable_that_cannot_take_token_and_engine_is_refused() -> None:
    with pytest.raises(WorkflowDefinitionError, match="COUNT's name .* cannot be called"):
        COUNT(lambda obj: "seen")
