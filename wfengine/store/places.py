"""Where in a definition a token may be taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wfengine.callbacks import Definition, task_name
from wfengine.definitions.naming import NAMED_BY_ROLE
from wfengine.definitions.trees import tree_of
from wfengine.errors import PositionError, WorkflowAPIError
from wfengine.store.columns import storable_text
from wfengine.store.history import TASK, Step, no_such_step
from wfengine.store.records import RunRecord, TokenRecord, path_text, position_of

if TYPE_CHECKING:
    from wfengine.store.store import Store

__all__ = ["check_old_step", "check_step", "path_to"]


def check_step(step: Step, definition: Definition) -> None:
    """Refuse a step that was made when the definition was another."""
    position = step.position
    around, found = definition.at(position[:-1]), definition.at(position)
    is_end = isinstance(around, list) and position[-1] == len(around)
    is_same = found is not None and (not step.name or step.name in _names(found))
    if not (is_same or (is_end and step.event != TASK)):
        raise _was_another(step, None if found is None else task_name(found))


def check_old_step(store: Store, run: RunRecord, step: Step) -> None:
    """Refuse a step that was made when the definition was another than the run has now.

    The definition itself is not at hand, but the store knows what it looks like.
    """
    skeleton = store.skeleton(run.fingerprint)
    if skeleton is None:
        raise PositionError(
            f"the store does not know the definition that run {run.uuid} ran, and so not whether "
            f"step {step.step} belongs to it",
            run.uuid,
        )
    *around, index = step.position
    parent = tree_of(skeleton).at(around)
    found = None if parent is None else parent.at([index])
    is_end = parent is not None and index == len(parent.children) and step.event != TASK
    if not is_end and (found is None or not _may_be(found.label, step.name)):
        raise _was_another(step, None if found is None else found.label)


def _may_be(label: str, name: str) -> bool:
    """Return whether a task of a name may have a label, which says more of it, or its role."""
    start = re.match(r"[\w.<>]*", str(name))
    return label in NAMED_BY_ROLE or (start is not None and start[0] in label)


def _was_another(step: Step, now: str | None) -> PositionError:
    there = "nothing" if now is None else repr(now)
    return PositionError(
        f"step {step.step} was {step.name!r} at {step.path}, where the definition has {there}: it "
        "has changed since. Name a later step"
    )


def _names(found: Any) -> set[str]:
    """Return the names under which the history may know what is at a position."""
    names = {task_name(found)}
    if isinstance(found, Definition):
        names.add(task_name(found.lead))
    return {storable_text(name) for name in names}


def path_to(token: TokenRecord, steps: list[Step], to: int | str, definition: Definition) -> str:
    """Return the path that is meant, if a token can be moved there."""
    found = dict(_places_in(definition))
    if isinstance(to, int) or (to not in found and to not in found.values()):
        raise no_such_step(token, steps, to, also=[*found, *found.values()])
    paths = [to] if to in found else [path for path, name in found.items() if name == to]
    if len(paths) > 1:
        listed = ", ".join(paths[:5]) + (" ..." if len(paths) > 5 else "")
        raise WorkflowAPIError(f"{to!r} is the name of {len(paths)} tasks; name a path: {listed}")
    _check_entered(definition, paths[0])
    return paths[0]


def _places_in(definition: Definition) -> Iterator[tuple[str, str]]:
    """Yield the path and the name of everything in a definition."""
    waiting: list[tuple[list[int], Any]] = [([], definition)]
    while waiting:
        position, found = waiting.pop()
        if position:
            yield path_text(position), task_name(found)
        if isinstance(found, Definition):
            waiting.extend(([*position, index], found[index]) for index in range(len(found)))


def _check_entered(definition: Definition, path: str) -> None:
    """Refuse to move a token into what remembers how it was entered."""
    position = position_of(path)
    for length in range(1, len(position)):
        around = definition.at(position[:length])
        if around.is_pattern:
            entrance = path_text(position[:length])
            raise PositionError(
                f"{path} is inside of {task_name(around)} at {entrance}, which the token has not "
                f"entered there: move it to {entrance!r}, where that begins, or rewind to a step"
            )
