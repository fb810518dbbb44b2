"""How long a look at a large store takes: lists, counts and pages that people wait for.

Fills a SQLite file, or a server's database, with runs and tokens, and prints what each query takes.
"""

import argparse
import functools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import databases
from sqlalchemy import Table, insert

from wfengine.definitions import skeleton
from wfengine.signals import TokenOutcome
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store

RUNS = 10_000
TOKENS = 1_000_000
LARGEST = 0.3
"""The share of all tokens that is in the first run."""

REPEATS = 5
BUDGET = 0.3
"""Seconds that a query may take."""

PAGE_BUDGET = 1.0
"""Seconds that a page of the console may take."""

BATCH = 10_000
BEGAN = 1_780_000_000.0
ACTIONS = ("resolve_missing_distance", "resolve_overlap", "approve", None)
STATUSES = (*["COMPLETED"] * 80, *["HALTED"] * 10, *["ERROR"] * 3, *["INITIAL"] * 7)
ERROR = '{"type":"ValueError","message":"no distance","task":"check","path":"1","traceback":""}'
FINGERPRINT = "0" * 32


def fill(store: Store, runs: int = RUNS, tokens: int = TOKENS) -> None:
    """Fill an empty store: one run has much, the others the same number of tokens each.

    Each token that was begun has two steps in its history. Of a hundred, ten are halted for one of
    four actions, and three failed.
    """
    models = store.models
    with store.database.writing() as connection:

        def add(table: Table, rows: Iterator[dict[str, Any]]) -> None:
            for batch in _batches(rows):
                connection.execute(insert(table), batch)

        sizes = _sizes(runs, tokens)
        connection.execute(insert(models.definition.__table__), [_definition()])
        add(models.workflow.__table__, (_run(*each) for each in enumerate(sizes, 1)))
        add(models.object.__table__, _tokens(sizes))
        add(models.execution.__table__, _steps(sizes))
        add(models.audit.__table__, (_audit(number) for number in range(1, tokens // 10)))


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _sizes(runs: int, tokens: int) -> list[int]:
    """Return how many tokens each run has."""
    first = int(tokens * LARGEST)
    each, more = divmod(tokens - first, max(runs - 1, 1))
    return [first, *(each + (number < more) for number in range(runs - 1))]


def _definition() -> dict[str, Any]:
    shape = skeleton([_split, _check])
    return {"fingerprint": FINGERPRINT, "name": "flights", "skeleton": shape, "created": BEGAN}


def _split(token: Any, eng: Any) -> None:
    """Stand for a task."""


def _check(token: Any, eng: Any) -> None:
    """Stand for a task."""


def _run(number: int, size: int) -> dict[str, Any]:
    status = list(WorkflowStatus)[(number + 1) % len(WorkflowStatus)]
    is_over = status in (WorkflowStatus.COMPLETED, WorkflowStatus.ERROR)
    is_live = status is WorkflowStatus.RUNNING
    return {
        "id": number,
        "uuid": str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)),
        "name": f"flights {number % 50}",
        "fingerprint": FINGERPRINT,
        "status": status.name,
        "token_pos": size,
        "token_count": size,
        "checkpoints": 2 * size,
        "extra_data": {"output_dir": "output"},
        "options": {"checkpoint": "task"},
        "lease_owner": f"host process {number} #1" if is_live else None,
        "lease_token": 1,
        "lease_expires": 4e9 if is_live else None,
        "created": BEGAN + number,
        "started": BEGAN + number,
        "finished": BEGAN + number + 600 if is_over else None,
        "error": {"type": "ValueError", "message": "no"} if status.name == "ERROR" else None,
    }


def _numbered(sizes: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each token, that of its run, and its index there."""
    number = 0
    for run, size in enumerate(sizes, 1):
        for index in range(size):
            number += 1
            yield number, run, index


def _status(number: int) -> str:
    return STATUSES[number * 37 % len(STATUSES)]


OUTCOMES = {
    ObjectStatus.COMPLETED.name: TokenOutcome.COMPLETED.value,
    ObjectStatus.HALTED.name: TokenOutcome.HALTED.value,
    ObjectStatus.ERROR.name: TokenOutcome.FAILED.value,
}


def _tokens(sizes: list[int]) -> Iterator[dict[str, Any]]:
    for number, run, index in _numbered(sizes):
        status = _status(number)
        is_halted, has_failed = status == "HALTED", status == "ERROR"
        yield {
            "id": number,
            "workflow_id": run,
            "token_pos": index,
            "data": {"flight": number, "origin": "EWR", "dest": "ALB", "distance": number % 4000},
            "status": status,
            "outcome": OUTCOMES.get(status),
            "callback_pos": "1",
            "visits": "1",
            "steps": 0 if status == "INITIAL" else 2,
            "attempts": 0,
            "action": ACTIONS[number // 10 % len(ACTIONS)] if is_halted else None,
            "message": f"flight {number} has no distance" if is_halted else None,
            "payload": {"choices": ["accept", "reject"]} if is_halted else None,
            "error": ERROR if has_failed else None,
            "failure": f"{number % 7:032x}" if has_failed else None,
            "since": BEGAN + number / 10,
        }


def _steps(sizes: list[int]) -> Iterator[dict[str, Any]]:
    for number, _, _ in _numbered(sizes):
        status = _status(number)
        if status != "INITIAL":
            last = {"HALTED": "halted", "ERROR": "failed"}.get(status, "done")
            yield _step(number, 1, "split", "done")
            yield _step(number, 2, "check", last)


def _step(token: int, step: int, name: str, status: str) -> dict[str, Any]:
    began = BEGAN + token / 10 + step / 100
    return {
        "object_id": token,
        "step": step,
        "event": "task",
        "path": str(step - 1),
        "name": name,
        "visit": step - 1,
        "attempt": 1,
        "status": status,
        "started": began,
        "finished": began + token % 90 / 10_000,
    }


def _audit(number: int) -> dict[str, Any]:
    return {
        "at": BEGAN + number,
        "who": "ada",
        "action": "decide",
        "run_uuid": _run(number % RUNS + 1, 0)["uuid"],
        "object_id": number * 10,
        "details": {"decision": "accept"},
    }


def looks(store: Store) -> dict[str, Callable[[], Any]]:
    """Return what people look at, by what it is called."""
    largest, small = _run(1, 0)["uuid"], _run(RUNS // 2, 0)["uuid"]
    newest = store.runs(limit=1).items[0].uuid
    last = _last_token(store)
    return {
        "runs(), first page": store.runs,
        "runs(), last page": lambda: store.runs(offset=RUNS - 50),
        "runs(sort=name)": lambda: store.runs(sort="name"),
        "runs(sort=-tokens), the largest": lambda: store.runs(sort="-tokens"),
        "runs(status=HALTED)": lambda: store.runs(status=WorkflowStatus.HALTED),
        "runs(search)": lambda: store.runs(search="lights 4"),
        "runs(action)": lambda: store.runs(action="approve"),
        "summary(), the largest": lambda: store.summary(largest),
        "summary(), a small one": lambda: store.summary(small),
        "len(halted())": lambda: len(store.halted()),
        "halted(), 50 tokens": lambda: _first(store.halted(), 50),
        "len(halted(action))": lambda: len(store.halted(action="approve")),
        "halted(action), 50 tokens": lambda: _first(store.halted(action="approve"), 50),
        "halted(the largest), 50 tokens": lambda: _first(store.halted(largest), 50),
        "len(halted(a small one))": lambda: len(store.halted(small)),
        "tokens()[:50], the largest": lambda: store.tokens(largest)[:50],
        "tokens()[-50:], the largest": lambda: store.tokens(largest)[-50:],
        "tokens(HALTED)[1000:1050]": lambda: store.tokens(largest, ObjectStatus.HALTED)[1000:1050],
        "timings(), the largest": lambda: store.timings(largest),
        "timings(), a small one": lambda: store.timings(small),
        "slowest(), the largest": lambda: store.slowest(largest),
        "activity(), the largest": lambda: store.activity(largest),
        "activity(), a small one": lambda: store.activity(small),
        "activity(), the newest": lambda: store.activity(newest),
        "activity(after=0), the largest": lambda: store.activity(largest, after=0),
        "audit()": store.audit,
        "audit(uuid)": lambda: store.audit(uuid=small),
        "audit(token_id)": lambda: store.audit(token_id=last),
        "history()": lambda: [step.changes for step in store.history(last)],
    }


def pages(store: Store) -> dict[str, Callable[[], Any]]:
    """Return what the console's pages do when somebody opens them, by the path of each."""
    from starlette.testclient import TestClient

    from wfengine.web.app import create_app

    store.definitions.add("flights", [_split, _check], replace=True)
    client = TestClient(create_app(store), base_url="http://127.0.0.1:8000")
    largest, small = _run(1, 0)["uuid"], _run(RUNS // 2, 0)["uuid"]
    last = _last_token(store)
    waiting = next(iter(store.halted(action="approve"))).id
    end = f"page={(int(TOKENS * LARGEST) - 1) // 50 + 1}"
    paths = [
        "/runs",
        f"/runs?page={RUNS // 50}",
        "/runs?sort=name",
        "/runs?sort=-tokens",
        "/runs?status=HALTED&search=lights+4",
        "/runs?action=approve",
        *(
            f"/runs/{uuid}?view={view}"
            for uuid in (largest, small)
            for view in ("definition", "tokens", "timeline", "failures", "data")
        ),
        f"/runs/{largest}?node=1",
        f"/runs/{largest}?view=tokens&{end}",
        f"/runs/{largest}?view=tokens&status=HALTED",
        "/pen",
        "/pen?action=approve",
        f"/pen?run={largest}",
        f"/pen?run={small}",
        f"/pen?token={waiting}&edit=form",
        f"/tokens/{last}",
        f"/tokens/{waiting}",
        "/definitions",
        "/definitions/one?name=flights",
        "/audit",
        f"/audit?run={small}",
    ]

    def ask(path: str) -> None:
        answer = client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"

    return {path: functools.partial(ask, path) for path in paths}


def _first(found: Any, count: int) -> list[Any]:
    return [token for token, _ in zip(found, range(count), strict=False)]


def _last_token(store: Store) -> int:
    return store.tokens(_run(RUNS // 2, 0)["uuid"])[-1].id


def seconds(look: Callable[[], Any]) -> float:
    """Return how long it takes, the median of some."""
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        look()
        taken.append(time.perf_counter() - began)
    return median(taken)


def main(arguments: list[str]) -> int:
    """Fill a store and print what each look takes; return 1 if one takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--directory", type=Path, default=Path.cwd(), help="where the file goes")
    parser.add_argument("--keep", type=Path, help="use this file, and fill it if it is not there")
    parser.add_argument("--console", action="store_true", help="measure the console's pages")
    chosen = parser.parse_args(arguments)
    if chosen.keep is not None:
        return measure(f"sqlite:///{chosen.keep}", chosen, is_new=not chosen.keep.exists())
    with databases.file(chosen.directory) as url:
        return measure(url, chosen, is_new=True)


def measure(url: str, chosen: argparse.Namespace, *, is_new: bool) -> int:
    """Print what each look takes."""
    with Store(url) as store:
        store.prepare()
        if is_new:
            began = time.perf_counter()
            fill(store, chosen.runs, chosen.tokens)
            print(f"filled in {time.perf_counter() - began:.0f} s")
        print(f"{chosen.runs:,} runs, {chosen.tokens:,} tokens, {databases.described(url)}")
        slow = 0
        budget = PAGE_BUDGET if chosen.console else BUDGET
        for name, look in (pages if chosen.console else looks)(store).items():
            taken = seconds(look)
            slow += taken > budget
            shown = name.replace(_run(1, 0)["uuid"], "LARGEST").replace(
                _run(RUNS // 2, 0)["uuid"], "SMALL"
            )
            print(f"{shown:40} {taken * 1000:8.1f} ms{'  too slow' if taken > budget else ''}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
