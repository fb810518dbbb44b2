"""Two runs side by side, token by token and step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from wfengine.store.changes import Difference, differences, same
from wfengine.store.forks import fork_point
from wfengine.store.history import TASK, Step, history
from wfengine.store.records import RunRecord
from wfengine.store.views import StoredToken, tokens

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["RunComparison", "StepPair", "TokenComparison", "compare"]

MOST_TOKENS, MOST_STEPS, MOST_DIFFERENCES = 10, 20, 3
"""How much a text shows at most: of a comparison, of a token, and of a step."""

LONGEST_LINE = 120

PERSONAL = frozenset({"by", "at", "traceback"})
"""What is said of a person's step that may differ when the same is done again."""

SAME: Literal["same"] = "same"

Found = Literal["same", "only in first", "only in second", "other outcome", "other data"]


MARKS = {
    SAME: " ",
    "only in first": "-",
    "only in second": "+",
    "other outcome": "!",
    "other data": "~",
}


@frozen(eq=False)
class StepPair:
    """A step of one run beside the same step of the other.

    :param found: what differs; of both outcome and data, the outcome.
    """

    found: Found
    first: Step | None
    second: Step | None

    @property
    def differences(self) -> list[Difference]:
        """Where the data after the step differ; nothing for a step that only one run has."""
        if self.first is None or self.second is None:
            return []
        return differences(self.first.after, self.second.after)


@frozen(eq=False)
class TokenComparison:
    """A token of one run beside that of the other.

    :param first: None where only the second run has it; so is ``second``.
    :param steps: of a run that was forked from the other, those from there on.
    """

    first: StoredToken | None
    second: StoredToken | None
    steps: list[StepPair]

    @property
    def is_same(self) -> bool:
        """Whether the same was done, with the same results, and the tokens are the same now."""
        if self.first is None or self.second is None or not _are_alike(self.first, self.second):
            return False
        return all(pair.found == SAME for pair in self.steps)

    def lines(self) -> Iterator[str]:
        """Yield what a person wants to see of it."""
        yield f"token {_said(self.first)} | {_said(self.second)}"
        shown = 0
        for is_same, group in groupby(self.steps, key=lambda pair: pair.found == SAME):
            pairs = list(group)
            if is_same:
                yield f"  {len(pairs)} steps the same, up to {_title(pairs[-1])}"
                continue
            for pair in pairs[: MOST_STEPS - shown]:
                yield from map(_cut, _lines_of(pair))
            shown += len(pairs)
            if shown > MOST_STEPS:
                yield f"  ... {shown - MOST_STEPS} more steps, and what follows"
                return


@frozen(eq=False)
class RunComparison:
    """Two runs side by side; their tokens are read while one goes through them.

    Tokens with the same index belong together. Of a run that was forked from a token of the other,
    the one token belongs to that, and the others are not looked at.

    :param first: the uuid of a run; so is ``second``.
    """

    first: str
    second: str
    _store: Store = field(repr=False)
    _runs: tuple[RunRecord, RunRecord] = field(repr=False)

    def __iter__(self) -> Iterator[TokenComparison]:
        store = self._store
        for first, second, begins in self._pairs():
            sides = [[] if token is None else history(store, token.id) for token in (first, second)]
            earlier, later = (
                [step for step in side if step.step >= start]
                for side, start in zip(sides, begins, strict=True)
            )
            yield TokenComparison(first, second, _aligned(earlier, later))

    @property
    def is_same(self) -> bool:
        """Whether nothing differs; times, visits, ids and payloads are not looked at."""
        return all(token.is_same for token in self)

    def text(self) -> str:
        """Return what differs, and how, in a table that is never long."""
        shown: list[str] = []
        alike = other = 0
        for token in self:
            if token.is_same:
                alike += 1
                continue
            other += 1
            if other <= MOST_TOKENS:
                shown.extend(token.lines())
        more = [f"... and {other - MOST_TOKENS} more tokens"] if other > MOST_TOKENS else []
        head = f"run {self.first} | run {self.second}: {alike} tokens the same, {other} not"
        return "\n".join([head, *shown, *more])

    def _pairs(
        self,
    ) -> Iterator[tuple[StoredToken | None, StoredToken | None, tuple[int, int]]]:
        """Yield the tokens that belong together, and the steps from which to look at them."""
        first, second = self._runs
        for run, other, is_second in ((second, first, True), (first, second, False)):
            point = fork_point(self._store, run)
            original = None if point is None else tokens(self._store, other).find(point[0])
            if point is None or original is None:
                continue
            forked = next(iter(tokens(self._store, run)), None)
            starts = (point[1], 1)
            yield (original, forked, starts) if is_second else (forked, original, starts[::-1])
            return
        yield from _by_index(self._store, first, second)


