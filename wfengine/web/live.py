"""What has changed in the store, told to all open pages.

One thread looks, once a second, and only while somebody watches. However many pages are open, the
store is asked once.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from attrs import define, frozen

from wfengine.errors import WorkflowError
from wfengine.store.watching import Marks, changed_runs, marks

if TYPE_CHECKING:
    from wfengine.store import Store

__all__ = ["Live", "News"]

BEAT = 15.0
"""Seconds after which a silent connection carries something, so that a broken one is noticed."""


@frozen
class News:
    """Something that pages are told.

    :param kind: ``changed``, ``away`` when the store does not answer, ``back`` when it does again.
    :param runs: of a change, the uuids of the runs; None where that may be any.
    :param since: when the store was last seen.
    """

    kind: str
    version: int
    runs: tuple[str, ...] | None = None
    since: datetime | None = None
    problem: str = ""

    def text(self) -> str:
        """Return it as an event of a stream."""
        data: dict[str, Any] = {"version": self.version, "runs": self.runs}
        if self.since is not None:
            data.update(since=self.since.isoformat(), problem=self.problem)
        return f"event: {self.kind}\ndata: {json.dumps(data)}\n\n"


@define(eq=False)
class _Watcher:
    """A page that is open, and the event loop in which its connection is served."""

    loop: asyncio.AbstractEventLoop
    news: asyncio.Queue[News | None]

    def tell(self, news: News | None) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it the connection
            self.loop.call_soon_threadsafe(self.news.put_nowait, news)


class Live:
    """Looks for changes, and tells who watches.

    :param every: seconds between two looks.
    :param clock: returns the time.
    """

    def __init__(
        self,
        store: Store,
        every: float = 1.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.version = 0
        self._store, self._every, self._clock = store, every, clock
        self._watchers: set[_Watcher] = set()
        self._marks: Marks | None = None
        self._away: News | None = None
        self._seen: datetime | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    async def watch(self) -> AsyncIterator[str]:
        """Yield events for one page, until the console is closed."""
        watcher = _Watcher(asyncio.get_running_loop(), asyncio.Queue())
        self._add(watcher)
        try:
            yield f"retry: 2000\n{News('hello', self.version).text()}"
            while True:
                try:
                    news = await asyncio.wait_for(watcher.news.get(), BEAT)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if news is None:
                    return
                yield news.text()
        finally:
            with self._lock:
                self._watchers.discard(watcher)

    def hurry(self) -> None:
        """Look at once, because this console has changed something."""
        self._wake.set()

    def renew(self) -> None:
        """Have all pages look again, because there is something new to be shown."""
        self._tell("changed")

    def leave(self) -> None:
        """Say good-bye to all pages, and look no more; a signal handler may call this."""
        self._is_closed = True
        self._wake.set()
        for watcher in list(self._watchers):
            watcher.tell(None)

    def close(self) -> None:
        """Do so, and wait until the last look is over."""
        self.leave()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _add(self, watcher: _Watcher) -> None:
        with self._lock:
            if self._is_closed:
                watcher.news.put_nowait(None)
                return
            self._watchers.add(watcher)
            if self._away is not None:
                watcher.news.put_nowait(self._away)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="wfengine live")
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._is_closed or not self._watchers:
                    self._thread = None
                    return
            self._look()
            self._wake.wait(self._every)
            self._wake.clear()

    def _look(self) -> None:
        try:
            found = marks(self._store)
        except WorkflowError as error:
            self._is_away(error.message)
            return
        before, self._marks, self._seen = self._marks, found, self._clock()
        if self._away is not None:
            self._away = None
            self._tell("back")
        elif before is not None and before != found:
            self._tell("changed", changed_runs(before, found))

    def _is_away(self, problem: str) -> None:
        with suppress(WorkflowError):  # a connection that is broken is not used again
            self._store.database.engine.dispose()
        if self._away is None:
            since = self._seen or self._clock()
            self._away = News("away", self.version, None, since, problem)
            self._tell_all(self._away)

    def _tell(self, kind: str, runs: tuple[str, ...] | None = None) -> None:
        with self._lock:
            self.version += 1
            news = News(kind, self.version, runs)
        self._tell_all(news)

    def _tell_all(self, news: News) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher.tell(news)
