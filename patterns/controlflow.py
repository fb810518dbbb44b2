"""The control-flow patterns under the name by which the Workflow manual imports them."""

from .branches import PARALLEL_SPLIT, SYNCHRONIZE
from .conditions import CHOICE, CMP, IF, IF_ELSE, IF_NOT, SIMPLE_MERGE
from .graph import GRAPH
from .jumps import (
    BREAK,
    HALT,
    OBJ_JUMP_BWD,
    OBJ_JUMP_FWD,
    OBJ_NEXT,
    STOP,
    TASK_JUMP_BWD,
    TASK_JUMP_FWD,
    TASK_JUMP_IF,
)
from .loops import FOR, WHILE

__all__ = [
    "BREAK",
    "CHOICE",
    "CMP",
    "FOR",
    "GRAPH",
    "HALT",
    "IF",
    "IF_ELSE",
    "IF_NOT",
    "OBJ_JUMP_BWD",
    "OBJ_JUMP_FWD",
    "OBJ_NEXT",
    "PARALLEL_SPLIT",
    "SIMPLE_MERGE",
    "STOP",
    "SYNCHRONIZE",
    "TASK_JUMP_BWD",
    "TASK_JUMP_FWD",
    "TASK_JUMP_IF",
    "WHILE",
]
