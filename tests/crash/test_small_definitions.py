"""Small definitions, ended after each commit in turn and taken up again, end as if nothing was."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import frozen
from sqlalchemy import select

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import HaltProcessing, WorkflowObjectStatusError
from wfengine.patterns import FOR, IF_ELSE, PARALLEL_SPLIT, RUN_WF, SYNCHRONIZE, TRY, WHILE
from wfengine.status import WorkflowStatus
from wfengine.store import Store, Workflow, WorkflowObject

from .findings import differences, look_at_runs
from .killing import FeignedDeath, Point, engine_options

TOKENS = 2
MOST_TURNS = 12
SEED = 20261121
SOME = {"task": 15, "token": 4, "halt": 4}
"""After how many commits a run is ended, by the policy, unless it is to be thorough."""

LATER = 1000.0
"""Seconds that have passed when a run is taken up again."""


def counting(name: str, act: Callable[[Any, Any], None] = lambda obj, eng: None) -> Any:
    """Return a task that counts, in the token and beside it, and then does something."""

    def task(obj: Any, eng: Any) -> None:
        obj.setdefault(name, []).append(turns(obj, name) + 1)
        key = f"{name} {obj['number']}"
        eng.extra_data[key] = eng.extra_data.get(key, 0) + 1
        act(obj, eng)

    task.__name__ = name
    return task


def turns(obj: Any, name: str) -> int:
    """Return how often a token has come to a task."""
    return len(obj.get(name, ()))


def halts(obj: Any, eng: Any) -> None:
    """Halt at the second token."""
    if obj["number"] == 1:
        eng.halt("look at it", action="approve")


def fails(obj: Any, eng: Any) -> None:
    """Fail the first time."""
    if turns(obj, "fail") == 1:
        raise ValueError("not yet")


def goes_back(obj: Any, eng: Any) -> None:
    """Go back a token, once."""
    if obj["number"] == 1 and turns(obj, "back") == 1:
        eng.jump_token(-1)


def moves_on(obj: Any, eng: Any) -> None:
    """Go back a task, once, and on to the next token at the end."""
    if turns(obj, "move") == 1:
        eng.jump_call(-1)
    eng.continue_next_token()


a, b, c, d, e = map(counting, "abcde")
halt, fail = counting("halt", halts), counting("fail", fails)
back, move = counting("back", goes_back), counting("move", moves_on)


def parts(obj: Any, eng: Any) -> list[Any]:
    return [{"number": obj["number"], "part": number} for number in range(2)]


def part(obj: Any, eng: Any) -> list[Any]:
    return parts(obj, eng)[:1]


def is_odd(obj: Any, eng: Any) -> bool:
    return bool(obj["number"] % 2)


def is_low(obj: Any, eng: Any) -> bool:
    return turns(obj, "b") < 2


DEFINITIONS: dict[str, list[Any]] = {
    "nested lists": [a, [b, [c]], d],
    "choice and loop": [IF_ELSE(is_odd, [a], b), WHILE(is_low, [b]), c],
    "loop in a loop": [FOR(range(2), "x", [FOR([1, 2], "y", [a]), b]), c],
    "failing in a TRY": [a, TRY([b, fail], retry=2), c],
    "halt": [a, halt, c],
    "halt in a loop": [FOR(range(2), "x", [a, halt, b]), c],
    "jumps": [a, move, b],
    "jump to a token": [a, back, c],
    "inside": [a, RUN_WF([b, c]), d],
    "inside, with tokens": [a, RUN_WF([b, c], parts), d],
    "inside, with a token": [a, RUN_WF([b, c], part), d],
    "halt inside": [a, RUN_WF([b, halt, c]), d],
    "branches": [a, SYNCHRONIZE([b, c], [d], e), a],
    "halt in a branch": [a, SYNCHRONIZE([b, halt], [c], d), e],
    "branches in a loop": [FOR(range(2), "x", [SYNCHRONIZE([a], [b], c)]), d],
    "inside a branch": [SYNCHRONIZE([a], [b, RUN_WF([c])], d), e],
    "branches in a TRY": [TRY([SYNCHRONIZE([a], [b], c), fail], retry=2), d],
    "a branch until the end": [a, PARALLEL_SPLIT([b], wait=True), c],
}
WITH_CHANGES = DEFINITIONS.keys() - {"a branch until the end"}
"""Those in which it is certain to which step a change belongs."""


@frozen
class Way:
    """How a definition is run."""

    name: str
    checkpoint: str
    stops: bool

    @property
    def definition(self) -> list[Any]:
        """Return what is run."""
        return DEFINITIONS[self.name]


def carried_on(way: Way, url: str, fate: FeignedDeath, later: float) -> None:
    """Bring the run in a database to its end, begun or not."""
    with Store(
        url,
        clock=lambda: time.time() + later,
        synchronous="OFF",
        **engine_options(url, fate),
    ) as store:
        for _ in range(MOST_TURNS):
            if taken_up(way, store):
                return
        raise AssertionError("the run does not come to its end")


def taken_up(way: Way, store: Store) -> bool:
    """Do what is to be done next; return whether there is nothing."""
    run = store.find_run(name="small", parent_id=None)
    if run is not None and run.status is WorkflowStatus.COMPLETED:
        return True
    try:
        if run is None or not run.token_count:
            begin(way, store, run)
        else:
            go_on(way, store, run)
    except HaltProcessing:
        pass
    return False


def begin(way: Way, store: Store, run: Any) -> None:
    if run is None:
        eng = DbWorkflowEngine.with_name(
            "small", store=store, definition=way.definition, checkpoint=way.checkpoint
        )
    else:
        eng = engine_of(way, store, run)
    tokens = [{"number": number} for number in range(TOKENS)]
    eng.process(tokens, stop_on_halt=way.stops)


def go_on(way: Way, store: Store, run: Any) -> None:
    """Resume; where that is not possible, answer the first question."""
    try:
        engine_of(way, store, run).resume()
    except WorkflowObjectStatusError:
        with store.session() as session:
            token = session.scalars(
                select(WorkflowObject.id)
                .join(Workflow, Workflow.id == WorkflowObject.workflow_id)
                .where(Workflow.parent_id.is_(None), WorkflowObject.status == "HALTED")
                .order_by(WorkflowObject.token_pos)
            ).first()
        if token is None:
            raise
        engine_of(way, store, run).resume(token)


def engine_of(way: Way, store: Store, run: Any) -> DbWorkflowEngine:
    return DbWorkflowEngine.from_uuid(run.uuid, store=store, definition=way.definition)


def found(url: str, way: Way) -> Any:
    """Return what a run has left behind."""
    with Store(url) as store, store.session() as session:
        return look_at_runs(session, "small", with_changes=way.name in WITH_CHANGES)


WAYS = [
    (name, checkpoint, stops)
    for name in DEFINITIONS
    for checkpoint in ("task", "token", "halt")
    for stops in ([True, False] if "halt" in name else [True])
]


@pytest.mark.parametrize(("name", "checkpoint", "stops"), WAYS)
def test_ended_after_a_commit_a_run_ends_as_if_it_had_not_been(
    name: str, checkpoint: str, stops: bool, tmp_path: Path
) -> None:
    way = Way(name, checkpoint, stops)
    empty = tmp_path / "empty.db"
    with Store(f"sqlite:///{empty}") as store:
        store.prepare()
    undisturbed = FeignedDeath()
    url = copied(empty, tmp_path / "undisturbed.db")
    carried_on(way, url, undisturbed, 0.0)
    expected = found(url, way)
    for number in chosen(undisturbed.counts["commit"], SOME[checkpoint]):
        fate = FeignedDeath(Point("commit", number, is_after=True))
        url = copied(empty, tmp_path / f"{number}.db")
        die(way, url, fate)
        carried_on(way, url, FeignedDeath(), LATER)
        wrong = list(differences("runs", expected, found(url, way)))
        assert not wrong, f"ended after commit {number}: {wrong}"


def chosen(count: int, some: int) -> list[int]:
    """Return after which commits to end, the numbers of some, or of all."""
    is_thorough = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
    return Random(SEED).sample(range(1, count + 1), count if is_thorough else min(some, count))


def copied(source: Path, target: Path) -> str:
    target.write_bytes(source.read_bytes())
    return f"sqlite:///{target}"


def die(way: Way, url: str, fate: FeignedDeath) -> None:
    """Run until the end that is meant for it, whatever still happens after it."""
    try:
        carried_on(way, url, fate, 0.0)
    except BaseException:
        if not fate.is_dead:
            raise
    finally:
        fate.bury()
