"""Durable runs of fifty tasks that do nothing: by wfengine, and by its peers.

``python durable_workloads.py ENGINE URL RUNS`` prints, for each run, the seconds that one task
took, its share of the run's begin and end included. Each peer runs this file in an environment of
its own. Every engine writes to the database after each task, and waits until that is on the disk.
"""

import contextlib
import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count, pairwise
from time import perf_counter
from typing import Any

TASKS = 50
TOKEN = {"n": 1, "name": "Ada Lovelace", "done": False}

Run = Callable[[], object]


def noop(token: Any, eng: Any) -> None:
    pass


def file_of(url: str) -> str:
    return url.removeprefix("sqlite:///")


@contextmanager
def wfengine(url: str) -> Iterator[Run]:
    from wfengine.engine_db import DbWorkflowEngine
    from wfengine.store import Store

    with Store(url) as store:

        def run() -> None:
            eng = DbWorkflowEngine.with_name("noops", store=store, definition=[noop] * TASKS)
            eng.process([dict(TOKEN)])

        yield run


@contextmanager
def dbos(url: str) -> Iterator[Run]:
    from dbos import DBOS

    DBOS(config={"name": "noops", "system_database_url": url, "log_level": "ERROR"})

    @DBOS.step()
    def step() -> None:
        pass

    @DBOS.workflow()
    def workflow(token: dict[str, Any]) -> None:
        for _ in range(TASKS):
            step()

    DBOS.launch()
    try:
        yield partial(workflow, dict(TOKEN))
    finally:
        DBOS.destroy()


@contextmanager
def burr(url: str) -> Iterator[Run]:
    from burr.core import ApplicationBuilder, State, action
    from burr.core.persistence import SQLitePersister

    @action(reads=[], writes=[])
    def step(state: State) -> State:
        return state

    names = [f"step{number}" for number in range(TASKS)]
    numbers = count()
    with SQLitePersister.from_values(file_of(url)) as persister:
        persister.initialize()

        def application() -> Any:
            return (
                ApplicationBuilder()
                .with_identifiers(app_id=f"run{next(numbers)}")
                .with_actions(**dict.fromkeys(names, step))
                .with_transitions(*pairwise(names))
                .with_state(**TOKEN)
                .with_state_persister(persister)
                .with_entrypoint(names[0])
                .build()
            )

        yield lambda: application().run(halt_after=[names[-1]])


@contextmanager
def langgraph(url: str) -> Iterator[Run]:
    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.graph import StateGraph

    names = [f"step{number}" for number in range(TASKS)]
    graph = StateGraph(dict)
    for name in names:
        graph.add_node(name, lambda state: state)
    for edge in pairwise(names):
        graph.add_edge(*edge)
    graph.set_entry_point(names[0])
    graph.set_finish_point(names[-1])
    numbers = count()
    with SqliteSaver.from_conn_string(file_of(url)) as saver:
        compiled = graph.compile(checkpointer=saver)

        def run() -> None:
            config = {"configurable": {"thread_id": f"run{next(numbers)}"}, "recursion_limit": 99}
            compiled.invoke(dict(TOKEN), config, durability="sync")

        yield run


ENGINES = {"wfengine": wfengine, "dbos": dbos, "burr": burr, "langgraph": langgraph}


def use_wal(file: str) -> None:
    """Have a file in the mode that wfengine uses; who opens it later waits for the disk (FULL)."""
    import sqlite3

    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
        assert synchronous == 2, "this SQLite does not wait for the disk by default"


def seconds(call: Run) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def main(engine: str, url: str, runs: str) -> None:
    logging.disable()
    if url.startswith("sqlite"):
        use_wal(file_of(url))
    with contextlib.redirect_stdout(io.StringIO()), ENGINES[engine](url) as run:
        run()  # the first run warms up
        times = [seconds(run) / TASKS for _ in range(int(runs))]
    print(*times)


if __name__ == "__main__":
    main(*sys.argv[1:])
