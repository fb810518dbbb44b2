"""What a flow of steps costs for each step, in time and in memory.

The time is compared with that of the same functions given to a thread pool, and with that of a step
of a smaller flow. Prints one JSON line for each figure, as the kernel's figures are printed. The
ratios are of two measurements that are taken in turn. On SQLite, the figures also say how many
milliseconds a step takes.
"""

import argparse
import json
import platform
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from kernel import Record, in_turn, record

from wfengine.steps import Sequent, StepStatus
from wfengine.store import Store

WORKERS = 2


@dataclass(frozen=True)
class Sizes:
    """How many steps the flows have, and how often each is measured."""

    few: int = 10
    some: int = 1000
    many: int = 100_000
    some_in_chain: int = 1000
    chain: int = 10_000
    on_sqlite: int = 10_000
    times: int = 3
    times_of_few: int = 31


QUICK = Sizes(2, 5, 10, 2, 5, 5, times=1, times_of_few=1)


def nothing() -> None:
    """Do nothing."""


def flow_of(count: int, construct: str, is_chain: bool, store: Any = ":memory:") -> Sequent:
    """Return a flow of so many steps that do nothing."""
    workers = 1 if construct == "inline" else WORKERS
    config = {"task_construct": construct, "max_concurrent": workers}
    flow = Sequent("benchmark", store=store, config=config)
    before: Any = None
    for number in range(count):
        requires = ((before, StepStatus.success),) if is_chain and number else None
        before = flow.add_step(f"s{number}", nothing, requires=requires)
    return flow


def seconds_of(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    start = perf_counter()
    call()
    return perf_counter() - start


def futures(count: int, workers: int) -> None:
    """Give the same functions to a pool."""
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(nothing) for _ in range(count)]:
            future.result()


def futures_in_chain(count: int, workers: int) -> None:
    """Give them to a pool one after the other."""
    with ThreadPoolExecutor(workers) as pool:
        for _ in range(count):
            pool.submit(nothing).result()


