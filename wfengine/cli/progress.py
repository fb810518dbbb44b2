"""How a run shows that it is going on: a bar on a terminal, lines now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath

from attrs import define, field
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from wfengine.cli.sources import Source
from wfengine.cli.tally import Tally

__all__ = ["Meter", "shown"]

BAR_SECONDS = 0.1
LINE_SECONDS = 10.0

Clock = Callable[[], float]


@define(eq=False)
class Meter:
    """How far a run has come.

    :param limit: how many rows are wanted at most.
    :param clock: returns seconds.
    """

    source: Source
    tally: Tally
    limit: int | None = None
    clock: Clock = time.perf_counter
    started: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.started = self.clock()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return self.clock() - self.started

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self.tally.read / max(self.seconds, 1e-9)

    @property
    def part(self) -> float | None:
        """Which part is read, from 0 to 1, or None where the whole is not known."""
        parts = []
        if self.limit:
            parts.append(self.tally.read / self.limit)
        if self.source.size:
            parts.append(self.source.bytes_read / self.source.size)
        return min(max(parts), 1.0) if parts else None

    @property
    def seconds_left(self) -> float | None:
        """How long it may still take, or None where that is not known."""
        return self.seconds * (1 - self.part) / self.part if self.part else None

    @property
    def rate_text(self) -> str:
        """The rate, with a decimal where it is small."""
        return f"{self.rate:,.0f}" if self.rate >= 10 else f"{self.rate:.1f}"

    def __str__(self) -> str:
        text = f"{self.tally.read:,} tokens, {self.rate_text}/s"
        if self.part is not None and self.seconds_left is not None:
            text += f", {self.part:.0%}, {self.seconds_left:,.0f} s left"
        return text


Tick = Callable[[], None]


@contextmanager
def shown(meter: Meter, console: Console | None) -> Iterator[Tick]:
    """Show on a console how far a run has come; it is looked up at each tick, if it is time."""
    if console is None:
        yield lambda: None
    elif console.is_terminal:
        with _bar(meter, console) as draw:
            yield now_and_then(draw, BAR_SECONDS, meter.clock)
            draw()
    else:
        yield now_and_then(
            lambda: console.print(str(meter), soft_wrap=True, highlight=False),
            LINE_SECONDS,
            meter.clock,
        )


@contextmanager
def _bar(meter: Meter, console: Console) -> Iterator[Tick]:
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[read]:,} tokens, {task.fields[rate]}/s"),
        TimeRemainingColumn(),
        console=console,
        redirect_stdout=sys.stdout.isatty(),
    )
    with progress:
        name = PurePath(meter.source.name).name
        bar = progress.add_task(name, total=None, read=0, rate=0)
        yield lambda: progress.update(
            bar,
            total=None if meter.part is None else 1.0,
            completed=meter.part or 0.0,
            read=meter.tally.read,
            rate=meter.rate_text,
        )


def now_and_then(show: Tick, seconds: float, clock: Clock) -> Tick:
    """Return a function that shows at most once in so many seconds, the first time after them."""
    due = clock() + seconds

    def tick() -> None:
        nonlocal due
        now = clock()
        if now >= due:
            due = now + seconds
            show()

    return tick
