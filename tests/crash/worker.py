"""What happens in the processes that are killed, and in the one that they are forked from.

A new interpreter takes long to start. So one process imports everything, opens nothing, and forks
a worker for each job; it obeys orders, one JSON document a line, each answered by another line.
"""

import faulthandler
import gc
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, frozen
from sqlalchemy import select

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import (
    HaltProcessing,
    LeaseHeldError,
    LeaseLostError,
    WorkflowObjectStatusError,
)
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store, WorkflowObject

from .definition import Base, Refused, Tally, Workshop, orders
from .findings import look
from .killing import Fate, Point, WatchedLedger, engine_options

__all__ = ["Job", "Stuck", "main"]

MOST_TURNS = 100
"""How often a worker takes a run up before it counts as stuck."""

PATIENCE = 60.0
"""Seconds after which it does so if others keep the run from it."""

LONGEST_SLEEP = 0.05


class Stuck(Exception):
    """A run that does not come to its end."""


@frozen
class Job:
    """One run, and how a process is to deal with it.

    :param run: the name of the run.
    :param folder: where its ledger is.
    :param checkpoint: the policy, and of how many tokens a checkpoint is at least.
    :param stops: whether a halt or an error stops the run.
    :param is_streamed: whether its tokens come from an iterator.
    :param decides: whether somebody decides about tokens that halted; otherwise they are just
        resumed.
    :param lease_seconds: how long a dead process keeps the run.
    :param later: seconds by which this process's clock is ahead.
    :param at: where it gets a signal.
    """

    url: str
    run: str
    folder: str
    checkpoint: str = "task"
    checkpoint_tokens: int = 1
    stops: bool = True
    is_streamed: bool = False
    decides: bool = False
    lease_seconds: float = 30.0
    later: float = 0.0
    synchronous: str = "NORMAL"
    at: Point | None = None
    signal: int = signal.SIGKILL

    @property
    def ledger(self) -> Path:
        """The file of its ledger."""
        return Path(self.folder) / f"{self.run}.ledger"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Job":
        """Read plain data."""
        at = data.pop("at")
        return cls(**data, at=Point(**at) if at else None)


@define
class Driver:
    """Brings a run to its end, whatever state it finds it in, unless it is killed."""

    job: Job
    store: Store
    workshop: Workshop
    met: Counter[str] = field(factory=Counter)

    def carry_on(self) -> None:
        """Take the run up again and again.

        :raises Stuck: when that leads nowhere.
        """
        end = time.monotonic() + PATIENCE
        while self.met.total() - self.met["LeaseHeldError"] < MOST_TURNS and time.monotonic() < end:
            try:
                if self._take_up():
                    return
            except LeaseHeldError as held:
                self.met["LeaseHeldError"] += 1
                self._sleep_until(held)
            except (HaltProcessing, LeaseLostError, Refused) as error:
                self.met[type(error).__name__] += 1
            except ExceptionGroup as group:  # of branches
                if group.split(LeaseLostError)[1] is not None:
                    raise
                self.met[LeaseLostError.__name__] += 1
            else:
                self.met["return"] += 1
        raise Stuck(f"the run does not come to its end: {dict(self.met)}")

    def _sleep_until(self, held: LeaseHeldError) -> None:
        assert held.until is not None
        left = held.until.timestamp() - self.store.clock()
        time.sleep(min(max(left, 0.001), LONGEST_SLEEP))

    def _take_up(self) -> bool:
        """Do what is to be done next; return whether there is nothing."""
        run = self.store.find_run(name=self.job.run, parent_id=None)
        if run is None:
            self._begin(self._new_engine())
        elif run.status is WorkflowStatus.COMPLETED and not self._failed(run):
            return True
        elif not run.token_count:
            self._begin(self._engine(run))
        else:
            self._go_on(self._engine(run), run)
        return False

    def _failed(self, run: Any) -> int:
        """Return how many tokens have failed; a run that is over may have some."""
        return len(self.store.tokens(run.uuid, ObjectStatus.ERROR))

    def _new_engine(self) -> DbWorkflowEngine:
        job = self.job
        return DbWorkflowEngine.with_name(
            job.run,
            store=self.store,
            definition=self.workshop.definition(),
            checkpoint=job.checkpoint,
            checkpoint_tokens=job.checkpoint_tokens,
        )

    def _begin(self, eng: DbWorkflowEngine) -> None:
        stops = self.job.stops
        eng.process(self._tokens(), stop_on_error=stops, stop_on_halt=stops)

    def _tokens(self) -> Any:
        return iter(orders()) if self.job.is_streamed else orders()

    def _go_on(self, eng: DbWorkflowEngine, run: Any) -> None:
        waiting = self._waiting(run) if self.job.stops and self.job.decides else None
        try:
            if waiting is not None:
                self._decide(eng, waiting)
            else:
                eng.resume()
        except WorkflowObjectStatusError:
            self._look_around(run)

    def _look_around(self, run: Any) -> None:
        """Do what is left, since nothing can be resumed: decide, or read the rest of the input."""
        waiting, eng = self._waiting(run), self._engine(run)
        if waiting is not None:
            self._decide(eng, waiting)
        elif self.job.is_streamed:
            eng.resume(objects=self._tokens())
        else:
            self.met["nothing to resume"] += 1

    def _engine(self, run: Any) -> DbWorkflowEngine:
        definition = self.workshop.definition()
        return DbWorkflowEngine.from_uuid(run.uuid, store=self.store, definition=definition)

    def _decide(self, eng: DbWorkflowEngine, token_id: int) -> None:
        try:
            if self.job.decides:
                self.store.decide(token_id, "yes", by="the driver")
            else:
                eng.resume(token_id)
        except WorkflowObjectStatusError:  # another worker was first
            self.met["nothing to resume"] += 1

    def _waiting(self, run: Any) -> int | None:
        """Return the first token about which somebody has to decide."""
        query = (
            select(WorkflowObject.id)
            .where(
                WorkflowObject.workflow_id == run.id,
                WorkflowObject.status == "HALTED",
                WorkflowObject.action.is_not(None),
                WorkflowObject.decision.is_(None),
            )
            .order_by(WorkflowObject.token_pos)
        )
        with self.store.session() as session:
            return session.scalars(query).first()


