"""Definitions by name: registered here, offered by installed packages, or named by an operator."""

from __future__ import annotations

import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from inspect import iscoroutine
from threading import Lock, RLock
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from wfengine.callbacks import Callbacks, Definition, cannot_be_called, clean
from wfengine.definitions.contents import callables_in, module_of
from wfengine.definitions.loading import import_target, is_target
from wfengine.definitions.styles import Runs, compiled, is_of_style, runs_of
from wfengine.engine import GenericWorkflowEngine
from wfengine.errors import WorkflowDefinitionError, WorkflowError

__all__ = ["GROUP", "Registry", "check_name"]

GROUP = "wfengine.workflows"
"""The group of entry points under which installed packages offer their workflows."""

LONGEST = 255
HOW_TO = (
    f'register it with @workflow("name") or an entry point of the group {GROUP!r}, '
    "or name it as package.module:attribute"
)

F = TypeVar("F", bound=Callable[[], Any])


def check_name(name: object) -> str:
    """Return a name under which a workflow can be registered and stored.

    :raises WorkflowDefinitionError: for one that is no text, empty, longer than 255 characters,
        has characters that cannot be printed, or blanks around it.
    """
    if not isinstance(name, str):
        raise WorkflowDefinitionError(f"a workflow's name is a text, not {type(name).__name__}")
    if not name:
        raise WorkflowDefinitionError("a workflow's name is empty")
    if len(name) > LONGEST:
        raise WorkflowDefinitionError(
            f"a workflow's name has at most {LONGEST} characters, not {len(name)}: {name[:40]!r}..."
        )
    if not name.isprintable() or name != name.strip():
        raise WorkflowDefinitionError(
            f"a workflow's name has printable characters only, and no blanks around it: {name!a}"
        )
    return name


class Registry:
    """Names, and the definitions that they stand for.

    A name stands for what was added under it; else for an entry point of the group
    ``wfengine.workflows``; else, written ``package.module:attribute`` or
    ``path/to/file.py:attribute``, for what is imported from there. Whatever it is may be a list
    of tasks, a task, a pattern, an engine or its class, or a function without parameters that
    returns one of these. Any thread may ask.

    >>> definitions = Registry()
    >>> @definitions.workflow("greeting")
    ... def greeting():
    ...     return [lambda obj, eng: print("hello", obj)]
    >>> definitions.names()
    ['greeting']
    >>> len(definitions.find("greeting"))
    1
    """

    def __init__(self) -> None:
        self._added: dict[str, _Entry] = {}
        self._imported: dict[str, _Entry] = {}
        self._changing = Lock()

    def add(self, name: str, definition: Any, replace: bool = False) -> None:
        """Let a name stand for a definition.

        A function without parameters is called on first use; anything else is checked at once.

        :param replace: whether the name may stand for something else already.
        :raises WorkflowDefinitionError: for a name that cannot be one, or is taken; for something
            that is no definition.
        """
        entry = _Entry(check_name(name), definition)
        if not _is_factory(definition):
            entry.definition()
        with self._changing:
            known = self._added.get(name)
            if known is None or replace or _is_imported_again(known.found, definition):
                self._added[name] = entry
            elif known.found is not definition:
                raise WorkflowDefinitionError(
                    f"{name!r} is registered already, for {_brief(known.found)}; choose "
                    f"another name for {_brief(definition)}, or say replace=True"
                )

    def workflow(self, name: str) -> Callable[[F], F]:
        """Register the decorated function, which takes nothing and returns the definition.

        It is called once, when the workflow is first used, and returned unchanged.
        """
        check_name(name)

        def decorate(function: F) -> F:
            if not _is_factory(function):
                raise WorkflowDefinitionError(
                    f"workflow({name!r}) decorates a function without parameters that returns a "
                    f"definition, not {_brief(function)}"
                )
            self.add(name, function)
            return function

        return decorate

    def find(self, name: str) -> Definition:
        """Return the definition that a name stands for, imported if need be.

        :raises WorkflowDefinitionError: for a name that is not known, with those that may be
            meant; for one that stands for no definition, or cannot be imported.
        """
        entry = self._known(check_name(name)) or self._import(name)
        return entry.definition()

    def known(self, name: object) -> Definition | None:
        """Return the definition that a name stands for, or None.

        For names that come from a database: a ``package.module:attribute`` is not imported unless
        :meth:`find` was asked for it before.

        :raises WorkflowDefinitionError: for a known name that stands for no definition.
        """
        entry = self._known(name) if isinstance(name, str) else None
        return None if entry is None else entry.definition()

    def runs(self, name: str) -> Runs | None:
        """Return what is known of the runs that have names of their own; None where none do.

        :raises WorkflowDefinitionError: as :meth:`find`.
        """
        entry = self._known(check_name(name)) or self._import(name)
        entry.definition()
        return entry.runs

    def names(self) -> list[str]:
        """Return all names, of entry points too, in their order; not what was only imported."""
        return sorted({*self._added, *entry_points(group=GROUP).names})

    def modules(self, name: str) -> set[ModuleType]:
        """Return the modules of the user's in which a known workflow and its tasks are defined.

        :raises WorkflowDefinitionError: for a name that :meth:`known` does not know.
        """
        entry = self._known(name)
        if entry is None:
            raise self._unknown(name)
        found = {module_of(task) for task in callables_in(entry.definition())}
        return {module for module in (*found, *entry.modules) if module is not None}

    def _known(self, name: str) -> _Entry | None:
        entry = self._added.get(name) or self._imported.get(name)
        offered = _offered(name) if entry is None else []
        return self._keep_imported(_from_entry_point(name, offered)) if offered else entry

    def _import(self, name: str) -> _Entry:
        if not _is_meant_as_target(name):
            raise self._unknown(name)
        module, found = import_target(name)
        return self._keep_imported(_Entry(name, found, module))

    def _keep_imported(self, entry: _Entry) -> _Entry:
        entry.definition()
        with self._changing:
            return self._imported.setdefault(entry.name, entry)

    def _unknown(self, name: str) -> WorkflowDefinitionError:
        names = self.names()
        near = get_close_matches(name[:LONGEST], names)
        if near:
            advice = f"did you mean {' or '.join(map(repr, near))}?"
        elif names:
            more = ", ..." if len(names) > len(names[:10]) else ""
            advice = f"there are {', '.join(map(repr, names[:10]))}{more}; or {HOW_TO}"
        else:
            advice = f"there are none: {HOW_TO}"
        return WorkflowDefinitionError(
            f"there is no workflow {_cut(repr(name))}; {advice}", payload={"near": near}
        )


