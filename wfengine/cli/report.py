"""What is printed when a run has ended: its numbers and outputs, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen
from rich.console import Console

from wfengine.cli.options import store_option
from wfengine.cli.outputs import OUTPUTS, PART
from wfengine.cli.printing import print_text, printable
from wfengine.cli.progress import Meter
from wfengine.cli.running import Ending
from wfengine.cli.tables import count_of, waiting_count
from wfengine.cli.tally import Group, Tally
from wfengine.errors import StoreError
from wfengine.signals import TokenOutcome
from wfengine.status import WorkflowStatus

__all__ = [
    "failures_text",
    "print_ending",
    "print_failures",
    "print_outputs",
    "print_run",
    "print_summary",
    "summary_data",
]

SHOWN_GROUPS = 10

SELDOM = {
    TokenOutcome.SKIPPED: "skipped",
    TokenOutcome.JUMPED: "left for another token",
    TokenOutcome.STOPPED: "stopped",
}


@frozen
class Line:
    """A number with what it counts."""

    label: str
    number: int
    level: int = 0
    style: str = ""

    @property
    def text(self) -> str:
        """The label, further in for each level."""
        return "  " * (self.level + 1) + printable(" ".join(self.label.split()))


def print_summary(
    console: Console,
    meter: Meter,
    extra_data: Mapping[str, Any],
    ending: Ending,
    stored: int = 0,
) -> None:
    """Print how many tokens went where, how long it took, and where the outputs are.

    :param stored: how many tokens the run had when it was taken up.
    """
    rows = list(_numbers(meter.tally, extra_data.get("counts", {}), stored))
    width = max(len(row.text) for row in rows)
    digits = max(len(f"{row.number:,}") for row in rows)
    for row in rows:
        print_text(console, f"{row.text:{width}}  {row.number:{digits},}", row.style)
    print_text(console, f"  {meter.seconds:,.2f} seconds, {meter.rate_text} tokens/s")
    if ending is Ending.STOPPED:
        print_text(console, f"  The workflow stopped the run at {meter.tally.last}.", "yellow")
    print_outputs(console, extra_data, ending in (Ending.FAILED, Ending.INTERRUPTED))


def summary_data(meter: Meter, eng: Any, ending: Ending) -> dict[str, Any]:
    """Return the same as plain data.

    :param eng: the engine; where it has no store, ``run`` and ``status`` are None.
    """
    tally = meter.tally
    is_stored = getattr(eng, "recorder", None) is not None
    return {
        "run": eng.uuid if is_stored else None,
        "status": eng.status.name if is_stored else None,
        "ending": ending.name,
        "read": tally.read,
        "outcomes": {outcome.value: count for outcome, count in tally.outcomes.items()},
        "failed": tally.failed,
        "halted": _total(tally.halts.values()),
        "counts": dict(eng.extra_data.get("counts", {})),
        "outputs": dict(eng.extra_data.get(OUTPUTS, {})),
        "seconds": meter.seconds,
    }


def print_outputs(console: Console, extra_data: Mapping[str, Any], is_partial: bool) -> None:
    """Print where the outputs are."""
    for path in extra_data.get(OUTPUTS, {}).values():
        partial = " (partial: the run did not come to its end)" if is_partial else ""
        if path.endswith(PART):
            partial = " (unfinished: it could not be closed)"
        print_text(console, f"  -> {path}{partial}", "yellow" if partial else "green")


def print_run(
    console: Console,
    eng: Any,
    url: str,
    goes_on: bool = False,
    how: str = "the same command with --resume goes on with it",
) -> None:
    """Print how a run is kept, and how it goes on.

    :param url: of the store.
    :param goes_on: whether there is more to do for the command that was typed.
    :param how: what to say then, or when an error has ended the run.
    """
    try:
        status, waiting = eng.status, len(eng.recorder.store.halted(eng.uuid))
    except StoreError as error:
        print_text(console, f"  run {eng.uuid} is kept, but cannot be looked at: {error}", "red")
        return
    print_text(console, f"  run {eng.uuid} is {status.label.lower()}")
    if waiting:
        command = f"wfengine halted{store_option(url)}"
        print_text(console, f"  {waiting_count(waiting)} for a decision: {command}", "yellow")
    if how and (goes_on or status is WorkflowStatus.ERROR):
        print_text(console, f"  {how}", "yellow")


def _numbers(tally: Tally, counts: Mapping[str, int], stored: int) -> Iterator[Line]:
    yield Line("read", tally.read)
    if stored:
        yield Line("of which the run had before", stored, 1)
    for name, number in sorted(counts.items()):
        yield Line(str(name), number)
    if not counts:
        yield Line("completed", tally.outcomes[TokenOutcome.COMPLETED])
    for outcome, label in SELDOM.items():
        if tally.outcomes[outcome]:
            yield Line(label, tally.outcomes[outcome])
    yield from _halted(tally)
    yield Line("failed", tally.failed, style="red" if tally.failed else "")


def _halted(tally: Tally) -> Iterator[Line]:
    actions: dict[str, list[Group]] = {}
    for (action, _), group in tally.halts.items():
        actions.setdefault(action, []).append(group)
    style = "yellow" if actions else ""
    yield Line("halted", _total(tally.halts.values()), style=style)
    for action, groups in actions.items():
        yield Line(action or "(no action)", _total(groups), 1, style)
        shown = _largest(groups)
        for group in shown:
            yield Line(group.text or "(no message)", group.count, 2)
        if len(groups) > len(shown):
            yield Line("for other reasons", _total(groups) - _total(shown), 2)


def failures_text(tally: Tally) -> str:
    """Return how many tokens failed, and what the first of them said, in one line."""
    first = " ".join(next(group.text for group in tally.failures.values()).split())
    return f"{count_of(tally.failed, 'token')} failed: {first}"


def print_failures(console: Console, tally: Tally) -> None:
    """Print what failed, grouped by what was wrong."""
    groups = list(tally.failures.values())
    for group in _largest(groups):
        print_text(console, f"Failed {_times(group.count)}: {group.text}", "red")
        for detail in (group.place, _origins(group)):
            if detail:
                print_text(console, f"  {detail}")
    if len(groups) > SHOWN_GROUPS:
        print_text(console, f"And {len(groups) - SHOWN_GROUPS:,} further kinds of failure.", "red")


def print_ending(console: Console, tally: Tally, ending: Ending) -> None:
    """Print where a run that did not finish ended."""
    if ending is Ending.FAILED:
        print_text(console, f"The run ended{_after(tally)}.", "red")
    if ending is Ending.INTERRUPTED:
        print_text(console, f"Interrupted{_after(tally)}.", "red")


def _largest(groups: list[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: -group.count)[:SHOWN_GROUPS]


def _total(groups: Iterable[Group]) -> int:
    return sum(group.count for group in groups)


def _origins(group: Group) -> str:
    if not group.origins:
        return ""
    further = group.count - len(group.origins)
    return ", ".join(group.origins) + (f" and {further:,} more" if further else "")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _after(tally: Tally) -> str:
    if not tally.read:
        return " before anything was read"
    return f" after {count_of(tally.read, 'token')}, at {tally.last}"
