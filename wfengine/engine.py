"""The engine: pushes tokens through a definition, and knows where it stands.

Re-exports the kernel's public names, as the Workflow manual imports them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from copy import copy
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, NoReturn, Self

from wfengine.callbacks import ALL, Callbacks, Definition, clean, task_name
from wfengine.deprecated import DeprecatedSpellings, callbacks_by_feature
from wfengine.errors import (
    AbortProcessing,
    BreakFromThisLoop,
    ContinueNextToken,
    HaltProcessing,
    JumpCall,
    JumpToken,
    SkipToken,
    StopProcessing,
    StopRequested,
    WorkflowAPIError,
    WorkflowDefinitionError,
    WorkflowTransition,
)
from wfengine.extension import (
    ActionMapper,
    Break,
    Continue,
    ProcessingFactory,
    TransitionActions,
    unwrapped,
)
from wfengine.frames import FRAMES, Live, drop_inner
from wfengine.interpreter import (
    Crank,
    Interrupts,
    LoopIsRunning,
    Process,
    Request,
    Superseded,
    drive,
    drive_async,
)
from wfengine.recorder import Recorder
from wfengine.run import Run
from wfengine.signals import Signal
from wfengine.state import MachineState
from wfengine.tokens import as_tokens

if TYPE_CHECKING:
    import logging

__all__ = [
    "ActionMapper",
    "BranchFailure",
    "Break",
    "Callbacks",
    "Continue",
    "GenericWorkflowEngine",
    "MachineState",
    "ProcessingFactory",
    "Signal",
    "TransitionActions",
]

Point = Literal["prev", "current", "next", "first"]

OFFSETS = {"prev": -1, "current": 0, "next": 1, "first": None}


class BranchFailure(NamedTuple):
    """Something that came out of a branch nobody waits for.

    :param branch: the branch's name.
    :param token_pos: the token it ran for.
    :param error: the exception, a halt included.
    """

    branch: str
    token_pos: int
    error: BaseException


class GenericWorkflowEngine(DeprecatedSpellings):
    """Pushes tokens, one after the other, through nested lists of tasks ``task(obj, eng)``.

    One engine belongs to one thread at a time; two engines share nothing.

    >>> engine = GenericWorkflowEngine()
    >>> engine.callbacks.replace([lambda obj, eng: obj.append(len(obj))])
    >>> tokens = [[], [0]]
    >>> engine.process(tokens)
    >>> tokens
    [[0], [0, 1]]
    """

    processing_factory: Any = ProcessingFactory
    """What is done around a run and its tokens: a class, or a (static) method that returns one."""

    signal: Any = Signal
    """What sends the signals of a run."""

    kept_tokens: ClassVar[int] = 16
    """How many tokens read from an iterator are held, so that one can jump back to them."""

    decision: Any = None
    """What was decided about a halted token, where the engine knows; see ``DbWorkflowEngine``."""

    passes_halts = False
    """Whether what halted inside of a task goes on after the halt, when the task is run again."""

    recorder: Recorder | None = None
    """Who writes down how far a run has come, if anybody does."""

    def __init__(self) -> None:
        self.callbacks = Callbacks()
        self.state = MachineState()
        self.objects: Sequence[Any] = []
        self.extra_data: dict[str, Any] = {}
        self.log = self.init_logger()
        self.initial_run = True
        self.parent: GenericWorkflowEngine | None = None
        """The engine that this one runs a branch for, if any."""
        self._detach()

    def _detach(self) -> None:
        self.definition: Definition | None = None
        """The definition that the current token goes through."""
        self.live: Live | None = None
        """For patterns: what the innermost of them has at hand."""
        self.interrupts: Interrupts = []
        self._run: Run | None = None
        self.has_completed = False
        """Whether the last run came to its end, by itself or by a stop, and not by a halt."""
        self.children: list[GenericWorkflowEngine] = []
        """The engines of the branches that are running."""
        self.awaited: Sequence[Any] = ()
        """The branches that its task does nothing but wait for; each can tell whether it is over,
        and what it waits for itself."""
        self.failed_branches: list[BranchFailure] = []
        """What happened in branches that nobody waits for."""

    def init_logger(self) -> logging.Logger:
        """Return the logger of this engine; override it to use another."""
        import logging

        return logging.getLogger("wfengine")

    # Running

    def process(
        self,
        objects: Iterable[Any],
        stop_on_error: bool = True,
        stop_on_halt: bool = True,
        initial_run: bool = True,
        reset_state: bool = True,
    ) -> None:
        """Push tokens through the definition.

        :param objects: the tokens: any sequence, or an iterator, which is read lazily.
        :param stop_on_error: whether an exception ends the run; else it goes on with the next
            token.
        :param stop_on_halt: the same for a halt.
        :param initial_run: False when a run is taken up again; kept as ``eng.initial_run``.
        :param reset_state: False to start at ``eng.state``: ``token_pos`` is moved on before a
            token is taken, and ``callback_pos`` says where the first one starts.
        :raises HaltProcessing: when a task halted, the position kept.
        :raises WorkflowDefinitionError: when there is nothing that can be run.
        :raises WorkflowAPIError: when ``objects`` is no collection of tokens.
        :raises Exception: what a task raised and no handler dealt with.
        """
        drive(self._process(objects, stop_on_error, stop_on_halt, initial_run, reset_state))

    def crank(self, objects: Iterable[Any], reset_state: bool = True) -> Crank:
        """Do as :meth:`process`, a piece at a time, for whoever turns the crank, in any thread.

        It gives way where a task hands over a :class:`~wfengine.interpreter.Wait`.
        """
        return Crank(self._process(objects, True, True, True, reset_state), self._is_turned_here)

    def _is_turned_here(self) -> None:
        if self._run is not None:
            self._run.thread = get_ident()

    async def process_async(
        self,
        objects: Iterable[Any],
        stop_on_error: bool = True,
        stop_on_halt: bool = True,
        initial_run: bool = True,
        reset_state: bool = True,
    ) -> None:
        """Do as :meth:`process`, awaiting in the running event loop what tasks and hooks return."""
        import asyncio

        owner = asyncio.current_task()
        await drive_async(
            self._process(objects, stop_on_error, stop_on_halt, initial_run, reset_state, owner)
        )

    def restart(
        self,
        obj: Point,
        task: Point,
        objects: Iterable[Any] | None = None,
        stop_on_error: bool = True,
        stop_on_halt: bool = True,
    ) -> None:
        """Go on at a token and a task given relative to the position.

        A task may call it too: the new run then takes the place of the one that it is in.

        :param obj: ``prev``, ``current``, ``next`` or ``first`` token.
        :param task: ``prev``, ``current`` or ``next`` task in the list where the engine stands,
            or ``first`` of the definition.
        :param objects: tokens, where they are not the same as before.
        :raises WorkflowAPIError: for any other point, or when there are no tokens.
        """
        drive(self._restart(obj, task, objects, stop_on_error, stop_on_halt))

    async def restart_async(
        self,
        obj: Point,
        task: Point,
        objects: Iterable[Any] | None = None,
        stop_on_error: bool = True,
        stop_on_halt: bool = True,
    ) -> None:
        """Do as :meth:`restart`, awaiting in the running event loop what has to be awaited."""
        import asyncio

        owner = asyncio.current_task()
        await drive_async(self._restart(obj, task, objects, stop_on_error, stop_on_halt, owner))

    def run_callbacks(
        self, callbacks: Any, objects: Sequence[Any], obj: Any, indent: int = 0
    ) -> Any:
        """Run the tasks of one token, from ``state.callback_pos`` on.

        The engine calls this for each token only where a subclass overrides it. Under
        :meth:`process_async` it returns an awaitable, which an override has to return or await.

        :param indent: always 0; nested lists are gone through without recursion.
        """
        if indent:
            raise WorkflowAPIError(f"run_callbacks starts at the outermost list, not at {indent}")
        run = self._run or Run(self, objects)
        steps = run.walk(Callbacks.cleanup_callables(callbacks), obj)
        return drive_async(steps) if run.asynchronous else drive(steps)

    def execute_callback(self, callback: Any, obj: Any) -> Any:
        """Run one task and return what it returned.

        The engine calls this for each task only where a subclass overrides it, for instance to
        log. An override need not return anything: what the task handed over is not lost.
        """
        return callback(obj, self)

    def callback_chooser(self, obj: Any) -> Any:
        """Return the definition for a token; override it to have several kinds of token."""
        return callbacks_by_feature(self, obj) or self.callbacks.get(ALL)

    def definition_for(self, obj: Any) -> Definition:
        """Return what :meth:`callback_chooser` chooses for a token, ready to run; it may be empty.

        A branch has one definition for all its tokens.

        :raises WorkflowDefinitionError: for something that is no task, naming it and its path.
        """
        chosen = self.callbacks.get(ALL) if self.parent is not None else self.callback_chooser(obj)
        is_task = callable(chosen) and not isinstance(chosen, list)
        return clean([chosen] if is_task else chosen or [])

    def defer(self, call: Callable[[], Any], until: Literal["token", "run"] = "token") -> None:
        """Have something called when the current token's tasks, or the run, come to an end.

        It is called however they end, the last deferred first, and awaited if need be.

        :raises WorkflowAPIError: outside a run.
        """
        if self._run is None:
            raise WorkflowAPIError("defer() is for tasks: there is no run whose end to wait for")
        run = self._run
        ends = {"token": run.at_token_end, "run": run.at_run_end}
        if until not in ends:
            raise WorkflowAPIError(f"one can defer until 'token' or 'run', not {until!r}")
        ends[until].append(call)

    def child(self, callbacks: Any) -> GenericWorkflowEngine:
        """Return an engine for a branch: of the same class, with its own position.

        It shares the definition of hooks around each task, starts with a copy of ``extra_data``,
        and is part of this engine's run: hooks and signals around runs and tokens stay with the
        parent, and what the branch raises comes out of its ``process``.
        """
        child = copy(self)
        child.parent = self
        child._detach()
        child.state = MachineState()
        child.extra_data = self.extra_data.copy()
        child.extra_data.pop(FRAMES, None)
        child.objects = []
        child.callbacks = Callbacks()
        child.callbacks.replace(callbacks)
        return child

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def waits_for(self) -> list[Any] | None:
        """Return the branches that are under way while it waits for some; None if it goes on."""
        pending = [branch for branch in self.awaited if not branch.is_over]
        return [*pending, *self.children] if pending else None

    def branch_begins(self, branch: Any) -> None:
        """Look at a branch before it begins; this engine is that of the branch.

        Its ``memory``, how far it has come, and its ``tokens`` may be replaced.

        :param branch: a ``BranchRun`` of :mod:`wfengine.patterns`.
        """

    def branch_rests(self) -> None:
        """Hold nothing, because the branch of this engine is not to begin yet, or at all."""

    def branch_mark(self) -> str:
        """Return what tells the branches of this visit to the current task from all others.

        It is nothing where nobody keeps them but their pattern.
        """
        return ""

    def begun_branches(self, mark: str) -> dict[int, dict[str, Any]]:
        """Return the memories of the branches that have been begun under a mark, by their numbers.

        One that is ``done`` has nothing left to do, of one that ``failed`` the task that did will
        be run again, and ``again`` is how often it has been begun anew.
        """
        return {}

    def branch_joined(self, branch: Any) -> None:
        """Do what is to be done when its pattern takes over what a branch has done."""

    def branch_failed(self, branch: str, token_pos: int, obj: Any, error: BaseException) -> None:
        """Log, signal and keep what came out of a branch that nobody waits for.

        It is the outermost engine that does so; in the branch's thread.
        """
        if self.parent is not None:
            self.parent.branch_failed(branch, token_pos, obj, error)
            return
        self.keep_branch_failure(branch, token_pos, error)
        signal = unwrapped(self.signal)
        if isinstance(error, HaltProcessing):
            self.log.warning("branch %s of token %d halted: %s", branch, token_pos, error)
            signal.workflow_halted(self, obj=obj, error=error)
        else:
            self.log.error("branch %s of token %d failed", branch, token_pos, exc_info=error)
            signal.workflow_error(self, obj=obj, error=error)

    def keep_branch_failure(self, branch: str, token_pos: int, error: BaseException) -> None:
        """Keep what came out of a branch in ``failed_branches`` of the outermost engine."""
        if self.parent is not None:
            self.parent.keep_branch_failure(branch, token_pos, error)
        else:
            self.failed_branches.append(BranchFailure(branch, token_pos, error))

    # Transitions

    def stop(self) -> NoReturn:
        """End the run; ``after_processing`` is called."""
        self._raise(StopProcessing())

    def abort(self) -> NoReturn:
        """End the run without saving the current token."""
        self._raise(AbortProcessing())

    def halt(self, msg: str = "", action: str | None = None, payload: Any = None) -> NoReturn:
        """Halt the run, and any run it is a branch of, with its position kept.

        :param msg: why.
        :param action: the name of what has to be done or decided.
        :param payload: whatever the decision needs.
        """
        self._raise(HaltProcessing(msg, action, payload))

    def continue_next_token(self) -> NoReturn:
        """Go on with the next token."""
        self._raise(ContinueNextToken())

    def skip_token(self) -> NoReturn:
        """Go on with the next token without saving the current one."""
        self._raise(SkipToken())

    def jump_token(self, offset: int) -> NoReturn:
        """Go on with the token that is ``offset`` away; past the last, the run ends."""
        self._raise(JumpToken(offset))

    def jump_call(self, offset: int, levels: int = 0) -> NoReturn:
        """Go on with the task that is ``offset`` away in the innermost list.

        1 is the next task, 0 the same one again, -1 the one before. Before the first means the
        first; past the last leaves the list.

        :param levels: how many lists to leave first.
        """
        self._raise(JumpCall(offset, levels))

    def break_current_loop(self, levels: int = 1) -> NoReturn:
        """Leave the innermost list, or several; leaving the outermost completes the token."""
        self._raise(BreakFromThisLoop(levels))

    def _raise(self, transition: WorkflowTransition) -> NoReturn:
        if self._run is not None and self._run.thread == get_ident():
            self.interrupts.append(transition)
        raise transition

    def interrupt(self, transition: WorkflowTransition | None = None) -> None:
        """Ask the engine, from another thread or a signal handler, to take a transition.

        It does so before the next task, with the position at that task; by default it stops, and
        can go on there. Branches that its current task runs are asked too.
        """
        request = transition or StopRequested()
        self.interrupts.append(Request(request))
        for child in tuple(self.children):
            child.interrupt(request)

    # Looking

    @property
    def current_object(self) -> Any:
        """The current token, or None outside of the tokens."""
        pos = self.state.token_pos
        return self.objects[pos] if 0 <= pos < len(self.objects) else None

    @property
    def current_taskname(self) -> str | None:
        """The name of the task at the current position, or None where there is none."""
        found = self.definition.at(self.state.callback_pos) if self.definition else None
        return None if found is None else task_name(found)

    @property
    def is_asynchronous(self) -> bool:
        """Whether the engine is running under ``process_async`` or ``restart_async``."""
        return self._run is not None and self._run.asynchronous

    def position_text(self) -> str:
        """Return the position as a person would say it."""
        name, pos = self.current_taskname, self.state.callback_pos
        task = f", task {name!r} at {pos}" if name else ""
        return f"token {self.state.token_pos}{task}"

    def note_position(self, error: Exception) -> None:
        """Write the position onto an exception, where a traceback shows it."""
        note = f"wfengine: at {self.position_text()}"
        if note not in getattr(error, "__notes__", ()):
            with suppress(Exception):  # some exceptions cannot be written to
                error.add_note(note)

    def overrides(self, name: str) -> bool:
        """Return whether somebody replaced the method ``name`` of this class."""
        own = getattr(getattr(self, name), "__func__", None)
        return own is not getattr(GenericWorkflowEngine, name)

    @property
    def chooses(self) -> bool:
        """Whether a :meth:`callback_chooser` of a subclass's chooses the definition of a token."""
        return self.parent is None and self.overrides("callback_chooser")

    def __len__(self) -> int:
        return len(self.objects)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.position_text()}>"

    # Inside

    def _process(
        self,
        objects: Iterable[Any],
        stop_on_error: bool,
        stop_on_halt: bool,
        initial_run: bool,
        reset_state: bool,
        owner: Any = None,
    ) -> Process:
        run = self._prepare(objects, stop_on_error, stop_on_halt, owner)
        self.initial_run = initial_run
        if reset_state:
            self.state.reset()
        run.fresh = reset_state or self._is_past_the_end()
        return self._in_run(run)

    def _restart(
        self,
        obj: Point,
        task: Point,
        objects: Iterable[Any] | None,
        stop_on_error: bool,
        stop_on_halt: bool,
        owner: Any = None,
    ) -> Process:
        token_offset, task_offset = _offset(obj, "obj"), _offset(task, "task")
        if objects is None and self.state.token_pos < 0 and not len(self.objects):
            raise WorkflowAPIError("nothing to restart: call process() first, or pass objects=")
        objects = self.objects if objects is None else objects
        run = self._prepare(objects, stop_on_error, stop_on_halt, owner)
        self.initial_run = False
        state, current = self.state, max(self.state.token_pos, 0)
        target = 0 if token_offset is None else max(current + token_offset, 0)
        run.fresh = task_offset is None
        if task_offset == 1 and self._is_past_the_end():
            task_offset = 0
        if task_offset is not None:
            *around, index = state.callback_pos
            run.starts_at = [*around, max(index + task_offset, 0)]
        if target != current:
            self.extra_data.pop(FRAMES, None)
        elif task_offset:
            drop_inner(self)
        state.token_pos = target - 1
        return self._in_run(run)

    def _is_past_the_end(self) -> bool:
        """Whether the position says that the current token's tasks have come to their end."""
        return self.definition is not None and self.state.callback_pos == [len(self.definition)]

    def _prepare(
        self, objects: Iterable[Any], stop_on_error: bool, stop_on_halt: bool, owner: Any
    ) -> Run:
        """Check everything that can be checked before anything is changed."""
        outer = self._run
        if outer is not None and not outer.is_owned_by(owner):
            raise WorkflowAPIError(
                "this engine is running already, in another thread or asyncio task; "
                "use an engine for each"
            )
        if self.parent is None and self.callbacks.empty() and not self.chooses:
            raise WorkflowDefinitionError(
                "the definition is empty: set it with eng.callbacks.replace([...])"
            )
        tokens = as_tokens(objects, self.kept_tokens)
        around = None if self.parent is None else self.parent._run
        return Run(self, tokens, stop_on_error, stop_on_halt, owner, outer, around)

    def _in_run(self, run: Run) -> Process:
        self._run, self.objects, self.has_completed = run, run.objects, False
        self.live = None
        if self.parent is not None:
            self.parent.children.append(self)
            if self.parent.interrupts:
                self.interrupts += [e for e in self.parent.interrupts if isinstance(e, Request)]
        try:
            yield from run.steps()
        except Superseded:
            pass
        except LoopIsRunning:
            if self.parent is not None:
                raise
            raise self._cannot_await() from None
        finally:
            if self.parent is not None:
                self.parent.children.remove(self)
            self._run = run.outer
            self.interrupts.clear()
            if run.outer is not None:
                self.interrupts.append(Superseded())

    def _cannot_await(self) -> WorkflowAPIError:
        """Return what is said when a task has to be awaited, and nothing here can do so."""
        error = WorkflowAPIError(
            "a task has to be awaited, and process() or restart() was called inside a running "
            "event loop: write 'await eng.process_async(...)' or 'await eng.restart_async(...)'"
        )
        self.note_position(error)
        return error


def _offset(point: str, name: str) -> int | None:
    try:
        return OFFSETS[point]
    except (KeyError, TypeError):
        known = ", ".join(map(repr, OFFSETS))
        raise WorkflowAPIError(f"restart's {name} is one of {known}, not {point!r}") from None
