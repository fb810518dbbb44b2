"""Crews: the threads that run the elements of a graph, and of the graphs inside of it.

The thread that began the outermost graph is one of its crew; others come as they are needed.
Whoever has ended an element takes the next, so that nothing has to be handed from one thread to
another, and nobody waits in a thread for an inner graph. A thread that has something to do takes it
without the lock, which is for those who have nothing, and for graphs with limits of their own.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from itertools import count
from typing import Any, ClassVar, Protocol

from attrs import frozen

from .combining import CombiningLock

__all__ = ["Crew", "Job", "current_crew"]

MANY = 1000
"""How many threads there are at most where there is no limit."""


class Slots(Protocol):
    """A graph that lets only so many of its elements run at a time."""

    limit: int
    taken: int
    held: deque[Any]


class Job(Protocol):
    """Something to run in a thread of the crew."""

    @property
    def slots(self) -> tuple[Slots, ...]:
        """The graphs around it that have limits of their own."""

    @property
    def is_for_caller(self) -> bool:
        """Whether only the thread that began the outermost graph may run it."""

    @property
    def is_urgent(self) -> bool:
        """Whether it is done before what is not: it takes no time, and somebody counts on it."""

    def __call__(self) -> None:
        """Do it."""


@frozen
class _Call:
    """A call whose time has come; made without the lock, since it may wait for others."""

    call: Callable[[], None]
    slots: ClassVar[tuple[Slots, ...]] = ()
    is_for_caller: ClassVar[bool] = False
    is_urgent: ClassVar[bool] = True

    def __call__(self) -> None:
        self.call()


_crew: ContextVar[Crew | None] = ContextVar("crew", default=None)


def current_crew() -> Crew | None:
    """Return the crew that the calling thread belongs to, if any."""
    return _crew.get()


class Crew:
    """Runs jobs in at most so many threads.

    :param limit: of threads, the caller's own included; None for as many as are needed.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = MANY if limit is None else limit
        self._urgent: deque[Job] = deque()
        self._jobs: deque[Job] = deque()
        self._jobs_of_caller: deque[Job] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._size = 1
        self._threads: list[threading.Thread] = []
        self._resting: dict[int, threading.Lock] = {}
        """The threads that have nothing to do, each with what it waits at."""
        self._is_over = False
        self._caller = threading.get_ident()
        self._context: Context = copy_context()
        self.lock = CombiningLock()
        self._turned: dict[Any, Any] = {}
        self.fatal: BaseException | None = None

    # Whose runs are turned here

    def turns(self, eng: Any) -> bool:
        """Return whether the run of an engine is one that gives way where it has to wait."""
        return eng in self._turned and not eng.overrides("execute_callback")

    def take_on(self, eng: Any, element: Any) -> None:
        """Note that the run of an engine, which is that of an element, is turned here."""
        self._turned[eng] = element

    def let_go(self, eng: Any) -> None:
        """Note that it is over."""
        self._turned.pop(eng, None)

    def element_of(self, eng: Any) -> Any:
        """Return the element whose run an engine runs, or None."""
        return self._turned.get(eng)

    def engines(self) -> list[Any]:
        """Return the engines of all that is running."""
        return list(self._turned)

    def engines_of(self, visit: Any) -> list[Any]:
        """Return those of one graph."""
        return [eng for eng, element in tuple(self._turned.items()) if element.visit is visit]

    def is_full(self) -> bool:
        """Return whether nothing can begin before something that runs has ended."""
        running = sum(not element.has_given_way for element in tuple(self._turned.values()))
        return running >= self._limit

    # What is to be done

    def add(self, job: Job) -> None:
        """Have a job run as soon as there is a thread for it."""
        with self.lock:
            if job.is_for_caller:
                self._jobs_of_caller.append(job)
                self._wake(self._caller)
            else:
                (self._urgent if job.is_urgent else self._jobs).append(job)
                self._have_helped()

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something called after so long, by a thread that has nothing else to do."""
        with self.lock:
            heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), call))
            self._have_helped()

    def leave(self, call: Callable[[], None]) -> None:
        """Have something short called under the lock, now or soon, by whoever has it."""
        self.lock.leave(lambda: self._called(call))

    def _called(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            self.fail(error)

    def wake(self) -> None:
        """Have the caller look again whether what it waits for is over."""
        with self.lock:
            self._wake(self._caller)

    def fail(self, error: BaseException) -> None:
        """Have an error come out of the outermost graph that no element can answer for."""
        with self.lock:
            if self.fatal is None:
                self.fatal = error
            self._wake(self._caller)

    # The threads

    def work_until(self, is_over: Callable[[], bool]) -> None:
        """Be one of the crew until something is over; then the others go.

        :raises BaseException: what :meth:`fail` was told of.
        """
        before = _crew.set(self)
        try:
            self._work(lambda: is_over() or self.fatal is not None)
        finally:
            _crew.reset(before)
            with self.lock:
                self._is_over = True
                for jobs in (self._urgent, self._jobs, self._jobs_of_caller):
                    jobs.clear()
                self._timers.clear()
                for resting in tuple(self._resting):
                    self._wake(resting)
        if self.fatal is not None:
            raise self.fatal
        for thread in self._threads:
            thread.join()

    def _work(self, is_over: Callable[[], bool]) -> None:
        is_caller = threading.get_ident() == self._caller
        while not is_over():
            job = self._next(is_caller)
            if job is None:
                self._rest(is_caller, is_over)
                continue
            job()
            if job.slots:
                self._free(job)

    def _next(self, is_caller: bool) -> Job | None:
        """Return what is to be done next, for which there is room in each graph around it."""
        if self._is_time():
            with self.lock:
                if self._is_time():
                    return _Call(heapq.heappop(self._timers)[2])
        job = self._taken(self._urgent) if self._urgent else None
        if job is None and is_caller:
            job = self._taken(self._jobs_of_caller)
        if job is None:
            job = self._taken(self._jobs)
        if job is not None and (self._jobs or self._timers) and self._may_grow():
            with self.lock:
                self._have_helped()
        return job

    def _is_time(self) -> bool:
        timers = self._timers[:1]
        return bool(timers) and timers[0][0] <= time.monotonic()

    def _taken(self, jobs: deque[Job]) -> Job | None:
        while True:
            try:
                job = jobs.popleft()
            except IndexError:
                return None
            if not job.slots or self._has_room(job):
                return job

    def _has_room(self, job: Job) -> bool:
        """Take a place in each graph around a job that has a limit, or have it wait at one."""
        with self.lock:
            full = next((slot for slot in job.slots if slot.taken >= slot.limit), None)
            if full is None:
                for slot in job.slots:
                    slot.taken += 1
                return True
            full.held.append(job)
            self._offer(slot for slot in job.slots if slot is not full)
            return False

    def _free(self, job: Job) -> None:
        with self.lock:
            for slot in job.slots:
                slot.taken -= 1
            self._offer(job.slots)

    def _offer(self, slots: Any) -> None:
        """Take up what was held back, where there is room again."""
        for slot in slots:
            if slot.held and slot.taken < slot.limit:
                self.add(self._first_to_go(slot.held))

    def _first_to_go(self, held: deque[Any]) -> Job:
        """Take the first that was held back; before what the caller has no time for, others."""
        number = 0
        if held[0].is_for_caller and not self._caller_has_time():
            others = (number for number, job in enumerate(held) if not job.is_for_caller)
            number = next(others, 0)
        job: Job = held[number]
        del held[number]
        return job

    def _caller_has_time(self) -> bool:
        """Return whether the caller takes the next job at once that only it may run."""
        is_here = threading.get_ident() == self._caller or self._caller in self._resting
        return is_here and not self._jobs_of_caller

    # Resting, and waking

    def _rest(self, is_caller: bool, is_over: Callable[[], bool]) -> None:
        """Wait until there may be something to do, or for the next timer."""
        waits_at = threading.Lock()
        waits_at.acquire()
        with self.lock:
            has_some = self._urgent or self._jobs or (is_caller and self._jobs_of_caller)
            if has_some or is_over():
                return
            seconds = -1.0
            if self._timers:
                seconds = min(self._timers[0][0] - time.monotonic(), threading.TIMEOUT_MAX)
                if seconds <= 0:
                    return
            self._resting[threading.get_ident()] = waits_at
        if not waits_at.acquire(timeout=seconds):
            with self.lock:
                self._resting.pop(threading.get_ident(), None)

    def _wake(self, thread: int) -> None:
        """Wake a thread, if it rests; called under the lock."""
        waits_at = self._resting.pop(thread, None)
        if waits_at is not None:
            waits_at.release()

    def _have_helped(self) -> None:
        """Wake somebody who rests, or take on another thread; called under the lock."""
        if self._resting:
            self._wake(next(reversed(self._resting)))
        else:
            self._grow()

    def _may_grow(self) -> bool:
        return self._size < self._limit and not self._resting

    def _grow(self) -> None:
        if self._size >= self._limit or self._is_over:
            return
        thread = threading.Thread(target=self._serve, name=f"crew {self._size}", daemon=True)
        self._size += 1
        try:
            thread.start()
        except RuntimeError:  # the system has no more
            self._size -= 1
        else:
            self._threads.append(thread)

    def _serve(self) -> None:
        self._context.copy().run(self._serve_in_context)

    def _serve_in_context(self) -> None:
        _crew.set(self)
        try:
            self._work(lambda: self._is_over)
        except BaseException as error:
            self.fail(error)
