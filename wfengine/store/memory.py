"""What belongs to a token's position besides its indexes, as it is stored with the token."""

from __future__ import annotations

from typing import Any

from wfengine.errors import DamagedDataError
from wfengine.frames import FRAMES, PUTS
from wfengine.store.records import TokenRecord
from wfengine.store.serialization import Types

__all__ = ["LOCK", "Remembered", "mark", "recall", "remembered"]

LOCK = "lock"
"""The key of ``extra_data`` that is no data: the lock that branches share."""

Remembered = tuple[dict[str, Any], dict[str, Any]]

NOTHING: dict[str, Any] = {"frames": [], "scope": {}}


def remembered(extra_data: dict[str, Any], types: Types) -> str | None:
    """Return what the patterns around the position remember, or None where there is nothing.

    That is their frames, and of ``extra_data`` what they have put there for what is inside.
    """
    frames = extra_data.get(FRAMES)
    if not frames:
        return None
    keys = [frame[PUTS] for frame in frames if PUTS in frame]
    scope = {key: extra_data[key] for key in keys if key in extra_data}
    return types.dumps({"frames": frames, "scope": scope}, "what patterns remember")


def recall(token: TokenRecord, types: Types) -> Remembered:
    """Return what patterns remember at a token's position, and what was decided about it.

    :raises DamagedDataError: naming the row, when it cannot be what was written.
    """
    try:
        memory = types.loads(token.memory) if token.memory else NOTHING
        decided = types.loads(token.decision) if token.decision else {}
        if not (isinstance(memory, dict) and isinstance(decided, dict)):
            raise DamagedDataError("what is remembered or decided is no document")
        if not isinstance(memory.get("scope"), dict) or not _are_frames(memory.get("frames")):
            raise DamagedDataError("what patterns remember is not as they write it")
    except DamagedDataError as error:
        row = error.row or f"workflow_object {token.id}"
        raise DamagedDataError(error.message, row=row) from error
    return memory, decided


def _are_frames(found: Any) -> bool:
    return isinstance(found, list) and all(
        isinstance(frame, dict)
        and isinstance(frame.get("kind"), str)
        and isinstance(frame.get("depth"), int)
        for frame in found
    )


def mark(visits: list[int], levels: int, visit: int) -> None:
    """Note at which visit each level of a position was begun, the last by the current visit."""
    del visits[levels:]
    while len(visits) < levels:
        visits.append(visit)
    visits[-1] = visit
