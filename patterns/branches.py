"""Branches: definitions that run beside each other, or inside a task, in engines of their own.

A branch is part of its parent's run. It shares the token, and a lock in ``extra_data['lock']`` that
guards it; it starts with a copy of ``extra_data``. While a pattern's task is not done, the
positions of its branches are kept with the position of the token, so that a branch that has
finished is not run again, and one that halted goes on where it stood.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_all
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Self

from attrs import define, field

from wfengine import frames
from wfengine.callbacks import FROM_START, Definition, Task, task_name
from wfengine.description import Description, Part, describe, described
from wfengine.errors import (
    HaltProcessing,
    StopRequested,
    WorkflowDefinitionError,
    WorkflowError,
    WorkflowTransition,
    together,
)
from wfengine.frames import FRAMES
from wfengine.interpreter import Crank

from .parts import (
    Branch,
    as_branch,
    as_condition,
    as_duration,
    as_element,
    digest,
    named,
    then,
)

__all__ = ["PARALLEL_SPLIT", "RUN_WF", "SYNCHRONIZE"]

LOCK = "lock"
CHANGES = "extra_data"
REMOVED = "removed"
HALTED = "halted"


class BranchData(dict[str, Any]):
    """A branch's copy of ``extra_data``, which notes the keys that are written.

    :param written: where they are noted, those that are there from the beginning not.
    """

    def __init__(self, data: dict[str, Any], written: set[str]) -> None:
        super().__init__(data)
        self.written = written

    def __setitem__(self, key: str, value: Any) -> None:
        self.written.add(key)
        super().__setitem__(key, value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Write several keys."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Write a key unless it is there; return its value."""
        if key not in self:
            self[key] = default
        return self[key]

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


