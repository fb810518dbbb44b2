"""The database behind durable runs."""

from wfengine.store.models import (
    Base,
    Models,
    TaskExecution,
    TaskExecutionMixin,
    Workflow,
    WorkflowAudit,
    WorkflowAuditMixin,
    WorkflowDefinition,
    WorkflowDefinitionMixin,
    WorkflowMixin,
    WorkflowObject,
    WorkflowObjectMixin,
)
from wfengine.store.serialization import Types
from wfengine.store.store import Store

__all__ = [
    "Base",
    "Models",
    "Store",
    "TaskExecution",
    "TaskExecutionMixin",
    "Types",
    "Workflow",
    "WorkflowAudit",
    "WorkflowAuditMixin",
    "WorkflowDefinition",
    "WorkflowDefinitionMixin",
    "WorkflowMixin",
    "WorkflowObject",
    "WorkflowObjectMixin",
]
