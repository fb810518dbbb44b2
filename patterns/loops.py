"""Loops: WHILE asks before each turn, FOR takes the items of a source one by one.

A loop's body is the loop's own list, so that ``break_current_loop()`` in it leaves the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from threading import Lock
from typing import Any

from wfengine import frames
from wfengine.callbacks import Definition, Shape, Task, cannot_be_called, task_name
from wfengine.description import Description, Part
from wfengine.errors import WorkflowDefinitionError, WorkflowError
from wfengine.frames import FRAMES, Frame, Live
from wfengine.interpreter import LEAVE

from .parts import Branch, as_branch, as_condition, digest, named, then

__all__ = ["FOR", "WHILE"]

HANDFUL = 1000


def WHILE(cond: Task, branch: Branch) -> Definition:
    """Run the branch again and again while the condition holds.

    Its list is ``[condition, task, task, ...]``, which starts over at its end.
    """
    condition = as_condition(cond, "WHILE's condition")
    body = as_branch(branch, "WHILE's branch")

    def lead(obj: Any, eng: Any) -> Any:
        holds = condition(obj, eng)
        if holds is True:
            return None
        if holds is False:
            return LEAVE
        return then(holds, lambda answer: None if answer else LEAVE)

    description = Description(
        "WHILE",
        roles=("condition", *("body",) * len(body)),
        parts=(Part("condition", condition),),
        label=task_name(condition),
    )
    steps = [named(lead, "WHILE"), *body]
    return Definition(steps, shape=Shape.LOOP, description=description)


def FOR(
    source: Any, setter: Any, branch: Branch, cache_data: bool = False, order: str = "ASC"
) -> Definition:
    """Run the branch once for each item of a source.

    Its list is ``[next item, task, task, ...]``, which starts over at its end. The loop's count is
    kept with the position: halted inside and taken up again, it goes on with the same item. After
    the loop the last value can still be read.

    :param source: an iterable, or a callable ``(obj, eng)`` that returns one; the callable is
        asked once each time the loop is entered, and once more after a halt was taken up again.
    :param setter: a key of ``eng.extra_data`` under which each item is put, a callable
        ``(obj, eng, item)``, or None.
    :param cache_data: keep the items that a callable source returned with the position, so that
        it is not asked again after a halt; they must be plain data then.
    :param order: ``ASC``, or ``DSC`` for the last item first.
    """
    body = as_branch(branch, "FOR's branch")
    loop = _ForLoop(source, setter, body, cache_data, order)
    key = loop.key

    def lead(obj: Any, eng: Any) -> Any:
        walk = eng.live
        if walk is None or walk.loop is not loop:
            return loop.take_up(obj, eng, lead)
        number = walk.number + 1
        if number >= walk.size and (not walk.is_lazy or walk.ends_before(number)):
            frames.leave(eng, walk.frame)
            return LEAVE
        if key is None:
            return loop.put_by_call(obj, eng, walk, number)
        eng.extra_data[key] = walk.items[number]
        walk.number = walk.frame["turn"] = number
        return None

    description = Description(
        "FOR",
        roles=("next", *("body",) * len(body)),
        parts=(Part("source", source), Part("setter", setter)),
        label=loop.label,
        options={"order": order, "cache_data": cache_data},
        memory=loop.kind,
    )
    steps = [named(lead, "FOR"), *body]
    return Definition(steps, shape=Shape.LOOP, description=description)


class _ForLoop:
    """What a FOR knows, whoever runs it; and how it is begun and taken up again.

    ``proceed`` is the FOR's own lead, which goes on to the next item.
    """

    def __init__(
        self, source: Any, setter: Any, body: Definition, cache_data: bool, order: str
    ) -> None:
        self.items_of = _items_of(source, order)
        self.fixed = _fixed_items(source, order)
        self.key, self.setter = _setter(setter)
        self.label = f"{setter if isinstance(setter, str) else 'item'} in {_source_label(source)}"
        self.kind = digest(f"FOR {self.label} {order}", body, _items_text(source))
        self.caches = cache_data and not isinstance(source, Iterable)

    def take_up(self, obj: Any, eng: Any, proceed: Task) -> Any:
        """Begin; or go on after a halt."""
        frame = frames.find(eng, self.kind, levels=1) if FRAMES in eng.extra_data else None
        if frame is None:
            frame = frames.enter(eng, self.kind, levels=1)
            if self.key is not None:
                frame[frames.PUTS] = self.key
        items = frame.get("items", self.fixed)
        if items is not None:
            _Walk(eng, frame, self, items)
            return proceed(obj, eng)

        def go_on(items: Any) -> Any:
            if self.caches:
                frame["items"] = items
            _Walk(eng, frame, self, items)
            return proceed(obj, eng)

        return then(self.items_of(obj, eng, self.caches), go_on)

    def put_by_call(self, obj: Any, eng: Any, walk: _Walk, number: int) -> Any:
        """Hand an item to the setter, then go through the body."""

        def go_on(_: Any) -> None:
            walk.number = walk.frame["turn"] = number

        return then(self.setter(obj, eng, walk.items[number]), go_on)


def _setter(setter: Any) -> tuple[str | None, Any]:
    """Return a key of extra_data, or else a callable ``(obj, eng, item)``."""
    if isinstance(setter, str):
        return setter, None
    if setter is not None and not callable(setter):
        raise WorkflowDefinitionError(
            "FOR's setter is a key of extra_data, a callable (obj, eng, item) or None, "
            f"not {setter!r}"
        )
    reason = cannot_be_called(setter, ("obj", "eng", "item")) if setter else ""
    if reason:
        raise WorkflowDefinitionError(f"FOR's setter {reason}")
    return None, setter or (lambda obj, eng, item: None)


def _source_label(source: Any) -> str:
    if isinstance(source, range):
        return repr(source)
    return f"a {type(source).__name__}" if isinstance(source, Iterable) else task_name(source)


def _items_text(source: Any) -> str:
    """Return the items as a text that is the same in any process, or nothing if they have none."""
    if not isinstance(source, list | tuple | range | str) or len(source) > HANDFUL:
        return ""
    is_plain = all(isinstance(item, str | int | float | bool | None) for item in source)
    return repr(list(source)) if is_plain else ""


def _fixed_items(source: Any, order: str) -> Any:
    """Return the items by index, where they can never change, or None."""
    if isinstance(source, range) and len(source) <= HANDFUL:
        source = tuple(source)  # quicker to index than a range
    if not isinstance(source, range | tuple | str):
        return None
    return source if order == "ASC" else source[::-1]


def _items_of(source: Any, order: str) -> Any:
    """Return a callable ``(obj, eng, copied)`` that returns the source's items by index."""
    if order not in ("ASC", "DSC"):
        raise WorkflowDefinitionError(f"FOR's order is 'ASC' or 'DSC', not {order!r}")
    if isinstance(source, Iterable):
        held: Any = _LazyItems(source) if isinstance(source, Iterator) else source
        if isinstance(held, _LazyItems) and order == "ASC":
            return lambda obj, eng, copied: held
        return lambda obj, eng, copied: _by_index(held, order, copied)
    ask_source = as_condition(source, "FOR's source is an iterable, or")

    def items(obj: Any, eng: Any, copied: bool) -> Any:
        return then(ask_source(obj, eng), lambda found: _by_index(found, order, copied, source))

    return items


