"""The task in the picture of DEBUG_CYCLE, which has to come from a module that can be reloaded."""

from typing import Any


def draft(obj: Any, eng: Any) -> None:
    """Stands for a task that is still being written."""