# The jobs


def opened(job: Job, fate: Fate) -> Store:
    """Return the store of a job, its clock ahead."""
    return Store(
        job.url,
        lease_seconds=job.lease_seconds,
        synchronous=job.synchronous,
        clock=lambda: time.time() + job.later,
        **engine_options(job.url, fate),
    )


def prepare(job: Job) -> Any:
    """Make the user's own tables, and wfengine's."""
    with opened(job, Fate()) as store:
        Base.metadata.create_all(store.database.engine)


def prepare_run(job: Job) -> Any:
    """Make the row that all tasks of a run change."""
    with opened(job, Fate()) as store, store.session() as session:
        session.add(Tally(run=job.run, steps=0))


def carry_on(job: Job) -> Any:
    """Bring a run to its end; return what was met on the way, and how much was done."""
    fate = Fate(job.at, job.signal)
    with opened(job, fate) as store:
        ledger = WatchedLedger(job.ledger, fate)
        driver = Driver(job, store, Workshop(ledger, job.run))
        driver.carry_on()
    return {"met": driver.met, "counts": fate.counts}


def look_at(job: Job) -> Any:
    """Return all that a run has left behind."""
    with opened(job, Fate()) as store:
        return look(store, job.run, WatchedLedger(job.ledger, Fate()))


WORK = {act.__name__: act for act in (prepare, prepare_run, carry_on, look_at)}


# The process that workers are forked from


class Nursery:
    """Starts workers, sends them signals, and tells what became of them."""

    def __init__(self) -> None:
        self._alive: set[int] = set()

    def start(self, work: str, job: dict[str, Any], report: str) -> int:
        """Fork a worker; return its process id."""
        pid = os.fork()
        if not pid:
            self._work(work, Job.of(job), Path(report))
        self._alive.add(pid)
        return pid

    @staticmethod
    def _work(work: str, job: Job, report: Path) -> None:
        log = os.open(f"{report}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        faulthandler.register(signal.SIGUSR1, file=2)
        try:
            found = {"result": WORK[work](job)}
        except BaseException as error:  # noqa: BLE001 - the harness is told
            found = {"error": type(error).__name__, "traceback": traceback.format_exc()}
        report.write_text(json.dumps(found))
        os._exit(0)

    def wait(self, pid: int, seconds: float) -> str | None:
        """Return ``ended``, ``killed`` or ``stopped``; None when it still runs."""
        end = time.monotonic() + seconds
        while True:
            found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if found and os.WIFSTOPPED(status):
                return "stopped"
            if found:
                self._alive.discard(pid)
                return "killed" if os.WIFSIGNALED(status) else "ended"
            if time.monotonic() >= end:
                return None
            time.sleep(0.001)

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a worker that has not been waited for."""
        if pid in self._alive:
            os.kill(pid, number)

    def close(self) -> None:
        """Kill those that are left."""
        for pid in tuple(self._alive):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> None:
    """Obey until there are no more orders."""
    gc.freeze()
    nursery = Nursery()
    try:
        for line in sys.stdin:
            order = json.loads(line)
            answer = getattr(nursery, order.pop("do"))(**order)
            print(json.dumps(answer), flush=True)
    finally:
        nursery.close()


if __name__ == "__main__":
    main()
