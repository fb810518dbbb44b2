"""Patterns that move the engine: to a task, out of a list, to another token, or to its end."""

from __future__ import annotations

from typing import Any

from wfengine.callbacks import Task
from wfengine.description import Description, Part, described
from wfengine.errors import BreakFromThisLoop, JumpCall, WorkflowDefinitionError

from .parts import as_condition, as_value, ask, named, then

__all__ = [
    "BREAK",
    "HALT",
    "OBJ_JUMP_BWD",
    "OBJ_JUMP_FWD",
    "OBJ_NEXT",
    "STOP",
    "TASK_JUMP_BWD",
    "TASK_JUMP_FWD",
    "TASK_JUMP_IF",
]


def TASK_JUMP_FWD(step: int = 1) -> Task:
    """Go ``step`` tasks forward in the list; 1 is the next task, past the end leaves the list."""
    return _jump_task("TASK_JUMP_FWD", abs(_whole("TASK_JUMP_FWD", step)))


def TASK_JUMP_BWD(step: int = -1) -> Task:
    """Go ``step`` tasks back in the list, whatever the sign; before the first is the first."""
    return _jump_task("TASK_JUMP_BWD", -abs(_whole("TASK_JUMP_BWD", step)))


def TASK_JUMP_IF(cond: Task, step: int) -> Task:
    """Go ``step`` tasks forward or back if the condition holds, else to the next task."""
    condition = as_condition(cond, "TASK_JUMP_IF's condition")
    jump = JumpCall(_whole("TASK_JUMP_IF", step))

    def task(obj: Any, eng: Any) -> Any:
        return then(condition(obj, eng), lambda holds: jump if holds else None)

    description = Description(
        "TASK_JUMP_IF", parts=(Part("condition", condition),), options={"step": step}
    )
    return described(named(task, "TASK_JUMP_IF"), description)


def _whole(kind: str, step: int) -> int:
    if isinstance(step, bool) or not isinstance(step, int):
        raise WorkflowDefinitionError(f"{kind}'s step is a whole number, not {step!r}")
    return step


def _jump_task(kind: str, step: int) -> Task:
    jump = JumpCall(step)

    def task(obj: Any, eng: Any) -> JumpCall:
        return jump

    return described(named(task, kind), Description(kind, options={"step": step}))


def BREAK(levels: int = 1) -> Task:
    """Leave the innermost list, or the ``levels`` innermost ones."""
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
        raise WorkflowDefinitionError(f"BREAK's levels is a whole number from 1 on, not {levels!r}")
    leave = BreakFromThisLoop(levels)

    def task(obj: Any, eng: Any) -> BreakFromThisLoop:
        return leave

    return described(named(task, "BREAK"), Description("BREAK", options={"levels": levels}))


def STOP() -> Task:
    """End the run; no further token is touched."""

    def task(obj: Any, eng: Any) -> None:
        eng.stop()

    return described(named(task, "STOP"), Description("STOP"))


def HALT(mess: Any = "", action: str | None = None, payload: Any = None) -> Task:
    """Halt the run with its position kept, for a person or a program to decide.

    :param mess: why; a text, or a callable ``(obj, eng)`` that returns it.
    :param action: the name of what has to be done.
    :param payload: what the decision needs; a value, or a callable ``(obj, eng)``.
    """
    as_value(mess, "HALT's message")
    as_value(payload, "HALT's payload")

    def task(obj: Any, eng: Any) -> Any:
        def halt(text: Any) -> Any:
            found = ask(payload, obj, eng)
            return then(found, lambda data: eng.halt(text or "", action=action, payload=data))

        return then(ask(mess, obj, eng), halt)

    options = {"action": action, "message": mess if isinstance(mess, str) else ""}
    parts = (Part("message", mess), Part("payload", payload))
    description = Description("HALT", parts=parts, label=action or "", options=options)
    return described(named(task, "HALT"), description)


def OBJ_NEXT() -> Task:
    """Go on with the next token."""

    def task(obj: Any, eng: Any) -> None:
        eng.continue_next_token()

    return described(named(task, "OBJ_NEXT"), Description("OBJ_NEXT"))


def OBJ_JUMP_FWD(step: int = 1) -> Task:
    """Go on ``step`` tokens further; past the last the run ends."""
    return _jump_token("OBJ_JUMP_FWD", abs(_whole("OBJ_JUMP_FWD", step)))


def OBJ_JUMP_BWD(step: int = -1) -> Task:
    """Go on ``step`` tokens back, whatever the sign; before the first is the first."""
    return _jump_token("OBJ_JUMP_BWD", -abs(_whole("OBJ_JUMP_BWD", step)))


def _jump_token(kind: str, step: int) -> Task:
    def task(obj: Any, eng: Any) -> None:
        eng.jump_token(step)

    return described(named(task, kind), Description(kind, options={"step": step}))
