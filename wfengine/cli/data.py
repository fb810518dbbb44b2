"""What the store finds as plain data, with the keys that ``--json`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from attrs import asdict

from wfengine.cli.records import Record
from wfengine.errors import DamagedDataError
from wfengine.store.changes import MISSING

if TYPE_CHECKING:
    from wfengine.store.history import Step
    from wfengine.store.listing import RunSummary
    from wfengine.store.views import StoredToken

__all__ = ["contents", "plain", "run_data", "step_data", "token_data", "waiting_data"]


def plain(found: Any) -> Any:
    """Return an object with attributes as a dictionary of plain data.

    Times are in ISO format, statuses are their names.
    """
    return _plain(asdict(found))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Mapping):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def run_data(run: RunSummary) -> dict[str, Any]:
    """Return a run, with what is computed of its numbers."""
    found: dict[str, Any] = plain(run)
    del found["now"]
    computed = {"done": run.done, "fraction": run.fraction, "rate": run.rate}
    return {**found, **computed}


def waiting_data(token: StoredToken) -> dict[str, Any]:
    """Return what there is to say about a token that waits for a decision."""
    origin, data = contents(token)
    return {
        "id": token.id,
        "run": token.id_workflow,
        "token_pos": token.token_pos,
        "since": token.since and token.since.isoformat(),
        "action": token.action,
        "message": token.message,
        "payload": _readable(lambda: token.plain_payload),
        "origin": origin,
        "data": data,
    }


def token_data(token: StoredToken) -> dict[str, Any]:
    """Return what there is to say about any token."""
    return {
        **waiting_data(token),
        "status": token.status.name if token.status else None,
        "outcome": token.outcome,
        "path": token.path,
        "steps": token.steps,
        "error": _readable(lambda: token.error),
        "damage": token.damage,
    }


def contents(token: StoredToken) -> tuple[str | None, Any]:
    """Return where a token comes from, if it is a row of an input, and its data."""
    try:
        found = token.data
    except DamagedDataError:  # of a type that is not known here
        return None, _readable(lambda: token.plain_data)
    if isinstance(found, Record):
        return found.origin, found
    return None, _readable(lambda: token.plain_data)


def _readable(read: Any) -> Any:
    """Return a document; None where it is damaged, of which ``damage`` tells."""
    try:
        return read()
    except DamagedDataError:
        return None


def step_data(step: Step) -> dict[str, Any]:
    """Return a step of a token's history; changes have no ``old``, or ``new``, where nothing is."""
    return {
        "step": step.step,
        "event": step.event,
        "path": step.path,
        "task": step.name,
        "visit": step.visit,
        "attempt": step.attempt,
        "status": step.status,
        "started": step.started.isoformat(),
        "finished": step.finished.isoformat(),
        "outcome": step.outcome,
        "changes": [
            {
                "path": each.path,
                **({} if each.old is MISSING else {"old": each.old}),
                **({} if each.new is MISSING else {"new": each.new}),
            }
            for each in step.changes
        ],
    }
