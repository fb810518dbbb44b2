"""One run: rows are read, become tokens, and go through an engine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from enum import Enum
from threading import enumerate as enumerate_threads
from types import FrameType
from typing import Any, Self

from wfengine.cli.formats import Row
from wfengine.cli.outputs import OutputError
from wfengine.cli.progress import Tick
from wfengine.cli.records import Record
from wfengine.cli.tally import Tally
from wfengine.description import describe
from wfengine.engine import GenericWorkflowEngine
from wfengine.errors import WorkflowDefinitionError, WorkflowError
from wfengine.signals import TokenOutcome

__all__ = ["Ending", "Interruption", "create_engine", "push"]


class Ending(Enum):
    """How a run came to its end."""

    COMPLETE = "everything was read"
    STOPPED = "the workflow stopped it"
    FAILED = "an error ended it"
    INTERRUPTED = "a person interrupted it"


def create_engine(found: Any) -> GenericWorkflowEngine:
    """Return an engine for what a target names.

    :param found: a definition, a task, an engine, or a class of engines.
    :raises WorkflowDefinitionError: for anything else, and for a definition that cannot be run.
    """
    if isinstance(found, type) and issubclass(found, GenericWorkflowEngine):
        found = found()
    if isinstance(found, GenericWorkflowEngine):
        return found
    is_list = isinstance(found, list | tuple)
    if not is_list and not callable(found):
        raise WorkflowDefinitionError(
            f"a {type(found).__name__} is no definition: give a list of tasks, a task, or an engine"
        )
    if is_list and not found:
        raise WorkflowDefinitionError("the list of tasks is empty")
    eng = GenericWorkflowEngine()
    is_pattern = describe(found) is not None
    eng.callbacks.replace(found if is_list and not is_pattern else [found])
    return eng


def push(
    eng: Any,
    rows: Iterator[Row],
    tally: Tally,
    tick: Tick,
    *,
    limit: int | None = None,
    stop_on_error: bool = False,
    resumes: bool = False,
) -> Ending:
    """Push rows through an engine, and say how that came to its end.

    A halt never ends the run. Branches that nobody waits for are waited for at the end, so that
    what comes out of them counts. The first Ctrl-C stops the run before the next task, or at once
    while it waits for input; the second breaks off the task.

    :param tick: called for each row that was read.
    :param limit: how many rows to read at most.
    :param stop_on_error: whether the first failed token, or bad row, ends the run.
    :param resumes: whether a stored run goes on, which has some of the rows already.
    :raises WorkflowError: when the run cannot begin.
    """
    with tally.listening(eng), Interruption(eng) as interruption:
        tokens = _tokens(interruption.watch(rows), tally, tick, limit, stop_on_error)
        try:
            try:
                if resumes:
                    eng.resume(objects=tokens, stop_on_halt=False, stop_on_error=stop_on_error)
                else:
                    eng.process(tokens, stop_on_halt=False, stop_on_error=stop_on_error)
            finally:
                _wait_for_branches()
        except KeyboardInterrupt:
            return Ending.INTERRUPTED
        except OutputError:
            raise
        except Exception as error:
            if isinstance(error, WorkflowError) and not tally.has_started:
                raise
            if error is not tally.latest_error:
                tally.error(error)
            return Ending.INTERRUPTED if interruption.requested else Ending.FAILED
    if not tally.outcomes[TokenOutcome.STOPPED]:
        return Ending.COMPLETE
    return Ending.INTERRUPTED if interruption.requested else Ending.STOPPED


def _wait_for_branches() -> None:
    while branches := [each for each in enumerate_threads() if each.name.startswith("branch ")]:
        branches[0].join()


def _tokens(
    rows: Iterator[Row], tally: Tally, tick: Tick, limit: int | None, stop_on_error: bool
) -> Iterator[Record]:
    while limit is None or tally.read < limit:
        row = next(rows, None)
        if row is None:
            return
        tally.row(row)
        tick()
        if isinstance(row, Record):
            yield row
        elif stop_on_error:
            raise row


class Interruption:
    """Turns Ctrl-C into a clean stop of an engine, while it is entered."""

    def __init__(self, eng: Any) -> None:
        self.requested = False
        self._eng = eng
        self._is_waiting = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.getsignal(signal.SIGINT)
        if self._before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *exc_info: object) -> None:
        signal.signal(signal.SIGINT, self._before or signal.SIG_DFL)

    def watch(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield rows; waiting for one can be interrupted.

        It counts as waiting before the request is looked at, so that none is missed between.
        """
        while True:
            self._is_waiting = True
            try:
                if self.requested:
                    raise KeyboardInterrupt
                row = next(rows, None)
            finally:
                self._is_waiting = False
            if row is None:
                return
            yield row

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.requested = True
        if self._is_waiting:
            raise KeyboardInterrupt
        self._eng.interrupt()
        os.write(2, b"\nStopping after the current task. Ctrl-C again breaks it off.\n")
