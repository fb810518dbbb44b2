"""Flows that have changed between a run and its recovery."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from wfengine.errors import WorkflowDefinitionError
from wfengine.status import WorkflowStatus
from wfengine.steps import RunMode, Sequent, StepError, StepReplay
from wfengine.store import Store

from ..support.databases import KINDS
from .support import COMPLETE, FAILURE, SUCCESS, Log, children, flow

RECOVER = {"run_mode": RunMode.recover}


@pytest.fixture
def log():
    """Notes calls."""
    return Log()


@pytest.fixture
def store(tmp_path):
    """A store in a file."""
    with Store(f"sqlite:///{tmp_path / 'runs.db'}", synchronous="OFF") as opened:
        yield opened


def build(store, log, *names, **options):
    """Return a flow of steps, each of which requires what is behind ``<``, comma by comma."""
    steps = flow(store, **options)
    for each in names:
        name, _, requires = each.partition("<")
        needed = tuple((other, SUCCESS) for other in requires.split(",") if other)
        steps.add_step(name, log, requires=needed)
    return steps


@pytest.mark.parametrize(
    ("changed", "calls", "dropped"),
    [
        pytest.param(["a", "b<a", "c<b", "new<a"], ["b", "new", "c"], [], id="one added"),
        pytest.param(["new", "a", "b<a,new", "c<b"], ["new", "b", "c"], [], id="required anew"),
        pytest.param(["c<b", "b<a", "a"], ["b", "c"], [], id="another order"),
        pytest.param(["b", "c<b"], ["b", "c"], ["a"], id="without what had succeeded"),
        pytest.param(["a", "c<a"], ["c"], ["b"], id="without what had failed"),
        pytest.param(["a", "b<a"], ["b"], [], id="without what had not begun"),
        pytest.param(["a", "x<a", "c<x"], ["x", "c"], ["b"], id="what had failed renamed"),
        pytest.param(["x", "b<x", "c<b"], ["x", "b", "c"], ["a"], id="what succeeded renamed"),
    ],
)
def test_finished_steps_keep_their_results_and_others_are_as_they_are_now(
    store, log, caplog, changed, calls, dropped
):
    log.failing = {"b/1"}
    first = build(store, log, "a", "b<a", "c<b")
    assert not first()
    assert log.take() == ["a/1", "b/1"]
    log.failing = set()
    steps = build(store, log, *changed, **RECOVER)
    assert steps()
    assert steps.uuid == first.uuid
    assert log.take() == [f"{name}/1" for name in calls]
    said = [record.getMessage() for record in caplog.records if "no part of" in record.message]
    assert [line.split()[2] for line in said if line.startswith("[ Step")] == dropped
    now = {name.partition("<")[0] for name in changed}
    found = {name.removesuffix("/1"): each for name, each in children(store, steps.uuid).items()}
    assert {name: found[name] for name in now} == {
        name: (WorkflowStatus.COMPLETED, f"{name}/1") for name in now
    }
    assert found.keys() == now | set(dropped)


def boxed(store, log, inside, *, repeats=(1, 2), func=None, **options):
    """Return a flow with steps inside of another, after one and before one."""
    steps = flow(store, **options)
    first = steps.add_step("first", func or log)
    box = steps.add_step("box", repeats=repeats, requires=((first, SUCCESS),))
    for name in inside:
        box.add_step(name, func or log)
    steps.add_step("last", log, requires=((box, SUCCESS),))
    return steps


@pytest.mark.parametrize("database_url", KINDS, indirect=True)
def test_what_is_inside_of_a_step_may_change_in_the_middle_of_a_round(database_url, log):
    with Store(database_url) as store:
        log.failing = {"box_b/1.2"}
        assert not boxed(store, log, "abc")()
        assert log.take() == ["first/1", *(f"box_{n}/1.1" for n in "abc"), "box_a/1.2", "box_b/1.2"]
        log.failing = {"box_x/1.2"}
        assert not boxed(store, log, "xca", **RECOVER)()
        assert log.take() == ["box_x/1.2"]
        log.failing = set()
        assert boxed(store, log, "bxcay", **RECOVER)()
        assert log.take() == ["box_b/1.2", "box_x/1.2", "box_c/1.2", "box_y/1.2", "last/1"]


def test_a_step_that_has_ended_is_left_as_it_is_whatever_is_changed_in_it(store, log):
    log.failing = {"last/1"}
    assert not boxed(store, log, "ab")()
    log.take()
    log.failing = set()
    assert boxed(store, log, "bc", repeats=(1, 2, 3), **RECOVER)()
    assert log.take() == ["last/1"]


def test_a_step_may_have_another_function(store, log):
    def other():
        return log()

    log.failing = {"box_b/1.2"}
    assert not boxed(store, log, "ab")()
    log.take()
    log.failing = set()
    steps = boxed(store, log, "ab", func=other, **RECOVER)
    assert steps()
    assert log.take() == ["box_b/1.2", "last/1"]
    assert {uuid for uuid, _ in runs_and_marks(store)} == {steps.uuid}


def runs_and_marks(store):
    """Return the uuid of each run, and of which definition it is."""
    return {(run.uuid, run.fingerprint) for run in store.runs().items}


def test_a_step_with_a_function_may_get_steps_and_rounds_as_long_as_nothing_was_done_in_it(
    store, log, caplog
):
    log.failing = {"b/1"}
    assert not build(store, log, "a", "b<a")()
    log.take()
    steps = flow(store, **RECOVER)
    steps.add_step("a", log, repeats=[1, 2])
    box = steps.add_step("b", repeats=[1, 2], requires=(("a", SUCCESS),))
    box.add_step("c", log)
    assert steps()
    assert log.take() == ["b_c/1.1", "b_c/1.2"]
    assert "[ Step b ] is another now; begins anew" in caplog.messages


def test_a_step_whose_rounds_are_others_in_the_middle_of_one_is_refused_and_nothing_is_changed(
    store, log
):
    log.failing = {"box_b/1.2"}
    assert not boxed(store, log, "ab")()
    log.take()
    log.failing = set()
    before = runs_and_marks(store)
    with pytest.raises(StepError) as raised:
        boxed(store, log, "abc", repeats=(1, 2, 3), **RECOVER)()
    for part in (
        "cannot go on with this flow, which has changed since: in 'box': ",
        "range(1, 3)",
        "range(1, 4)",
        "RunMode.restart",
    ):
        assert part in str(raised.value)
    assert not log.calls
    assert runs_and_marks(store) == before
    assert boxed(store, log, "abc", **RECOVER)()
    assert log.take() == ["box_b/1.2", "box_c/1.2", "last/1"]


def test_a_step_with_steps_does_not_become_a_function_in_the_middle_of_a_round(store, log):
    log.failing = {"box_b/1.2"}
    assert not boxed(store, log, "ab")()
    steps = flow(store, **RECOVER)
    steps.add_step("box", log)
    with pytest.raises(StepError, match="in 'box': "):
        steps()


def test_a_step_that_is_run_again_though_it_succeeded_is_so_in_a_changed_flow(store, log):
    def changed(*names, **options):
        steps = flow(store, **options)
        for name in names:
            steps.add_step(name, log, recovery={SUCCESS: StepReplay.rerun})
        steps.add_step("fails", log, requires=tuple((name, SUCCESS) for name in names))
        return steps

    log.failing = {"fails/1"}
    assert not changed("a", "b")()
    log.take()
    for names in (["b", "x", "a"], ["a", "b"], ["x", "b"]):
        assert not changed(*names, **RECOVER)()
        assert log.take() == [f"{name}/1" for name in (*names, "fails")]


def test_what_was_left_out_and_comes_back_is_begun_anew(store, log):
    log.failing = {"b/1"}
    assert not build(store, log, "a", "b<a")()
    log.take()
    assert not build(store, log, "b", **RECOVER)()
    assert log.take() == ["b/1"]
    log.failing = set()
    assert build(store, log, "a", "b<a", **RECOVER)()
    assert log.take() == ["a/1", "b/1"]


def test_a_change_is_told_before_anything_is_run(store, log, caplog):
    log.failing = {"b/1"}
    assert not build(store, log, "a", "b<a")()
    steps = flow(store, **RECOVER)
    steps.add_step("b", lambda: logging.getLogger("wfengine.steps").info("b runs"))
    with caplog.at_level(logging.INFO, "wfengine.steps"):
        assert steps()
    said = [each for each in caplog.messages if "no part of" in each or each == "b runs"]
    assert said[0].startswith("[ Step a ] is no part of the flow any more")
    assert said[-1] == "b runs"


# The values of rounds


def visits(store, log, values, **options):
    """Return a flow that notes the value of each round, in a step with steps and in one without."""
    steps = flow(store, **options)
    box = steps.add_step("box", repeats=values)
    first = box.add_step("first", note_value, (log,))
    box.add_step("second", note_value, (log,), requires=((first, SUCCESS),))
    return steps


def calls_only(store, log, values, **options):
    """Return the same flow as one function with rounds."""
    steps = flow(store, **options)
    steps.add_step("box", note_value, (log,), repeats=values)
    return steps


def note_value(log):
    value = Sequent.get_step_value()
    log.calls.append(value)
    if f"{Sequent.get_step_name()} {value}" in log.failing:
        raise ValueError(f"{value} was told to")


AIRPORTS = ["EWR", "JFK", "LGA"]


def lazily(values):
    """Return them as a generator has them."""
    return (value for value in values)


@pytest.mark.parametrize("kind", [list, tuple, lazily])
@pytest.mark.parametrize(
    ("build", "failing", "before"),
    [
        (visits, "box_second JFK", ["EWR", "EWR", "JFK", "JFK"]),
        (calls_only, "box JFK", ["EWR", "JFK"]),
    ],
)
@pytest.mark.parametrize(
    ("other", "now"),
    [
        (["LGA", "EWR", "JFK"], "'EWR'"),
        (["JFK", "EWR", "LGA"], "'EWR'"),
        (["SFO", "JFK", "LGA"], "'JFK'"),
        (["EWR", "SFO", "LGA"], "'SFO'"),
        (["EWR", "LGA", "JFK"], "'LGA'"),
    ],
)
@pytest.mark.parametrize("database_url", KINDS[:1], indirect=True)
def test_rounds_that_had_begun_with_other_values_are_not_taken_for_done(
    database_url, log, kind, build, failing, before, other, now
):
    with Store(database_url) as store:
        log.failing = {failing}
        assert not build(store, log, kind(AIRPORTS))()
        assert log.take() == before
        log.failing = set()
        refused = build(store, log, kind(other), **RECOVER)
        assert not refused()
        assert not log.calls
        ((step, error),) = refused.failures
        assert step == "box/1"
        for part in ("StepError: step 'box'", "round 2", now, "sorted(", "RunMode.restart"):
            assert part in error
        assert build(store, log, kind(AIRPORTS), **RECOVER)()
        assert log.take() == ["JFK", *["LGA"] * (2 if build is visits else 1)]


@pytest.mark.parametrize("build", [visits, calls_only])
def test_rounds_that_had_not_begun_may_have_other_values(store, log, build):
    log.failing = {"box JFK", "box_first JFK"}
    assert not build(store, log, AIRPORTS)()
    log.take()
    log.failing = set()
    assert build(store, log, ["EWR", "JFK", "SFO"], **RECOVER)()
    assert log.take() in (["JFK", "SFO"], ["JFK", "JFK", "SFO", "SFO"])


@pytest.mark.parametrize("count", [0, 1])
def test_an_iterator_that_has_become_too_short_is_no_end_of_the_rounds(store, log, count):
    log.failing = {"box_second JFK"}
    assert not visits(store, log, iter(AIRPORTS))()
    log.take()
    log.failing = set()
    steps = visits(store, log, iter(AIRPORTS[:count]), **RECOVER)
    assert not steps()
    assert "round 2, for which there is no value" in steps.failures[0][1]
    assert not log.calls
    assert visits(store, log, iter(AIRPORTS), **RECOVER)()
    assert log.take() == ["JFK", "LGA", "LGA"]


@pytest.mark.parametrize(
    ("kind", "other"),
    [(list, ["LGA", "EWR", "JFK"]), (iter, ["LGA", "EWR", "JFK"]), (iter, [])],
)
def test_a_run_that_was_left_between_two_rounds_is_not_taken_up_with_others(
    store, log, kind, other
):
    def build(values, **options):
        steps = flow(store, **options)
        outer = steps.add_step("outer", repeats=["a"])
        outer.add_step("inner", note_value, (log,), repeats=values)
        return steps

    assert build(kind(AIRPORTS)).run(max_loops=1)
    assert log.take() == ["EWR"]
    refused = build(kind(other), **RECOVER)
    assert not refused()
    assert "step 'outer_inner' cannot go on with round 1" in refused.failures[0][1]
    assert not log.calls
    assert build(kind(AIRPORTS), **RECOVER)()
    assert log.take() == ["JFK", "LGA"]


class Thing:
    """Is shown with its address, which is another in each process."""

    def __str__(self):
        return "thing"


def test_values_that_are_shown_otherwise_in_each_process_are_not_taken_for_others(store, log):
    log.failing = {"box_second thing"}
    assert not visits(store, log, [Thing(), Thing()])()
    log.take()
    log.failing = set()
    assert visits(store, log, [Thing(), Thing()], **RECOVER)()
    assert len(log.calls) == 3


def test_inner_rounds_begin_anew_in_each_outer_one(store, log):
    def build(inner, **options):
        steps = flow(store, **options)
        box = steps.add_step("box", repeats=["a", "b"])
        box.add_step("inner", note_value, (log,), repeats=inner)
        return steps

    log.failing = {"box_inner 2"}
    assert not build([1, 2])()
    log.failing = set()
    assert build([1, 2], **RECOVER)()
    assert log.take() == [1, 2, 2, 1, 2]


def test_a_set_has_its_rounds_in_the_order_of_its_values(store, log):
    calls_only(store, log, {"LGA", "SFO", "EWR", "JFK"})()
    calls_only(store, log, frozenset({3, 20, 1}))()
    assert log.take() == ["EWR", "JFK", "LGA", "SFO", 1, 3, 20]
    with pytest.raises(WorkflowDefinitionError, match=r"'box': repeats is a set.*as a list"):
        calls_only(store, log, {"a", 1})


MARKS = """
import datetime, decimal, enum, fractions, pathlib
from collections import namedtuple
from dataclasses import dataclass, field
from attrs import define
from wfengine.steps.repeats import Rounds

