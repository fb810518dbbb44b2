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
from wfengine.errors import JumpCall, WorkflowDefinitionError, WorkflowError
from wfengine.frames import Frame

from .parts import LEAVE, Branch, as_branch, as_condition, digest, named, then

__all__ = ["FOR", "WHILE"]


def WHILE(cond: Task, branch: Branch) -> Definition:
    """Run the branch again and again while the condition holds.

    Its list is ``[condition, task, task, ..., condition]``.
    """
    condition = as_condition(cond, "WHILE's condition")
    body = as_branch(branch, "WHILE's branch")
    back = JumpCall(-len(body))

    def enter(obj: Any, eng: Any) -> Any:
        holds = condition(obj, eng)
        return None if holds is True else then(holds, lambda answer: None if answer else LEAVE)

    def again(obj: Any, eng: Any) -> Any:
        frames.drop_inner(eng)
        holds = condition(obj, eng)
        return back if holds is True else then(holds, lambda answer: back if answer else None)

    description = Description(
        "WHILE",
        roles=("condition", *("body",) * len(body), "repeat"),
        parts=(Part("condition", condition),),
        label=task_name(condition),
    )
    return Definition(
        [described(named(enter, "WHILE"), description), *body, named(again, "WHILE again")]
    )


def FOR(
    source: Any, setter: Any, branch: Branch, cache_data: bool = False, order: str = "ASC"
) -> Definition:
    """Run the branch once for each item of a source.

    Its list is ``[first item, task, task, ..., next item]``. The loop's count is kept with the
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
    put = _putter(setter)
    label = f"{setter if isinstance(setter, str) else 'item'} in {_source_label(source)}"
    kind = digest(f"FOR {label} {order}", body)
    back = JumpCall(-len(body))
    caches = cache_data and not isinstance(source, Iterable)

    def turn(obj: Any, eng: Any, frame: Frame, number: int, if_item: Any, if_none: Any) -> Any:
        try:
            item = frame.live[number]
        except IndexError:
            frames.leave(eng, frame)
            return if_none
        frame["turn"] = number
        return then(put(obj, eng, item), lambda _: if_item)

    def resume(obj: Any, eng: Any, frame: Frame, number: int, if_item: Any, if_none: Any) -> Any:
        def go(items: Sequence[Any]) -> Any:
            frame.live = items
            if caches:
                frame["items"] = items
            return turn(obj, eng, frame, number, if_item, if_none)

        kept = frame.get("items")
        return go(kept) if kept is not None else then(items_of(obj, eng, caches), go)

    def first(obj: Any, eng: Any) -> Any:
        return resume(obj, eng, frames.enter(eng, kind), 0, None, LEAVE)

    def again(obj: Any, eng: Any) -> Any:
        frame = frames.find(eng, kind)
        if frame is None:
            return resume(obj, eng, frames.enter(eng, kind), 0, back, None)
        go_on = resume if frame.live is None else turn
        return go_on(obj, eng, frame, frame["turn"] + 1, back, None)

    description = Description(
        "FOR",
        roles=("source", *("body",) * len(body), "repeat"),
        parts=(Part("source", source), Part("setter", setter)),
        label=label,
        options={"order": order, "cache_data": cache_data},
    )
    return Definition(
        [described(named(first, "FOR"), description), *body, named(again, "FOR again")]
    )


def _putter(setter: Any) -> Any:
    if setter is None:
        return lambda obj, eng, item: None
    if isinstance(setter, str):

        def put(obj: Any, eng: Any, item: Any) -> None:
            eng.extra_data[setter] = item

        return put
    if not callable(setter):
        raise WorkflowDefinitionError(
            f"FOR's setter is a key of extra_data, a callable (obj, eng, item) or None, "
            f"not {setter!r}"
        )
    return setter


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
