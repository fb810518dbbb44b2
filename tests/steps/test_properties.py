"""Random flows against a small scheduler that is plain to see through.

The scheduler knows nothing of order: it finds what has to have happened in the end. What did happen
is then looked at step by step: nothing begins before what it requires has come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from wfengine.errors import WorkflowDefinitionError
from wfengine.steps import ResourcePool, RunMode, Sequent, StepStatus, or_
from wfengine.store import Store

from .support import Log, flow

ENDS = ("success", "failure", "complete")


@frozen
class Spec:
    """A step to be: a function, or steps and rounds.

    :param requires: for all of these, one of ``(number of an earlier step, status)``.
    """

    name: str
    requires: tuple[tuple[tuple[int, str], ...], ...] = ()
    inside: tuple[Spec, ...] = ()
    rounds: int = 1
    takes: int = 0


@st.composite
def specs(draw: Any, depth: int = 2) -> tuple[Spec, ...]:
    """Return the steps of one container."""
    found: list[Spec] = []
    for number in range(draw(st.integers(1, 4))):
        requires: Any = ()
        if number:
            atoms = st.tuples(
                st.integers(0, number - 1), st.sampled_from(("ready", "active", *ENDS))
            )
            one_of = st.lists(atoms, min_size=1, max_size=2).map(tuple)
            requires = tuple(draw(st.lists(one_of, max_size=2)))
        has_steps = depth and draw(st.integers(0, 3)) == 0
        inside = draw(specs(depth - 1)) if has_steps else ()
        rounds = draw(st.integers(0, 2)) if inside else 1
        takes = 0 if inside else draw(st.integers(0, 2))
        found.append(Spec(f"s{number}", requires, inside, rounds, takes))
    return tuple(found)


def calls_of(steps: tuple[Spec, ...], path: str = "", sequence: str = "1") -> Iterator[str]:
    """Yield each call that there can be."""
    for spec in steps:
        own = f"{path}_{spec.name}" if path else spec.name
        if not spec.inside:
            yield f"{own}/{sequence}"
        for number in range(spec.rounds if spec.inside else 0):
            yield from calls_of(spec.inside, own, f"{sequence}.{number + 1}")


@define
class Reference:
    """The plain scheduler: goes round until nothing changes."""

    failing: set[str]
    calls: set[str] = field(factory=set)
    over: set[str] = field(factory=set)
    """What nothing goes back into: steps with steps inside that have succeeded, as ``s1/1``, and
    rounds after which another began, as ``s1/1.2``."""

    def container(self, steps: tuple[Spec, ...], path: str, sequence: str) -> bool:
        """Run the steps of a container once; return whether no failure is left unanswered."""
        ended: dict[int, bool] = {}
        while True:
            new = [n for n, s in enumerate(steps) if n not in ended and self.may(s, ended)]
            if not new:
                break
            for number in new:
                ended[number] = self.step(steps[number], path, sequence)
        failures = [number for number, success in ended.items() if not success]
        if all(any(self.answers(step, number) for step in steps) for number in failures):
            self.over.add(f"{path}/{sequence}")
        return all(
            any(n in ended and self.answers(step, number) for n, step in enumerate(steps))
            for number in failures
        )

    @staticmethod
    def may(spec: Spec, ended: dict[int, bool]) -> bool:
        """Return whether what a step requires has come."""
        return all(any(holds(atom, ended) for atom in one_of) for one_of in spec.requires)

    @staticmethod
    def answers(spec: Spec, number: int) -> bool:
        """Return whether a step waits for the failure of another."""
        return any(
            n == number and status in ("failure", "complete")
            for one_of in spec.requires
            for n, status in one_of
        )

    def step(self, spec: Spec, path: str, sequence: str) -> bool:
        """Run a step; return whether it succeeded."""
        own = f"{path}_{spec.name}" if path else spec.name
        if not spec.inside:
            call = f"{own}/{sequence}"
            self.calls.add(call)
            return call not in self.failing
        success = True
        for number in range(spec.rounds):
            success = self.container(spec.inside, own, f"{sequence}.{number + 1}")
        self.over.discard(f"{own}/{sequence}.{spec.rounds}")
        if success:
            self.over.add(f"{own}/{sequence}")
        return success

    def is_left_alone(self, call: str) -> bool:
        """Return whether a step or a round around a call is over, whatever came of the call."""
        path, _, sequence = call.partition("/")
        names, numbers = path.split("_"), sequence.split(".")
        return any(
            f"{'_'.join(names[:depth])}/{'.'.join(numbers[:end])}" in self.over
            for depth in range(1, len(names))
            for end in (depth, depth + 1)
        )


def holds(atom: tuple[int, str], ended: dict[int, bool]) -> bool:
    """Return whether something has come, when so many steps have ended, and how."""
    number, status = atom
    if number not in ended:
        return False
    return status not in ("success", "failure") or ended[number] is (status == "success")


def add(container: Any, steps: tuple[Spec, ...], log: Log, pool: ResourcePool) -> None:
    """Add the steps to a flow, or to a step of it."""
    made: list[Any] = []
    for spec in steps:
        requires = tuple(
            or_(*((made[number], StepStatus[status]) for number, status in one_of))
            for one_of in spec.requires
        )
        if spec.inside:
            step = container.add_step(spec.name, requires=requires, repeats=range(spec.rounds))
            add(step, spec.inside, log, pool)
        else:
            acquires = [(pool, spec.takes)] if spec.takes else []
            step = container.add_step(spec.name, log, requires=requires, acquires=acquires)
        made.append(step)


def build(steps: tuple[Spec, ...], log: Log, store: Any = ":memory:", **options: Any) -> Sequent:
    """Return a flow of these steps."""
    found = flow(store, **options)
    add(found, steps, log, ResourcePool("pool", policy={"resource_limit": 2}))
    return found


FAILING = st.integers(0, 2**12)


def chosen(steps: tuple[Spec, ...], bits: int) -> set[str]:
    """Return some of the calls."""
    return {call for place, call in enumerate(calls_of(steps)) if bits >> (place % 12) & 1}


def is_impossible(steps: tuple[Spec, ...]) -> bool:
    """Return whether the flow is refused, since something in it can never begin."""
    try:
        build(steps, Log()).__wfengine_definition__()
    except WorkflowDefinitionError as error:
        return "never" in str(error)
    return False


@given(specs(), FAILING, st.sampled_from([1, 2, 0]), st.booleans())
def test_all_is_done_that_can_be_and_nothing_else(steps, bits, limit, in_threads):
    if is_impossible(steps):
        return
    log = Log()
    log.failing = chosen(steps, bits)
    reference = Reference(log.failing)
    success = reference.container(steps, "", "1")
    construct = "thread" if in_threads else "inline"
    config = {"stop_on_exception": False, "max_concurrent": limit, "task_construct": construct}
    assert build(steps, log, config=config)() is success
    assert len(log.calls) == len(set(log.calls))
    assert set(log.calls) == reference.calls


@given(specs(), FAILING)
@settings(max_examples=30)
def test_recovery_reaches_the_same_end_and_repeats_no_success(steps, bits):
    if is_impossible(steps):
        return
    reference = Reference(set())
    assert reference.container(steps, "", "1")
    log = Log()
    with Store("sqlite://", synchronous="OFF") as store:
        log.failing = chosen(steps, bits)
        is_first_over = build(steps, log, store)()
        first = log.take()
        done = {call for call in first if call not in log.failing}
        log.failing = set()
        assert build(steps, log, store, run_mode=RunMode.recover)()
        second = log.take()
    assert len(second) == len(set(second))
    assert done.isdisjoint(second)
    if is_first_over:
        assert not second
    else:
        failed = Reference(chosen(steps, bits))
        failed.container(steps, "", "1")
        left = reference.calls - done - set(second)
        assert all(failed.is_left_alone(call) for call in left), left
