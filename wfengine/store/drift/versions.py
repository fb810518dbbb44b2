"""Two versions of a definition, and where a token has its place in the new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen

from wfengine.callbacks import Definition, task_name
from wfengine.definitions import Comparison
from wfengine.description import Description, Part, describe
from wfengine.errors import DamagedDataError
from wfengine.store.drift.findings import NoPlaceError, Stand
from wfengine.store.records import TokenRecord, path_text
from wfengine.store.serialization import Types, text_of

__all__ = ["Keeper", "Versions", "frames_in", "mark_in"]

FOR, TRY = "FOR", "TRY"
MARK = "mark"
"""In a frame: what the keys of its branches begin with, which are known by names."""


@frozen
class Keeper:
    """What is at a position, or is a pattern of which the task at the position is the work.

    :param levels: how much shorter its own position is.
    """

    description: Description | None
    levels: int = 0

    @property
    def kind(self) -> str:
        """The kind of the frames that it keeps."""
        return self.description.memory if self.description else ""

    @property
    def branches(self) -> list[Definition]:
        """The definitions that it runs as branches."""
        return [part.content for part in self._parts]

    @property
    def names(self) -> list[str]:
        """The names of these."""
        return [part.label for part in self._parts]

    @property
    def _parts(self) -> list[Part]:
        parts = self.description.parts if self.description else ()
        return [part for part in parts if isinstance(part.content, Definition)]


@define(eq=False)
class Versions:
    """Two versions of a definition.

    :param comparison: None where it is not known what the old one looked like.
    """

    definition: Definition
    comparison: Comparison | None
    old: Any
    new: Any
    _old_labels: dict[str, str] = field(init=False)
    _new_labels: dict[str, str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._old_labels, self._new_labels = dict(self.old), dict(self.new)

    def text(self) -> str:
        """Return what is different."""
        if self.comparison is None:
            return "the store does not have the definition that the run was begun with"
        return self.comparison.text()

    def stand(self, token: TokenRecord, run_id: int) -> Stand:
        """Return the place of a token.

        :raises NoPlaceError: when there is none.
        :raises DamagedDataError: when what its patterns remember cannot be read.
        """
        position, said = self.place(token.position)
        found = self.definition.at(position)
        return Stand(
            token,
            run_id,
            position,
            self._memory(token) if token.memory else None,
            "the end" if found is None else task_name(found),
            0 if mark_in(token.memory, token.position) else len(self.keeper(position).branches),
            said,
        )

    def place(self, position: Sequence[int]) -> tuple[list[int], str]:
        """Return where a position is now, and what it has missed or meets again.

        :raises NoPlaceError: when there is no such place.
        """
        if self.comparison is None:
            raise NoPlaceError("what was there is not known")
        match = self.comparison.position(position)
        if match.position is None:
            raise NoPlaceError(match.reason)
        return match.position, match.reason

    def keeper(self, position: Sequence[int]) -> Keeper:
        """Return the pattern that keeps a frame, or branches, where this is the position."""
        around = describe(self.definition.at(position[:-1])) if position else None
        roles = around.roles if around else ()
        if roles[position[-1] : position[-1] + 1] == ("branches",):
            return Keeper(around, levels=1)
        return Keeper(describe(self.definition.at(position)))

    def has_same_label(self, position: Sequence[int], keeper: Keeper) -> bool:
        """Return whether a pattern is what it was, its branches included.

        :param position: where the old definition had what the pattern keeps.
        """
        old = list(position[: len(position) - keeper.levels])
        label = self._old_labels.get(path_text(old))
        return label is not None and label == self._new_labels.get(path_text(self.place(old)[0]))

    def is_waited_for(self, path: str) -> bool:
        """Return whether the branches of a task are those of a SYNCHRONIZE."""
        return self._old_labels.get(path) == "branches"

    def check_end(self, number: int) -> None:
        """Refuse a branch that is done, unless the end of its definition is the same."""
        length = sum(path.isdecimal() for path in self._old_labels)
        try:
            self.place([length])
        except NoPlaceError as error:
            raise NoPlaceError(f"branch {number} is done, and {error}") from None

    def _memory(self, token: TokenRecord) -> str | None:
        """Return what the patterns that are around a token now remember of it."""
        remembered = Types.plain(token.memory or "")
        position = token.position
        kept = [
            self._frame(frame, position)
            for frame in frames_in(remembered)
            if not self._is_over(frame, position)
        ]
        if not kept:
            return None
        return text_of({**remembered, "frames": kept})

    def _is_over(self, frame: dict[str, Any], position: list[int]) -> bool:
        """Return whether a frame is of a pattern that has ended; a TRY leaves its frame behind."""
        if frame["depth"] > len(position):
            return True
        label = self._old_labels.get(path_text(position[: frame["depth"]]), TRY)
        name = label.removeprefix("branch: ").removeprefix("last: ")
        return _sort(frame["kind"]) == TRY != _sort(name)

    def _frame(self, frame: dict[str, Any], position: list[int]) -> dict[str, Any]:
        """Return a frame as the pattern looks for it that has its place now."""
        around = position[: frame["depth"]]
        place, _ = self.place(around)
        keeper = self.keeper(place)
        if not keeper.kind or _sort(keeper.kind) != _sort(frame["kind"]):
            raise NoPlaceError(
                f"it is inside of {frame['kind'][:100]!r}, and there is none at {path_text(place)}"
            )
        if _sort(keeper.kind) == FOR:
            self._check_loop(frame["kind"], keeper, around)
        return {**frame, "kind": keeper.kind, "depth": len(place)}

    def _check_loop(self, kind: str, keeper: Keeper, around: list[int]) -> None:
        """Refuse a loop over something else, in which the number of a turn is another item."""
        was, now = kind.rpartition(" ")[0], keeper.kind.rpartition(" ")[0]
        if was != now:
            raise NoPlaceError(f"it is inside of {was[:100]!r}, which is {now[:100]!r} now")
        if kind != keeper.kind and not self.has_same_label(around, keeper):
            raise NoPlaceError(f"it is inside of {was[:100]!r}, whose items may be others now")


def _sort(kind: str) -> str:
    return kind.partition(" ")[0]


def mark_in(memory: str | None, position: Sequence[int]) -> str | None:
    """Return the mark of the branches that a token has begun where it stands, if they have one."""
    frames = frames_in(Types.plain(memory)) if memory else []
    marks = [frame.get(MARK) for frame in frames if frame["depth"] == len(position)]
    return marks[0] if marks and isinstance(marks[0], str) else None


def frames_in(remembered: Any) -> list[dict[str, Any]]:
    """Return the frames in what patterns remember.

    :raises DamagedDataError: when there is anything else.
    """
    frames = remembered.get("frames") if isinstance(remembered, dict) else None
    if not isinstance(frames, list) or not all(map(_is_frame, frames)):
        raise DamagedDataError("what patterns remember is not what they have written")
    return frames


def _is_frame(frame: Any) -> bool:
    if not isinstance(frame, dict) or not isinstance(frame.get("kind"), str):
        return False
    return type(frame.get("depth")) is int and frame["depth"] > 0
