"""A lock whose holder does what others leave to it.

Threads that take turns at a lock for every little thing spend their time waking each other. Here
one leaves a call and goes on; whoever has the lock makes it before letting go. This is known as
flat combining (D. Hendler, I. Incze, N. Shavit and M. Tzafrir, 2010).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

__all__ = ["CombiningLock"]


class CombiningLock:
    """A reentrant lock, for ``with``, that also takes calls.

    >>> lock = CombiningLock()
    >>> with lock:
    ...     lock.leave(lambda: print("then this"))
    ...     print("first this")
    first this
    then this
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._depth = 0
        self._calls: deque[Callable[[], None]] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()
        self._depth += 1

    def __exit__(self, *exc_info: object) -> None:
        if self._depth > 1:
            self._depth -= 1
            self._lock.release()
        else:
            self._let_go()
            self._make_calls()

    def leave(self, call: Callable[[], None]) -> None:
        """Have a call made that does not raise: now, or soon by whoever has the lock.

        Calls are made one after the other, in the order in which they were left.
        """
        self._calls.append(call)
        if self._owner != threading.get_ident():
            self._make_calls()

    def _make_calls(self) -> None:
        """Make the calls, unless somebody has the lock, who makes them before letting go of it."""
        while self._calls and self._lock.acquire(blocking=False):
            self._owner = threading.get_ident()
            self._depth += 1
            self._let_go()

    def _let_go(self) -> None:
        try:
            while self._calls:
                self._calls.popleft()()
        finally:
            self._owner = None
            self._depth -= 1
            self._lock.release()
