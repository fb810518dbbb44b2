"""Branches: definitions that run beside each other, or inside a task, in engines of their own.

A branch is part of its parent's run. It shares the token, and a lock in ``extra_data['lock']`` that
guards it; it starts with a copy of ``extra_data``. While a pattern's task is not done, the
positions of its branches are kept with the position of the token, so that a branch that has
finished is not run again, and one that halted goes on where it stood.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_all
from contextvars import copy_context
from typing import Any

from attrs import define, field

from wfengine import frames
from wfengine.callbacks import FROM_START, Definition, Task, task_name
from wfengine.description import Description, Part, describe, described
from wfengine.errors import HaltProcessing, WorkflowDefinitionError, WorkflowError, together
from wfengine.frames import FRAMES

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


@define(eq=False)
class BranchRun:
    """One branch on its way: its engine, and where its position is kept.

    :param memory: plain data: ``done``, or the position at which to go on.
    """

    child: Any
    tokens: Any
    memory: dict[str, Any]
    name: str = ""
    given: dict[str, Any] = field(init=False)
    future: Any = field(init=False, default=None)
    in_loop: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        child, memory = self.child, self.memory
        child.state.token_pos = max(memory.get("token_pos", 0), 0) - 1
        child.state.callback_pos = memory.get("callback_pos", [0])
        if FRAMES in memory:
            child.extra_data[FRAMES] = memory[FRAMES]
        self.given = {key: child.extra_data[key] for key in child.extra_data if key != FRAMES}
        child.extra_data.update(memory.get(CHANGES, {}))

    def run(self) -> None:
        """Run the branch in this thread."""
        self.child.process(self.tokens, reset_state=False)

    async def run_async(self) -> None:
        """Run the branch in the running event loop."""
        await self.child.process_async(self.tokens, reset_state=False)

    def keep_position(self) -> None:
        """Write down where to go on."""
        self.memory.update(self.child.state.to_dict())
        self.memory[FRAMES] = self.child.extra_data.get(FRAMES, [])
        self.memory[CHANGES] = self.changes()

    def keep_end(self) -> None:
        """Write down that there is nothing left to do."""
        self.memory.clear()
        self.memory.update({"done": True, CHANGES: self.changes()})

    def changes(self) -> dict[str, Any]:
        """Return what the branch has put into its copy of ``extra_data``."""
        return {
            key: value
            for key, value in self.child.extra_data.items()
            if key not in (FRAMES, LOCK) and not (key in self.given and self.given[key] is value)
        }

    @property
    def is_running(self) -> bool:
        """Whether the branch has not come to an end of any kind."""
        return not self.future.done()


def PARALLEL_SPLIT(*branches: Branch, wait: bool = False) -> Task:
    """Start all branches together, each in a thread of its own, and go on at once.

    Under ``process_async``, branches with coroutine functions run in the event loop, and the run
    ends when its branches have. What comes out of a branch, a halt included, is logged, signalled,
    and kept in ``eng.failed_branches``.

    :param wait: wait for the branches at the end of the token; what came out of them is then
        raised there as well.
    """
    definitions = _definitions("PARALLEL_SPLIT", branches)

    def finish(eng: Any, runs: Sequence[BranchRun]) -> None:
        for run in runs:
            error = _outcome(run.future)
            if error is not None:
                eng.keep_branch_failure(run.name, eng.state.token_pos, error)
        _join(runs)

    def task(obj: Any, eng: Any) -> None:
        _share_lock(eng)
        runs = [
            BranchRun(eng.child(definition), [obj], {}, name) for name, definition in definitions
        ]
        for run in runs:
            _start(run, eng, daemon=False)
            if not wait:
                run.future.add_done_callback(_Report(eng, run.name, obj))
        if wait:
            eng.defer(lambda: then(_all_ended(eng, runs), lambda _: finish(eng, runs)))
        elif eng.is_asynchronous:
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
        _share_lock(eng)
        runs = [
            BranchRun(eng.child(definition), [obj], memory, name)
            for (name, definition), memory in zip(definitions, frame["branches"], strict=True)
            if not memory.get("done")
        ]
        for run in runs:
            _start(run, eng, daemon=True)

        def finish(_: Any) -> None:
            _join(runs, timeout)
            frames.leave(eng, frame)
            _take_over(eng, frame["branches"])

        return then(_all_ended(eng, runs, timeout), finish)

    description = _description(
        "SYNCHRONIZE", definitions, roles=("branches", "last"), timeout=timeout
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
    description = Description("RUN_WF", parts=parts)
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
    run = BranchRun(
        _other(eng, engine, definition) if engine else eng.child(definition), tokens, frame
    )

    def finish(error: BaseException | None = None) -> None:
        if error is None:
            eng.extra_data.update(run.changes())
            frames.leave(eng, frame)
        else:
            run.keep_position()
            raise error

    async def run_async() -> None:
        try:
            await run.run_async()
        except BaseException as error:
            finish(error)
        else:
            finish()

    if in_loop:
        return run_async()
    try:
        run.run()
    except BaseException as error:
        finish(error)
    else:
        finish()
    return None


def _other(eng: Any, engine: Callable[[], Any], definition: Definition) -> Any:
    other = engine()
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
    **options: Any,
) -> Description:
    parts = tuple(Part("branch", definition, name) for name, definition in definitions)
    return Description(kind, roles=roles, parts=parts, options=options)


def _share_lock(eng: Any) -> None:
    eng.extra_data.setdefault(LOCK, threading.RLock())


def _start(run: BranchRun, eng: Any, daemon: bool) -> None:
    if not eng.is_asynchronous:
        run.future = _in_thread(run, daemon)
        return
    import asyncio

    if _needs_loop(run.child.callbacks.get()):
        run.in_loop = True
        run.future = asyncio.ensure_future(run.run_async())
    else:
        run.future = asyncio.wrap_future(_in_thread(run, daemon))


def _in_thread(run: BranchRun, daemon: bool) -> Future[None]:
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


def _needs_loop(definition: Definition) -> bool:
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
    if eng.is_asynchronous:
        return _all_ended_in_loop(runs, timeout)
    try:
        wait_for_all([run.future for run in runs], timeout)
    except BaseException:
        _interrupt(runs)
        _keep(runs)
        raise
    return None


async def _all_ended_in_loop(runs: Sequence[BranchRun], seconds: float | None) -> None:
    import asyncio

    if not runs:
        return
    try:
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


def _take_over(eng: Any, memories: Iterable[dict[str, Any]]) -> None:
    """Put what the branches have put into their copies of ``extra_data`` into the engine's."""
    for memory in memories:
        eng.extra_data.update(memory[CHANGES])


def _join(runs: Sequence[BranchRun], timeout: float | None = None) -> None:
    """Write down how far the branches came, and raise what was raised in them."""
    unfinished = [run for run in runs if run.is_running]
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
        if run.is_running or _outcome(run.future) is not None:
            run.keep_position()
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
    failures = [error for error in errors if not isinstance(error, HaltProcessing)]
    if failures:
        raise together("several branches failed", failures)  # type: ignore[arg-type]
    for halt in errors:
        raise halt


def _outcome(future: Any) -> BaseException | None:
    if future.cancelled():
        return WorkflowError("the branch was cancelled")
    error: BaseException | None = future.exception()
    return error


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
        error = _outcome(future)
        if error is not None:
            self.eng.branch_failed(self.name, self.token_pos, self.obj, error)
