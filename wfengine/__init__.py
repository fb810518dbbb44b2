"""Push tokens through definitions: control flow that can be drawn, halted and resumed."""

from wfengine.engine import GenericWorkflowEngine, MachineState
from wfengine.errors import HaltProcessing, WorkflowDefinitionError, WorkflowError

__all__ = [
    "GenericWorkflowEngine",
    "HaltProcessing",
    "MachineState",
    "WorkflowDefinitionError",
    "WorkflowError",
    "__version__",
]

__version__ = "0.1.0"
