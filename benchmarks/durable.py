"""What durability costs: each checkpoint, against the plain driver and against other engines.

Prints one JSON line for each figure: the median, least and greatest of many measurements. Each is
made of two that are taken in turn, so that whatever else the machine does slows both; the plain
driver takes its turn after every checkpoint of wfengine's, in a database of its own. A checkpoint
is measured from one task to the next, all that the engine does in between included; ``whole_run``
says what the ratio becomes when a run's begin and end are counted in as well.

SQLite's files are made in ``--directory``; what is measured there is mostly how fast the disk is,
and whether wfengine waits for it more often than it has to.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

import databases
import durable_growth
from durable_memory import DEFINITION as MEMORY_DEFINITION
from durable_peers import BURR, DBOS, LANGGRAPH, Peer, wfengine_seconds_per_task
from durable_workloads import TASKS, TOKEN
from floors import EFFECT, Floor, Rows, after_each_task, after_tokens, floor, new_run
from kernel import Record, in_microseconds, in_turn, record
from processes import reason, run
from sqlalchemy import text
from workloads import seconds

from wfengine.engine_db import DbWorkflowEngine
from wfengine.store import Store

HERE = Path(__file__).parent
Places = Callable[[], AbstractContextManager[str]]
"""Each call makes an empty database; its URL is good inside of the ``with`` statement."""

POSTGRESQL = partial(databases.server, "postgresql")
MARIADB = partial(databases.server, "mariadb")
TASKS_OF_TOKEN = 8
TOKENS_TOGETHER = 100

EFFECT_STATEMENT = text(f"INSERT INTO {EFFECT} (n) VALUES (:n)")  # noqa: S608 - a constant

stamps: list[float] = []


def noop(obj: Any, eng: Any) -> None:
    stamps.append(perf_counter())


@dataclass(frozen=True)
class Sizes:
    """How much is run at a time, and how often each kind of measurement is repeated."""

    runs: int = 41
    tokens: int = 40
    groups: int = 4
    growth: tuple[int, ...] = (1_000, 10_000, 100_000)
    growth_rounds: int = 15
    few_tokens: int = 20_000
    many_tokens: int = 200_000
    peaks: int = 1
    processes: int = 5
    directory: Path = field(default_factory=Path)

    def file(self) -> AbstractContextManager[str]:
        """Return a place for a SQLite database."""
        return databases.file(self.directory)


QUICK = Sizes(
    runs=1,
    tokens=2,
    groups=2,
    growth=(10, 100),
    growth_rounds=1,
    few_tokens=10,
    many_tokens=100,
    processes=1,
)


class Turns:
    """Lets the floor write a checkpoint each time that wfengine has written one.

    :param write: writes checkpoints by hand.
    :param rows: as many as the run will have.
    :param every: wfengine writes after so many tasks.
    :param has_effect: whether the tasks write something themselves.
    """

    def __init__(
        self, write: Callable[[list[Rows]], None], rows: list[Rows], every: int, has_effect: bool
    ) -> None:
        self._write, self._rows, self._every = write, rows, every
        self._tasks, self._left = 0, 0.0
        self.has_effect = has_effect
        self.plain: list[float] = []
        self.durable: list[float] = []

    def noop(self, obj: Any, eng: Any) -> None:
        """Do nothing, as a task; measure."""
        came = perf_counter()
        number, is_between = divmod(self._tasks, self._every)
        if not is_between:
            if number:
                self.durable.append(came - self._left)
            self._write(self._rows[number : number + 1])
            self._left = perf_counter()
            self.plain.append(self._left - came)
        self._tasks += 1
        if self.has_effect:
            eng.session.execute(EFFECT_STATEMENT, {"n": number})

    def run(self, eng: DbWorkflowEngine, tokens: int) -> "Times":
        """Process tokens."""
        whole = seconds(eng.process, [dict(TOKEN) for _ in range(tokens)]) - sum(self.plain)
        return Times(mean(self.plain), mean(self.durable), whole / len(self.plain))


@dataclass(frozen=True)
class Times:
    """Seconds for one checkpoint: by hand, by wfengine, and with its run's begin and end."""

    plain: float
    durable: float
    whole: float


