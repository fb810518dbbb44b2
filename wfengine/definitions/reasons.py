"""What happened to places of an old definition, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from wfengine.definitions.pairing import Pairing
from wfengine.definitions.trees import Node, quoted

__all__ = ["listed", "passed", "why_refused"]

MOST = 3


def why_refused(node: Node, pairing: Pairing) -> str:
    """Return why an old element has no pair: what happened to it, or to a list around it."""
    first = next(each for each in node.enclosing if each not in pairing.new_of)
    inward = node.enclosing[len(first.enclosing) - 1 :]
    for each in reversed(inward):
        if each in pairing.displaced:
            said = _now_elsewhere(each, pairing.displaced[each], pairing)
            return said if each is node else f"{said}, and {quoted(node.path)} with it"
    said = _why_unpaired(first, pairing)
    return said if first is node else f"{quoted(node.path)}: {said}"


def _why_unpaired(node: Node, pairing: Pairing) -> str:
    label = pairing.new_label(node)
    count = sum(pairing.new_label(each) == label for each in _siblings(node))
    count_now = sum(each.label == label for each in _list_now(node, pairing))
    if count_now == 0:
        where = "is no longer there" if label in pairing.new_labels else "is gone"
        return f"{quoted(node.path)} {where}{_suggestion(node, pairing)}"
    if count_now == count:
        why = f"the {count} of that name have changed places with others"
    else:
        why = (
            f"of that name there {_are(count, 'was', 'were')}, there {_are(count_now, 'is', 'are')}"
        )
    return f"which one is {quoted(node.path)} cannot be told: {why} now"


def _are(count: int, is_: str, are: str) -> str:
    return f"{is_ if count == 1 else are} {count}"


def _now_elsewhere(old: Node, new: Node, pairing: Pairing) -> str:
    was = [pairing.new_label(each) for each in old.enclosing[:-1]]
    now = [each.label for each in new.enclosing[:-1]]
    said = [f"now inside {' > '.join(entered)}"] if (entered := _beyond(now, was)) else []
    said += [f"no longer inside {' > '.join(left)}"] if (left := _beyond(was, now)) else []
    return f"{quoted(old.path)} is {' and '.join(said) or f'at {quoted(new.path)} now'}"


def _beyond(labels: list[str], others: list[str]) -> list[str]:
    """Return the labels that are not among the others, as often as they are not."""
    remaining = Counter(labels) - Counter(others)
    return [label for label in labels if label in remaining]


def _suggestion(gone: Node, pairing: Pairing) -> str:
    """Return how to say that an element was renamed, if just one new one stands in its place."""
    new_list = _list_now(gone, pairing)
    olds, (start, end) = _gap(gone, pairing, len(new_list))
    news = [each for each in new_list[start:end] if each not in pairing.old_of]
    if olds != [gone] or len(news) != 1 or bool(news[0].children) != bool(gone.children):
        return ""
    name = quoted(news[0].label)
    return f"; the new definition has {name} there: renamed={{{quoted(gone.label)}: {name}}}"


def _gap(gone: Node, pairing: Pairing, end: int) -> tuple[list[Node], tuple[int, int]]:
    """Return the unpaired elements around one, and where they would stand in the new list."""
    siblings = _siblings(gone)
    olds, start = [gone], 0
    for each in reversed(siblings[: gone.index]):
        if each in pairing.new_of:
            start = pairing.new_of[each].index + 1
            break
        olds.append(each)
    for each in siblings[gone.index + 1 :]:
        if each in pairing.new_of:
            end = pairing.new_of[each].index
            break
        olds.append(each)
    return olds, (start, end)


def _siblings(node: Node) -> list[Node]:
    return node.parent.children if node.parent else []


def _list_now(node: Node, pairing: Pairing) -> list[Node]:
    """Return the elements of the new list that is a pair with the one around an old element."""
    return pairing.new_of[node.parent].children if node.parent else []


def passed(old: Node, new: Node, pairing: Pairing) -> str:
    """Return which tasks a token that goes on at a new place has missed, or meets again."""
    missed: list[str] = []
    again: list[str] = []
    for was, now in zip(old.enclosing, new.enclosing, strict=True):
        before = {pairing.new_of.get(each) for each in _siblings(was)[: was.index]}
        missed += [each.path for each in _siblings(now)[: now.index] if each not in before]
        again += [each.path for each in _siblings(now)[now.index :] if each in before]
    said = [f"not run before it: {listed(missed)}"] if missed else []
    said += [f"run again after it: {listed(again)}"] if again else []
    return "; ".join(said)


def listed(names: Iterable[str]) -> str:
    """Return a few of several names."""
    names = list(names)
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(map(quoted, names[:MOST])) + more
