"""How a pattern tells tools what it is, so that nobody has to guess from closures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import field, frozen

__all__ = ["Description", "Need", "Part", "describe", "described"]

ATTRIBUTE = "__wfengine_description__"

C = TypeVar("C", bound=Callable[..., Any])


@frozen
class Need:
    """What one part of a pattern waits for: that something happens to another.

    :param label: the other part's.
    :param event: ``ready``, ``active``, ``success``, ``failure`` or ``complete``.
    :param is_choice: whether it is one of several, of which not all have to come.
    """

    label: str
    event: str = "success"
    is_choice: bool = False


@frozen
class Part:
    """Something inside a pattern that is not one of its list's own elements.

    :param role: what it is to the pattern: ``condition``, ``branch``, ``body``, ...
    :param content: a task, a definition, or a value.
    :param label: its name for people, where it has one.
    :param needs: what has to come before it begins.
    """

    role: str
    content: Any
    label: str = ""
    needs: tuple[Need, ...] = ()


@frozen
class Description:
    """What a pattern is.

    :param kind: the pattern's name, such as ``IF_ELSE``.
    :param roles: for a pattern that is a list, the role of each of its elements, in order:
        ``condition``, ``then``, ``else``, ``body``, ``branch``, ``jump``, ...
    :param parts: further parts, such as a condition, or branches that run in child engines.
    :param label: what a person would write in a box that stands for it.
    :param options: further settings by name, plain data.
    :param memory: the kind of the frames that the pattern keeps, as
        :func:`wfengine.frames.enter` is told it, for one that remembers how far it has come.
    """

    kind: str
    roles: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    label: str = ""
    options: dict[str, Any] = field(factory=dict)
    memory: str = ""


def described(task: C, description: Description) -> C:
    """Attach a description to a task."""
    setattr(task, ATTRIBUTE, description)
    return task


def describe(step: object) -> Description | None:
    """Return the description of a task or of a pattern's list, or None for anything plain."""
    name = "description" if isinstance(step, list) else ATTRIBUTE
    description: Description | None = getattr(step, name, None)
    return description
