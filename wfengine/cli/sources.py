"""An input: a file, or standard input, read line by line in constant memory."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import PurePath
from typing import BinaryIO, Self

from attrs import define, field

__all__ = ["Format", "Source", "is_suspect"]

BOM = b"\xef\xbb\xbf"
STANDARD_INPUT = "standard input"
LONGEST_LINE = 100 * 2**20
"""Bytes; what has a longer line is no table, and would fill the memory."""


class Format(Enum):
    """How records are written."""

    CSV = "csv"
    JSON_LINES = "jsonl"


SUFFIXES = {".csv": Format.CSV, ".jsonl": Format.JSON_LINES, ".ndjson": Format.JSON_LINES}


@define(eq=False)
class Source:
    """An open input, as lines of text.

    Bytes that are not UTF-8 become lone surrogates, so that whoever parses the line can say in
    which field they are; see :func:`is_suspect`.

    :param name: how the input is called in messages.
    :param line: the number of the line that was read last; 0 before the first.
    :param bytes_read: how far reading has come, of ``size``.
    """

    name: str
    stream: BinaryIO
    line: int = 0
    bytes_read: int = 0
    size: int | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.size = _size(self.stream)

    @classmethod
    def open(cls, path: str) -> Self:
        """Open a file; ``-`` is standard input.

        :raises OSError: when it cannot be read.
        """
        if path == "-":
            return cls(STANDARD_INPUT, sys.stdin.buffer)
        return cls(path, open(path, "rb"))  # noqa: PTH123, SIM115 - it is closed by close()

    def close(self) -> None:
        """Close the file."""
        self.stream.close()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self.stream.readline(LONGEST_LINE)
        if not raw:
            raise StopIteration
        self.line += 1
        self.bytes_read += len(raw)
        if len(raw) == LONGEST_LINE:
            raise OSError(f"line {self.line} is longer than {LONGEST_LINE >> 20} MiB")
        if self.line == 1:
            raw = raw.removeprefix(BOM)
        return raw.decode("utf-8", "surrogateescape")

    def guess_format(self) -> Format:
        """Return the format by the name's suffix, else by the first character."""
        by_suffix = SUFFIXES.get(PurePath(self.name).suffix.lower())
        return by_suffix or (Format.JSON_LINES if self._peek() in (b"{", b"[") else Format.CSV)

    def _peek(self) -> bytes:
        """Return the first byte that is not white space."""
        start: bytes = self.stream.peek(1)  # type: ignore[attr-defined] - it is buffered
        return start.removeprefix(BOM).lstrip()[:1]


def _size(stream: BinaryIO) -> int | None:
    """Return the number of bytes, or None where it is not known beforehand."""
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def is_suspect(text: str) -> bool:
    """Return whether a text holds bytes that were not UTF-8, or a NUL."""
    return "\0" in text or not text.isascii() and any("\udc80" <= char <= "\udcff" for char in text)
