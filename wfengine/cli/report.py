"""What is printed when a run has ended: its numbers and outputs, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen
from rich.console import Console
from rich.text import Text

from wfengine.cli.outputs import OUTPUTS, PART
from wfengine.cli.progress import Meter
from wfengine.cli.running import Ending
from wfengine.cli.tally import Group, Tally
from wfengine.signals import TokenOutcome

__all__ = ["print_error", "print_failures", "print_summary"]

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


def print_error(console: Console, error: str) -> None:
    """Print what was wrong with a command."""
    _print(console, f"Error: {error}", "red")


def print_summary(
    console: Console, meter: Meter, extra_data: Mapping[str, Any], ending: Ending
) -> None:
    """Print how many tokens went where, how long it took, and where the outputs are."""
    rows = list(_numbers(meter.tally, extra_data.get("counts", {})))
    width = max(len(row.text) for row in rows)
    digits = max(len(f"{row.number:,}") for row in rows)
    for row in rows:
        _print(console, f"{row.text:{width}}  {row.number:{digits},}", row.style)
    _print(console, f"  {meter.seconds:,.2f} seconds, {meter.rate_text} tokens/s")
    if ending is Ending.STOPPED:
        _print(console, f"  The workflow stopped the run at {meter.tally.last}.", "yellow")
    is_partial = ending in (Ending.FAILED, Ending.INTERRUPTED)
    for path in extra_data.get(OUTPUTS, {}).values():
        partial = " (partial: the run did not come to its end)" if is_partial else ""
        if path.endswith(PART):
            partial = " (unfinished: it could not be closed)"
        _print(console, f"  -> {path}{partial}", "yellow" if partial else "green")


def _numbers(tally: Tally, counts: Mapping[str, int]) -> Iterator[Line]:
    yield Line("read", tally.read)
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


def print_failures(console: Console, meter: Meter, ending: Ending) -> None:
    """Print what failed, grouped by what was wrong, and where a run that did not finish ended."""
    tally = meter.tally
    groups = list(tally.failures.values())
    for group in _largest(groups):
        _print(console, f"Failed {_times(group.count)}: {group.text}", "red")
        for detail in (group.place, _origins(group)):
            if detail:
                _print(console, f"  {detail}")
    if len(groups) > SHOWN_GROUPS:
        _print(console, f"And {len(groups) - SHOWN_GROUPS:,} further kinds of failure.", "red")
    if ending is Ending.FAILED:
        _print(console, f"The run ended{_after(tally)}.", "red")
    if ending is Ending.INTERRUPTED:
        _print(console, f"Interrupted{_after(tally)}.", "red")


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
    tokens = "token" if tally.read == 1 else "tokens"
    return f" after {tally.read:,} {tokens}, at {tally.last}"


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(text), style), soft_wrap=True)


def printable(text: str) -> str:
    """Return a text in which nothing can steer a terminal."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )
