"""One token: its history step by step, what each step changed, and its data to be edited."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from attrs import frozen
from starlette.responses import PlainTextResponse

from wfengine.errors import DamagedDataError, UnknownTokenError, WorkflowError
from wfengine.store.changes import MISSING
from wfengine.store.watching import stored_token
from wfengine.web.editing import fields_of
from wfengine.web.editors import Editor, editor_for
from wfengine.web.looks import EVENTS, OF_STEP, OF_TOKEN, UNKNOWN, Look
from wfengine.web.pages.pen import is_waiting
from wfengine.web.paging import Paging
from wfengine.web.showing import brief, shown
from wfengine.web.visits import Visit, link, whole_number

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.responses import Response

    from wfengine.store.changes import Difference
    from wfengine.store.history import Step
    from wfengine.store.views import StoredToken

__all__ = ["data", "show", "token_of", "token_page"]

STEPS_ON_A_PAGE = 200
MOST_DIFFERENCES = 100
LONGEST_VALUE = 300


@frozen
class Line:
    """A step in the list of steps."""

    step: int
    name: str
    path: str
    event: str
    look: Look
    started: datetime | None
    seconds: float | None
    who: str


@frozen
class Change:
    """Something that a step has changed; None where there is nothing."""

    path: str
    old: str | None
    new: str | None


@frozen
class Detail:
    """What is known of one step.

    :param problem: why it is not known.
    """

    line: Line
    changes: tuple[Change, ...] = ()
    more: int = 0
    outcome: Any = None
    traceback: str = ""
    before: Any = None
    after: Any = None
    problem: str = ""


def show(visit: Visit) -> Response:
    """Show a token."""
    return token_page(visit, token_of(visit))


def token_page(
    visit: Visit, token: StoredToken, *, editor: Editor | None = None, status: int = HTTPStatus.OK
) -> Response:
    """Return the page of a token.

    :param editor: what somebody has typed that was wrong.
    """
    store = visit.console.store
    run = store.run(token.id_workflow)
    steps, problem = _history(visit, token)
    wanted = visit.asked_number("step", steps[-1].step if steps else 0)
    page = _page(visit, steps, wanted)
    chosen = next((step for step in steps if step.step == wanted), None)
    structure, data_problem = _data(token)
    editor = editor or (None if data_problem else editor_for(visit.asked("edit"), structure))
    return visit.page(
        "token.html",
        status,
        follow=visit.here if visit.request.method == "GET" else f"/tokens/{token.id}",
        token=token,
        run=run,
        look=OF_TOKEN[token.status],
        waits=is_waiting(token),
        error=_error(token),
        steps=[_line(step) for step in steps[page.offset : page.offset + page.size]],
        step_count=len(steps),
        page=page,
        steps_page=lambda number: link(f"/tokens/{token.id}", step=wanted, page=number),
        history_problem=problem,
        chosen=None if chosen is None else _detail(chosen),
        chosen_step=wanted,
        data=None if data_problem else shown(structure),
        data_problem=data_problem,
        editor=editor,
        can_edit_fields=not data_problem and fields_of(structure) is not None,
    )


def data(visit: Visit) -> Response:
    """Return all of a token's data, or what they were before or after a step, as JSON text."""
    token = token_of(visit)
    step = visit.asked_number("step")
    structure = token.plain_data
    if step:
        steps = visit.console.store.history(token.id)
        found = next((each for each in steps if each.step == step), None)
        if found is None:
            raise UnknownTokenError(f"token {token.id} has no step {step}")
        structure = found.before if visit.asked("when") == "before" else found.after
    try:
        text = json.dumps(structure, indent=2)
    except RecursionError:
        text = json.dumps("nested too deeply to be shown")
    return PlainTextResponse(text + "\n")


def token_of(visit: Visit) -> StoredToken:
    """Return the token that a path names."""
    number = whole_number(visit.part("token"), -1)
    if number < 0:
        raise UnknownTokenError(f"there is no token {visit.part('token')[:80]!r}")
    return stored_token(visit.console.store, number)


def _history(visit: Visit, token: StoredToken) -> tuple[list[Step], str]:
    try:
        return visit.console.store.history(token.id), ""
    except DamagedDataError as error:
        return [], str(error)


def _page(visit: Visit, steps: list[Step], wanted: int) -> Paging:
    """Return the page of the steps that was asked for, or else that with the wanted step."""
    place = next((index for index, step in enumerate(steps) if step.step == wanted), 0)
    number = visit.asked_number("page", place // STEPS_ON_A_PAGE + 1)
    return Paging.of(number, STEPS_ON_A_PAGE, len(steps))


def _data(token: StoredToken) -> tuple[Any, str]:
    try:
        return token.plain_data, ""
    except DamagedDataError as error:
        return None, str(error)


def _error(token: StoredToken) -> dict[str, Any] | None:
    try:
        return token.error
    except DamagedDataError:
        return None


def _line(step: Step) -> Line:
    try:
        started, seconds = step.started, (step.finished - step.started).total_seconds()
    except DamagedDataError:
        started, seconds = None, None
    try:
        who = str((step.outcome or {}).get("by", ""))
    except DamagedDataError:
        who = ""
    event = EVENTS.get(step.event, step.event)
    look = OF_STEP.get(step.status, UNKNOWN)
    return Line(step.step, step.name, step.path, event, look, started, seconds, who)


def _detail(step: Step) -> Detail:
    line = _line(step)
    try:
        changes = step.changes
        outcome = dict(step.outcome or {})
        traceback = str(outcome.pop("traceback", ""))
        return Detail(
            line,
            tuple(_change(each) for each in changes[:MOST_DIFFERENCES]),
            max(len(changes) - MOST_DIFFERENCES, 0),
            shown(outcome) if outcome else None,
            traceback,
            shown(step.before),
            shown(step.after),
        )
    except WorkflowError as error:
        return Detail(line, problem=str(error))


def _change(difference: Difference) -> Change:
    old, new = (
        None if value is MISSING else brief(value, LONGEST_VALUE)
        for value in (difference.old, difference.new)
    )
    return Change(difference.path or "(all of it)", old, new)
