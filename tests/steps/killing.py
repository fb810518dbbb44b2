"""A flow in a process of its own, that tests kill: ``killing.py URL FOLDER MODE CONSTRUCT [SEED]``.

Each call of a step's function is a line in ``FOLDER/calls``: that it begins, and that it has
succeeded. The step ``slow`` of each round waits for the file ``FOLDER/go``. With a seed, it is a
random flow instead.

Without arguments it forks such processes, one for each line with these that it reads, and says how
each has ended: a new interpreter takes long to start.
"""

import os
import sys
import time
from pathlib import Path

from graphs import add, flow_to_kill

from wfengine.steps import RunMode, Sequent, StepStatus

NAMES = ("a", "b", "c")
OK = StepStatus.success

ATTEMPT = "ATTEMPT"
"""In the environment: which process of the flow it is, told by whoever starts it."""


def work(folder, failing=()):
    """Note the call, at its beginning and at its end."""
    call = f"{Sequent.get_step_name()}/{Sequent.get_step_sequence()}"
    told = [os.getpid(), os.environ.get("SEQUENT_STEP_RECOVERY"), os.environ.get(ATTEMPT)]
    with (Path(folder) / "calls").open("a", encoding="utf-8") as calls:
        calls.write(f"begins {call} {' '.join(map(str, told))}\n")
        calls.flush()
        time.sleep(0.01)
        if call.startswith("box_slow"):
            while not (Path(folder) / "go").exists():
                time.sleep(0.01)
        if call in failing:
            raise ValueError(f"{call} was told to")
        calls.write(f"ends {call}\n")
    return call


def build(url, folder, mode, construct, seed=None):
    """Return the flow."""
    flow = Sequent(
        "killed",
        store=url,
        run_mode=RunMode[mode],
        config={"task_construct": construct, "max_concurrent": 2},
    )
    if seed is None:
        add_steps(flow, folder)
    else:
        random_flow, failing = flow_to_kill(seed, construct)
        add(flow, random_flow, work, (folder, failing))
    return flow


def add_steps(flow, folder):
    """Add the steps of the flow that is not random."""
    first = flow.add_step("first", work, (folder,))
    box = flow.add_step("box", repeats=[1, 2], requires=((first, OK),))
    slow = box.add_step("slow", work, (folder,))
    for name in NAMES:
        box.add_step(name, work, (folder,))
    box.add_step("joined", work, (folder,), requires=((slow, OK), *((n, OK) for n in NAMES)))
    flow.add_step("last", work, (folder,), requires=((box, OK),))


def run(arguments):
    """Run the flow to its end."""
    with build(*arguments) as flow:
        print(flow(), flush=True)


def serve():
    """Fork a process for each line, whose first word says which one it is; tell its pid and end."""
    import wfengine.engine_db
    import wfengine.store  # noqa: F401 - so that those that are forked have it

    for line in sys.stdin:
        attempt, folder, *arguments = line.split()
        pid = os.fork()
        if not pid:
            os.environ[ATTEMPT] = attempt
            out = os.open(f"{folder}/out{attempt}", os.O_CREAT | os.O_WRONLY)
            os.dup2(out, 1)
            os.dup2(out, 2)
            run((arguments[0], folder, *arguments[1:]))
            os._exit(0)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    run(sys.argv[1:]) if sys.argv[1:] else serve()
