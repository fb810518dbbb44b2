"""Runs that the console itself has begun or taken up: they go on in threads of its process."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

from attrs import define, field

from wfengine.cli.tables import waiting_count
from wfengine.errors import StopRequested, WorkflowAPIError, WorkflowObjectStatusError

if TYPE_CHECKING:
    from wfengine.store import Store
    from wfengine.web.catalogue import Catalogue

__all__ = ["Job", "Runner"]

AT_ONCE = 8
"""How many runs go on at the same time; others wait for their turn."""

REMEMBERED = 1000
"""Of how many runs it is known what ended them."""

PATIENCE = 2.0
"""Seconds that somebody who stops a run waits for it."""

LONGEST_NAME = 200

log = logging.getLogger("wfengine.web")


@define(eq=False)
class Job:
    """Something that is being done with a run.

    :param what: in a word: ``start``, ``resume``, ...
    :param by: who wanted it.
    :param eng: its engine, where one has been made.
    :param problem: what ended it, if that was an error.
    """

    uuid: str
    what: str
    by: str
    eng: Any = None
    problem: str = ""
    future: Future[None] | None = field(default=None, repr=False)

    @property
    def is_going_on(self) -> bool:
        """Whether it is being done, or waits for its turn."""
        return self.future is None or not self.future.done()


class Runner:
    """Starts runs, goes on with them, and stops them."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store, self._catalogue = store, catalogue
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="wfengine run")
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = Lock()

    def job(self, uuid: str) -> Job | None:
        """Return what was done last with a run by this console."""
        return self._jobs.get(uuid)

    def start(self, name: str, tokens: Sequence[Any], by: str) -> str:
        """Begin a run, and return its uuid while it goes on.

        :raises WorkflowDefinitionError: for a definition that may not be run here.
        """
        eng = self._catalogue.begin(name)

        def process() -> None:
            eng.process(tokens, stop_on_halt=False, stop_on_error=False)

        said = {"definition": name[:LONGEST_NAME], "tokens": len(tokens)}
        self._begin(Job(eng.uuid, "start", by, eng), process, said)
        return str(eng.uuid)

    def resume(self, uuid: str, by: str) -> None:
        """Go on with a run.

        :raises WorkflowObjectStatusError: when there is nothing to go on with.
        """
        eng = self._catalogue.take_up(self._store.run(uuid))
        plan = eng.resume(dry_run=True)
        if plan.is_empty:
            raise WorkflowObjectStatusError(self._why_nothing(uuid), id_workflow=uuid)
        if plan.drift is not None and plan.drift.is_refused:
            raise WorkflowAPIError(plan.drift.text())

        def resume() -> None:
            eng.resume(stop_on_halt=False, stop_on_error=False)

        self._begin(Job(uuid, "resume", by, eng), resume, {})

    def restart(self, uuid: str, token: Any, task: Any, by: str) -> None:
        """Go on with a run at a token and a task.

        :param token: ``prev``, ``current``, ``next`` or ``first``; so is ``task``.
        """
        eng = self._catalogue.take_up(self._store.run(uuid))

        def restart() -> None:
            eng.restart(token, task, stop_on_halt=False, stop_on_error=False)

        self._begin(Job(uuid, "restart", by, eng), restart, {"token": token, "task": task})

    def treat(self, uuid: str, failure: str, how: str, by: str) -> int:
        """Take up the tokens of a run that failed alike; return how many these are.

        :param how: ``resume``, ``restart`` or ``skip``.
        """
        taken = self._catalogue.take_up(self._store.run(uuid))
        eng = None if how == "skip" else taken  # nothing is run then
        found = self._store.resume_failures(uuid, failure, how=how, dry_run=True)

        def treat() -> None:
            self._store.resume_failures(uuid, failure, how=how, by=by, engine=eng)

        self._begin(Job(uuid, f"{how} of failures", by, eng), treat)
        return len(found)

    def stop(self, uuid: str, by: str) -> bool:
        """Ask a run, wherever it goes on, to stop; return whether it has."""
        job = self._jobs.get(uuid)
        if job is None or not job.is_going_on or job.eng is None:
            return self._store.stop(uuid, by=by, wait=PATIENCE).is_stopped
        if self._store.stop(uuid, by=by, wait=0).is_stopped:  # it waits for its turn
            self._store.note("stop", by=by, uuid=uuid)
        job.eng.interrupt(StopRequested(by))
        return self._store.stop(uuid, by=by, wait=PATIENCE).is_stopped

    def close(self) -> None:
        """Stop all runs at their next checkpoint, and wait until they have."""
        for job in list(self._jobs.values()):
            if job.is_going_on and job.eng is not None:
                job.eng.interrupt(StopRequested("the end of the console"))
        self._threads.shutdown(cancel_futures=True)

    def _begin(
        self, job: Job, work: Callable[[], None], details: dict[str, Any] | None = None
    ) -> None:
        """Have something done, once it is written down who wanted it.

        :param details: for the audit; None where the store itself writes down who did it.
        """
        self._take(job)
        try:
            if details is not None:
                self._store.note(job.what, by=job.by, uuid=job.uuid, details=details or None)
            job.future = self._threads.submit(self._work, job, work)
        except BaseException:
            with self._lock:
                del self._jobs[job.uuid]
            raise

    def _take(self, job: Job) -> None:
        with self._lock:
            known = self._jobs.get(job.uuid)
            if known is not None and known.is_going_on:
                raise WorkflowObjectStatusError(
                    "this console is working on the run already: stop it first, or wait",
                    id_workflow=job.uuid,
                )
            self._jobs[job.uuid] = job
            self._jobs.move_to_end(job.uuid)
            self._forget()

    def _forget(self) -> None:
        for uuid, job in list(self._jobs.items()):
            if len(self._jobs) <= REMEMBERED:
                return
            if not job.is_going_on:
                del self._jobs[uuid]

    def _work(self, job: Job, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a task's own; the run's page tells of it
            job.problem = f"{type(error).__name__}: {error}"
            log.warning("%s of run %s ended: %s", job.what, job.uuid, job.problem)

    def _why_nothing(self, uuid: str) -> str:
        waiting = len(self._store.halted(uuid))
        if waiting:
            return f"There is nothing to go on with: {waiting_count(waiting)} for a decision."
        return "There is nothing left to do in this run."
