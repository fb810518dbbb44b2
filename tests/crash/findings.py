"""What a run has left behind, and how two runs differ in that."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define, field, frozen
from sqlalchemy import select
from sqlalchemy.orm import Session

from wfengine.store import Store, TaskExecution, Workflow, WorkflowObject

from .definition import Effect, Ledger, Tally

__all__ = ["Differences", "compare", "differences", "look", "look_at_runs"]

SHOWN = 6
"""How many differences of a kind are written out."""

ATTEMPTS = ("failed", "broken off")
"""Steps that count as not made: how many there are depends on where a run was killed."""


def look(store: Store, name: str, ledger: Ledger) -> dict[str, Any]:
    """Return all that a run has left behind, as plain data that does not depend on ids."""
    with store.session() as session:
        effects = session.execute(
            select(Effect.token, Effect.task, Effect.turn).where(Effect.run == name)
        )
        return {
            "runs": look_at_runs(session, name),
            "effects": sorted(list(row) for row in effects),
            "tally": session.get_one(Tally, name).steps,
            "ledger": sorted(
                [entry["token"], entry["task"], entry["turn"], entry["key"]]
                for entry in ledger.entries()
                if "key" in entry
            ),
        }


def look_at_runs(session: Session, name: str, with_changes: bool = True) -> list[dict[str, Any]]:
    """Return the runs of a name with their tokens, the tokens with their history and branches.

    :param with_changes: and what each step changed.
    """
    query = select(Workflow).where(Workflow.name == name).order_by(Workflow.id)
    runs = session.scalars(query).all()
    look = Look(runs, with_changes)
    return [look.run(run) for run in runs if run.parent_id is None]


@frozen
class Look:
    """What is looked at: these runs, which are all of one name."""

    runs: Sequence[Workflow]
    with_changes: bool

    def run(self, run: Workflow) -> dict[str, Any]:
        """Return a run; what a branch has in its ``extra_data`` depends on its siblings."""
        return {
            "status": run.status,
            "extra_data": run.extra_data if run.parent_id is None else None,
            "lease": run.lease_owner,
            "tokens": [self.token(token) for token in run.objects],
        }

    def token(self, token: WorkflowObject) -> dict[str, Any]:
        """Return a token."""
        steps = (step for step in token.history if step.event == "task")
        return {
            "data": token.data,
            "status": token.status,
            "outcome": token.outcome,
            "history": [self.step(step) for step in steps if step.status not in ATTEMPTS],
            "branches": [
                [run.options["path"], run.options["number"], self.run(run)]
                for run in self.runs
                if run.parent_object_id == token.id
            ],
        }

    def step(self, step: TaskExecution) -> list[Any]:
        """Return a step of a token's history."""
        change = step.inverse if self.with_changes else None
        return [step.path, step.name, step.visit, step.status, change]


@define
class Differences:
    """How a run that was killed differs from one that was not.

    :param lost: effects that it lacks.
    :param doubled: effects that it has too many of.
    :param other: everything else, in words.
    """

    lost: list[str] = field(factory=list)
    doubled: list[str] = field(factory=list)
    other: list[str] = field(factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.other)

    def __str__(self) -> str:
        groups = {"lost": self.lost, "doubled": self.doubled, "different": self.other}
        lines = [f"  {name}: {each}" for name, found in groups.items() for each in found[:SHOWN]]
        more = sum(max(len(found) - SHOWN, 0) for found in groups.values())
        return "\n".join([*lines, f"  ... and {more} more"] if more else lines)


def compare(expected: dict[str, Any], found: dict[str, Any]) -> Differences:
    """Return how what a run left behind differs from what it should have."""
    result = Differences()
    wanted, there = (Counter(map(tuple, each["effects"])) for each in (expected, found))
    result.lost += [f"in the database, {step}" for step in (wanted - there).elements()]
    result.doubled += [f"in the database, {step}" for step in (there - wanted).elements()]
    _compare_ledgers(expected["ledger"], found["ledger"], result)
    for name in ("tally", "runs"):
        result.other += differences(name, expected[name], found[name])
    return result


def _compare_ledgers(expected: list[Any], found: list[Any], result: Differences) -> None:
    keys, steps = defaultdict(set), defaultdict(set)
    for *step, key in found:
        keys[tuple(step)].add(key)
        steps[key].add(tuple(step))
    wanted = {tuple(step) for *step, _ in expected}
    result.lost += [f"outside, {step}" for step in sorted(wanted - keys.keys())]
    result.doubled += [f"outside, {step}" for step in sorted(keys.keys() - wanted)]
    result.doubled += [
        f"outside, {step} under {len(each)} keys" for step, each in keys.items() if len(each) > 1
    ]
    result.other += [f"one key for {sorted(each)}" for each in steps.values() if len(each) > 1]


def differences(where: str, expected: Any, found: Any) -> Iterator[str]:
    """Yield where two structures differ, and how."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            yield from differences(f"{where}.{key}", expected.get(key), found.get(key))
    elif isinstance(expected, list) and isinstance(found, list):
        for index, (left, right) in enumerate(zip(expected, found, strict=False)):
            yield from differences(f"{where}[{index}]", left, right)
        if len(expected) != len(found):
            yield f"{where} has {len(found)} instead of {len(expected)} entries"
    elif expected != found:
        yield f"{where} is {_short(found)} instead of {_short(expected)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"