def sqlite_full(sizes: Sizes) -> Record:
    """Write to SQLite after each of 50 tasks, and wait for the disk each time: the default."""
    return each_task(sizes.file, sizes, at_most=1.5)


def sqlite_normal(sizes: Sizes) -> Record:
    """The same without waiting for the disk."""
    return each_task(sizes.file, sizes, synchronous="NORMAL", at_most=3.0)


def postgresql(sizes: Sizes) -> Record:
    """Write to PostgreSQL, which takes a checkpoint as one statement; the floor sends five."""
    return each_task(POSTGRESQL, sizes, at_most=1.0)


def postgresql_in_three_trips(sizes: Sizes) -> Record:
    """The same, and the floor sends the UPDATEs and the INSERT as one statement of three."""
    return each_task(POSTGRESQL, sizes, write=Floor.write_in_three_trips, at_most=1.2)


def postgresql_writes(sizes: Sizes) -> Record:
    """Run tasks that write a row through eng.session, so that a checkpoint is a transaction."""
    return each_task(POSTGRESQL, sizes, has_effect=True)


def mariadb(sizes: Sizes) -> Record:
    """Write to MariaDB after each of 50 tasks."""
    return each_task(MARIADB, sizes)


def sqlite_token(sizes: Sizes) -> Record:
    """Write to SQLite after each token of eight tasks."""
    return each_token(sizes.file, sizes.tokens, 1, sizes, at_most=2.0)


def sqlite_group(sizes: Sizes) -> Record:
    """Write to SQLite after every hundred such tokens."""
    return each_token(sizes.file, sizes.groups * TOKENS_TOGETHER, TOKENS_TOGETHER, sizes)


def growth_of_tokens(sizes: Sizes) -> Record:
    """Write 50 checkpoints of a run that has many other tokens."""

    def fill(run: durable_growth.Run, count: int) -> None:
        run.fill_tokens(count, **durable_growth.DONE)

    return growth(fill, "tokens in the run", sizes)


def growth_of_runs(sizes: Sizes) -> Record:
    """The same in a store that has many other runs."""
    return growth(durable_growth.Run.fill_runs, "runs in the store", sizes)


def growth_of_history(sizes: Sizes) -> Record:
    """The same of a token that has a long history."""
    return growth(durable_growth.Run.fill_history, "steps in the token's history", sizes)


def memory(sizes: Sizes) -> Record:
    """Run all tokens that a store holds, of many and of few."""

    def peak(tokens: int) -> float:
        with sizes.file() as url:
            with Store(url, synchronous="OFF") as store:
                made = durable_growth.new_run(store, MEMORY_DEFINITION)
                made.fill_tokens(tokens - 1, **durable_growth.WAITING)
            return float(run(sys.executable, HERE / "durable_memory.py", url, made.uuid))

    few, many = sizes.few_tokens, sizes.many_tokens
    peaks = [(peak(few), peak(many)) for _ in range(sizes.peaks)]
    grown = [(large - small) / 1e6 for small, large in peaks]
    return record(grown, "MB", f"peak of {many} tokens - peak of {few}", at_most=10.0)


def sqlite_dbos(sizes: Sizes) -> Record:
    """Run 50 tasks that do nothing with DBOS, on SQLite."""
    return against_peer(DBOS, sizes.file, sizes, at_least=5.0)


def postgresql_dbos(sizes: Sizes) -> Record:
    """The same on PostgreSQL."""
    return against_peer(DBOS, POSTGRESQL, sizes, at_least=5.0)


def sqlite_burr(sizes: Sizes) -> Record:
    """The same with Burr and its persister for SQLite."""
    return against_peer(BURR, sizes.file, sizes, at_least=1.0)


def sqlite_langgraph(sizes: Sizes) -> Record:
    """The same with LangGraph and its saver for SQLite."""
    return against_peer(LANGGRAPH, sizes.file, sizes, at_least=1.0)


