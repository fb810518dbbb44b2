"""Definitions to be changed: plans that can be edited, and what a built position leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from inspect import unwrap
from typing import Any

from attrs import evolve, frozen

from wfengine.callbacks import Definition, clean
from wfengine.patterns import FOR, IF, IF_ELSE, SYNCHRONIZE, TRY, WHILE


@cache
def task(name: str) -> Callable[[Any, Any], None]:
    """Return the one task of a name."""

    def work(obj: Any, eng: Any) -> None: ...

    work.__name__ = work.__qualname__ = name
    return work


@frozen
class Plan:
    """A task, a list, or a pattern with its branches, each a list."""

    kind: str
    name: str = ""
    branches: tuple[tuple[Plan, ...], ...] = ()

    def build(self) -> Any:
        """Return the task or pattern."""
        inner = [[plan.build() for plan in branch] for branch in self.branches]
        return BUILDERS[self.kind](self.name, *inner)


BUILDERS: dict[str, Callable[..., Any]] = {
    "task": task,
    "list": lambda _, tasks: tasks,
    "IF": lambda name, tasks: IF(task(name), tasks),
    "IF_ELSE": lambda name, tasks, others: IF_ELSE(task(name), tasks, others),
    "FOR": lambda name, tasks: FOR(range(3), name, tasks),
    "WHILE": lambda name, tasks: WHILE(task(name), tasks),
    "TRY": lambda _, tasks, others: TRY(tasks, onfailure=others),
    "SYNCHRONIZE": lambda name, last: SYNCHRONIZE(task(name), task(f"{name} too"), last),
}


def leaf(name: str) -> Plan:
    """Return the plan of a task."""
    return Plan("task", name)


def built(plans: tuple[Plan, ...]) -> Definition:
    """Return the definition that some plans come to."""
    return clean([plan.build() for plan in plans])


Way = tuple[tuple[int, int], ...]
"""The way to a list of plans: an element and one of its branches, again and again."""


def lists_in(plans: tuple[Plan, ...], way: Way = ()) -> Iterator[tuple[Way, tuple[Plan, ...]]]:
    """Yield every list of plans, with the way to it."""
    yield way, plans
    for place, plan in enumerate(plans):
        for number, branch in enumerate(plan.branches):
            yield from lists_in(branch, (*way, (place, number)))


def with_list(plans: tuple[Plan, ...], way: Way, changed: tuple[Plan, ...]) -> tuple[Plan, ...]:
    """Return plans with another list at the end of a way."""
    if not way:
        return changed
    (place, number), *rest = way
    branches = list(plans[place].branches)
    branches[number] = with_list(branches[number], tuple(rest), changed)
    plan = evolve(plans[place], branches=tuple(branches))
    return (*plans[:place], plan, *plans[place + 1 :])


def positions_in(definition: Definition) -> Iterator[list[int]]:
    """Yield every position in a definition, the ends of its lists too."""
    waiting: list[tuple[list[int], Definition]] = [([], definition)]
    while waiting:
        around, found = waiting.pop()
        for index, step in enumerate(found):
            yield [*around, index]
            if isinstance(step, Definition):
                waiting.append(([*around, index], step))
        if found or not around:
            yield [*around, len(found)]


def seen_at(definition: Definition, position: list[int]) -> list[Any]:
    """Return what a position leads through and to: patterns, roles, conditions, and the task.

    It is read off the definition itself; of tasks that a pattern has made, the role is all.
    """
    seen: list[Any] = []
    current: Any = definition
    for index in position:
        description = current.description
        role = description.roles[index : index + 1] if description else ()
        is_body = role == ("body",) and description.kind != "TRY"
        seen.append("body" if is_body else role)
        if index == len(current):
            return [*seen, "end"]
        current = current[index]
        is_made_here = role and role[0] in ("condition", "next", "branches")
        seen.append("made here" if is_made_here else what(current))
    return seen


def what(step: Any) -> Any:
    """Return a task itself, and of a list what pattern it is of what."""
    if not isinstance(step, Definition):
        return unwrap(step)
    if step.description is None:
        return "list"
    description = step.description
    parts = [part.content for part in description.parts if not isinstance(part.content, Definition)]
    branches = [list(p.content) for p in description.parts if isinstance(p.content, Definition)]
    return description.kind, description.label, parts, branches