Pair = namedtuple("Pair", "a b")
Kind = enum.Enum("Kind", "x y")

@dataclass
class Job:
    names: set
    other: object = field(default_factory=object, compare=False)

@define
class Order:
    number: int
    thing: object

class Name(str):
    pass

again = []
again.append(again)
moment = datetime.datetime(2013, 1, 1, 12)
values = [None, True, 1.5, b"x", moment, decimal.Decimal("1.50"), fractions.Fraction(1, 3),
    pathlib.Path("a", "b"), Kind.x, Pair("a", 1), Job({"a", "b", "c"}), Order(1, object()),
    Name("n"), ("JFK", object()), {"a": 1, "b": [2]}, frozenset("abc"), range(3), again, print, Job]
rounds = Rounds(values, "a step")
print([rounds.mark(number + 1) for number in range(len(values))])
one = lambda value: Rounds([value], "a step").mark(1)
different = [Kind.x, Kind.y, Pair("a", 1), Pair("a", 2), Order(1, 0), Order(2, 0), Name("n"),
    Name("m"), pathlib.Path("a"), pathlib.Path("b"), moment, moment.date(), Job({"a"}),
    Job({"b"}), ("JFK", object()), ("LGA", object()), {"a": 1}, {"a": 2}]
assert len({one(value) for value in different}) == len(different)
"""


def test_values_leave_the_same_mark_in_each_process():
    found = set()
    for seed in "012":
        done = subprocess.run(
            [sys.executable, "-c", MARKS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


# Runs that are complete


def warnings_in(caplog):
    """Return what was said as a warning."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_complete_run_is_not_taken_up_when_the_flow_has_changed_which_is_said(store, log, caplog):
    first = build(store, log, "a")
    assert first()
    log.take()
    steps = build(store, log, "a", "new", **RECOVER)
    assert steps()
    assert not log.calls
    (said,) = warnings_in(caplog)
    assert said == (
        f"run {first.uuid} is complete, and never taken up: nothing is run, though the flow has "
        "changed. Begin a new run with RunMode.restart"
    )


