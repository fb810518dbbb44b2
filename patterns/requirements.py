"""What the elements of a GRAPH wait for, and the counting that says when it has come.

A requirement is wired up once, as gates that count what is still missing. Each visit of the graph
has counts of its own; telling what has happened costs as much as there are requirements about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import define, field, frozen

from wfengine.description import Need
from wfengine.errors import WorkflowDefinitionError

__all__ = ["EVENTS", "After", "AllOf", "AnyOf", "Requirement", "Wiring", "as_requirement"]

EVENTS = ("ready", "active", "success", "failure", "complete")
"""What can be waited for: that an element's requirements are met, that it has begun, how it ended;
``complete`` is either end."""

NUMBERS = {event: number for number, event in enumerate(EVENTS)}
READY, ACTIVE, SUCCESS, FAILURE, COMPLETE = range(len(EVENTS))


@frozen
class After:
    """Waits for something to happen to one element.

    :param name: the element's.
    :param event: ``ready``, ``active``, ``success``, ``failure`` or ``complete``.
    """

    name: str
    event: str = "success"


@frozen(init=False, eq=False)
class AllOf:
    """Waits for all of several requirements."""

    of: tuple[Any, ...]

    def __init__(self, *of: Any) -> None:
        self.__attrs_init__(of)


@frozen(init=False, eq=False)
class AnyOf:
    """Waits for one of several requirements, whichever."""

    of: tuple[Any, ...]

    def __init__(self, *of: Any) -> None:
        self.__attrs_init__(of)


Requirement = After | AllOf | AnyOf


def as_requirement(found: Any, of: str) -> Requirement | None:
    """Return a requirement; a name stands for the element's success, several for all of them.

    :param of: whose, for the message.
    :raises WorkflowDefinitionError: for anything else.
    """
    if found is None or isinstance(found, After | AllOf | AnyOf):
        return found
    if isinstance(found, str):
        return After(found)
    if isinstance(found, Iterable):
        every = tuple(found)
        return AllOf(*every) if every else None
    raise WorkflowDefinitionError(
        f"{of} requires {found!r}; a requirement is the name of an element, "
        "After(name, event), AllOf(...), AnyOf(...), or a list of these"
    )


@define(eq=False)
class Gate:
    """Opens when enough has come.

    :param targets: further gates, and elements as ``~number``.
    """

    is_any: bool
    inputs: list[tuple[int, int] | int] = field(factory=list)
    targets: list[int] = field(factory=list)

    @property
    def need(self) -> int:
        """How much is missing at first."""
        return 1 if self.is_any else len(self.inputs)


class Wiring:
    """The requirements of all elements, as gates.

    :param names: of the elements.
    :param requirements: one for each, or None.
    :param events: further requirements that nothing waits for; that one of them comes true counts
        as an answer to a failure.
    :raises WorkflowDefinitionError: for a requirement on what is not there, a cycle, and one that
        can never come true.
    """

    def __init__(
        self,
        names: Sequence[str],
        requirements: Sequence[Any],
        events: Sequence[Any] = (),
    ) -> None:
        self.names = names
        self._numbers = {name: number for number, name in enumerate(names)}
        self._gates: list[Gate] = []
        self._atoms: dict[tuple[int, int], list[int]] = {}
        # By identity: one that were let go while this is made would lend its id to another.
        self._known: dict[int, tuple[Requirement, int]] = {}
        self._events: set[int] = set()
        self._roots = [self._wire_root(n, found) for n, found in enumerate(requirements)]
        for event in events:
            required = as_requirement(event, "an event")
            if required is not None:
                self._events.add(self._wire(required, "an event"))
        self.initial = [n for n, root in enumerate(self._roots) if root is None]
        self._needs = [gate.need for gate in self._gates]
        _Check(self).all()

    def _wire_root(self, number: int, found: Any) -> int | None:
        of = repr(self.names[number])
        required = as_requirement(found, of)
        if required is None:
            return None
        gate = self._wire(required, of)
        self._gates[gate].targets.append(~number)
        return gate

    def _wire(self, required: Any, of: str) -> int:
        """Return the gate of a requirement, which is one gate for all who share it."""
        known = self._known.get(id(required))
        if known is not None:
            return known[1]
        is_any = isinstance(required, AnyOf)
        gate = Gate(is_any)
        number = len(self._gates)
        self._gates.append(gate)
        for part in (required,) if isinstance(required, After) else required.of:
            self._connect(number, part, of)
        if not gate.inputs:
            raise WorkflowDefinitionError(
                f"{of} requires one of nothing, which can never come true"
                if is_any
                else f"{of} requires nothing in {required!r}; leave it out"
            )
        self._known[id(required)] = required, number
        return number

    def _connect(self, gate: int, part: Any, of: str) -> None:
        part = as_requirement(part, of)
        if part is None:
            return
        if not isinstance(part, After):
            inner = self._wire(part, of)
            self._gates[inner].targets.append(gate)
            self._gates[gate].inputs.append(inner)
            return
        atom = (self._number(part.name, of), self._event(part, of))
        self._atoms.setdefault(atom, []).append(gate)
        self._gates[gate].inputs.append(atom)

    def _number(self, name: str, of: str) -> int:
        try:
            return self._numbers[name]
        except (KeyError, TypeError):
            known = ", ".join(map(repr, self.names[:10]))
            raise WorkflowDefinitionError(
                f"{of} requires {name!r}, which is not there; there are {known}"
                f"{', ...' if len(self.names) > len(self.names[:10]) else ''}"
            ) from None

    @staticmethod
    def _event(part: After, of: str) -> int:
        try:
            return NUMBERS[part.event]
        except (KeyError, TypeError):
            raise WorkflowDefinitionError(
                f"{of} requires {part.event!r} of {part.name!r}; there are {', '.join(EVENTS)}"
            ) from None

    # What happens in a visit

    def counts(self) -> list[int]:
        """Return how much is missing at each gate, at first."""
        return self._needs.copy()

    def tell(self, counts: list[int], number: int, event: int) -> list[int]:
        """Count that something has happened to an element; return who may begin now."""
        gates = self._atoms.get((number, event))
        return [] if gates is None else self._opened(counts, gates)

    def _opened(self, counts: list[int], gates: Iterable[int]) -> list[int]:
        found = []
        waiting = list(reversed(list(gates)))
        while waiting:
            gate = waiting.pop()
            counts[gate] -= 1
            if counts[gate]:
                continue
            for target in self._gates[gate].targets:
                if target < 0:
                    found.append(~target)
                else:
                    waiting.append(target)
        return found

    def is_awaited(self, number: int, event: int) -> bool:
        """Return whether anything waits for something to happen to an element."""
        return (number, event) in self._atoms

    def answers(self, number: int) -> bool:
        """Return whether anything waits for the failure of an element."""
        return self.is_awaited(number, FAILURE) or self.is_awaited(number, COMPLETE)

    def is_answered(self, counts: list[int], number: int) -> bool:
        """Return whether something that waits for the failure of an element has come true."""
        waiting = [
            *self._atoms.get((number, FAILURE), ()),
            *self._atoms.get((number, COMPLETE), ()),
        ]
        while waiting:
            gate = waiting.pop()
            targets = self._gates[gate].targets
            is_last = gate in self._events or any(target < 0 for target in targets)
            if is_last and counts[gate] <= 0:
                return True
            waiting.extend(target for target in targets if target >= 0)
        return False

    def needs_of(self, number: int) -> Iterator[Need]:
        """Yield what an element requires of others, in the order in which that is written."""
        root = self._roots[number]
        waiting: list[Any] = [] if root is None else [(root, False)]
        while waiting:
            part, is_choice = waiting.pop()
            if isinstance(part, int):
                gate = self._gates[part]
                is_choice = is_choice or (gate.is_any and len(gate.inputs) > 1)
                waiting.extend((each, is_choice) for each in reversed(gate.inputs))
            else:
                yield Need(self.names[part[0]], EVENTS[part[1]], is_choice)

    # What the checks look at

    @property
    def gates(self) -> Sequence[Gate]:
        """All of them."""
        return self._gates

    @property
    def roots(self) -> Sequence[int | None]:
        """For each element the gate that it waits for."""
        return self._roots

    def dependants(self, number: int) -> Iterator[int]:
        """Yield the gates that wait for anything of an element, as often as they do."""
        for event in range(len(EVENTS)):
            yield from self._atoms.get((number, event), ())

    def open_all(self, counts: list[int]) -> list[int]:
        """Let everything happen to whatever can begin; return that, in an order in which it can."""
        order = list(self.initial)
        for number in order:
            order.extend(self._opened(counts, self.dependants(number)))
        return order


class _Check:
    """Looks for what can never begin."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def all(self) -> None:
        """Look for cycles, and for requirements that contradict each other."""
        counts = self._wiring.counts()
        begun = set(self._wiring.open_all(counts))
        stuck = [n for n in range(len(self._wiring.names)) if n not in begun]
        if stuck:
            raise self._cycle(stuck[0], counts)
        contested = self._contested()
        if contested:
            self._refuse_contradictions(contested)

    def _cycle(self, number: int, counts: list[int]) -> WorkflowDefinitionError:
        path: list[int] = []
        while number not in path:
            path.append(number)
            number = self._missing(number, counts)
        cycle = [*path[path.index(number) :], number]
        text = " -> ".join(self._wiring.names[n] for n in cycle)
        return WorkflowDefinitionError(
            f"a cycle, each waiting for the next: {text}; none of them can ever begin"
        )

    def _missing(self, number: int, counts: list[int]) -> int:
        """Return an element that cannot begin, and that this one waits for."""
        gate = self._wiring.roots[number]
        assert gate is not None  # noqa: S101 - what waits for nothing begins
        while True:
            for part in self._wiring.gates[gate].inputs:
                if isinstance(part, int):
                    if counts[part] > 0:
                        gate = part
                        break
                elif self._never_begins(part[0], counts):
                    return part[0]
            else:  # an input of an AnyOf that was counted: cannot be, since it would be open
                raise AssertionError(gate)

    def _never_begins(self, number: int, counts: list[int]) -> bool:
        root = self._wiring.roots[number]
        return root is not None and counts[root] > 0

    def _contested(self) -> dict[int, int]:
        """Return a number for each element of which both success and failure are waited for."""
        wanted: dict[int, set[int]] = {}
        for gate in self._wiring.gates:
            for part in gate.inputs:
                if not isinstance(part, int):
                    wanted.setdefault(part[0], set()).add(part[1])
        both = [n for n, events in wanted.items() if {SUCCESS, FAILURE} <= events]
        return {number: place for place, number in enumerate(both)}

    def _refuse_contradictions(self, contested: dict[int, int]) -> None:
        gates = self._wiring.gates
        counts = [len(gate.inputs) for gate in gates]
        order = self._wiring.open_all(counts)
        if len(order) < len(self._wiring.names):  # ways around through an AnyOf: not looked at
            return
        facts = _Facts(contested, gates)
        for number in order:
            root = self._wiring.roots[number]
            if root is not None and not facts.add(number, root):
                raise WorkflowDefinitionError(
                    f"{self._wiring.names[number]!r} can never begin: what it requires takes "
                    f"both the success and the failure of {self._wiring.names[facts.culprit]!r}"
                )


