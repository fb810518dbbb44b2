"""The holding pen: tokens that wait for somebody's decision."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from wfengine.errors import DamagedDataError, UnknownTokenError
from wfengine.signals import TokenOutcome
from wfengine.status import ObjectStatus
from wfengine.store.watching import stored_token, waiting_page
from wfengine.web.editing import fields_of
from wfengine.web.editors import Editor, editor_for
from wfengine.web.rulings import choices_of, ruling_of, shared
from wfengine.web.showing import named, shown
from wfengine.web.visits import Visit, link, whole_number

if TYPE_CHECKING:
    from starlette.responses import Response

    from wfengine.store.records import RunRecord
    from wfengine.store.views import StoredToken
    from wfengine.store.watching import WaitingGroup

__all__ = ["Place", "is_waiting", "pen", "show"]

ON_A_PAGE = 50


@frozen
class Place:
    """Where in the pen somebody is: what the address of the page says.

    :param run: the uuid of the run that it is about; empty for all.
    :param action: what the tokens wait for; None where they do not say.
    :param is_chosen: whether an action was chosen.
    :param after: the last token of the page before, as time and id.
    """

    run: str = ""
    action: str | None = None
    is_chosen: bool = False
    after: tuple[float, int] = (0.0, 0)

    @classmethod
    def of(cls, visit: Visit) -> Place:
        """Read it from an address."""
        has_action = "action" in visit.request.query_params
        since, _, token_id = visit.asked("after").partition("~")
        try:
            after = (float(since), whole_number(token_id))
        except ValueError:
            after = (0.0, 0)
        return cls(
            visit.asked("run"),
            visit.asked("action") if has_action else None,
            has_action or "no_action" in visit.request.query_params,
            after,
        )

    def link(self, **more: Any) -> str:
        """Return the address."""
        marks = {"no_action": "1"} if self.is_chosen and self.action is None else {}
        after = "~".join(map(str, self.after)) if any(self.after) else ""
        return link("/pen", run=self.run, action=named(self.action), **marks, after=after, **more)

    def meant(self, groups: Sequence[WaitingGroup]) -> Place:
        """Return the place with the action itself, where the address has what stands for it."""
        actions = (group.action for group in groups if named(group.action) == self.action)
        return evolve(self, action=next(actions, self.action))

    def at_start(self) -> Place:
        """Return its first page."""
        return evolve(self, after=(0.0, 0))


@frozen
class Group:
    """A heading under which tokens wait."""

    label: str
    count: int
    oldest: Any
    path: str
    is_chosen: bool


def show(visit: Visit) -> Response:
    """Show what waits, and one token of it."""
    return pen(visit, visit.asked_number("token"))


def pen(
    visit: Visit,
    token_id: int,
    *,
    place: Place | None = None,
    editor: Editor | None = None,
    status: int = HTTPStatus.OK,
    **typed: Any,
) -> Response:
    """Return the page, with a token that was chosen, or the first of those that wait.

    :param editor: what somebody has typed that was wrong.
    :param typed: what else was typed.
    """
    store = visit.console.store
    place = place or Place.of(visit)
    run = store.run(place.run) if place.run else None
    groups = visit.console.waiting.groups(run)
    wanted = _wanted(visit, token_id) if token_id else None
    place = _with_action(place, groups, wanted).meant(groups)
    page = waiting_page(store, run, place.action, place.after, ON_A_PAGE)
    tokens = page.tokens
    chosen = wanted or (tokens[0] if tokens and not token_id else None)
    content: dict[str, Any] = {} if chosen is None else _of_token(visit, chosen, editor)
    return visit.page(
        "pen.html",
        status,
        run=run,
        groups=[_group(place, group) for group in groups],
        total=sum(group.count for group in groups),
        tokens=tokens,
        chosen=chosen,
        shared_choices=shared(_choices(token) for token in tokens),
        path_of=lambda token, edit="": place.link(token=token.id, edit=edit),
        here=place.link(token=chosen.id if chosen else 0),
        follow=visit.here if visit.request.method == "GET" else place.link(token=token_id),
        here_without_token=place.at_start().link(),
        earlier=place.at_start().link() if any(place.after) else "",
        later=evolve(place, after=page.next).link() if page.next else "",
        **{"typed": "", "typed_problem": "", "resume": False, **typed},
        **content,
    )


def _with_action(place: Place, groups: list[WaitingGroup], token: StoredToken | None) -> Place:
    """Return the place with an action, where none was chosen: the token's, or the first."""
    if place.is_chosen or not groups:
        return place
    is_known = token is not None and any(group.action == token.action for group in groups)
    action = token.action if token is not None and is_known else groups[0].action
    return evolve(place, action=action, is_chosen=True)


def _group(place: Place, group: WaitingGroup) -> Group:
    is_chosen = place.is_chosen and place.action == group.action
    there = evolve(place.at_start(), action=group.action, is_chosen=True)
    return Group(group.action or "(no action)", group.count, group.oldest, there.link(), is_chosen)


def _wanted(visit: Visit, token_id: int) -> StoredToken | None:
    try:
        return stored_token(visit.console.store, token_id)
    except UnknownTokenError:
        if visit.is_live:
            return None
        raise


def _choices(token: StoredToken) -> Any:
    try:
        return choices_of(token.plain_payload)
    except DamagedDataError:
        return choices_of(None)


def _of_token(visit: Visit, token: StoredToken, editor: Editor | None) -> dict[str, Any]:
    store = visit.console.store
    waits = is_waiting(token)
    seen = whole_number(visit.request.headers.get("live", ""), token.steps)
    content: dict[str, Any] = {
        "waits": waits,
        "seen": seen if visit.is_live else token.steps,
        "ruling": None if waits else ruling_of(store, token),
        "run_name": _run_of(visit, token).name,
        "choices": _choices(token),
        "data": None,
        "data_problem": "",
        "payload": None,
        "editor": editor,
        "can_edit_fields": False,
    }
    try:
        structure = token.plain_data
        content["data"] = shown(structure)
        content["can_edit_fields"] = fields_of(structure) is not None
        content["editor"] = editor or editor_for(visit.asked("edit"), structure)
        payload = token.plain_payload
        content["payload"] = None if payload is None else shown(payload)
    except DamagedDataError as error:
        content["data_problem"] = str(error)
    return content


def _run_of(visit: Visit, token: StoredToken) -> RunRecord:
    return visit.console.store.run(token.id_workflow)


def is_waiting(token: StoredToken) -> bool:
    """Return whether somebody has to decide about a token."""
    try:
        is_open = token.decision is None
    except DamagedDataError:
        is_open = False
    is_halted = token.status is ObjectStatus.HALTED
    return is_halted and token.outcome == TokenOutcome.HALTED.value and is_open
