"""Steps, and what they are added to: the flow, and steps that hold others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from attrs import define, field

from wfengine.errors import WorkflowDefinitionError
from wfengine.steps.configuration import Config
from wfengine.steps.constructs import Work
from wfengine.steps.recovery import skipped
from wfengine.steps.repeats import Rounds
from wfengine.steps.requirements import Event, depth_of, required
from wfengine.steps.resources import Wanted, wanted

if TYPE_CHECKING:
    from wfengine.steps.flow import Sequent

__all__ = ["Container", "Step"]

NOTHING_YET: MutableMapping[Any, str] = {}

DEEPEST = 100
"""How deep steps are in each other at most."""


class Container:
    """What steps are added to."""

    flow: Sequent
    path: str
    config: Config

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        self.events: list[Event] = []

    @property
    def _shown(self) -> str:
        """The container in messages."""
        return f"step {self.path!r}" if self.path else "the flow"

    def add_event(self, requires: Any) -> Event:
        """Give a requirement a name, to be used by several steps of this container.

        An event that comes true because a step has failed answers that failure.

        :param requires: tuples ``(step, status)``, events, ``or_(...)``; of several, all.
        """
        event_requires = required(requires, self, f"an event of {self._shown}")
        if event_requires is None:
            raise WorkflowDefinitionError(f"an event of {self._shown} requires nothing")
        event = Event(self, requires, event_requires, depth_of(requires))
        self.events.append(event)
        self.flow.changed()
        return event

    def add_step(  # noqa: PLR0913, PLR0917 - as the manual has it
        self,
        name: str,
        func: Any = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        requires: Any = None,
        delay: float = 0,
        acquires: Iterable[Any] | None = None,
        releases: Iterable[Any] | None = None,
        recovery: Mapping[Any, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        repeats: Any = None,
    ) -> Step:
        """Add a step.

        :param name: no other step of this container has it.
        :param func: what it calls, a coroutine function too; none for a step that holds others.
        :param args: what the function is called with.
        :param kwargs: the same, by name.
        :param requires: tuples ``(step, status)`` with steps of this container, events of it,
            ``or_(...)``; of several, all. By default it begins at once.
        :param delay: seconds to wait when that has come.
        :param acquires: tuples ``(pool, amount)`` of resources that it holds while it runs.
        :param releases: those that it gives back at its end; by default all, with ``[]`` none.
        :param recovery: what recovery does with it, by its status: by default it is run again
            unless it had succeeded.
        :param config: ``stop_on_exception``, ``task_construct``, ``max_concurrent``, where they
            are not as those of what it is added to.
        :param repeats: a value for each round of it; by default it is run once.
        :raises WorkflowDefinitionError: for whatever cannot be meant.
        """
        self._check_name(name)
        step = Step(self, name)
        step.fill(
            func, args, kwargs, requires, delay, acquires, releases, recovery, config, repeats
        )
        self.flow.register(step)
        self.steps[name] = step
        self.flow.changed()
        return step

    def _check_name(self, name: Any) -> None:
        if not isinstance(name, str) or not name or not name.isprintable():
            raise WorkflowDefinitionError(f"the name of a step is a text, not {name!r}")
        if name in self.steps:
            raise WorkflowDefinitionError(f"{self._shown} has a step {name!r} already")


@define(eq=False)
class Step(Container):
    """One step of a flow.

    :param container: the flow, or the step, that it was added to.
    :param path: with the names of all that it is in, ``s1_s11_s111``.
    """

    container: Container = field(repr=False)
    name: str
    path: str = field(init=False)
    flow: Any = field(init=False, repr=False)
    config: Config = field(init=False, repr=False)
    work: Work | None = field(init=False, default=None, repr=False)
    requires: Any = field(init=False, default=None, repr=False)
    delay: float = field(init=False, default=0.0, repr=False)
    wants: Wanted = field(init=False, factory=Wanted, repr=False)
    skips: frozenset[str] = field(init=False, default=frozenset(), repr=False)
    rounds: Rounds | None = field(init=False, default=None, repr=False)
    refused: dict[Any, Exception] = field(init=False, factory=dict, repr=False)
    """Why it can never have what it acquires, by the engine that is to run it."""
    sequences: MutableMapping[Any, str] = field(init=False, default=NOTHING_YET, repr=False)
    """Of a function with ``repeats`` the latest call, by the engine that runs what holds it."""
    steps: dict[str, Step] = field(init=False, factory=dict, repr=False)
    events: list[Event] = field(init=False, factory=list, repr=False)

    def __attrs_post_init__(self) -> None:
        around = self.container
        if isinstance(around, Step) and around.work is not None:
            raise WorkflowDefinitionError(
                f"step {around.path!r} has a function; only a step without one holds others"
            )
        self.path = f"{around.path}_{self.name}" if around.path else self.name
        self.flow = around.flow
        if len(self.around) >= DEEPEST:
            raise WorkflowDefinitionError(
                f"step {self.name!r} is {DEEPEST + 1} steps deep, and at most {DEEPEST} can be in "
                "each other"
            )

    @property
    def around(self) -> list[Step]:
        """The steps that it is in, the innermost first."""
        found, container = [], self.container
        while isinstance(container, Step):
            found.append(container)
            container = container.container
        return found

    @property
    def within(self) -> str:
        """The step in messages, apart from what it is in."""
        return f"step {self.name!r} of {self.container._shown}"

    def check_refused(self, eng: Any) -> None:
        """Fail when it can never have what it acquires.

        :raises ResourceDeadlockError: saying why.
        """
        if eng in self.refused:
            raise self.refused.pop(eng)

    def fill(  # noqa: PLR0913, PLR0917 - what add_step is given
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        requires: Any,
        delay: Any,
        acquires: Any,
        releases: Any,
        recovery: Any,
        config: Any,
        repeats: Any,
    ) -> None:
        """Take what the step was added with, after checking it."""
        of = self._shown
        self.config = self.container.config.with_settings(config or {}, of)
        self.work = _work(func, args, kwargs, of)
        if self.work is not None:
            self.config.construct.check(self.work, of)
        self.requires = required(requires, self.container, of)
        self.delay = _delay(delay, of)
        self.wants = wanted(acquires, releases, [step.wants for step in self.around], of)
        self.skips = skipped(recovery, of)
        if repeats is not None:
            self.rounds, self.sequences = Rounds(repeats, of), WeakKeyDictionary()
        elif self.work is None:
            self.rounds = Rounds((None,), of)
        if self.work is not None:
            for each in (self, *self.around):
                if each.rounds is not None:
                    each.rounds.check(self.config.construct, each._shown)


def _work(func: Any, args: Any, kwargs: Any, of: str) -> Work | None:
    if func is None:
        if args or kwargs:
            raise WorkflowDefinitionError(f"{of} has arguments and no function to call with them")
        return None
    if not callable(func):
        raise WorkflowDefinitionError(f"{of}: func is something that can be called, not {func!r}")
    if isinstance(args, str | bytes) or not isinstance(args, Sequence):
        raise WorkflowDefinitionError(f"{of}: args is a tuple, not {args!r}")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise WorkflowDefinitionError(f"{of}: kwargs is a dictionary, not {kwargs!r}")
    return Work(func, tuple(args), dict(kwargs or {}))


def _delay(delay: Any, of: str) -> float:
    is_number = isinstance(delay, int | float) and not isinstance(delay, bool)
    if not is_number or not 0 <= delay < inf:
        raise WorkflowDefinitionError(f"{of}: delay is a number of seconds, not {delay!r}")
    return float(delay)
