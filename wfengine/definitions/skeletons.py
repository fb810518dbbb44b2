"""A definition's skeleton: where each of its tasks stands, by name; and its fingerprint."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from wfengine.callbacks import Definition, clean
from wfengine.definitions.contents import parts_beside
from wfengine.definitions.held import digest_of_held
from wfengine.definitions.naming import Labels
from wfengine.definitions.plain import digest_of
from wfengine.errors import WorkflowDefinitionError

__all__ = ["Skeleton", "fingerprint", "skeleton"]

Skeleton = list[list[str]]
"""Pairs of a position and a label, each list before its elements; plain data, to be stored."""

WRITTEN_OUT = 50
"""From so many levels on a position is written as level and last index, so that it stays short."""


def skeleton(definition: Any) -> Skeleton:
    """Return the position and the label of every element of a definition.

    The order is that of reading; a position is written ``0.2.1``. From the fiftieth level on it is
    written ``level:index``, its other indexes being those of the elements around it.

    >>> def clean(obj, eng): ...
    >>> def ship(obj, eng): ...
    >>> skeleton([clean, [ship]])
    [['0', 'clean'], ['1', '[...]'], ['1.0', 'ship']]
    """
    return _Skeletons().of(_cleaned(definition))


def fingerprint(definition: Any) -> str:
    """Return 32 hexadecimal digits that are the same wherever a definition's skeleton is."""
    return _fingerprint_of(skeleton(definition))


def _cleaned(definition: Any) -> Definition:
    if definition is None:
        raise WorkflowDefinitionError("None is no definition")
    is_list = isinstance(definition, list | tuple)
    return clean(definition if is_list else [definition])


def _fingerprint_of(entries: Skeleton) -> str:
    return digest_of(json.dumps(entries), digits=32)


class _Skeletons:
    """Makes a definition's skeleton, after those of the definitions that its labels speak of."""

    def __init__(self) -> None:
        self._fingerprints: dict[int, str] = {}
        self._labels = Labels(self._fingerprints)

    def of(self, definition: Definition) -> Skeleton:
        """Return the skeleton; however deep branches hold branches, without recursion."""
        waiting = [definition]
        while True:
            current = waiting[-1]
            unknown = [part for part in _parts_of(current) if id(part) not in self._fingerprints]
            if unknown:
                waiting.extend(unknown)
                continue
            entries = list(self._entries(current))
            waiting.pop()
            if not waiting:
                return entries
            self._fingerprints[id(current)] = _fingerprint_of(entries)

    def _entries(self, definition: Definition) -> Iterator[list[str]]:
        levels = [("", self._labelled(definition))]
        while levels:
            around, remaining = levels[-1]
            index, label, element = next(remaining, (-1, "", None))
            if index < 0:
                levels.pop()
                continue
            depth = len(levels) - 1
            is_short = depth >= WRITTEN_OUT
            position = f"{depth}:{index}" if is_short else f"{around}{index}"
            yield [position, label]
            if isinstance(element, Definition):
                levels.append((f"{position}.", self._labelled(element)))

    def _labelled(self, parent: Definition) -> Iterator[tuple[int, str, Any]]:
        labels = [self._labels.of(element, parent, index) for index, element in enumerate(parent)]
        return zip(range(len(parent)), _told_apart(labels, parent), parent, strict=True)


def _parts_of(definition: Definition) -> Iterator[Definition]:
    """Yield the definitions that the labels of a definition's elements speak of."""
    waiting: list[Any] = [definition]
    while waiting:
        element = waiting.pop()
        yield from parts_beside(element)
        if isinstance(element, Definition):
            waiting.extend(element)


def _told_apart(labels: list[str], elements: Iterable[Any]) -> list[str]:
    """Return labels with a digest of what equally named elements hold, where that differs."""
    counts = Counter(labels)
    if len(counts) == len(labels):
        return labels
    details = [
        digest_of_held(element) if counts[label] > 1 else ""
        for label, element in zip(labels, elements, strict=True)
    ]
    different = Counter(label for label, _ in set(zip(labels, details, strict=True)))
    return [
        f"{label} #{detail}" if detail and different[label] > 1 else label
        for label, detail in zip(labels, details, strict=True)
    ]