class _Entry:
    """What a name stands for, and the definition that it comes to once somebody asks."""

    def __init__(self, name: str, found: Any, module: ModuleType | None = None) -> None:
        self.name = name
        self.found = found
        is_users = callable(found) and not is_of_style(found)
        self.modules = {module, module_of(found)} if is_users else {module}
        self.runs: Runs | None = None
        """Of an object of a style that begins runs itself, what it tells of them."""
        self._definition: Definition | None = None
        self._making = RLock()
        self._is_being_made = False

    def definition(self) -> Definition:
        """Return the definition, cleaned; the same one each time."""
        with self._making:
            if self._definition is None:
                self._definition = self._make()
            return self._definition

    def _make(self) -> Definition:
        if self._is_being_made:
            raise WorkflowDefinitionError(f"workflow {self.name!r} asks for itself to be made")
        self._is_being_made = True
        try:
            made = self.found() if _is_factory(self.found) else self.found
            self.runs = runs_of(made)
            return _as_definition(compiled(made))
        except Exception as error:
            raise _cannot_be_made(self.name, error) from error
        finally:
            self._is_being_made = False


def _cannot_be_made(name: str, error: Exception) -> WorkflowDefinitionError:
    said = error.message if isinstance(error, WorkflowError) else f"{type(error).__name__}: {error}"
    return WorkflowDefinitionError(f"workflow {name!r}: {said}")


def _as_definition(found: Any) -> Definition:
    if isinstance(found, type) and issubclass(found, GenericWorkflowEngine):
        found = found()
    if isinstance(found, GenericWorkflowEngine):
        found = _of_engine(found)
    if isinstance(found, list | tuple):
        return clean(found)
    if isinstance(found, type) or not callable(found):
        if iscoroutine(found):
            found.close()
        raise WorkflowDefinitionError(
            f"there is {_brief(found)}, which is no definition: give a list of tasks, a task, a "
            "pattern, an engine, or a function without parameters that returns one of these"
        )
    return clean([found])


def _of_engine(eng: GenericWorkflowEngine) -> Any:
    callbacks: Callbacks = eng.callbacks
    try:
        return callbacks.get()
    except KeyError as error:
        raise WorkflowDefinitionError(f"the engine {type(eng).__name__} has {error}") from None


def _is_factory(found: Any) -> bool:
    """Return whether it is to be called for the definition, and is not itself a task."""
    if isinstance(found, type | list) or not callable(found) or is_of_style(found):
        return False
    return bool(cannot_be_called(found)) and not cannot_be_called(found, ())


def _is_imported_again(known: Any, found: Any) -> bool:
    """Return whether two functions are one of a module's that was executed a second time.

    So it is with a script that runs as ``__main__`` and is imported as well.
    """
    sources = [
        (function.__code__.co_filename, function.__code__.co_firstlineno, function.__qualname__)
        for function in (known, found)
        if isinstance(function, FunctionType) and function.__qualname__.isidentifier()
    ]
    return len(sources) == 2 and sources[0] == sources[1]


def _is_meant_as_target(name: str) -> bool:
    return is_target(name) or name.endswith(".py") or "/" in name


def _offered(name: str) -> list[EntryPoint]:
    """Return the entry points of a name, each value once."""
    if not name.isprintable():
        return []
    return list({entry.value: entry for entry in entry_points(group=GROUP, name=name)}.values())


def _from_entry_point(name: str, offered: list[EntryPoint]) -> _Entry:
    if len(offered) > 1:
        sides = " and ".join(f"{point.value} of {_distribution(point)}" for point in offered)
        raise WorkflowDefinitionError(f"workflow {name!r} is offered more than once: {sides}")
    (point,) = offered
    try:
        found = point.load()
    except (Exception, SystemExit) as error:
        raise WorkflowDefinitionError(
            f"workflow {name!r}: its entry point {point.value} of {_distribution(point)} cannot be "
            f"loaded: {type(error).__name__}: {error}"
        ) from error
    return _Entry(name, found, sys.modules.get(point.module))


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"


def _brief(found: object) -> str:
    if isinstance(found, type):
        return f"the class {found.__name__}"
    name = getattr(found, "__qualname__", None)
    if name is None:
        return f"an object of type {type(found).__name__}"
    return f"{getattr(found, '__module__', None)}.{name}"


def _cut(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."