@define(eq=False)
class BranchRun:
    """One branch on its way: its engine, and where its position is kept.

    :param memory: plain data: ``done``, or the position at which to go on.
    :param name: for people.
    :param number: tells the branches of one task apart.
    :param is_beside: whether it shares its tokens with others that run at the same time.
    :param waits: whether it is waited for at the end of the token.
    :param outlives: whether the run goes on past its task while it is running.
    :param mark: of :meth:`wfengine.engine.GenericWorkflowEngine.branch_mark`, for one that
        :meth:`~wfengine.engine.GenericWorkflowEngine.begun_branches` knows when it has begun.
    :param rests: whether it is not to begin yet.
    """

    parent: Any
    child: Any
    tokens: Any
    memory: dict[str, Any]
    name: str = ""
    number: int = 0
    is_beside: bool = False
    waits: bool = False
    outlives: bool = False
    mark: str = ""
    rests: bool = False
    given: dict[str, Any] = field(init=False)
    written: set[str] = field(init=False, factory=set)
    future: Any = field(init=False, default=None)
    in_loop: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        child, memory = self.child, self.memory
        child.passes_halts = self.parent.passes_halts
        child.branch_begins(self)
        if "callback_pos" in memory:
            self._stand_where_left()
        if FRAMES in memory:
            child.extra_data[FRAMES] = memory[FRAMES]
        self.given = dict(child.extra_data)
        self.given.pop(FRAMES, None)
        child.extra_data = BranchData(child.extra_data, self.written)
        if CHANGES in memory:
            child.extra_data.update(memory[CHANGES])
        for key in memory.get(REMOVED, ()):
            child.extra_data.pop(key, None)

    def _stand_where_left(self) -> None:
        state, memory = self.child.state, self.memory
        state.token_pos = max(memory["token_pos"], 0) - 1
        *around, index = memory["callback_pos"]
        is_past = memory.pop(HALTED, False) and self.parent.passes_halts
        state.callback_pos = [*around, index + is_past]

    def run(self) -> None:
        """Run the branch in this thread."""
        self.child.process(self.tokens, reset_state=False)

    def crank(self) -> Crank:
        """Return the branch as a run that is turned a piece at a time."""
        crank: Crank = self.child.crank(self.tokens, reset_state=False)
        return crank

    async def run_async(self) -> None:
        """Run the branch in the running event loop."""
        await self.child.process_async(self.tokens, reset_state=False)

    def keep_position(self, error: BaseException | None) -> None:
        """Write down where to go on.

        :param error: what came out of the branch, if it has ended.
        """
        if isinstance(error, HaltProcessing) and not self._has_halted_inside():
            self.memory[HALTED] = True
        self.memory.update(self.child.state.to_dict())
        self.memory[FRAMES] = self.child.extra_data.get(FRAMES, [])
        self.memory[CHANGES] = self.changes()
        self.memory[REMOVED] = [key for key in self.given if key not in self.child.extra_data]

    def _has_halted_inside(self) -> bool:
        """Return whether it is a branch of this branch that has halted."""
        return frames.has_begun(self.child)

    def keep_end(self) -> None:
        """Write down that there is nothing left to do."""
        for key in (*self.child.state.to_dict(), FRAMES):
            self.memory.pop(key, None)
        self.memory.update({"done": True, CHANGES: self.changes()})

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to do."""
        return bool(self.memory.get("done"))

    def changes(self) -> dict[str, Any]:
        """Return what the branch has put into its copy of ``extra_data``."""
        given, written = self.given, self.written
        return {
            key: value
            for key, value in dict(self.child.extra_data).items()
            if key not in (FRAMES, LOCK)
            and (key in written or key not in given or given[key] is not value)
        }

    @property
    def is_over(self) -> bool:
        """Whether it was run beside its parent, and has come to an end of any kind."""
        return self.future is not None and bool(self.future.done())

    def waits_for(self) -> list[Any]:
        """Return what it waits for: that its engine comes to an end."""
        return [self.child]


def PARALLEL_SPLIT(*branches: Branch, wait: bool = False) -> Task:
    """Start all branches together, each in a thread of its own, and go on at once.

    Under ``process_async``, branches with coroutine functions run in the event loop. There, and
    where each step is recorded, the run ends when its branches have. What comes out of a branch, a
    halt included, is logged, signalled, and kept in ``eng.failed_branches``.

    :param wait: wait for the branches at the end of the token; what came out of them is then
        raised there as well.
    """
    definitions = _definitions("PARALLEL_SPLIT", branches)

    def finish(eng: Any, every: Sequence[BranchRun], runs: Sequence[BranchRun]) -> None:
        for run in runs:
            error = _failure(run.future)
            if error is not None:
                eng.keep_branch_failure(run.name, eng.state.token_pos, error)
        _join(runs)
        for run in every:
            run.child.branch_joined(run)

    def task(obj: Any, eng: Any) -> None:
        every = _runs(eng, obj, definitions, [{} for _ in definitions], waits=wait, outlives=True)
        runs = [run for run in every if not run.is_done]
        for run in runs:
            _start(run, eng, daemon=False)
            if not wait:
                run.future.add_done_callback(_Report(eng, run.name, obj))
        if wait:
            eng.defer(lambda: then(_all_ended(eng, runs), lambda _: finish(eng, every, runs)))
        elif eng.is_asynchronous or eng.recorder is not None:
            eng.defer(lambda: _all_ended(eng, runs), until="run")

    return described(named(task, "PARALLEL_SPLIT"), _description("PARALLEL_SPLIT", definitions))


def SYNCHRONIZE(*branches: Branch, timeout: float | None = None) -> Definition:
    """Run all branches but the last together; when every one has ended, run the last.

    Its list is ``[branches, last]``. What the branches put into ``extra_data`` is there
    afterwards; where several wrote the same key, the later branch counts. A failing branch does
    not stop the others; its exception is raised when all have ended, several in an
    ExceptionGroup. A halt is raised when nothing failed.

    :param timeout: seconds after which a WorkflowError names the branches that have not ended.
        They stop before their next task.
    """
    if len(branches) < 2:
        raise WorkflowDefinitionError("SYNCHRONIZE takes at least two branches")
    if timeout is not None:
        as_duration(timeout, "SYNCHRONIZE's timeout")
    definitions = _definitions("SYNCHRONIZE", branches[:-1])
    kind = digest("SYNCHRONIZE", [definition for _, definition in definitions])

    def task(obj: Any, eng: Any) -> Any:
        frame = frames.find(eng, kind)
        if frame is None:
            frame = frames.enter(eng, kind)
            frame["branches"] = [{} for _ in definitions]
        every = _runs(eng, obj, definitions, frame["branches"])
        runs = [run for run in every if not run.is_done]
        for run in runs:
            _start(run, eng, daemon=True)

        def finish(_: Any) -> None:
            _join(runs, timeout)
            frames.leave(eng, frame)
            _take_over(eng, every)

        return then(_all_ended(eng, runs, timeout), finish)

    description = _description(
        "SYNCHRONIZE", definitions, roles=("branches", "last"), memory=kind, timeout=timeout
    )
    last = as_element(branches[-1], "SYNCHRONIZE's last branch")
    lead = named(lambda obj, eng: FROM_START, "SYNCHRONIZE")
    return Definition([named(task, "branches"), last], lead, description=description)


def RUN_WF(
    workflow: Branch,
    data_connector: Callable[[Any, Any], Iterable[Any]] | None = None,
    engine: Callable[[], Any] | None = None,
) -> Task:
    """Run another definition inside this task.

    What it puts into ``extra_data`` is there afterwards. A halt in it halts this run too; taken
    up again, it goes on where it stood.

    :param workflow: the definition.
    :param data_connector: a callable ``(obj, eng)`` that returns its tokens; by default it is
        the current token alone. After a halt it is asked again.
    :param engine: a callable that returns the engine to use, for one with hooks and signals of
        its own; by default it is a branch of this engine.
    """
    definition = as_branch(workflow, "RUN_WF's workflow")
    if data_connector is not None:
        as_condition(data_connector, "RUN_WF's data_connector")
    if engine is not None and not callable(engine):
        raise WorkflowDefinitionError(
            f"RUN_WF's engine is a class or another callable, not {engine!r}"
        )

    def task(obj: Any, eng: Any) -> Any:
        tokens = data_connector(obj, eng) if data_connector else [obj]
        in_loop = eng.is_asynchronous or hasattr(tokens, "__await__")
        return then(
            tokens, lambda found: run_inside(eng, found, definition, "RUN_WF", in_loop, engine)
        )

    parts = (Part("workflow", definition), Part("data_connector", data_connector))
    description = Description("RUN_WF", parts=parts, memory=digest("RUN_WF", definition))
    return described(named(task, "RUN_WF"), description)


def run_inside(
    eng: Any,
    tokens: Any,
    definition: Definition,
    pattern: str,
    in_loop: bool,
    engine: Callable[[], Any] | None = None,
) -> Any:
    """Run a definition as the inside of the current task; in an event loop, return an awaitable."""
    kind = digest(pattern, definition)
    frame = frames.find(eng, kind) or frames.enter(eng, kind)
    child = _other(eng, engine, definition) if engine else eng.child(definition)
    run = BranchRun(eng, child, tokens, frame)

    def finish(error: BaseException | None = None) -> None:
        if error is None:
            run.child.branch_joined(run)
            eng.extra_data.update(run.changes())
            frames.leave(eng, frame)
        else:
            run.keep_position(error)
            raise error

    async def run_async() -> None:
        try:
            with _waiting(eng, [run]):
                await run.run_async()
        except BaseException as error:
            finish(error)
        else:
            finish()

    if run.is_done:
        return finish()
    if in_loop:
        return run_async()
    try:
        with _waiting(eng, [run]):
            run.run()
    except BaseException as error:
        finish(error)
    else:
        finish()
    return None


@contextmanager
def _waiting(eng: Any, runs: Sequence[BranchRun]) -> Iterator[None]:
    """Let it be known that an engine does nothing but wait for branches."""
    eng.awaited = runs
    try:
        yield
    finally:
        eng.awaited = ()


def _other(eng: Any, engine: Callable[[], Any], definition: Definition) -> Any:
    other = engine()
    other.state.reset()
    other.extra_data = {key: value for key, value in eng.extra_data.items() if key != FRAMES}
    other.callbacks.replace(definition)
    return other


def _definitions(kind: str, branches: Sequence[Branch]) -> list[tuple[str, Definition]]:
    if not branches:
        raise WorkflowDefinitionError(f"{kind} takes at least one branch")
    definitions = [
        as_branch(branch, f"{kind}'s branch {place}") for place, branch in enumerate(branches)
    ]
    return [
        (f"{place} ({', '.join(map(_step_name, definition[:3]))})", definition)
        for place, definition in enumerate(definitions)
    ]


def _step_name(step: Any) -> str:
    description = describe(step)
    return description.kind if description else task_name(step)


def _description(
    kind: str,
    definitions: Iterable[tuple[str, Definition]],
    roles: tuple[str, ...] = (),
    memory: str = "",
    **options: Any,
) -> Description:
    parts = tuple(Part("branch", definition, name) for name, definition in definitions)
    return Description(kind, roles=roles, parts=parts, options=options, memory=memory)


def share_lock(eng: Any) -> None:
    """Let all branches have a lock for what they share."""
    eng.extra_data.setdefault(LOCK, threading.RLock())


def _runs(
    eng: Any,
    obj: Any,
    definitions: Sequence[tuple[str, Definition]],
    memories: Sequence[dict[str, Any]],
    waits: bool = False,
    outlives: bool = False,
) -> list[BranchRun]:
    """Return the branches of one task, none of them started."""
    share_lock(eng)
    return [
        BranchRun(eng, eng.child(definition), [obj], memory, name, number, True, waits, outlives)
        for number, ((name, definition), memory) in enumerate(
            zip(definitions, memories, strict=True)
        )
    ]


def _start(run: BranchRun, eng: Any, daemon: bool) -> None:
    if not eng.is_asynchronous:
        run.future = in_thread(run, daemon)
        return
    import asyncio

    if needs_loop(run.child.callbacks.get()):
        run.in_loop = True
        run.future = asyncio.ensure_future(run.run_async())
    else:
        run.future = asyncio.wrap_future(in_thread(run, daemon))


def in_thread(run: BranchRun, daemon: bool) -> Future[None]:
    """Run a branch in a thread of its own."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()  # so that nobody cancels what a thread will end
    context = copy_context()

    def work() -> None:
        try:
            context.run(run.run)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=work, name=f"branch {run.name}", daemon=daemon).start()
    return future


