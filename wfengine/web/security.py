"""What stands between the network and the pages: who may ask, from where, and how much."""

from __future__ import annotations

import hmac
import ipaddress
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from attrs import field, frozen
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from wfengine.web.sessions import Session, Sessions, Throttle

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "OPEN", "Access", "Guard", "TooLargeError", "bounded", "is_loopback"]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types fragments"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""On every answer."""

OPEN = ("/sign-in", "/static/")
"""What can be had without being signed in."""

SAFE = frozenset({"GET", "HEAD"})

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class TooLargeError(Exception):
    """A request's body is longer than it may be."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@frozen
class Access:
    """Who may use a console, and under which names it is asked.

    :param token: what one gives to sign in; None where nobody has to, which only a console that
        is reached from its own machine alone may do.
    :param user: who it is that does something, where nobody signs in.
    :param public_url: how browsers reach it through a proxy: ``https://console.example.org``.
    :param cookie: the name of its cookie; two consoles on one machine need two.
    """

    token: str | None = field(default=None, repr=False)
    user: str = "unknown"
    public_url: str | None = None
    cookie: str = "wfengine"
    sessions: Sessions = field(factory=Sessions, eq=False, repr=False)
    failures: Throttle = field(factory=lambda: Throttle(5, 60.0), eq=False, repr=False)
    failures_of_all: Throttle = field(factory=lambda: Throttle(100, 60.0), eq=False, repr=False)

    def is_known_host(self, host: str) -> bool:
        """Return whether a request is meant for this console, by its Host.

        A page elsewhere can give a name of its own the address 127.0.0.1, and would then be of
        the same origin as the console (DNS rebinding).
        """
        if self.public_url is not None and host == urlsplit(self.public_url).netloc:
            return True
        if self.token is not None:
            return bool(host)
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return name in LOCAL_NAMES

    def is_own_origin(self, headers: Headers) -> bool:
        """Return whether a request comes from a page of this console, as far as it says."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if site not in (None, "same-origin", "none"):
            return False
        if origin is None:
            return True
        if self.public_url is not None and origin == self.public_url:
            return True
        return urlsplit(origin).netloc == headers.get("host", "") != ""

    def is_secure(self, scope: Scope) -> bool:
        """Return whether browsers reach the console by https."""
        return scope.get("scheme") == "https" or (self.public_url or "").startswith("https:")

    def seconds_to_wait(self, address: str) -> float:
        """Return for how long nobody may try to sign in from an address."""
        return max(self.failures.wait(address), self.failures_of_all.wait(""))

    def sign_in(self, name: str, token: str, address: str) -> Session | None:
        """Return a session for who knows the token; remember the failure of who does not."""
        if self.token is not None and hmac.compare_digest(token.encode(), self.token.encode()):
            return self.sessions.begin(name)
        self.failures.fail(address)
        self.failures_of_all.fail("")
        return None

    def cookie_header(self, session: Session | None, scope: Scope) -> str:
        """Return the header that keeps a session in the browser, or ends it there."""
        value = "" if session is None else self.sessions.cookie(session)
        secure = "; Secure" if self.is_secure(scope) else ""
        age = "; Max-Age=0" if session is None else ""
        return f"{self.cookie}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}"

    def session_of(self, headers: Headers) -> Session | None:
        """Return the session that a request belongs to."""
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return None
        found = cookies.get(self.cookie)
        return None if found is None else self.sessions.read(found.value)


class Guard:
    """Refuses what may not be asked, before any page sees it, and adds the headers to all answers.

    The session is in ``scope["state"]["session"]`` for what is behind.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        session = self._access.session_of(headers)
        written = self._cookie_to_write(scope, session)
        refusal = self._refusal(scope, headers, session)
        scope.setdefault("state", {})["session"] = session if written is None else written
        answer = self._app if refusal is None else refusal
        await answer(scope, receive, self._with_headers(scope, send, written))

    def _cookie_to_write(self, scope: Scope, session: Session | None) -> Session | None:
        """Return the session whose cookie has to be written, if one has."""
        sessions = self._access.sessions
        if session is not None:
            return sessions.renewed(session) if sessions.is_old(session) else None
        is_page = scope["method"] in SAFE and not _is_open(scope["path"])
        return sessions.begin(self._access.user) if self._access.token is None and is_page else None

    def _refusal(self, scope: Scope, headers: Headers, session: Session | None) -> ASGIApp | None:
        is_safe = scope["method"] in SAFE
        if not self._access.is_known_host(headers.get("host", "")):
            return _refused(HTTPStatus.MISDIRECTED_REQUEST, "This console has another address.")
        if not is_safe and not self._access.is_own_origin(headers):
            return _refused(HTTPStatus.FORBIDDEN, "That came from another site.")
        is_signed_in = session is not None or (self._access.token is None and is_safe)
        if is_signed_in or _is_open(scope["path"]):
            return None
        is_by_hand = "text/html" in headers.get("accept", "") and "live" not in headers
        if is_safe and is_by_hand:
            wanted = quote(_path_of(scope), safe="/")
            return RedirectResponse(f"/sign-in?to={wanted}", HTTPStatus.SEE_OTHER)
        return _refused(HTTPStatus.UNAUTHORIZED, "Sign in first, or load the page again.")

    def _with_headers(self, scope: Scope, send: Send, written: Session | None) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if written is not None and "set-cookie" not in headers:
                    headers.append("Set-Cookie", self._access.cookie_header(written, scope))
            await send(message)

        return send_with_headers


def _is_open(path: str) -> bool:
    return any(path == each or (each.endswith("/") and path.startswith(each)) for each in OPEN)


def _path_of(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _refused(status: HTTPStatus, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status)


def bounded(receive: Receive, most: int) -> Receive:
    """Return a ``receive`` that gives up when a body gets too long.

    :param most: bytes.
    :raises TooLargeError: out of the call that reads too much.
    """
    length = 0

    async def receive_bounded() -> Any:
        nonlocal length
        message = await receive()
        length += len(message.get("body", b""))
        if length > most:
            raise TooLargeError
        return message

    return receive_bounded
