"""The definitions that a console may run: registered, or named by who started it.

Nothing is imported because a row of the store, or a request, names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from threading import Lock
from typing import TYPE_CHECKING

from wfengine.cli.options import console_command
from wfengine.cli.outputs import OUTPUT_DIR, store_outputs, take_up_outputs
from wfengine.cli.records import Record
from wfengine.cli.stores import engine_class
from wfengine.definitions import OutlineNode, fingerprint, outline
from wfengine.definitions.loading import is_target
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import WorkflowAPIError, WorkflowDefinitionError

if TYPE_CHECKING:
    from wfengine.callbacks import Definition
    from wfengine.store import Store
    from wfengine.store.records import RunRecord

__all__ = ["Catalogue"]

TOGETHER = {"checkpoint": "token", "checkpoint_tokens": 100, "checkpoint_seconds": 1.0}
"""How often runs that are begun here are written down."""


class Catalogue:
    """Definitions by name, and engines for their runs.

    :param targets: names of definitions, or ``path/to/file.py:attribute``, imported at once.
    :param output: the folder for what runs write that are begun here.
    :raises WorkflowDefinitionError: for a target that cannot be imported, or is no definition.
    """

    def __init__(self, store: Store, targets: Sequence[str] = (), output: str = "output") -> None:
        self._store, self._output = store, output
        self._outlines: dict[str, OutlineNode] = {}
        self._marks: dict[str, str] = {}
        self._lock = Lock()
        store.types.register(Record)
        store_outputs(store.types)
        self._classes: dict[str, type[DbWorkflowEngine]] = {}
        self._targets = tuple(dict.fromkeys(targets))
        for target in self._targets:
            self._admit(target)

    def _admit(self, target: str) -> None:
        store = self._store
        store.definitions.find(target)
        for module in store.definitions.modules(target):
            store.types.trust(module)
        self._classes[target] = engine_class(target)

    def names(self) -> list[str]:
        """Return the names of all definitions that can be run."""
        return sorted({*self._targets, *self._store.definitions.names()})

    def definition(self, name: str) -> Definition:
        """Return a definition by its name.

        :raises WorkflowDefinitionError: for a name that is none of :meth:`names`.
        """
        names = self.names()
        if name not in names:
            near = get_close_matches(name[:200], names)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise WorkflowDefinitionError(
                f"{name[:200]!r} is neither registered nor named when this console was "
                f"started{meant}"
            )
        return self._store.definitions.find(name)

    def outline(self, name: str) -> OutlineNode:
        """Return the outline of a definition by its name; it is made once.

        :raises WorkflowDefinitionError: as :meth:`definition`.
        """
        definition = self.definition(name)
        with self._lock:
            if name not in self._outlines:
                self._outlines[name] = outline(definition)
            return self._outlines[name]

    def name_for(self, run: RunRecord) -> str | None:
        """Return the name of the definition that a run was begun with, if it is known here.

        It may be known by another name, as for a file in another folder.
        """
        names = self.names()
        given = run.options.get("definition")
        for name in (given, run.name):
            if isinstance(name, str) and name in names:
                return name
        owner = self._owner_of(run, names)
        if owner is not None or run.fingerprint is None:
            return owner
        return next((name for name in names if self._mark(name) == run.fingerprint), None)

    def _owner_of(self, run: RunRecord, names: Sequence[str]) -> str | None:
        """Return the name of what begins runs itself, under names such as this one has."""
        style = self._store.summary(run.uuid).style
        for name in names:
            with suppress(WorkflowDefinitionError):  # of one that cannot be imported
                runs = self._store.definitions.runs(name)
                if runs is not None and runs.has(run.name, style):
                    return name
        return None

    def _mark(self, name: str) -> str | None:
        """Return the fingerprint of a definition; it is made once, unless it cannot be made."""
        if name not in self._marks:
            try:
                self._marks[name] = fingerprint(self._store.definitions.find(name))
            except WorkflowDefinitionError:
                return None
        return self._marks[name]

    def why_unknown(self, run: RunRecord) -> str:
        """Return that a run's definition is not known here, and what to type for it to be.

        What a script has begun under a name of its own, such as a flow of steps, is known by that
        name only: which file it is in, the store does not tell.
        """
        target = run.name if is_target(run.name) else "path/to/file.py:attribute"
        return (
            f"The definition of this run, {run.name[:200]!r}, is not known to this console. Begin "
            f"the console with its name: {console_command(target, str(self._store))}"
        )

    def begin(self, name: str) -> DbWorkflowEngine:
        """Return an engine for a new run.

        :raises WorkflowDefinitionError: as :meth:`definition`.
        """
        self.definition(name)
        eng = self._classes.get(name, DbWorkflowEngine).with_name(
            name,
            store=self._store,
            extra_data={OUTPUT_DIR: self._output},
            **TOGETHER,  # type: ignore[arg-type]
        )
        take_up_outputs(eng)
        return eng

    def take_up(self, run: RunRecord) -> DbWorkflowEngine:
        """Return an engine for a stored run.

        :raises WorkflowDefinitionError: when its definition is not known here.
        """
        if run.parent_id is not None:
            raise WorkflowAPIError(
                f"run {run.uuid} is a branch: go on with the run that it belongs to"
            )
        name = self.name_for(run)
        if name is None:
            raise WorkflowDefinitionError(self.why_unknown(run))
        kind = self._classes.get(name, DbWorkflowEngine)
        eng = kind.from_uuid(run.uuid, store=self._store, definition=name)
        take_up_outputs(eng)
        return eng
