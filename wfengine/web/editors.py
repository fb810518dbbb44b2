"""The part of a page in which a token's data are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from wfengine.web.editing import Edited, Field, fields_of, from_fields, from_json, json_text

if TYPE_CHECKING:
    from wfengine.web.visits import Visit

__all__ = ["Editor", "editor_for", "typed_data"]


@frozen
class Editor:
    """What is offered to be changed, and what is wrong with what was typed before.

    :param mode: ``form`` or ``json``.
    """

    mode: str
    fields: tuple[Field, ...] = ()
    text: str = ""
    problem: str = ""


def editor_for(mode: str, structure: Any) -> Editor | None:
    """Return what to offer for a token's data; None where only looking was asked for.

    :param mode: as asked for; where the data do not fit into a form, it is JSON.
    """
    if mode not in ("form", "json"):
        return None
    fields = fields_of(structure) if mode == "form" else None
    if fields is not None:
        return Editor("form", fields)
    return Editor("json", text=json_text(structure))


def typed_data(visit: Visit, structure: Any) -> tuple[Edited | None, Editor | None]:
    """Return what was typed, if anything was, and the editor that shows it again."""
    mode = visit.said("edit")
    if mode == "form":
        found = from_fields(
            structure, visit.all_said("field"), visit.all_said("kind"), visit.all_said("text")
        )
    elif mode == "json":
        found = from_json(structure, visit.said("json").replace("\r\n", "\n"))
    else:
        return None, None
    return found, Editor(mode, found.fields, found.text, found.problem)
