"""What a flow of steps costs for each step, against the same functions given to a thread pool.

Prints one JSON line for each figure, as the kernel's figures are printed. The ratios are of two
measurements that are taken in turn. On SQLite there is nothing to compare with: the figures say how
many milliseconds a step takes.
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
    chain: int = 10_000
    on_sqlite: int = 10_000
    times: int = 3
    times_of_few: int = 31


QUICK = Sizes(2, 5, 10, 5, 5, times=1, times_of_few=1)


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


def on_sqlite(count: int, construct: str, sizes: Sizes, is_chain: bool = False) -> Record:
    """Run a flow whose runs are kept in a SQLite file, synchronous=FULL."""
    times = []
    for _ in range(1 if count > sizes.some else sizes.times):
        with (
            tempfile.TemporaryDirectory() as folder,
            Store(f"sqlite:///{Path(folder) / 'runs.db'}") as store,
        ):
            store.prepare()
            flow = flow_of(count, construct, is_chain, store)
            times.append(seconds_of(flow) / count * 1e3)
    return record(times, "ms per step", "nothing", steps=count)


def _sizes_of(name: str, sizes: Sizes) -> int:
    return int(getattr(sizes, name))


def _in_memory(name: str, construct: str, is_chain: bool = False) -> Callable[[Sizes], Record]:
    return lambda sizes: against_futures(_sizes_of(name, sizes), construct, sizes, is_chain)


def _stored(name: str, construct: str, is_chain: bool = False) -> Callable[[Sizes], Record]:
    return lambda sizes: on_sqlite(_sizes_of(name, sizes), construct, sizes, is_chain)


FIGURES: dict[str, Callable[[Sizes], Record]] = {
    **{
        f"steps-{construct}-{name}": _in_memory(name, construct)
        for construct in ("inline", "thread")
        for name in ("few", "some", "many")
    },
    "steps-inline-chain": _in_memory("chain", "inline", is_chain=True),
    "steps-thread-chain": _in_memory("chain", "thread", is_chain=True),
    **{
        f"steps-sqlite-{construct}-{name}": _stored(name, construct)
        for construct in ("inline", "thread")
        for name in ("few", "some")
    },
    "steps-sqlite-inline-more": _stored("on_sqlite", "inline"),
    "steps-sqlite-inline-chain": _stored("chain", "inline", is_chain=True),
}

ON_DEMAND = {"steps-sqlite-inline-many": _stored("many", "inline")}
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
