"""A flow that has a pool: ``holding.py DATABASE FOLDER HOW``.

HOW is ``held``, until it is killed or there is the file ``FOLDER/free``; or ``kept``: it keeps the
pool "shared", and when there is the file ``FOLDER/other``, it wants the pool "other", too. It makes
the file ``FOLDER/has`` when it has the first, and prints what became of the flow.
"""

import sys
import time
from pathlib import Path

from wfengine.steps import Sequent, StepStatus
from wfengine.steps.resources import ResourcePool

PATIENCE = 200.0


def wait_for(path):
    """Wait until there is a file."""
    end = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"there is no {path}")
        time.sleep(0.01)


def has(folder, awaited):
    """Say that it has begun, and wait for a file."""
    (Path(folder) / "has").touch()
    wait_for(Path(folder) / awaited)


def build(database, folder, how):
    """Return the flow."""
    shared = ResourcePool("shared", policy={"resource_limit": 1}).load()
    other = ResourcePool("other", policy={"resource_limit": 1}).load()
    flow = Sequent("holding", store=database, config={"task_construct": "thread"})
    if how == "held":
        flow.add_step("hold", has, (folder, "free"), acquires=[(shared, 1)])
        return flow
    keep = flow.add_step("keep", has, (folder, "other"), acquires=[(shared, 1)], releases=[])
    flow.add_step("want", acquires=[(other, 1)], func=int, requires=((keep, StepStatus.success),))
    return flow


if __name__ == "__main__":
    with build(*sys.argv[1:]) as flow:
        print(flow())
