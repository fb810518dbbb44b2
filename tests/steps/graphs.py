"""Random flows of steps, drawn by a ``Random``, whether Hypothesis or a seed is behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from attrs import evolve, frozen

from wfengine.steps import ResourcePool, StepStatus, or_

ENDS = ("success", "failure", "complete")
STATUSES = ("ready", "active", *ENDS)

LIMIT = 2
"""How much there is of each pool."""


@frozen
class After:
    """Waits for something to happen to a step, by its number."""

    number: int
    status: str


@frozen
class Each:
    """Waits for all of several, or for one of them."""

    of: tuple[Any, ...]
    is_any: bool = False


@frozen
class Event:
    """Waits for an event, by its number."""

    number: int


@frozen
class Spec:
    """A step to be, or a flow: a function, or steps and rounds.

    :param events: requirements of steps inside that have a name.
    :param rounds: how many; None for a function that is called once, without ``repeats``.
    :param form: of ``repeats``: a list, a range, or what can be read but once.
    :param takes: how much of which pool.
    :param limit: how many functions may run at a time inside; None for that of what it is in, 0
        for as many as can.
    """

    name: str = ""
    requires: Any = Each(())
    inside: tuple[Spec, ...] = ()
    events: tuple[Any, ...] = ()
    rounds: int | None = None
    form: str = "range"
    takes: tuple[tuple[str, int], ...] = ()
    limit: int | None = None
    stops: bool | None = None
    construct: str | None = None


def path_of(spec: Spec, path: str) -> str:
    """Return the path of a step, from that of what it is in."""
    return f"{path}_{spec.name}" if path else spec.name


def own_calls(spec: Spec, path: str, sequence: str) -> list[str]:
    """Return the calls of a function, one after the other; a path and a sequence are its own."""
    if spec.rounds is None:
        return [f"{path}/{sequence}"]
    return [f"{path}/{sequence}.{turn}" for turn in range(1, spec.rounds + 1)]


def calls_of(spec: Spec, path: str = "", sequence: str = "1") -> Iterator[str]:
    """Yield each call that there can be inside of a round."""
    for step in spec.inside:
        own = path_of(step, path)
        if not step.inside:
            yield from own_calls(step, own, sequence)
        for turn in range(1, (step.rounds or 0) + 1) if step.inside else ():
            yield from calls_of(step, own, f"{sequence}.{turn}")


# Drawing


@frozen
class Sizes:
    """How large a flow becomes.

    :param most: steps of a container.
    :param depth: of containers in each other.
    :param fewest_rounds: of what has ``repeats``.
    :param statuses: that are required.
    :param constructs: that steps with functions of the flow itself may have; those further in have
        that of the flow.
    """

    most: int = 4
    depth: int = 2
    fewest_rounds: int = 0
    constructs: tuple[str | None, ...] = (None, None, "inline")
    statuses: tuple[str, ...] = STATUSES


def some_steps(random: Random, sizes: Sizes) -> Spec:
    """Return a flow, or what a step of one holds."""
    count = random.randint(1, sizes.most)
    events = tuple(
        some_requirement(random, sizes, count, ()) for _ in range(random.choice((0, 0, 1)))
    )
    inside = tuple(some_step(random, sizes, number, events) for number in range(count))
    return Spec(inside=inside, events=events)


def some_step(random: Random, sizes: Sizes, number: int, events: tuple[Any, ...]) -> Spec:
    """Return one step, which requires some before it; the first of a container has no rounds."""
    step = Spec(
        f"s{number}",
        some_requirement(random, sizes, number, events) if number else Each(()),
        form=random.choice(("list", "range", "once")),
        stops=random.choice((None, None, None, True, False)),
    )
    rounds = random.choice((None, None, None, None, 0, 1, 2, 3))
    if number and rounds is not None:
        step = evolve(step, rounds=max(rounds, sizes.fewest_rounds))
    if number and step.rounds is not None and sizes.depth and random.randint(0, 3):
        box = some_steps(random, evolve(sizes, depth=sizes.depth - 1))
        limit = random.choice((None, None, 1, 2, 0))
        step = evolve(step, inside=box.inside, events=box.events, limit=limit)
    if step.rounds == 0:
        return step
    construct = None if step.inside else random.choice(sizes.constructs)
    return evolve(step, construct=construct, takes=some_amounts(random, sizes.depth))


def some_requirement(
    random: Random, sizes: Sizes, count: int, events: tuple[Any, ...], depth: int = 2
) -> Any:
    """Return a condition on some of the first steps."""
    kind = random.choice(("after", "after", "all", "any", "event")) if depth else "after"
    if kind == "event" and events and all(n < count for each in events for n in steps_in(each)):
        return Event(random.randrange(len(events)))
    if kind in ("all", "any"):
        parts = [
            some_requirement(random, sizes, count, events, depth - 1)
            for _ in range(random.randint(1, 2))
        ]
        return Each(tuple(parts), is_any=kind == "any")
    return After(random.randrange(count), random.choice((*sizes.statuses, "success", "success")))


def steps_in(requirement: Any) -> Iterator[int]:
    """Yield the numbers of the steps that a condition without events is about."""
    if isinstance(requirement, After):
        yield requirement.number
    else:
        for part in requirement.of:
            yield from steps_in(part)


def some_amounts(random: Random, depth: int) -> tuple[tuple[str, int], ...]:
    """Return what a step takes: of pools for its depth alone, so that none waits for an outer one.

    What steps do that hold something while others inside of them ask for it is another test's.
    """
    names = random.choice(((), (), ("x",), ("y",), ("x", "y")))
    return tuple((f"{name}{depth}", random.randint(1, LIMIT)) for name in names)


KILLED = Sizes(3, 1, fewest_rounds=1, constructs=(None,))
NEVER_FAILING = evolve(KILLED, statuses=("ready", "active", "success"))
CALLS = range(5, 10)


def flow_to_kill(seed: str, construct: str) -> tuple[Spec, frozenset[str]]:
    """Return a flow that has one end whatever comes first, and which of its calls fail.

    In processes none does, since there any may be killed: nothing waits for that, and all others
    wait for recovery.
    """
    random, is_failing = Random(seed), construct != "process"
    while True:
        sizes = KILLED if is_failing else NEVER_FAILING
        flow = with_stops(some_steps(random, sizes), not is_failing)
        calls = list(calls_of(flow))
        if len(calls) in CALLS:
            flow = evolve(flow, limit=2, construct=construct)
            return flow, frozenset(random.sample(calls, 2) if is_failing else ())


def settled(spec: Spec, around: Spec | None = None) -> Spec:
    """Return a flow in which each step has the settings that it gets from what it is in."""
    if around is not None:
        spec = evolve(
            spec,
            limit=around.limit if spec.limit is None else spec.limit,
            stops=around.stops if spec.stops is None else spec.stops,
            construct=spec.construct or around.construct,
        )
    return evolve(spec, inside=tuple(settled(step, spec) for step in spec.inside))


def with_stops(spec: Spec, stops: bool) -> Spec:
    """Return a flow in which each failure keeps others from beginning, or none does."""
    inside = tuple(with_stops(step, stops) for step in spec.inside)
    return evolve(spec, stops=stops, inside=inside)


# Building


def add(flow: Any, spec: Spec, work: Callable[..., Any], args: Any = ()) -> None:
    """Add the steps of a flow to it, or those of a step to that."""
    events: list[Any] = []
    made: dict[int, Any] = {}

    def built(requirement: Any) -> Any:
        if isinstance(requirement, After):
            step = made.get(requirement.number) or spec.inside[requirement.number].name
            return (step, StepStatus[requirement.status])
        if isinstance(requirement, Event):
            return events[requirement.number]
        parts = tuple(built(part) for part in requirement.of)
        return or_(*parts) if requirement.is_any else parts

    events.extend(flow.add_event(built(each)) for each in spec.events)
    for number, step in enumerate(spec.inside):
        made[number] = flow.add_step(
            step.name,
            None if step.inside else work,
            () if step.inside else args,
            requires=built(step.requires),
            repeats=_repeats(step),
            acquires=[(_pool(name), amount) for name, amount in step.takes],
            config=_config(step),
        )
        if step.inside:
            add(made[number], step, work, args)


def _pool(name: str) -> ResourcePool:
    return ResourcePool(name, policy={"resource_limit": LIMIT})


def _repeats(spec: Spec) -> Any:
    if spec.rounds is None:
        return None
    if spec.form == "once":
        return iter([f"turn {turn}" for turn in range(spec.rounds)])
    return range(spec.rounds) if spec.form == "range" else list("abc"[: spec.rounds])


def _config(spec: Spec) -> dict[str, Any]:
    given = {
        "max_concurrent": spec.limit,
        "stop_on_exception": spec.stops,
        "task_construct": spec.construct,
    }
    return {key: value for key, value in given.items() if value is not None}
