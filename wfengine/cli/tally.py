"""What a run has done so far, counted from the engine's signals in constant memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from attrs import define, field
from blinker import Signal as BlinkerSignal

from wfengine import signals
from wfengine.cli.records import Record, RecordError
from wfengine.cli.tracebacks import location, message
from wfengine.errors import HaltProcessing, WorkflowError
from wfengine.signals import TokenOutcome

__all__ = ["Group", "Tally"]

SHOWN_ORIGINS = 3
MOST_GROUPS = 1000
OTHERS = ("", "for other reasons")
VARIABLE_PARTS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+""")


@define
class Group:
    """Failures, or halts, that are alike.

    :param text: what the first of them said.
    :param place: where in the definition, and in the user's code, the first of them came from.
    :param origins: the first few tokens, as ``file:line``.
    """

    text: str
    place: str = ""
    count: int = 0
    origins: list[str] = field(factory=list)

    def add(self, origin: str) -> None:
        """Count one more."""
        self.count += 1
        if origin and len(self.origins) < SHOWN_ORIGINS:
            self.origins.append(origin)


@define(eq=False)
class Tally:
    """Counts what comes out of a run.

    :param read: how many rows were read, bad ones included.
    :param last: where the last of them comes from.
    :param outcomes: how many tokens left the engine in which way.
    :param failures: tokens that failed and rows that could not be read, by kind.
    :param halts: halts by action and message.
    """

    read: int = 0
    last: str = ""
    outcomes: Counter[TokenOutcome] = field(factory=Counter)
    failures: dict[Any, Group] = field(factory=dict)
    halts: dict[Any, Group] = field(factory=dict)
    has_started: bool = False
    latest_error: BaseException | None = None
    _lock: Any = field(factory=Lock)

    @property
    def failed(self) -> int:
        """How many tokens and rows failed."""
        return sum(group.count for group in self.failures.values())

    @contextmanager
    def listening(self, eng: Any) -> Iterator[None]:
        """Count what an engine signals."""
        receivers: dict[BlinkerSignal, Callable[..., None]] = {
            signals.workflow_started: self._started,
            signals.token_finished: self._finished,
            signals.workflow_halted: self._halted,
            signals.workflow_error: self._failed,
        }
        for signal, receiver in receivers.items():
            signal.connect(receiver, sender=eng)
        try:
            yield
        finally:
            for signal, receiver in receivers.items():
                signal.disconnect(receiver, sender=eng)

    def row(self, row: Record | RecordError) -> None:
        """Count a row that was read, or could not be."""
        self.read += 1
        self.last = f"{row.file}, line {row.line}"
        if isinstance(row, RecordError):
            self.error(row)

    def error(self, error: BaseException, obj: Any = None, place: str = "") -> None:
        """Count an error.

        :param obj: the token, if it was one's.
        :param place: the task it came from, if it was one's.
        """
        self.latest_error = error
        shape = VARIABLE_PARTS.sub("", _problem(error))
        key = (type(error).__name__, place, shape)
        origin = _origin(error) or _origin(obj)
        self._count(self.failures, key, origin, lambda: _failure(error, place))

    def _started(self, eng: Any, **context: Any) -> None:
        self.has_started = True

    def _finished(self, eng: Any, outcome: TokenOutcome, **context: Any) -> None:
        self.outcomes[outcome] += 1

    def _failed(self, eng: Any, obj: Any, error: BaseException, **context: Any) -> None:
        self.error(error, obj, _place(eng, error))

    def waiting(self, action: str, message: str) -> None:
        """Count a token that had halted before, and goes on waiting."""
        self._count(self.halts, (action, message), "", lambda: Group(message))

    def _halted(self, eng: Any, obj: Any, error: HaltProcessing, **context: Any) -> None:
        key = (error.action or "", str(error.message))
        self._count(self.halts, key, _origin(obj), lambda: Group(str(error.message)))

    def _count(
        self, groups: dict[Any, Group], key: Any, origin: str, describe: Callable[[], Group]
    ) -> None:
        with self._lock:
            if key not in groups:
                if len(groups) < MOST_GROUPS:
                    groups[key] = describe()
                else:
                    key = OTHERS
                    groups.setdefault(key, Group(key[1]))
            groups[key].add(origin)


def _failure(error: BaseException, place: str) -> Group:
    if isinstance(error, WorkflowError):
        return Group(_problem(error), place)
    return Group(message(error), ", ".join(filter(None, (place, location(error)))))


def _problem(error: BaseException) -> str:
    """Return what went wrong, without the place in the input, which differs from row to row."""
    if not isinstance(error, RecordError):
        return str(error)
    return f"field {error.field}: {error.problem}" if error.field else error.problem


def _origin(found: Any) -> str:
    if isinstance(found, RecordError) and found.last_line not in (None, found.line):
        return f"{found.file}:{found.line}-{found.last_line}"
    return f"{found.file}:{found.line}" if isinstance(found, Record | RecordError) else ""


def _place(eng: Any, error: BaseException) -> str:
    """Return which task of the definition, or which branch, an error came out of."""
    branches = eng.failed_branches
    if branches and branches[-1].error is error:
        return f"in branch {branches[-1].branch}"
    name = eng.current_taskname
    return f"in task {name!r} at {eng.state.callback_pos}" if name else ""