def against_futures(count: int, construct: str, sizes: Sizes, is_chain: bool = False) -> Record:
    """Run a flow in memory, and the same functions in a pool."""
    flow = flow_of(count, construct, is_chain)
    workers = 1 if construct == "inline" else WORKERS
    pool = futures_in_chain if is_chain else futures
    repeats = max(min(2000 // count, 100), 1) if sizes.times_of_few > 1 else 1

    def run_flow() -> float:
        return seconds_of(lambda: [flow() for _ in range(repeats)]) / repeats

    def run_pool() -> float:
        return seconds_of(lambda: [pool(count, workers) for _ in range(repeats)]) / repeats

    times = sizes.times if count > sizes.some else sizes.times_of_few
    pairs = in_turn(run_flow, run_pool, times=times)
    microseconds = {
        name: round(min(pair[side] for pair in pairs) / count * 1e6, 1)
        for side, name in enumerate(("wfengine.steps", "concurrent.futures"))
    }
    return record(
        [ours / theirs for ours, theirs in pairs],
        "ratio",
        "wfengine.steps / concurrent.futures",
        at_most=5.0,
        steps=count,
        us_per_step=microseconds,
    )


@contextmanager
def store_on_disk(synchronous: str = "FULL") -> Iterator[Store]:
    """Make a SQLite file for a while."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Store(f"sqlite:///{Path(folder) / 'runs.db'}", synchronous=synchronous) as store,
    ):
        store.prepare()
        yield store


def seconds_on_disk(count: int, construct: str, is_chain: bool, synchronous: str = "FULL") -> float:
    """Return how long a flow takes whose runs are kept in a file."""
    with store_on_disk(synchronous) as store:
        return seconds_of(flow_of(count, construct, is_chain, store))


def on_sqlite(count: int, construct: str, sizes: Sizes, is_chain: bool = False) -> Record:
    """Run a flow whose runs are kept in a SQLite file."""
    times = 1 if count > sizes.some else sizes.times
    each = [seconds_on_disk(count, construct, is_chain) / count * 1e3 for _ in range(times)]
    return record(each, "ms per step", "nothing", steps=count)


def growth(
    few: int, many: int, seconds: Callable[[int], float], at_most: float, times: int
) -> Record:
    """Return how many times as long a step of many takes as one of few."""
    pairs = in_turn(lambda: seconds(few) / few, lambda: seconds(many) / many, times=times)
    microseconds = [round(min(side) * 1e6, 1) for side in zip(*pairs, strict=True)]
    return record(
        [of_many / of_few for of_few, of_many in pairs],
        "ratio",
        f"a step of {many} / a step of {few}",
        at_most=at_most,
        us_per_step=microseconds,
    )


def growth_in_memory(
    few: int, many: int, construct: str, sizes: Sizes, is_chain: bool = False
) -> Record:
    """Build flows of few and of many steps, compile them, and run them."""

    def seconds(count: int) -> float:
        turns = max(many // count // 10, 1)
        return (
            seconds_of(lambda: [flow_of(count, construct, is_chain)() for _ in range(turns)])
            / turns
        )

    return growth(few, many, seconds, at_most=3.0, times=sizes.times)


def growth_on_sqlite(few: int, many: int, construct: str, sizes: Sizes) -> Record:
    """The same in a SQLite file, without waiting for the disk, whose pace changes all the time."""

    def seconds(count: int) -> float:
        return seconds_on_disk(count, construct, is_chain=False, synchronous="OFF")

    return growth(few, many, seconds, at_most=1.5, times=sizes.times)


def bytes_per_step(count: int, construct: str, store: Any) -> tuple[float, float]:
    """Return the peak of a flow from its first step to its end, and what running it adds."""
    tracemalloc.start()
    flow = flow_of(count, construct, is_chain=False, store=store)
    flow.__wfengine_definition__()
    built = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    flow()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / count, (peak - built) / count


def memory(few: int, many: int, construct: str, store: Any = ":memory:") -> Record:
    """Ask how many bytes each of many steps takes, and each of few."""
    nothing_yet = flow_of(few, construct, is_chain=False, store=store)
    nothing_yet()  # what is imported, and cached, is not the steps'
    whole, added = zip(
        *(bytes_per_step(count, construct, store) for count in (few, many)), strict=True
    )
    return record(
        [whole[1] / whole[0]],
        "ratio",
        f"bytes per step of {many} / of {few}",
        at_most=1.2,
        bytes_per_step=[round(each) for each in whole],
        added_by_run=[round(each) for each in added],
    )


def memory_on_sqlite(few: int, many: int, construct: str) -> Record:
    """The same where the run is kept in a SQLite file."""
    with store_on_disk() as store:
        return memory(few, many, construct, store)


Figure = Callable[[Sizes], Record]
CONSTRUCTS = ("inline", "thread")


def _in_memory(name: str, construct: str, is_chain: bool = False) -> Figure:
    return lambda sizes: against_futures(getattr(sizes, name), construct, sizes, is_chain)


def _stored(name: str, construct: str, is_chain: bool = False) -> Figure:
    return lambda sizes: on_sqlite(getattr(sizes, name), construct, sizes, is_chain)


def _linear(construct: str) -> Figure:
    return lambda sizes: growth_in_memory(sizes.some, sizes.many, construct, sizes)


def _linear_chain(construct: str) -> Figure:
    return lambda sizes: growth_in_memory(
        sizes.some_in_chain, sizes.chain, construct, sizes, is_chain=True
    )


def _linear_stored(construct: str) -> Figure:
    return lambda sizes: growth_on_sqlite(sizes.some, sizes.on_sqlite, construct, sizes)


def _linear_stored_many(construct: str) -> Figure:
    return lambda sizes: growth_on_sqlite(sizes.some, sizes.many, construct, sizes)


def _memory(construct: str) -> Figure:
    return lambda sizes: memory(sizes.some, sizes.many, construct)


def _memory_stored(construct: str) -> Figure:
    return lambda sizes: memory_on_sqlite(sizes.some, sizes.on_sqlite, construct)


def _each(name: str, figure: Callable[[str], Figure]) -> dict[str, Figure]:
    return {name.format(construct): figure(construct) for construct in CONSTRUCTS}


FIGURES: dict[str, Figure] = {
    **{
        f"steps-{construct}-{name}": _in_memory(name, construct)
        for construct in CONSTRUCTS
        for name in ("few", "some", "many")
    },
    **_each("steps-{}-chain", lambda construct: _in_memory("chain", construct, is_chain=True)),
    **_each("steps-{}-linear", _linear),
    **_each("steps-{}-chain-linear", _linear_chain),
    **_each("steps-{}-memory", _memory),
    **{
        f"steps-sqlite-{construct}-{name}": _stored(name, construct)
        for construct in CONSTRUCTS
        for name in ("few", "some")
    },
    **_each("steps-sqlite-{}-chain", lambda construct: _stored("chain", construct, is_chain=True)),
    **_each("steps-sqlite-{}-linear", _linear_stored),
    **_each("steps-sqlite-{}-memory", _memory_stored),
}

ON_DEMAND: dict[str, Figure] = {
    **_each("steps-sqlite-{}-many", lambda construct: _stored("many", construct)),
    **_each("steps-sqlite-{}-linear-many", _linear_stored_many),
}
"""What takes an hour where commits are slow, and is run when it is asked for by its name."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    every = {**FIGURES, **ON_DEMAND}
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(every))
    parser.add_argument("--quick", action="store_true", help="try everything, measure nothing")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a limit does not hold")
    options = parser.parse_args()
    if unknown := set(options.figures) - set(every):
        parser.error(f"there is no figure {', '.join(sorted(unknown))}")
    failed = False
    for name in options.figures or FIGURES:
        measured = every[name](QUICK if options.quick else Sizes())
        failed |= not measured.get("holds", True)
        line = {"figure": name, **measured, "python": platform.python_version()}
        print(json.dumps(line), flush=True)
    return int(options.strict and failed)


if __name__ == "__main__":
    sys.exit(main())
