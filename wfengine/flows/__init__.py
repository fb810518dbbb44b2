"""Linear flows: tasks one after the other, kept in a database, tried again, gone on with.

A :class:`Task` is written once, a :class:`FlowTemplate` puts tasks in order, and each flow of a
template is a durable run of the engine with one token: the entries of its
:class:`ExecutionContext`. A :class:`FlowRunner` schedules flows and runs what is due;
:class:`FlowService` tells about them, over a :class:`FlowRepository`.

How their statuses are stored, and shown by the command line and the console, is in
:data:`STORED_AS`:

=========== ============================ ============
flow        run                          has a time
=========== ============================ ============
CREATED     New                          no
SCHEDULED   New                          yes
RUNNING     Running                      no
SUCCEEDED   Completed                    no
FAILED      Error, or Halted by a person no
RESCHEDULED as when it had failed        yes
=========== ============================ ============
"""

from wfengine.flows.context import ExecutionContext
from wfengine.flows.errors import (
    FlowError,
    FlowStatusError,
    MissingEntryError,
    TaskTimeoutError,
    UnknownFlowError,
)
from wfengine.flows.executions import FlowExecution, TaskExecution
from wfengine.flows.repository import FlowRepository, PersistenceMode
from wfengine.flows.runner import FlowRunner
from wfengine.flows.service import FlowService
from wfengine.flows.status import STORED_AS, FlowStatus, StoredAs, TaskStatus
from wfengine.flows.tasks import Task, TaskDataItem
from wfengine.flows.templates import FlowTemplate

__all__ = [
    "STORED_AS",
    "ExecutionContext",
    "FlowError",
    "FlowExecution",
    "FlowRepository",
    "FlowRunner",
    "FlowService",
    "FlowStatus",
    "FlowStatusError",
    "FlowTemplate",
    "MissingEntryError",
    "PersistenceMode",
    "StoredAs",
    "Task",
    "TaskDataItem",
    "TaskExecution",
    "TaskStatus",
    "TaskTimeoutError",
    "UnknownFlowError",
]
