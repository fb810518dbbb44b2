"""The other patterns under the name by which the Workflow manual imports them."""

from .attempts import TRY
from .branches import RUN_WF
from .counting import COUNT
from .diagnostics import DEBUG_CYCLE, PROFILE
from .values import CALLFUNC, EMPTY_CALL, ENG_GET, ENG_SET, ERROR, OBJ_GET, OBJ_SET

__all__ = [
    "CALLFUNC",
    "COUNT",
    "DEBUG_CYCLE",
    "EMPTY_CALL",
    "ENG_GET",
    "ENG_SET",
    "ERROR",
    "OBJ_GET",
    "OBJ_SET",
    "PROFILE",
    "RUN_WF",
    "TRY",
]
