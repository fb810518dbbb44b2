"""What a store and its engines have to tell while a command runs, as sentences for people."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from wfengine.cli.printing import print_text

__all__ = ["notes_printed"]


class _Notes(logging.Handler):
    """Prints what is logged, unless the workflow's own code has set up logging."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line, or more, on standard error."""
        if logging.getLogger().handlers:
            return
        try:
            text = record.getMessage()
            print_text(Console(stderr=True), f"Note: {text}", "yellow")
        except Exception:  # noqa: BLE001 - as logging has it: a note never ends a command
            self.handleError(record)


@contextmanager
def notes_printed() -> Iterator[None]:
    """Print the warnings of wfengine's own parts, while entered."""
    log, handler = logging.getLogger("wfengine"), _Notes(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
