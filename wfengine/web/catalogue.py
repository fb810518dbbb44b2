"""The definitions that a console may run: registered, or named by who started it.

Nothing is imported because a row of the store, or a request, names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from threading import Lock
from typing import TYPE_CHECKING, Any

from wfengine.cli.outputs import OUTPUT_DIR, store_outputs, take_up_outputs
from wfengine.cli.records import Record
from wfengine.definitions import OutlineNode, fingerprint, load, outline
from wfengine.definitions.loading import is_target
from wfengine.engine import GenericWorkflowEngine
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
        self._classes[target] = _engine_class(target)

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
        if run.fingerprint is None:
            return None
        return next((name for name in names if self._mark(name) == run.fingerprint), None)

    def _mark(self, name: str) -> str | None:
        try:
            return fingerprint(self._store.definitions.find(name))
        except WorkflowDefinitionError:
            return None

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
            raise WorkflowDefinitionError(
                f"the definition of this run, {run.name[:200]!r}, is not known to this console: "
                "name it when the console is started, as in wfengine console TARGET"
            )
        kind = self._classes.get(name, DbWorkflowEngine)
        eng = kind.from_uuid(run.uuid, store=self._store, definition=name)
        take_up_outputs(eng)
        return eng


def _engine_class(target: str) -> type[DbWorkflowEngine]:
    """Return the class of the engine that a target names, if it names one."""
    found: Any = load(target) if is_target(target) else None
    kind = found if isinstance(found, type) else type(found)
    is_durable = issubclass(kind, DbWorkflowEngine)
    if issubclass(kind, GenericWorkflowEngine) and not is_durable:
        raise WorkflowDefinitionError(
            f"{kind.__name__} is no DbWorkflowEngine, and keeps its runs in memory: they cannot be "
            "seen here"
        )
    return kind if is_durable else DbWorkflowEngine
