"""A scheduler that is plain to see through: what may begin, and what has to, is found anew from the
calls that have begun and ended so far.

It knows nothing of threads, queues or a store. Where the flow itself cannot know better either,
since a thread is between the end of a function and the note of it, there is more than one world:
each is what holds if some of these things are not noted yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, combinations
from math import inf
from typing import Any

from attrs import define, field, frozen

from .graphs import LIMIT, After, Each, Event, Spec, calls_of, own_calls, path_of


@frozen
class Round:
    """How a round of a container stands.

    :param ready: the steps whose requirements have come.
    :param ends: whether those that have ended did so with success.
    :param is_stopped: whether a failure keeps everything from beginning that has not begun.
    :param result: whether no failure was left unanswered; None as long as it is not over.
    """

    ready: frozenset[int]
    ends: dict[int, bool]
    is_stopped: bool
    result: bool | None


@frozen
class Place:
    """A call that may begin, and all around it.

    :param around: the steps that it is in, the outermost first, each with its path and sequence;
        the last is the step of the function itself.
    """

    call: str
    around: tuple[tuple[Spec, str, str], ...]

    @property
    def key(self) -> str:
        """What identifies the step, whichever of its rounds is called."""
        _, path, sequence = self.around[-1]
        return f"{path}/{sequence}"


@define
class World:
    """What follows from the calls so far.

    :param begun: the calls whose functions have begun in this run.
    :param ended: those that have ended, and whether with success; successes of one before, too.
    :param closed: rounds that are over since a run before this one, and their results.
    :param unnoted: failures that do not stop anything yet, and closed rounds that are not.
    :param is_sure: whether a step is active only if its function has begun; else it may be.
    """

    flow: Spec
    begun: set[str]
    ended: dict[str, bool]
    closed: dict[str, bool] = field(factory=dict)
    unnoted: frozenset[str] = frozenset()
    is_sure: bool = False
    stoppers: dict[str, Spec] = field(factory=dict)
    """The failures found that stop something."""
    rounds: dict[str, Round] = field(factory=dict)

    def round(self, spec: Spec, path: str, sequence: str) -> Round:
        """Return how a round stands."""
        key = f"{path}/{sequence}"
        if key not in self.rounds:
            self.rounds[key] = self._round(spec, path, sequence)
        return self.rounds[key]

    def _round(self, spec: Spec, path: str, sequence: str) -> Round:
        key = f"{path}/{sequence}"
        if key in self.closed and key not in self.unnoted:
            return Round(frozenset(), {}, False, self.closed[key])
        ready, ends = self._reached(spec, path, sequence)
        failed = [number for number, success in ends.items() if not success]
        stopping = [
            self._stops(spec, number, path_of(spec.inside[number], path), sequence)
            for number in sorted(ready)
        ]
        is_stopped = any(stopping)
        result: bool | None = None
        if is_stopped:
            result = None if self.runs_inside(path, sequence) else False
        elif ready == ends.keys():
            result = all(self._is_answered(spec, n, path, sequence, ready, ends) for n in failed)
        return Round(ready, ends, is_stopped, result)

    def _reached(
        self, spec: Spec, path: str, sequence: str
    ) -> tuple[frozenset[int], dict[int, bool]]:
        """Return which steps of a round are ready, and how those have ended that have."""
        ends = {
            number: success
            for number, step in enumerate(spec.inside)
            if (success := self.end_of(step, path_of(step, path), sequence)) is not None
        }
        ready = {
            number
            for number, step in enumerate(spec.inside)
            if self._has_begun(step, path_of(step, path), sequence)
        }
        while True:
            new = {
                number
                for number, step in enumerate(spec.inside)
                if number not in ready
                and self._holds(step.requires, spec, path, sequence, ready, ends)
            }
            if not new:
                return frozenset(ready), {n: ends[n] for n in ready if n in ends}
            ready |= new

    def end_of(self, step: Spec, path: str, sequence: str) -> bool | None:
        """Return how a step has ended, if it had begun; None if it has not ended."""
        if step.inside:
            found: bool | None = True
            for turn in range(1, (step.rounds or 0) + 1):
                each = self.round(step, path, f"{sequence}.{turn}")
                found = each.result
                if found is None or each.is_stopped:
                    return found
            return found
        for call in own_calls(step, path, sequence):
            if not self.ended.get(call):
                return self.ended.get(call)
        return True

    def _has_begun(self, step: Spec, path: str, sequence: str) -> bool:
        """Return whether a step has begun; or had succeeded in a run before this one."""
        if step.inside:
            last = f"{path}/{sequence}.{step.rounds}"
            was_done = self.closed.get(last, False) and last not in self.unnoted
            return was_done or self.has_begun_inside(path, sequence)
        calls = own_calls(step, path, sequence)
        was_done = bool(calls) and all(call in self.ended for call in calls)
        return was_done or any(call in self.begun for call in calls)

    def _holds(
        self,
        requirement: Any,
        spec: Spec,
        path: str,
        sequence: str,
        ready: Iterable[int],
        ends: dict[int, bool],
    ) -> bool:
        if isinstance(requirement, Each):
            parts = (
                self._holds(part, spec, path, sequence, ready, ends) for part in requirement.of
            )
            return any(parts) if requirement.is_any else all(parts)
        if isinstance(requirement, Event):
            event = spec.events[requirement.number]
            return self._holds(event, spec, path, sequence, ready, ends)
        number, status = requirement.number, requirement.status
        if number not in ready:
            return False
        if status == "ready":
            return True
        if status == "active":
            step = spec.inside[number]
            return not self.is_sure or self._is_active(step, path_of(step, path), sequence)
        return number in ends and status in ("complete", _end(ends[number]))

    def _is_active(self, step: Spec, path: str, sequence: str) -> bool:
        has_calls = bool(step.inside or own_calls(step, path, sequence))
        opens_by_itself = bool(step.inside) and not step.takes
        return not has_calls or opens_by_itself or self._has_begun(step, path, sequence)

    def _is_answered(
        self,
        spec: Spec,
        number: int,
        path: str,
        sequence: str,
        ready: Iterable[int],
        ends: dict[int, bool],
    ) -> bool:
        """Return whether a step or an event that waits for a failure has come."""
        waiting = [*(step.requires for step in spec.inside), *spec.events]
        return any(
            _waits_for_failure(each, spec, number)
            and self._holds(each, spec, path, sequence, ready, ends)
            for each in waiting
        )

    def _stops(self, spec: Spec, number: int, path: str, sequence: str) -> bool:
        """Return whether the failure of a step keeps others of its round from beginning."""
        step = spec.inside[number]
        waiting = [*(each.requires for each in spec.inside), *spec.events]
        if not step.stops or any(_waits_for_failure(each, spec, number) for each in waiting):
            return False
        key = f"{path}/{sequence}"
        is_failure = self.end_of(step, path, sequence) is False
        if is_failure:
            self.stoppers[key] = step
        inner = (
            self.round(step, path, f"{sequence}.{turn}").is_stopped
            for turn in range(1, (step.rounds or 0) + 1)
            if step.inside
        )
        return any(inner) or (is_failure and key not in self.unnoted)

    # What runs, and what may begin

    def has_begun_inside(self, path: str, sequence: str) -> bool:
        """Return whether a function of a container has begun."""
        return any(_is_inside(call, path, sequence) for call in self.begun)

    def runs_inside(self, path: str, sequence: str) -> bool:
        """Return whether a function of a container, or of a round of it, runs."""
        return any(_is_inside(place.call, path, sequence) for place in self.running())

    def running(self) -> list[Place]:
        """Return the functions that have begun and not ended, each for all its rounds."""
        if self._running is None:
            self._running = [place for place in leaves(self.flow) if self._runs(place)]
        return self._running

    _running: list[Place] | None = None

    def _runs(self, place: Place) -> bool:
        step, path, sequence = place.around[-1]
        calls = own_calls(step, path, sequence)
        return (
            any(call in self.begun for call in calls) and self.end_of(step, path, sequence) is None
        )

    def startable(
        self,
        spec: Spec,
        path: str = "",
        sequence: str = "1",
        is_stopping: bool = False,
        around: Any = (),
    ) -> Iterator[Place]:
        """Yield the calls that may begin."""
        here = self.round(spec, path, sequence)
        if here.result is not None:
            return
        is_stopping = is_stopping or here.is_stopped
        for number in sorted(here.ready - here.ends.keys()):
            step = spec.inside[number]
            own = path_of(step, path)
            inner = (*around, (step, own, sequence))
            if not step.inside:
                yield from self._next_call(step, own, sequence, is_stopping, inner)
                continue
            for turn in range(1, (step.rounds or 0) + 1):
                numbers = f"{sequence}.{turn}"
                if self.round(step, own, numbers).result is None:
                    yield from self.startable(step, own, numbers, is_stopping, inner)
                    break

    def open_boxes(
        self, spec: Spec, path: str = "", sequence: str = "1", is_stopping: bool = False
    ) -> Iterator[tuple[Spec, str, str]]:
        """Yield the containers in which something has begun, and that are not over."""
        here = self.round(spec, path, sequence)
        is_stopping = is_stopping or here.is_stopped
        for number in here.ready - here.ends.keys():
            step = spec.inside[number]
            own = path_of(step, path)
            is_open = self.runs_inside if is_stopping else self.has_begun_inside
            if step.inside and is_open(own, sequence):
                yield step, own, sequence
                for turn in range(1, (step.rounds or 0) + 1):
                    yield from self.open_boxes(step, own, f"{sequence}.{turn}", is_stopping)

    def _next_call(
        self, step: Spec, path: str, sequence: str, is_stopping: bool, around: Any
    ) -> Iterator[Place]:
        """Yield what comes next of a function; one that has begun is called for all its rounds."""
        calls = own_calls(step, path, sequence)
        call = next(call for call in calls if call not in self.ended)
        may_begin = not is_stopping or any(each in self.begun for each in calls)
        if call not in self.begun and may_begin:
            yield Place(call, around)


def _end(success: bool) -> str:
    return "success" if success else "failure"


def _waits_for_failure(requirement: Any, spec: Spec, number: int) -> bool:
    if isinstance(requirement, After):
        return requirement.number == number and requirement.status in ("failure", "complete")
    if isinstance(requirement, Event):
        return _waits_for_failure(spec.events[requirement.number], spec, number)
    return any(_waits_for_failure(part, spec, number) for part in requirement.of)


def _is_inside(call: str, path: str, sequence: str) -> bool:
    """Return whether a call is inside of a step or a round; or of the flow, which has no path."""
    own, _, numbers = call.partition("/")
    return own.startswith(f"{path}_" if path else "") and f"{numbers}.".startswith(f"{sequence}.")


def leaves(spec: Spec, path: str = "", sequence: str = "1", around: Any = ()) -> Iterator[Place]:
    """Yield each step with a function inside of a round, in whatever round it may be."""
    for step in spec.inside:
        own = path_of(step, path)
        inner = (*around, (step, own, sequence))
        if not step.inside:
            yield Place(f"{own}/{sequence}", inner)
        for turn in range(1, (step.rounds or 0) + 1) if step.inside else ():
            yield from leaves(step, own, f"{sequence}.{turn}", inner)


@define
class Reference:
    """What is known of a run, and what has to be true of it at each of its moments.

    :param flow: with all settings.
    :param failing: the calls that fail.
    :param is_single: whether one thread does all, so that nothing is ever not noted yet.
    """

    flow: Spec
    failing: set[str]
    is_single: bool = False
    is_held: bool = False
    """Whether the run was told to begin nothing any more, so that nothing has to."""
    first: Reference | None = None
    """The run that is taken up again."""
    begun: set[str] = field(factory=set)
    ended: dict[str, bool] = field(factory=dict)
    in_caller: set[str] = field(factory=set)
    """The steps that the thread runs which runs the flow."""
    closed: dict[str, bool] = field(factory=dict)
    in_doubt: frozenset[str] = frozenset()
    """The closed rounds of which it is not known whether the first run has noted it."""
    _worlds: dict[Any, World] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.first is not None:
            self.ended = dict.fromkeys(self.first.successes(), True)
            self.closed = dict(self.first.rounds_over())
            if self.first.is_broken_off():
                self.in_doubt = frozenset(filter(self.first.is_doubtful, self.closed))

    def world(self, unnoted: Iterable[str] = (), is_sure: bool = False) -> World:
        """Return what holds as long as some things are not noted."""
        key = frozenset(unnoted), is_sure
        if key not in self._worlds:
            self._worlds[key] = World(
                self.flow, self.begun, self.ended, self.closed, key[0], is_sure
            )
        return self._worlds[key]

    # What happens

    def begin(self, call: str, is_in_caller: bool = False) -> None:
        """Check that a call may begin, and that there is room for it."""
        place = self._place_of(call)
        assert place is not None, f"{call} has begun, and may not: {self}"
        self.begun.add(call)
        if is_in_caller:
            self.in_caller.add(place.key)
        self._worlds.clear()
        for key, (number, limit) in self._numbers_running().items():
            assert number <= limit, f"{number} run in {key} at a time, of {limit}: {self}"
        for pool, amount in self._held().items():
            assert amount <= LIMIT, f"{amount} of {pool} are held of {LIMIT}: {self}"

    def end(self, call: str) -> bool:
        """Note that a call ends; return whether it succeeds."""
        self.ended[call] = call not in self.failing
        self._worlds.clear()
        return self.ended[call]

    def _place_of(self, call: str) -> Place | None:
        # Where one thread does all, the end of a function is noted at once; of a container, soon.
        late = {key for key, step in self._stoppers().items() if step.inside or not self.is_single}
        for unnoted in _subsets(late | self.in_doubt):
            for place in self.world(unnoted).startable(self.flow):
                if place.call == call:
                    return place
        return None

    def _stoppers(self) -> dict[str, Spec]:
        world = self.world()
        world.round(self.flow, "", "1")
        return world.stoppers

    # What has to happen

    def due(self) -> list[str]:
        """Return calls of which at least one has to begin now, without the end of another."""
        if self.is_held:
            return []
        places = self._certainly_startable()
        running = self._numbers_running()
        again = [place.call for place in places if self._has_begun(place)]
        free = [place for place in places if not self._wants(place)]
        claims = [place for place in places if self._wants(place)]
        found = [place.call for place in free if self._has_room(place, running)]
        # Who asked first is served first, and who that is nobody here knows.
        if not self.first and all(
            self._has_room(place, running) and self._is_enough(place) for place in claims
        ):
            found.extend(place.call for place in claims)
        return again + found

    def left(self) -> list[str]:
        """Return calls that have to begin before the run is over."""
        return [] if self.is_held else [place.call for place in self._certainly_startable()]

    def _certainly_startable(self) -> list[Place]:
        certain = self.world(is_sure=True).startable(self.flow)
        if not self.in_doubt:
            return list(certain)
        other = {place.call for place in self.world(self.in_doubt, True).startable(self.flow)}
        return [place for place in certain if place.call in other]

    def _has_begun(self, place: Place) -> bool:
        return any(call in self.begun for call in own_calls(*place.around[-1]))

    def _wants(self, place: Place) -> Counter[str]:
        """Return what has to be taken before a call can begin."""
        found = Counter[str]()
        for step, path, sequence in place.around:
            if not self.world().has_begun_inside(path, sequence):
                found.update(dict(step.takes))
        return Counter() if self._has_begun(place) else found

    def _is_enough(self, place: Place) -> bool:
        held = self._held()
        return all(held[pool] + n <= LIMIT for pool, n in self._wants(place).items())

    def _has_room(self, place: Place, running: dict[str, tuple[int, float]]) -> bool:
        step, *_ = place.around[-1]
        if step.construct == "inline" and self._is_caller_busy():
            return False
        boxes = ["/1", *(f"{path}/{sequence}" for _, path, sequence in place.around[:-1])]
        return all(number < limit for number, limit in (running[key] for key in boxes))

    def _is_caller_busy(self) -> bool:
        return any(place.key in self.in_caller for place in self.world().running())

    def _numbers_running(self) -> dict[str, tuple[int, float]]:
        """Return how many functions run inside of each container, and how many may."""
        running = self.world().running()
        found: dict[str, tuple[int, float]] = {"/1": (len(running), self.flow.limit or inf)}
        for step, path, sequence in self._boxes():
            number = sum((step, path, sequence) in place.around for place in running)
            found[f"{path}/{sequence}"] = number, step.limit or inf
        return found

    def _boxes(self) -> list[tuple[Spec, str, str]]:
        every = chain.from_iterable(place.around[:-1] for place in leaves(self.flow))
        return list(dict.fromkeys(every))

    def _held(self) -> Counter[str]:
        """Return how much of each pool is certainly taken."""
        world = self.world()
        found = Counter[str]()
        holders = [place.around[-1] for place in world.running()]
        for step, *_ in chain(holders, world.open_boxes(self.flow)):
            found.update(dict(step.takes))
        return found

    # How it ends

    @property
    def result(self) -> bool | None:
        """Whether the flow succeeds; None as long as it is not over."""
        return self.world().round(self.flow, "", "1").result

    def successes(self) -> set[str]:
        """Return the calls that have succeeded."""
        return {call for call, success in self.ended.items() if success}

    def results(self) -> dict[str, str]:
        """Return what is stored of each step with a function that has succeeded: its last call."""
        ends = self._ends()
        return {key: own_calls(*step)[-1] for key, (step, success) in ends.items() if success}

    def boxes_done(self) -> set[str]:
        """Return the containers that have succeeded."""
        found = [box for box in self._boxes() if self.world().end_of(*box)]
        return {f"{path}/{sequence}" for _, path, sequence in found}

    def unfinished(self) -> set[str]:
        """Return the steps with functions that have not succeeded."""
        return {key for key, (_, success) in self._ends().items() if not success}

    def _ends(self) -> dict[str, tuple[tuple[Spec, str, str], bool | None]]:
        places = {place.key: place.around[-1] for place in leaves(self.flow)}
        return {key: (each, self.world().end_of(*each)) for key, each in places.items()}

    def is_broken_off(self) -> bool:
        """Return whether something was kept from beginning."""
        return self.is_held or bool(self._stoppers())

    def rounds_over(self) -> Iterator[tuple[str, bool]]:
        """Yield the rounds that recovery does not go back into, and whether they succeeded."""
        world = self.world()
        turns = (
            (step, path, f"{sequence}.{turn}", turn == step.rounds)
            for step, path, sequence in self._boxes()
            for turn in range(1, (step.rounds or 0) + 1)
        )
        for step, path, sequence, is_last in chain(turns, [(self.flow, "", "1", True)]):
            found = world.round(step, path, sequence)
            is_over = found.result if is_last else found.result is not None
            if is_over and not found.is_stopped:
                yield f"{path}/{sequence}", bool(found.result)

    def is_doubtful(self, key: str) -> bool:
        """Return whether it makes a difference if a round's end was noted, and nothing tells."""
        path, _, sequence = key.partition("/")
        head, _, turn = sequence.rpartition(".")
        inside = [call for call in calls_of(self.flow) if _is_inside(call, path, sequence)]
        has_next = any(_is_inside(call, path, f"{head}.{int(turn) + 1}") for call in self.begun)
        return not has_next and not self.successes().issuperset(inside)

    def play(self) -> set[str]:
        """Run all by itself, one after the other; return what was called."""
        while places := list(self.world(is_sure=True).startable(self.flow)):
            self.begun.add(places[0].call)
            self.end(places[0].call)
        return self.begun

    def __str__(self) -> str:
        return f"begun {sorted(self.begun)}, ended {self.ended}, failing {sorted(self.failing)}"


def _subsets(found: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield the subsets, the smaller before the larger."""
    every = sorted(found)
    return chain.from_iterable(combinations(every, size) for size in range(len(every) + 1))
