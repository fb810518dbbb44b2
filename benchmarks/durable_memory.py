"""Prints the peak memory, in bytes, of a process that runs the tokens that a store holds.

``python durable_memory.py URL UUID``
"""

import resource
import sys
from pathlib import Path

from durable_workloads import noop

from wfengine.engine_db import DbWorkflowEngine
from wfengine.store import Store

DEFINITION = [noop]


def peak() -> int:
    # What getrusage says of a process on Linux includes its parent's peak, which could hide a leak.
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(url: str, uuid: str) -> None:
    with Store(url, synchronous="OFF") as store:
        DbWorkflowEngine.from_uuid(uuid, store=store, definition=DEFINITION).resume()
        unfinished = store.find_run(uuid=uuid).status.name != "COMPLETED"
    assert not unfinished, "not all tokens were run"
    print(peak())


if __name__ == "__main__":
    main(*sys.argv[1:])
