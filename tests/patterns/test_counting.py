"""COUNT: adds up numbers while a workflow runs."""

import pytest

from wfengine import HaltProcessing, WorkflowDefinitionError
from wfengine.description import describe
from wfengine.patterns import COUNT, FOR, IF, PARALLEL_SPLIT, SYNCHRONIZE

from .support import Way, breaks, jumps


def counts(run: Way, *definition):
    return run.extra_data(*definition).get("counts")


def test_it_adds_one_each_time_that_it_is_reached(run):
    engine = run.engine([COUNT("seen")])
    run.process(engine, [1, 2, 3])
    assert engine.extra_data["counts"] == {"seen": 3}


def test_it_counts_on_from_what_is_there(run):
    engine = run.engine([COUNT("seen")])
    engine.extra_data["counts"] = {"seen": 5, "other": 1}
    run.process(engine, [1])
    assert engine.extra_data["counts"] == {"seen": 6, "other": 1}


def test_nothing_is_counted_where_it_is_not_reached(run):
    assert counts(run, breaks, COUNT("seen")) is None
    assert counts(run, jumps(2), COUNT("seen"), COUNT("other")) == {"other": 1}


def test_it_counts_inside_loops_and_branches_of_the_definition(run):
    body = [COUNT("turns"), IF(lambda obj, eng: eng.extra_data["n"] > 1, COUNT("large"))]
    assert counts(run, FOR(range(4), "n", body)) == {"turns": 4, "large": 2}


def test_the_name_may_come_from_a_callable(run):
    engine = run.engine([COUNT(run.task(lambda obj, eng: f"kind {obj}"))])
    run.process(engine, ["a", "b", "a"])
    assert engine.extra_data["counts"] == {"kind a": 2, "kind b": 1}


def test_an_error_in_that_callable_reaches_the_caller(run):
    with pytest.raises(ZeroDivisionError):
        counts(run, COUNT(run.task(lambda obj, eng: 1 / 0)))


@pytest.mark.parametrize("split", [SYNCHRONIZE, lambda *tasks: PARALLEL_SPLIT(*tasks, wait=True)])
def test_branches_count_into_the_engine_that_they_are_branches_of(run, split):
    many = FOR(range(500), None, COUNT("seen"))
    assert counts(run, split(many, many, [split(many, many)])) == {"seen": 2000}


def test_taken_up_after_a_halt_nothing_is_counted_twice(run, take_up):
    def definition():
        return [COUNT("before"), halt, COUNT("after")]

    halt = run.halts()
    engine = run.engine(definition())
    with pytest.raises(HaltProcessing):
        run.process(engine, [[]])
    engine = take_up(engine, definition())
    assert engine.extra_data["counts"] == {"before": 1, "after": 1}


@pytest.mark.parametrize("name", [None, 3, ["seen"], lambda obj: "seen"])
def test_a_name_that_is_neither_a_text_nor_a_callable_is_refused(name):
    with pytest.raises(WorkflowDefinitionError, match="COUNT's name is a text"):
        COUNT(name)


def test_it_describes_itself():
    assert describe(COUNT("seen")).kind == "COUNT"
    assert describe(COUNT("seen")).label == "seen"
    assert COUNT("seen").__name__ == "COUNT(seen)"