def needs_loop(definition: Definition) -> bool:
    """Return whether a branch has coroutine functions, which belong into the caller's loop."""
    waiting: list[Any] = [definition]
    while waiting:
        step = waiting.pop()
        if callable(step) and _is_coroutine_function(step):
            return True
        if isinstance(step, list):
            waiting.extend(step)
        description = describe(step)
        if description:
            waiting.extend(part.content for part in description.parts)
    return False


def _is_coroutine_function(task: Any) -> bool:
    task = inspect.unwrap(task)
    return inspect.iscoroutinefunction(task) or inspect.iscoroutinefunction(
        getattr(task, "__call__", None)  # noqa: B004 - an object that is called
    )


def _all_ended(eng: Any, runs: Sequence[BranchRun], timeout: float | None = None) -> Any:
    """Wait until all branches have ended, or the time is over; an awaitable if need be."""
    if eng.recorder is not None and runs:
        eng.recorder.waits()
    if eng.is_asynchronous:
        return _all_ended_in_loop(eng, runs, timeout)
    try:
        with _waiting(eng, runs):
            wait_for_all([run.future for run in runs], timeout)
    except BaseException:
        _interrupt(runs)
        _keep(runs)
        raise
    return None


async def _all_ended_in_loop(eng: Any, runs: Sequence[BranchRun], seconds: float | None) -> None:
    import asyncio

    if not runs:
        return
    try:
        with _waiting(eng, runs):
            await asyncio.wait([run.future for run in runs], timeout=seconds)
    except BaseException:
        _interrupt(runs)
        _keep(runs)
        raise


