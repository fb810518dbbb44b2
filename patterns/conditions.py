"""Patterns that choose between branches, and the comparison that helps them choose."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from typing import Any

from wfengine.callbacks import FROM_START, Definition, Enter, Shape, Task, task_name
from wfengine.description import Description, Part, described
from wfengine.errors import JumpCall, WorkflowDefinitionError, WorkflowError

from .parts import Branch, as_branch, as_condition, as_element, as_value, ask, named, then

FIRST, SECOND = Enter(0), Enter(1)

__all__ = ["CHOICE", "CMP", "IF", "IF_ELSE", "IF_NOT", "SIMPLE_MERGE"]


def IF(cond: Task, branch: Branch) -> Definition:
    """Run the branch if the condition holds.

    Its list is ``[branch]``; the position at the condition is that of the list.
    """
    return _one_branch("IF", cond, branch, runs_when=True)


def IF_NOT(cond: Task, branch: Branch) -> Definition:
    """Run the branch if the condition does not hold.

    Its list is ``[branch]``; the position at the condition is that of the list.
    """
    return _one_branch("IF_NOT", cond, branch, runs_when=False)


def _one_branch(kind: str, cond: Task, branch: Branch, runs_when: bool) -> Definition:
    condition = as_condition(cond, f"{kind}'s condition")
    outcomes = (FIRST, None) if runs_when else (None, FIRST)
    return _choice(
        kind,
        _decision(condition, *outcomes),
        [as_branch(branch, f"{kind}'s branch")],
        roles=("then",),
        parts=(Part("condition", condition),),
    )


def IF_ELSE(cond: Task, branch1: Branch, branch2: Branch) -> Definition:
    """Run the first branch if the condition holds, else the second.

    Its list is ``[first branch, second branch]``; the position at the condition is that of the
    list.
    """
    condition = as_condition(cond, "IF_ELSE's condition")
    return _choice(
        "IF_ELSE",
        _decision(condition, FIRST, SECOND),
        [
            as_branch(branch1, "IF_ELSE's first branch"),
            as_branch(branch2, "IF_ELSE's second branch"),
        ],
        roles=("then", "else"),
        parts=(Part("condition", condition),),
    )


def _choice(
    kind: str,
    decide: Task,
    branches: list[Definition],
    roles: tuple[str, ...],
    parts: tuple[Part, ...],
) -> Definition:
    """Return a list of which only the branch is run that its lead decides for."""
    label = task_name(parts[0].content)
    description = Description(kind, roles=roles, parts=parts, label=label)
    return Definition(branches, named(decide, kind), Shape.CHOICE, description)


def _decision(condition: Task, if_true: Enter | None, if_false: Enter | None) -> Task:
    def decide(obj: Any, eng: Any) -> Any:
        answer = condition(obj, eng)
        if answer is True:
            return if_true
        if answer is False:
            return if_false
        return then(answer, lambda holds: if_true if holds else if_false)

    return decide


def CHOICE(arbiter: Task, *predicates: Any, default: Any = None, **kwpredicates: Any) -> Definition:
    """Run the branch whose key the arbiter returns.

    Its list is ``[branch, branch, ...]``; the position at the arbiter is that of the list.

    :param arbiter: a callable ``(obj, eng)`` that returns a key.
    :param predicates: pairs of a key and a branch; or name branches by keyword.
    :param default: the branch for every other key; without one such a key is an error.
    """
    arbiter = as_condition(arbiter, "CHOICE's arbiter")
    branches = _choices(predicates, kwpredicates)
    if default is not None:
        branches.append((_DEFAULT, default))
    if not branches:
        raise WorkflowDefinitionError("CHOICE has no branches: give it name=[tasks]")
    ways = {key: Enter(place) for place, (key, _) in enumerate(branches)}
    otherwise = ways.get(_DEFAULT)

    def choose(key: Any) -> Enter:
        way = ways.get(key, otherwise)
        if way is None:
            known = ", ".join(map(repr, ways))
            raise WorkflowError(
                f"CHOICE: {task_name(arbiter)!r} returned {key!r}, and there are only branches "
                f"for {known}; add one, or default="
            )
        return way

    def decide(obj: Any, eng: Any) -> Any:
        return then(arbiter(obj, eng), choose)

    keys = tuple(Part("key", key, str(key)) for key, _ in branches)
    return _choice(
        "CHOICE",
        decide,
        [as_branch(branch, f"CHOICE's branch {key!r}") for key, branch in branches],
        roles=("branch",) * len(branches),
        parts=(Part("arbiter", arbiter), *keys),
    )


class _Default:
    def __repr__(self) -> str:
        return "default"


_DEFAULT = _Default()


def _choices(predicates: tuple[Any, ...], kwpredicates: dict[str, Any]) -> list[tuple[Any, Any]]:
    branches: list[tuple[Any, Any]] = []
    seen = set()
    for predicate in (*predicates, *kwpredicates.items()):
        if not isinstance(predicate, list | tuple) or len(predicate) != 2:
            raise WorkflowDefinitionError(
                f"CHOICE takes pairs (key, branch) or key=branch, not {predicate!r}"
            )
        key, branch = predicate
        if not isinstance(key, Hashable):
            raise WorkflowDefinitionError(f"CHOICE's key {key!r} is not hashable")
        if key in seen:
            raise WorkflowDefinitionError(f"CHOICE has two branches for {key!r}")
        seen.add(key)
        branches.append((key, branch))
    return branches


def SIMPLE_MERGE(*branches: Branch) -> Definition:
    """Run the last branch as soon as one of those before it has come to its end.

    Its list is ``[branch, to the last, branch, to the last, ..., last]``. It starts with the first
    branch; a branch that is a single task hands over to the one after it with
    ``eng.jump_call(2)``, one that is a list with ``eng.jump_call(2, levels=1)``.
    """
    if len(branches) < 2:
        raise WorkflowDefinitionError("SIMPLE_MERGE takes at least two branches")
    elements: list[Any] = []
    for place, branch in enumerate(branches[:-1]):
        to_last = JumpCall(2 * (len(branches) - 1 - place) - 1)
        elements += [as_element(branch, f"SIMPLE_MERGE's branch {place}"), _merge(to_last)]
    elements.append(as_element(branches[-1], "SIMPLE_MERGE's last branch"))
    roles = (*("branch", "jump") * (len(branches) - 1), "last")
    lead = named(lambda obj, eng: FROM_START, "SIMPLE_MERGE")
    return Definition(elements, lead, description=Description("SIMPLE_MERGE", roles=roles))


def _merge(jump: JumpCall) -> Task:
    return named(lambda obj, eng: jump, "merge")


def _is_in(left: Any, right: Any) -> bool:
    return left in right


def _is_not_in(left: Any, right: Any) -> bool:
    return left not in right


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "==": operator.eq,
    "ne": operator.ne,
    "!=": operator.ne,
    "gt": operator.gt,
    ">": operator.gt,
    "gte": operator.ge,
    ">=": operator.ge,
    "lt": operator.lt,
    "<": operator.lt,
    "lte": operator.le,
    "<=": operator.le,
    "in": _is_in,
    "not in": _is_not_in,
    "contains": operator.contains,
    "is": operator.is_,
    "is not": operator.is_not,
}


def CMP(a: Any, b: Any, op: str) -> Task:
    """Return a condition that compares two things as Python does.

    :param a: a value, or a callable ``(obj, eng)`` that returns it; so is ``b``.
    :param op: ``eq == ne != gt > gte >= lt < lte <= in``, ``not in``, ``contains``, ``is``
        or ``is not``.
    """
    if not isinstance(op, str) or op not in COMPARISONS:
        known = ", ".join(COMPARISONS)
        raise WorkflowDefinitionError(f"CMP cannot compare by {op!r}, only by: {known}")
    compare = COMPARISONS[op]
    as_value(a, "CMP's left operand")
    as_value(b, "CMP's right operand")

    def condition(obj: Any, eng: Any) -> Any:
        return then(
            ask(a, obj, eng),
            lambda left: then(ask(b, obj, eng), lambda right: compare(left, right)),
        )

    label = f"{_operand(a)} {op} {_operand(b)}"
    parts = (Part("left", a), Part("right", b))
    described(condition, Description("CMP", parts=parts, label=label, options={"op": op}))
    return named(condition, label)


def _operand(value: Any) -> str:
    text = task_name(value) if callable(value) else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
