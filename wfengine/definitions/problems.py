"""What can be wrong with a definition."""

from __future__ import annotations

from typing import Any

from attrs import asdict, frozen

from wfengine.definitions.outline import OutlineNode, Source

__all__ = ["ERROR", "NOTE", "SEVERITIES", "WARNING", "Problem", "problem_at"]

ERROR, WARNING, NOTE = SEVERITIES = ("error", "warning", "note")
"""An error cannot be meant; a warning will hurt some day; a note is good to know."""


@frozen
class Problem:
    """Something in a definition that should be changed, or at least looked at.

    :param rule: which rule found it: ``unreachable``, ``no-way-out``, ``signature``, ...
    :param severity: ``error``, ``warning`` or ``note``.
    :param node: the id of the node in the definition's outline.
    :param path: its task path, as errors and the history name it.
    :param source: where the task is written, if that is known.
    :param message: what is wrong.
    :param advice: what to do.
    """

    rule: str
    severity: str
    node: str
    path: str
    source: Source | None
    message: str
    advice: str

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return {**asdict(self, recurse=False), "source": self.source and str(self.source)}

    def __str__(self) -> str:
        place = f"{self.path} at {self.node}" if self.node else "the definition"
        return f"{self.severity}: {place}: {self.message}; {self.advice} [{self.rule}]"


def problem_at(node: OutlineNode, rule: str, severity: str, message: str, advice: str) -> Problem:
    """Return a problem with a node."""
    return Problem(rule, severity, node.id, node.path, node.source, message, advice)
