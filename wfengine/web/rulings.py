"""Decisions: which ones there are to choose from, and those that somebody has made already.

A task that halts may name the choices in its payload: ``{"choices": ["keep", "drop"]}``. Each is a
text, or any other JSON value, that becomes the decision; or ``{"label": ..., "decision": ...}``.
Where there are none, one can accept or reject.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from wfengine.errors import DamagedDataError, WorkflowError
from wfengine.store.serialization import VALUE
from wfengine.web.editing import NoJsonError, parsed
from wfengine.web.showing import brief, contents_of

if TYPE_CHECKING:
    from wfengine.store import Store
    from wfengine.store.views import StoredToken

__all__ = ["ACCEPT", "REJECT", "Choice", "Ruling", "choices_of", "ruling_of", "shared", "typed"]

MOST_CHOICES = 20
LONGEST = 200
LONGEST_DECISION = 10_000
"""How many characters a decision has at most, as JSON, that there is a button for."""

KEYS = "asdfghijkl"


@frozen
class Choice:
    """A decision that can be made with a click.

    :param json: the decision.
    :param key: that makes it.
    """

    label: str
    json: str
    kind: str = ""
    key: str = ""


ACCEPT = Choice("Accept", '"accept"', "primary", "a")
REJECT = Choice("Reject", '"reject"', "danger", "r")


@frozen
class Ruling:
    """A decision that was made.

    :param at: when, in UTC; None where that is not known.
    """

    decision: Any
    by: str
    at: datetime | None


def choices_of(payload: Any) -> tuple[Choice, ...]:
    """Return what the payload of a halt, as it is stored, offers to choose from."""
    contents, _ = contents_of(payload)
    named = contents.get("choices") if isinstance(contents, dict) else None
    named, _ = contents_of(named)
    if isinstance(named, dict) and isinstance(named.get(VALUE), list):  # a tuple
        named = named[VALUE]
    if not isinstance(named, list) or not named:
        return ACCEPT, REJECT
    found = [_choice(each) for each in named[:MOST_CHOICES]]
    found = [choice for choice in found if len(choice.json) <= LONGEST_DECISION]
    return tuple(
        evolve(choice, key=str(number)) if number < 10 else choice
        for number, choice in enumerate(found, start=1)
    )


def _choice(named: Any) -> Choice:
    contents, _ = contents_of(named)
    if isinstance(contents, dict) and "decision" in contents:
        decision = contents["decision"]
        label = contents.get("label", decision)
    else:
        decision = label = contents
    text = label if isinstance(label, str) else brief(label, LONGEST)
    return Choice(text[:LONGEST], json.dumps(decision))


def shared(choices: Iterable[tuple[Choice, ...]]) -> tuple[Choice, ...]:
    """Return the choices that all of these have."""
    sets = list(choices)
    if not sets:
        return ()
    return tuple(each for each in sets[0] if all(each in others for others in sets[1:]))


def typed(text: str) -> Any:
    """Return the decision that somebody has typed: JSON, or else a text.

    :raises MistakeError: for JSON that cannot be kept, such as ``NaN``.
    """
    try:
        return parsed(text)
    except NoJsonError:
        return text


def ruling_of(store: Store, token: StoredToken) -> Ruling | None:
    """Return what was decided about a token last, if anything was."""
    try:
        waiting = token.decision
    except DamagedDataError:
        waiting = None
    if isinstance(waiting, dict) and "by" in waiting:
        return _ruling(waiting)
    try:
        steps = store.history(token.id)
        last = next((step for step in reversed(steps) if step.event == "decide"), None)
        return None if last is None or not last.outcome else _ruling(last.outcome)
    except WorkflowError:
        return None


def _ruling(found: dict[str, Any]) -> Ruling:
    at = found.get("at")
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else None
    except ValueError:
        moment = None
    return Ruling(found.get("decision"), str(found.get("by", "somebody")), moment)
