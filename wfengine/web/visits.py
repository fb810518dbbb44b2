"""One request: who asks what of which console, and the answers that pages give."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from anyio import to_thread
from attrs import evolve, field, frozen
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from wfengine.errors import (
    LeaseHeldError,
    SchemaError,
    StoreError,
    UnknownRunError,
    UnknownTokenError,
    WorkflowError,
    WorkflowObjectStatusError,
)
from wfengine.web.security import TooLargeError, bounded
from wfengine.web.sessions import Notice, Session

if TYPE_CHECKING:
    from wfengine.web.console import Console

__all__ = [
    "Action",
    "Page",
    "Visit",
    "link",
    "local_path",
    "problem_of",
    "unexpected",
    "uploaded",
    "whole_number",
]

log = logging.getLogger("wfengine.web")

SMALL = 1024 * 1024
"""How many bytes a form has at most, unless more is to be expected."""

MOST_FIELDS = 5000
MOST_FILES = 1


@frozen
class Visit:
    """A request.

    :param session: of who asks.
    :param form: what was sent; empty for a page.
    :param version: of the news when it came; what is told later, its page does not show yet.
    """

    request: Request
    console: Console
    session: Session
    form: FormData = field(factory=FormData)
    version: int = field()

    @version.default
    def _version(self) -> int:
        return self.console.live.version

    # What was asked for

    @property
    def by(self) -> str:
        """Who asks."""
        return self.session.name

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def asked(self, name: str, default: str = "") -> str:
        """Return a parameter behind the path."""
        return self.request.query_params.get(name, default)

    def asked_number(self, name: str, default: int = 0) -> int:
        """Return a parameter that is a number from 0 on; the default for anything else."""
        return whole_number(self.asked(name), default)

    def said(self, name: str, default: str = "") -> str:
        """Return a field of the form."""
        found = self.form.get(name, default)
        return found if isinstance(found, str) else default

    def all_said(self, name: str) -> list[str]:
        """Return a field of the form that may be there several times."""
        return [each for each in self.form.getlist(name) if isinstance(each, str)]

    @property
    def is_live(self) -> bool:
        """Whether a page asks for its own parts that may have changed."""
        return "live" in self.request.headers

    @property
    def here(self) -> str:
        """The path of this page, with what is behind it."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    # Answers

    def page(self, template: str, status: int = HTTPStatus.OK, **content: Any) -> Response:
        """Return a page, or, if that is what was asked for, the parts of it that may change."""
        return HTMLResponse(self.console.render(template, self, **content), status)

    def to(self, path: str, said: str = "", problem: str = "") -> Response:
        """Send the browser to another page, which says something once."""
        for text in filter(None, (said, problem)):
            notice = Notice(text, is_problem=text is problem)
            self.console.notices.add(self.session, notice)
        return RedirectResponse(path, HTTPStatus.SEE_OTHER)

    def problem(self, status: int, title: str, text: str, **content: Any) -> Response:
        """Return a page that says what is wrong."""
        return self.page("problem.html", status, title=title, text=text, **content)


