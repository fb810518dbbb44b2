"""The console as an ASGI application: the table of what can be asked for, and with which verb."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from wfengine.store.audit import user_name
from wfengine.web.actions import runs as run_actions
from wfengine.web.actions import tokens as token_actions
from wfengine.web.catalogue import Catalogue
from wfengine.web.console import Console
from wfengine.web.live import Live
from wfengine.web.pages import audit, definitions, entry, pen, run, runs, token
from wfengine.web.running import Runner
from wfengine.web.security import Access, Guard
from wfengine.web.visits import Action, Page, unexpected

if TYPE_CHECKING:
    from wfengine.store import Store

__all__ = ["create_app", "routes"]

DATA = 16 * 2**20
"""How many bytes the data of a token may have that are edited."""

MARGIN = 64 * 1024
"""What a form with an input has besides the input."""


def routes(largest_input: int) -> list[Page | Action]:
    """Return the table of all pages and forms.

    :param largest_input: how many bytes an input of a run has at most.
    """
    return [
        Page("/", entry.home),
        Page("/sign-in", entry.sign_in_page),
        Action("/sign-in", entry.sign_in, most=MARGIN, is_open=True),
        Action("/sign-out", entry.sign_out),
        Action("/theme", entry.set_theme),
        Page("/help", entry.help_page),
        Page("/runs", runs.show),
        Action("/runs/many", run_actions.many),
        Page("/runs/{uuid}", run.show),
        Action("/runs/{uuid}/resume", run_actions.resume),
        Action("/runs/{uuid}/stop", run_actions.stop),
        Action("/runs/{uuid}/restart", run_actions.restart),
        Action("/runs/{uuid}/rewind", run_actions.rewind),
        Action("/runs/{uuid}/failures", run_actions.treat),
        Action("/runs/{uuid}/delete", run_actions.delete),
        Page("/pen", pen.show),
        Action("/pen/decide", token_actions.decide_many),
        Page("/tokens/{token}", token.show),
        Page("/tokens/{token}/data", token.data),
        Action("/tokens/{token}/decide", token_actions.decide, most=DATA),
        Action("/tokens/{token}/edit", token_actions.edit, most=DATA),
        Action("/tokens/{token}/rewind", token_actions.rewind),
        Action("/tokens/{token}/fork", token_actions.fork),
        Page("/definitions", definitions.show),
        Page("/definitions/one", definitions.show_one),
        Action("/definitions/start", run_actions.start, most=largest_input + MARGIN),
        Page("/audit", audit.show),
    ]


def create_app(
    store: Store,
    *,
    targets: Sequence[str] = (),
    access: Access | None = None,
    output: str = "output",
    largest_input: int = 32 * 2**20,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """Return the console of a store, to be served by any ASGI server, from one process.

    :param targets: definitions that can be run besides those that are registered: their names, or
        ``path/to/file.py:attribute``; they are imported at once.
    :param access: who may use it; by default whoever can reach it under a name of this machine.
    :param output: the folder for what runs write that are begun here.
    :param largest_input: how many bytes an input of a run may have.
    :param clock: returns the time.
    :raises WorkflowDefinitionError: for a target that is no definition.
    """
    access = access or Access(user=user_name())
    catalogue = Catalogue(store, targets, output)
    runner, live = Runner(store, catalogue), Live(store, clock=clock)
    console = Console(store, access, catalogue, runner, live, clock, largest_input)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await to_thread.run_sync(live.close)
        await to_thread.run_sync(runner.close)
        await to_thread.run_sync(console.pictures.close)

    app = Starlette(
        routes=[
            *(each.route(console) for each in routes(largest_input)),
            Route("/live", _live(live), methods=["GET"]),
            Mount("/static", StaticFiles(packages=[("wfengine.web", "static")])),
        ],
        middleware=[Middleware(Guard, access)],
        exception_handlers={
            HTTPStatus.NOT_FOUND: unexpected(console),
            HTTPStatus.METHOD_NOT_ALLOWED: unexpected(console),
            HTTPStatus.BAD_REQUEST: unexpected(console),
        },
        lifespan=lifespan,
    )
    app.state.console = console
    return app


def _live(live: Live) -> Callable[[Request], Awaitable[Response]]:
    async def stream(request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return StreamingResponse(live.watch(), media_type="text/event-stream")

    return stream
