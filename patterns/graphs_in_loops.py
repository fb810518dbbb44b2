"""A GRAPH in an event loop: elements with coroutine functions run in it, others in threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from .branches import BranchRun, in_thread, needs_loop
from .combining import CombiningLock
from .nodes import Plan
from .visits import Element, Visit

__all__ = ["run_in_loop"]


async def run_in_loop(plan: Plan, obj: Any, eng: Any) -> Any:
    """Run a graph, awaiting in the running event loop what has to be awaited."""
    crew = LoopCrew(plan.limit)
    visit = Visit(plan, crew, obj, eng)
    try:
        visit.begin()
        await crew.until_over(visit)
    except BaseException as error:
        visit.abandon(error)
        crew.cancel()
        raise
    return visit.settle()


class LoopCrew:
    """Runs elements as tasks of an event loop; does for a visit what a :class:`Crew` does."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Element] = deque()
        self._running: dict[Any, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._change = asyncio.Event()
        self.lock = CombiningLock()
        self.fatal: BaseException | None = None

    def element_of(self, eng: Any) -> None:
        """Return None: a graph inside of an element has a crew of its own."""

    def take_on(self, eng: Any, element: Any) -> None:
        """Note that an engine is running."""
        self._running[eng] = element

    def let_go(self, eng: Any) -> None:
        """Note that it is not any more."""
        self._running.pop(eng, None)

    def engines(self) -> list[Any]:
        """Return the engines of all that is running."""
        return list(self._running)

    def engines_of(self, visit: Visit) -> list[Any]:
        """Return those of one graph."""
        return [eng for eng, element in tuple(self._running.items()) if element.visit is visit]

    def is_full(self) -> bool:
        """Return whether nothing can begin before something that runs has ended."""
        return self._limit is not None and len(self._running) >= self._limit

    def add(self, job: Any) -> None:
        """Have a job run as soon as it may, from any thread."""
        self._loop.call_soon_threadsafe(self._take, job)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something called after so long."""
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, call)

    def leave(self, call: Callable[[], None]) -> None:
        """Have something short called under the lock."""
        with self.lock:
            call()

    def wake(self) -> None:
        """Look again whether all is over."""
        self._loop.call_soon_threadsafe(self._change.set)

    def fail(self, error: BaseException) -> None:
        """Have an error come out of the graph that no element can answer for."""
        self.fatal = self.fatal or error
        self.wake()

    def cancel(self) -> None:
        """Cancel what is awaited."""
        for task in self._tasks:
            task.cancel()

    async def until_over(self, visit: Visit) -> None:
        """Wait until nothing runs any more.

        :raises BaseException: what :meth:`fail` was told of.
        """
        while not visit.begin() and self.fatal is None:
            await self._change.wait()
            self._change.clear()
        if self.fatal is not None:
            raise self.fatal

    def _take(self, job: Any) -> None:
        if not isinstance(job, Element):
            job()
            return
        self._waiting.append(job)
        self._start()

    def _start(self) -> None:
        while self._waiting and (self._limit is None or len(self._tasks) < self._limit):
            task = asyncio.ensure_future(self._run(self._waiting.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(error)
        self._start()

    async def _run(self, element: Element) -> None:
        visit = element.visit
        if not visit.begin_element(element):
            return
        try:
            await _ran(element.run)
        except BaseException as error:
            visit.end_element(element, error)
        else:
            visit.end_element(element, None)


async def _ran(run: BranchRun | None) -> None:
    assert run is not None  # noqa: S101 - it was opened
    if needs_loop(run.child.callbacks.get()):
        await run.run_async()
    else:
        await asyncio.wrap_future(in_thread(run, daemon=True))
