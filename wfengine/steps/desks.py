"""Desks, where resources are handed out: one for what runs in memory, one for each store.

As long as somebody waits, one of them looks again each second: for what was given back elsewhere,
and for whether that can still happen. If not, who asked last is refused.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from wfengine.steps.errors import ResourceDeadlockError
from wfengine.steps.resources import Claim
from wfengine.steps.standstill import Share, explained, is_still, never_served

__all__ = ["LOOK_EVERY", "Desk", "LocalDesk", "root_of"]

LOOK_EVERY = 1.0
"""Seconds after which somebody who waits looks again."""

SOON = 0.05
"""What part of that it is when somebody was just refused: others may never be served, too."""


class Desk:
    """Hands out resources in the order in which they were asked for.

    In this process, only those are looked at that nobody of this process is before.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._queues: dict[str, deque[Claim]] = {}
        self._numbers = count(1)

    def ask(self, claim: Claim) -> None:
        """Let a step begin as soon as it can have everything."""
        with self._lock:
            claim.number = next(self._numbers)
            for name in claim.pools:
                self._queues.setdefault(name, deque()).append(claim)
            self._enter(claim)
            served = self._serve(claim.pools)
        _let_go(served)

    def cancel(self, claim: Claim) -> None:
        """Forget what a step wants that is not to begin any more, or give it back."""
        with self._lock:
            claim.is_cancelled = True
            self._give_up(claim)
            served = self._serve(claim.pools)
        _let_go(served)

    def end(self, claim: Claim) -> None:
        """Take back what a step gives back at its end."""
        with self._lock:
            names = {*claim.pools, *claim.wants.releases}
            self._take_back(claim)
            served = self._serve(names)
        _let_go(served)

    def _serve(self, names: Iterable[str]) -> list[Claim]:
        """Hand out what can be had; return who has got everything."""
        served = []
        waiting = list(names)
        while waiting:
            head = self._head(waiting.pop())
            if head is None or not self._is_first(head):
                continue
            if not self._hand_out(head):
                self._watch(head)
                continue
            head.is_held = True
            served.append(head)
            waiting.extend(head.pools)
        return served

    def _head(self, name: str) -> Claim | None:
        queue = self._queues.get(name)
        while queue and (queue[0].is_cancelled or queue[0].is_held):
            queue.popleft()
        if not queue:
            self._queues.pop(name, None)
            return None
        return queue[0]

    def _is_first(self, claim: Claim) -> bool:
        return all(self._head(name) is claim for name in claim.pools)

    # Looking again

    def _watch(self, claim: Claim, part: float = 1.0) -> None:
        if claim.is_watched and part == 1.0:
            return
        claim.is_watched = True
        claim.looks = number = claim.looks + 1
        claim.entry.after(part * LOOK_EVERY, lambda: self._look(claim, number))

    def _look(self, claim: Claim, number: int) -> None:
        """Hand out what can be had by now; where nothing ever will be, refuse somebody."""
        refusal = None
        with self._lock:
            if number != claim.looks:  # there is a later look
                return
            claim.is_watched = False
            served = [] if claim.is_held or claim.is_cancelled else self._serve(claim.pools[:1])
            if claim.is_watched:
                refusal = self._refusal(root_of(claim.entry.eng))
            if refusal is not None:
                served.extend(self._drop(refusal[0]))
        if refusal is not None:
            refusal[0].refuse(refusal[1])
        _let_go(served)

    def _drop(self, claim: Claim) -> list[Claim]:
        """Forget who can never be served; return who is now, and have others look soon."""
        claim.is_cancelled = True
        self._give_up(claim)
        served = self._serve(claim.pools)
        for queue in self._queues.values():
            if queue[0].is_watched and not (queue[0].is_held or queue[0].is_cancelled):
                self._watch(queue[0], SOON)
        return served

    def _refusal(self, run: Any) -> tuple[Claim, Exception] | None:
        """Return who can never be served, and why, if a run is still; of several who asked last."""
        waiting = self._waiting()
        if not is_still(run, waiting):
            return None
        shares = self._shares(run, waiting)
        lacking = never_served(shares)
        last = lacking[-1].claim if lacking else None
        for claim in waiting.values() if lacking else ():
            if self._key(claim) == last:
                return claim, ResourceDeadlockError(explained(lacking, shares, last))
        return None  # or it is of another process, which finds out by itself

    def _waiting(self) -> dict[Any, Claim]:
        """Return what steps of this process wait for, by their entries."""
        return {
            claim.entry: claim
            for queue in self._queues.values()
            for claim in queue
            if not (claim.is_held or claim.is_cancelled)
        }

    # What a kind of desk does

    def _key(self, claim: Claim) -> Any:
        """Return what identifies a claim among shares."""
        raise NotImplementedError

    def _shares(self, run: Any, waiting: Mapping[Any, Claim]) -> Sequence[Share]:
        """Return what everybody has and wants, a run being known to be still.

        :param waiting: what steps of this process wait for, by their entries.
        """
        raise NotImplementedError

    def _enter(self, claim: Claim) -> None:
        """Note that somebody wants something."""

    def _hand_out(self, claim: Claim) -> bool:
        """Note that somebody has something, if there is enough."""
        raise NotImplementedError

    def _take_back(self, claim: Claim) -> None:
        """Note what is given back at the end of a step."""
        raise NotImplementedError

    def _give_up(self, claim: Claim) -> None:
        """Note that somebody does not want, or has, anything any more."""
        raise NotImplementedError


