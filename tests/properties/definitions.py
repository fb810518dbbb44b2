"""Definitions as plain data: what Hypothesis builds, the engine runs and the model interprets.

Every user's callable has a name, its path in the whole, and a lane: which of the branches that
run beside each other it belongs to. Both are filled in by :func:`labelled`.
"""

from functools import partial
from typing import Any

from attrs import evolve, field, fields, frozen

MAIN = "main"
BESIDE = "beside"  # in the name of a lane that nobody waits for before the end of the token

TOKEN_KEY = {"is_token_key": True}


class Shown:
    """Prints itself as it would be written, without what is left at its default."""

    def __repr__(self) -> str:
        written = (
            f"{each.name}={getattr(self, each.name)!r}"
            for each in fields(type(self))
            if each.name not in ("name", "lane") and getattr(self, each.name) != each.default
        )
        return f"{type(self).__name__}({', '.join(written)})"


plain = partial(frozen, repr=False)


@plain
class Act(Shown):
    """One thing that a task does once it has recorded that it was there.

    ``how`` says how the engine learns of it: by one of its methods, by an exception that the task
    raises itself, or by value.
    """

    kind: str = "pass"
    how: str = "method"
    number: int = 0
    levels: int = 0
    text: str = ""
    error: str = "ValueError"


PASS = Act()


class Node(Shown):
    """Something that can stand in a definition."""


@plain
class Nested(Node):
    """A plain list."""

    items: tuple[Any, ...] = ()


@plain
class Scripted(Node):
    """A user's callable that does, or answers, something else at each visit of a token.

    :param script: an :class:`Act` or an answer for each visit; then ``finally_`` for good.
    """

    script: tuple[Any, ...] = ()
    finally_: Any = PASS
    name: str = ""
    lane: str = MAIN


class Task(Scripted):
    """A plain task."""


class Asked(Scripted):
    """A condition, or a CHOICE's arbiter."""


class Setter(Scripted):
    """What a FOR hands its items to."""


@plain
class Reading(Node):
    """A user's callable that returns the same whenever it is asked."""

    value: Any = None
    name: str = ""
    lane: str = MAIN


@plain
class TaskJump(Node):
    pattern: str
    step: int


@plain
class TaskJumpIf(Node):
    condition: Any
    step: int


@plain
class Break(Node):
    levels: int = 1


@plain
class Stop(Node):
    pass


@plain
class Halt(Node):
    message: Any = ""
    payload: Any = None


@plain
class ObjNext(Node):
    pass


@plain
class ObjJump(Node):
    pattern: str
    step: int


@plain
class If(Node):
    pattern: str
    condition: Any
    branch: Any


@plain
class IfElse(Node):
    condition: Any
    branch: Any
    otherwise: Any


@plain
class Cmp(Node):
    left: Any
    right: Any
    op: str


@plain
class While(Node):
    condition: Any
    body: Any


@plain
class For(Node):
    """``source`` is ``list``, ``tuple``, ``range``, or a Reading whose items come as ``items``."""

    source: Any
    items: tuple[int, ...]
    setter: Any
    body: Any
    order: str = "ASC"
    cache_data: bool = False


@plain
class Choice(Node):
    arbiter: Any
    branches: tuple[Any, ...]
    default: Any = None
    by_keyword: bool = False


@plain
class Merge(Node):
    branches: tuple[Any, ...]


@plain
class Synchronize(Node):
    branches: tuple[Any, ...] = field(metadata={"lane": "with"})
    last: Any


@plain
class Parallel(Node):
    branches: tuple[Any, ...] = field(metadata={"lane": BESIDE})


@plain
class RunWf(Node):
    """``connector``: a Reading that stands for asking the token for its parts, or None."""

    body: Any
    connector: Any = None
    own_engine: bool = False


@plain
class Raised(Node):
    """An exception as TRY's ``onfailure``: its class, or an instance with a message."""

    message: str = ""


@plain
class Try(Node):
    body: Any
    retry: int = 1
    onfailure: Any = None


@plain
class EngSet(Node):
    key: str
    value: Any


@plain
class EngGet(Node):
    key: str
    default: Any = None


@plain
class ObjSet(Node):
    key: str = field(metadata=TOKEN_KEY)
    value: Any


@plain
class ObjGet(Node):
    """``key`` is one key, or a tuple of them."""

    key: Any = field(metadata=TOKEN_KEY)
    cond: str = "all"


@plain
class Error(Node):
    message: str


@plain
class CallFunc(Node):
    outkey: str | None = None
    args: tuple[int, ...] = ()
    oeargs: tuple[Any, ...] = ()
    ekey: str | None = None
    okey: str | None = field(default=None, metadata=TOKEN_KEY)
    kwarg: int | None = None


@plain
class Empty(Node):
    pass


def labelled(value: Any, path: str = "", lane: str = MAIN) -> Any:
    """Return a definition in which every user's callable has a name of its own, and its lane.

    A key of the token belongs to one lane, so that branches do not race for it.
    """
    if isinstance(value, tuple):
        return tuple(labelled(each, f"{path}.{place}", lane) for place, each in enumerate(value))
    if not isinstance(value, Node):
        return value
    if isinstance(value, Scripted | Reading):
        return evolve(value, name=f"{type(value).__name__.lower()}{path}", lane=lane)
    inside = {
        each.name: _labelled_field(getattr(value, each.name), f"{path}.{each.name}", lane, each)
        for each in fields(type(value))
    }
    return evolve(value, **inside)


def _labelled_field(value: Any, path: str, lane: str, attribute: Any) -> Any:
    kind = attribute.metadata.get("lane")
    if kind:
        return tuple(
            labelled(branch, f"{path}.{place}", f"{lane} {kind} {path}.{place}")
            for place, branch in enumerate(value)
        )
    return (
        _of_lane(value, lane)
        if attribute.metadata.get("is_token_key")
        else labelled(value, path, lane)
    )


def _of_lane(key: Any, lane: str) -> Any:
    if isinstance(key, tuple):
        return tuple(_of_lane(each, lane) for each in key)
    return None if key is None else f"{key} of {lane}"


def parts_of(value: Any) -> list[Any]:
    """Return a node and everything inside it."""
    if isinstance(value, tuple):
        return [part for each in value for part in parts_of(each)]
    if not isinstance(value, Node):
        return []
    inside = (parts_of(getattr(value, each.name)) for each in fields(type(value)))
    return [value, *(part for parts in inside for part in parts)]