def _by_index(found: Any, order: str, copied: bool, source: Any = None) -> Any:
    if not isinstance(found, Iterable):
        raise WorkflowError(
            f"FOR's source {task_name(source)!r} returned {type(found).__name__}, "
            "which cannot be iterated over"
        )
    if order == "DSC":
        return list(found)[::-1]
    if isinstance(found, Iterator) and not copied:
        return _LazyItems(found)
    if isinstance(found, Sequence) and not isinstance(found, list) and not copied:
        return found
    return list(found)


class _LazyItems:
    """The items of an iterator, read when they are asked for and kept; any thread may ask."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._remaining = items
        self._read: list[Any] = []
        self._lock = Lock()

    def __iter__(self) -> Iterator[Any]:
        """Go through all the items, as the reversed order needs."""
        number = 0
        while number < self.read_to(number):
            yield self._read[number]
            number += 1

    def __len__(self) -> int:
        """Return how many items have been read."""
        return len(self._read)

    def __getitem__(self, number: int) -> Any:
        return self._read[number]

    def read_to(self, number: int) -> int:
        """Read on until there is such an item; return how many there are so far."""
        with self._lock:
            self._read.extend(islice(self._remaining, max(number + 1 - len(self._read), 0)))
        return len(self._read)


class _Walk(Live):
    """A loop under way: its items, and how far it has come."""

    __slots__ = ("is_lazy", "items", "loop", "number", "size")

    def __init__(self, eng: Any, frame: Frame, loop: object, items: Any) -> None:
        self.frame = frame
        self.outer = eng.live
        eng.live = self
        self.loop = loop
        self.items = items
        self.number = frame.get("turn", -1)
        self.size = len(items)
        self.is_lazy = items.__class__ is _LazyItems

    def ends_before(self, number: int) -> bool:
        """Return whether there is no such item, after reading on."""
        self.size = self.items.read_to(number)
        return number >= self.size
