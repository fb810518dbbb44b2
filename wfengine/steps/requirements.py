"""What a step requires, as people write it down, and as a GRAPH knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from wfengine.errors import WorkflowDefinitionError
from wfengine.patterns.graph import After, AllOf, AnyOf
from wfengine.steps.status import StepStatus

if TYPE_CHECKING:
    from wfengine.steps.steps import Container

__all__ = ["And", "Event", "Or", "and_", "depth_of", "or_", "required"]

HOW_TO = "(step, StepStatus.success), an event, or_(...), or a tuple of these"

DEEPEST = 100
"""How deep requirements are nested in each other at most."""


@frozen(eq=False)
class Or:
    """Holds when one of several requirements does."""

    of: tuple[Any, ...]


@frozen(eq=False)
class And:
    """Holds when all of several requirements do."""

    of: tuple[Any, ...]


@frozen(eq=False)
class Event:
    """Requirements that were given a name to be used by several steps.

    :param container: to which the steps belong that may require it.
    """

    container: Container = field(repr=False)
    requires: Any
    as_one: Any = field(repr=False)
    """The same as a GRAPH knows it."""
    depth: int = field(repr=False, default=1)
    """How deep it is nested."""


def or_(*requires: Any) -> Or:
    """Require one of several, whichever comes first.

    >>> len(or_(("load", StepStatus.success), ("load", StepStatus.failure)).of)
    2
    """
    return Or(requires)


def and_(*requires: Any) -> And:
    """Require all of several; a tuple means the same."""
    return And(requires)


def required(found: Any, container: Container, of: str, depth: int = 1) -> Any:
    """Return a requirement as a GRAPH knows it, or None for nothing.

    :param container: of the step that requires it.
    :param of: who requires it, for messages.
    :param depth: in how many others it is.
    :raises WorkflowDefinitionError: for what is none, and for a step of another container.
    """
    if found is None or (isinstance(found, Iterable | Mapping) and not found):
        return None
    if isinstance(found, Mapping):
        found = tuple(found.items())
    if _is_atom(found):
        return _after(found[0], found[1], container, of)
    if isinstance(found, Event):
        _check_depth(depth + found.depth - 1, of)
        return _of_event(found, container, of)
    _check_depth(depth, of)
    if isinstance(found, Or):
        return AnyOf(*_each(found.of, container, of, depth))
    if isinstance(found, And):
        return AllOf(*_each(found.of, container, of, depth))
    if isinstance(found, tuple | list | set | frozenset):
        return AllOf(*_each(found, container, of, depth))
    raise WorkflowDefinitionError(f"{of} requires {_shown(found)}; a requirement is {HOW_TO}")


def _each(found: Iterable[Any], container: Container, of: str, depth: int) -> list[Any]:
    return [required(each, container, of, depth + 1) for each in found]


def _check_depth(depth: int, of: str) -> None:
    if depth > DEEPEST:
        raise WorkflowDefinitionError(
            f"what {of} requires is nested more than {DEEPEST} deep, counting its events; have "
            "a step in between that requires a part of it"
        )


def depth_of(found: Any) -> int:
    """Return how deep a requirement is nested that :func:`required` has accepted."""
    if isinstance(found, Event):
        return found.depth
    if not found or _is_atom(found):
        return 1
    parts = found.items() if isinstance(found, Mapping) else getattr(found, "of", found)
    return 1 + max(map(depth_of, parts), default=0)


def _is_atom(found: Any) -> bool:
    """Return whether it is one step and its status, and no tuple of requirements."""
    return (
        isinstance(found, tuple | list)
        and len(found) == 2
        and (isinstance(found[1], StepStatus) or isinstance(found[0], str) or _is_step(found[0]))
    )


def _is_step(found: Any) -> bool:
    return hasattr(found, "container") and hasattr(found, "path")


def _after(step: Any, status: Any, container: Container, of: str) -> After:
    if not isinstance(status, StepStatus):
        names = ", ".join(f"StepStatus.{each.name}" for each in StepStatus)
        raise WorkflowDefinitionError(
            f"{of} requires {_shown(status)} of {_shown(step)}; a status is one of {names}"
        )
    if isinstance(step, str):
        return After(step, status.value)
    if getattr(step, "container", None) is not container:
        raise WorkflowDefinitionError(_stranger(step, container, of))
    return After(step.name, status.value)


def _stranger(step: Any, container: Container, of: str) -> str:
    if not _is_step(step):
        return f"{of} requires {_shown(step)}, which is no step; a requirement is {HOW_TO}"
    if step.container.flow is not container.flow:
        return f"{of} requires step {step.path!r} of another flow"
    where = f"step {container.path!r}" if container.path else "the flow itself"
    return (
        f"{of} requires step {step.path!r}, which is not one of {where}; require the step there "
        "that it belongs to, or have the step that they both belong to require it"
    )


def _of_event(event: Event, container: Container, of: str) -> Any:
    if event.container is not container:
        raise WorkflowDefinitionError(
            f"{of} requires an event that was added elsewhere; add it with the add_event of what "
            "the step itself was added to"
        )
    return event.as_one


def _shown(found: Any) -> str:
    text = repr(getattr(found, "path", found))
    return text if len(text) <= 60 else f"{text[:57]}..."
