"""Random flows against a small scheduler that is plain to see through, looked at as they pass.

Each function tells when it begins, and waits to be told to end. When one begins, what it requires
must have come, there must be room for it, and what it takes must have been there. Before any is
told to end, all have begun that can. So it is in this thread, in threads and in processes, and when
a run is taken up again: then nothing begins that had succeeded, and the end is that of a run that
nothing came in between.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain, combinations
from logging import CRITICAL
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from wfengine.errors import WorkflowDefinitionError
from wfengine.status import WorkflowStatus
from wfengine.steps import RunMode, Sequent
from wfengine.store import Store

from ..support.databases import database
from .graphs import Sizes, Spec, add, calls_of, settled, some_steps, with_stops
from .playing import KEY, Play, serving, work_in_process
from .reference import Reference
from .support import children

ROOT = Path(__file__).parents[2]

MANY = 50
"""Calls; a flow that may have more is left out, since it takes long."""

STORED_SIZES = Sizes(3, 2, fewest_rounds=1)
"""A step without a single call leaves no trace by which to know what became of it."""

IN_PROCESSES = Sizes(3, 1, constructs=(None,))

MOST_IN_DOUBT = 5

CONSTRUCTS = st.sampled_from(["inline", "thread"])
RANDOM = st.randoms(use_true_random=True)
LIMITS = st.sampled_from([1, 2, 3, 0])
KINDS = ["sqlite", "postgresql"]


def some_flow(random: Random, sizes: Sizes, **given: Any) -> Spec:
    """Return a flow that is not too large."""
    found = evolve(some_steps(random, sizes), **given)
    assume(len(list(calls_of(found))) <= MANY)
    assume(not is_refused(found))
    return found


def some_calls(random: Random, flow: Spec) -> set[str]:
    """Return the calls that are to fail."""
    rate = random.choice((0.0, 0.1, 0.3))
    return {call for call in calls_of(flow) if random.random() < rate}


def build(flow: Spec, work: Any, args: Any = (), store: Any = ":memory:", **options: Any) -> Any:
    """Return the flow."""
    config = {
        "max_concurrent": flow.limit,
        "stop_on_exception": flow.stops,
        "task_construct": flow.construct,
    }
    found = Sequent("flow", store=store, logging_level=CRITICAL, config=config, **options)
    add(found, flow, work, args)
    return found


def is_refused(flow: Spec) -> bool:
    """Return whether a flow is refused, since a step of it can never begin."""
    try:
        build(flow, print).__wfengine_definition__()
    except WorkflowDefinitionError:
        return True
    return False


def every_failure(flow: Spec) -> Iterator[tuple[str, ...]]:
    """Yield each choice of calls that may fail."""
    calls = list(calls_of(flow))
    return chain.from_iterable(combinations(calls, size) for size in range(len(calls) + 1))


def reference_of(flow: Spec, failing: set[str], **options: Any) -> Reference:
    """Return what is to happen in a flow."""
    return Reference(settled(flow), failing, is_single=flow.limit == 1, **options)


def played(
    reference: Reference, flow: Spec, random: Random, max_loops: int = -1, **options: Any
) -> bool | None:
    """Run a flow in this process, and return what it returns."""
    play = Play(reference, Random(random.randrange(2**32)))
    return play.run(build(flow, play.work, **options), max_loops)


@given(RANDOM, LIMITS, st.booleans(), CONSTRUCTS)
@settings(max_examples=4 * settings().max_examples)
def test_all_begins_that_can_and_nothing_else(random, limit, stops, construct):
    flow = some_flow(random, Sizes(), limit=limit, stops=stops, construct=construct)
    reference = reference_of(flow, some_calls(random, flow))
    assert played(reference, flow, random) is reference.result


@given(RANDOM, LIMITS, CONSTRUCTS)
def test_a_failure_that_stops_nothing_leaves_one_end_whatever_the_order(random, limit, construct):
    flow = some_flow(random, Sizes(), limit=limit, stops=False, construct=construct)
    flow = with_stops(flow, False)
    failing = some_calls(random, flow)
    reference = reference_of(flow, failing)
    played(reference, flow, random)
    alone = reference_of(flow, failing)
    assert reference.begun == alone.play()
    assert reference.result is alone.result


@given(RANDOM)
@settings(max_examples=5)
def test_so_it_is_in_processes(random):
    flow = some_flow(random, IN_PROCESSES, limit=2, stops=True, construct="process")
    assume(len(list(calls_of(flow))) <= 6)
    reference = reference_of(flow, some_calls(random, flow))
    play = Play(reference, Random(random.randrange(2**32)))
    with pytest.MonkeyPatch.context() as patch, serving(play) as address:
        patch.setattr(sys, "path", [*sys.path, str(ROOT)])  # by which processes find this function
        steps = build(flow, work_in_process, (address, KEY))
        assert play.run(steps) is reference.result


@given(RANDOM)
def test_a_flow_is_refused_only_if_a_step_can_never_begin(random):
    flow = evolve(some_steps(random, Sizes(5, 0, 1)), limit=1, stops=False, construct="inline")
    flow = with_stops(flow, False)
    steps = [f"s{number}" for number in range(len(flow.inside))]
    if is_refused(flow):
        begun = [reference_of(flow, set(failing)).play() for failing in every_failure(flow)]
        assert any(not any(call.startswith(f"{step}/") for call in chain(*begun)) for step in steps)


# Runs that are taken up again


@pytest.fixture(params=KINDS)
def store(request, tmp_path):
    """A store in a database, which all examples of a test have their runs in."""
    with database(request.param, tmp_path) as url, Store(url) as store:
        yield store


STORED = settings(
    max_examples=settings().max_examples // 3,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def check_stored(store: Store, reference: Reference) -> None:
    """Look whether what has succeeded is stored so, and nothing else."""
    run = store.latest(name="flow")
    is_complete = run.status is WorkflowStatus.COMPLETED
    assert is_complete is bool(reference.result) or reference.is_held
    found = {
        key: result
        for key, (status, result) in children(store, run.uuid).items()
        if status is WorkflowStatus.COMPLETED
    }
    done = reference.results()
    kept = {key: found[key] for key in found if key in done}
    # What was broken off after the last of its calls has not ended.
    assert kept == done or (reference.is_held and kept.items() <= done.items())
    assert reference.unfinished().isdisjoint(found)


def taken_up(
    first: Reference, flow: Spec, failing: set[str], random: Random, store: Store
) -> Reference:
    """Take a run up again; look at each moment of it, and at its end; return what was seen."""
    check_stored(store, first)
    second = reference_of(flow, failing, first=first)
    assume(len(second.in_doubt) <= MOST_IN_DOUBT)
    result = played(second, flow, random, store=store, run_mode=RunMode.recover)
    assert result is second.result
    assert second.begun.isdisjoint(first.successes())
    check_stored(store, second)
    return second


@STORED
@given(RANDOM, LIMITS, CONSTRUCTS)
def test_a_run_that_failed_goes_on_to_its_end_when_all_is_mended(store, random, limit, construct):
    flow = some_flow(random, STORED_SIZES, limit=limit, stops=True, construct=construct)
    first = reference_of(flow, some_calls(random, flow))
    assert played(first, flow, random, store=store) is first.result
    assert taken_up(first, flow, set(), random, store).result


@STORED
@given(RANDOM, LIMITS, CONSTRUCTS)
def test_a_run_that_was_broken_off_comes_to_the_end_of_one_that_was_not(
    store, random, limit, construct
):
    flow = some_flow(random, STORED_SIZES, limit=limit, stops=False, construct=construct)
    flow = with_stops(flow, False)
    failing = some_calls(random, flow)
    first = reference_of(flow, failing)
    played(first, flow, random, random.randint(1, 6), store=store)
    second = taken_up(first, flow, failing, random, store)
    alone = reference_of(flow, failing)
    assert first.begun | second.begun == alone.play()
    assert second.result is alone.result
