"""What people did, the latest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wfengine.errors import WorkflowAPIError
from wfengine.web.showing import brief
from wfengine.web.visits import Visit, link

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["show"]

ON_A_PAGE = 100


def show(visit: Visit) -> Response:
    """Show what was done, to all runs, or to one run or token."""
    uuid, token_id = visit.asked("run"), visit.asked_number("token")
    before = visit.asked_number("before")
    try:
        entries = visit.console.store.audit(
            uuid=uuid or None,
            token_id=token_id or None,
            before=before or None,
            limit=ON_A_PAGE + 1,
        )
        problem = ""
    except WorkflowAPIError as error:
        entries, problem = [], error.message
    has_more = len(entries) > ON_A_PAGE
    entries = entries[:ON_A_PAGE]
    last = entries[-1].id if has_more else 0
    return visit.page(
        "audit.html",
        entries=[(entry, brief(entry.details, 200) if entry.details else "") for entry in entries],
        problem=problem,
        uuid=uuid,
        token_id=token_id,
        is_first=not before,
        first=link("/audit", run=uuid, token=token_id),
        later=link("/audit", run=uuid, token=token_id, before=last) if has_more else "",
    )