def whole_number(text: str, default: int = 0) -> int:
    """Return a number from 0 on that was sent; the default for anything else."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 19
    return int(text) if is_number else default


def local_path(path: str, default: str = "/runs") -> str:
    """Return a path of this console to go back to; the default for anything else.

    >>> local_path("/pen?token=3"), local_path("//elsewhere"), local_path("https://elsewhere")
    ('/pen?token=3', '/runs', '/runs')
    """
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local and path.isascii() else default


def link(path: str, **parameters: Any) -> str:
    """Return a path with the parameters behind it that say something."""
    said = {name: value for name, value in parameters.items() if value not in ("", None, 0)}
    return f"{path}?{urlencode(said)}" if said else path


@frozen
class Page:
    """Something to look at.

    :param show: returns the answer; is called in a thread.
    """

    path: str
    show: Callable[[Visit], Response]

    def route(self, console: Console) -> Route:
        """Return it for the table of routes."""

        async def endpoint(request: Request) -> Response:
            visit = Visit(request, console, _session(request))
            return await to_thread.run_sync(_answered, visit, self.show)

        return Route(self.path, endpoint, methods=["GET"])


@frozen
class Action:
    """Something that changes something; a form is sent to it.

    :param do: returns the answer, and is called in a thread.
    :param most: how many bytes may be sent.
    :param is_open: whether it may be sent without a session, and so without its CSRF token.
    """

    path: str
    do: Callable[[Visit], Response]
    most: int = SMALL
    is_open: bool = False

    def route(self, console: Console) -> Route:
        """Return it for the table of routes."""

        async def endpoint(request: Request) -> Response:
            visit = Visit(request, console, _session(request))
            try:
                form = await self._form(request)
            except TooLargeError:
                return self._too_large(visit)
            if not self.is_open and form.get("csrf") != visit.session.csrf:
                return visit.problem(
                    HTTPStatus.FORBIDDEN,
                    "This page was out of date",
                    "Nothing was changed: go back, load the page again, and repeat it.",
                )
            try:
                filled = evolve(visit, form=form)
                return await to_thread.run_sync(_answered, filled, self.do)
            finally:
                console.live.hurry()
                await form.close()

        return Route(self.path, endpoint, methods=["POST"])

    async def _form(self, request: Request) -> FormData:
        length = request.headers.get("content-length", "")
        if whole_number(length, default=0) > self.most:
            raise TooLargeError
        limited = Request(request.scope, bounded(request.receive, self.most))
        return await limited.form(
            max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=self.most
        )

    def _too_large(self, visit: Visit) -> Response:
        return visit.problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "That is too much",
            f"At most {self.most // 1024:,} KiB can be sent here; nothing was changed.",
        )


NOBODY = Session("", "", "", 0)


def _session(request: Request) -> Session:
    found: Session | None = request.scope["state"]["session"]
    return NOBODY if found is None else found


STATUSES: dict[type[WorkflowError], tuple[int, str]] = {
    UnknownRunError: (HTTPStatus.NOT_FOUND, "There is no such run"),
    UnknownTokenError: (HTTPStatus.NOT_FOUND, "There is no such token"),
    LeaseHeldError: (HTTPStatus.CONFLICT, "Somebody is working on it"),
    WorkflowObjectStatusError: (HTTPStatus.CONFLICT, "That is not possible now"),
    SchemaError: (HTTPStatus.SERVICE_UNAVAILABLE, "The store cannot be used"),
}


def _answered(visit: Visit, handler: Callable[[Visit], Response]) -> Response:
    try:
        visit.console.store.database.check_file()
        return handler(visit)
    except WorkflowError as error:
        return problem_of(visit, error)
    except Exception:
        log.exception("%s %s", visit.request.method, visit.request.url.path)
        return visit.problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "Something is wrong with the console",
            "The console's log has what happened. What you sent may or may not have been done.",
        )


def problem_of(visit: Visit, error: WorkflowError) -> Response:
    """Return the page that tells of an error."""
    status, title = next(
        (found for kind, found in STATUSES.items() if isinstance(error, kind)),
        (HTTPStatus.BAD_REQUEST, "That was not possible"),
    )
    if type(error) is StoreError:
        status, title = HTTPStatus.SERVICE_UNAVAILABLE, "The store does not answer"
    return visit.problem(status, title, error.message or str(error))


def uploaded(visit: Visit, name: str) -> UploadFile | None:
    """Return a file that was sent, if there is one with something in it."""
    found = visit.form.get(name)
    return found if isinstance(found, UploadFile) and found.size else None


def unexpected(console: Console) -> Callable[[Request, Exception], Response]:
    """Return what answers a request that nothing was made for."""

    def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = error.detail if isinstance(error, HTTPException) else ""
        title = (
            "There is no such page" if status == HTTPStatus.NOT_FOUND else "That is not possible"
        )
        return Visit(request, console, _session(request)).problem(status, title, said)

    return answer
