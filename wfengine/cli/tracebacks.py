"""The part of a traceback that is the user's own."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException, walk_tb

__all__ = ["location", "message", "users_traceback"]

OURS = ("wfengine.", "importlib.")
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


def message(error: BaseException) -> str:
    """Return an exception as Python prints it, with its suggestions, and without its notes."""
    printed = TracebackException.from_exception(error)
    printed.__notes__ = []
    lines = "".join(printed.format_exception_only()).strip()
    if isinstance(error, BaseExceptionGroup):
        inner = (message(each) for each in error.exceptions)
        return "\n".join([lines, *(f"- {each}" for each in inner)])
    return lines


def location(error: BaseException) -> str:
    """Return where the user's own code raised an exception, or nothing."""
    frames = list(_users_frames(error))
    own = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)] or frames
    return f"{_short(own[-1].filename)}:{own[-1].lineno} in {own[-1].name}" if own else ""


def users_traceback(error: BaseException) -> str:
    """Return a printed traceback without the frames of wfengine."""
    printed = TracebackException.from_exception(error)
    part: TracebackException | None = printed
    cause: BaseException | None = error
    while part is not None and cause is not None:
        part.stack = StackSummary.from_list(list(_users_frames(cause)))
        part = part.__cause__ or part.__context__
        cause = cause.__cause__ or cause.__context__
    return "".join(printed.format()).rstrip()


def _users_frames(error: BaseException) -> Iterator[FrameSummary]:
    steps = walk_tb(error.__traceback__)
    summary = TracebackException.from_exception(error).stack
    for (frame, _), printed in zip(steps, summary, strict=False):
        if not f"{frame.f_globals.get('__name__')}.".startswith(OURS):
            yield printed


def _short(file: str) -> str:
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
