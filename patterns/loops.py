"""Loops: WHILE asks before each turn, FOR takes the items of a source one by one.

A loop's body stands in the loop's own list, so that ``break_current_loop()`` in it leaves the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from threading import Lock
from typing import Any

from wfengine import frames
from wfengine.callbacks import Definition, Task, task_name
from wfengine.description import Description, Part, described
from wfengine.errors import WorkflowDefinitionError, WorkflowError
from wfengine.frames import FRAMES, Frame
from wfengine.interpreter import LEAVE

from .parts import Branch, as_branch, as_condition, digest, named, then

__all__ = ["FOR", "WHILE"]


def WHILE(cond: Task, branch: Branch) -> Definition:
    """Run the branch again and again while the condition holds.

    Its list is ``[condition, task, task, ...]``, which starts over at its end.
    """
    condition = as_condition(cond, "WHILE's condition")
    body = as_branch(branch, "WHILE's branch")

    def ask(obj: Any, eng: Any) -> Any:
        if FRAMES in eng.extra_data:
            frames.drop_inner(eng)
        holds = condition(obj, eng)
        return None if holds is True else then(holds, lambda answer: None if answer else LEAVE)

    description = Description(
        "WHILE",
        roles=("condition", *("body",) * len(body)),
        parts=(Part("condition", condition),),
        label=task_name(condition),
    )
    return Definition([described(named(ask, "WHILE"), description), *body], repeats_from=0)


def FOR(
    source: Any, setter: Any, branch: Branch, cache_data: bool = False, order: str = "ASC"
) -> Definition:
    """Run the branch once for each item of a source.

    Its list is ``[first item, task, task, ..., next item]``, which starts over at its first task. The loop's count is kept with the
    position: halted inside and taken up again, it goes on with the same item. After the loop the
    last value can still be read.

    :param source: an iterable, or a callable ``(obj, eng)`` that returns one; the callable is
        asked once each time the loop is entered, and once more after a halt was taken up by
        another process.
    :param setter: a key of ``eng.extra_data`` under which each item is put, a callable
        ``(obj, eng, item)``, or None.
    :param cache_data: keep the items that a callable source returned with the position, so that
        it is not asked again after a halt; they must be plain data then.
    :param order: ``ASC``, or ``DSC`` for the last item first.
    """
    body = as_branch(branch, "FOR's branch")
    items_of = _items_of(source, order)
    key, put = _setter(setter)
    label = f"{setter if isinstance(setter, str) else 'item'} in {_source_label(source)}"
    kind = digest(f"FOR {label} {order}", body)
    caches = cache_data and not isinstance(source, Iterable)
    items = source if order == "ASC" and isinstance(source, Sequence) else None
    loop = object()

    def turn(obj: Any, eng: Any, frame: Frame, number: int) -> Any:
        try:
            item = frame.live[number]
        except IndexError:
            frames.leave(eng, frame)
            return LEAVE
        frame["turn"] = number
        if key is not None:
            eng.extra_data[key] = item
            return None
        return then(put(obj, eng, item), lambda _: None)

    def look_up(obj: Any, eng: Any, frame: Frame, number: int) -> Any:
        def go(found: Sequence[Any]) -> Any:
            frame.owner, frame.live = loop, found
            if caches:
                frame["items"] = found
            return turn(obj, eng, frame, number)

        kept = frame.get("items")
        return go(kept) if kept is not None else then(items_of(obj, eng, caches), go)

    def first(obj: Any, eng: Any) -> Any:
        frame = frames.enter(eng, kind, owner=loop, live=items)
        return (look_up if items is None else turn)(obj, eng, frame, 0)

    def again(obj: Any, eng: Any) -> Any:
        extra_data = eng.extra_data
        frame = extra_data[FRAMES][-1] if FRAMES in extra_data else None
        if frame.__class__ is Frame and frame.owner is loop:
            return turn(obj, eng, frame, frame["turn"] + 1)
        frame = frames.find(eng, kind)
        if frame is None:
            return first(obj, eng)
        return look_up(obj, eng, frame, frame["turn"] + 1)

    description = Description(
        "FOR",
        roles=("source", *("body",) * len(body), "repeat"),
        parts=(Part("source", source), Part("setter", setter)),
        label=label,
        options={"order": order, "cache_data": cache_data},
    )
    steps = [described(named(first, "FOR"), description), *body, named(again, "FOR again")]
    return Definition(steps, repeats_from=1)


def _setter(setter: Any) -> tuple[str | None, Any]:
    """Return a key of extra_data, or else a callable ``(obj, eng, item)``."""
    if isinstance(setter, str):
        return setter, None
    if setter is not None and not callable(setter):
        raise WorkflowDefinitionError(
            "FOR's setter is a key of extra_data, a callable (obj, eng, item) or None, "
            f"not {setter!r}"
        )
    return None, setter or (lambda obj, eng, item: None)


def _source_label(source: Any) -> str:
    if isinstance(source, range):
        return repr(source)
    return f"a {type(source).__name__}" if isinstance(source, Iterable) else task_name(source)


def _items_of(source: Any, order: str) -> Any:
    """Return a callable ``(obj, eng, copied)`` that returns the source's items by index."""
    if order not in ("ASC", "DSC"):
        raise WorkflowDefinitionError(f"FOR's order is 'ASC' or 'DSC', not {order!r}")
    if isinstance(source, Iterable):
        held = _LazyItems(source) if isinstance(source, Iterator) else source
        return lambda obj, eng, copied: _by_index(held, order, copied)
    ask_source = as_condition(source, "FOR's source is an iterable, or")

    def items(obj: Any, eng: Any, copied: bool) -> Any:
        return then(ask_source(obj, eng), lambda found: _by_index(found, order, copied, source))

    return items


def _by_index(found: Any, order: str, copied: bool, source: Any = None) -> Sequence[Any]:
    if not isinstance(found, Iterable):
        raise WorkflowError(
            f"FOR's source {task_name(source)!r} returned {type(found).__name__}, "
            "which cannot be iterated over"
        )
    if order == "DSC":
        return found[::-1] if isinstance(found, range) else list(found)[::-1]
    if copied or not isinstance(found, Sequence | Iterator):
        return list(found)
    return found if isinstance(found, Sequence) else _LazyItems(found)


class _LazyItems(Sequence[Any]):
    """The items of an iterator, read when they are asked for and kept; any thread may ask."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._remaining = items
        self._read: list[Any] = []
        self._lock = Lock()

    def __len__(self) -> int:
        return len(list(self))

    def __getitem__(self, index: Any) -> Any:
        with self._lock:
            while len(self._read) <= index:
                try:
                    self._read.append(next(self._remaining))
                except StopIteration:
                    raise IndexError("no more items") from None
        return self._read[index]
