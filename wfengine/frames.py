"""The memory of the patterns that the current token is inside of.

It belongs to the position: it lives in ``extra_data`` as plain data, so that it can be stored with
the position, and is emptied when a token starts at its first task. A token's position is one path,
so at each depth of nesting at most one pattern is active: a frame is found by its ``depth``, the
length of the position at which the pattern stands, and its ``kind`` says whose it is. What a
pattern has at hand and cannot be stored is a :class:`Live`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["FRAMES", "Frame", "Live", "drop_inner", "enter", "find", "leave", "live_of"]

FRAMES = "_frames"


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
    """End a frame, and its live part."""
    if eng.live is not None and eng.live.frame is frame:
        eng.live = eng.live.outer
    frames = eng.extra_data.get(FRAMES, [])
    if frames and frames[-1] is frame:
        frames.pop()
        if not frames:
            del eng.extra_data[FRAMES]


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