@pytest.mark.parametrize(
    ("status", "replay", "said"),
    [
        (FAILURE, StepReplay.rerun, ["'a'"]),
        (FAILURE, StepReplay.skip, []),
        (SUCCESS, StepReplay.rerun, ["'a', 'b', 'c'"]),
    ],
)
def test_steps_of_a_complete_run_that_would_be_run_again_are_named(
    store, log, caplog, status, replay, said
):
    def build(**options):
        steps = flow(store, **options)
        steps.add_step("a", log, recovery={status: replay})
        steps.add_step("b", log, requires=(("a", FAILURE),), recovery={status: replay})
        steps.add_step("c", log, recovery={status: replay})
        steps.add_step("never", log, requires=(("a", SUCCESS),), recovery={status: replay})
        return steps

    log.failing = {"a/1"}
    assert build(config={"stop_on_exception": False})()
    log.take()
    assert build(**RECOVER)()
    assert not log.calls
    assert [each.partition("recovery would have ")[2] for each in warnings_in(caplog)] == [
        f"{names} run again. Begin a new run with RunMode.restart" for names in said
    ]


def test_a_complete_run_of_the_same_flow_is_nothing_to_warn_of(store, log, caplog):
    assert build(store, log, "a")()
    with caplog.at_level(logging.INFO, "wfengine.steps"):
        assert build(store, log, "a", **RECOVER)()
    assert not warnings_in(caplog)
    assert any(each.endswith("is complete") for each in caplog.messages)


