"""A program that runs flows: ``python working.py URL FOLDER``, with what its flows do in a folder.

Each task writes a line ``flow task process`` to the file ``done``. With a file ``death-TASK`` in
the folder, that task kills its process once.
"""

import os
import signal
import sys
import time
from pathlib import Path

from wfengine.flows import FlowRunner, FlowTemplate, Task

PATIENCE = 60.0


class Work(Task):
    """Write down that it was run."""

    def __init__(self, name: str, folder: Path, failures: int = 0) -> None:
        self.name, self.folder, self.failures = name, folder, failures

    def run(self, context):
        self._meet_death()
        done = self.folder / "done"
        with done.open("a") as file:
            file.write(f"{context.get('flow')} {self.name} {os.getpid()}\n")
        own = f"{context.get('flow')} {self.name} "
        attempts = sum(line.startswith(own) for line in done.read_text().splitlines())
        if attempts <= self.failures:
            raise ValueError(f"attempt {attempts}")
        found = context.copy()
        found.set(self.name, attempts)
        return found

    def _meet_death(self) -> None:
        death = self.folder / f"death-{self.name}"
        if death.exists():
            death.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def template(folder: Path) -> FlowTemplate:
    """Return the flow: of its tasks the last fails twice, and is tried four times."""
    flow = FlowTemplate("working")
    for name in ("first", "second"):
        flow.add_task(Work(name, folder))
    return flow.add_task(Work("third", folder, failures=2), retries=3)


def main() -> None:
    """Say that it is ready, wait for the file ``go``, and run what is due."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    with FlowRunner(url) as runner:
        runner.register_flow_template(template(folder))
        (folder / f"ready-{os.getpid()}").touch()
        end = time.monotonic() + PATIENCE
        while not (folder / "go").exists() and time.monotonic() < end:
            time.sleep(0.001)
        print(*(flow.id for flow in runner.run_due()), flush=True)


if __name__ == "__main__":
    main()
