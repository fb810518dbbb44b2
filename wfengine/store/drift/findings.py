"""What becomes of each token, when the definition has changed."""

from __future__ import annotations

from attrs import frozen

from wfengine.callbacks import Definition
from wfengine.errors import DamagedDataError
from wfengine.store.records import RunRecord, TokenRecord, path_text

__all__ = [
    "Element",
    "Elements",
    "Found",
    "Move",
    "NoPlaceError",
    "Opened",
    "Refusal",
    "Rerouted",
    "Stand",
    "branch_key",
]


@frozen
class Move:
    """A token that stands elsewhere in the new definition, or at the same place among other tasks.

    :param index: of the token in its run.
    :param task: the name of the task that it stands at.
    :param said: what it has missed, or meets again.
    """

    token_id: int
    index: int
    old: str
    new: str
    task: str
    said: str = ""

    def __str__(self) -> str:
        said = f": {self.said}" if self.said else ""
        return f"token {self.token_id} (index {self.index}) {self.task!r} {self.new}{said}"


@frozen
class Refusal:
    """A token that has no certain place in the new definition."""

    token_id: int
    index: int
    path: str
    reason: str

    def __str__(self) -> str:
        return f"token {self.token_id} (index {self.index}) at {self.path}: {self.reason}"


@frozen
class Stand:
    """A token and its place in the new definition.

    :param memory: what the patterns around it remember, as it is to be stored.
    :param branches: how many branches may have been begun there.
    """

    token: TokenRecord
    run_id: int
    position: list[int]
    memory: str | None
    task: str
    branches: int
    said: str

    @property
    def path(self) -> str:
        """The place as it is stored."""
        return path_text(self.position)

    @property
    def is_moved(self) -> bool:
        """Whether the place is another than the token had."""
        return self.path != self.token.path

    def move(self) -> Move:
        """Return it for people."""
        token = self.token
        return Move(token.id, token.index, token.path, self.path, self.task, self.said)


@frozen
class Opened:
    """A run, or a branch, whose tokens come next, and its new definition."""

    run: RunRecord
    definition: Definition


@frozen
class Rerouted:
    """A branch whose task, which went on at once, has another place."""

    run: RunRecord
    path: str


@frozen
class Element:
    """An element of a GRAPH that has been begun.

    :param key: what it is found by now; None where there is no such element any more, or where it
        is begun anew.
    :param number: of the element now.
    :param definition: its new one, where that is another and it has not ended.
    """

    run: RunRecord
    name: str
    key: str | None
    number: int = 0
    definition: Definition | None = None

    @property
    def is_moved(self) -> bool:
        """Whether it has another number than it had."""
        return self.key != self.run.branch


@frozen
class Elements:
    """The elements of a GRAPH that have been begun for a token.

    :param dropped: the names of those that are no part of it any more, behind those of what they
        were in.
    :param anew: of those that are begun anew, since nothing had been done in them.
    """

    of: tuple[Element, ...] = ()
    dropped: tuple[tuple[str, ...], ...] = ()
    anew: tuple[tuple[str, ...], ...] = ()

    def inside(self, name: str) -> Elements:
        """Return the same as what is inside of an element."""
        dropped, anew = (
            tuple((name, *each) for each in names) for names in (self.dropped, self.anew)
        )
        return Elements(self.of, dropped, anew)


class NoPlaceError(Exception):
    """What a token has, has no place in the new definition."""


Found = Opened | Rerouted | Stand | Elements | Refusal | DamagedDataError


def branch_key(token: TokenRecord, number: int, step: int | None = None) -> str:
    """Return what a branch is found by that a token began where it stands."""
    return f"{token.id}.{token.steps if step is None else step}.{number}"
