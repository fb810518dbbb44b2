"""The engine whose position, tokens and history are in a database.

There are two ways to have one. ``DbWorkflowEngine.with_name(name, store=store)`` uses a
:class:`~wfengine.store.Store`, which writes down each step. ``DbWorkflowEngine(db_obj)`` works with
an object of your own that has ``save(status)``, ``uuid``, ``name``, ``status`` and ``objects``, and
is told of each status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from wfengine.callbacks import Definition, clean
from wfengine.definitions import fingerprint
from wfengine.definitions.contents import callables_in, module_of
from wfengine.definitions.styles import compiled
from wfengine.engine import GenericWorkflowEngine
from wfengine.errors import (
    DamagedDataError,
    PositionError,
    StopRequested,
    WorkflowAPIError,
)
from wfengine.extension import ProcessingFactory, TransitionActions
from wfengine.frames import FRAMES
from wfengine.interpreter import Process, drive, drive_async
from wfengine.status import ObjectStatus, WorkflowStatus

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from wfengine.store import Store
    from wfengine.store.journal import Journal
    from wfengine.store.records import TokenRecord
    from wfengine.store.resuming import Plan

__all__ = [
    "DbProcessingFactory",
    "DbTransitionAction",
    "DbWorkflowEngine",
    "ObjectStatus",
    "WorkflowStatus",
]


def _when_done(name: str) -> Any:
    """Return a handler that saves the token as done, and then does what is usual."""
    usual = getattr(TransitionActions, name)

    def handler(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        eng.save_object(obj, ObjectStatus.COMPLETED)
        return usual(obj, eng, callbacks, e)

    handler.__name__, handler.__doc__ = name, f"Save the token as done. {usual.__doc__}"
    return staticmethod(handler)


class DbTransitionAction(TransitionActions):
    """Tells the run's and the token's own objects of a transition before it is taken."""

    StopProcessing = _when_done("StopProcessing")
    AbortProcessing = _when_done("AbortProcessing")
    ContinueNextToken = _when_done("ContinueNextToken")
    SkipToken = _when_done("SkipToken")
    JumpToken = _when_done("JumpToken")

    @staticmethod
    def HaltProcessing(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        """Save both as halted, and hand the halt to the caller."""
        eng.save_object(obj, ObjectStatus.HALTED)
        eng.save(WorkflowStatus.HALTED)
        raise e

    @staticmethod
    def StopRequested(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        """Save the run as halted, since it can go on, and end it."""
        if eng.parent is None:
            eng.save(WorkflowStatus.HALTED)
        TransitionActions.StopRequested(obj, eng, callbacks, e)

    @staticmethod
    def Exception(obj: Any, eng: Any, callbacks: Any, e: BaseException) -> Any:
        """Save both as failed, and hand the exception to the caller."""
        eng.save_object(obj, ObjectStatus.ERROR)
        eng.save(WorkflowStatus.ERROR)
        raise e


class DbProcessingFactory(ProcessingFactory):
    """Tells the run's and the tokens' own objects of each status."""

    transition_exception_mapper = DbTransitionAction

    @staticmethod
    def before_processing(eng: Any, objects: Sequence[Any]) -> Any:
        """Save the run as running."""
        eng.save(WorkflowStatus.RUNNING)

    @staticmethod
    def after_processing(eng: Any, objects: Sequence[Any]) -> Any:
        """Save the run as halted if a token is, or else as completed."""
        if not eng.is_stopped:
            eng.save(eng.status_by_objects(objects))

    @staticmethod
    def before_object(eng: Any, objects: Sequence[Any], obj: Any) -> Any:
        """Save the token as running."""
        eng.save_object(obj, ObjectStatus.RUNNING)

    @staticmethod
    def after_object(eng: Any, objects: Sequence[Any], obj: Any) -> Any:
        """Save the token as done."""
        eng.save_object(obj, ObjectStatus.COMPLETED)


class DbWorkflowEngine(GenericWorkflowEngine):
    """An engine whose runs are in a database.

    :param db_obj: an object of your own that stands for the run: ``save(status)``, ``uuid``,
        ``name``, ``status``, ``objects``.

    >>> from wfengine.store import Store
    >>> def double(token, eng):
    ...     token["n"] *= 2
    >>> with Store("sqlite://") as store:
    ...     eng = DbWorkflowEngine.with_name("doubling", store=store, definition=[double])
    ...     eng.process([{"n": 1}, {"n": 2}])
    ...     [token.data for token in eng.final_objects], eng.status.label
    ([{'n': 2}, {'n': 4}], 'Completed')
    """

    processing_factory: Any = DbProcessingFactory
    known_statuses = WorkflowStatus

    recorder: Journal | None = None
    db_obj: Any = None
    is_stopped = False
    """Whether somebody asked the last run to stop before it was over."""

    def __init__(self, db_obj: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.db_obj = db_obj

    # With a store

    @classmethod
    def with_name(
        cls,
        name: str,
        *,
        store: Store,
        definition: Any = None,
        checkpoint: str = "task",
        checkpoint_tokens: int = 1,
        checkpoint_seconds: float = 0.0,
        extra_data: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return an engine for a new run.

        :param name: what the run is called, and, unless ``definition`` is given, of a definition:
            registered, of an entry point, or ``package.module:attribute``.
        :param definition: the name of one, or the list of tasks itself.
        :param checkpoint: ``task``, ``token`` or ``halt``: how often the run is written down.
        :param checkpoint_tokens: with ``token``, so many at a time.
        :param checkpoint_seconds: with ``token``, those of so many seconds.
        :param extra_data: what ``eng.extra_data`` has from the beginning.
        :raises WorkflowDefinitionError: when there is no such definition.
        """
        from wfengine.store.policy import Policy
        from wfengine.store.resuming import check_name

        policy = Policy(checkpoint, checkpoint_tokens, checkpoint_seconds)
        check_name(name)
        target = name if definition is None else definition
        eng = cls()
        tasks = eng._use(store, target)
        options = {"definition": target if isinstance(target, str) else None, **policy.to_dict()}
        eng.extra_data.update(extra_data or {})
        eng.recorder = eng._journal(store, store.new_run(name, tasks, options, eng.extra_data))
        return eng

    @classmethod
    def from_uuid(cls, uuid: str | UUID, *, store: Store, definition: Any = None) -> Self:
        """Return an engine for a run that is in the store.

        :param definition: what it runs, where that is not registered in this process: code is not
            imported because a row names it.
        :raises UnknownRunError: when there is no such run.
        :raises WorkflowDefinitionError: when its definition is not known here.
        """
        from wfengine.store.resuming import definition_of

        run = store.run(uuid)
        eng = cls()
        eng._use(store, definition_of(store, run) if definition is None else definition)
        eng.recorder = eng._journal(store, run)
        eng._stand()
        return eng

    def _use(self, store: Store, target: Any) -> Definition:
        """Have this definition; the classes in its modules can be made from rows."""
        definitions = store.definitions
        found = definitions.find(target) if isinstance(target, str) else clean(compiled(target))
        modules = {module_of(task) for task in callables_in(found)}
        if isinstance(target, str):
            modules.update(definitions.modules(target))
        for module in modules:
            if module is not None:
                store.types.trust(module)
        self.callbacks.replace(found)
        return found

    def _journal(self, store: Store, run: Any) -> Journal:
        from wfengine.store.journal import Journal
        from wfengine.store.passes import Pass
        from wfengine.store.policy import Policy
        from wfengine.store.tokens import Tokens

        options = run.options
        try:
            policy = Policy.of(options)
        except WorkflowAPIError as error:
            raise DamagedDataError(error.message, row=f"workflow {run.id}") from error
        is_complete = options.get("is_complete", True) is not False
        tokens = Tokens(store, run.id, run.token_count, is_complete)
        return Journal(store, self, run, policy, tokens, Pass(run.token_pos))

    def _stand(self) -> None:
        """Take the position and ``extra_data`` from the store."""
        journal = self._own_journal()
        run, tokens = journal.run, journal.tokens
        self.objects = tokens
        self.extra_data = journal.stored_extra_data()
        at = run.options.get("stopped_at", run.token_pos)
        self.state.token_pos = min(at, len(tokens) - 1)
        if self.state.token_pos >= 0:
            with suppress(DamagedDataError):  # going on tells of it
                self._stand_at(tokens.record(self.state.token_pos))

    def _stand_at(self, token: TokenRecord) -> None:
        """Take the position of a token, and what patterns remember there."""
        from wfengine.store.memory import recall

        self.state.callback_pos = token.position
        memory, _ = recall(token, self.run_store.types)
        if memory["frames"]:
            self.extra_data[FRAMES] = memory["frames"]
        drifted = self._has_drifted()
        self.definition = None if drifted else self.definition_for(self.objects[token.index])

    def _own_journal(self) -> Journal:
        if self.recorder is None:
            raise WorkflowAPIError(
                "this engine has no store; get one that has from DbWorkflowEngine.with_name(name, "
                "store=store) or .from_uuid(uuid, store=store)"
            )
        return self.recorder

    @property
    def run_store(self) -> Store:
        """The store that the run is in.

        :raises WorkflowAPIError: when there is none.
        """
        return self._own_journal().store

    def _process(
        self,
        objects: Iterable[Any],
        stop_on_error: bool,
        stop_on_halt: bool,
        initial_run: bool,
        reset_state: bool,
        owner: Any = None,
    ) -> Process:
        self.is_stopped = False
        if self.parent is None:
            self.passes_halts = False
            if self.recorder is not None:
                self.recorder.expect_new(stop_on_error, stop_on_halt)
        return super()._process(
            objects, stop_on_error, stop_on_halt, initial_run, reset_state, owner
        )

    def _restart(self, *arguments: Any) -> Process:
        self.is_stopped = self.passes_halts = False
        if self.recorder is not None and self.parent is None:
            if self._has_drifted():
                raise PositionError(
                    f"the definition of run {self.uuid} has changed since its positions were "
                    "stored: eng.resume(dry_run=True) shows where they are now, and eng.resume() "
                    "goes on there",
                    id_workflow=self.uuid,
                )
            self.recorder.go_where_told()
        return super()._restart(*arguments)

    def _has_drifted(self) -> bool:
        return self._own_journal().run.fingerprint != fingerprint(self.callbacks.get())

    def resume(
        self,
        token_id: int | None = None,
        *,
        objects: Iterable[Any] | None = None,
        stop_on_error: bool | None = None,
        stop_on_halt: bool | None = None,
        renamed: Mapping[str, str] | None = None,
        dry_run: bool = False,
    ) -> Plan:
        """Go on with what can go on, each token where it was left; return what that was.

        These are a token at which the run halted or failed, and all after it; failed tokens; and
        halted ones about which a decision was made, or which need none. What is done is not run
        again.

        :param token_id: go on with this token only, whether or not it was decided on.
        :param objects: the input again, for a run whose input was not read to its end.
        :param stop_on_error: by default as the run was begun with.
        :param stop_on_halt: the same.
        :param renamed: tasks whose names have changed since, old to new.
        :param dry_run: only tell what would be done.
        :raises PositionError: when the definition has changed and a position has no place in it.
        :raises LeaseHeldError: when another process has the run.
        :raises WorkflowObjectStatusError: when there is nothing that can go on.
        """
        plan = self._plan(token_id, objects, stop_on_error, stop_on_halt, renamed, dry_run)
        if not (dry_run or plan.is_empty):
            drive(self._resume(plan))
        return plan

    async def resume_async(
        self,
        token_id: int | None = None,
        *,
        objects: Iterable[Any] | None = None,
        stop_on_error: bool | None = None,
        stop_on_halt: bool | None = None,
        renamed: Mapping[str, str] | None = None,
        dry_run: bool = False,
    ) -> Plan:
        """Do as :meth:`resume`, awaiting in the running event loop what has to be awaited."""
        import asyncio

        plan = self._plan(token_id, objects, stop_on_error, stop_on_halt, renamed, dry_run)
        if not (dry_run or plan.is_empty):
            await drive_async(self._resume(plan, asyncio.current_task()))
        return plan

    def resuming(self, token_id: int | None, owner: Any) -> Process:
        """Do as :meth:`resume`, for whoever drives it.

        :param owner: the asyncio task that does, if one does.
        """
        plan = self._plan(token_id)
        if not plan.is_empty:
            yield from self._resume(plan, owner)

    def recover(self) -> Plan:
        """Do what the owner of a run would have done, had it not died.

        Other than :meth:`resume`, it goes past no halt, and tries nothing again that has failed.
        """
        plan = self._plan(recovers=True)
        if not plan.is_empty:
            drive(self._resume(plan))
        return plan

    def _plan(
        self,
        token_id: int | None = None,
        objects: Iterable[Any] | None = None,
        stop_on_error: bool | None = None,
        stop_on_halt: bool | None = None,
        renamed: Mapping[str, str] | None = None,
        dry_run: bool = False,
        recovers: bool = False,
    ) -> Plan:
        from wfengine.store.resuming import plan

        return plan(
            self, token_id, objects, stop_on_error, stop_on_halt, renamed, dry_run, recovers
        )

    def _resume(self, plan: Plan, owner: Any = None) -> Process:
        self.is_stopped = False
        self.passes_halts = True
        journal = self._own_journal()
        run = self._prepare(journal.tokens, plan.stop_on_error, plan.stop_on_halt, owner)
        self.initial_run = False
        journal.adopts = plan.adopts
        return self._in_run(run)

    def adopt_branches(self, token_id: int | None = None) -> None:
        """Take up branches whose process died when the run had gone on past their task.

        :param token_id: those that this token waits for at its end; None for the others.
        """
        from wfengine.store.branches import adopt, join_adopted

        found = adopt(self._own_journal(), token_id)
        if token_id is None:
            for adopted in found:
                self.defer(adopted.wait, until="run")
        elif found:
            obj = self.current_object
            self.defer(lambda: join_adopted(obj, found))

    def rewind(self, token_id: int, to: int | str, *, by: str | None = None) -> None:
        """Take a token back to a step of its history, with its data and position as they were.

        :param to: the number of a step; or a path, ``0.2.1`` or the name of a task, of which the
            latest step counts. A path that the token has not come to moves it there, its data
            unchanged.
        :param by: who takes it back; by default the user of this process.
        """
        from wfengine.store import travel

        travel.rewind(self.run_store, self, token_id, to, by)

    def interrupt(self, transition: Any = None) -> None:
        """Ask the engine, from another thread or a signal handler, to stop before the next task.

        The run can be resumed there.
        """
        if transition is None or isinstance(transition, StopRequested):
            self.is_stopped = True
        super().interrupt(transition)

    # What tasks use

    @property
    def session(self) -> Session:
        """A session whose writes are committed together with the step, or not at all."""
        return self._own_journal().session()

    @property
    def idempotency_key(self) -> str:
        """A text for effects outside of the database: the same whenever this step is tried again.

        It differs for each visit of each task for each token.
        """
        return self._own_journal().idempotency_key

    @property
    def decision(self) -> Any:
        """What was decided about the halted token, in the first task after the halt; else None."""
        return None if self.recorder is None else self.recorder.decision

    # Branches

    def child(self, callbacks: Any) -> GenericWorkflowEngine:
        """Return an engine for a branch, which becomes a run of its own when it begins."""
        child: Any = super().child(callbacks)
        child.recorder, child.db_obj = None, None
        return child  # type: ignore[no-any-return]

    def branch_begins(self, branch: Any) -> None:
        """Find the branch in the store, or add it there."""
        parent: Any = self.parent
        if parent.recorder is not None:
            from wfengine.store.branches import open_branch

            self.recorder = open_branch(self, parent.recorder, branch)

    def branch_rests(self) -> None:
        """Give back the connection of a branch that is not to begin yet, or at all."""
        if self.recorder is not None:
            self.recorder.writer.close()

    def branch_mark(self) -> str:
        """Return what the keys of the branches of this visit begin with."""
        if self.recorder is None:
            return ""
        from wfengine.store.branches import mark_of

        return mark_of(self.recorder)

    def begun_branches(self, mark: str) -> dict[int, dict[str, Any]]:
        """Return what the store knows of the branches under a mark."""
        from wfengine.store.branches import begun_branches

        return begun_branches(self._own_journal(), mark)

    def branch_joined(self, branch: Any) -> None:
        """Put what the branch did to its copy of the token into the token."""
        if self.recorder is not None:
            from wfengine.store.branches import join_branch

            join_branch(self, self.recorder, branch)

    # What the manual has

    def save(self, status: WorkflowStatus | None = None) -> None:
        """Save the run, with a status if one is given."""
        if self.recorder is not None:
            if self.parent is None:
                self.recorder.flush()
        elif self.db_obj is not None:
            self.db_obj.save(status)

    def save_object(self, obj: Any, status: ObjectStatus) -> None:
        """Tell a token of its status, if it has ``save(status=, callback_pos=, id_workflow=)``."""
        save: Callable[..., Any] | None = getattr(obj, "save", None)
        if callable(save):
            position = list(self.state.callback_pos)
            save(status=status, callback_pos=position, id_workflow=self.uuid)

    def status_by_objects(self, objects: Sequence[Any]) -> WorkflowStatus:
        """Return the status of a run that has come to its end: halted, if a token is."""
        if self.recorder is None and any(
            getattr(obj, "status", None) is ObjectStatus.HALTED for obj in objects
        ):
            return WorkflowStatus.HALTED
        return WorkflowStatus.COMPLETED

    @property
    def status(self) -> Any:
        """The :class:`~wfengine.status.WorkflowStatus` of the run, as stored."""
        if self.recorder is not None:
            return self.run_store.run(self.recorder.run.uuid).status
        return getattr(self.db_obj, "status", None)

    @property
    def uuid(self) -> Any:
        """What identifies the run."""
        if self.recorder is not None:
            return self.recorder.run.uuid
        return getattr(self.db_obj, "uuid", None)

    @property
    def name(self) -> Any:
        """The name of the run."""
        if self.recorder is not None:
            return self.recorder.run.name
        return getattr(self.db_obj, "name", None)

    @property
    def database_objects(self) -> Sequence[Any]:
        """The tokens as they are in the database."""
        if self.recorder is None:
            return list(getattr(self.db_obj, "objects", ()))
        return self.run_store.tokens(self.recorder.run.uuid)

    @property
    def final_objects(self) -> Sequence[Any]:
        """Those that are done."""
        return self._objects_with(ObjectStatus.COMPLETED)

    @property
    def halted_objects(self) -> Sequence[Any]:
        """Those that wait for a decision."""
        return self._objects_with(ObjectStatus.HALTED)

    @property
    def running_objects(self) -> Sequence[Any]:
        """Those that are in process."""
        return self._objects_with(ObjectStatus.RUNNING)

    def _objects_with(self, status: ObjectStatus) -> Sequence[Any]:
        if self.recorder is None:
            return [obj for obj in self.database_objects if obj.status is status]
        return self.run_store.tokens(self.recorder.run.uuid, status=status)
