"""Checks of a definition before it is run: what cannot be meant, and what will hurt some day.

Nothing of the user's is run; tasks are looked at, and their code read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wfengine.callbacks import Definition, has_task
from wfengine.definitions.flow import JUMPS, flow_problems
from wfengine.definitions.importing import import_problems
from wfengine.definitions.misfits import Misfit, with_misfits
from wfengine.definitions.outline import SEQUENCE, OutlineNode, outline
from wfengine.definitions.problems import ERROR, WARNING, Problem, problem_at
from wfengine.definitions.steering import constant_of
from wfengine.errors import WorkflowDefinitionError

__all__ = ["check"]

SHOWN_PLACES = 3


def check(callbacks: Any) -> list[Problem]:
    """Return what is wrong with a definition, in the order of its outline.

    ======================  ========  ==============================================================
    rule                    severity  found
    ======================  ========  ==============================================================
    ``signature``           error     what is no task, or cannot be called as ``task(obj, eng)``
    ``unreachable``         error     what comes after a STOP, a BREAK or an unconditional jump; a
                                      note where a task's code jumps
    ``no-way-out``          error     a loop that nothing ends, and an OBJ_JUMP_BWD that every token
                                      comes to; a warning where an exception could end it
    ``empty``               warning   a list or branch without a task; an error for the whole
    ``jump``                warning   a jump, or break, that leads out of its list
    ``constant-condition``  warning   a condition that always answers the same
    ``duplicate-name``      warning   tasks of one list that a new version could not tell apart
    ``not-importable``      warning   lambdas, tasks of a script, closures over what is no plain
                                      data; a note for other functions inside of functions
    ======================  ========  ==============================================================

    What a HALT is followed by is reached when somebody resumes the run, and so is no problem.

    :param callbacks: nested lists as they are written, a cleaned definition, or one task.
    :raises WorkflowDefinitionError: for what is no definition at all.

    >>> from wfengine.patterns import STOP
    >>> [str(problem) for problem in check([STOP(), print])]
    ['error: print at 1: it is never reached: STOP ends the run before it; remove it, or make \
what comes before it conditional, with IF or TASK_JUMP_IF [unreachable]']
    """
    tree = outline(_readable(callbacks))
    places: dict[str, int] = {}
    for node in tree.walk():
        places.setdefault(node.id, len(places))
    found = [
        *_misfits(tree),
        *flow_problems(tree),
        *_empty(tree),
        *_jumps(tree),
        *_constant(tree),
        *_duplicates(tree),
        *import_problems(tree),
    ]
    return sorted(found, key=lambda problem: places[problem.node])


def _readable(callbacks: Any) -> Any:
    if isinstance(callbacks, Definition):
        return callbacks
    if isinstance(callbacks, list | tuple):
        return with_misfits(callbacks)
    if callbacks is None or not callable(callbacks):
        raise WorkflowDefinitionError(
            f"a definition is a list of tasks, or a task, not of type {type(callbacks).__name__}"
        )
    return with_misfits([callbacks])


def _misfits(tree: OutlineNode) -> Iterator[Problem]:
    for node in tree.walk():
        if isinstance(node.task, Misfit):
            yield problem_at(node, "signature", ERROR, node.task.reason, node.task.advice)


def _empty(tree: OutlineNode) -> Iterator[Problem]:
    if not has_task(tree.task):
        yield problem_at(tree, "empty", ERROR, "there is no task in it", "add the tasks to be run")
        return
    for node in tree.walk():
        if isinstance(node.task, Definition) and not any(not c.is_asked for c in node.children):
            yield problem_at(
                node,
                "empty",
                WARNING,
                f"there is no task in {_called(node)}",
                "add one, or remove it; EMPTY_CALL says that nothing is to be done",
            )


def _called(node: OutlineNode) -> str:
    """Return what one calls a list."""
    if node.role == "branch":
        return f"the branch {node.label}" if node.name else "this branch"
    return f"the {node.role} branch" if node.role else f"this {node.kind}"


def _jumps(tree: OutlineNode) -> Iterator[Problem]:
    for node in tree.walk():
        if node.kind == "BREAK" and node.options["levels"] > len(node.position):
            yield problem_at(
                node,
                "jump",
                WARNING,
                f"it leaves {node.options['levels']:,} lists, and is inside of "
                f"{len(node.position):,}",
                "say how many lists are to be left",
            )
    for around in tree.walk():
        if isinstance(around.task, Definition):
            yield from _jumps_out(around)


def _jumps_out(around: OutlineNode) -> Iterator[Problem]:
    size = len(around.task)
    for node in around.children:
        if node.kind not in JUMPS or node.is_asked or node.branch != around.branch:
            continue
        target = node.position[-1] + node.options["step"]
        if 0 <= target < size:
            continue
        where = "past the end of" if target >= size else "before the first of"
        goes = "leaves the list" if target >= size else "goes to its first element"
        alone = "; a branch that is a single task is a list of its own" if size == 1 else ""
        yield problem_at(
            node,
            "jump",
            WARNING,
            f"it jumps {where} the {size:,} in its list, and so {goes}{alone}",
            "count the elements of the list that it stands in; BREAK leaves a list",
        )


def _constant(tree: OutlineNode) -> Iterator[Problem]:
    for node in tree.walk():
        for asked in node.children:
            answer = constant_of(asked.task) if asked.role == "condition" else None
            if answer is None or (node.kind == "WHILE" and answer):
                continue
            said = "always holds" if answer else "never holds"
            yield problem_at(
                node,
                "constant-condition",
                WARNING,
                f"its condition {asked.label} {said}, whatever the token is",
                "compare something of the token, as with OBJ_GET, or leave the condition out",
            )


def _duplicates(tree: OutlineNode) -> Iterator[Problem]:
    for around in tree.walk():
        groups: dict[str, list[OutlineNode]] = {}
        for node in around.children:
            if node.kind != SEQUENCE and node.name and node.branch == around.branch:
                groups.setdefault(node.name, []).append(node)
        for name, nodes in groups.items():
            if len(nodes) > 1:
                yield _duplicate(name, nodes)


def _duplicate(name: str, nodes: list[OutlineNode]) -> Problem:
    places = ", ".join(node.id for node in nodes[:SHOWN_PLACES])
    more = ", ..." if len(nodes) > SHOWN_PLACES else ""
    return problem_at(
        nodes[1],
        "duplicate-name",
        WARNING,
        f"{len(nodes):,} elements of its list are {name!r}, at {places}{more}: when the definition "
        "changes, a stored position at one cannot be told from one at another",
        "give each a name of its own",
    )