# Any change


@frozen
class Box:
    """A step with steps in it, two rounds of them."""

    name: str
    inside: tuple[str, ...]


NAMES = st.lists(st.sampled_from("abcde"), min_size=1, max_size=4, unique=True)
BOXES = st.builds(Box, st.sampled_from(["box", "crate"]), NAMES.map(tuple))
FLOWS = st.tuples(NAMES, st.lists(BOXES, max_size=2, unique_by=lambda box: box.name)).flatmap(
    lambda found: st.permutations([*found[0], *found[1]])
)


def add(steps, names, log, is_chain):
    """Add steps to a flow, each after the one before it or not; return the flow."""
    last = None
    for each in names:
        requires = ((last, COMPLETE),) if last and is_chain else ()
        if isinstance(each, Box):
            last = steps.add_step(each.name, requires=requires, repeats=[1, 2])
            for inner in each.inside:
                last.add_step(inner, log)
        else:
            last = steps.add_step(each, log, requires=requires)
    return steps


def calls_of(names):
    """Return each call that there is of such a flow."""
    found = set()
    for each in names:
        if isinstance(each, Box):
            found |= {f"{each.name}_{n}/1.{turn}" for n in each.inside for turn in (1, 2)}
        else:
            found.add(f"{each}/1")
    return found


