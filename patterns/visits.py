"""Visits: what becomes of a GRAPH while an engine is in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from time import time
from typing import Any, ClassVar

from attrs import define, field, frozen

from wfengine import frames
from wfengine.errors import HaltProcessing, StopRequested, together
from wfengine.interpreter import Request, Wait

from .branches import BranchRun, share_lock
from .nodes import Failure, Plan
from .requirements import ACTIVE, COMPLETE, FAILURE, READY, SUCCESS

__all__ = ["Element", "Entry", "Visit"]

EVENTS_BEFORE = {
    "ready": (READY,),
    "active": (READY, ACTIVE),
    "success": (READY, ACTIVE, SUCCESS, COMPLETE),
    "failure": (READY, ACTIVE, FAILURE, COMPLETE),
}
"""What has happened to an element, by how far it has come."""


@define(eq=False)
class Entry:
    """An element whose requirements are met, and that its gate lets begin.

    :param obj: its first token.
    :param eng: the engine that is to run it.
    :param since: when its requirements were met first, in seconds since 1970.
    :param again: whether that was before the run was taken up again.
    :param on_cancel: called when it is not to begin any more.
    :param on_end: called when it has ended.
    """

    _visit: Visit
    _element: Element
    obj: Any
    eng: Any
    since: float
    again: bool = False
    on_cancel: Callable[[], None] | None = None
    on_end: Callable[[], None] | None = None

    def go(self) -> None:
        """Let it begin, from any thread; when the graph has been stopped meanwhile, do nothing."""
        self._visit.let_in(self._element)

    def waits_for(self) -> None:
        """Return None: what it waits for is known to its gate."""

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something called after so long, unless the graph is stopped."""
        self._visit.crew.after(seconds, lambda: self._visit.if_waiting(self._element, call))


@define(eq=False)
class Element:
    """An element on its way; calling it goes on with it."""

    is_urgent: ClassVar[bool] = False

    visit: Visit
    number: int
    is_for_caller: bool
    slots: tuple[Visit, ...]
    memory: dict[str, Any]
    run: BranchRun | None = None
    crank: Any = None
    entry: Entry | None = None
    has_given_way: bool = False
    """Whether it waits for a graph inside of it, and takes no thread meanwhile."""

    def __call__(self) -> None:
        """Begin, or go on, until it waits for a graph inside of it, or has ended."""
        self.has_given_way = False
        if self.crank is None:
            if not self.visit.begin_element(self):
                return
            assert self.run is not None  # noqa: S101 - it was opened
            self.crank = self.run.crank()
        try:
            wait = copy_context().run(self.crank.turn)
        except BaseException as error:
            self.visit.end_element(self, error)
        else:
            if wait is None:
                self.visit.end_element(self, None)
            else:
                self.has_given_way = True
                wait.when_over(self)


