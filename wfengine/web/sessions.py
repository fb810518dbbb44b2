"""Who is signed in: kept in a signed cookie, so that nothing grows with the number of visitors."""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock

from attrs import define, field, frozen

__all__ = ["LONGEST_NAME", "Notice", "Notices", "Session", "Sessions", "Throttle"]

LONGEST_NAME = 100

LIFETIME = 12 * 3600
"""Seconds without a visit after which one has to sign in again."""

RENEWED_AFTER = 600
"""Seconds after which a cookie is written anew, so that who works is not signed out."""

MOST = 10_000
"""How many entries are remembered of anything at most."""


@frozen
class Session:
    """A signed-in browser.

    :param name: who it is, as they said.
    :param number: which session of theirs; a random text.
    :param csrf: what each form of theirs has to carry.
    :param issued: when its cookie was written, in seconds since 1970.
    """

    name: str
    number: str
    csrf: str
    issued: int


class Sessions:
    """Makes cookies and reads them; another process's are nothing to it.

    :param clock: returns seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def begin(self, name: str) -> Session:
        """Return a new session."""
        return self._session(name, secrets.token_urlsafe(16), int(self._clock()))

    def renewed(self, session: Session) -> Session:
        """Return the same session, to be kept longer."""
        return self._session(session.name, session.number, int(self._clock()))

    def is_old(self, session: Session) -> bool:
        """Return whether it is time to write its cookie anew."""
        return self._clock() - session.issued > RENEWED_AFTER

    def end(self, session: Session) -> None:
        """Let its cookie count no more."""
        with self._lock:
            self._ended[session.number] = None
            while len(self._ended) > MOST:
                self._ended.popitem(last=False)

    def cookie(self, session: Session) -> str:
        """Return what the browser keeps."""
        name = urlsafe_b64encode(session.name.encode()).decode()
        text = f"{session.number}.{session.issued}.{name}"
        return f"{text}.{self._mark('cookie', text)}"

    def read(self, cookie: str) -> Session | None:
        """Return the session of a cookie, if it is one of ours and not over."""
        text, _, mark = cookie.rpartition(".")
        if not hmac.compare_digest(mark.encode(), self._mark("cookie", text).encode()):
            return None
        try:
            number, issued, name = text.split(".")
            session = self._session(urlsafe_b64decode(name).decode(), number, int(issued))
        except (ValueError, NotBase64):
            return None
        is_over = self._clock() - session.issued > LIFETIME or number in self._ended
        return None if is_over else session

    def _session(self, name: str, number: str, issued: int) -> Session:
        return Session(name, number, self._mark("form", number), issued)

    def _mark(self, purpose: str, text: str) -> str:
        return hmac.digest(self._key, f"{purpose} {text}".encode(), "sha256").hex()


@define
class Throttle:
    """Counts failures, and says when there have been too many.

    :param most: so many,
    :param seconds: within so many seconds.
    """

    most: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    _failed: OrderedDict[str, deque[float]] = field(factory=OrderedDict)
    _lock: Lock = field(factory=Lock)

    def wait(self, who: str) -> float:
        """Return for how many seconds somebody has to wait; 0 if not at all."""
        with self._lock:
            failed = self._failed.get(who)
            if failed is None or len(failed) < self.most:
                return 0.0
            return max(failed[0] + self.seconds - self.clock(), 0.0)

    def fail(self, who: str) -> None:
        """Count a failure of somebody's."""
        with self._lock:
            failed = self._failed.setdefault(who, deque(maxlen=self.most))
            failed.append(self.clock())
            self._failed.move_to_end(who)
            while len(self._failed) > MOST:
                self._failed.popitem(last=False)


@frozen
class Notice:
    """What is said once, on the next page that somebody sees."""

    text: str
    is_problem: bool = False


class Notices:
    """What is to be said to whom."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, list[Notice]] = OrderedDict()
        self._lock = Lock()

    def add(self, session: Session, notice: Notice) -> None:
        """Say something on the next page."""
        with self._lock:
            self._waiting.setdefault(session.number, []).append(notice)
            while len(self._waiting) > MOST:
                self._waiting.popitem(last=False)

    def take(self, session: Session) -> list[Notice]:
        """Return what is to be said, which is not said again."""
        with self._lock:
            return self._waiting.pop(session.number, [])
