"""Labels: what a person would call a task or a pattern, the same in every process."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from wfengine.callbacks import Definition, enter, task_name
from wfengine.definitions.contents import captured, unwrapped
from wfengine.definitions.plain import digest_of, is_plain, plain_text
from wfengine.description import Description, Part, describe

__all__ = ["LABEL", "LIST", "Labels"]

LABEL = "__wfengine_label__"
"""The attribute of a task that is known by another name than that of the function it calls."""

LIST = "[...]"
LONGEST = 200
DEEPEST = 5
"""How far conditions of conditions, and tasks that hold tasks, are looked into."""

NAMED_BY_ROLE = {"condition", "next", "branches", "jump"}
"""Roles of tasks that a pattern has made itself, so that the role says more than their name."""

TOLD_APART = {"branch", "last"}
"""Roles that say which element of a pattern it is, also where it is a single task."""

USUAL = {"order": "ASC", "cache_data": False, "delay": 0, "backoff": 1, "levels": 1, "retry": 1}
"""Options that go without saying."""

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@frozen
class Labels:
    """Finds labels.

    :param fingerprints: the fingerprint of each definition that is a part of a pattern, by its
        ``id``.
    """

    fingerprints: Mapping[int, str]

    def of(self, element: Any, parent: Definition, index: int) -> str:
        """Return the label of an element of a definition; equal ones may stand in one list."""
        roles = parent.description.roles if parent.description else ()
        role = roles[index] if index < len(roles) else ""
        if role in NAMED_BY_ROLE:
            return role
        if describe(element) is None and _is_plain_list(element):
            return _presentable(f"{role}{_key(parent, index)}" if role else LIST)
        name = self._name(element)
        return _presentable(f"{role}: {name}" if role in TOLD_APART else name)

    def _name(self, found: Any, depth: int = 0) -> str:
        description = describe(found)
        if description is not None:
            return self._of_pattern(description, depth) if depth < DEEPEST else description.kind
        if isinstance(found, Definition):
            return LIST if _is_plain_list(found) else f"{self._name(found.lead, depth)} {LIST}"
        own = getattr(found, LABEL, None)
        if isinstance(own, str):
            return own
        is_partial = isinstance(found, functools.partial)
        inner = found if is_partial else unwrapped(found)
        name = "partial" if is_partial else _own_name(inner)
        given = [*([found.func] if is_partial else []), *captured(inner)]
        if not given or depth >= DEEPEST:
            return name
        return f"{name}({', '.join(self._name(each, depth + 1) for each in given)})"

    def _of_pattern(self, description: Description, depth: int) -> str:
        title = self._title(description, depth)
        said = ", ".join((*_options(description), *self._parts(description, depth)))
        return " ".join(filter(None, (description.kind, title, said and f"({said})")))

    def _title(self, description: Description, depth: int) -> str:
        """Return a pattern's label, made anew from its parts where it is nothing but these."""
        contents = {part.role: part.content for part in description.parts}
        if {"left", "right"} == contents.keys():
            left, right = (self._operand(contents[side], depth) for side in ("left", "right"))
            return f"{left} {description.options.get('op', 'and')} {right}"
        for content in contents.values():
            if callable(content) and task_name(content) == _label_of(description):
                inner = describe(content)
                if inner is not None and inner.label == _label_of(description):
                    return self._title(inner, depth + 1)
                return self._name(content, depth + 1)
        message = description.options.get("message")
        return _label_of(description) or (plain_text(message) if message else "")

    def _operand(self, value: Any, depth: int) -> str:
        if callable(value):
            return self._name(value, depth + 1)
        text = plain_text(value) or type(value).__qualname__
        return text if len(text) <= 40 else f"{text[:30]}... #{digest_of(text)}"

    def _parts(self, description: Description, depth: int) -> Iterator[str]:
        for part in description.parts:
            text = self._part(part, description, depth)
            if text:
                yield f"{part.role} {text}"

    def _part(self, part: Part, description: Description, depth: int) -> str:
        """Return what there is to say of a part that the pattern's label does not say already."""
        content, label = part.content, _label_of(description)
        if part.role in ("key", "left", "right") or content is None:
            return ""
        if isinstance(content, Definition):
            return f"{part.label} #{self.fingerprints.get(id(content), '')[:8]}".strip()
        if callable(content):
            name = task_name(content)
            is_said = label == name or label.endswith(f" in {name}")
            return "" if is_said else self._name(content, depth + 1)
        if isinstance(content, range) or (
            isinstance(content, str) and _is_said(content, description)
        ):
            return ""
        text = plain_text(content)
        return f"#{digest_of(text)}" if text else type(content).__qualname__


def _is_plain_list(element: Any) -> bool:
    return isinstance(element, Definition) and element.lead is enter


def _label_of(description: Description) -> str:
    """Return a pattern's label; one that is made for each token says nothing beforehand."""
    return description.label if isinstance(description.label, str) else ""


def _is_said(text: str, description: Description) -> bool:
    """Return whether a pattern's label or options have a text already."""
    label = _label_of(description)
    is_in_label = label == text or label.startswith(f"{text} in ")
    return not text or is_in_label or text == description.options.get("message")


def _key(parent: Definition, index: int) -> str:
    """Return by which answer a branch is chosen, where the pattern says so."""
    parts = parent.description.parts if parent.description else ()
    keys = [part for part in parts if part.role == "key"]
    return f" {plain_text(keys[index].content) or keys[index].label}" if index < len(keys) else ""


def _own_name(task: Any) -> str:
    """Return the name of a callable with what it is defined in, or the one that it was given."""
    name = getattr(task, "__name__", None)
    if not isinstance(name, str):
        return f"{_readable(type(task).__qualname__)}()"
    full = getattr(task, "__qualname__", name)
    return _readable(full) if full.rpartition(".")[2] == name else name


def _readable(qualified_name: str) -> str:
    return qualified_name.replace("<locals>.", "")


def _options(description: Description) -> Iterator[str]:
    """Yield the options that are worth saying."""
    for name, value in description.options.items():
        is_said = name == "op" or (name == "message" and not _label_of(description))
        is_said = is_said or (is_plain(value) and value in (None, "", _label_of(description)))
        if not is_said and not (is_plain(value) and value == USUAL.get(name)):
            yield f"{name}={plain_text(value) or type(value).__qualname__}"


def _presentable(label: str) -> str:
    """Return a label that can be printed and stored, and is not too long for it."""
    label = ADDRESS.sub("", label)
    if not label.isprintable():
        label = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in label)
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 20]}... #{digest_of(label)}"
