"""What an authoring style hands to everybody who runs, draws or checks definitions.

An object of a style, such as a template for flows, has a method ``__wfengine_definition__`` that
takes nothing and returns the definition it comes to. Wherever a definition can be given, or be
found by name, such an object can, too. If it begins runs itself, under names of its own, it has a
method ``__wfengine_runs__`` that takes nothing and returns :class:`Runs`; so they are known as its
runs, also when it has changed since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

__all__ = ["METHOD", "Runs", "compiled", "is_of_style", "runs_of"]

METHOD = "__wfengine_definition__"
RUNS = "__wfengine_runs__"


@frozen
class Runs:
    """What is known of the runs that an object of a style begins.

    :param style: that which the store has with them.
    :param is_name: whether one has this name.
    :param place: the URL of the store that they are in, if the object knows it.
    """

    style: str
    is_name: Callable[[str], bool]
    place: str | None = None

    def has(self, name: str, style: str | None) -> bool:
        """Return whether a run of this name and this style is one of them."""
        return style == self.style and self.is_name(name)


def is_of_style(found: Any) -> bool:
    """Return whether it is an object of a style."""
    return hasattr(type(found), METHOD)


def compiled(found: Any) -> Any:
    """Return the definition that an object of a style comes to, and anything else as it is.

    :raises WorkflowDefinitionError: when it comes to none.

    >>> class Greeting:
    ...     def __wfengine_definition__(self):
    ...         return [lambda obj, eng: print("hello", obj)]
    >>> len(compiled(Greeting())), compiled([len])
    (1, [<built-in function len>])
    """
    method = getattr(type(found), METHOD, None)
    return found if method is None else method(found)


def runs_of(found: Any) -> Runs | None:
    """Return what an object of a style tells of its runs; None of anything else."""
    method = getattr(type(found), RUNS, None)
    runs: Runs | None = None if method is None else method(found)
    return runs
