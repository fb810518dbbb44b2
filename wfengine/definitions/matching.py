"""What changed between two versions of a definition, and where a stored position is now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import starmap
from typing import Any, Literal

from attrs import evolve, field, frozen

from wfengine.callbacks import Definition
from wfengine.definitions.pairing import Pairing, pair
from wfengine.definitions.reasons import passed, why_refused
from wfengine.definitions.skeletons import skeleton
from wfengine.definitions.trees import Node, quoted, tree_of
from wfengine.errors import WorkflowDefinitionError

__all__ = ["Comparison", "Match", "compare"]

MOST_LINES = 8
LONGEST_LINE = 160

LABEL = re.compile(r"(?P<role>(?:branch|last): )?(?P<name>.*?)(?P<digest> #[0-9a-f]{8})?")


@frozen
class Match:
    """Where a position of the old definition is in the new one.

    :param position: the new position; None where it is refused.
    :param how: ``same`` position, ``moved`` to another, or ``refused``.
    :param reason: why it is refused; else what a token there has missed or meets again, if
        anything.
    """

    position: list[int] | None
    how: Literal["same", "moved", "refused"]
    reason: str = ""


@frozen
class Comparison:
    """What changed between two versions of a definition.

    :param is_same: whether the two have the same skeleton.
    :param added: the task paths that are only in the new one.
    :param removed: the task paths that are only in the old one.
    :param moved: the old task paths of what has changed places with others of its list, or stands
        in another list now.
    """

    is_same: bool
    added: list[str]
    removed: list[str]
    moved: list[str]
    _old: Node = field(repr=False, eq=False)
    _pairing: Pairing = field(repr=False, eq=False)
    _known: dict[tuple[int, ...], Match] = field(init=False, factory=dict, repr=False, eq=False)

    def position(self, pos: Sequence[int]) -> Match:
        """Return where a position of the old definition is in the new one.

        It is where the same task path leads to. It is refused where that is not certain: when the
        task is gone, has another name, is inside of other lists than it was, or is one of several
        of the same name that have become more, or fewer, or changed places with others. The end
        of a list is the new end, if the last element is still the last.
        """
        key = tuple(pos)
        if not all(type(index) is int for index in key):
            return _refused(f"{_short(key)} is no position: it is a list of whole numbers")
        if key not in self._known:
            self._known[key] = self._find(key)
        found = self._known[key]
        return evolve(found, position=found.position and [*found.position])

    def _find(self, pos: tuple[int, ...]) -> Match:
        around = self._old.at(pos[:-1])
        if around is not None and pos:
            at = around.at(pos[-1:])
            if at is not None:
                return self._find_element(at)
            if pos[-1] == len(around.children) and (around.children or around is self._old):
                return self._find_end(around)
        return _refused(f"the old definition has no position {_short(pos)}")

    def _find_element(self, old: Node) -> Match:
        new = self._pairing.new_of.get(old)
        if new is None:
            return _refused(why_refused(old, self._pairing))
        return _found(old.position, new.position, passed(old, new, self._pairing))

    def _find_end(self, old: Node) -> Match:
        new = self._pairing.new_of.get(old)
        if new is None:
            return _refused(why_refused(old, self._pairing))
        last, last_now = old.last, new.last
        if last is None or last_now is None:
            is_same = last is last_now
            said = ""
        else:
            is_same = self._pairing.new_of.get(last) is last_now
            said = passed(last, last_now, self._pairing) if is_same else ""
        if not is_same:
            ends = [quoted(node.path) if node else "nothing" for node in (last, last_now)]
            return _refused(
                f"the end of {quoted(old.path)} is another: the last was {ends[0]}, "
                f"it is {ends[1]} now"
            )
        return _found([*old.position, len(old.children)], [*new.position, len(new.children)], said)

    def text(self) -> str:
        """Return the differences in a few lines: what was with -, what is now with +."""
        if self.is_same:
            return "the definition is the same"
        counts = f"{len(self.added)} added, {len(self.removed)} removed, {len(self.moved)} moved"
        sides = (
            ("-", self.removed),
            ("+", self.added),
            ("~", list(starmap(_from_to, self._pairing.moved))),
            ("~", list(starmap(_from_to, self._pairing.renamings))),
        )
        lines = [line for mark, paths in sides for line in _lines(mark, paths)]
        return "\n".join([f"the definition has changed: {counts}", *lines])


def compare(old: Any, new: Any, renamed: Mapping[str, str] | None = None) -> Comparison:
    """Compare two versions of a definition.

    :param old: a definition, or its stored skeleton; so is ``new``.
    :param renamed: new labels by old ones, for what is the same under another name.
    :raises WorkflowDefinitionError: for a damaged skeleton, and for names in ``renamed`` that the
        definitions do not have.

    >>> def check(obj, eng): ...
    >>> def pay(obj, eng): ...
    >>> compare([pay], [check, pay]).position([0])
    Match(position=[1], how='moved', reason="[0] is [1] now; not run before it: 'check'")
    """
    skeletons = _skeleton(old), _skeleton(new)
    before, after = map(tree_of, skeletons)
    pairing = pair(before, after, _renamed(renamed or {}, before, after))
    moved = [node for node, _ in pairing.moved]
    known, known_now = {*pairing.new_of, *moved}, {*pairing.old_of, *pairing.displaced.values()}
    return Comparison(
        is_same=skeletons[0] == skeletons[1],
        added=[node.path for node in after.walk() if node not in known_now],
        removed=[node.path for node in before.walk() if node not in known],
        moved=[node.path for node in moved],
        old=before,
        pairing=pairing,
    )


def _skeleton(found: Any) -> list[list[str]]:
    """Return a definition's skeleton, or a stored one as it is."""
    if not isinstance(found, Definition) and isinstance(found, list | tuple):
        is_stored = all(
            isinstance(entry, list | tuple)
            and len(entry) == 2
            and all(isinstance(text, str) for text in entry)
            for entry in found
        )
        if is_stored:
            return [list(entry) for entry in found]
    return skeleton(found)


