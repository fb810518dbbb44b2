"""Runs that wait for resources which nobody can give back any more.

A run is still when nothing of it goes on, or waits for its time: what is left waits for resources.
It can go on when it gets them, so what stands still for ever is found as for any deadlock: all
others are taken to end and to give back what they have, then whoever is served by that, and so on.
What is left waits for itself, or for each other.

A flow may be a branch of a larger run, which is still when all of it is: what goes on beside the
flow may give something back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from attrs import frozen

__all__ = ["Share", "explained", "is_still", "never_served"]

SHOWN = 5


@frozen
class Share:
    """What a step wants, or a step or a run has, of one pool.

    :param order: the smaller has asked first.
    :param claim: what identifies all that the step wants.
    :param run: the run that it belongs to.
    :param limit: how much there is of the pool; None for no limit, or where that is not known.
    :param waits: whether it is wanted; else somebody has it.
    :param is_kept: whether the step has ended that took it.
    :param is_still: whether the run is still.
    :param holder: the step, or the run, for people.
    """

    order: int
    claim: Any
    run: Any
    pool: str
    amount: int
    limit: int | None = None
    waits: bool = False
    is_kept: bool = False
    is_still: bool = False
    holder: str = ""


def is_still(root: Any, asked: Collection[Any]) -> bool:
    """Return whether nothing of a run can go on but what waits for resources.

    While nobody is served, nobody who waits can go on, so that what is seen one after the other is
    true of all at the end.

    :param root: the engine of the run.
    :param asked: the entries of the steps that wait for resources.
    """
    seen, left = set[int](), [root]
    while left:
        each = left.pop()
        if id(each) in seen or each in asked:
            continue
        seen.add(id(each))
        found = each.waits_for()
        if found is None:
            return False
        left.extend(found)
    return True


def never_served(shares: Sequence[Share]) -> list[Share]:
    """Return what is waited for, and will never be there; what was asked for first comes first.

    >>> kept = Share(1, "a", "run", "p", 2, 2, is_kept=True, is_still=True)
    >>> wanted = Share(2, "b", "run", "p", 1, 2, waits=True, is_still=True)
    >>> [share.claim for share in never_served([kept, wanted])]
    ['b']
    >>> never_served([kept, wanted, Share(3, "c", "run", "q", 1, 2, waits=True, is_still=True)])
    []
    """
    left = [share for share in shares if share.is_still]
    while left:
        taken = _taken(left)
        served = _served(left, taken)
        if not served:
            lacking = (share for share in left if share.waits and _is_too_much(share, taken))
            return sorted(lacking, key=lambda share: share.order)
        left = [share for share in left if share.run not in served]
    return []


def _taken(shares: Iterable[Share]) -> Counter[str]:
    found = Counter[str]()
    for share in shares:
        if not share.waits:
            found[share.pool] += share.amount
    return found


def _served(shares: Iterable[Share], taken: Counter[str]) -> set[Any]:
    """Return the runs of which a step would be served next."""
    waiting = sorted((share for share in shares if share.waits), key=lambda share: share.order)
    first: dict[str, Any] = {}
    for share in waiting:
        first.setdefault(share.pool, share.claim)
    has_to_wait = {
        share.claim
        for share in waiting
        if first[share.pool] != share.claim or _is_too_much(share, taken)
    }
    return {share.run for share in waiting if share.claim not in has_to_wait}


def _is_too_much(share: Share, taken: Counter[str]) -> bool:
    return share.limit is not None and taken[share.pool] + share.amount > share.limit


def explained(lacking: Sequence[Share], shares: Sequence[Share], claim: Any) -> str:
    """Return why a step will never have what it waits for, and what to do about it.

    :param lacking: all that will never be there.
    :param claim: what identifies what the step wants.
    """
    own = [share for share in lacking if share.claim == claim]
    others = [share for share in lacking if share.claim != claim]
    text = "; ".join(_wanted(share, shares) for share in own)
    text = f"{text}. Nothing else is running or delayed that could give it back"
    if others:
        said = "; ".join(_wanted(share, shares) for share in others[:SHOWN])
        more = f"; and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        text = f"{text}; {said}{more}"
    advice = " and ".join(f"releases=[({share.pool}, {share.amount})]" for share in own)
    return (
        f"{text}. Have a step give it back before, with {advice}, or by leaving out releases=[]; "
        "have those that need several pools acquire them together; or raise the limit"
    )


def _wanted(share: Share, shares: Iterable[Share]) -> str:
    having = [each for each in shares if each.pool == share.pool and not each.waits]
    said = [
        f"{each.holder} {'keeps' if each.is_kept else 'holds'} {each.amount}"
        for each in having[:SHOWN]
    ]
    if len(having) > SHOWN:
        said.append(f"{len(having) - SHOWN} more have the rest")
    return (
        f"{share.holder} waits for {share.amount} of pool {share.pool!r}, of which there are "
        f"{share.limit}: {', '.join(said)}"
    )
