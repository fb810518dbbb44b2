"""How values, times and numbers are shown; whatever they are, as text, and never too much of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from attrs import frozen
from markupsafe import Markup

from wfengine.cli.tables import count_of
from wfengine.store.serialization import TAG, VALUE
from wfengine.store.serialization.instances import CONTENTS

__all__ = [
    "Row",
    "Shown",
    "Whole",
    "brief",
    "duration",
    "exact",
    "named",
    "presentable",
    "printed",
    "relative",
    "said",
    "shown",
]

LONGEST_PRINTED = 2000
"""How many characters a text on a page has at most, unless it is meant to be there whole."""

LONGEST_NAMED = 200
LONGEST_TEXT = 300
MOST_ROWS = 200
MOST_IN_LIST = 50
DEEPEST = 8
LINE_END_AND_JOINERS = "\n\u200c\u200d"
"""Characters that are not seen, and that texts of some scripts cannot do without."""

STEPS = (
    (60.0, 1.0, "s"),
    (3600.0, 60.0, "min"),
    (2 * 86400.0, 3600.0, "h"),
    (float("inf"), 86400.0, "days"),
)


def presentable(value: Any) -> Any:
    r"""Return a text in which everything is seen: what is not printable is written as in JSON.

    So nothing changes the direction of what follows, or hides.

    >>> presentable("tab\there, \u202eturned")
    'tab\\u0009here, \\u202eturned'
    """
    if isinstance(value, Markup) or not isinstance(value, str) or value.isprintable():
        return value
    return "".join(char if _is_seen(char) else _escaped(char) for char in value)


class Whole(str):
    """A text that is printed however long it is, since it is sent back."""

    __slots__ = ()


def printed(value: Any) -> Any:
    """Return what is printed of a value; all that templates print goes through this.

    >>> len(printed("x" * 5_000_000)), len(printed(Whole("x" * 5_000_000)))
    (2000, 5000000)
    """
    is_cut = isinstance(value, str) and not isinstance(value, Markup | Whole)
    return presentable(_cut(value, LONGEST_PRINTED) if is_cut else value)


def named(text: str | None) -> str | None:
    """Return what stands for a text in an address: itself, or, of a long one, a digest.

    >>> named("confirm"), named("x" * 201)
    ('confirm', 'sha256:84a0678c90937f5d')
    """
    if text is None or len(text) <= LONGEST_NAMED:
        return text
    return f"sha256:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _is_seen(char: str) -> bool:
    return char.isprintable() or char in LINE_END_AND_JOINERS


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


@frozen
class Row:
    """A line of a value that is shown.

    :param depth: how far inside it is.
    :param key: its name or index, or nothing.
    :param kind: ``text``, ``number``, ``null`` ..., or of what holds others: ``object``, ``list``.
    :param text: what is shown.
    :param length: of a text that is cut short, how many characters it has; else 0.
    """

    depth: int
    key: str
    kind: str
    text: str
    length: int = 0


@frozen
class Shown:
    """A value as lines.

    :param type_name: of the class that it is an instance of, where it is no plain value.
    :param is_cut: whether there is more of it.
    """

    rows: tuple[Row, ...]
    type_name: str = ""
    is_cut: bool = False


def shown(structure: Any, most: int = MOST_ROWS) -> Shown:
    """Return the lines that show a JSON structure as it is stored.

    :param most: how many lines.
    """
    contents, type_name = contents_of(structure)
    rows: list[Row] = []
    is_cut = False
    for row in _rows(contents):
        if len(rows) == most:
            is_cut = True
            break
        rows.append(row)
        is_cut = is_cut or bool(row.length) or row.kind == "more"
    return Shown(tuple(rows), type_name, is_cut)


def contents_of(structure: Any) -> tuple[Any, str]:
    """Return what is in a stored instance, and the name of its class; a plain value as it is."""
    if not isinstance(structure, dict) or not isinstance(structure.get(TAG), str):
        return structure, ""
    name = structure[TAG]
    if CONTENTS in structure:
        return structure[CONTENTS], name
    if isinstance(structure.get(VALUE), dict) and ":" in name:
        return structure[VALUE], name
    return structure, ""


def _rows(structure: Any) -> Iterator[Row]:
    waiting: list[tuple[int, str, Any]] = [(-1, "", structure)]
    while waiting:
        depth, key, value = waiting.pop()
        value, name = contents_of(value)
        if depth < 0 and isinstance(value, dict | list) and value:
            waiting.extend(reversed(list(_inside(0, value))))
        elif isinstance(value, dict | list) and value and depth < DEEPEST:
            yield Row(depth, key, _kind(value), name or _size(value))
            waiting.extend(reversed(list(_inside(depth + 1, value))))
        elif value is _MORE:
            yield Row(depth, "", "more", key)
        else:
            yield _line(max(depth, 0), key, value)


_MORE = object()


def _inside(depth: int, value: Any) -> Iterator[tuple[int, str, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for number, (key, item) in enumerate(pairs):
        if number == MOST_IN_LIST:
            yield depth, f"and {len(value) - number:,} more", _MORE
            return
        yield depth, _cut(str(key), 80), item


def _line(depth: int, key: str, value: Any) -> Row:
    kind = _kind(value)
    if kind == "text":
        length = len(value) if len(value) > LONGEST_TEXT else 0
        return Row(depth, key, kind, value[:LONGEST_TEXT], length)
    if kind in ("object", "list"):
        text = brief(value)
        return Row(depth, key, kind, text, len(value) if text.endswith("…") else 0)
    return Row(depth, key, kind, _number(value))


def _number(value: Any) -> str:
    try:
        return json.dumps(value)
    except ValueError:  # a number with too many digits
        return "a very long number"


KINDS: dict[type, str] = {
    str: "text",
    bool: "truth",
    int: "number",
    float: "number",
    dict: "object",
    list: "list",
    type(None): "null",
}


def _kind(value: Any) -> str:
    return KINDS.get(type(value), "text")


def _size(value: Any) -> str:
    return count_of(len(value), "field" if isinstance(value, dict) else "item")


def brief(structure: Any, most: int = 120) -> str:
    """Return a JSON structure in one short line.

    >>> brief({"faa": "BQN", "lines": [1, 2]})
    '{"faa": "BQN", "lines": [1, 2]}'
    """
    text = ""
    encoder = json.JSONEncoder(ensure_ascii=False)
    value, _ = contents_of(structure)
    try:
        for part in encoder.iterencode(_shortened(value)):
            text += part[: most + 1]
            if len(text) > most:
                break
    except (ValueError, TypeError, RecursionError):
        return text + "…"
    return _cut(text, most)


def said(structure: Any, most: int = 120) -> str:
    """Return what somebody has said, a decision for instance: a text as it is, else JSON."""
    return _cut(structure, most) if isinstance(structure, str) else brief(structure, most)


def _shortened(value: Any) -> Any:
    return value[:LONGEST_TEXT] if isinstance(value, str) else value


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


# Times


def exact(moment: datetime | None) -> str:
    """Return a time to the second."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def relative(moment: datetime | None, now: datetime) -> str:
    """Return how long ago something was.

    >>> relative(datetime(2026, 5, 4, tzinfo=UTC), datetime(2026, 5, 4, 0, 3, tzinfo=UTC))
    '3 min ago'
    """
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 2:
        return "now"
    said = _coarse(abs(seconds))
    return f"{said} ago" if seconds > 0 else f"in {said}"


def _coarse(seconds: float) -> str:
    unit, name = next((unit, name) for most, unit, name in STEPS if seconds < most)
    return f"{int(seconds / unit)} {name}"


def duration(seconds: float | None) -> str:
    """Return how long something took.

    >>> duration(0.0042), duration(75), duration(8000)
    ('4.2 ms', '1 min 15 s', '2 h 13 min')
    """
    if seconds is None:
        return ""
    if seconds < 0.001:
        return f"{seconds * 1_000_000:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"