def _let_go(served: Iterable[Claim]) -> None:
    for claim in served:
        claim.entry.go()


class LocalDesk(Desk):
    """The desk for flows that are kept in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._taken: dict[str, int] = {}
        self._held: dict[Claim, None] = {}
        self._kept: dict[tuple[Any, str], list[tuple[str, int]]] = {}
        """What the steps of a run have kept of a pool: which step how much."""

    def _end_run(self, run: Any) -> None:
        """Take back what the steps of a run have kept."""
        with self._lock:
            names = [name for key, name in self._kept if key is run]
            for name in names:
                self._add(name, -sum(number for _, number in self._kept.pop((run, name))))
            served = self._serve(names)
        _let_go(served)

    def _key(self, claim: Claim) -> Any:
        return claim

    def _shares(self, run: Any, waiting: Mapping[Any, Claim]) -> Sequence[Share]:
        still, found = {run: True}, list[Share]()
        for claim in waiting.values():
            owner = root_of(claim.entry.eng)
            if owner not in still:
                still[owner] = is_still(owner, waiting)
            found.extend(_shares_of(claim, owner, still[owner], waits=True))
        for claim in self._held:
            owner = root_of(claim.entry.eng)
            found.extend(_shares_of(claim, owner, still.get(owner, False), waits=False))
        for (owner, name), kept in self._kept.items():
            of = {"run": owner, "pool": name, "is_kept": True, "is_still": still.get(owner, False)}
            found.extend(Share(0, None, amount=n, holder=holder, **of) for holder, n in kept)
        return found

    def _hand_out(self, claim: Claim) -> bool:
        for amount in claim.wants.acquires:
            limit, taken = amount.pool.limit, self._taken.get(amount.pool.name, 0)
            if limit is not None and taken + amount.number > limit:
                return False
        for amount in claim.wants.acquires:
            self._add(amount.pool.name, amount.number)
        self._held[claim] = None
        return True

    def _add(self, name: str, number: int) -> None:
        self._taken[name] = self._taken.get(name, 0) + number

    def _take_back(self, claim: Claim) -> None:
        run = root_of(claim.entry.eng)
        for name in {*claim.pools, *claim.wants.releases}:
            own = claim.wants.of(name) if claim.is_held else 0
            given = claim.wants.releases.get(name, 0)
            if own > given:
                if not any(key is run for key, _ in self._kept):
                    run.defer(lambda: self._end_run(run), until="run")
                self._kept.setdefault((run, name), []).append((claim.name, own - given))
                self._add(name, -given)
            else:
                self._add(name, -own - self._reduce(run, name, given - own))
        claim.is_held = False
        self._held.pop(claim, None)

    def _reduce(self, run: Any, name: str, number: int) -> int:
        """Take so much from what a run has kept of a pool; return how much that was."""
        kept, taken = self._kept.get((run, name), []), 0
        while kept and taken < number:
            holder, amount = kept.pop()
            left = max(amount - (number - taken), 0)
            taken += amount - left
            if left:
                kept.append((holder, left))
        return taken

    def _give_up(self, claim: Claim) -> None:
        if claim.is_held:
            self._held.pop(claim, None)
            for amount in claim.wants.acquires:
                self._add(amount.pool.name, -amount.number)


def _shares_of(claim: Claim, run: Any, still: bool, *, waits: bool) -> Iterator[Share]:
    for amount in claim.wants.acquires:
        yield Share(
            claim.number,
            claim,
            run,
            amount.pool.name,
            amount.number,
            amount.pool.limit,
            waits=waits,
            is_still=still,
            holder=claim.name,
        )


def root_of(eng: Any) -> Any:
    """Return the engine of the whole run that an engine runs a branch of."""
    while eng.parent is not None:
        eng = eng.parent
    return eng
