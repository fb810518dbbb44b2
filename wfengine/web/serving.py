"""Serving a console: where it listens, what is printed, and how it ends."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn

from wfengine.errors import WorkflowAPIError
from wfengine.store.audit import user_name
from wfengine.web.app import create_app
from wfengine.web.security import Access, is_loopback

if TYPE_CHECKING:
    from wfengine.store import Store

__all__ = ["LEAST_TOKEN", "serve"]

LEAST_TOKEN = 12
"""How many characters a token has at least that somebody makes up."""

UNENCRYPTED = (
    "Warning: the token and the session travel unencrypted. Reach it through an https proxy, and "
    "say so with --public-url https://..."
)

BACKLOG = 128

PATIENCE = 10
"""Seconds to wait for requests that are being answered when the console ends."""


def serve(  # noqa: PLR0913 - each is an option of the command
    store: Store,
    *,
    targets: Sequence[str] = (),
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    asks: bool = False,
    public_url: str | None = None,
    output: str = "output",
    largest_input: int = 32 * 2**20,
    say: Callable[[str], None] = print,
) -> None:
    """Serve a console until the process is asked to end; runs that it has are stopped then.

    :param host: the address to listen at. Any but this machine's own needs a token.
    :param port: 0 for one that is free.
    :param token: what one has to give to sign in.
    :param asks: whether a token is needed in any case, and made if none is given.
    :param public_url: how browsers reach it through a proxy.
    :param say: is called with each line for whoever has started it.
    :raises WorkflowAPIError: for what cannot be meant, or when the port is taken.
    :raises WorkflowDefinitionError: for a target that is no definition.
    """
    token, is_made = _token(token, needed=asks or public_url is not None or not is_loopback(host))
    listening = _listening(host, port)
    with listening:
        port = listening.getsockname()[1]
        access = Access(token, user_name(), _checked_url(public_url), cookie=f"wfengine-{port}")
        store.prepare()
        app = create_app(
            store,
            targets=targets,
            access=access,
            output=output,
            largest_input=largest_input,
        )
        say(f"The console of {store} is at {access.public_url or _url(host, port)}")
        if is_made:
            say(f"Sign in with this token, which is not shown again: {token}")
        if not _is_private(host, access.public_url):
            say(UNENCRYPTED)
        say("Ctrl-C ends it.")
        _Server(app).run(sockets=[listening])


def _token(token: str | None, needed: bool) -> tuple[str | None, bool]:
    """Return the token that is used, and whether it was made here."""
    if token is None:
        return (secrets.token_urlsafe(24), True) if needed else (None, False)
    if len(token) < LEAST_TOKEN or not token.isprintable() or token != token.strip():
        raise WorkflowAPIError(
            f"a token has at least {LEAST_TOKEN} printable characters; without one, one is made"
        )
    return token, False


def _checked_url(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    is_root = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in ("http", "https") or not parts.netloc or not is_root:
        raise WorkflowAPIError(
            f"the public URL is one like https://console.example.org, not {url!r}: the console is "
            "at the root of a host"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _is_private(host: str, public_url: str | None) -> bool:
    """Return whether nobody between a browser and the console can read what they say."""
    if public_url is None:
        return is_loopback(host)
    parts = urlsplit(public_url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host.strip("[]"), port))
        found.listen(BACKLOG)  # so that whoever has read the address can connect
    except (OSError, OverflowError) as error:
        found.close()
        raise WorkflowAPIError(
            f"the console cannot listen at {host}, port {port}: {error}; choose others with --host "
            "and --port"
        ) from None
    return found


def _url(host: str, port: int) -> str:
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    return f"http://{shown}:{port}"


class _Server(uvicorn.Server):
    """A server that says good-bye to the pages that watch, when it is asked to end."""

    def __init__(self, app: Any) -> None:
        self._console = app.state.console
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=PATIENCE,
            forwarded_allow_ips="127.0.0.1,::1",
        )
        super().__init__(config)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End."""
        self._console.live.leave()
        super().handle_exit(sig, frame)
