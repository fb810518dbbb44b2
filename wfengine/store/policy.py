"""When checkpoints are made."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from attrs import define, field

from wfengine.errors import WorkflowAPIError
from wfengine.store.serialization.faults import shown

if TYPE_CHECKING:
    from wfengine.store.checkpoints import Checkpoint

__all__ = ["Policy"]

MOST_ROWS = 1000
"""How many rows a policy that rarely writes holds back at most."""


@define
class Policy:
    """When checkpoints are made: what has happened since the last one is done again after a crash.

    A halt, an error and the end of a run are always written at once.

    :param checkpoint: ``task``: after each task; ``token``: after each token; ``halt``: only then,
        or after a thousand steps.
    :param tokens: with ``token``, write so many tokens together,
    :param seconds: or those of so many seconds, whichever comes first.
    """

    checkpoint: str = "task"
    tokens: int = 1
    seconds: float = 0.0
    is_due_at_task: bool = field(init=False)
    _since: float = field(init=False, default=0.0)
    _ended: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        if self.checkpoint not in ("task", "token", "halt"):
            raise WorkflowAPIError(
                f"checkpoint is 'task', 'token' or 'halt', not {shown(self.checkpoint)}"
            )
        if isinstance(self.tokens, bool) or not isinstance(self.tokens, int) or self.tokens < 1:
            raise WorkflowAPIError(
                f"checkpoint_tokens is a number from 1 on, not {shown(self.tokens)}"
            )
        is_number = isinstance(self.seconds, int | float) and not isinstance(self.seconds, bool)
        if not is_number or not 0 <= self.seconds < inf:
            raise WorkflowAPIError(
                f"checkpoint_seconds is a number from 0 on, not {shown(self.seconds)}"
            )
        self.is_due_at_task = self.checkpoint == "task"

    @classmethod
    def of(cls, options: dict[str, Any]) -> Policy:
        """Return the policy that is stored with a run."""
        return cls(
            options.get("checkpoint", "task"), options.get("tokens", 1), options.get("seconds", 0.0)
        )

    def copy(self) -> Policy:
        """Return the same policy for another run."""
        return Policy(self.checkpoint, self.tokens, self.seconds)

    def begin(self, now: float) -> None:
        """Start to count, because everything is written."""
        self._since, self._ended = now, 0

    def is_due(self, pending: Checkpoint, now: float) -> bool:
        """Return whether it is time to write, when a token has left."""
        self._ended += 1
        if self.checkpoint == "halt" or self._is_gathering(now):
            return len(pending.steps) >= MOST_ROWS
        return True

    def _is_gathering(self, now: float) -> bool:
        if self.tokens == 1:
            return False
        is_in_time = not self.seconds or now - self._since < self.seconds
        return self._ended < self.tokens and is_in_time

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"checkpoint": self.checkpoint, "tokens": self.tokens, "seconds": self.seconds}
