"""All runs: filtered, searched, sorted, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import asdict, evolve, frozen

from wfengine.status import WorkflowStatus
from wfengine.store.listing import SORTS, styles
from wfengine.web.looks import OF_RUN, Look, progress_of
from wfengine.web.paging import Paging
from wfengine.web.showing import named
from wfengine.web.visits import Visit, link

if TYPE_CHECKING:
    from starlette.responses import Response

    from wfengine.store.listing import RunSummary

__all__ = ["Line", "line_of", "show"]

ON_A_PAGE = 50
COLUMNS = (
    ("status", "Status", "status"),
    ("name", "Run", "name"),
    ("", "Progress", ""),
    ("tokens", "Tokens", "-tokens"),
    ("", "Rate", ""),
    ("created", "Age", "-created"),
    ("", "Owner", ""),
)
"""By what a column sorts, its heading, and how it sorts at first."""


@frozen
class Wanted:
    """What is asked for, as in the address of the page."""

    status: str = ""
    search: str = ""
    action: str = ""
    style: str = ""
    sort: str = ""
    page: int = 1

    @classmethod
    def of(cls, visit: Visit) -> Wanted:
        """Read it from an address; what cannot be meant is left out."""
        status, sort = visit.asked("status"), visit.asked("sort")
        return cls(
            status if status in WorkflowStatus.__members__ else "",
            visit.asked("search").strip()[:200],
            visit.asked("action"),
            visit.asked("style"),
            sort if sort.removeprefix("-") in SORTS else "",
            visit.asked_number("page", 1),
        )

    def link(self, **other: object) -> str:
        """Return the address, with something else in it; on the first page, unless that is said."""
        asked = {**asdict(evolve(self, page=1)), **other}
        if asked["page"] == 1:
            asked["page"] = 0
        return link("/runs", **asked)


@frozen
class Heading:
    """The head of a column.

    :param path: where it leads; empty if nothing is sorted by it.
    :param order: ``ascending``, ``descending`` or nothing.
    """

    label: str
    path: str = ""
    order: str = ""


@frozen
class Line:
    """A run in the list."""

    run: RunSummary
    look: Look
    parts: list[tuple[str, int]]
    percent: int | None
    progress: str


def show(visit: Visit) -> Response:
    """Show the runs."""
    store, wanted = visit.console.store, Wanted.of(visit)
    actions = [group.action for group in visit.console.waiting.groups() if group.action]
    action = next((each for each in actions if named(each) == wanted.action), wanted.action)
    found = store.runs(
        status=WorkflowStatus[wanted.status] if wanted.status else None,
        search=wanted.search or None,
        action=action or None,
        style=wanted.style or None,
        sort=wanted.sort or "-created",
        offset=(max(wanted.page, 1) - 1) * ON_A_PAGE if wanted.page < 2**24 else 0,
        limit=ON_A_PAGE,
    )
    return visit.page(
        "runs.html",
        lines=[line_of(run) for run in found.items],
        page=Paging.of(wanted.page, ON_A_PAGE, found.total),
        wanted=wanted,
        wanted_page=lambda number: wanted.link(page=number),
        headings=[_heading(wanted, *column) for column in COLUMNS],
        statuses=[(status.name, OF_RUN[status]) for status in WorkflowStatus],
        actions=[(named(each), each) for each in actions],
        styles=styles(store),
        is_filtered=bool(wanted.status or wanted.search or wanted.action or wanted.style),
        can_start=bool(visit.console.catalogue.names()),
    )


def _heading(wanted: Wanted, name: str, label: str, first: str) -> Heading:
    if not name:
        return Heading(label)
    sort = wanted.sort or "-created"
    if sort.removeprefix("-") != name:
        return Heading(label, wanted.link(sort=first))
    is_descending = sort.startswith("-")
    other = name if is_descending else f"-{name}"
    return Heading(label, wanted.link(sort=other), "descending" if is_descending else "ascending")


def line_of(run: RunSummary) -> Line:
    """Return a run as it is shown in the list, and at the head of its own page."""
    percent = None if run.fraction is None else int(run.fraction * 100)
    said = [f"{count:,} {kind}" for kind, count in progress_of(run.counts) if count]
    label = f"{', '.join(said) or 'nothing done yet'} of {run.total:,}"
    return Line(run, OF_RUN[run.status], progress_of(run.counts), percent, label)