class _Facts:
    """What must have happened when an element begins: two bits for each contested one."""

    def __init__(self, contested: dict[int, int], gates: Sequence[Gate]) -> None:
        self._contested = contested
        self._gates = gates
        self._of_element: dict[int, int] = {}
        self._of_gate: dict[int, int | None] = {}
        self._successes = sum(1 << 2 * place for place in contested.values())
        self.culprit = -1

    def add(self, number: int, root: int) -> bool:
        """Find the facts of an element; return False when they contradict each other."""
        found = self._gate(root)
        self._of_element[number] = found or 0
        return found is not None

    def _gate(self, gate: int) -> int | None:
        waiting = [gate]
        while waiting:
            inner = [
                part
                for part in self._gates[waiting[-1]].inputs
                if isinstance(part, int) and part not in self._of_gate
            ]
            if inner:
                waiting.extend(inner)
            else:
                number = waiting.pop()
                self._of_gate[number] = self._combined(self._gates[number])
        return self._of_gate[gate]

    def _combined(self, gate: Gate) -> int | None:
        parts = [
            self._of_gate[part] if isinstance(part, int) else self._atom(*part)
            for part in gate.inputs
        ]
        possible = [part for part in parts if part is not None]
        if not gate.is_any:
            return self._consistent(_union(possible)) if len(possible) == len(parts) else None
        return _intersection(possible) if possible else None

    def _atom(self, number: int, event: int) -> int | None:
        found = self._of_element.get(number, 0)
        place = self._contested.get(number)
        if place is not None and event in (SUCCESS, FAILURE):
            found |= 1 << (2 * place + (event == FAILURE))
        return self._consistent(found)

    def _consistent(self, facts: int) -> int | None:
        both = facts & (facts >> 1) & self._successes
        if not both:
            return facts
        place = (both.bit_length() - 1) // 2
        self.culprit = next(n for n, each in self._contested.items() if each == place)
        return None


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


def _intersection(masks: Sequence[int]) -> int:
    found = masks[0]
    for mask in masks:
        found &= mask
    return found
