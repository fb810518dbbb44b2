"""What recovery does with a step, by the status that it had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wfengine.errors import WorkflowDefinitionError
from wfengine.steps.status import StepReplay, StepStatus

__all__ = ["DEFAULTS", "skipped"]

DEFAULTS = {
    StepStatus.ready: StepReplay.rerun,
    StepStatus.active: StepReplay.rerun,
    StepStatus.failure: StepReplay.rerun,
    StepStatus.success: StepReplay.skip,
}


def skipped(recovery: Mapping[Any, Any] | None, of: str) -> frozenset[str]:
    """Return the statuses in which a step is left as it is when its run is taken up again.

    :param recovery: what is not as in the defaults; ``complete`` stands for both ends.
    :raises WorkflowDefinitionError: for what is no status, or nothing to be done.
    """
    if recovery is not None and not isinstance(recovery, Mapping):
        raise WorkflowDefinitionError(f"{of}: recovery is a dictionary, not {recovery!r}")
    table = dict(DEFAULTS)
    for status, replay in (recovery or {}).items():
        if not isinstance(status, StepStatus) or not isinstance(replay, StepReplay):
            raise WorkflowDefinitionError(
                f"{of}: recovery maps statuses to what is done, as {{StepStatus.failure: "
                f"StepReplay.skip}}, and not {status!r} to {replay!r}"
            )
        both = (StepStatus.success, StepStatus.failure)
        table.update(dict.fromkeys(both if status is StepStatus.complete else (status,), replay))
    return frozenset(status.value for status, replay in table.items() if replay is StepReplay.skip)
