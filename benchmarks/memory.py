"""Prints the peak memory, in bytes, of a process that pushes tokens from a generator.

``python memory.py TOKENS``
"""

import re
import resource
import sys
from pathlib import Path

from workloads import NOOPS, Token

from wfengine import GenericWorkflowEngine


def peak() -> int:
    # What getrusage says of a process on Linux includes its parent's peak, which could hide a leak.
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


engine = GenericWorkflowEngine()
engine.callbacks.replace(NOOPS[:3])
engine.process(Token() for _ in range(int(sys.argv[1])))
print(peak())
