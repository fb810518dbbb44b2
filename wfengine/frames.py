"""The memory of the patterns that the current token is inside of.

It belongs to the position: it lives in ``extra_data`` as plain data, so that it can be stored with
the position, and is emptied when a token starts at its first task. A token's position is one path,
so at each depth of nesting at most one pattern is active: a frame is found by its ``depth``, the
length of the position at which the pattern stands, and its ``kind`` says whose it is. What a
pattern has at hand and cannot be stored is a :class:`Live`.
"""

from __future__ import annotations

from typing import Any

from wfengine.description import describe

__all__ = [
    "FRAMES",
    "PUTS",
    "Frame",
    "Live",
    "drop_inner",
    "enter",
    "find",
    "has_begun",
    "leave",
    "live_of",
]

FRAMES = "_frames"

PUTS = "puts"
"""In a frame: the key of ``extra_data`` whose value belongs to the position as well."""


Frame = dict[str, Any]


def enter(eng: Any, kind: str, levels: int = 0) -> Frame:
    """Begin a frame for what is inside of the current task or lead.

    :param levels: or of a list so many lists further out.
    """
    frame: Frame = {"kind": kind, "depth": len(eng.state.callback_pos) - levels}
    if FRAMES in eng.extra_data:
        drop_from(eng, frame["depth"])
    eng.extra_data.setdefault(FRAMES, []).append(frame)
    return frame


def find(eng: Any, kind: str, levels: int = 0) -> Frame | None:
    """Return the frame that :func:`enter` began here, or None; deeper ones are over and dropped.

    :param levels: look so many lists further out.
    """
    frames = eng.extra_data.get(FRAMES)
    if not frames:
        return None
    depth = len(eng.state.callback_pos) - levels
    while frames and frames[-1]["depth"] > depth:
        frames.pop()
    if not frames or frames[-1]["depth"] != depth or frames[-1]["kind"] != kind:
        return None
    frame: Frame = frames[-1]
    return frame


def leave(eng: Any, frame: Frame) -> None:
    """End a frame, and its live part; deeper ones are over and dropped."""
    frames = eng.extra_data.get(FRAMES, [])
    if frames and frames[-1] is not frame:
        drop_from(eng, frame["depth"] + 1)
    if eng.live is not None and eng.live.frame is frame:
        eng.live = eng.live.outer
    if frames and frames[-1] is frame:
        frames.pop()
        if not frames:
            del eng.extra_data[FRAMES]


def has_begun(eng: Any) -> bool:
    """Return whether the task at the position runs something inside of it that is not over."""
    frames = eng.extra_data.get(FRAMES)
    if not frames or eng.definition is None:
        return False
    position: list[int] = eng.state.callback_pos
    last = frames[-1]
    if last["depth"] != len(position):
        return False
    return bool(last["kind"] == _memory_at(eng.definition, position))


def _memory_at(definition: Any, position: list[int]) -> str:
    """Return the kind of the frames that the pattern at a position keeps, if any."""
    found = describe(definition.at(position))
    if found is not None and found.memory:
        return found.memory
    around = describe(definition.at(position[:-1]))  # its first element may keep them for it
    return around.memory if around is not None and not position[-1] else ""


def drop_inner(eng: Any, keep: bool = False) -> None:
    """Forget what is inside of the current task or lead, because the engine has left it.

    :param keep: but not its own frame.
    """
    drop_from(eng, len(eng.state.callback_pos) + keep)


def drop_from(eng: Any, depth: int) -> None:
    """Forget all frames from a depth on."""
    frames = eng.extra_data.get(FRAMES)
    if frames is None:
        return
    while frames and frames[-1]["depth"] >= depth:
        frames.pop()
    while eng.live is not None and eng.live.frame["depth"] >= depth:
        eng.live = eng.live.outer
    if not frames:
        del eng.extra_data[FRAMES]


class Live:
    """What belongs to a frame and cannot be stored; ``eng.live`` is the innermost one.

    It is gone when a run starts, and its pattern then makes it again from the frame.
    """

    __slots__ = ("frame", "outer")

    loop: Any = None

    def __init__(self, eng: Any, frame: Frame) -> None:
        self.frame = frame
        self.outer: Live | None = eng.live
        eng.live = self


def live_of(eng: Any, frame: Frame) -> Any:
    """Return the live part of a frame, or None; those further in are over and dropped."""
    while eng.live is not None and eng.live.frame["depth"] > frame["depth"]:
        eng.live = eng.live.outer
    return eng.live if eng.live is not None and eng.live.frame is frame else None
