"""The definitions that can be run: drawn, checked, and started."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from attrs import frozen

from wfengine.definitions.checking import check
from wfengine.errors import WorkflowError
from wfengine.web.boxes import boxes_of, described, find_node
from wfengine.web.visits import Visit, link

if TYPE_CHECKING:
    from starlette.responses import Response

    from wfengine.definitions.problems import Problem

__all__ = ["definition_page", "show", "show_one"]


@frozen
class Line:
    """A definition in the list.

    :param problem: why it cannot be used.
    """

    name: str
    path: str
    tasks: int = 0
    doc: str = ""
    problem: str = ""


def show(visit: Visit) -> Response:
    """Show the names of all."""
    return visit.page(
        "definitions.html", lines=[_line(visit, name) for name in visit.console.catalogue.names()]
    )


def _line(visit: Visit, name: str) -> Line:
    path = link("/definitions/one", name=name)
    try:
        root = visit.console.catalogue.outline(name)
    except WorkflowError as error:
        return Line(name, path, problem=error.message)
    return Line(name, path, sum(node.kind == "task" for node in root.walk()), root.doc)


def show_one(visit: Visit) -> Response:
    """Show one definition, what is wrong with it, and a form to run it."""
    return definition_page(visit, visit.asked("name"))


def definition_page(visit: Visit, name: str, status: int = HTTPStatus.OK, **typed: Any) -> Response:
    """Return the page of a definition.

    :param typed: what somebody wanted to start it with that was wrong, and why.
    """
    root = visit.console.catalogue.outline(name)
    wanted = visit.asked("node")
    node = find_node(root, wanted) if wanted else None
    return visit.page(
        "definition.html",
        status,
        name=name,
        root=root,
        picture=visit.console.pictures.of(root, {}, wanted),
        boxes=boxes_of(root, {}, wanted),
        node_path=lambda node: link("/definitions/one", name=name, node=node.id),
        node=node,
        facts=None if node is None else described(node),
        problems=_problems(visit, name),
        most=visit.console.largest_input,
        **{"pasted": "", "format": "", "wrong": (), "more_wrong": 0, **typed},
    )


def _problems(visit: Visit, name: str) -> list[Problem]:
    """Return what is wrong with a definition."""
    return check(visit.console.catalogue.definition(name))
