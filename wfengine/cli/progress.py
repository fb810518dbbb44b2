"""How a run shows that it is going on: a bar on a terminal, lines now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from threading import Event, Thread

from attrs import define, field
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from wfengine.cli.printing import print_text, printable
from wfengine.cli.sources import Source
from wfengine.cli.tally import Tally

__all__ = ["Gauge", "Meter", "TokenMeter", "shown"]

BAR_SECONDS = 0.1
LINE_SECONDS = 10.0

Clock = Callable[[], float]


@define(eq=False)
class Gauge:
    """How far something has come that has a number of things to do.

    :param clock: returns seconds.
    """

    clock: Clock = field(default=time.perf_counter, kw_only=True)
    started: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.started = self.clock()

    @property
    def name(self) -> str:
        """What it is done for."""
        return ""

    @property
    def counted(self) -> str:
        """What is counted."""
        return "tokens"

    @property
    def count(self) -> int:
        """How many are done."""
        return 0

    @property
    def part(self) -> float | None:
        """Which part is done, from 0 to 1, or None where the whole is not known."""
        return None

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return self.clock() - self.started

    @property
    def rate(self) -> float:
        """How many are done a second."""
        return self.count / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """How long it may still take, or None where that is not known."""
        return self.seconds * (1 - self.part) / self.part if self.part else None

    @property
    def rate_text(self) -> str:
        """The rate, with a decimal where it is small."""
        return f"{self.rate:,.0f}" if self.rate >= 10 else f"{self.rate:.1f}"

    def __str__(self) -> str:
        text = f"{self.count:,} {self.counted}, {self.rate_text}/s"
        if self.part is not None and self.seconds_left is not None:
            text += f", {self.part:.0%}, {self.seconds_left:,.0f} s left"
        return text


@define(eq=False)
class Meter(Gauge):
    """How far a run has come that reads an input.

    :param limit: how many rows are wanted at most.
    """

    source: Source
    tally: Tally
    limit: int | None = None

    @property
    def name(self) -> str:
        """The file that is read."""
        return PurePath(self.source.name).name

    @property
    def count(self) -> int:
        """How many rows were read."""
        return self.tally.read

    @property
    def part(self) -> float | None:
        """Which part is read."""
        parts = []
        if self.limit:
            parts.append(self.tally.read / self.limit)
        if self.source.size:
            parts.append(self.source.bytes_read / self.source.size)
        return min(max(parts), 1.0) if parts else None


@define(eq=False)
class TokenMeter(Gauge):
    """How far something has come whose things to do are counted before.

    :param whole: how many there are, where that is known.
    """

    name: str
    whole: int | None = None
    counted: str = "tokens"
    count: int = field(default=0, init=False)

    @property
    def part(self) -> float | None:
        """Which part is done."""
        return min(self.count / self.whole, 1.0) if self.whole else None


Tick = Callable[[], None]


@contextmanager
def shown(meter: Gauge, console: Console | None) -> Iterator[Tick]:
    """Show on a console how far a run has come.

    On a terminal that is looked up at each tick, if it is time; elsewhere a line is printed after
    so many seconds, however long there is no tick.
    """
    if console is None:
        yield lambda: None
    elif console.is_terminal:
        with _bar(meter, console) as draw:
            yield now_and_then(draw, BAR_SECONDS, meter.clock)
            draw()
    else:
        with _every(LINE_SECONDS, lambda: print_text(console, str(meter))):
            yield lambda: None


@contextmanager
def _bar(meter: Gauge, console: Console) -> Iterator[Tick]:
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[read]:,} {task.fields[counted]}, {task.fields[rate]}/s"),
        TimeRemainingColumn(),
        console=console,
        redirect_stdout=sys.stdout.isatty(),
    )
    with progress:
        bar = progress.add_task(
            printable(meter.name), total=None, read=0, rate=0, counted=meter.counted
        )
        yield lambda: progress.update(
            bar,
            total=None if meter.part is None else 1.0,
            completed=meter.part or 0.0,
            read=meter.count,
            rate=meter.rate_text,
        )


@contextmanager
def _every(seconds: float, show: Tick) -> Iterator[None]:
    """Show in a thread, each time so many seconds have passed."""
    is_over = Event()

    def work() -> None:
        while not is_over.wait(seconds):
            show()

    thread = Thread(target=work, name="wfengine progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


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