FIGURES: dict[str, Callable[[Sizes], Record]] = {
    "sqlite-full": sqlite_full,
    "sqlite-normal": sqlite_normal,
    "postgresql": postgresql,
    "postgresql-three-trips": postgresql_in_three_trips,
    "postgresql-writes": postgresql_writes,
    "mariadb": mariadb,
    "sqlite-token": sqlite_token,
    "sqlite-group": sqlite_group,
    "growth-tokens": growth_of_tokens,
    "growth-runs": growth_of_runs,
    "growth-history": growth_of_history,
    "memory": memory,
}

PEERS: dict[str, Callable[[Sizes], Record]] = {
    "sqlite-dbos": sqlite_dbos,
    "postgresql-dbos": postgresql_dbos,
    "sqlite-burr": sqlite_burr,
    "sqlite-langgraph": sqlite_langgraph,
}


def each_task(
    places: Places,
    sizes: Sizes,
    synchronous: str = "FULL",
    write: Callable[[Floor, list[Rows]], None] = Floor.write,
    has_effect: bool = False,
    **limit: float,
) -> Record:
    """Return how many times as long a checkpoint after a task takes as written by hand."""
    with opened(places, synchronous) as (store, other, plain):

        def run() -> Times:
            run_id, (token_id,) = new_run(other, tokens=1)
            rows = after_each_task(run_id, token_id, TASKS, has_effect)
            turns = Turns(partial(write, plain), rows, 1, has_effect)
            definition = [turns.noop] * TASKS
            return turns.run(
                DbWorkflowEngine.with_name("noops", store=store, definition=definition), 1
            )

        return compared(run, store, "a task", sizes, **limit)


def each_token(places: Places, tokens: int, together: int, sizes: Sizes, **limit: float) -> Record:
    """Return how many times as long a checkpoint after so many tokens takes as by hand."""
    with opened(places, "FULL") as (store, other, plain):

        def run() -> Times:
            rows = after_tokens(*new_run(other, tokens), TASKS_OF_TOKEN, together)
            turns = Turns(plain.write, rows, TASKS_OF_TOKEN * together, has_effect=False)
            eng = DbWorkflowEngine.with_name(
                "noops",
                store=store,
                definition=[turns.noop] * TASKS_OF_TOKEN,
                checkpoint="token",
                checkpoint_tokens=together,
            )
            return turns.run(eng, tokens)

        what = "a token of 8 tasks" if together == 1 else f"{together} tokens of 8 tasks"
        return compared(run, store, what, sizes, **limit)


@contextmanager
def opened(places: Places, synchronous: str) -> Iterator[tuple[Store, Store, Floor]]:
    """Yield a new store, another one for the floor, and the floor."""
    with places() as url, places() as other_url, ExitStack() as stack:
        options = {"synchronous": synchronous} if url.startswith("sqlite") else {}
        stores = [stack.enter_context(Store(each, **options)) for each in (url, other_url)]
        for each in stores:
            with each.session() as session:
                session.execute(text(f"CREATE TABLE {EFFECT} (n INTEGER)"))
        yield *stores, stack.enter_context(floor(other_url, synchronous))


def compared(
    run: Callable[[], Times], store: Store, checkpoint: str, sizes: Sizes, **limit: float
) -> Record:
    """Return the record of many runs, after a first that only warms up."""
    run()
    runs = [run() for _ in range(sizes.runs)]
    pairs = [(times.plain, times.durable) for times in runs]
    return record(
        [durable / plain for plain, durable in pairs],
        "ratio",
        f"wfengine / plain driver, a checkpoint after {checkpoint}",
        whole_run=round(median(times.whole / times.plain for times in runs), 2),
        us_per_checkpoint=in_microseconds(pairs, "plain driver", "wfengine"),
        database=databases.described(store.database.url),
        **limit,
    )


