"""Flows that have changed between a run and its recovery."""

from __future__ import annotations

import logging

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from wfengine.status import WorkflowStatus
from wfengine.steps import RunMode, StepError, StepReplay
from wfengine.store import Store

from ..support.databases import KINDS
from .support import COMPLETE, SUCCESS, Log, children, flow

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
