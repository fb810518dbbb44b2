"""Counting: numbers that a workflow adds up while it runs, and that its reports show."""

from __future__ import annotations

from threading import Lock
from typing import Any

from wfengine.callbacks import Task, task_name
from wfengine.description import Description, Part, described
from wfengine.errors import WorkflowDefinitionError

from .parts import as_condition, ask, named, then

__all__ = ["COUNT"]

COUNTS = "counts"
_adding = Lock()


def COUNT(name: Any) -> Task:
    """Add one to ``eng.extra_data["counts"][name]``.

    Branches count into the engine that they are branches of. ``wfengine run`` prints the counts
    when the run ends.

    :param name: what is counted; a text, or a callable ``(obj, eng)`` that returns it.

    >>> from wfengine import GenericWorkflowEngine
    >>> engine = GenericWorkflowEngine()
    >>> engine.callbacks.replace([COUNT("seen"), COUNT(lambda obj, eng: f"of kind {obj}")])
    >>> engine.process(["a", "b", "a"])
    >>> engine.extra_data["counts"]
    {'seen': 3, 'of kind a': 2, 'of kind b': 1}
    """
    if callable(name):
        as_condition(name, "COUNT's name is a text, or")
    elif not isinstance(name, str):
        raise WorkflowDefinitionError(f"COUNT's name is a text or a callable, not {name!r}")
    label = task_name(name) if callable(name) else name

    def task(obj: Any, eng: Any) -> Any:
        return then(ask(name, obj, eng), lambda found: _add_one(eng, found))

    return described(
        named(task, f"COUNT({label})"),
        Description("COUNT", parts=(Part("name", name),), label=label),
    )


def _add_one(eng: Any, name: str) -> None:
    while eng.parent is not None:
        eng = eng.parent
    with _adding:
        counts = eng.extra_data.setdefault(COUNTS, {})
        counts[name] = counts.get(name, 0) + 1
