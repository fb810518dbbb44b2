"""The rows of a token's history."""

from __future__ import annotations

from typing import Any

from wfengine.errors import HaltProcessing, WorkflowTransition
from wfengine.store.columns import storable_text
from wfengine.store.failures import brief_error, text_of, traceback_of
from wfengine.store.records import TokenRecord
from wfengine.store.serialization import Types

__all__ = [
    "BROKEN_OFF",
    "DOCUMENTS",
    "DONE",
    "FAILED",
    "HALTED",
    "RETRIED",
    "halt_of",
    "outcome_of_error",
    "row_of",
    "what_came",
]

DONE = "done"
FAILED = "failed"  # it is tried again when the token is resumed
HALTED = "halted"
RETRIED = "retried"  # it failed inside a TRY, which runs its tasks again
BROKEN_OFF = "broken off"  # by Ctrl-C, or because the process was told to end

DOCUMENTS = Types()
"""Writes documents of the journal's own, which have no types of a user's."""


def row_of(
    token: TokenRecord,
    name: str,
    status: str,
    outcome: Any,
    times: tuple[float, float],
    memory: str | None,
    event: str = "task",
) -> dict[str, Any]:
    """Return the next row of a token's history, and count it.

    :param times: when the task began and ended.
    :param memory: what the patterns remembered when it began.
    :param event: ``task``, or ``hook`` for what was changed beside the tasks.
    """
    failed = status in (FAILED, BROKEN_OFF)
    token.steps += 1
    row = {
        "object_id": token.id,
        "step": token.steps,
        "event": event,
        "path": token.path,
        "name": name,
        "visit": token.visits[-1],
        "attempt": token.attempts + 1,
        "status": status,
        "started": times[0],
        "finished": times[1],
        "outcome": None if outcome is None else DOCUMENTS.dumps(outcome),
        "inverse": None,
        "memory": memory,
    }
    token.attempts = token.attempts + 1 if failed else 0
    return row


def what_came(transition: Any, types: Types) -> tuple[str, dict[str, Any] | None]:
    """Return the status of a step that did not fail, and what it did if not just go on.

    :raises NotStorableError: for the payload of a halt.
    """
    if isinstance(transition, HaltProcessing):
        halt = halt_of(transition, types)
        payload = None if halt["payload"] is None else Types.plain(halt["payload"])
        return HALTED, {**halt, "payload": payload}
    if isinstance(transition, WorkflowTransition):
        return DONE, {"transition": storable_text(repr(transition))}
    return DONE, None


def halt_of(error: HaltProcessing, types: Types) -> dict[str, str | None]:
    """Return what is stored of a halt, the payload as a document."""
    payload = error.payload
    return {
        "action": None if error.action is None else text_of(error.action),
        "message": text_of(error.message),
        "payload": None if payload is None else types.dumps(payload, "the payload of a halt"),
    }


def outcome_of_error(error: BaseException, has_traceback: bool = False) -> dict[str, Any]:
    """Return what a row says of an error.

    :param has_traceback: whether it has the traceback, too, which the token has of its last error.
    """
    said = brief_error(error)
    return {**said, "traceback": traceback_of(error)} if has_traceback else said
