"""Which element of an old definition is which element of a new one."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate

from attrs import frozen

from wfengine.definitions.naming import LIST
from wfengine.definitions.trees import Node

__all__ = ["Pairing", "pair"]

Pair = tuple[Node, Node]


GENERIC = re.compile(
    re.escape(LIST) + r"|then|else|body|onfailure|last|condition|next|branches|jump|branch( .*)?"
)
"""Labels that say what an element is to the pattern around it, and not which one it is."""

GRAPH = re.compile(r"((branch|last): )?GRAPH .*")
"""Labels of a pattern whose elements go by their names, also where they have become others."""


@frozen
class Pairing:
    """The elements that are in both definitions.

    :param new_of: the new element of each old one, in lists that are in both.
    :param old_of: the old element of each new one.
    :param reordered: the old elements that have changed places with others of their list.
    :param displaced: the new element of each old one that stands in another list now; no pairs.
    :param renamed: new labels by old ones.
    :param new_labels: the labels in the new definition.
    """

    new_of: dict[Node, Node]
    old_of: dict[Node, Node]
    reordered: list[Node]
    displaced: dict[Node, Node]
    renamed: Mapping[str, str]
    new_labels: set[str]

    def new_label(self, old: Node) -> str:
        """Return the label that an old element has in the new definition."""
        return self.renamed.get(old.label, old.label)

    @property
    def moved(self) -> list[Pair]:
        """What has changed places with others of its list, or stands in another list now."""
        return [*((old, self.new_of[old]) for old in self.reordered), *self.displaced.items()]

    @property
    def renamings(self) -> list[Pair]:
        """What has another label now."""
        return [(old, new) for old, new in self.new_of.items() if old.label != new.label]


def pair(old: Node, new: Node, renamed: Mapping[str, str]) -> Pairing:
    """Pair two definitions from the outermost list inwards.

    Elements are a pair when they alone have their label in their lists. Where several have it, as
    many in the old list as in the new, they are pairs in order, unless their places among the
    others have changed, so that it cannot be told which is which. The one GRAPH of a list that is
    not what it was is a pair with the one of the new list.

    :param renamed: new labels by old ones.
    """
    new_of = {old: new}
    reordered: list[Node] = []
    waiting = [(old, new)]
    while waiting:
        here = waiting.pop()
        pairs = _pair_children(*here, renamed)
        pairs += _pair_graphs(*here, pairs)
        new_of.update(pairs)
        reordered += _out_of_order(pairs)
        waiting += pairs
    old_of = {new: old for old, new in new_of.items()}
    unpaired = [node for node in old.walk() if node not in new_of]
    displaced = _displaced(unpaired, [node for node in new.walk() if node not in old_of], renamed)
    labels = {node.label for node in new.walk()}
    return Pairing(new_of, old_of, reordered, displaced, renamed, labels)


def _displaced(
    olds: Iterable[Node], news: Iterable[Node], renamed: Mapping[str, str]
) -> dict[Node, Node]:
    """Return the elements whose label only one unpaired element has in each definition."""
    found = _by_label(news, {})
    return {
        group[0]: found[label][0]
        for label, group in _by_label(olds, renamed).items()
        if len(group) == 1 == len(found.get(label, ())) and not GENERIC.fullmatch(label)
    }


def _pair_children(old: Node, new: Node, renamed: Mapping[str, str]) -> list[Pair]:
    olds = _by_label(old.children, renamed)
    news = _by_label(new.children, {})
    groups = [
        (group, news[label])
        for label, group in olds.items()
        if len(group) == len(news.get(label, ()))
    ]
    single = sorted(
        ((group[0], others[0]) for group, others in groups if len(group) == 1), key=_old_place
    )
    several = [
        pairs
        for group, others in groups
        if len(group) > 1
        for pairs in [list(zip(group, others, strict=True))]
    ]
    if _order_changed([each for pairs in several for each in pairs]):
        return single
    return [*single, *(each for pairs in several if _stay(pairs, single) for each in pairs)]


def _pair_graphs(old: Node, new: Node, pairs: list[Pair]) -> list[Pair]:
    known = {node for each in pairs for node in each}
    olds, news = (
        [node for node in around.children if node not in known and GRAPH.fullmatch(node.label)]
        for around in (old, new)
    )
    return [(olds[0], news[0])] if len(olds) == 1 == len(news) else []


def _by_label(nodes: Iterable[Node], renamed: Mapping[str, str]) -> dict[str, list[Node]]:
    groups: dict[str, list[Node]] = {}
    for node in nodes:
        groups.setdefault(renamed.get(node.label, node.label), []).append(node)
    return groups


def _old_place(pair: Pair) -> int:
    return pair[0].index


def _order_changed(pairs: Iterable[Pair]) -> bool:
    places = [new.index for _, new in sorted(pairs, key=_old_place)]
    return places != sorted(places)


def _stay(pairs: list[Pair], anchors: list[Pair]) -> bool:
    """Return whether, for each pair, the same anchors come before it in the old and the new list.

    :param anchors: the pairs that cannot be mistaken, in the order of the old list.
    """
    old_places = [old.index for old, _ in anchors]
    new_places = sorted(new.index for _, new in anchors)
    furthest = list(accumulate((new.index for _, new in anchors), max))
    for old, new in pairs:
        before = bisect_left(old_places, old.index)
        if before != bisect_left(new_places, new.index):
            return False
        if before and furthest[before - 1] != new_places[before - 1]:
            return False
    return True


def _out_of_order(pairs: list[Pair]) -> list[Node]:
    """Return as few old elements as possible without which the others have kept their order."""
    ordered = sorted(pairs, key=_old_place)
    kept = _longest_rise([new.index for _, new in ordered])
    return [old for place, (old, _) in enumerate(ordered) if place not in kept]


def _longest_rise(numbers: list[int]) -> set[int]:
    """Return the places of a longest increasing subsequence."""
    ends: list[int] = []  # the smallest number at which a rise of each length ends
    places: list[int] = []
    before: list[int | None] = []
    for place, number in enumerate(numbers):
        length = bisect_left(ends, number)
        before.append(places[length - 1] if length else None)
        ends[length : length + 1] = [number]
        places[length : length + 1] = [place]
    rise = set()
    current = places[-1] if places else None
    while current is not None:
        rise.add(current)
        current = before[current]
    return rise
