"""Running other processes."""

import os
import subprocess
from pathlib import Path


def run(*command: str | Path, **environment: str) -> str:
    """Run a command, with more in its environment if wanted, and return what it printed."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
    except subprocess.CalledProcessError as error:
        error.add_note(error.stderr)
        raise
    return done.stdout


def reason(error: OSError | subprocess.SubprocessError) -> str:
    """Return, in one line, why a command failed."""
    said = getattr(error, "stderr", None) or getattr(error, "output", None) or str(error)
    text = said if isinstance(said, str) else said.decode()
    return text.strip().splitlines()[-1]
