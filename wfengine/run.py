"""One run: the loop over the tokens, with the hooks, signals and handlers around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import update_wrapper
from threading import get_ident
from typing import Any

from attrs import define, field, frozen

from wfengine import signals
from wfengine.callbacks import Definition
from wfengine.errors import (
    AbortProcessing,
    HaltProcessing,
    JumpToken,
    NotStorableError,
    StopProcessing,
    StoreError,
    WorkflowDefinitionError,
    WorkflowTransition,
    together,
)
from wfengine.extension import (
    ActionMapper,
    Break,
    Continue,
    ProcessingFactory,
    TransitionActions,
    handler_of,
    overridden,
    unwrapped,
)
from wfengine.frames import FRAMES
from wfengine.interpreter import (
    AskAgain,
    Process,
    forget_raised,
    is_superseded,
    refuse_swallowed,
    settle,
    walk,
)
from wfengine.recorder import Recorder
from wfengine.signals import TokenOutcome
from wfengine.state import FIRST_TASK, set_token_pos
from wfengine.tokens import TokenStream

__all__ = ["Run"]


@frozen
class Hooks:
    """The hooks of an engine, looked up once for each run; None where nobody overrode one."""

    before_processing: Any = None
    after_processing: Any = None
    before_object: Any = None
    after_object: Any = None
    before_callbacks: Any = None
    after_callbacks: Any = None
    before_each_callback: Any = None
    after_each_callback: Any = None
    transition_exception_mapper: Any = TransitionActions

    @classmethod
    def of(cls, eng: Any) -> Hooks:
        """Look up the hooks of an engine."""
        factory = unwrapped(eng.processing_factory)
        mapper = unwrapped(getattr(factory, "action_mapper", ActionMapper))
        names = (
            "before_callbacks",
            "after_callbacks",
            "before_each_callback",
            "after_each_callback",
        )
        found = {name: overridden(mapper, name, ActionMapper) for name in names}
        for name in ("before_processing", "after_processing", "before_object", "after_object"):
            found[name] = overridden(factory, name, ProcessingFactory)
        handlers = getattr(factory, "transition_exception_mapper", TransitionActions)
        return cls(**found, transition_exception_mapper=unwrapped(handlers))

    def of_branch(self) -> Hooks:
        """Return those that a branch has, too: the ones around each task."""
        if not self.around_tasks:
            return NO_HOOKS
        return Hooks(
            before_each_callback=self.before_each_callback,
            after_each_callback=self.after_each_callback,
        )

    @property
    def around_tasks(self) -> bool:
        """Whether there is anything to do around each task."""
        return bool(self.before_each_callback or self.after_each_callback)

    @property
    def around_tokens(self) -> bool:
        """Whether there is anything to do around each token."""
        hooks = (self.before_object, self.after_object, self.before_callbacks, self.after_callbacks)
        return any(hooks)


NO_HOOKS = Hooks()


@define(eq=False)
class Run:
    """What an engine knows while it runs, and forgets afterwards.

    :param fresh: whether the first token starts at its first task, or where the position says.
    :param starts_at: the tasks' part of that position, if it is not the engine's.
    :param owner: the asyncio task that runs it, or None where there is no event loop.
    :param outer: the run inside whose task this one was started, if any.
    :param around: the run that this one is a branch of, while it is under way.
    """

    eng: Any
    objects: Sequence[Any]
    stop_on_error: bool = True
    stop_on_halt: bool = True
    owner: Any = None
    outer: Run | None = None
    around: Run | None = None
    fresh: bool = True
    starts_at: list[int] | None = None
    thread: int = field(init=False, factory=get_ident)
    recorder: Recorder | None = field(init=False)
    hooks: Hooks = field(init=False)
    executes: bool = field(init=False)
    is_watched: bool = field(init=False)
    is_plain: bool = field(init=False)
    at_token_end: list[Callable[[], Any]] = field(init=False, factory=list)
    at_run_end: list[Callable[[], Any]] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        eng = self.eng
        self.recorder = eng.recorder
        self.hooks = self._hooks()
        self.executes = eng.overrides("execute_callback")
        self.is_watched = (
            self.recorder is not None
            or self.executes
            or self.hooks.around_tasks
            or signals.are_heard(signals.TASK_SIGNALS)
        )
        self.is_plain = not (
            self.is_watched
            or self.hooks.around_tokens
            or eng.overrides("run_callbacks")
            or signals.are_heard(signals.TOKEN_SIGNALS)
        )

    def _hooks(self) -> Hooks:
        """Return the hooks; of a branch of an engine that has the same, those of its run."""
        eng, around = self.eng, self.around
        if around is not None and eng.processing_factory is around.eng.processing_factory:
            return around.hooks.of_branch()
        found = Hooks.of(eng)
        return found if eng.parent is None else found.of_branch()

    @property
    def asynchronous(self) -> bool:
        """Whether an event loop of the caller's runs it."""
        return self.owner is not None

    def is_owned_by(self, owner: Any) -> bool:
        """Return whether the caller is this run's own thread, and its asyncio task."""
        return self.thread == get_ident() and (owner is None or owner is self.owner)

    def steps(self) -> Process:
        """Go through all tokens, with all that is around them."""
        error: BaseException | None = None
        try:
            if self.recorder is not None:
                begun = yield from self._record("run_begins", self.objects)
                self.eng.objects = self.objects = begun
            yield from self._processing()
        except Unrecorded as unrecorded:
            error = unrecorded.reason
            raise error from error.__cause__
        except BaseException as raised:
            error = raised
            raise
        finally:
            try:
                if self.at_run_end:
                    yield from self._wind_up(self.at_run_end)
            finally:
                if error is not None:
                    yield from self._record("run_ended", error)

    def _processing(self) -> Process:
        eng, hooks = self.eng, self.hooks
        if hooks.before_processing:
            yield from settle(hooks.before_processing(eng, self.objects))
        self._signal("workflow_started", objects=self.objects)
        with suppress(Break):
            yield from self._tokens()
        if self.at_run_end:
            yield from self._wind_up(self.at_run_end)
        eng.has_completed = True
        try:
            if hooks.after_processing:
                yield from settle(hooks.after_processing(eng, self.objects))
            if self.recorder is not None:
                yield from self._record("run_ended", None)
        except BaseException:
            eng.has_completed = False
            raise
        self._signal("workflow_finished", objects=self.objects)

    def _tokens(self) -> Process:
        eng, state, objects = self.eng, self.eng.state, self.objects
        callbacks, calls = eng.callbacks, self.at_token_end
        may_choose, is_plain = eng.chooses, self.is_plain
        asynchronous, fresh = self.asynchronous, self.fresh
        while (index := self._next_index()) is not None:
            obj = objects[index]
            set_token_pos(state, index)
            if not fresh:
                state.callback_pos[:] = self.starts_at or state.callback_pos
            else:
                state.callback_pos[:] = FIRST_TASK
                eng.extra_data.pop(FRAMES, None)
                eng.live = None
            if self.recorder is not None:
                yield from self._record("token_begins", obj, fresh)
            fresh = True
            try:
                if is_plain:
                    definition = (not may_choose and callbacks.only) or self._choose(obj)
                    eng.definition = definition
                    yield from walk(definition, obj, eng, None)
                else:
                    yield from self._token(obj)
                if calls:
                    yield from self._wind_up(calls)
            except Exception as error:
                yield from self._left(obj, error)
            except BaseException as error:
                yield from self._wind_up(calls)
                if not isinstance(error, Unrecorded):
                    yield from self._record("token_ended", obj, None, error)
                raise
            if asynchronous:
                yield _turn()
        set_token_pos(state, min(state.token_pos, len(objects) - 1))

    def _next_index(self) -> int | None:
        """Return which token comes next, or None after the last."""
        objects = self.objects
        index: int = self.eng.state.token_pos + 1
        if self.recorder is not None:
            wanted = self.recorder.next_token(index)
            if wanted is None:
                return None
            index = wanted
        if index < len(objects):
            return index
        return index if isinstance(objects, TokenStream) and objects.reaches(index) else None

    def _token(self, obj: Any) -> Process:
        """Run one token with all that may be around it."""
        eng, hooks = self.eng, self.hooks
        eng.definition = None
        self._send_of_token(signals.token_started, obj=obj)
        if hooks.before_object:
            yield from settle(hooks.before_object(eng, self.objects, obj))
        eng.definition = definition = self._choose(obj)
        if hooks.before_callbacks:
            yield from settle(hooks.before_callbacks(eng, definition, obj))
        if eng.overrides("run_callbacks"):
            yield from settle(eng.run_callbacks(definition, self.objects, obj))
        else:
            yield from self.walk(definition, obj)
        yield from self._wind_up(self.at_token_end)
        if hooks.after_callbacks:
            yield from settle(hooks.after_callbacks(eng, definition, obj))
        if hooks.after_object:
            yield from settle(hooks.after_object(eng, self.objects, obj))
        yield from self._record("token_ended", obj, TokenOutcome.COMPLETED, None)
        self._send_of_token(signals.token_finished, obj=obj, outcome=TokenOutcome.COMPLETED)

    def _choose(self, obj: Any) -> Definition:
        self.eng.definition = None
        definition: Definition = self.eng.definition_for(obj)
        if not definition and self.eng.parent is None:  # a branch may be empty
            raise WorkflowDefinitionError(
                f"there is nothing to run for token {self.eng.state.token_pos}: "
                "callback_chooser returned no task"
            )
        return definition

    def walk(self, definition: Definition, obj: Any) -> Process:
        """Run a definition for one token, watched if there is somebody to watch."""
        if self.recorder is not None:
            return walk(definition, obj, self.eng, self._record_visit)
        return walk(definition, obj, self.eng, self._visit if self.is_watched else None)

    def _record_visit(self, task: Any, obj: Any) -> Process:
        """Run one task, and tell the recorder when it begins and what came of it."""
        yield from self._record("task_begins", task, obj)
        result, failure = None, None
        try:
            result = yield from self._visit(task, obj)
        except BaseException as error:
            failure = error
            raise
        finally:
            yield from self._record("task_ended", task, obj, result, failure)
        return result

    def _visit(self, task: Any, obj: Any) -> Process:
        """Run one task with all that may be around it."""
        eng, hooks = self.eng, self.hooks
        transition, is_finished = None, False
        try:
            if hooks.before_each_callback:
                yield from settle(hooks.before_each_callback(eng, task, obj))
            self._send(signals.task_started, obj=obj, callback=task)
            if self.executes:
                result = yield from self._execute(task, obj)
            else:
                result = task(obj, eng)
                if hasattr(result, "__await__"):
                    result = yield result
            if eng.interrupts:
                refuse_swallowed(eng.interrupts, eng)
            transition = result if isinstance(result, WorkflowTransition) else None
            is_finished = True
        except WorkflowTransition as raised:
            transition, is_finished = raised, True
            raise
        except Exception as error:
            self._send(signals.task_failed, obj=obj, callback=task, error=error)
            raise
        else:
            return result
        finally:
            if is_finished:
                self._tell_end_of_task(task, obj, transition)
            if hooks.after_each_callback:
                yield from settle(hooks.after_each_callback(eng, task, obj))

    def _tell_end_of_task(self, task: Any, obj: Any, transition: WorkflowTransition | None) -> None:
        """Send that a task has finished; or failed, where a TRY has caught what it raised."""
        if isinstance(transition, AskAgain):
            self._send(signals.task_failed, obj=obj, callback=task, error=transition.failure)
        else:
            self._send(signals.task_finished, obj=obj, callback=task, transition=transition)

    def _execute(self, task: Any, obj: Any) -> Process:
        """Run a task through ``execute_callback``, which may return what the task did, or not."""
        recorded = _Recorded(task)
        result = yield from settle(self.eng.execute_callback(recorded, obj))
        if result is None:
            result = yield from settle(recorded.result)
        return result

    def _left(self, obj: Any, error: Exception) -> Process:
        """Do what has to be done when an exception has left a token's tasks or hooks."""
        eng = self.eng
        if is_superseded(eng.interrupts):
            yield from self._wind_up(self.at_token_end)
            raise error
        forget_raised(eng.interrupts)
        try:
            yield from self._wind_up(self.at_token_end)
        except Exception as later:
            later.__context__, error = error, later
        if is_failure(error):
            eng.note_position(error)
            eng.log.debug("%s failed", eng.position_text(), exc_info=error)
        outcome = outcome_of(error)
        yield from self._record("token_ended", obj, outcome, error)
        try:
            yield from self._handle(obj, error)
        finally:
            if outcome is TokenOutcome.HALTED:
                self._signal("workflow_halted", obj=obj, error=error)
            elif outcome is TokenOutcome.FAILED:
                self._signal("workflow_error", obj=obj, error=error)
            self._send_of_token(signals.token_finished, obj=obj, outcome=outcome)

    def _handle(self, obj: Any, error: Exception) -> Process:
        """Do what the handler of an exception says: go on, end the run, or let it out."""
        handler = handler_of(error, self.hooks.transition_exception_mapper)
        try:
            yield from settle(handler(obj, self.eng, self.eng.definition, error))
        except Continue:
            pass
        except Break:
            raise
        except Exception as leaving:
            if self._stops_on(leaving):
                raise

    def _stops_on(self, error: Exception) -> bool:
        return self.stop_on_halt if isinstance(error, HaltProcessing) else self.stop_on_error

    def _wind_up(self, calls: list[Callable[[], Any]]) -> Process:
        errors = []
        while calls:
            try:
                yield from settle(calls.pop()())
            except Exception as error:
                errors.append(error)
        if errors:
            raise together("several calls deferred to this end failed", errors)

    def _record(self, step: str, *details: Any) -> Process:
        """Tell the recorder of a step, unless the run is superseded by one inside of it."""
        if self.recorder is None or is_superseded(self.eng.interrupts):
            return None
        try:
            told = getattr(self.recorder, step)(*details)
            return (yield told) if hasattr(told, "__await__") else told
        except NotStorableError:
            raise
        except StoreError as error:
            raise Unrecorded(error) from error

    def _signal(self, name: str, **context: Any) -> None:
        if self.eng.parent is None:  # a branch is part of its parent's run
            getattr(unwrapped(self.eng.signal), name)(self.eng, **context)

    def _send_of_token(self, signal: Any, **context: Any) -> None:
        if self.eng.parent is None:
            self._send(signal, **context)

    def _send(self, signal: Any, **context: Any) -> None:
        if signal.receivers:
            signal.send(self.eng, **context)


