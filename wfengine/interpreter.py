"""The one loop that runs a definition.

:func:`walk` is a generator that yields what has to be awaited and is sent the outcome, so that one
body serves callers with and without an event loop. :func:`drive` and :func:`drive_async` are the
two ways to turn the crank.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from copy import copy
from functools import partial
from itertools import chain, cycle
from typing import Any

from wfengine.callbacks import Definition, Enter, Visit, enter, task_name
from wfengine.errors import (
    BreakFromThisLoop,
    JumpCall,
    WorkflowDefinitionError,
    WorkflowError,
    WorkflowTransition,
)
from wfengine.frames import drop_inner

__all__ = [
    "LEAVE",
    "AskAgain",
    "Crank",
    "Interrupts",
    "LoopIsRunning",
    "Process",
    "Request",
    "Superseded",
    "Wait",
    "drive",
    "drive_async",
    "forget_raised",
    "is_in_loop",
    "is_superseded",
    "refuse_swallowed",
    "settle",
    "walk",
]

Process = Generator[Any, Any, Any]
"""Yields what has to be awaited, is sent the outcome, and returns its result."""

START = [0]
LEAVE = BreakFromThisLoop()
NO_WAY: Iterator[Any] = iter(())


class Superseded(Exception):
    """The engine was restarted from inside one of its own tasks: the outer run is over."""


class Request:
    """A transition that somebody outside the task asked for; taken before the next task."""

    def __init__(self, transition: WorkflowTransition) -> None:
        self.transition = transition


Interrupts = list[Any]
"""What happened while a task ran and what its return value does not tell.

