"""The memory of the patterns that the current token is inside of.

It belongs to the position: it lives in ``extra_data`` as plain data, so that it can be stored with
the position, and is emptied when a token starts at its first task. A token's position is one path,
so at each depth of nesting at most one pattern is active: a frame is found by its depth, and its
``kind`` says whose it is.
"""

from __future__ import annotations

from typing import Any

__all__ = ["FRAMES", "Frame", "drop_inner", "enter", "find", "leave"]

FRAMES = "_frames"


class Frame(dict[str, Any]):
    """What one pattern remembers: plain data; and, while it lives, what cannot be stored.

    ``owner`` is the pattern that began the frame, ``live`` whatever that pattern wants.
    """

    __slots__ = ("live", "owner")

    live: Any
    owner: Any


def new_frame(data: Any, owner: Any = None, live: Any = None) -> Frame:
    """Return a frame, new or brought back from storage."""
    frame = Frame(data)
    frame.owner = owner
    frame.live = live
    return frame


def enter(
    eng: Any, kind: str, inside_task: bool = False, owner: Any = None, live: Any = None
) -> Frame:
    """Begin a frame for the list where the engine stands, or for the inside of a single task."""
    depth = len(eng.state.callback_pos) + inside_task
    frames = eng.extra_data.setdefault(FRAMES, [])
    while frames and frames[-1]["depth"] >= depth:
        frames.pop()
    frame = new_frame({"kind": kind, "depth": depth}, owner, live)
    frames.append(frame)
    return frame


def find(eng: Any, kind: str, inside_task: bool = False, levels: int = 0) -> Frame | None:
    """Return the frame that :func:`enter` began here, or None; deeper ones are over and dropped.

    :param levels: look so many lists further out.
    """
    depth = len(eng.state.callback_pos) + inside_task - levels
    frames = eng.extra_data.get(FRAMES)
    if not frames:
        return None
    while frames[-1]["depth"] > depth:
        frames.pop()
        if not frames:
            return None
    frame = frames[-1]
    if frame["depth"] != depth or frame["kind"] != kind:
        return None
    if frame.__class__ is not Frame:
        frames[-1] = frame = new_frame(frame)
    return frame


def leave(eng: Any, frame: Frame) -> None:
    """End a frame."""
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
