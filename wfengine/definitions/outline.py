"""A definition as a tree of described nodes, for whatever draws, checks or shows it.

The tree is made from what patterns say of themselves, once, and nothing in it is run. Its ids are
those under which the store and the signals know the places of a run.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any

from attrs import asdict, field, frozen

from wfengine.callbacks import Definition, clean, task_name
from wfengine.definitions.contents import unwrapped
from wfengine.definitions.misfits import Misfit
from wfengine.definitions.skeletons import skeleton
from wfengine.definitions.trees import Node, tree_of
from wfengine.description import Description, Need, Part, describe
from wfengine.errors import WorkflowDefinitionError

__all__ = ["OutlineNode", "Source", "outline"]

DEFINITION, TASK, SEQUENCE = "definition", "task", "list"
"""Kinds of nodes that are no patterns."""

BRANCHES = {"branch", "workflow", "body"}
"""Roles of parts that are run, in place of or beside the elements of a pattern."""

ASKED = {"condition", "arbiter", "source", "function"}
"""Roles of parts that are called to find something out, and are worth showing."""

OWN = {"condition", "next", "branches", "jump"}
"""Roles of elements that are the pattern's own tasks, shown by what they ask and run."""

BEGINS = "branches"
"""The role of the element that begins a pattern's branches, where the pattern itself does not."""


@frozen
class Source:
    """Where a task is written.

    :param line: from 1 on.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@frozen(eq=False)
class OutlineNode:
    """A task, a list, a pattern, or what a pattern asks or runs.

    :param kind: ``definition`` for the whole, ``task``, ``list``, or the pattern's name, such as
        ``IF_ELSE``.
    :param label: what a person would write in a box that stands for it.
    :param position: by which the engine addresses it inside its own definition, outermost first;
        empty for a definition itself, and that of the pattern for what a pattern asks.
    :param branch: for what runs in an engine of its own, where that begins: the place of the task
        that begins it and the number of the branch, such as ``3/1``; else empty.
    :param path: its task path, as errors and the history name it.
    :param name: the last part of the path without a number: by it the task is found again when the
        definition has changed. Of what is no element of a list, empty.
    :param role: what it is to the pattern around it: ``condition``, ``then``, ``else``, ``body``,
        ``branch``, ... or nothing.
    :param is_asked: whether it is only called to find something out, and is no step of its own.
    :param needs: what has to happen to which of its siblings, by their labels, before it begins.
    :param doc: the first paragraph of its documentation.
    :param source: where it is written, if that is known.
    :param options: the pattern's settings that are plain data, by name.
    :param children: in the order in which they are met.
    :param task: the callable, or the list.
    """

    kind: str
    label: str
    position: tuple[int, ...] = ()
    branch: str = ""
    path: str = ""
    name: str = ""
    role: str = ""
    is_asked: bool = False
    needs: tuple[Need, ...] = ()
    doc: str = ""
    source: Source | None = None
    options: dict[str, Any] = field(factory=dict)
    children: tuple[OutlineNode, ...] = field(default=(), repr=False)
    task: Any = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """A name for its place that no other step of the definition has: ``2.0``, ``3/1:0.2``."""
        return _id_of(self.branch, self.position)

    def walk(self) -> Iterator[OutlineNode]:
        """Yield this node and all inside, each before its children."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))

    def as_data(self) -> dict[str, Any]:
        """Return the tree as plain data, for JSON; very deep ones nest too deeply for that."""
        made: dict[int, dict[str, Any]] = {}
        for node in reversed(list(self.walk())):
            made[id(node)] = {
                "id": node.id,
                "kind": node.kind,
                "label": node.label,
                "path": node.path,
                "role": node.role,
                "needs": [asdict(need) for need in node.needs],
                "doc": node.doc,
                "source": node.source and str(node.source),
                "options": node.options,
                "children": [made.pop(id(child)) for child in node.children],
            }
        return made[id(self)]


def outline(callbacks: Any) -> OutlineNode:
    """Return the tree of a definition.

    Plain lists and closures are shown by what is known of them: a list by its length, a closure by
    its name and where it is written.

    :param callbacks: a definition, or a task.
    :raises WorkflowDefinitionError: for what is none.

    >>> def weigh(obj, eng):
    ...     '''Weigh a parcel.'''
    >>> tree = outline([weigh, [weigh]])
    >>> [f"{node.id} {node.kind} {node.label}" for node in tree.walk()]
    [' definition ', '0 task weigh', '1 list 1 task', '1.0 task weigh']
    """
    if callbacks is None:
        raise WorkflowDefinitionError("None is no definition")
    is_list = isinstance(callbacks, list | tuple)
    definition = clean(callbacks if is_list else [callbacks])
    return _built(_Place(DEFINITION, definition, tree_of(skeleton(definition))))