class Unrecorded(BaseException):
    """Carries what a recorder raised past everything that deals with tasks' own exceptions."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


class _Recorded:
    """A task that remembers what it returned.

    An ``execute_callback`` that somebody overrode may call the task and return nothing; what the
    task handed to the engine must not be lost.
    """

    def __init__(self, task: Callable[..., Any]) -> None:
        update_wrapper(self, task)
        self._task = task
        self.result: Any = None

    def __call__(self, obj: Any, eng: Any) -> Any:
        result = self._task(obj, eng)
        self.result = self._awaited(result) if hasattr(result, "__await__") else result
        return self.result

    async def _awaited(self, result: Any) -> Any:
        self.result = await result
        return self.result


def is_failure(error: BaseException) -> bool:
    """Return whether an exception reports a fault, and does not steer the run."""
    return not isinstance(error, WorkflowTransition | Break | Continue)


def outcome_of(error: Exception) -> TokenOutcome:
    """Return how a token leaves the engine that raised this."""
    if isinstance(error, HaltProcessing):
        return TokenOutcome.HALTED
    if isinstance(error, JumpToken):
        return TokenOutcome.JUMPED
    if isinstance(error, StopProcessing | AbortProcessing | Break):
        return TokenOutcome.STOPPED
    return TokenOutcome.FAILED if is_failure(error) else TokenOutcome.SKIPPED


async def _turn() -> None:
    """Give the other tasks of the event loop their turn."""
    import asyncio

    await asyncio.sleep(0)
