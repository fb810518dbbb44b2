"""The engine does what the reference model says, however it is run."""

from collections import UserList
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from wfengine.engine import ActionMapper, GenericWorkflowEngine, ProcessingFactory

from .definitions import Parallel, Synchronize, parts_of
from .model import APART, MAIN
from .running import Case, EngineRun, ModelRun, Observed, Way
from .strategies import cases, specified


def as_the_model_says(case: Case, way: Way) -> Observed:
    """Require that a run of the engine is that of the model; returns what was observed."""
    expected = specified(ModelRun(case).process)
    if not way.to_tasks:
        expected = evolve(expected, task_signals=[])
    assert EngineRun(case, way).process() == expected
    return expected


@given(case=cases())
def test_a_run_is_what_the_model_says(case: Case) -> None:
    as_the_model_says(case, Way())


@given(case=cases())
def test_listeners_hear_of_each_token_and_task_and_change_nothing(case: Case) -> None:
    as_the_model_says(case, Way(to_tasks=True))


COROUTINES = st.sampled_from([0.5, 1, 0])
SEEDS = st.integers(0, 1000)


@given(case=cases(), coroutines=COROUTINES, seed=SEEDS)
def test_in_an_event_loop_the_run_is_the_same(case: Case, coroutines: float, seed: int) -> None:
    as_the_model_says(case, Way(asynchronous=True, coroutines=coroutines, seed=seed))


@given(case=cases(), coroutines=COROUTINES, seed=SEEDS)
def test_without_one_coroutines_are_awaited_all_the_same(
    case: Case, coroutines: float, seed: int
) -> None:
    as_the_model_says(case, Way(coroutines=coroutines, seed=seed))


@given(case=cases(), seed=SEEDS)
def test_tuples_and_none_in_a_definition_change_nothing(case: Case, seed: int) -> None:
    as_the_model_says(case, Way(mixed=True, seed=seed))


def a_generator(tokens: Sequence[Any]) -> Any:
    yield from tokens


@pytest.mark.parametrize("collect", [tuple, a_generator, iter, UserList])
@given(case=cases())
def test_it_does_not_matter_what_the_tokens_come_in(case: Case, collect: Any) -> None:
    as_the_model_says(case, Way(collect=collect))


Seen = list[tuple[bool, tuple[int, ...]]]


def engine_that_looks_on(before: Seen, after: Seen) -> type[GenericWorkflowEngine]:
    class LookOn(ActionMapper):
        @staticmethod
        def before_each_callback(eng: Any, callback_func: Any, obj: Any) -> None:
            before.append((eng.parent is None, tuple(eng.state.callback_pos)))

        @staticmethod
        def after_each_callback(eng: Any, callback_func: Any, obj: Any) -> None:
            after.append((eng.parent is None, tuple(eng.state.callback_pos)))

    class Factory(ProcessingFactory):
        action_mapper = LookOn

    class Engine(GenericWorkflowEngine):
        processing_factory = Factory

    return Engine


def is_concurrent(case: Case) -> bool:
    return any(isinstance(part, Synchronize | Parallel) for part in parts_of(case.items))


@given(case=cases(), asynchronous=st.booleans(), coroutines=COROUTINES, seed=SEEDS)
def test_hooks_see_each_task_at_its_position_and_change_nothing(
    case: Case, asynchronous: bool, coroutines: float, seed: int
) -> None:
    before: Seen = []
    after: Seen = []
    model = ModelRun(case)
    expected = specified(model.process)
    way = Way(engine_that_looks_on(before, after), asynchronous, coroutines, seed=seed)

    assert EngineRun(case, way).process() == evolve(expected, task_signals=[])

    watched = [(kind == MAIN, place) for kind, place in model.machine.watched if kind != APART]
    if is_concurrent(case):
        watched, before, after = (
            [seen for seen in each if seen[0]] for each in (watched, before, after)
        )
    assert before == watched
    assert sorted(after) == sorted(before)


class TellsNothing(GenericWorkflowEngine):
    def execute_callback(self, callback: Any, obj: Any) -> None:
        super().execute_callback(callback, obj)


@given(case=cases(), asynchronous=st.booleans(), coroutines=COROUTINES, seed=SEEDS)
def test_what_a_task_hands_over_passes_an_override_that_returns_nothing(
    case: Case, asynchronous: bool, coroutines: float, seed: int
) -> None:
    as_the_model_says(case, Way(TellsNothing, asynchronous, coroutines, seed=seed))