@frozen(eq=False)
class _Place:
    """A node that is to be made.

    :param around: the path of the pattern whose branch this is inside of, if it is.
    """

    kind: str
    element: Any
    node: Node | None
    position: tuple[int, ...] = ()
    branch: str = ""
    around: str = ""
    role: str = ""
    label: str = ""
    is_asked: bool = False
    needs: tuple[Need, ...] = ()

    @property
    def path(self) -> str:
        """The task path."""
        own = self.node.path if self.node is not None and self.node.parent is not None else ""
        return " > ".join(filter(None, (self.around, own)))

    @property
    def name(self) -> str:
        """As of an :class:`OutlineNode`."""
        return self.node.label if self.node is not None and not self.is_asked else ""

    def inside(self) -> list[_Place]:
        """Return the places of what is in it, in the order in which they are met."""
        description = describe(self.element)
        asked, runs = list[_Place](), list[_Place]()
        for part in description.parts if description else ():
            if part.role in BRANCHES and isinstance(part.content, Definition):
                runs.append(self._branch(part, len(runs), description))
            elif part.role in ASKED and callable(part.content):
                asked.append(self._asked(part.content, part.role))
        return [*asked, *runs, *self._elements(description)]

    def _elements(self, description: Description | None) -> Iterator[_Place]:
        if not isinstance(self.element, Definition):
            return
        roles = description.roles if description else ()
        parts = description.parts if description else ()
        keys = [part.label for part in parts if part.role == "key"]
        for index, element in enumerate(self.element):
            role = roles[index] if index < len(roles) else ""
            if role in OWN:
                continue
            yield _Place(
                _kind_of(element),
                element,
                self.node.at([index]) if self.node else None,
                (*self.position, index),
                self.branch,
                self.around,
                role,
                keys[index] if index < len(keys) else "",
            )

    def _asked(self, task: Any, role: str) -> _Place:
        return _Place(
            _kind_of(task),
            task,
            self.node,
            self.position,
            self.branch,
            self.around,
            role,
            is_asked=True,
        )

    def _branch(self, part: Part, number: int, description: Description | None) -> _Place:
        roles = description.roles if description else ()
        inner = (roles.index(BEGINS),) if BEGINS in roles else ()
        return _Place(
            SEQUENCE,
            part.content,
            tree_of(skeleton(part.content)),
            branch=f"{_id_of(self.branch, (*self.position, *inner))}/{number}",
            around=self.path,
            role=part.role,
            label=part.label,
            needs=part.needs,
        )


def _built(root: _Place) -> OutlineNode:
    """Return the node of a place with all that is inside, however deep, without recursion."""
    order, inside = [root], {}
    for place in order:  # which grows
        inside[id(place)] = found = place.inside()
        order.extend(found)
    made: dict[int, OutlineNode] = {}
    for place in reversed(order):
        children = tuple(made.pop(id(child)) for child in inside[id(place)])
        made[id(place)] = _node(place, children)
    return made[id(root)]


def _node(place: _Place, children: tuple[OutlineNode, ...]) -> OutlineNode:
    element = place.element
    description = describe(element)
    own = _own(element)
    is_plain = description is None and not isinstance(element, Definition)
    return OutlineNode(
        place.kind,
        place.label or _label(element, description, place.kind),
        place.position,
        place.branch,
        place.path,
        place.name,
        place.role,
        place.is_asked,
        place.needs,
        _doc(own) if is_plain else "",
        _source(own) if is_plain else None,
        dict(description.options) if description else {},
        children,
        element,
    )


def _id_of(branch: str, position: tuple[int, ...]) -> str:
    place = ".".join(map(str, position))
    return f"{branch}:{place}" if branch else place


def _kind_of(element: Any) -> str:
    description = describe(element)
    if description is not None:
        return description.kind
    return SEQUENCE if isinstance(element, Definition) else TASK


def _label(element: Any, description: Description | None, kind: str) -> str:
    if kind == DEFINITION:
        return ""
    if description is not None:
        return description.label if isinstance(description.label, str) else ""
    if isinstance(element, Definition):
        return "1 task" if len(element) == 1 else f"{len(element)} tasks"
    return str(task_name(_own(element)))


def _own(element: Any) -> Any:
    """Return what a decorated or partial callable stands for."""
    if isinstance(element, functools.partial):
        return _own(element.func)
    return unwrapped(element)


def _doc(task: Any) -> str:
    """Return the first paragraph of a task's own documentation, in one line."""
    text = getattr(task, "__doc__", None)
    if not isinstance(text, str):
        return ""
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


def _source(task: Any) -> Source | None:
    """Return where a callable is written, if it says so."""
    if isinstance(task, Misfit):
        return _source(_own(task.found))
    call = inspect.getattr_static(type(task), "__call__", None)
    for each in (task, getattr(task, "__func__", None), call):
        code = getattr(each, "__code__", None)
        if code is not None:
            return Source(code.co_filename, code.co_firstlineno)
    return None
