"""What the steps of a flow keep of its pools: who waits for it for ever, and who gives it back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import TYPE_CHECKING, Any

from wfengine.errors import WorkflowDefinitionError
from wfengine.patterns.graph import After, AnyOf

if TYPE_CHECKING:
    from wfengine.steps.flow import Sequent
    from wfengine.steps.steps import Container, Step

__all__ = ["check_given_back", "check_kept"]

ENDS = ("success", "failure", "complete")


def check_kept(container: Container) -> None:
    """Refuse a step for which nothing is left by steps that certainly end before it.

    What only some ways through a flow lead to shows when it is run.

    :raises WorkflowDefinitionError: naming the step, the pool, and who keeps it.
    """
    taking = (step for step in container.steps.values() if step.wants.acquires)
    keepers = {step.name for step in taking if step.wants.keeps}
    if not keepers:
        return
    given_back = {pool for step in _all_steps(container.flow) for pool in step.wants.gives_back}
    before = _keepers_before(container, keepers)
    for name, found in before.items():
        step = container.steps[name]
        for amount in step.wants.acquires:
            if amount.pool.name not in given_back:
                _check(step, amount, [container.steps[each] for each in sorted(found)])


def check_given_back(flow: Sequent) -> None:
    """Refuse a step that gives back more than all steps of a flow can have kept.

    A flow that is a branch of a larger run may give back what another has kept there.

    :raises WorkflowDefinitionError: naming the step, the pool, and how much there can be.
    """
    steps = [step for step in _all_steps(flow) if not step.wants.is_empty]
    kept: dict[str, float] = {}
    for step in steps:
        times = prod(each.rounds.count for each in step.around if each.rounds is not None)
        for pool, number in step.wants.keeps.items():
            kept[pool] = kept.get(pool, 0) + number * times
    for step in steps:
        for pool, number in step.wants.gives_back.items():
            if number > kept.get(pool, 0):
                own = step.wants.of(pool)
                raise WorkflowDefinitionError(
                    f"step {step.path!r} releases {own + number} of pool {pool!r}; it acquires "
                    f"{own}, and the steps of the flow keep {kept.get(pool, 0)} at most that it "
                    "could give back"
                )


def _check(step: Step, amount: Any, before: list[Step]) -> None:
    pool, limit = amount.pool.name, amount.pool.limit
    keeping = [each for each in before if pool in each.wants.keeps]
    kept = sum(each.wants.keeps[pool] for each in keeping)
    held = sum(each.wants.of(pool) for each in step.around)
    if not kept or limit is None or amount.number + kept + held <= limit:
        return
    names = ", ".join(repr(each.path) for each in keeping)
    also = f", the steps that it is in hold {held}" if held else ""
    raise WorkflowDefinitionError(
        f"step {step.path!r} acquires {amount.number} of pool {pool!r}, of which there are "
        f"{limit}; what ends before it, {names}, keeps {kept}{also}, and no step gives that back: "
        f"have one do so before, with releases=[({pool}, {amount.number})]"
    )


def _all_steps(container: Any) -> Iterator[Step]:
    waiting = [container]
    while waiting:
        found = list(waiting.pop().steps.values())
        yield from found
        waiting.extend(found)


def _keepers_before(container: Container, keepers: set[str]) -> dict[str, frozenset[str]]:
    """Return which keepers have certainly ended when a step begins; nothing where that is circular.

    Requirements may be so if they are met in several ways.
    """
    steps = container.steps
    order = TopologicalSorter({name: set(_named(step.requires)) for name, step in steps.items()})
    found: dict[str, frozenset[str]] = {}
    try:
        for name in order.static_order():
            found[name] = _certain(steps[name].requires, found, keepers)
    except CycleError:
        return {}
    return found


def _named(required: Any) -> Iterator[str]:
    waiting, seen = [required], set[int]()
    while waiting:
        each = waiting.pop()
        if isinstance(each, After):
            yield each.name
        elif each is not None and id(each) not in seen:  # an event may be required by several
            seen.add(id(each))
            waiting.extend(each.of)


def _certain(required: Any, before: dict[str, frozenset[str]], keepers: set[str]) -> frozenset[str]:
    if required is None:
        return frozenset()
    if isinstance(required, After):
        own = keepers & {required.name} if required.event in ENDS else frozenset()
        return before[required.name] | own
    parts = (_certain(each, before, keepers) for each in required.of)
    return reduce(frozenset.__and__ if isinstance(required, AnyOf) else frozenset.__or__, parts)
