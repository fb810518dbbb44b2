"""The settings of a flow and of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from attrs import evolve, frozen

from wfengine.errors import WorkflowDefinitionError
from wfengine.steps.constructs import Construct, construct_of

__all__ = ["DEFAULTS", "Config"]

OF_STEPS = ("task_construct", "max_concurrent", "stop_on_exception")
KNOWN = (*OF_STEPS, "workdir", "logdir", "sleep_between_loops")


@frozen
class Config:
    """How steps are run.

    :param construct: where their functions are run.
    :param limit: how many of them may run at a time; None for no limit.
    :param stops: whether the failure of one keeps the others from beginning.
    """

    construct: Construct
    limit: int | None = 1
    stops: bool = True

    def with_settings(self, config: Mapping[str, Any], of: str) -> Config:
        """Return these with others in the place of some.

        ``workdir``, ``logdir`` and ``sleep_between_loops`` are accepted and mean nothing: nothing
        is written there, and nothing is waited for by looking again and again.

        :raises WorkflowDefinitionError: for what cannot be meant.
        """
        if not isinstance(config, Mapping):
            raise WorkflowDefinitionError(f"{of}: config is a dictionary, not {config!r}")
        for key in config:
            if key not in KNOWN:
                raise WorkflowDefinitionError(f"{of}: {_unknown(key)}")
        found = self
        if "task_construct" in config:
            found = evolve(found, construct=construct_of(config["task_construct"], of))
        if "max_concurrent" in config:
            found = evolve(found, limit=_limit(config["max_concurrent"], of))
        if "stop_on_exception" in config:
            found = evolve(found, stops=_stops(config["stop_on_exception"], of))
        return found


def _limit(number: Any, of: str) -> int | None:
    if isinstance(number, bool) or not isinstance(number, int):
        raise WorkflowDefinitionError(f"{of}: max_concurrent is a whole number, not {number!r}")
    return number if number >= 1 else None


def _stops(found: Any, of: str) -> bool:
    if not isinstance(found, bool):
        raise WorkflowDefinitionError(f"{of}: stop_on_exception is True or False, not {found!r}")
    return found


def _unknown(key: Any) -> str:
    near = get_close_matches(str(key), KNOWN, 1)
    advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KNOWN)}"
    return f"config has no {key!r}; {advice}"


DEFAULTS = Config(construct_of("process", "the defaults"))
