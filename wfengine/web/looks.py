"""How statuses look: a word, a sign and a colour each, so that none of them tells it alone."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from wfengine.status import ObjectStatus, WorkflowStatus

__all__ = ["EVENTS", "OF_RUN", "OF_STEP", "OF_TOKEN", "UNKNOWN", "Look", "progress_of"]


@frozen
class Look:
    """How a status looks.

    :param kind: the class in the style sheet.
    :param sign: a character.
    """

    kind: str
    sign: str
    label: str


UNKNOWN = Look("damaged", "?", "Damaged")

OF_RUN: Mapping[WorkflowStatus | None, Look] = {
    WorkflowStatus.NEW: Look("new", "○", "New"),
    WorkflowStatus.RUNNING: Look("running", "▶", "Running"),
    WorkflowStatus.HALTED: Look("halted", "❚❚", "Halted"),
    WorkflowStatus.ERROR: Look("failed", "✕", "Error"),
    WorkflowStatus.COMPLETED: Look("done", "✓", "Completed"),
    None: UNKNOWN,
}

OF_TOKEN: Mapping[ObjectStatus | None, Look] = {
    ObjectStatus.INITIAL: Look("new", "○", "New"),
    ObjectStatus.RUNNING: Look("running", "▶", "In process"),
    ObjectStatus.HALTED: Look("halted", "❚❚", "Need action"),
    ObjectStatus.ERROR: Look("failed", "✕", "Error"),
    ObjectStatus.COMPLETED: Look("done", "✓", "Done"),
    None: UNKNOWN,
}

OF_STEP: Mapping[str, Look] = {
    "done": Look("done", "✓", "done"),
    "halted": Look("halted", "❚❚", "halted"),
    "failed": Look("failed", "✕", "failed"),
    "retried": Look("failed", "↻", "retried"),
    "broken off": Look("failed", "⌁", "broken off"),
}

EVENTS: Mapping[str, str] = {
    "task": "",
    "decide": "decision",
    "edit": "edited",
    "rewind": "taken back",
    "move": "moved",
    "map": "definition changed",
    "restart": "restarted",
    "skip": "skipped",
}
"""What a step of a history is called that is no task."""

IN_BAR = (
    (ObjectStatus.COMPLETED, "done"),
    (ObjectStatus.HALTED, "halted"),
    (ObjectStatus.ERROR, "failed"),
    (ObjectStatus.RUNNING, "running"),
)


def progress_of(counts: Mapping[ObjectStatus, int]) -> list[tuple[str, int]]:
    """Return the parts of a bar that shows how far the tokens are."""
    return [(kind, counts.get(status, 0)) for status, kind in IN_BAR]
