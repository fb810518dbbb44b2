"""Sequent: a flow of steps."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from wfengine.definitions import fingerprint
from wfengine.definitions.registry import check_name
from wfengine.definitions.styles import Runs
from wfengine.engine import GenericWorkflowEngine
from wfengine.errors import StopRequested, WorkflowAPIError, WorkflowDefinitionError
from wfengine.status import WorkflowStatus
from wfengine.steps.calls import Call, current_call
from wfengine.steps.compiling import compile_flow, lines_of
from wfengine.steps.configuration import DEFAULTS
from wfengine.steps.desks import Desk, LocalDesk, root_of
from wfengine.steps.errors import StepError
from wfengine.steps.keeping import check_given_back
from wfengine.steps.processes import is_imported_by_process
from wfengine.steps.resources import check_same
from wfengine.steps.status import RunMode
from wfengine.steps.steps import Container, Step

__all__ = ["Sequent"]

MEMORY = ":memory:"

SHOWN = 5

STYLE = "steps"
"""What the store has as the style of the runs of such flows."""

BEFORE_RUN_ID = "/"
"""Stands between the name of a flow, which has none, and the ``run_id`` in the name of a run."""

LOCAL_DESK = LocalDesk()
"""Where all flows of this process that are kept in memory get their resources."""


class Sequent(Container):
    """A flow of steps, each of which begins as soon as what it requires has come.

    :param name: by which its runs are known, without a ``/``; by default the name of the calling
        script.
    :param store: where its runs are kept: ``:memory:`` for nowhere, the path of a SQLite file, the
        URL of a database, or a :class:`~wfengine.store.Store`. By default a file beside the calling
        script, with its name and the suffix ``.db``.
    :param run_mode: whether to begin a run, or to go on with one.
    :param recovery_run: which to go on with, its uuid or its ``run_id``; by default the latest.
    :param run_id: a name of its own for this run, in addition to that of the flow.
    :param logging_level: of what the flow logs, the least that is said: a number, or its name.
    :param config: ``max_concurrent``, ``task_construct``, ``stop_on_exception``, for all steps.
    :raises WorkflowDefinitionError: for whatever cannot be meant.

    >>> flow = Sequent("greeting", store=":memory:", config={"task_construct": "inline"})
    >>> step = flow.add_step("greet", func=print, args=("hello",))
    >>> flow()
    hello
    True
    """

    path = ""

    def __init__(
        self,
        name: str = "",
        store: Any = "",
        run_mode: RunMode = RunMode.restart,
        recovery_run: Any = None,
        run_id: str | None = None,
        logging_level: int | str = logging.INFO,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        script = _calling_script() if store == "" or not name else None
        self.flow = self
        self.name = name or (script.stem if script is not None else "flow")
        self.run_mode = _mode(run_mode)
        self.recovery_run = recovery_run
        self.run_id = run_id
        self._check_names()
        self.logging_level = _level(logging_level)
        self.log = logging.getLogger("wfengine.steps")
        self.config = DEFAULTS.with_settings(config or {}, "the flow")
        self._place = _place(store, script)
        self._store: Any = None
        self._engine: Any = None
        self._definition: Any = None
        self._paths: dict[str, Step] = {}
        self._pools: dict[str, Step] = {}
        """Of each pool a step that uses it."""
        self._lock = threading.Lock()
        self.failures: list[tuple[str, str]] = []
        """What made its latest run fail: steps as ``s1_s11/1.2``, each with its error."""
        self.done = 0
        """How many functions of its steps have returned in the latest run."""
        self._loops_left: int | None = None
        self._is_running = False

    # What people do with it

    def __call__(self, max_loops: int = -1) -> bool:
        """Run the flow, as :meth:`run` does."""
        return self.run(max_loops)

    def run(self, max_loops: int = -1) -> bool:
        """Run the flow, and return whether it did not fail.

        It has failed when a step did, and no event or step that waits for that failure has come.

        :param max_loops: if it is more than 0, begin nothing more after the end of so many steps;
            the next call goes on there.
        :raises WorkflowDefinitionError: for a flow that cannot be run.
        """
        if isinstance(max_loops, bool) or not isinstance(max_loops, int):
            raise WorkflowAPIError(f"max_loops is a whole number, not {max_loops!r}")
        if is_imported_by_process():
            return True
        is_success = self.advance(max_loops)
        self.log_failures(self.failures)
        self._say(
            logging.INFO, "Processing finished with: %s", "success" if is_success else "failure"
        )
        return is_success

    def advance(self, max_loops: int = -1) -> bool:
        """Do what :meth:`run` does, and leave it to the caller to say how it ended."""
        definition = self._compiled()
        check_given_back(self)
        self._loops_left = max_loops if max_loops > 0 else None
        self.failures, self.done = [], 0
        goes_on = self._engine is not None
        eng = self._engine if goes_on else self._new_engine(definition)
        self._engine = None
        return self._ends_well(eng, goes_on)

    def interrupt(self) -> None:
        """Have the flow begin nothing any more, from another thread or a signal handler.

        What runs may end. A run that is stored can be taken up again.
        """
        if self._root is not None:
            self._root.interrupt()

    def keep_in(self, store: Any) -> None:
        """Keep its runs elsewhere from now on.

        :param store: as it is given to the flow.
        """
        self.close()
        self._place = _place(store, None)

    def close(self) -> None:
        """Give back what the flow has opened; it can be run again."""
        self._engine = None
        if self._store is not None and self._store is not self._place:
            self._store.close()
        self._store = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @staticmethod
    def get_step_name() -> str:
        """Return the path of the step that calls this: ``s1_s11_s111``; outside of one, nothing."""
        call = current_call()
        return "" if call is None else call.name

    @staticmethod
    def get_step_sequence() -> str:
        """Return which round of each step around it is under way: ``1.2.2``; outside, nothing."""
        call = current_call()
        return "" if call is None else call.sequence

    @staticmethod
    def get_step_value() -> Any:
        """Return the value of the innermost round that is under way, None where there is none."""
        call = current_call()
        return call.values[-1] if call is not None and call.values else None

    @staticmethod
    def get_step_values() -> tuple[Any, ...]:
        """Return the value of each round that is under way, the outermost first."""
        call = current_call()
        return () if call is None else call.values

    @property
    def run_name(self) -> str:
        """The name under which its run is stored."""
        return self.name if self.run_id is None else self._name_of_run(self.run_id)

    def _check_names(self) -> None:
        if BEFORE_RUN_ID in check_name(self.name):
            raise WorkflowDefinitionError(
                f"the name of a flow has no {BEFORE_RUN_ID!r}, which stands before the run_id in "
                f"the name of a run: {self.name!r}"
            )
        if self.run_id is not None and (not isinstance(self.run_id, str) or not self.run_id):
            raise WorkflowDefinitionError(f"run_id is a text, not {self.run_id!r}")
        check_name(self.run_name)

    def _name_of_run(self, run_id: Any) -> str:
        return f"{self.name}{BEFORE_RUN_ID}{run_id}"

    @property
    def uuid(self) -> str | None:
        """What identifies its latest run in the store; None for one in memory."""
        return self._uuid

    _uuid: str | None = None

    @property
    def engine(self) -> Any:
        """The engine of its latest run; None before the first."""
        return self._root

    @property
    def place(self) -> Any:
        """Where its runs are kept: a URL, or a store; None for nowhere."""
        return self._place

    def __wfengine_definition__(self) -> Any:
        """Return the definition that the flow comes to."""
        return self._compiled()

    def __wfengine_runs__(self) -> Runs:
        """Return by what its runs are known, and where they are."""
        place = self._place
        if place is not None and not isinstance(place, str):
            place = place.database.url.render_as_string(hide_password=False)
        return Runs(STYLE, self._is_own_name, place)

    def _compiled(self) -> Any:
        """Return the definition, which is made again when something was added."""
        if self._definition is None:
            self._definition = compile_flow(self)
        return self._definition

    def changed(self) -> None:
        """Be told that something was added."""
        self._definition = None

    def register(self, step: Step) -> None:
        """Take note of a step that is to be added.

        :raises WorkflowDefinitionError: for a path that another step has, and a pool of another
            limit than one of its name that another step uses.
        """
        known = self._paths.get(step.path)
        if known is not None:
            raise WorkflowDefinitionError(
                f"{step.within} would have the path {step.path!r}, which {known.within} has "
                "already; results and recovery know steps by their paths: give one of them "
                "another name"
            )
        for name, pool in step.wants.pools.items():
            user = self._pools.get(name)
            if user is not None:
                where, of = f"step {user.path!r}", f"step {step.path!r}"
                check_same(user.wants.pools[name], where, pool, of)
        self._paths[step.path] = step
        self._pools.update((name, step) for name in step.wants.pools if name not in self._pools)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be taken to the process of a step as something that can tell which step it is."""
        return _in_process, (type(self), self.name)

    # Running

    def _new_engine(self, definition: Any) -> Any:
        if self._place is None:
            if self.run_mode is not RunMode.restart:
                raise WorkflowAPIError(
                    "a flow that is kept in memory has no run to go on with; give it a store"
                )
            eng = GenericWorkflowEngine()
            eng.callbacks.replace(definition)
            return eng
        from wfengine.engine_db import DbWorkflowEngine

        store = self._opened()
        is_new = self.run_mode is RunMode.restart
        uuid = self._add_run(store, definition) if is_new else self._run_to_recover(store)
        eng = DbWorkflowEngine.from_uuid(uuid, store=store, definition=definition)
        self._tell_changes(eng)
        return eng

    def _tell_changes(self, eng: Any) -> None:
        """Log what has become of steps, if the flow has changed since a run was begun.

        :raises StepError: when the run cannot go on with it.
        """
        if _is_complete(eng) or not _has_changed(eng):
            return
        drift = eng.resume(dry_run=True).drift
        if drift.is_refused:
            said = "; ".join(refusal.reason for refusal in drift.refused[:SHOWN])
            raise StepError(
                f"run {eng.uuid} of {self.run_name!r} cannot go on with this flow, which has "
                f"changed since: {said}. Steps may be added and removed; but one that is under way "
                "keeps its rounds, and its steps or its function. Put that back, or begin a new "
                "run with RunMode.restart"
            )
        dropped = "is no part of the flow any more; what was done in it is left out"
        for paths, said in ((drift.dropped, dropped), (drift.anew, "is another now; begins anew")):
            for path in paths:
                self._say(logging.WARNING, "[ Step %s ] %s", "_".join(path), said)

    def _add_run(self, store: Any, definition: Any) -> str:
        from wfengine.store.policy import Policy

        options = {"definition": None, **Policy().to_dict()}
        return str(store.new_run(self.run_name, definition, options, style=STYLE).uuid)

    def _opened(self) -> Any:
        """Return the store, opened if need be."""
        if self._store is None:
            from wfengine.store import Store

            self._store = self._place if isinstance(self._place, Store) else Store(self._place)
        return self._store

    def _run_to_recover(self, store: Any) -> str:
        wanted = self.recovery_run
        found = None if wanted is None else store.find_run(uuid=str(wanted))
        if found is not None:
            self._check_own(store, found)
            return str(found.uuid)
        names = [self.run_name] if wanted is None else [self._name_of_run(wanted), str(wanted)]
        for name in filter(self._is_own_name, names):
            latest = store.latest(name=name, style=STYLE)
            if latest is not None:
                return str(latest.uuid)
        which = f"run {wanted!r}" if wanted is not None else f"run of {self.run_name!r}"
        raise WorkflowAPIError(
            f"there is no {which} to go on with in {store}; begin one with RunMode.restart"
        )

    def _is_own_name(self, name: str) -> bool:
        return name == self.name or name.startswith(self._name_of_run(""))

    def _check_own(self, store: Any, run: Any) -> None:
        """Refuse a run that is not one of this flow."""
        if run.parent_id is not None:
            raise WorkflowAPIError(
                f"run {run.uuid} is that of a step: give the uuid of the flow's own run"
            )
        style = store.summary(run.uuid).style
        if style != STYLE or not self._is_own_name(run.name):
            raise WorkflowAPIError(
                f"run {run.uuid} is one of {run.name!r}, and not of the flow {self.name!r}; "
                "recovery_run is the uuid, or the run_id, of a run of this flow"
            )

    def _ends_well(self, eng: Any, goes_on: bool) -> bool:
        self._root, self._uuid = eng, getattr(eng, "uuid", None)
        self._is_running = True
        try:
            self._push(eng, goes_on)
        except StepError as error:
            self.failures = lines_of(error)
            return False
        finally:
            self._is_running = False
        return self._has_ended(eng)

    _root: Any = None

    def _push(self, eng: Any, goes_on: bool) -> None:
        if self._place is None:
            if goes_on:
                eng.restart("current", "current")
            else:
                eng.process([{"flow": self.name}])
        elif goes_on or self.run_mode is not RunMode.restart:
            self._resume(eng)
        else:
            eng.process([{"flow": self.name}])

    def _resume(self, eng: Any) -> None:
        if _is_complete(eng):
            self._tell_complete(eng)
        elif not len(eng.objects):  # it was to begin, and its process died
            eng.process([{"flow": self.name}])
        else:
            eng.resume()

    def _tell_complete(self, eng: Any) -> None:
        """Log that a run is not taken up, and whether there would have been something to do."""
        has_changed = _has_changed(eng)
        left = [] if has_changed else self._run_again(eng)
        names = ", ".join(repr(step.path) for step in left[:SHOWN])
        more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
        if not (has_changed or left):
            self._say(logging.INFO, "run %s is complete", eng.uuid)
            return
        why = f"recovery would have {names}{more} run again" if left else "the flow has changed"
        self._say(
            logging.WARNING,
            "run %s is complete, and never taken up: nothing is run, though %s. Begin a new run "
            "with RunMode.restart",
            eng.uuid,
            why,
        )

    def _run_again(self, eng: Any) -> list[Step]:
        """Return the steps that would be run again by their tables, were a run taken up."""
        token = eng.recorder.tokens.record(0)
        known = eng.begun_branches(f"{token.id}.0")  # by the graph, its first task
        ends = {
            number: "failure" if memory.get("failed") else "success"
            for number, memory in known.items()
            if memory.get("failed") or memory.get("done")
        }
        steps = enumerate(self.steps.values())
        return [step for number, step in steps if number in ends and ends[number] not in step.skips]

    def _has_ended(self, eng: Any) -> bool:
        """Return whether a run that did not fail did all, or as much as it should."""
        is_held = self._loops_left is not None and self.done >= self._loops_left
        is_over = eng.state.callback_pos == [1] if self._place is None else _is_complete(eng)
        if is_held and not is_over:
            self._engine = eng
        return is_held or is_over

    # What its steps tell and ask

    @property
    def keeps_delays(self) -> bool:
        """Whether a delay that had begun before counts from then."""
        return not (self._is_running and self.run_mode is RunMode.recover)

    def recovery_of(self, eng: Any) -> int:
        """Return how often the run has been taken up again."""
        journal = getattr(root_of(eng), "recorder", None)
        return 0 if journal is None or journal.lease is None else int(journal.lease.token) - 1

    def desk_of(self, eng: Any) -> Desk:
        """Return where the steps of a run get their resources."""
        journal = getattr(root_of(eng), "recorder", None)
        if journal is None:
            return LOCAL_DESK
        from wfengine.steps.store_desk import desk_of

        return desk_of(journal.store)

    def begins(self, call: Call) -> None:
        """Be told that a step's function is about to be called."""
        self._say(logging.DEBUG, "[ Step %s ] Started", call)

    def succeeded(self, call: Call) -> None:
        """Be told that a step's function has returned."""
        self._say(logging.INFO, "[ Step %s ] Completed, status: success", call)
        self._count()

    def log_failures(self, lines: list[tuple[str, str]]) -> None:
        """Log which steps have failed, and with what."""
        for name, error in lines:
            self._say(logging.ERROR, "[ Step %s ] Completed, status: failure: %s", name, error)

    def _count(self) -> None:
        with self._lock:
            self.done += 1
            is_enough = self.done == self._loops_left
        if is_enough:
            self._root.interrupt(StopRequested("max_loops"))

    def _say(self, level: int, text: str, *arguments: Any) -> None:
        if level >= self.logging_level:
            self.log.log(level, text, *arguments)

    def __repr__(self) -> str:
        return f"<Sequent {self.name}: {len(self.steps)} steps>"


