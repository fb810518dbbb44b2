"""The engine does what the reference model says, however it is run."""

from collections import UserList
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given

from wfengine.engine import ActionMapper, GenericWorkflowEngine, ProcessingFactory

from .checks import as_the_model_says, specified
from .definitions import Parallel, Synchronize, parts_of
from .model import APART, MAIN
from .running import Case, EngineRun, ModelRun, Way
from .strategies import SEEDS, WAYS, cases


@given(case=cases())
def test_a_run_is_what_the_model_says(case: Case) -> None:
    as_the_model_says(case, Way())


@given(case=cases())
def test_listeners_hear_of_each_token_and_task_and_change_nothing(case: Case) -> None:
    as_the_model_says(case, Way(to_tasks=True))


@given(case=cases(), way=WAYS)
def test_event_loops_and_coroutines_change_nothing(case: Case, way: Way) -> None:
    as_the_model_says(case, way)


@given(case=cases(), seed=SEEDS)
def test_tuples_and_none_in_a_definition_change_nothing(case: Case, seed: int) -> None:
    as_the_model_says(case, Way(mixed=True, seed=seed))


def a_generator(tokens: Sequence[Any]) -> Any:
    yield from tokens


@pytest.mark.parametrize("collect", [tuple, a_generator, UserList])
@given(case=cases())
def test_it_does_not_matter_what_the_tokens_come_in(case: Case, collect: Any) -> None:
    as_the_model_says(case, Way(collect=collect))


class TellsNothing(GenericWorkflowEngine):
    def execute_callback(self, callback: Any, obj: Any) -> None:
        super().execute_callback(callback, obj)


@given(case=cases(), way=WAYS)
def test_what_a_task_hands_over_passes_an_override_that_returns_nothing(
    case: Case, way: Way
) -> None:
    as_the_model_says(case, evolve(way, engine_class=TellsNothing))


Seen = list[tuple[bool, tuple[int, ...]]]


def engine_that_looks_on(before: Seen, after: Seen) -> type[GenericWorkflowEngine]:
    """Return a class of engines whose hooks write down where the engine or a branch stands."""

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


def in_order(case: Case, seen: Seen) -> Seen:
    """Return what was seen in an order that does not depend on threads."""
    runs_beside = any(isinstance(part, Synchronize | Parallel) for part in parts_of(case.items))
    return [each for each in seen if each[0]] if runs_beside else seen


@given(case=cases(), way=WAYS)
def test_hooks_see_each_task_at_its_position_and_change_nothing(case: Case, way: Way) -> None:
    before: Seen = []
    after: Seen = []
    model = ModelRun(case)
    expected = specified(model.process)
    way = evolve(way, engine_class=engine_that_looks_on(before, after))

    assert EngineRun(case, way).process() == evolve(expected, task_signals=[])

    watched = [(kind == MAIN, place) for kind, place in model.machine.watched if kind != APART]
    assert in_order(case, before) == in_order(case, watched)
    assert sorted(after) == sorted(before)