@given(FLOWS, FLOWS, st.integers(0, 2**12), st.booleans(), st.booleans())
@settings(max_examples=40)
def test_any_flow_goes_on_as_any_other(old, new, bits, was_chain, is_chain):
    log = Log()
    log.failing = {call for n, call in enumerate(sorted(calls_of(old))) if bits >> n % 12 & 1}
    with Store("sqlite://", synchronous="OFF") as store:
        first = add(flow(store), old, log, was_chain)
        is_over = first()
        made = log.take()
        done = {call for call in made if call not in log.failing}
        over = ended_in(store, first.uuid)
        log.failing = set()
        assert add(flow(store, **RECOVER), new, log, is_chain)()
        again = log.take()
    assert len(again) == len(set(again))
    assert done.isdisjoint(again)
    if is_over:
        assert not again
        return
    left = {evolve(each, inside=()) if is_done(each, over) else each for each in new}
    needed = calls_of(left)
    turn = max((call[-1] for call in made if "_" in call), default="1")
    assert {call for call in needed if "_" not in call or call[-1] >= turn} <= done | set(again)
    assert set(again) <= calls_of(new)


def is_done(each, over):
    return isinstance(each, Box) and f"{each.name}/1" in over


def ended_in(store, uuid):
    """Return the steps that have succeeded."""
    found = children(store, uuid).items()
    return {name for name, (status, _) in found if status is WorkflowStatus.COMPLETED}
