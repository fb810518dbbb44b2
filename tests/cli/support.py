"""The installed command, as a person or a script starts it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import Self

from attrs import frozen

PATIENCE = 60.0

UNHEARD = 10.0
"""Seconds after which Ctrl-C was not heard."""
"""Seconds after which a command that hangs fails its test."""

ENVIRONMENT = {
    **{
        name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")
    },
    "COLUMNS": "100",
    "TERM": "xterm",
}

MODULE = [sys.executable, "-m", "wfengine"]
SCRIPT = [str(Path(sys.executable).with_name("wfengine"))]

# Started from a background job, a command would ignore Ctrl-C; this puts that right.
WITH_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
INTERRUPTIBLE = [sys.executable, "-c", WITH_CTRL_C, *MODULE]


@frozen
class Done:
    """What came of a command."""

    status: int
    out: str
    err: str

    def numbers(self) -> dict[str, int]:
        """The numbers of the summary, by label."""
        parts = (line.rsplit(None, 1) for line in self.out.splitlines())
        return {
            part[0].strip(): int(part[1].replace(",", ""))
            for part in parts
            if len(part) == 2 and part[1].replace(",", "").isdigit()
        }


class Folder:
    """A folder with files, and the command run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write(self, **files: str | bytes) -> Self:
        """Write files; ``rows_csv`` is the file ``rows.csv``."""
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else content.encode()
            (self.path / name.replace("_", ".")).write_bytes(raw)
        return self

    def wfengine(self, *arguments: str, stdin: str | bytes = b"", command=MODULE) -> Done:
        """Run the command to its end."""
        done = subprocess.run(
            [*command, *map(str, arguments)],
            cwd=self.path,
            env=ENVIRONMENT,
            input=stdin if isinstance(stdin, bytes) else stdin.encode(),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def run(self, *arguments: str, stdin: str | bytes = b"") -> Done:
        """Run ``wfengine run`` to its end."""
        return self.wfengine("run", *arguments, stdin=stdin)

    def start(self, *arguments: str, command=INTERRUPTIBLE) -> "Started":
        """Start ``wfengine run`` with pipes, to talk to it while it runs."""
        return Started(
            subprocess.Popen(
                [*command, "run", *map(str, arguments)],
                cwd=self.path,
                env=ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )


class Started:
    """A command that is running."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.too_late = Timer(PATIENCE, process.kill)

    def __enter__(self) -> Self:
        self.too_late.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.too_late.cancel()
        self.too_late.join()
        with self.process:
            self.process.kill()

    def type(self, text: str) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def line(self) -> str:
        """Wait for a line on its standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().rstrip("\n")

    def error_line(self) -> str:
        """Wait for a line on its standard error that is not blank."""
        assert self.process.stderr is not None
        return next(line.decode().rstrip("\n") for line in self.process.stderr if line.strip())

    def press_ctrl_c(self) -> None:
        """Do what a terminal does for Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end_without_closing_its_input(self) -> Done:
        """Wait for its end, while there might still be something to read.

        Ctrl-C in the very moment before it waits is noticed with the next one, as people know.
        """
        try:
            status = self.process.wait(timeout=UNHEARD)
        except subprocess.TimeoutExpired:
            self.press_ctrl_c()
            status = self.process.wait(timeout=PATIENCE)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        out, err = self.process.stdout.read(), self.process.stderr.read()
        return Done(status, out.decode(), err.decode())

    def end(self) -> Done:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return Done(self.process.returncode, out.decode(), err.decode())
