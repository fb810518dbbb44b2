"""A stored run that goes on while somebody watches: its progress, Ctrl-C, and what came of it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from attrs import define, field
from rich.console import Console

from wfengine import signals
from wfengine.cli.options import FAILED, INTERRUPTED, read_on_command, resume_command
from wfengine.cli.outputs import OUTPUTS
from wfengine.cli.printing import print_error, print_text
from wfengine.cli.progress import TokenMeter, shown
from wfengine.cli.report import failures_text, print_failures, print_outputs, print_run
from wfengine.cli.running import Interruption
from wfengine.cli.stores import needs_input, why_not, why_not_all
from wfengine.cli.tables import count_of
from wfengine.cli.tally import Tally
from wfengine.errors import WorkflowError, WorkflowObjectStatusError

__all__ = [
    "GoingOn",
    "how_to_resume",
    "noted",
    "patient",
    "print_failed",
    "print_outcome",
    "watched",
]


@contextmanager
def watched(
    eng: Any, whole: int | None, console: Console | None
) -> Iterator[tuple[Interruption, Tally]]:
    """Show how far an engine comes while it runs, and stop it at the next checkpoint on Ctrl-C.

    What is yielded tells whether it was stopped, and what failed.

    :param whole: how many tokens it has before it.
    :param console: None to show nothing.
    """
    meter, tally = TokenMeter(str(eng.name), whole), Tally()
    with (
        shown(meter, console) as tick,
        tally.listening(eng),
        Interruption(eng) as interruption,
    ):

        def count(sender: Any, **context: Any) -> None:
            meter.count += 1
            tick()

        signals.token_finished.connect(count, sender=eng)
        try:
            yield interruption, tally
        finally:
            signals.token_finished.disconnect(count, sender=eng)


@contextmanager
def noted(eng: Any, action: str, by: str | None, **details: Any) -> Iterator[None]:
    """Write down in the audit what somebody has an engine do, once it begins to."""

    def note(sender: Any, **context: Any) -> None:
        signals.workflow_started.disconnect(note, sender=eng)
        eng.run_store.note(action, by=by, uuid=eng.uuid, details=details or None)

    signals.workflow_started.connect(note, sender=eng)
    try:
        yield
    finally:
        signals.workflow_started.disconnect(note, sender=eng)


@contextmanager
def patient() -> Iterator[Callable[[], None]]:
    """Have the first Ctrl-C wait for a call of what is yielded, which raises it then.

    That is called where no run is deleted in part. The second Ctrl-C does not wait.
    """
    before, is_asked = signal.getsignal(signal.SIGINT), False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal is_asked
        signal.signal(signal.SIGINT, signal.default_int_handler)
        is_asked = True
        os.write(2, b"\nStopping after the current run. Ctrl-C again breaks it off.\n")

    def check() -> None:
        if is_asked:
            raise KeyboardInterrupt

    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, ask)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@define
class GoingOn:
    """Runs an engine whose run is stored, and tells what came of it.

    :param url: of the store.
    :param target: the definition, as it was typed.
    :param console: for results; ``errors`` for progress and what went wrong.
    :param as_json: whether the result is a JSON object, in place of lines.
    """

    url: str
    target: str
    quiet: bool = False
    as_json: bool = False
    console: Console = field(factory=Console)
    errors: Console = field(factory=lambda: Console(stderr=True))
    results: list[dict[str, Any]] = field(factory=list)

    def run(self, eng: Any, go: Any, whole: int | None) -> int:
        """Run it, print what came of it, and return the exit status.

        :param go: runs the engine.
        """
        problem, status = "", 0
        with watched(eng, whole, None if self.quiet else self.errors) as (interruption, tally):
            try:
                go()
            except WorkflowObjectStatusError as error:
                self._tell_why_not(eng, error)
                return 0
            except WorkflowError as error:
                print_error(self.errors, f"{eng.uuid}: {error}")
                return FAILED
            except Exception as error:  # noqa: BLE001 - a task's own; other runs go on
                problem, status = f"{type(error).__name__}: {error}", FAILED
            except KeyboardInterrupt:
                problem = "interrupted"
        if interruption.requested:
            problem, status = problem or "interrupted", INTERRUPTED
        status = status or (FAILED if tally.failed else 0)
        self._tell(eng, problem, status, tally)
        return status

    def _tell_why_not(self, eng: Any, error: WorkflowObjectStatusError) -> None:
        said = why_not(eng, error, self.url)
        if self.as_json:
            self.results.append({**_result(eng), "failed": 0, "problem": said})
        elif not self.quiet:
            print_text(self.console, said)

    def _tell(self, eng: Any, problem: str, status: int, tally: Tally) -> None:
        if self.as_json:
            said = problem or (failures_text(tally) if tally.failed else None)
            self.results.append({**_result(eng), "failed": tally.failed, "problem": said})
        elif not self.quiet:
            print_outcome(self.console, eng, self.url, self.target)
        if problem:
            print_error(self.errors, f"{eng.uuid}: {problem}")
        print_failed(self.errors, eng, tally)
        if status == INTERRUPTED:
            how = how_to_resume(eng, self.url, self.target)
            print_text(self.errors, f"  it goes on with: {how}", "yellow")


def print_failed(console: Console, eng: Any, tally: Tally) -> None:
    """Print which tokens of a run failed, and why."""
    if tally.failed:
        print_error(console, f"{eng.uuid}: {count_of(tally.failed, 'token')} failed")
        print_failures(console, tally)


def how_to_resume(eng: Any, url: str, target: str | None = None) -> str:
    """Return what to type for a run to go on.

    :param target: the definition, as somebody typed it; by default what the run is called.
    """
    name = target or str(eng.name)
    return read_on_command(name, url) if needs_input(eng) else resume_command(name, eng.uuid, url)


def print_outcome(console: Console, eng: Any, url: str, target: str) -> None:
    """Print how many tokens of a run are where, its outputs, and what to do next."""
    tokens = _tokens(eng)
    width = max(map(len, tokens), default=0)
    for label, count in sorted(tokens.items()):
        print_text(console, f"  {label:{width}}  {count:8,}")
    print_outputs(console, eng.extra_data, is_partial=False)
    if needs_input(eng):
        print_run(console, eng, url, how="")
        print_text(console, f"  {why_not_all(eng, url)}")
    else:
        print_run(console, eng, url, how=f"it goes on with: {how_to_resume(eng, url, target)}")


def _tokens(eng: Any) -> Counter[str]:
    counts = eng.run_store.summary(eng.uuid).counts
    return Counter({status.label.lower(): count for status, count in counts.items()})


def _result(eng: Any) -> dict[str, Any]:
    """Return what came of a run as plain data."""
    found = eng.run_store.summary(eng.uuid)
    return {
        "run": found.uuid,
        "name": found.name,
        "status": found.status and found.status.name,
        "tokens": {status.name: count for status, count in found.counts.items()},
        "outputs": dict(eng.extra_data.get(OUTPUTS, {})),
    }
