"""Flows of steps with requirements, as Sequent has them; ``import wfengine.steps as seq``.

A step that is ready, active, successful or failed is a run whose stored status is, in this order,
``NEW``, ``RUNNING`` (or ``HALTED``, when it was stopped), ``COMPLETED`` or ``ERROR``:
:data:`STORED_STATUSES`.
"""

from wfengine.steps import resources
from wfengine.steps.errors import ResourceDeadlockError, StepEndedError, StepError
from wfengine.steps.flow import Sequent
from wfengine.steps.requirements import Event, and_, or_
from wfengine.steps.resources import Resource, ResourcePool
from wfengine.steps.status import STORED_STATUSES, RunMode, StepReplay, StepStatus
from wfengine.steps.steps import Step

__all__ = [
    "STORED_STATUSES",
    "Event",
    "Resource",
    "ResourceDeadlockError",
    "ResourcePool",
    "RunMode",
    "Sequent",
    "Step",
    "StepEndedError",
    "StepError",
    "StepReplay",
    "StepState",
    "StepStatus",
    "and_",
    "or_",
    "resources",
]

StepState = StepStatus
"""The manual uses both names."""