def compare(store: Store, first: RunRecord, second: RunRecord) -> RunComparison:
    """Return two runs side by side."""
    return RunComparison(first.uuid, second.uuid, store, (first, second))


def _by_index(
    store: Store, first: RunRecord, second: RunRecord
) -> Iterator[tuple[StoredToken | None, StoredToken | None, tuple[int, int]]]:
    sides = [iter(tokens(store, run)) for run in (first, second)]
    one, two = (next(side, None) for side in sides)
    while one is not None or two is not None:
        index = min(token.token_pos for token in (one, two) if token is not None)
        left = one if one is not None and one.token_pos == index else None
        right = two if two is not None and two.token_pos == index else None
        yield left, right, (1, 1)
        one = next(sides[0], None) if left is not None else one
        two = next(sides[1], None) if right is not None else two


def _aligned(first: Sequence[Step], second: Sequence[Step]) -> list[StepPair]:
    """Return the steps of two histories, those that belong together side by side."""
    start = 0
    while start < min(len(first), len(second)) and _key(first[start]) == _key(second[start]):
        start += 1
    found = [_pair(*both) for both in zip(first[:start], second[:start], strict=True)]
    first, second = first[start:], second[start:]
    matcher = SequenceMatcher(None, [*map(_key, first)], [*map(_key, second)], autojunk=False)
    for _, a, a_end, b, b_end in matcher.get_opcodes():
        if a_end - a == b_end - b and _key(first[a]) == _key(second[b]):
            found += [_pair(*both) for both in zip(first[a:a_end], second[b:b_end], strict=True)]
        else:
            found += [StepPair("only in first", step, None) for step in first[a:a_end]]
            found += [StepPair("only in second", None, step) for step in second[b:b_end]]
    return found


def _key(step: Step) -> tuple[str, str, str]:
    return step.event, step.path, step.name if step.event == TASK else ""


def _pair(first: Step, second: Step) -> StepPair:
    found: Found = SAME
    if _ended(first) != _ended(second):
        found = "other outcome"
    elif not same(first.after, second.after):
        found = "other data"
    return StepPair(found, first, second)


def _ended(step: Step) -> tuple[str, dict[str, Any]]:
    """Return what came of a step, whoever did it, and whenever."""
    outcome = step.outcome or {}
    return step.status, {key: outcome[key] for key in outcome if key not in PERSONAL}


def _are_alike(first: StoredToken, second: StoredToken) -> bool:
    ends = [(each.status, each.outcome, each.path, each.action) for each in (first, second)]
    return ends[0] == ends[1] and same(first.plain_data, second.plain_data)


# As text


def _said(token: StoredToken | None) -> str:
    if token is None:
        return "is not there"
    status = token.status.label if token.status is not None else token.damage
    return f"{token.token_pos} (id {token.id}): {status} at {token.path}"


def _lines_of(pair: StepPair) -> Iterator[str]:
    numbers = " | ".join(f"{each.step if each else '':>4}" for each in (pair.first, pair.second))
    yield f"{MARKS[pair.found]} {numbers}  {_title(pair)}: {_result(pair)}"
    if pair.found != "other data":
        return
    found = pair.differences
    for each in found[:MOST_DIFFERENCES]:
        yield f"      {each.path or 'the token'}: {each.old!r} | {each.new!r}"
    more = len(found) - MOST_DIFFERENCES
    if more > 0:
        yield f"      ... and {more} more {'difference' if more == 1 else 'differences'}"


def _title(pair: StepPair) -> str:
    step = pair.first or pair.second
    if step is None:
        return ""
    what = step.name if step.event == TASK else f"{step.event} {step.name}".strip()
    return f"{step.path} {what}"


def _result(pair: StepPair) -> str:
    if pair.found != "other outcome" or pair.first is None or pair.second is None:
        return pair.found
    return f"{_text(pair.first)} | {_text(pair.second)}"


def _text(step: Step) -> str:
    status, outcome = _ended(step)
    return f"{status} {outcome!r}" if outcome else status


def _cut(line: str) -> str:
    line = line if line.isprintable() else ascii(line)[1:-1]
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}..."
