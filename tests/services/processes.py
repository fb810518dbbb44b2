"""Processes that tests start: what they do is in :mod:`helper`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["Helper"]

SCRIPT = Path(__file__).with_name("helper.py")
PATIENCE = 60


class Helper:
    """A process that says what it does in lines.

    :param arguments: what it is to do, and with what.
    """

    def __init__(self, *arguments: str, **options: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )

    def line(self) -> str:
        """Return the next line that it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def tell(self, line: str) -> None:
        """Say something to it."""
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def end(self, after: float = 0.0) -> tuple[str, int]:
        """Wait for its end; return what else it said, and its exit code.

        :param after: for so many seconds it works at least.
        """
        try:
            said, _ = self._process.communicate(timeout=after + PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            said, _ = self._process.communicate()
        return said.strip(), self._process.returncode