def _interrupt(runs: Iterable[BranchRun]) -> None:
    """Have branches stop before their next task, or, in an event loop, where they wait."""
    for run in runs:
        run.child.interrupt()
        if run.in_loop:
            run.future.cancel()


def _take_over(eng: Any, runs: Iterable[BranchRun]) -> None:
    """Put what the branches have put into their copies of ``extra_data`` into the engine's."""
    for run in runs:
        run.child.branch_joined(run)
        eng.extra_data.update(run.memory[CHANGES])


def _join(runs: Sequence[BranchRun], timeout: float | None = None) -> None:
    """Write down how far the branches came, and raise what was raised in them."""
    unfinished = [run for run in runs if not run.is_over]
    errors: list[BaseException] = [_timed_out(unfinished, timeout)] if unfinished else []
    _keep(runs)
    for run in runs:
        if run in unfinished:
            continue
        error = _outcome(run.future)
        if error is not None:
            errors.append(error)
    _interrupt(unfinished)
    _raise_first_of_all(errors)


def _keep(runs: Iterable[BranchRun]) -> None:
    """Write down how far the branches came."""
    for run in runs:
        error = _outcome(run.future) if run.is_over else None
        if not run.is_over or error is not None:
            run.keep_position(error)
        else:
            run.keep_end()


def _timed_out(unfinished: Sequence[BranchRun], timeout: float | None) -> WorkflowError:
    names = [run.name for run in unfinished]
    return WorkflowError(
        f"SYNCHRONIZE: not ended after {timeout} s: branch {', branch '.join(names)}",
        payload={"unfinished": names},
    )


def _raise_first_of_all(errors: Sequence[BaseException]) -> None:
    for error in errors:
        if not isinstance(error, Exception):
            raise error
    failures = [error for error in errors if not isinstance(error, WorkflowTransition)]
    if failures:
        raise together("several branches failed", failures)  # type: ignore[arg-type]
    for transition in sorted(errors, key=lambda error: isinstance(error, HaltProcessing)):
        raise transition


def _outcome(future: Any) -> BaseException | None:
    if future.cancelled():
        return WorkflowError("the branch was cancelled")
    error: BaseException | None = future.exception()
    return error


def _failure(future: Any) -> BaseException | None:
    """Return what came out of a branch, unless it was stopped: it goes on when the run does."""
    error = _outcome(future)
    return None if isinstance(error, StopRequested) else error


@define(eq=False)
class _Report:
    """Tells the parent what came out of a branch that nobody waits for."""

    eng: Any
    name: str
    obj: Any
    token_pos: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.token_pos = self.eng.state.token_pos

    def __call__(self, future: Any) -> None:
        error = _failure(future)
        if error is not None:
            self.eng.branch_failed(self.name, self.token_pos, self.obj, error)
