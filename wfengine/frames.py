"""The memory of the patterns that the current token is inside of.

It belongs to the position: it lives in ``extra_data`` as plain data, so that it can be stored with
the position, and is emptied when a token starts at its first task. A token's position is one path,
so at each depth of nesting at most one pattern is active: a frame is found by its depth, and its
``kind`` says whose it is. What a pattern has at hand and cannot be stored is a :class:`Live`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["FRAMES", "Frame", "Live", "drop_inner", "enter", "find", "leave", "live_of"]

FRAMES = "_frames"


Frame = dict[str, Any]


def enter(eng: Any, kind: str, inside_task: bool = False) -> Frame:
    """Begin a frame for the list where the engine stands, or for the inside of a single task."""
    frame: Frame = {"kind": kind, "depth": len(eng.state.callback_pos) + inside_task}
    frames = eng.extra_data.get(FRAMES)
    if frames:
        while frames and frames[-1]["depth"] >= frame["depth"]:
            frames.pop()
        frames.append(frame)
    else:
        eng.extra_data[FRAMES] = [frame]
    return frame


def find(eng: Any, kind: str, inside_task: bool = False, levels: int = 0) -> Frame | None:
    """Return the frame that :func:`enter` began here, or None; deeper ones are over and dropped.

    :param levels: look so many lists further out.
    """
    depth = len(eng.state.callback_pos) + inside_task - levels
    frames = eng.extra_data.get(FRAMES, [])
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


def drop_inner(eng: Any) -> None:
    """Forget what belongs to the inside of single tasks, because the engine moves on from there."""
    frames = eng.extra_data.get(FRAMES, [])
    while frames and frames[-1]["depth"] > len(eng.state.callback_pos):
        frames.pop()


class Live:
    """What belongs to a frame and cannot be stored; ``eng.live`` is the innermost one.

    It is gone when a run starts, and its pattern then makes it again from the frame.
    """

    __slots__ = ("frame", "outer")

    def __init__(self, eng: Any, frame: Frame) -> None:
        self.frame = frame
        self.outer: Live | None = eng.live
        eng.live = self


def live_of(eng: Any, frame: Frame) -> Any:
    """Return the live part of a frame, or None; those further in are over and dropped."""
    live = eng.live
    while live is not None and live.frame is not frame:
        live = live.outer
    eng.live = live
    return live