def growth(fill: Callable[[durable_growth.Run, int], None], of: str, sizes: Sizes) -> Record:
    """Return how many times as long a checkpoint takes in the largest store as in the smallest."""
    with ExitStack() as stack:
        runs = [filled(fill, count, sizes, stack) for count in sizes.growth]
        for each in runs:
            resumed(each)
        rounds = [[resumed(each) for each in runs] for _ in range(sizes.growth_rounds)]
    ratios = [times[-1] / times[0] for times in rounds]
    by_size = zip(sizes.growth, zip(*rounds, strict=True), strict=True)
    return record(
        ratios,
        "ratio",
        f"a checkpoint with {sizes.growth[-1]} {of} / with {sizes.growth[0]}",
        at_most=1.5,
        us_per_checkpoint={str(size): round(median(times) * 1e6, 2) for size, times in by_size},
    )


def filled(
    fill: Callable[[durable_growth.Run, int], None], count: int, sizes: Sizes, stack: ExitStack
) -> durable_growth.Run:
    """Return a run in a store of its own that has been filled."""
    url = stack.enter_context(sizes.file())
    # Waiting for the disk takes as long whatever is in the store, and would hide what grows.
    store = stack.enter_context(Store(url, synchronous="OFF"))
    made = durable_growth.new_run(store, [noop] * TASKS)
    fill(made, count - 1)
    return made


def resumed(made: durable_growth.Run) -> float:
    """Run the first token; return the seconds that a checkpoint took."""
    made.put_back()
    stamps.clear()
    made.engine().resume(made.token_id)
    return (stamps[-1] - stamps[0]) / (len(stamps) - 1)


def against_peer(peer: Peer, places: Places, sizes: Sizes, **limit: float) -> Record:
    """Return how many times as long the peer takes; each measurement has a process of its own.

    A task's share of a run's begin and end counts, since what belongs to a checkpoint differs.
    """
    try:
        peer.install()
    except (OSError, subprocess.SubprocessError) as error:
        return {"skipped": f"no peer to compare with: {reason(error)}"}

    def per_task(seconds_per_task: Callable[[str], list[float]]) -> float:
        with places() as url:
            return median(seconds_per_task(url))

    with places() as url:
        database = databases.described(url)
    pairs = in_turn(
        lambda: per_task(wfengine_seconds_per_task),
        lambda: per_task(peer.seconds_per_task),
        times=sizes.processes,
    )
    name = peer.requirements[0].replace("==", " ").removesuffix(".*")
    ratios = [theirs / ours for ours, theirs in pairs]
    times = in_microseconds(pairs, "wfengine", name)
    compared = f"{name} / wfengine, a task of a run of {TASKS}"
    return record(ratios, "ratio", compared, us_per_task=times, database=database, **limit)


def measured(name: str, sizes: Sizes) -> Record:
    """Return the record of a figure; without its database one that says why it was skipped."""
    try:
        return {**FIGURES, **PEERS}[name](sizes)
    except databases.UNREACHABLE as error:
        said = " ".join(str(getattr(error, "orig", error)).split())
        return {"skipped": f"no database to measure with: {said}"}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join([*FIGURES, *PEERS]))
    parser.add_argument("--peers", action="store_true", help="other engines too, which takes long")
    parser.add_argument("--million", action="store_true", help="grow to a million, not 100,000")
    parser.add_argument("--directory", type=Path, default=Path(), help="for SQLite's files")
    parser.add_argument("--quick", action="store_true", help="try everything, measure nothing")
    parser.add_argument(
        "--strict", action="store_true", help="exit 1 if a limit does not hold or was not checked"
    )
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES) - set(PEERS):
        parser.error(f"there is no figure {', '.join(sorted(unknown))}")
    if not options.directory.is_dir():
        parser.error(f"there is no directory {options.directory}")
    sizes = replace(QUICK if options.quick else Sizes(), directory=options.directory)
    if options.million:
        sizes = replace(sizes, growth=(*sizes.growth, 1_000_000), many_tokens=1_000_000)
    failed = False
    for name in options.figures or [*FIGURES, *(PEERS if options.peers else ())]:
        found = measured(name, sizes)
        failed |= "skipped" in found or not found.get("holds", True)
        line = {"figure": name, **found, "python": platform.python_version()}
        print(json.dumps(line), flush=True)
    return int(options.strict and failed)


if __name__ == "__main__":
    sys.exit(main())
