"""A way to a database server, through this machine, that can be cut at an exact place."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from attrs import define, field
from sqlalchemy import make_url

__all__ = ["BEFORE", "LATE", "UNANSWERED", "Proxy", "proxy_to"]

BEFORE = "before"
"""The message does not reach the server any more."""
UNANSWERED = "unanswered"
"""The server has done what the message asks for, but nobody is told so."""
LATE = "late"
"""The message reaches the server after the client has been told that the connection is gone."""

SIZE = 1 << 16


@define(eq=False)
class Pair:
    """A client's connection, and the one to the server that stands for it."""

    client: socket.socket
    server: socket.socket
    is_deaf: bool = False

    def sever(self) -> None:
        """End both."""
        for end in (self.client, self.server):
            sever(end)


def sever(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        end.close()


@define(eq=False)
class Proxy:
    """Hands on what clients and a server say to each other, until it is cut.

    :param messages: how many messages clients have sent since the last :meth:`mend`.
    """

    host: str
    port: int
    messages: int = 0
    has_cut: bool = False
    _at: int | None = None
    _containing: bytes = b""  # a regular expression
    _how: str = BEFORE
    _delay: float = 0.2
    _is_away: bool = False
    _pairs: list[Pair] = field(factory=list)
    _lock: Any = field(factory=threading.RLock)
    _listener: socket.socket = field(init=False)
    _threads: list[threading.Thread] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)

    @property
    def own_port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def cut(self, at: int, how: str, containing: bytes = b"") -> None:
        """Cut the connection at the n-th message from now on, of those that a pattern is in."""
        with self._lock:
            self.messages, self.has_cut = 0, False
            self._at, self._how, self._containing = at, how, containing

    def mend(self) -> None:
        """Cut nothing any more; count from 0."""
        with self._lock:
            self.messages, self._at, self._is_away = 0, None, False
            self._containing = b""

    def go_away(self) -> None:
        """End all connections, and refuse new ones."""
        with self._lock:
            self._is_away = True
            for pair in self._pairs:
                pair.sever()

    def close(self) -> None:
        """End everything."""
        self.go_away()
        sever(self._listener)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._is_away:
                    sever(client)
                    continue
                try:
                    server = socket.create_connection((self.host, self.port))
                except OSError:
                    sever(client)
                    continue
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                pair = Pair(client, server)
                self._pairs.append(pair)
            self._start(self._ask, pair)
            self._start(self._answer, pair)

    def _ask(self, pair: Pair) -> None:
        """Hand on what the client says."""
        try:
            while data := pair.client.recv(SIZE):
                how = self._due(data)
                if how == BEFORE:
                    break
                if how == LATE:
                    sever(pair.client)
                    threading.Event().wait(self._delay)
                pair.is_deaf = pair.is_deaf or how in (UNANSWERED, LATE)
                pair.server.sendall(data)
                if pair.is_deaf:  # it may wait for the rest of what the client wanted to say
                    pair.server.shutdown(socket.SHUT_WR)
                    break
        except OSError:
            pass
        finally:
            if not pair.is_deaf:
                pair.sever()

    def _answer(self, pair: Pair) -> None:
        """Hand on what the server says."""
        try:
            while data := pair.server.recv(SIZE):
                if pair.is_deaf:
                    break
                pair.client.sendall(data)
        except OSError:
            pass
        finally:
            pair.sever()

    def _due(self, data: bytes) -> str | None:
        with self._lock:
            if re.search(self._containing, data):
                self.messages += 1
                if self.messages == self._at:
                    self.has_cut, self._at = True, None
                    return self._how
        return None


@contextmanager
def proxy_to(url: str) -> Iterator[tuple[Proxy, str]]:
    """Yield a proxy to the server of a database, and the URL of the database through it."""
    parsed = make_url(url)
    ports = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
    proxy = Proxy(parsed.host or "127.0.0.1", parsed.port or ports[parsed.get_backend_name()])
    through = parsed.set(host="127.0.0.1", port=proxy.own_port)
    try:
        yield proxy, through.render_as_string(hide_password=False)
    finally:
        proxy.close()