@define(eq=False)
class Visit(Wait):
    """One visit of an engine to a GRAPH."""

    plan: Plan
    crew: Any
    obj: Any
    eng: Any
    parent: Element | None = field(init=False)
    frame: dict[str, Any] = field(init=False)
    mark: str = field(init=False, default="")
    counts: list[int] = field(init=False)
    opened: int = field(init=False, default=0)
    """How many elements are ready or running."""
    failures: dict[int, Exception] = field(init=False, factory=dict)
    known: dict[int, dict[str, Any]] = field(init=False, factory=dict)
    """What the branches remember that have begun before the run was taken up again."""
    skipped: set[int] = field(init=False, factory=set)
    """Those of them that are not run again."""
    halts: list[HaltProcessing] = field(init=False, factory=list)
    request: StopRequested | None = field(init=False, default=None)
    is_stopped: bool = field(init=False, default=False)
    waiting: dict[Element, None] = field(init=False, factory=dict)
    kept: dict[int, dict[str, Any]] = field(init=False, factory=dict)
    """How far those have come that began and are not done, where no store knows it."""
    done: list[int] = field(init=False, factory=list)
    inner: dict[Visit, None] = field(init=False, factory=dict)
    slots: tuple[Visit, ...] = field(init=False)
    limit: int = field(init=False, default=0)
    taken: int = field(init=False, default=0)
    held: deque[Any] = field(init=False, factory=deque)
    _goes_on: Any = field(init=False, default=None)
    _is_over: bool = field(init=False, default=False)
    _has_begun: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        plan, eng = self.plan, self.eng
        self.parent = self.crew.element_of(eng)
        outer = () if self.parent is None else self.parent.slots
        is_own_limit = plan.limit is not None and self.parent is not None
        self.slots = (*outer, self) if is_own_limit else outer
        self.limit = plan.limit or 0
        self.counts = plan.wiring.counts()
        frame = frames.find(eng, plan.kind)
        if frame is None:
            frame = frames.enter(eng, plan.kind)
            mark = eng.branch_mark()
            if mark:
                frame["mark"] = mark
        self.frame = frame
        self.mark = frame.get("mark", "")

    # Beginning

    def begin(self) -> bool:
        """Start what requires nothing, or was begun before; return whether all is over."""
        if not self._has_begun:
            self._has_begun = True
            self._start()
        return self._is_over

    def _start(self) -> None:
        eng = self.eng
        share_lock(eng)
        if eng.recorder is not None:
            eng.recorder.waits()
        eng.awaited = [self]
        self.known = self._known()
        with self.crew.lock:
            if self.parent is not None:
                self.parent.visit.inner[self] = None
            eng.children.append(self)
            self.opened = 1  # so that it is not over before all have been looked at
            if any(isinstance(each, Request) for each in eng.interrupts):
                self.stop()
            for number in dict.fromkeys((*self.plan.wiring.initial, *self._take_up())):
                self._ready(number)
            self._close_one()

    def _known(self) -> dict[int, dict[str, Any]]:
        """Return what has begun before: of each what a branch remembers."""
        if self.mark:
            known: dict[int, dict[str, Any]] = self.eng.begun_branches(self.mark)
            return known
        self.done = list(self.frame.get("done", ()))
        known = {number: {"done": True} for number in self.done}
        kept = {int(number): memory for number, memory in self.frame.get("kept", {}).items()}
        return {**known, **kept}

    def _take_up(self) -> list[int]:
        """Tell of what is not run again; return what may begin because of that."""
        ready = []
        for number, memory in sorted(self.known.items()):
            outcome = _outcome_of(memory)
            if outcome in self.plan.nodes[number].skips:
                self.skipped.add(number)
                for event in EVENTS_BEFORE[outcome]:
                    ready.extend(self._tell(number, event))
            elif outcome == "success":
                self.known[number] = {"again": memory.get("again", 0) + 1}
                if number in self.done:
                    self.done.remove(number)
        return ready

    def _tell(self, number: int, event: int) -> list[int]:
        return self.plan.wiring.tell(self.counts, number, event)

    def _ready(self, number: int) -> None:
        """Note that what an element requires has come; called under the lock."""
        if self.is_stopping:
            return
        waiting = [number]
        while waiting:
            number = waiting.pop()
            if number not in self.skipped:
                self.opened += 1
                self._enter(number)
                waiting.extend(reversed(self._tell(number, READY)))

    def _enter(self, number: int) -> None:
        node = self.plan.nodes[number]
        memory = self.known.get(number, {})
        element = Element(self, number, node.is_for_caller, self.slots, memory)
        if node.gate is None:
            self.crew.add(element)
        else:
            self.waiting[element] = None
            self.crew.add(_Admission(element, time()))

    def admit(self, element: Element, now: float) -> None:
        """Hand an element to its gate.

        :param now: when what it requires had come.
        """
        node = self.plan.nodes[element.number]
        assert node.gate is not None  # noqa: S101 - else it is not asked for
        is_again = bool(element.memory.get("run") or element.memory.get("since"))
        since = element.memory.get("since")
        try:
            run = self._open(element)
            run.child.branch_rests()
            tokens = run.tokens
            obj = tokens[0] if len(tokens) else None
            element.entry = Entry(self, element, obj, run.child, since or now, is_again)
            node.gate(element.entry)
        except BaseException as error:
            self.crew.fail(error)

    def let_in(self, element: Element) -> None:
        """Let an element begin that was waiting."""
        with self.crew.lock:
            if element in self.waiting:
                del self.waiting[element]
                self.crew.add(element)

    @property
    def is_over(self) -> bool:
        """Whether all its elements have ended, or are not to begin any more."""
        return self._is_over

    def waits_for(self) -> list[Any] | None:
        """Return what stands at its gate, and the engines that run; None if there is more to do."""
        with self.crew.lock:
            at_gates = [element.entry for element in self.waiting]
            running = self.crew.engines_of(self)
            is_all = self.opened == len(at_gates) + len(running) and None not in at_gates
            return [*at_gates, *running] if is_all or self.crew.is_full() else None

    def if_waiting(self, element: Element, call: Callable[[], None]) -> None:
        """Call something if an element still waits."""
        if element in self.waiting:
            call()

    # One element

    def begin_element(self, element: Element) -> bool:
        """Open the branch of an element, unless it is not to begin any more."""
        if self.is_stopping:
            self.drop(element)
            return False
        if self.plan.wiring.is_awaited(element.number, ACTIVE):
            with self.crew.lock:
                for number in self._tell(element.number, ACTIVE):
                    self._ready(number)
        try:
            run = self._open(element)
        except BaseException as error:
            self.crew.fail(error)
            return False
        if run.is_done:
            self.end_element(element, None)
            return False
        self.crew.take_on(run.child, element)
        return True

    def drop(self, element: Element) -> None:
        """Forget an element that is not to begin any more."""
        if element.entry is not None and element.entry.on_cancel is not None:
            element.entry.on_cancel()
        with self.crew.lock:
            self._close_one()

    def _open(self, element: Element) -> BranchRun:
        if element.run is None:
            node, eng = self.plan.nodes[element.number], self.eng
            definition = self.plan.definitions[element.number]
            if self.plan.shares_data:
                with self.crew.lock:
                    child = eng.child(definition)
            else:
                child = eng.child(definition)
            tokens = [self.obj] if node.tokens is None else node.tokens(self.obj, eng)
            memory, number = element.memory, element.number
            element.run = BranchRun(
                eng,
                child,
                tokens,
                memory,
                node.name,
                number,
                is_beside=node.tokens is None,
                mark=self.mark,
                rests=node.gate is not None,
            )
        return element.run

    def end_element(self, element: Element, error: BaseException | None) -> None:
        """Note how an element has ended, and start what has waited for that."""
        run = element.run
        assert run is not None  # noqa: S101 - it was opened
        self.crew.let_go(run.child)
        if element.entry is not None and element.entry.on_end is not None:
            element.entry.on_end()
        if error is not None and not isinstance(error, Exception):
            self.crew.fail(error)
            return
        try:
            self._keep(run, element.number, error)
        except BaseException as problem:
            self.crew.fail(problem)
            return
        self.crew.leave(lambda: self._ended(element.number, error))

    def _ended(self, number: int, error: Exception | None) -> None:
        """Start what has waited for how an element ended; called under the lock."""
        self._note(number, error)
        self._close_one()

    def _keep(self, run: BranchRun, number: int, error: Exception | None) -> None:
        if error is None:
            if self.plan.nodes[number].tokens is None:
                with self.crew.lock:
                    run.child.branch_joined(run)
                    self.eng.extra_data.update(run.changes())
            if not self.mark:
                self.done.append(number)
        elif not self.mark:
            run.keep_position(error)
            self.kept[number] = run.memory
            if not isinstance(error, HaltProcessing | StopRequested):
                run.memory["failed"] = True

    def _note(self, number: int, error: Exception | None) -> None:
        if isinstance(error, HaltProcessing):
            self.halts.append(error)
            return
        if isinstance(error, StopRequested):
            self.request = self.request or error
            self.stop()
            return
        if error is not None:
            self.failures[number] = error
            self._stop_for(number)
        ready = self._tell(number, SUCCESS if error is None else FAILURE)
        ready += self._tell(number, COMPLETE)
        for each in ready:
            self._ready(each)

    def _stop_for(self, number: int) -> None:
        """Stop, and all around, because of a failure that nothing will answer to."""
        visit: Visit | None = self
        while visit is not None:
            if visit.plan.wiring.answers(number) or not visit.plan.nodes[number].stops:
                return
            visit.stop()
            if visit.parent is None:
                return
            number, visit = visit.parent.number, visit.parent.visit

    # Stopping

    @property
    def is_stopping(self) -> bool:
        """Whether nothing may begin any more, here or in what is around."""
        visit: Visit | None = self
        while visit is not None:
            if visit.is_stopped:
                return True
            visit = None if visit.parent is None else visit.parent.visit
        return False

    def stop(self) -> None:
        """Begin nothing any more; what runs may end. Called under the lock."""
        self.is_stopped = True
        visits = [self]
        while visits:
            visit = visits.pop()
            visits.extend(visit.inner)
            waiting, visit.waiting = visit.waiting, {}
            for element in waiting:
                self.crew.add(_Drop(element))

    def interrupt(self, request: Any) -> None:
        """Stop because somebody asked for it; the engine calls this as of any branch."""
        with self.crew.lock:
            self.stop()

    def abandon(self, error: BaseException) -> None:
        """Leave all that runs where it is, because of an error that is no element's."""
        with self.crew.lock:
            self.stop()
            for child in self.crew.engines():
                child.interrupt()
        self._forget_visit()
        self._remember()

    # The end

    def _close_one(self) -> None:
        self.opened -= 1
        if not self.opened and not self._is_over:
            self._is_over = True
            if self._goes_on is not None:
                self.crew.add(self._goes_on)
            self.crew.wake()

    def when_over(self, element: Any) -> None:
        """Have an element go on that waits for this graph inside of it."""
        with self.crew.lock:
            self._goes_on = element
            if self._is_over:
                self.crew.add(element)

    def settle(self) -> Any:
        """Leave the graph, or raise what came out of it."""
        self._forget_visit()
        unanswered = [
            Failure(self.plan.nodes[number].name, error)
            for number, error in sorted(self.failures.items())
            if not self.plan.wiring.is_answered(self.counts, number)
        ]
        self._remember()
        if unanswered:
            self._raise(unanswered)
        self._raise_request()
        if self.halts:
            raise self.halts[0]
        frames.leave(self.eng, self.frame)
        return None

    def _raise(self, unanswered: list[Failure]) -> None:
        if self.plan.failed is not None:
            self.plan.failed(self.obj, self.eng, unanswered, self.is_stopping)
        else:
            raise together(
                f"{len(unanswered)} elements of a GRAPH failed",
                [failure.error for failure in unanswered],
            )

    def _raise_request(self) -> None:
        requests = [each for each in self.eng.interrupts if isinstance(each, Request)]
        if requests:
            self.eng.interrupts.remove(requests[0])
            raise requests[0].transition
        if self.request is not None:
            raise self.request
        if self.is_stopping:
            raise StopRequested("a failure elsewhere in the run")

    def _forget_visit(self) -> None:
        self.eng.awaited = ()
        if self in self.eng.children:
            self.eng.children.remove(self)
        if self.parent is not None:
            self.parent.visit.inner.pop(self, None)

    def _remember(self) -> None:
        """Keep with the position what was done, where no store does."""
        if not self.mark:
            self.frame["done"] = self.done
            self.frame["kept"] = {str(number): memory for number, memory in self.kept.items()}


@frozen(eq=False)
class _Admission:
    """Hands an element to its gate, in a thread of the crew."""

    element: Element
    since: float
    slots = ()
    is_for_caller = False
    is_urgent = True

    def __call__(self) -> None:
        element = self.element
        if element in element.visit.waiting:
            element.visit.admit(element, self.since)


@frozen(eq=False)
class _Drop:
    """Forgets an element that waited at its gate, in a thread of the crew."""

    element: Element
    slots = ()
    is_for_caller = False
    is_urgent = True

    def __call__(self) -> None:
        self.element.visit.drop(self.element)


def _outcome_of(memory: dict[str, Any]) -> str:
    if memory.get("done"):
        return "success"
    if memory.get("failed"):
        return "failure"
    return "ready" if "since" in memory else "active"
