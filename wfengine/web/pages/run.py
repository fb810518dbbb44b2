"""One run: its definition with where the tokens are, its tokens, what was done, what failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from attrs import frozen

from wfengine.definitions import OutlineNode
from wfengine.drawing.states import nearest_node
from wfengine.errors import DamagedDataError, WorkflowError
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.live import tokens_at
from wfengine.store.watching import stored_token
from wfengine.web.boxes import boxes_of, described, find_node
from wfengine.web.looks import EVENTS, OF_STEP, OF_TOKEN, UNKNOWN, Look
from wfengine.web.pages.runs import line_of
from wfengine.web.paging import Paging
from wfengine.web.showing import brief, shown
from wfengine.web.visits import Visit, link

if TYPE_CHECKING:
    from starlette.responses import Response

    from wfengine.store.activity import LogEntry
    from wfengine.store.listing import RunSummary
    from wfengine.store.records import RunRecord
    from wfengine.store.timings import TaskTime
    from wfengine.store.views import StoredToken
    from wfengine.web.running import Job

__all__ = ["VIEWS", "show"]

TOKENS_ON_A_PAGE = 50
STEPS_ON_A_PAGE = 100
TOKENS_AT_A_NODE = 10
LAST_STEPS = 5000
"""How many steps the timings are taken from."""

VIEWS = {
    "definition": "Definition",
    "tokens": "Tokens",
    "timeline": "Timeline",
    "failures": "Failures",
    "data": "Extra data",
}


def show(visit: Visit) -> Response:
    """Show a run, seen as was asked for."""
    store = visit.console.store
    run = store.run(visit.part("uuid"))
    view = visit.asked("view", "definition")
    view = view if view in VIEWS else "definition"
    summary = store.summary(run.uuid)
    job = visit.console.runner.job(run.uuid)
    show_view: Callable[..., dict[str, Any]] = SHOWN[view]
    return visit.page(
        "run.html",
        run=run,
        line=line_of(summary),
        summary=summary,
        view=view,
        views=[
            (name, label, link(f"/runs/{run.uuid}", view=name)) for name, label in VIEWS.items()
        ],
        job=job,
        counts=[
            (
                OF_TOKEN[status],
                summary.counts[status],
                link(f"/runs/{run.uuid}", view="tokens", status=status.name),
            )
            for status in ObjectStatus
            if summary.counts.get(status)
        ],
        can=_possible(summary, run, job),
        parent=_parent(visit, run),
        **show_view(visit, run),
    )


@frozen
class Possible:
    """What can be done with a run."""

    stop: bool
    resume: bool
    delete: bool


def _possible(summary: RunSummary, run: RunRecord, job: Job | None) -> Possible:
    is_here = job is not None and job.is_going_on
    is_free = run.parent_id is None and not summary.is_live and not is_here
    is_running = summary.is_live or summary.status is WorkflowStatus.RUNNING
    return Possible(stop=is_running or is_here, resume=is_free, delete=is_free)


def _parent(visit: Visit, run: RunRecord) -> RunRecord | None:
    return None if run.parent_id is None else visit.console.store.find_run(id=run.parent_id)


# Views


@frozen
class Node:
    """What is known of the node that was clicked.

    :param times: of the tasks that are run there; a pattern may have several.
    """

    node: OutlineNode
    facts: dict[str, Any]
    times: list[TaskTime]
    tokens: list[tuple[StoredToken, Look]]


def _definition(visit: Visit, run: RunRecord) -> dict[str, Any]:
    root, problem = _outline(visit, run)
    if root is None:
        return {"root": None, "problem": problem, "picture": None, "boxes": [], "node": None}
    wanted = visit.asked("node")
    node = find_node(root, wanted) if wanted else None
    state = visit.console.store.live(run.uuid)
    return {
        "root": root,
        "problem": "",
        "picture": visit.console.pictures.of(root, state, wanted),
        "boxes": boxes_of(root, state, wanted),
        "node_path": lambda node: link(f"/runs/{run.uuid}", node=node.id),
        "node": None if node is None else _node(visit, run, root, node),
    }


def _outline(visit: Visit, run: RunRecord) -> tuple[OutlineNode | None, str]:
    if run.parent_id is not None:
        return None, "This is a branch: what it runs is shown in the run that it belongs to."
    name = visit.console.catalogue.name_for(run)
    if name is None:
        return None, visit.console.catalogue.why_unknown(run)
    try:
        return visit.console.catalogue.outline(name), ""
    except WorkflowError as error:
        return None, error.message


def _node(visit: Visit, run: RunRecord, root: OutlineNode, node: OutlineNode) -> Node:
    store, known = visit.console.store, {each.id for each in root.walk()}

    def is_there(place: str) -> bool:
        return nearest_node(place, known) == node.id

    times = store.timings(run.uuid, last=LAST_STEPS)
    tokens = tokens_at(store, run, is_there, TOKENS_AT_A_NODE)
    return Node(
        node,
        described(node),
        [time for time in times if is_there(time.place)],
        [(token, OF_TOKEN[token.status]) for token in tokens],
    )


@frozen
class TokenLine:
    """A token in the list."""

    token: StoredToken
    look: Look
    data: str
    said: str


def _tokens(visit: Visit, run: RunRecord) -> dict[str, Any]:
    wanted = visit.asked("status")
    status = ObjectStatus[wanted] if wanted in ObjectStatus.__members__ else None
    found = visit.console.store.tokens(run.uuid, status)
    page = Paging.of(visit.asked_number("page", 1), TOKENS_ON_A_PAGE, len(found))
    tokens = found[page.offset : page.offset + page.size]
    return {
        "page": page,
        "wanted": wanted if status else "",
        "statuses": [(each.name, OF_TOKEN[each]) for each in ObjectStatus],
        "tokens": [_token_line(token) for token in tokens],
        "where": lambda number: link(
            f"/runs/{run.uuid}", view="tokens", status=wanted if status else "", page=number
        ),
    }


def _token_line(token: StoredToken) -> TokenLine:
    try:
        data = brief(token.plain_data)
        error = token.error or {}
    except DamagedDataError as problem:
        data, error = str(problem), {}
    said = token.message or ": ".join(
        str(error[key])[:200] for key in ("type", "message") if error.get(key)
    )
    return TokenLine(token, OF_TOKEN[token.status], data, said[:200])


@frozen
class Step:
    """A line of the timeline.

    :param start: where its bar begins, from 0 to 100.
    """

    entry: LogEntry
    look: Look
    event: str
    start: float
    width: float


def _timeline(visit: Visit, run: RunRecord) -> dict[str, Any]:
    before = visit.asked_number("before")
    store = visit.console.store
    entries = store.activity(run.uuid, before=before or None, limit=STEPS_ON_A_PAGE + 1)
    has_more, entries = len(entries) > STEPS_ON_A_PAGE, entries[:STEPS_ON_A_PAGE]
    begins, ends = _span(entries)
    here = f"/runs/{run.uuid}"
    return {
        "steps": [_step(entry, begins, ends) for entry in entries],
        "span": (ends - begins).total_seconds() if begins and ends else None,
        "times": sorted(store.timings(run.uuid, last=LAST_STEPS), key=lambda each: -each.total)[
            :15
        ],
        "earlier": link(here, view="timeline", before=entries[-1].id) if has_more else "",
        "latest": link(here, view="timeline") if before else "",
    }


def _span(entries: list[LogEntry]) -> tuple[datetime | None, datetime | None]:
    ends = [entry.moment for entry in entries if entry.moment is not None]
    starts = [entry.moment - timedelta(seconds=entry.seconds) for entry in entries if entry.moment]
    return (min(starts), max(ends)) if ends else (None, None)


def _step(entry: LogEntry, begins: datetime | None, ends: datetime | None) -> Step:
    look, event = OF_STEP.get(entry.status, UNKNOWN), EVENTS.get(entry.event, entry.event)
    if entry.moment is None or begins is None or ends is None or ends <= begins:
        return Step(entry, look, event, 0.0, 0.0)
    whole = (ends - begins).total_seconds()
    width = max(100 * entry.seconds / whole, 0.5)
    at = 100 * ((entry.moment - begins).total_seconds() - entry.seconds) / whole
    return Step(entry, look, event, min(max(at, 0.0), 99.5), width)


def _failures(visit: Visit, run: RunRecord) -> dict[str, Any]:
    store = visit.console.store
    groups = store.failures(run.uuid)
    return {"groups": [(group, _traceback(visit, run, group.token_ids)) for group in groups]}


def _traceback(visit: Visit, run: RunRecord, token_ids: tuple[int, ...]) -> str:
    try:
        error = stored_token(visit.console.store, token_ids[0]).error or {}
        return str(error.get("traceback", ""))[:20_000]
    except (WorkflowError, IndexError):
        return ""


def _data(visit: Visit, run: RunRecord) -> dict[str, Any]:
    store = visit.console.store
    try:
        extra = shown(store.types.plain(run.extra_text))
    except DamagedDataError as error:
        return {"extra": None, "problem": str(error), "options": shown(run.options)}
    return {"extra": extra, "problem": "", "options": shown(run.options)}


SHOWN: dict[str, Callable[[Visit, RunRecord], dict[str, Any]]] = {
    "definition": _definition,
    "tokens": _tokens,
    "timeline": _timeline,
    "failures": _failures,
    "data": _data,
}
