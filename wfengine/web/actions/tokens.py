"""What is done about tokens: decided, edited, taken elsewhere, forked."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from attrs import frozen

from wfengine.cli.tables import count_of
from wfengine.errors import UnknownTokenError, WorkflowError, WorkflowObjectStatusError
from wfengine.store.decisions import UNCHANGED
from wfengine.store.watching import stored_token
from wfengine.web.editing import MistakeError, parsed, value_of
from wfengine.web.editors import Editor, typed_data
from wfengine.web.pages import pen
from wfengine.web.pages.token import token_of, token_page
from wfengine.web.rulings import Ruling, ruling_of, typed
from wfengine.web.showing import said
from wfengine.web.visits import Visit, local_path, problem_of, whole_number

if TYPE_CHECKING:
    from starlette.responses import Response

    from wfengine.store.views import StoredToken

__all__ = ["decide", "decide_many", "edit", "fork", "rewind"]

MOST_NAMED = 5


@frozen
class _Answer:
    """What somebody decided.

    :param problem: why that is no decision.
    """

    decision: Any = None
    problem: str = ""


def _answer(visit: Visit) -> _Answer:
    """Return what the button that was pressed stands for, or what was typed beside it."""
    text = visit.said("decision")
    other = visit.said("other").strip()
    try:
        if text:
            return _Answer(parsed(text))
        return _Answer(typed(other)) if other else _Answer(problem="Say what is decided.")
    except MistakeError as error:
        return _Answer(problem=str(error))


def decide(visit: Visit) -> Response:
    """Decide about one token, perhaps with other data; refuse if others were faster."""
    store, token = visit.console.store, token_of(visit)
    answer = _answer(visit)
    overtaken = _overtaken(visit, token, answer)
    if overtaken is not None:
        return overtaken
    edited, editor = typed_data(visit, token.plain_data)
    if answer.problem or (edited is not None and not edited.is_good):
        return _again(visit, token, editor, answer.problem)
    try:
        data = UNCHANGED if edited is None else value_of(store.types, edited.structure)
        seen = whole_number(visit.said("seen"), token.steps)
        store.decide(token.id, answer.decision, data=data, by=visit.by, seen=seen)
    except WorkflowObjectStatusError:
        overtaken = _overtaken(visit, stored_token(store, token.id), answer)
        if overtaken is None:
            raise
        return overtaken
    except WorkflowError as error:
        if editor is None:
            raise
        kept = Editor(editor.mode, editor.fields, editor.text, error.message)
        return _again(visit, token, kept, "")
    done = f"Token {token.id}: {said(answer.decision, 60)}."
    return visit.to(_next_place(visit), done, _gone_on(visit, {_root(visit, token)}))


def _again(visit: Visit, token: StoredToken, editor: Editor | None, problem: str) -> Response:
    """Show the token with what was typed, and what is wrong about it."""
    return pen.pen(
        visit,
        token.id,
        place=_place(visit),
        editor=editor,
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        typed=visit.said("other"),
        typed_problem=problem,
        resume=visit.said("resume") == "yes",
    )


def _overtaken(visit: Visit, token: StoredToken, answer: _Answer) -> Response | None:
    """Return the page that says what others have done with a token meanwhile, if they have."""
    seen = whole_number(visit.said("seen"), token.steps)
    if pen.is_waiting(token) and token.steps == seen:
        return None
    ruling = None if pen.is_waiting(token) else ruling_of(visit.console.store, token)
    content: dict[str, Any] = {"back": local_path(visit.said("to"), "/pen")}
    content["other"] = (f"/tokens/{token.id}", f"See token {token.id}")
    if ruling is not None:
        content.update(conflict=ruling, yours=answer.decision)
    return visit.problem(
        HTTPStatus.CONFLICT,
        "Somebody was faster" if ruling else "The token has changed",
        _what_happened(token, ruling),
        **content,
    )


def _what_happened(token: StoredToken, ruling: Ruling | None) -> str:
    if ruling is not None:
        return (
            f"{ruling.by} has decided about token {token.id} while you were looking at it. That "
            "decision stands, and nothing of yours was written."
        )
    return (
        f"Somebody has changed token {token.id} while you were looking at it. Nothing of yours was "
        "written: look at it as it is now, then decide."
    )


def decide_many(visit: Visit) -> Response:
    """Decide about all tokens that were chosen; say which others had decided on meanwhile."""
    store, back = visit.console.store, local_path(visit.said("to"), "/pen")
    ids = list(dict.fromkeys(filter(None, map(whole_number, visit.all_said("token")))))
    answer = _answer(visit)
    if not ids or answer.problem:
        return visit.to(back, problem=answer.problem or "Choose the tokens first.")
    decided, refused, roots = 0, [], set()
    for token_id in ids:
        try:
            token = stored_token(store, token_id)
            seen = whole_number(visit.said(f"seen-{token_id}"), token.steps)
            if token.steps != seen:
                raise WorkflowObjectStatusError(_decided_by(visit, token))
            store.decide(token_id, answer.decision, by=visit.by, seen=seen)
            roots.add(_root(visit, token))
            decided += 1
        except (WorkflowObjectStatusError, UnknownTokenError) as error:
            refused.append(error.message)
    done = f"Decided about {count_of(decided, 'token')}." if decided else ""
    problems = [*_named(refused), *filter(None, [_gone_on(visit, roots)])]
    return visit.to(pen_start(back), done, " ".join(problems))


def _decided_by(visit: Visit, token: StoredToken) -> str:
    ruling = None if pen.is_waiting(token) else ruling_of(visit.console.store, token)
    if ruling is None:
        return f"token {token.id} has changed meanwhile"
    return f"token {token.id} was decided on by {ruling.by}: {said(ruling.decision, 60)}"


def _named(refused: list[str]) -> list[str]:
    if not refused:
        return []
    more = f"; and {len(refused) - MOST_NAMED:,} more" if len(refused) > MOST_NAMED else ""
    return [f"Left as they are: {'; '.join(refused[:MOST_NAMED])}{more}."]


def pen_start(path: str) -> str:
    """Return the address of the pen without the token that it shows."""
    start, _, query = path.partition("?")
    kept = "&".join(each for each in query.split("&") if not each.startswith("token="))
    return f"{start}?{kept}" if kept else start


def _next_place(visit: Visit) -> str:
    to = local_path(visit.said("to"), "/pen")
    return pen_start(to) if to.startswith("/pen") else to


def _place(visit: Visit) -> pen.Place:
    query = parse_qs(local_path(visit.said("to"), "/pen").partition("?")[2], keep_blank_values=True)
    action = query.get("action", [None])[0]
    is_chosen = action is not None or "no_action" in query
    return pen.Place(query.get("run", [""])[0], action, is_chosen)


def _root(visit: Visit, token: StoredToken) -> str:
    """Return the run that goes on with a token: for one of a branch, the outermost."""
    store = visit.console.store
    run = store.run(token.id_workflow)
    root = run if run.root_id is None else store.find_run(id=run.root_id)
    return run.uuid if root is None else root.uuid


def _gone_on(visit: Visit, uuids: set[str]) -> str:
    """Go on with runs, if that was wanted; return what keeps them from it."""
    if visit.said("resume") != "yes":
        return ""
    problems = []
    for uuid in sorted(uuids):
        try:
            visit.console.runner.resume(uuid, visit.by)
        except WorkflowError as error:
            problems.append(error.message)
    return " ".join(dict.fromkeys(problems))


def edit(visit: Visit) -> Response:
    """Change the data of a token, unless others have changed it since."""
    store, token = visit.console.store, token_of(visit)
    seen = whole_number(visit.said("seen"), token.steps)
    if token.steps != seen:
        answer = _Answer("(other data)")
        overtaken = _overtaken(visit, token, answer)
        if overtaken is not None:
            return overtaken
    edited, editor = typed_data(visit, token.plain_data)
    to = local_path(visit.said("to"), f"/tokens/{token.id}")
    if edited is None:
        return visit.to(to, problem="Nothing was changed.")
    problem = ""
    if edited.is_good:
        try:
            value = value_of(store.types, edited.structure)
            store.edit(token.id, value, by=visit.by, seen=seen)
        except WorkflowError as error:
            problem = error.message
        else:
            return visit.to(to, f"Token {token.id} was changed.")
    if editor is not None and problem:
        editor = Editor(editor.mode, editor.fields, editor.text, problem)
    if to.startswith("/pen"):
        return _again(visit, token, editor, "")
    return token_page(visit, token, editor=editor, status=HTTPStatus.UNPROCESSABLE_ENTITY)


def rewind(visit: Visit) -> Response:
    """Take a token to a step of its history, or to a task."""
    token = token_of(visit)
    text = visit.said("to_step").strip()
    if not text:
        return visit.to(f"/tokens/{token.id}", problem="Say where the token is to go.")
    step = whole_number(text, -1)
    try:
        eng = visit.console.catalogue.take_up(visit.console.store.run(token.id_workflow))
        eng.rewind(token.id, step if step >= 0 else text, by=visit.by)
    except WorkflowError as error:
        return problem_of(visit, error)
    where = f"step {step}" if step >= 0 else text
    done = f"Token {token.id} was taken to {where}; going on with the run begins there."
    return visit.to(f"/tokens/{token.id}", done)


def fork(visit: Visit) -> Response:
    """Begin a new run from a step of a token's history."""
    token = token_of(visit)
    step = whole_number(visit.said("to_step"), -1)
    uuid = visit.console.store.fork(token.id, step, by=visit.by)
    done = (
        f"This run begins with token {token.id} as it was before step {step}. Resume it to go on."
    )
    return visit.to(f"/runs/{uuid}", done)
