"""Definitions: nested lists of tasks, cleaned, checked and kept by key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, NoReturn, Union

from wfengine.description import Description
from wfengine.errors import WorkflowDefinitionError

__all__ = [
    "ALL",
    "FROM_START",
    "Callbacks",
    "Definition",
    "Enter",
    "Shape",
    "Steps",
    "Task",
    "Visit",
    "cannot_be_called",
    "clean",
    "enter",
    "task_name",
]

ALL = "*"

Task = Callable[[Any, Any], Any]


Steps = tuple[tuple[int, Any], ...]
"""What the engine goes through: a task for each element of a list, with its index."""


class Visit:
    """Stands for a task that somebody watches: hands itself to the engine, which goes the long way.

    So watching costs nothing where nobody watches.
    """

    __slots__ = ("task",)

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self, obj: object, eng: object) -> Visit:
        """Hand itself over."""
        return self


class Enter:
    """Handed to the engine by the task that leads a nested list: go through the list now.

    :param index: where to begin.
    """

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


FROM_START = Enter(0)


def enter(obj: object, eng: object) -> Enter:
    """Lead a list that is simply gone through."""
    return FROM_START


class Shape(Enum):
    """How the engine goes through a nested list."""

    STRAIGHT = "straight"  # from the first element to the last
    LOOP = "loop"  # straight, again and again, until a task in it leaves the list
    CHOICE = "choice"  # only the element that its lead names, which is itself a list


class Definition(list[Any]):
    """A cleaned list of tasks and further definitions; equal to a plain list, and read-only.

    It cannot change, so that a stored position always addresses the same task.

    :param lead: a task that stands for the list in the list around it, and decides: it hands over
        an :class:`Enter`, or returns None to pass the list by. While it runs, the position is that
        of the list; it has one more index inside the list.
    :param shape: how the list is gone through.
    :param description: what pattern it is, if any.
    """

    __slots__ = (
        "_watched",
        "description",
        "is_choice",
        "is_loop",
        "items",
        "lead",
        "shape",
        "steps",
    )

    def __init__(
        self,
        items: Iterable[Task | Definition] = (),
        lead: Task = enter,
        shape: Shape = Shape.STRAIGHT,
        description: Description | None = None,
    ) -> None:
        super().__init__(items)
        self.items = tuple(self)
        self.lead = lead
        self.shape = shape
        self.description = description
        self.is_loop = shape is Shape.LOOP
        self.is_choice = shape is Shape.CHOICE
        self.steps: Steps = tuple(
            (index, item.lead if isinstance(item, Definition) else item)
            for index, item in enumerate(self)
        )
        self._watched: Steps | None = None

    @property
    def is_pattern(self) -> bool:
        """Whether it is more than a list of tasks, so that it stands for itself as an element."""
        return self.lead is not enter or self.shape is not Shape.STRAIGHT

    @property
    def watched(self) -> Steps:
        """The steps with a :class:`Visit` in place of each task."""
        if self._watched is None:
            self._watched = tuple(
                (index, step if step is enter else Visit(step)) for index, step in self.steps
            )
        return self._watched

    def rebuilt(self, items: Iterable[Task | Definition], lead: Task) -> Definition:
        """Return a list of the same kind with other tasks."""
        return Definition(items, lead, self.shape, self.description)

    def __reduce__(self) -> tuple[type[Definition], tuple[Any, ...]]:
        return type(self), (list(self), self.lead, self.shape, self.description)

    def _read_only(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            "a definition is read-only, so that positions keep their meaning; "
            "change it through eng.callbacks, or build a new list"
        )

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _read_only
    append = extend = insert = remove = pop = clear = sort = reverse = _read_only

    def at(self, position: Sequence[int]) -> Any:
        """Return the task or list at a position, or None where there is nothing."""
        found: Any = self
        for index in position:
            if not isinstance(found, list) or not 0 <= index < len(found):
                return None
            found = found[index]
        return found


def task_name(task: object) -> str:
    """Return the name by which a task, or a list, is shown to people.

    >>> task_name(len), task_name([len])
    ('len', '[...]')
    """
    if isinstance(task, Definition) and task.description is not None:
        return task.description.kind
    if isinstance(task, list):
        return "[...]"
    return getattr(task, "__name__", None) or type(task).__name__


Raw = Union[Task, "list[Any]", "tuple[Any, ...]", None]


def clean(callbacks: Iterable[Raw]) -> Definition:
    """Return ``callbacks`` as a :class:`Definition`: tuples flattened, None dropped, all checked.

    :raises WorkflowDefinitionError: for something that is no task, naming it and its path.
    """
    if isinstance(callbacks, Definition):
        return Definition([callbacks]) if callbacks.is_pattern else callbacks
    levels = [_Level(callbacks, [], closes=True)]
    while True:
        level = levels[-1]
        for item in level.remaining:
            level.index += 1
            if isinstance(item, Definition) or item is None:
                level.target.extend(() if item is None else (item,))
            elif isinstance(item, list | tuple):
                _refuse_cycle(levels, item)
                is_list = isinstance(item, list)
                levels.append(_Level(item, [] if is_list else level.target, closes=is_list))
                break
            else:
                _check_task(item, levels)
                level.target.append(item)
        else:
            levels.pop()
            if not levels:
                return Definition(level.target)
            if level.closes:
                levels[-1].target.append(Definition(level.target))


class _Level:
    """One list or tuple on the way down: what is left of it and where its tasks go."""

    __slots__ = ("closes", "index", "remaining", "source", "target")

    def __init__(self, source: Iterable[Raw], target: list[Any], closes: bool) -> None:
        self.source = source
        self.remaining: Iterator[Raw] = iter(source)
        self.target = target
        self.closes = closes
        self.index = -1


def _refuse_cycle(levels: list[_Level], item: object) -> None:
    if len(levels) > 100 and len(levels) & (len(levels) - 1):
        return  # deep nesting: looking at powers of two finds a cycle as surely, and stays linear
    if any(level.source is item for level in levels):
        raise WorkflowDefinitionError(f"the list at {_path(levels)} contains itself")


def _check_task(item: object, levels: list[_Level]) -> None:
    if isinstance(item, type) or not callable(item):
        raise WorkflowDefinitionError(
            f"{_brief(item)} at {_path(levels)} is no task: a definition holds callables "
            "task(obj, eng) and lists of them" + _advice(item)
        )
    reason = cannot_be_called(item)
    if reason:
        raise WorkflowDefinitionError(f"task {task_name(item)!r} at {_path(levels)} {reason}")


def cannot_be_called(task: Callable[..., Any], arguments: Sequence[str] = ("obj", "eng")) -> str:
    """Return why ``task(obj, eng)`` must fail, as far as its signature shows, or nothing."""
    try:
        signature = inspect.signature(task, follow_wrapped=False)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*arguments)
    except TypeError:
        call = f"task({', '.join(arguments)})"
        return f"cannot be called as {call}: its signature is {signature}"
    return ""


def _path(levels: list[_Level]) -> str:
    indexes = [level.index for level in levels]
    if len(indexes) > 20:
        indexes = indexes[-20:]
        return f"[..., {str(indexes)[1:]}"
    return str(indexes)


def _brief(item: object) -> str:
    if isinstance(item, type):
        return f"the class {item.__name__}"
    text = repr(item)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(item).__name__})"


def _advice(item: object) -> str:
    if isinstance(item, type):
        return "; give an instance, or a function"
    if inspect.iscoroutine(item):
        item.close()
        return "; give the coroutine function itself, without calling it"
    return ""


def has_task(definition: Definition) -> bool:
    """Return whether there is a task in a definition, however deep."""
    waiting: list[Any] = [definition]
    while waiting:
        step = waiting.pop()
        if not isinstance(step, Definition) or step.lead is not enter:
            return True
        waiting.extend(step)
    return False


class MissingKeyError(KeyError):
    """No callbacks are kept under a key; prints as a sentence."""

    def __str__(self) -> str:
        return str(self.args[0])


class Callbacks:
    """The definitions of an engine, by key; ``'*'`` is the one for every token.

    >>> def task(obj, eng): ...
    >>> callbacks = Callbacks()
    >>> callbacks.add(task)
    >>> callbacks.get() == [task]
    True
    """

    def __init__(self) -> None:
        self._definitions: dict[str, Definition] = {}
        self.only: Definition | None = None
        """The definition under ``'*'``, when it is the only one."""

    def _keep(self, key: str, definition: Definition) -> None:
        self._definitions[key] = definition
        self._look_for_only()

    def _look_for_only(self) -> None:
        self.only = self._definitions.get(ALL) if len(self._definitions) == 1 else None

    def add(self, func: Raw, key: str = ALL) -> None:
        """Put one task, or one list of tasks, at the end of a definition."""
        self.add_many([func], key)

    def add_many(self, list_or_tuple: Iterable[Raw], key: str = ALL) -> None:
        """Put several tasks at the end of a definition.

        :raises WorkflowDefinitionError: for something that is no task; nothing is added then.
        """
        added = self.cleanup_callables(list_or_tuple)
        self._keep(key, Definition([*self._definitions.get(key, ()), *added]))

    def replace(self, funcs: Iterable[Raw], key: str = ALL) -> None:
        """Put a definition in place of the one under ``key``.

        :raises WorkflowDefinitionError: for something that is no task; nothing is changed then.
        """
        self._keep(key, self.cleanup_callables(funcs))

    def clear(self, key: str = ALL) -> None:
        """Remove the definition under ``key``.

        :raises KeyError: for a key that is not there, except ``'*'``.
        """
        if key != ALL:
            self._find(key)
        self._definitions.pop(key, None)
        self._look_for_only()

    def clear_all(self) -> None:
        """Remove every definition."""
        self._definitions.clear()
        self._look_for_only()

    def empty(self) -> bool:
        """Return whether there is no task at all."""
        return not any(map(has_task, self._definitions.values()))

    def get(self, key: str | None = ALL) -> Any:
        """Return the definition under ``key``, or for None a dictionary of them all.

        :raises KeyError: which key is missing, and which exist.
        """
        return dict(self._definitions) if key is None else self._find(key)

    def _find(self, key: str) -> Definition:
        try:
            return self._definitions[key]
        except KeyError:
            known = ", ".join(map(repr, self._definitions)) or "none"
            raise MissingKeyError(f"no callbacks under {key!r}; there are: {known}") from None

    @classmethod
    def cleanup_callables(cls, callbacks: Iterable[Raw]) -> Definition:
        """Return ``callbacks`` ready to run: tuples flattened into their parent, None dropped.

        :raises WorkflowDefinitionError: for something that is no task, naming it and its path.
        """
        if isinstance(callbacks, Definition):
            return clean(callbacks)
        if isinstance(callbacks, str | bytes) or not isinstance(callbacks, Iterable):
            raise WorkflowDefinitionError(
                f"a definition is a list of tasks, not {_brief(callbacks)}"
            )
        return clean(callbacks)
