"""What changed from one JSON document to another, as a small JSON document of its own.

A change is one of

- ``{"to": new}``: the whole is replaced;
- for a dict ``{"drop": [keys], "at": {key: change}, "set": {key: new}, "order": [keys]}``: keys
  that went, keys whose values changed inside, keys that came or whose values were replaced, and
  all keys in their order where that does not follow from the rest;
- for a list ``{"len": length, "items": [[index, change], ...], "from": index, "cut": count,
  "put": [items]}``: its length before, the items that changed where they are, and after that
  the place where items went and others came;
- for a stored set, or a dict with other keys than texts, ``{"tag": tag, "view": change}``: the
  change of a dict that has their texts as its keys.

The change of a stored instance or tuple is that of a dict with ``"tag"`` besides. Other tagged
values are replaced as wholes. Parts without a content are left out. Documents are compared as
their texts would be: ``1``, ``1.0`` and ``true`` differ, as do ``0.0`` and ``-0.0`` and two orders
of the same keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from attrs import frozen

from wfengine.errors import DamagedDataError
from wfengine.store.serialization import TAG, VALUE, text_of

__all__ = ["MISSING", "Change", "Difference", "apply", "diff", "differences", "merge"]

Change = dict[str, Any]

# Deeper inside, a part that changed is replaced as a whole.
LEVELS = 50

# Tagged values by what is changed in them: an item each, a pair of key and value, or a part.
SETS = frozenset({"set", "frozenset"})
PAIRS = frozenset({"dict", "OrderedDict", "Counter"})
HOLDERS = frozenset({"tuple", "deque"})


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


@frozen
class Difference:
    """One thing that differs: where, and what it was and is; MISSING where there is nothing."""

    path: str
    old: Any
    new: Any


def diff(old: Any, new: Any) -> Change | None:
    """Return what has to be done to ``old`` to make it ``new``; None where they are the same.

    The change shares what is new with ``new``.
    """
    return _diff(old, new, LEVELS)


def apply(change: Change | None, document: Any) -> Any:
    """Return the document with a change made that was found from this very document.

    Neither is modified; the result shares with both what it can.

    :raises DamagedDataError: the change is none, or not one of this document.
    """
    try:
        return document if change is None else _apply(change, document)
    except RecursionError as error:
        raise DamagedDataError("the change is nested too deep") from error


def merge(change: Change | None, document: Any) -> Any:
    """Return any document with a change made as far as it applies to it; this never fails.

    What came to the end of a list comes to the end of this one. What this document does not have,
    or has otherwise, becomes what the change says.

    :raises DamagedDataError: it is no change at all.
    """
    try:
        return document if change is None else _merge(change, document)
    except RecursionError as error:
        raise DamagedDataError("the change is nested too deep") from error


def differences(old: Any, new: Any) -> list[Difference]:
    """Return everything that differs between two documents, for a person to read.

    Paths go through stored instances as if they were dicts: ``lines[2].price``. A dict of which
    only the order of keys changed is told as a whole.
    """
    found: list[Difference] = []
    pending = [("", old, new)]
    while pending:
        path, before, after = pending.pop()
        parts = list(_parts(path, before, after))
        if parts:
            pending.extend(reversed(parts))
        elif not same(before, after):
            found.append(Difference(path, before, after))
    return found


def same(old: Any, new: Any) -> bool:
    """Return whether two documents have the same text, however deep they are."""
    pending = [(old, new)]
    while pending:
        a, b = pending.pop()
        if a is b:
            continue
        cls = type(a)
        if cls is not type(b):
            return False
        if cls is dict:
            if list(a) != list(b):
                return False
            pending.extend(zip(a.values(), b.values(), strict=True))
        elif cls is list:
            if len(a) != len(b):
                return False
            pending.extend(zip(a, b, strict=True))
        elif a != b or (cls is float and repr(a) != repr(b)):
            return False
    return True


def _diff(old: Any, new: Any, room: int) -> Change | None:
    if old is new:
        return None
    cls = type(old)
    if cls is type(new):
        if cls is dict and room:
            if TAG in old or TAG in new:
                return _diff_of_tagged(old, new, room - 1)
            return _diff_of_dicts(old, new, room - 1)
        if cls is list and room and (old or new):
            return _diff_of_lists(old, new, room - 1)
        if same(old, new):
            return None
    return {"to": new}


def _diff_of_tagged(old: dict[str, Any], new: dict[str, Any], room: int) -> Change | None:
    tag = old.get(TAG)
    if type(tag) is str and tag == new.get(TAG):
        if tag in SETS or tag in PAIRS:
            before, after = _view(old), _view(new)
            if before is not None and after is not None:
                change = _diff_of_dicts(before, after, room)
                if change and tag in SETS:
                    change.pop("order", None)  # they are sorted
                return change and {"tag": tag, "view": change}
        elif tag in HOLDERS or ":" in tag:
            change = _diff_of_dicts(old, new, room)
            return change and {"tag": tag, **change}
    return None if same(old, new) else {"to": new}


def _view(tagged: dict[str, Any]) -> dict[str, Any] | None:
    """Return a stored set, or dict of pairs, by the texts of its keys; None if it is neither."""
    items = tagged.get(VALUE)
    if tagged.keys() != {TAG, VALUE} or type(items) is not list:
        return None
    try:
        if tagged[TAG] in SETS:
            view = {text_of(item): None for item in items}
            is_sound = list(view) == sorted(view)
        else:
            is_sound = all(type(pair) is list and len(pair) == 2 for pair in items)
            view = {text_of(key): item for key, item in items} if is_sound else {}
    except RecursionError:
        return None
    return view if is_sound and len(view) == len(items) else None


def _tagged(tag: str, view: dict[str, Any]) -> dict[str, Any]:
    """Return the stored set, or dict of pairs, that looks so."""
    if tag in SETS:
        return {TAG: tag, VALUE: [_read(text) for text in sorted(view)]}
    return {TAG: tag, VALUE: [[_read(text), item] for text, item in view.items()]}


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DamagedDataError(f"the change has a key that is no JSON: {error}") from error


def _diff_of_dicts(old: dict[str, Any], new: dict[str, Any], room: int) -> Change | None:
    at, put = {}, {}
    for key, item in new.items():
        if key not in old:
            put[key] = item
            continue
        inside = _diff(old[key], item, room)
        if inside is not None:
            if "to" in inside:
                put[key] = item
            else:
                at[key] = inside
    drop = [key for key in old if key not in new]
    came = [key for key in put if key not in old]
    follows = [*(key for key in old if key in new), *came] == list(new)
    change = {"drop": drop, "at": at, "set": put, "order": [] if follows else list(new)}
    return {name: part for name, part in change.items() if part} or None


def _diff_of_lists(old: list[Any], new: list[Any], room: int) -> Change | None:
    start, cut, put = _exchange(old, new)
    items = []
    for index in range(start):
        inside = _diff(old[index], new[index], room)
        if inside is not None:
            items.append([index, inside])
    change: Change = {"len": len(old)}
    if items:
        change["items"] = items
    if cut or put:
        change["from"] = start
        change.update({name: part for name, part in (("cut", cut), ("put", put)) if part})
    return change if len(change) > 1 else None


def _exchange(old: list[Any], new: list[Any]) -> tuple[int, int, list[Any]]:
    """Return where items went and others came, how many went, and which came.

    Items before that place stay where they are, though they may have changed inside.
    """
    common = min(len(old), len(new))
    if len(old) != len(new):
        start = _same_at_start(old, new, common)
        kept = _same_at_end(old, new, common - start)
        if kept:
            return start, len(old) - kept - start, new[start : len(new) - kept]
    return common, len(old) - common, new[common:]


def _same_at_start(old: list[Any], new: list[Any], most: int) -> int:
    return next((n for n in range(most) if not same(old[n], new[n])), most)


def _same_at_end(old: list[Any], new: list[Any], most: int) -> int:
    return next((n for n in range(most) if not same(old[-1 - n], new[-1 - n])), most)


def _apply(change: Any, document: Any) -> Any:
    kind = _kind(change)
    if kind == "to":
        return change["to"]
    if kind == "view":
        view = _view(document) if _has_tag(document, change["tag"]) else None
        if view is None:
            raise _does_not_fit(f"the change is one of a {change['tag']}", document)
        return _tagged(change["tag"], _apply_to_dict(change["view"], view))
    if kind == "dict":
        if not _has_tag(document, change.get("tag")):
            raise _does_not_fit("the change is one of a dict", document)
        return _apply_to_dict(change, document)
    if type(document) is not list or len(document) != change["len"]:
        raise _does_not_fit(f"the change is one of a list of {change['len']}", document)
    return _apply_to_list(change, document)


def _has_tag(document: Any, tag: str | None) -> bool:
    """Return whether a document is a dict, and tagged so, or not at all."""
    if type(document) is not dict:
        return False
    return TAG not in document if tag is None else document.get(TAG) == tag


def _apply_to_dict(change: Change, document: dict[str, Any]) -> dict[str, Any]:
    found = dict(document)
    for key in change.get("drop", ()):
        if key not in found:
            raise DamagedDataError(f"the change drops the key {key!r}, which is not there")
        del found[key]
    for key, inside in change.get("at", {}).items():
        if key not in found:
            raise DamagedDataError(f"the change is inside the key {key!r}, which is not there")
        found[key] = _apply(inside, found[key])
    found.update(change.get("set", {}))
    order = change.get("order")
    if order is None:
        return found
    if len(order) != len(found) or set(order) != found.keys():
        raise DamagedDataError("the change orders other keys than are there")
    return {key: found[key] for key in order}


def _apply_to_list(change: Change, document: list[Any]) -> list[Any]:
    found = list(document)
    for index, inside in change.get("items", ()):
        if not 0 <= index < len(found):
            raise _does_not_fit(f"the change is inside item {index}", document)
        found[index] = _apply(inside, found[index])
    start, cut = change.get("from", 0), change.get("cut", 0)
    if start + cut > len(found):
        raise _does_not_fit(f"the change is one of items {start} to {start + cut}", document)
    found[start : start + cut] = change.get("put", ())
    return found


def _merge(change: Any, document: Any) -> Any:
    kind = _kind(change)
    if kind == "to":
        return change["to"]
    if kind == "view":
        view = _view(document) if _has_tag(document, change["tag"]) else None
        return (
            document
            if view is None
            else _tagged(change["tag"], _merge_into_dict(change["view"], view))
        )
    if kind == "dict":
        if _has_tag(document, change.get("tag")):
            return _merge_into_dict(change, document)
        # An instance cannot be made of some of its attributes, a dict can.
        return document if "tag" in change else _merge_into_dict(change, {})
    return _merge_into_list(change, document if type(document) is list else [])


def _merge_into_dict(change: Change, document: dict[str, Any]) -> dict[str, Any]:
    found = dict(document)
    for key in change.get("drop", ()):
        found.pop(key, None)
    for key, inside in change.get("at", {}).items():
        found[key] = _merge(inside, found.get(key))
    found.update(change.get("set", {}))
    first = {key: found[key] for key in change.get("order", ()) if key in found}
    return {**first, **found}


def _merge_into_list(change: Change, document: list[Any]) -> list[Any]:
    found = list(document)
    for index, inside in change.get("items", ()):
        if 0 <= index < len(found):
            found[index] = _merge(inside, found[index])
        else:
            _kind(inside)
    start, cut = change.get("from", 0), change.get("cut", 0)
    if start == change["len"]:
        start = len(found)
    found[start : start + cut] = change.get("put", ())
    return found


_PARTS: dict[str, dict[str, type]] = {
    "dict": {"tag": str, "drop": list, "at": dict, "set": dict, "order": list},
    "view": {"tag": str, "view": dict},
    "list": {"len": int, "items": list, "from": int, "cut": int, "put": list},
}


def _kind(change: Any) -> str:
    """Return what a change is one of, having looked at its parts."""
    if type(change) is dict and change:
        if change.keys() == {"to"}:
            return "to"
        for kind, parts in _PARTS.items():
            if change.keys() <= parts.keys() and _are_sound(change, parts, kind):
                return kind
    raise DamagedDataError(f"there is no such change: {str(change)[:60]}")


def _are_sound(change: Change, parts: dict[str, type], kind: str) -> bool:
    if any(type(part) is not parts[name] for name, part in change.items()):
        return False
    if kind == "view":
        return (
            len(change) == 2 and (change["tag"] in SETS | PAIRS) and _kind(change["view"]) == "dict"
        )
    if kind == "dict":
        return all(type(key) is str for name in ("drop", "order") for key in change.get(name, ()))
    counts = [change.get(name, 0) for name in ("len", "from", "cut")]
    return "len" in change and min(counts) >= 0 and all(map(_is_item, change.get("items", ())))


def _is_item(item: Any) -> bool:
    return type(item) is list and len(item) == 2 and type(item[0]) is int


def _does_not_fit(reason: str, document: Any) -> DamagedDataError:
    size = f" of {len(document)}" if isinstance(document, list) else ""
    return DamagedDataError(f"{reason}, and here is a {type(document).__name__}{size}")


def _parts(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Return what two documents consist of side by side; nothing if they are told as wholes."""
    if type(old) is dict and type(new) is dict:
        if TAG in old or TAG in new:
            yield from _parts_of_tagged(path, old, new)
        elif [key for key in old if key in new] == [key for key in new if key in old]:
            for key in {**old, **new}:
                yield _step(path, key), old.get(key, MISSING), new.get(key, MISSING)
    elif type(old) is list and type(new) is list:
        start, cut, put = _exchange(old, new)
        for index in range(start):
            yield f"{path}[{index}]", old[index], new[index]
        exchanged = zip_longest(old[start : start + cut], put, fillvalue=MISSING)
        for index, (before, after) in enumerate(exchanged, start):
            yield f"{path}[{index}]", before, after


def _parts_of_tagged(
    path: str, old: dict[str, Any], new: dict[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Return the attributes of an instance, then what it contains; or the items of a tuple."""
    tag = old.get(TAG)
    if tag != new.get(TAG) or type(tag) is not str or old.keys() != new.keys():
        return
    if tag == "tuple" and len(old) == 2:
        yield path, old.get(VALUE), new.get(VALUE)
    elif ":" in tag and type(old.get(VALUE)) is type(new.get(VALUE)) is dict:
        for name, part in old.items():
            yield path, part, new[name]


def _step(path: str, key: str) -> str:
    if not key.isidentifier():
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key