Holds the transitions that were raised through the engine, each a :class:`Request` from outside, and
:class:`Superseded`. It is empty at nearly every step, which is all that the loop looks at.
"""


def forget_raised(interrupts: Interrupts) -> None:
    """Drop the transitions that a task raised: it let one of them pass, or failed."""
    interrupts[:] = [entry for entry in interrupts if not isinstance(entry, WorkflowTransition)]


def refuse_swallowed(interrupts: Interrupts, eng: Any) -> None:
    """Raise for a transition that never came out of the task that raised it."""
    swallowed = [entry for entry in interrupts if isinstance(entry, WorkflowTransition)]
    if swallowed:
        forget_raised(interrupts)
        raise WorkflowError(
            f"{eng.position_text()} raised {swallowed[0]!r} through the engine and then caught it "
            "itself, so the engine never saw it. Let transitions pass: "
            "'except WorkflowTransition: raise' before 'except Exception'"
        ) from swallowed[0]


def is_superseded(interrupts: Interrupts) -> bool:
    """Return whether the task has run the engine anew."""
    return bool(interrupts) and any(isinstance(entry, Superseded) for entry in interrupts)


def unraised(transition: WorkflowTransition) -> WorkflowTransition:
    """Return a copy to raise, so that one that many tasks hand over is not touched."""
    try:
        return copy(transition)
    except Exception:  # a class of the user's that cannot be copied
        return transition


def take_request(interrupts: Interrupts, way: Iterator[Any], pos: list[int]) -> Iterator[Any]:
    """Raise the oldest request from outside, with the position at the task that comes next.

    Where that is further in or out, the request waits, and the way is returned as it was.
    """
    requests = [entry for entry in interrupts if isinstance(entry, Request)]
    ahead = next(way, None) if requests else None
    if ahead is None:
        return way
    if ahead[1] is enter:
        return chain((ahead,), way)
    pos[-1] = ahead[0]
    interrupts.remove(requests[0])
    raise requests[0].transition


def settle(value: Any) -> Process:
    """Return a value, awaited if it has to be."""
    return (yield value) if hasattr(value, "__await__") else value


def enclosing(definition: Definition, position: Sequence[int]) -> list[Definition]:
    """Return the lists that a position runs through, the outermost first.

    :raises WorkflowDefinitionError: for a position that the definition does not have.
    """
    lists = [definition]
    for level, index in enumerate(position[:-1]):
        inner = lists[-1][index] if index < len(lists[-1]) else None
        if not isinstance(inner, Definition):
            raise _no_such_position(position, position[: level + 1], inner)
        lists.append(inner)
    if position[-1] > len(lists[-1]):
        raise _no_such_position(position, position, None)
    return lists


def _no_such_position(
    position: Sequence[int], at: Sequence[int], found: object
) -> WorkflowDefinitionError:
    there = f"is the task {task_name(found)!r}, not a list" if found else "there is nothing"
    return WorkflowDefinitionError(
        f"position {list(position)} is not in this definition: at {list(at)} {there}. "
        "Was the definition changed since the position was stored?"
    )


def walk(  # noqa: C901, PLR0912, PLR0915 - the one loop, in one piece
    definition: Definition,
    obj: Any,
    eng: Any,
    visit: Callable[[Any, Any], Process] | None,
) -> Process:
    """Run a definition for one token, from ``eng.state.callback_pos`` to its end.

    What leaves the definition is raised: transitions other than jumps and breaks, and errors;
    ``callback_pos`` then addresses the task that it came from.

    :param visit: runs one task, where somebody watches the tasks.
    """
    interrupts: Interrupts = eng.interrupts
    pos: list[int] = eng.state.callback_pos
    ways: list[Any] = []
    way: Any
    if pos == START:
        lists, depth = [definition], 0
        way = iter(definition.steps if visit is None else definition.watched)
    else:
        lists, ways, way = stand(definition, pos, visit is not None)
        depth = len(ways)
    while True:
        try:
            if interrupts:
                way = take_request(interrupts, way, pos)
            for pos[depth], step in way:
                result = step(obj, eng)
                if result is not None or interrupts:
                    break
            else:
                if not depth:
                    pos[0] = len(definition)
                    return
                way = ways.pop()
                lists.pop()
                pos.pop()
                depth -= 1
                if way is NO_WAY and depth:  # the one branch of a choice has been run
                    way = ways.pop()
                    lists.pop()
                    pos.pop()
                    depth -= 1
                continue
            if interrupts or result.__class__ not in MOVES:
                result = yield from settle_task(result, obj, eng, visit)
        except StopIteration as error:  # which may not leave a generator as it is
            raise RuntimeError(f"{eng.position_text()} raised StopIteration") from error
        except (JumpCall, BreakFromThisLoop) as transition:
            forget_raised(interrupts)
            result = transition
        if result.__class__ is Enter:
            here = lists[depth].items[pos[depth]]
            if here.__class__ is not Definition:
                continue  # from a task that leads no list: ignored as any other value
            ways.append(way)
            if here.is_choice:
                lists.append(here)
                ways.append(NO_WAY)
                pos.append(result.index)
                here = here.items[result.index]
                depth += 1
            lists.append(here)
            pos.append(0)
            depth += 1
            steps = here.steps if visit is None else here.watched
            way = cycle(steps) if here.is_loop else iter(steps)
        elif result is LEAVE and depth:  # the end of a loop, which has nothing to be dropped
            way = ways.pop()
            lists.pop()
            pos.pop()
            depth -= 1
        elif result is not None:
            way = move(result, eng, lists, ways, visit is not None)
            depth = len(ways)


def stand(
    definition: Definition, pos: Sequence[int], is_watched: bool
) -> tuple[list[Definition], list[Any], Any]:
    """Return the lists that a position runs through, the way on in each outer one, and in the last.

    :raises WorkflowDefinitionError: for a position that the definition does not have.
    """
    lists = enclosing(definition, pos)
    ways = [
        NO_WAY if each.is_choice else way_from(each, index + 1, is_watched)
        for each, index in zip(lists[:-1], pos, strict=False)
    ]
    return lists, ways, way_from(lists[-1], pos[-1], is_watched)


def way_from(here: Definition, index: int, is_watched: bool) -> Any:
    """Go through a list from an index on: a loop without end, of a choice only that element."""
    steps = here.watched if is_watched else here.steps
    if here.is_loop:
        return chain(steps[index:], cycle(steps))
    return iter(steps[index : index + 1 if here.is_choice else None])


def move(
    by: JumpCall | BreakFromThisLoop,
    eng: Any,
    lists: list[Definition],
    ways: list[Any],
    is_watched: bool,
) -> Any:
    """Leave as many lists as a jump or a break says; return the way that it leads to."""
    pos: list[int] = eng.state.callback_pos
    way: Any = NO_WAY
    levels = by.levels
    while levels and ways:
        way = ways.pop()
        lists.pop()
        pos.pop()
        levels -= 1
    drop_inner(eng, keep=isinstance(by, AskAgain))
    if isinstance(by, BreakFromThisLoop):
        return way if not levels else leave_all(lists, ways, pos)
    target = max(pos[-1] + by.offset, 0)
    if target < len(lists[-1]):
        return way_from(lists[-1], target, is_watched)
    return move(LEAVE, eng, lists, ways, is_watched)


def leave_all(lists: list[Definition], ways: list[Any], pos: list[int]) -> Any:
    """Leave the outermost list: there is no way on."""
    del lists[1:], ways[:], pos[1:]
    return NO_WAY


class AskAgain(JumpCall):
    """Leave as many lists and ask the lead that stands there again, its frame kept.

    :param failure: what the task raised that hands this over.
    """

    def __init__(self, levels: int, failure: Exception) -> None:
        super().__init__(0, levels)
        self.failure = failure


MOVES = frozenset({Enter, JumpCall, AskAgain, BreakFromThisLoop})


def settle_task(result: Any, obj: Any, eng: Any, visit: Any) -> Process:
    """Return what a task hands to the engine: a move, or None to go on with the next task.

    Awaits what has to be awaited, and raises what leaves the definition.
    """
    while result is not None and result.__class__ not in MOVES:
        if result.__class__ is Visit:
            result = yield from visit(result.task, obj)
        elif hasattr(result, "__await__"):
            result = yield result
        elif isinstance(result, WorkflowTransition):
            raise unraised(result)
        else:
            result = None
    if eng.interrupts:
        refuse_swallowed(eng.interrupts, eng)
        if is_superseded(eng.interrupts):
            raise Superseded
    return result


class LoopIsRunning(BaseException):
    """Breaks off a run of which something has to be awaited where a loop is running already.

    Nothing has failed by that: the run can go on where it stands.
    """


def drive(run: Process) -> Any:
    """Run to the end, without an event loop; one of its own awaits what has to be awaited.

    :raises LoopIsRunning: into the run, when something has to be awaited inside a loop that is
        running already.
    """
    loop = _PrivateLoop()
    try:
        awaited = next(run)
        while True:
            try:
                value = loop.run(awaited)
            except BaseException as error:
                awaited = run.throw(error)
            else:
                awaited = run.send(value)
    except StopIteration as end:
        return end.value
    finally:
        loop.close()


async def drive_async(run: Process, awaited: Any = None) -> Any:
    """Run to the end inside the event loop that is running.

    :param awaited: what the process has yielded already, if it was begun.
    """
    try:
        if awaited is None:
            awaited = next(run)
        while True:
            try:
                value = await awaited
            except BaseException as error:
                awaited = run.throw(error)
            else:
                awaited = run.send(value)
    except StopIteration as end:
        return end.value


class Wait:
    """Handed over by a task that waits for something, to who turns the crank of its run.

    The run goes on when :meth:`settle` can be asked what came of it.
    """

    def settle(self) -> Any:
        """Return what the task returns, or raise what it raises."""
        raise NotImplementedError

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self)


class Crank:
    """Turns a run a piece at a time: from one :class:`Wait` of a task's to the next.

    Each turn may be in another thread.

    :param before_turn: called at the beginning of each.
    """

    __slots__ = ("_before_turn", "_run", "_wait")

    def __init__(self, run: Process, before_turn: Callable[[], None]) -> None:
        self._run, self._before_turn = run, before_turn
        self._wait: Wait | None = None

    def turn(self) -> Wait | None:
        """Go on to the next wait, and return it; or to the end, and return None.

        :raises BaseException: what comes out of the run.
        """
        self._before_turn()
        loop = _PrivateLoop()
        try:
            awaited = next(self._run) if self._wait is None else self._settled(self._wait.settle)
            while not isinstance(awaited, Wait):
                awaited = self._settled(partial(loop.run, awaited))
        except StopIteration:
            return None
        finally:
            loop.close()
        self._wait = awaited
        return awaited

    def _settled(self, ask: Callable[[], Any]) -> Any:
        """Hand over to the run what came of a wait; return what it waits for next."""
        try:
            value = ask()
        except BaseException as error:
            return self._run.throw(error)
        return self._run.send(value)


def is_in_loop() -> bool:
    """Return whether an event loop is running in this thread."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _PrivateLoop:
    """An event loop that exists from the first awaitable to the end of the run."""

    def __init__(self) -> None:
        self._runner: Any = None

    def run(self, awaitable: Any) -> Any:
        if self._runner is None:
            self._runner = self._start(awaitable)
        return self._runner.run(_awaited(awaitable))

    @staticmethod
    def _start(awaitable: Any) -> Any:
        import asyncio

        if not is_in_loop():
            return asyncio.Runner()
        if hasattr(awaitable, "close"):
            awaitable.close()
        raise LoopIsRunning

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