def _renamed(names: Mapping[str, str], old: Node, new: Node) -> dict[str, str]:
    """Return the new label of each old one that is renamed, also behind its role in a pattern."""
    labels, new_labels = ({node.label for node in tree.walk()} for tree in (old, new))
    _check_names(names, {_name(label) for label in labels} | labels, "the old definition")
    _check_names(
        names.values(), {_name(label) for label in new_labels} | new_labels, "the new definition"
    )
    return {label: _with_new_name(label, names) for label in labels}


def _name(label: str) -> str:
    found = LABEL.fullmatch(label)
    return found["name"] if found else label


def _with_new_name(label: str, names: Mapping[str, str]) -> str:
    if label in names:
        return names[label]
    name = _name(label)
    return label.replace(name, names[name], 1) if name in names else label


def _check_names(names: Iterable[str], known: set[str], where: str) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name, known)
            meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise WorkflowDefinitionError(
                f"renamed names {quoted(name)}, which is not in {where}{meant}"
            )


def _from_to(old: Node, new: Node) -> str:
    return f"{old.path} {_short(old.position)} -> {new.path} {_short(new.position)}"


def _found(was: list[int], now: list[int], said: str) -> Match:
    if was == now:
        return Match(now, "same", said)
    return Match(
        now, "moved", "; ".join(filter(None, (f"{_short(was)} is {_short(now)} now", said)))
    )


def _short(position: Sequence[int]) -> str:
    return _cut(str(list(position[:50])))


def _refused(reason: str) -> Match:
    return Match(None, "refused", reason)


def _lines(mark: str, paths: Sequence[str]) -> list[str]:
    lines = [_cut(f"  {mark} {path}") for path in paths[:MOST_LINES]]
    more = len(paths) - MOST_LINES
    return [*lines, f"  {mark} and {more} more"] if more > 0 else lines


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}..."