def _is_complete(eng: Any) -> bool:
    return eng.status is WorkflowStatus.COMPLETED


def _has_changed(eng: Any) -> bool:
    """Return whether its flow is another than the one that its run was begun, or went on, with."""
    return bool(eng.recorder.run.fingerprint != fingerprint(eng.callbacks.get()))


def _in_process(kind: type[Sequent], name: str) -> Sequent:
    """Return a flow without steps, for a step's function in its own process."""
    return kind(name, store=MEMORY)


def _level(found: Any) -> int:
    """Return a level as :mod:`logging` does, whose names are accepted."""
    known = logging.getLevelNamesMapping()
    level = known.get(found) if isinstance(found, str) else found
    if isinstance(level, bool) or not isinstance(level, int):
        raise WorkflowDefinitionError(
            f"logging_level is a number, or one of {', '.join(map(repr, known))}, not {found!r}"
        )
    return level


def _mode(found: Any) -> RunMode:
    if not isinstance(found, RunMode):
        names = ", ".join(f"RunMode.{mode.name}" for mode in RunMode)
        raise WorkflowDefinitionError(f"run_mode is one of {names}, not {found!r}")
    return found


def _calling_script() -> Path | None:
    """Return the file of whoever makes a flow, if it is in one."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    found = None if frame is None else frame.f_globals.get("__file__")
    return None if found is None else Path(found).resolve()


def _place(store: Any, script: Path | None) -> Any:
    """Return a URL, a store, or None for memory."""
    if store == MEMORY:
        return None
    if store == "" or store is None:
        path = Path("flow.db").resolve() if script is None else script.with_suffix(".db")
        return f"sqlite:///{path}"
    if isinstance(store, os.PathLike) or (isinstance(store, str) and "://" not in store):
        return f"sqlite:///{Path(store).resolve()}"
    if isinstance(store, str) or hasattr(store, "new_run"):
        return store
    raise WorkflowDefinitionError(
        f"store is ':memory:', a path, the URL of a database, or a Store, not {store!r}"
    )
