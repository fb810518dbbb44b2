"""An input: a file, or standard input, read line by line in constant memory."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from enum import Enum
from io import BufferedReader
from pathlib import Path, PurePath
from typing import Self, cast

from attrs import define, field

from wfengine.cli.records import RecordError

__all__ = ["Format", "Source"]

BOM = b"\xef\xbb\xbf"
LONGEST_LINE = 100 * 2**20  # bytes; what has a longer line is no table, and would fill the memory


class Format(Enum):
    """How records are written."""

    CSV = "csv"
    JSON_LINES = "jsonl"


SUFFIXES = {".csv": Format.CSV, ".jsonl": Format.JSON_LINES, ".ndjson": Format.JSON_LINES}


@define(eq=False)
class Source:
    """An open input, as lines of text with their line ends.

    A byte that is not UTF-8 becomes a lone surrogate, so that whoever parses the line can say in
    which field it is.

    :param name: how the input is called in messages.
    :param line: the number of the line that was read last; 0 before the first.
    :param bytes_read: how far reading has come.
    :param size: all there is to read, in bytes, where that is known.
    """

    name: str
    stream: BufferedReader
    line: int = 0
    bytes_read: int = 0
    size: int | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        status = os.fstat(self.stream.fileno())
        self.size = status.st_size if stat.S_ISREG(status.st_mode) else None

    @classmethod
    def open(cls, path: str) -> Self:
        """Open a file; ``-`` is standard input.

        :raises OSError: when it cannot be read.
        """
        if path != "-":
            return cls(path, Path(path).open("rb"))
        if sys.stdin is None:
            raise OSError("standard input is closed")
        return cls("standard input", cast("BufferedReader", sys.stdin.buffer))

    def close(self) -> None:
        """Close the input."""
        self.stream.close()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self.stream.readline(LONGEST_LINE + 1)
        if not raw:
            raise StopIteration
        self.line += 1
        self.bytes_read += len(raw)
        if len(raw) > LONGEST_LINE:
            raise RecordError(
                f"the line is longer than {LONGEST_LINE:,} bytes", self.name, self.line
            )
        if self.line == 1:
            raw = raw.removeprefix(BOM)
        return raw.decode("utf-8", "surrogateescape")

    def guess_format(self) -> Format:
        """Return the format by the name's suffix, else by the first character."""
        known = SUFFIXES.get(PurePath(self.name).suffix.lower())
        if known is not None:
            return known
        start = self.stream.peek(1).removeprefix(BOM).lstrip()[:1]
        return Format.JSON_LINES if start in (b"{", b"[") else Format.CSV
