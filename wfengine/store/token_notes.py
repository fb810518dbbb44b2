"""A token on its way: where it stands, what each task did to it, and how it leaves.

What it did is written when the next task is about to begin, since only then it is known where the
engine goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from attrs import define, field

from wfengine.callbacks import Definition, task_name
from wfengine.errors import (
    AbortProcessing,
    NotStorableError,
    SkipToken,
    StopRequested,
    WorkflowTransition,
)
from wfengine.frames import FRAMES, has_begun
from wfengine.interpreter import AskAgain
from wfengine.signals import TokenOutcome
from wfengine.state import FIRST_TASK
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.changes import diff
from wfengine.store.checkpoints import Checkpoint
from wfengine.store.columns import storable_text
from wfengine.store.failures import describe_error, failure_of
from wfengine.store.memory import mark, recall, remembered
from wfengine.store.pages import Pages
from wfengine.store.passes import Halts, Start
from wfengine.store.records import TokenRecord, path_text
from wfengine.store.serialization import Types, text_of
from wfengine.store.steps import (
    BROKEN_OFF,
    DOCUMENTS,
    DONE,
    FAILED,
    HALTED,
    RETRIED,
    halt_of,
    outcome_of_error,
    row_of,
    what_came,
)

if TYPE_CHECKING:
    from wfengine.store.journal import Journal

__all__ = ["WAITING", "TokenNotes", "has_halted"]

WAITING = "waiting"
"""The outcome of a token that is halted because a branch that it waits for is."""

URGENT = frozenset({TokenOutcome.HALTED, TokenOutcome.FAILED, TokenOutcome.STOPPED})
"""What is written at once, however seldom the run is written down."""

RESUMABLE = frozenset({ObjectStatus.HALTED, ObjectStatus.ERROR, ObjectStatus.RUNNING})


def has_halted(token: TokenRecord) -> bool:
    """Return whether a token is halted itself, and not because a branch of it is."""
    return token.status is ObjectStatus.HALTED and token.outcome != WAITING


@define(eq=False)
class TokenNotes(Pages):
    """Notes what becomes of the current token."""

    halts: Halts = field(init=False, default=Halts.REPEAT)
    token: Any = field(init=False, default=None)
    decision: Any = field(init=False, default=None)
    branches: list[Journal] = field(init=False, factory=list)
    """Those that the current token waits for at its end."""
    _is_decided_inside: bool = field(init=False, default=False)
    _was_waiting: bool = field(init=False, default=False)
    _visit: int = field(init=False, default=0)
    _started: float = field(init=False, default=0.0)
    _memory: str | None = field(init=False, default=None)
    _text_before: str = field(init=False, default="")
    _plain: tuple[str, Any] = field(init=False, default=("", None))
    """The text that a token's data was noted as last, and what it says."""
    _task: Any = field(init=False, default=None)
    _has_halted: bool = field(init=False, default=False)
    """Whether the last task has halted itself."""
    _is_unplaced: bool = field(init=False, default=False)
    """Whether a task has ended and it is not known yet where the engine goes on."""
    _is_stopped: bool = field(init=False, default=False)
    _names: dict[Any, str] = field(init=False, factory=dict)

    def token_begins(self, obj: Any, is_fresh: bool) -> Any:
        """Stand where the token is to start, with its data as stored."""
        index = self.eng.state.token_pos
        is_where_it_stood = index == self.passing.cursor
        if self.passing.is_whole:
            self.passing.cursor = index
        self.decision, self.branches = None, []
        self._was_waiting = self._is_decided_inside = self._has_halted = False
        self.token = token = self.tokens.record(index)
        start = self.passing.take_start()
        if start is not None and not start.is_fresh:
            self._take_up(obj, token, start)
        elif is_fresh or start is not None:
            self._start_anew(token)
        else:
            self._visit = token.visits[-1] + 1
            if is_where_it_stood:
                self.eng.adopt_branches(token.id)
        if self._pending.steps and self.policy.is_due_at_task:  # those of a token that was left
            self._write_now()

    def _start_anew(self, token: TokenRecord) -> None:
        """Start at the first task; of one that had been begun before, that is written down."""
        self.eng.state.callback_pos[:] = FIRST_TASK
        self.eng.extra_data.pop(FRAMES, None)
        self.eng.live = None
        self._visit = token.visits[-1]
        if token.status is not ObjectStatus.INITIAL:
            self._visit += 1
            token.path, token.visits, token.memory, token.attempts = "0", [self._visit], None, 0
            self._pending.begin_again(token, self.store.clock())

    @property
    def halts_inside(self) -> Halts:
        """What is done about halts inside of the current task: none is passed that nobody saw."""
        is_told = self._was_waiting and not self._is_decided_inside
        if self.halts is Halts.PASS and not is_told:
            return Halts.WAIT
        return self.halts

    def restore(self, obj: Any, token: TokenRecord) -> bool:
        """Make an object what is stored of a token; return whether it could be made so."""
        try:
            differs = self.types.dumps(obj) != token.text
        except NotStorableError:  # the task that failed has spoilt it
            differs = True
        token.is_dirty = False
        return not differs or self.types.put_into(obj, token.value(self.types))

    def _take_up(self, obj: Any, token: TokenRecord, start: Start) -> None:
        eng, position = self.eng, token.position
        passes_halt = start.passes_halt and has_halted(token)
        after = int(passes_halt and eng.definition_for(obj).at(position) is not None)
        eng.state.callback_pos[:] = [*position[:-1], position[-1] + after]
        self._visit = token.visits[-1] + after
        self._was_waiting = token.outcome == WAITING
        memory, decided = recall(token, self.types)
        if memory["frames"]:
            eng.extra_data[FRAMES] = memory["frames"]
            eng.extra_data.update(memory["scope"])
        self.decision = decided.get("decision")
        self._is_decided_inside = bool(decided.get("inside"))
        if passes_halt:  # from now on nobody can decide any more
            self._place(token.memory)
            self._pending.advance(token, self.store.clock())
            self._write_now()
        if token.steps:
            eng.adopt_branches(token.id)

    def token_ended(self, obj: Any, outcome: Any, error: BaseException | None) -> Any:
        """Write down how a token left."""
        if self.token is None:
            return None
        is_unplaced, self._is_unplaced = self._is_unplaced, False
        self._extra_now = None
        if isinstance(error, StopRequested):
            self._is_stopped = True
            self._writes.drop()
            self._stand_still()
        elif outcome is None:
            self._break_off(is_unplaced)
        elif outcome is TokenOutcome.FAILED:
            self._fail(error)
        elif outcome is TokenOutcome.HALTED:
            self._halt(obj, error)
        else:
            self._complete(obj, outcome, error)
        if outcome is TokenOutcome.JUMPED:  # written when it is known where to
            return None
        is_due = outcome is None or outcome in URGENT
        if not is_due and self._ends_branch():
            return None
        if is_due or self.policy.is_due(self._pending, self.store.clock()):
            return self._later(self._write_token)
        return None

    def _ends_branch(self) -> bool:
        """Return whether a branch ends with this token: then both are written together."""
        return (
            self.run.root_id is not None
            and self.passing.is_whole
            and self.tokens.is_complete
            and self.eng.state.token_pos + 1 == len(self.tokens)
        )

    def _break_off(self, is_unplaced: bool) -> None:
        """Stand where the task was broken off; or, after it, as if it had not been run."""
        self._writes.drop()
        if is_unplaced:
            self._pending = Checkpoint()
            self.writer.roll_back()
            self.token.is_dirty = True
            self.tokens.forget()
        else:
            self._stand_still()

    def _complete(self, obj: Any, outcome: Any, error: BaseException | None) -> None:
        if isinstance(error, SkipToken | AbortProcessing):
            self.token.is_dirty = True
        else:
            self._note_data(obj)
        self._leave(ObjectStatus.COMPLETED, outcome.value)

    def _halt(self, obj: Any, error: Any) -> None:
        waits = self._waits_for_branches()
        if waits and self.eng.state.callback_pos != [len(self.eng.definition)]:
            self._undo_last_step()  # by which the token was to be left: it is run again
        else:
            self._note_data(obj)
        is_inside = has_begun(self.eng)
        if is_inside:  # the branch that has halted does not know of what was joined just now
            self._pending.joined.clear()
        outcome = WAITING if waits or is_inside else TokenOutcome.HALTED.value
        self._leave(ObjectStatus.HALTED, outcome, **halt_of(error, self.types))

    def _waits_for_branches(self) -> bool:
        """Return whether it is a branch that has halted, at the end of the token's own tasks."""
        halted = [b for b in self.branches if b.run.status is WorkflowStatus.HALTED]
        return bool(halted) and not self._has_halted

    def _undo_last_step(self) -> None:
        token = self.token
        if self._pending.last_step(token) is None:
            return
        self._pending.steps.pop()
        token.steps, token.text, token.is_dirty = token.steps - 1, self._text_before, True
        self._visit -= 1
        if self.policy.is_due_at_task:
            self.writer.roll_back()

    def _fail(self, error: Any) -> None:
        self._writes.drop()
        self._pending.joined.clear()  # the data that was joined is dropped, and joined again
        token = self.token
        token.is_dirty = True
        described = describe_error(error, self._task_name_at_position(), token.path)
        self._leave(
            ObjectStatus.ERROR,
            TokenOutcome.FAILED.value,
            error=DOCUMENTS.dumps(described),
            failure=failure_of(described["type"], described["task"], described["message"]),
        )

    def _stand_still(self) -> None:
        """Note the position of a token that has been stopped on its way."""
        token = self.token
        token.is_dirty = True
        self._pending.joined.clear()
        if not token.steps and token.status is ObjectStatus.INITIAL:
            return
        self._place(self._remembered())
        self._leave(ObjectStatus.RUNNING, None)

    def _leave(self, status: ObjectStatus, outcome: str | None, **details: Any) -> None:
        token = self.token
        if status is not ObjectStatus.RUNNING:
            self._place(self._remembered() if status in RESUMABLE else None)
        token.status, token.outcome = status, outcome
        if status not in (ObjectStatus.ERROR, ObjectStatus.RUNNING):
            token.decision = None
        self._pending.leave(token, self.store.clock(), details)

    def _place(self, memory: str | None) -> None:
        """Note that the token is where the engine stands.

        :param memory: what the patterns remember there.
        """
        token, position = self.token, self.eng.state.callback_pos
        token.path, token.memory = path_text(position), memory
        mark(token.visits, len(position), self._visit)

    def task_begins(self, task: Any, obj: Any) -> Any:
        """Write down what came before, now that it is known which task comes next."""
        token = self.token
        self._memory = self._remembered() if FRAMES in self.eng.extra_data else None
        self._task, self._text_before, self._is_unplaced = task, token.text, False
        self._place(self._memory)
        written = None
        if self._pending.last_step(token) is not None:
            self._pending.advance(token, self.store.clock())
            if self.policy.is_due_at_task:
                written = self._later(self._write_now)
        self._started = self.store.clock()
        return written

    def waits(self) -> None:
        """Write all that is pending, so that branches are not kept from writing."""
        if self._is_unplaced:
            if self.eng.state.callback_pos != [len(self.eng.definition)]:
                return  # a task has left the token: what it did is written with how it left
            self._place(None)
            self._pending.advance(self.token, self.store.clock())
            self._is_unplaced = False
        self.flush()

    def task_ended(self, task: Any, obj: Any, result: Any, error: BaseException | None) -> Any:
        """Add a row to the token's history.

        :raises Exception: when what the task left, or wrote, cannot be stored; it counts as failed.
        """
        self._task = None
        transition = error if error is not None else result
        if error is not None and not isinstance(error, WorkflowTransition):
            self._writes.drop()
            self._note_failure(task, error)
            return
        try:
            text = self.store.text_of_token(obj, self.token.index)
            if self.policy.is_due_at_task:
                self._extra_now = self._extra_data_text()
            status, outcome = what_came(transition, self.types)
            if not isinstance(transition, AskAgain):
                self._writes.keep()
        except Exception as problem:
            self._writes.drop()
            self._note_failure(task, problem)
            raise
        if isinstance(transition, AskAgain):
            self._writes.drop()
            self._note_step(task, RETRIED, self._outcome_of(transition.failure))
            marks = self.token.visits
            self._visit = marks[-1 - min(transition.levels, len(marks) - 1)]
        else:
            self._note_step(task, status, outcome)
            self._visit += 1
            if self.token.decision is not None and not self._leads_a_list():
                self.decision = self.token.decision = None
                self._pending.decided(self.token, self.store.clock())
        self._note_text(text)
        self._is_unplaced = True
        self._has_halted = status == HALTED

    def _leads_a_list(self) -> bool:
        """Return whether the task is part of a pattern that decides where to go on."""
        position, definition = self.eng.state.callback_pos, self.eng.definition
        around = definition.at(position[:-1])
        is_next = isinstance(around, Definition) and around.is_loop and not position[-1]
        return is_next or isinstance(definition.at(position), Definition)

    def _remembered(self) -> str | None:
        return remembered(self.eng.extra_data, self.types)

    def _note_step(self, task: Any, status: str, outcome: Any) -> None:
        times = (self._started, self.store.clock())
        row = row_of(self.token, self._name(task), status, outcome, times, self._memory)
        self._pending.step(self.token, row)

    def _note_failure(self, task: Any, error: BaseException) -> None:
        status = FAILED if isinstance(error, Exception) else BROKEN_OFF
        self._note_step(task, status, self._outcome_of(error))

    def _outcome_of(self, error: BaseException) -> dict[str, Any]:
        return outcome_of_error(error, self.run.options.get("tracebacks") is True)

    def _note_data(self, obj: Any) -> None:
        """Note what the token is now, and in the row of its last step how it was before.

        :raises NotStorableError: when it cannot be stored.
        """
        self._note_text(self.store.text_of_token(obj, self.token.index))

    def _note_text(self, text: str) -> None:
        if text == self.token.text:
            return
        step = self._pending.last_step(self.token)
        if step is None:  # a hook has changed it, and the step before is written
            self._text_before = self.token.text
            times = (self.store.clock(),) * 2
            step = row_of(self.token, "", DONE, None, times, None, event="hook")
            self._pending.step(self.token, step)
        self.token.text = text
        self._pending.data(self.token)
        known, before = self._plain
        if known != self._text_before:
            before = Types.plain(self._text_before)
        after = Types.plain(text)
        self._plain = text, after
        inverse = diff(after, before)
        step["inverse"] = None if inverse is None else text_of(inverse)

    def _name(self, task: Any) -> str:
        name = self._names.get(task) if task is not None else self._task_name_at_position()
        if name is None:
            name = self._names[task] = storable_text(task_name(task))
        return name

    def _task_name_at_position(self) -> str:
        return storable_text(self.eng.current_taskname or "")

    @property
    def idempotency_key(self) -> str:
        """A text that is the same for each attempt at this visit of the task, and no other."""
        token = self.token
        path = path_text(self.eng.state.callback_pos)
        return str(uuid5(UUID(self.run.uuid), f"{token.index}/{path}/{self._visit}"))

    def note_joined(self, branch: Journal) -> None:
        """Note that the token has from now on what a branch did to its copy."""
        self._pending.joined.append(branch.run)
