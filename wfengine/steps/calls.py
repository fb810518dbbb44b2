"""The call of a step's function: what it is told of where it is."""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Any

from attrs import frozen

__all__ = ["NAME", "RECOVERY", "SEQUENCE", "Call", "current_call"]

NAME = "SEQUENT_STEP_NAME"
SEQUENCE = "SEQUENT_STEP_SEQUENCE"
RECOVERY = "SEQUENT_STEP_RECOVERY"
"""In the environment of a step's process: its path, its sequence, and how often its run has been
taken up again."""


@frozen
class Call:
    """One call of one step's function.

    :param name: the step's path, ``s1_s11``.
    :param sequence: which round of each step around it, ``1.2.2``.
    :param recovery: how often the run has been taken up again.
    :param values: of these rounds, the outermost first, without the flow's own.
    """

    name: str
    sequence: str
    recovery: int = 0
    values: tuple[Any, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """What the environment of its process says of it."""
        return {NAME: self.name, SEQUENCE: self.sequence, RECOVERY: str(self.recovery)}

    def __str__(self) -> str:
        return f"{self.name}/{self.sequence}"


calling: ContextVar[Call | None] = ContextVar("step", default=None)


def current_call() -> Call | None:
    """Return the call that the calling function is part of, if any.

    In a process that was started by a step's function, the environment tells.
    """
    found = calling.get()
    if found is None and NAME in os.environ:
        recovery = os.environ.get(RECOVERY, "0")
        return Call(os.environ[NAME], os.environ.get(SEQUENCE, ""), int(recovery or 0))
    return found
