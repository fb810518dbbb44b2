"""Run the figures of the kernel, of durable runs, of steps and of drawings, all or those named.

Options go to all; those that only durable runs have (``--peers``, ``--million``, ``--directory``)
go there.
"""

import subprocess
import sys
from pathlib import Path

import drawings
import durable
import kernel
import steps

HERE = Path(__file__).parent
DURABLE = {**durable.FIGURES, **durable.PEERS}
STEPS = {**steps.FIGURES, **steps.ON_DEMAND}
ONLY_DURABLE = ("--peers", "--million", "--directory")


def main(arguments: list[str]) -> int:
    """Run the scripts, each with what is meant for it; return the worse exit status."""
    names = {
        "kernel.py": [name for name in arguments if name in kernel.FIGURES],
        "durable.py": [name for name in arguments if name in DURABLE],
        "steps.py": [name for name in arguments if name in STEPS],
        "drawings.py": [name for name in arguments if name in drawings.FIGURES],
    }
    known = (*kernel.FIGURES, *DURABLE, *STEPS, *drawings.FIGURES)
    options = [each for each in arguments if each not in known]
    has_own = any(option.startswith(ONLY_DURABLE) for option in options)
    status = 0
    for script, wanted in names.items():
        is_meant = bool(wanted) or not any(names.values())
        if is_meant and not (has_own and script != "durable.py"):
            command = [sys.executable, str(HERE / script), *wanted, *options]
            status = max(status, subprocess.run(command, check=False).returncode)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
