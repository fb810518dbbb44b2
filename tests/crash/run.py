"""The long run: ``python tests/crash/run.py --kills 1000 --seed 1``.

Kills runs in SQLite and PostgreSQL until that often is reached, prints what became of them, and
ends with 1 if anything was lost, doubled or different from what it should be.
"""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import randrange
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .harness import Harness, Report

BACKENDS = ["sqlite", "postgresql"]
ROOT = Path(__file__).parents[2]


def main() -> int:
    """Do what the command line says."""
    from tests.crash.harness import Report

    options = arguments()
    missing = list(filter(None, map(silence_of, options.backends)))
    if missing:
        print(*missing, sep="\n")
        return 1
    print(f"seed {options.seed}", flush=True)
    total = Report()
    with ThreadPoolExecutor(len(options.backends)) as threads:
        share = -(-options.kills // len(options.backends))
        for report in threads.map(lambda kind: killed(kind, share, options), options.backends):
            total.add(report)
    print("total:", total)
    return bool(total.failures)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="in all databases together")
    parser.add_argument("--seed", type=int, default=randrange(10**6), help="to repeat a run")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--run", type=int, help="only this one")
    return parser.parse_args()


def silence_of(kind: str) -> str | None:
    """Return why there are no databases of a kind; None if there are."""
    from tests.support.databases import SERVERS, silence

    return silence(SERVERS[kind]) if kind in SERVERS else None


def killed(kind: str, kills: int, options: argparse.Namespace) -> "Report":
    """Kill runs in a database of a kind until that often is reached."""
    from tests.crash.harness import Harness, Report, Tools
    from tests.support.databases import database

    total = Report()
    with TemporaryDirectory(prefix="wfengine-crash-") as folder:
        path = Path(folder)
        with database(kind, path) as url, Tools.opened(path) as tools:
            harness = Harness(tools, url, options.seed)
            for number in numbers(options.run):
                for report in reports(harness, number, options):
                    for failure in report.failures:
                        print(f"{kind}, {failure}", flush=True)
                    total.add(report)
                if total.kills >= kills or options.run is not None:
                    break
                if number % 20 == 0:
                    print(f"{kind}: {total}", flush=True)
    print(f"{kind}: {total}", flush=True)
    return total


def reports(harness: "Harness", number: int, options: argparse.Namespace) -> Iterator["Report"]:
    """Kill a run; now and then have workers compete for one as well."""
    from tests.crash.competing import RIVALS, compete, sleep_through

    yield harness.kill(number)
    if options.run is None and number % 10 == 0:
        yield sleep_through(harness, number, RIVALS)
        yield compete(harness, number, RIVALS, count=4 if number % 20 else 2)


def numbers(only: int | None) -> Iterator[int]:
    """Return the numbers of the runs."""
    return iter([only]) if only is not None else count(1)


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    sys.exit(main())
