"""Coming and going: signing in and out, the colours, the help, and the stream of news."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import RedirectResponse, Response

from wfengine.web.console import THEMES
from wfengine.web.security import Access
from wfengine.web.sessions import LONGEST_NAME
from wfengine.web.visits import Visit, local_path

__all__ = ["help_page", "home", "set_theme", "sign_in", "sign_in_page", "sign_out"]

SHORTCUTS = (
    (
        "Anywhere",
        (("g r", "Runs"), ("g p", "Holding pen"), ("g d", "Definitions"), ("g a", "Audit")),
    ),
    ("", (("?", "This page"), ("/", "Search"), ("Esc", "Leave a field"))),
    ("In lists", (("j", "Next"), ("k", "Previous"), ("Enter", "Open"), ("x", "Choose"))),
    ("", (("n", "Later page"), ("p", "Earlier page"))),
    (
        "In the holding pen",
        (("a", "Accept"), ("r", "Reject"), ("1 … 9", "The choices that a task names")),
    ),
    ("", (("e", "Edit the data as a form"),)),
)


def home(visit: Visit) -> Response:
    """Go to the runs."""
    return RedirectResponse("/runs", HTTPStatus.SEE_OTHER)


def help_page(visit: Visit) -> Response:
    """Show the keyboard shortcuts, and how to read the pages."""
    return visit.page("help.html", shortcuts=SHORTCUTS)


def sign_in_page(visit: Visit) -> Response:
    """Ask for a name and the token."""
    if visit.console.access.token is None:
        return RedirectResponse("/runs", HTTPStatus.SEE_OTHER)
    return _asking(visit, to=local_path(visit.asked("to")))


def _asking(
    visit: Visit, status: int = HTTPStatus.OK, to: str = "", name: str = "", problem: str = ""
) -> Response:
    return visit.page("sign_in.html", status, to=to, name=name, problem=problem)


def sign_in(visit: Visit) -> Response:
    """Let somebody in who knows the token."""
    access, scope = visit.console.access, visit.request.scope
    name, to = visit.said("name").strip()[:LONGEST_NAME], local_path(visit.said("to"))
    address = visit.request.client.host if visit.request.client else ""
    wait = access.seconds_to_wait(address)
    if wait:
        problem = f"Too many attempts: try again in {int(wait) + 1} seconds."
        answer = _asking(visit, HTTPStatus.TOO_MANY_REQUESTS, to, name, problem)
        answer.headers["Retry-After"] = str(int(wait) + 1)
        return answer
    if not name or not name.isprintable():
        problem = "Give your name, in printable characters."
        return _asking(visit, HTTPStatus.UNPROCESSABLE_ENTITY, to, name, problem)
    session = access.sign_in(name, visit.said("token"), address)
    if session is None:
        return _asking(visit, HTTPStatus.UNAUTHORIZED, to, name, "That is not the token.")
    answer = RedirectResponse(to, HTTPStatus.SEE_OTHER)
    answer.headers["Set-Cookie"] = access.cookie_header(session, scope)
    return answer


def sign_out(visit: Visit) -> Response:
    """End a session."""
    access: Access = visit.console.access
    access.sessions.end(visit.session)
    answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    answer.headers["Set-Cookie"] = access.cookie_header(None, visit.request.scope)
    return answer


def set_theme(visit: Visit) -> Response:
    """Keep the colours that somebody wants."""
    theme = visit.said("theme")
    answer = RedirectResponse(local_path(visit.said("to")), HTTPStatus.SEE_OTHER)
    if theme in THEMES:
        answer.set_cookie(
            "theme",
            theme,
            max_age=365 * 86400,
            httponly=True,
            samesite="strict",
            secure=visit.console.access.is_secure(visit.request.scope),
        )
    return answer
