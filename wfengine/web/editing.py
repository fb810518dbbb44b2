"""Token data that a person changes: as a form with a field for each value, or as JSON.

What is typed is turned into a structure like the stored one. Where it is wrong, it is kept with
what is wrong about it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from attrs import evolve, field, frozen

from wfengine.cli.decoding import JsonError, JsonSyntaxError, decoded
from wfengine.errors import DamagedDataError, WorkflowAPIError
from wfengine.store.serialization import TAG, Types
from wfengine.store.serialization.instances import CONTENTS
from wfengine.web.showing import contents_of

__all__ = [
    "Edited",
    "Field",
    "MistakeError",
    "NoJsonError",
    "fields_of",
    "from_fields",
    "from_json",
    "json_text",
    "parsed",
    "value_of",
]

LONGEST_FIELD = 2000
"""How many characters a value has at most that a field is offered for."""

LONGEST_NAME = 200
MOST_FIELDS = 200

KINDS = ("text", "number", "truth", "null", "json")

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")

TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


class MistakeError(ValueError):
    """What was typed cannot be what was meant."""


class NoJsonError(MistakeError):
    """What was typed is no JSON."""


@frozen
class Field:
    """A value that can be changed.

    :param kind: how it is read: ``text``, ``number``, ``truth``, ``null`` or ``json``.
    :param text: what is typed.
    :param problem: what is wrong about it.
    """

    name: str
    kind: str
    text: str
    problem: str = ""


@frozen
class Edited:
    """What became of what was typed.

    :param structure: the new data, if nothing is wrong.
    :param fields: as they were typed, each with what is wrong about it.
    :param text: the JSON as it was typed.
    :param problem: what is wrong about the whole.
    """

    structure: Any = None
    fields: tuple[Field, ...] = ()
    text: str = ""
    problem: str = ""
    is_good: bool = field(default=False)


def fields_of(structure: Any) -> tuple[Field, ...] | None:
    """Return a field for each value of a dict, or None where only JSON will do.

    Values that are too long for a field have none, nor do those whose names are, or cannot be
    printed; they stay as they are.
    """
    contents = _editable(structure)
    if not isinstance(contents, dict) or not contents or len(contents) > MOST_FIELDS:
        return None
    return tuple(found for found in map(_field, contents.items()) if found is not None)


def _editable(structure: Any) -> Any:
    """Return what of a structure a person changes: of an instance of a dict's class, its items."""
    is_instance = isinstance(structure, dict) and CONTENTS in structure and TAG in structure
    return contents_of(structure)[0] if is_instance else structure


def _field(item: tuple[str, Any]) -> Field | None:
    name, value = item
    if not name.isprintable() or len(name) > LONGEST_NAME:
        return None
    if value is None:
        return Field(name, "null", "")
    if isinstance(value, bool):
        return Field(name, "truth", "true" if value else "false")
    if isinstance(value, str) and value.isprintable():
        return Field(name, "text", value) if len(value) <= LONGEST_FIELD else None
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    kind = "number" if isinstance(value, int | float) else "json"
    return Field(name, kind, text) if len(text) <= LONGEST_FIELD else None


def json_text(structure: Any) -> str:
    """Return what is edited as JSON."""
    try:
        return json.dumps(_editable(structure), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        raise WorkflowAPIError("these data are nested too deeply to be edited here") from None


def from_fields(
    structure: Any, names: Sequence[str], kinds: Sequence[str], texts: Sequence[str]
) -> Edited:
    """Return what was typed into the fields of a form.

    :param structure: the data as they are, to which the fields belong.
    :param names: of the fields; ``kinds`` and ``texts`` are as long.
    """
    contents = _editable(structure)
    if not isinstance(contents, dict) or not len(names) == len(kinds) == len(texts):
        return Edited(problem="the form does not fit the token's data: load the page again")
    fields, values = [], dict(contents)
    for name, kind, text in zip(names, kinds, texts, strict=True):
        typed = Field(name, kind if kind in KINDS else "text", text)
        try:
            if name not in contents:
                raise MistakeError("there is no such field in the token any more")
            values[name] = _value(typed)
        except MistakeError as mistake:
            typed = evolve(typed, problem=str(mistake))
        fields.append(typed)
    if any(typed.problem for typed in fields):
        return Edited(fields=tuple(fields), problem="Some fields need another look.")
    return Edited(_put_back(structure, values), tuple(fields), is_good=True)


def _value(typed: Field) -> Any:
    text = typed.text.strip()
    if typed.kind == "null":
        return None
    if typed.kind == "truth":
        if text.lower() not in TRUTHS:
            raise MistakeError("is true or false")
        return TRUTHS[text.lower()]
    if typed.kind == "number":
        if not NUMBER.fullmatch(text):
            raise MistakeError("is no number; write one like -5 or 12.5")
        return parsed(text)
    return parsed(text) if typed.kind == "json" else typed.text


def from_json(structure: Any, text: str) -> Edited:
    """Return what was typed as JSON.

    :param structure: the data as they are.
    """
    try:
        found = parsed(text)
        if isinstance(_editable(structure), dict) and not isinstance(found, dict):
            raise MistakeError("The token is an object, { ... }, and has to stay one.")
    except MistakeError as mistake:
        return Edited(text=text, problem=str(mistake))
    return Edited(_put_back(structure, found), text=text, is_good=True)


def parsed(text: str) -> Any:
    """Return what a JSON text stands for.

    :raises NoJsonError: saying where it is none.
    :raises MistakeError: for JSON that cannot be kept, or not as it was meant.
    """
    try:
        return decoded(text)
    except JsonSyntaxError as error:
        raise NoJsonError(f"That is no JSON: {error}.") from None
    except JsonError as error:
        raise MistakeError(f"That cannot be kept: {error}.") from None


def _put_back(structure: Any, contents: Any) -> Any:
    is_instance = _editable(structure) is not structure
    return {**structure, CONTENTS: contents} if is_instance else contents


def value_of(types: Types, structure: Any) -> Any:
    """Return the value that a structure stands for.

    :raises WorkflowAPIError: when it stands for none, or for one of a class not known here.
    """
    try:
        return types.decode(structure)
    except DamagedDataError as error:
        raise WorkflowAPIError(f"these data cannot be stored: {error.message}") from error
