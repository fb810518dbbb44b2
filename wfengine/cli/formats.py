"""The formats of an input: CSV with a header row, and JSON Lines.

A reader yields a record for each row, or in its place the :class:`RecordError` that says what is
wrong with the row. It raises one when nothing that follows can be read either.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import islice

from wfengine.cli.decoding import JsonError, JsonSyntaxError, decoded, repeated
from wfengine.cli.records import Record, RecordError
from wfengine.cli.sources import Format, Source

__all__ = ["read"]

WHITE_SPACE = " \t\r\n"

Row = Record | RecordError

NOT_TEXT = re.compile("[\0\udc80-\udcff]")  # what Source makes of bytes that are not UTF-8, and NUL

TOO_LONG = "field larger than field limit"
CSV_PROBLEMS = {
    "unexpected end of data": "the quote that begins it is never closed",
    TOO_LONG: f"it is longer than {csv.field_size_limit():,} characters; is a quote not closed?",
    "',' expected after": "there is more behind the closing quote; a quote inside is written twice",
    "new-line character seen": "it holds a carriage return, and is not quoted",
}


def read(source: Source, written_as: Format | None = None) -> Iterator[Row]:
    """Return the rows of an input, by default in the format that it seems to have."""
    readers = {Format.CSV: read_csv, Format.JSON_LINES: read_json_lines}
    return readers[written_as or source.guess_format()](source)


def read_csv(source: Source) -> Iterator[Row]:
    """Read rows as the header row names their fields; blank lines are passed over.

    :raises RecordError: for a header row that names no fields, and for a quoted text so long that
        nobody can tell where the next row begins.
    """
    lines = _HeldLines(source)
    rows = csv.reader(lines, strict=True)
    header: list[str] = []
    while True:
        lines.held.clear()
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            found = _csv_error(error, lines, header)
            if not header or (str(error).startswith(TOO_LONG) and len(lines.held) > 1):
                raise found from None
            yield found
        else:
            if header and row:
                yield _record(header, row, lines)
            elif row:
                header = _checked_header(row, lines)


class _HeldLines:
    """The lines of a source; those of the current row are held, to find what is wrong in it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.held: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self.source)
        self.held.append(line)
        return line

    @property
    def first(self) -> int:
        """The number of the row's first line."""
        return self.source.line - max(len(self.held) - 1, 0)

    def error(self, problem: str, field: str | None = None) -> RecordError:
        return RecordError(problem, self.source.name, self.first, field, self.source.line)


def _checked_header(header: list[str], lines: _HeldLines) -> list[str]:
    bad = _not_text(header)
    if bad is not None:
        raise lines.error(f"the header row is no text: {_strange(header[bad])}", str(bad + 1))
    if "" in header:
        raise lines.error(f"column {header.index('') + 1} has no name in the header row")
    twice = repeated(header)
    if twice:
        raise lines.error(f"the header row has two columns of the same name: {twice}")
    return header


def _record(header: list[str], row: list[str], lines: _HeldLines) -> Row:
    has, wants = len(row), len(header)
    if has < wants:
        return lines.error(f"the row has {has} of {wants} fields; missing: {_list(header[has:])}")
    if has > wants:
        extra = _list(map(repr, row[wants:]))
        return lines.error(f"the row has {has} fields, the header row {wants}; too many: {extra}")
    bad = None if _not_text(lines.held) is None else _not_text(row)
    if bad is not None:
        return lines.error(_strange(row[bad]), header[bad])
    return Record(zip(header, row, strict=True), lines.source.name, lines.first)


def _list(names: Iterable[str]) -> str:
    first = list(islice(names, 6))
    return ", ".join(first[:5]) + (", ..." if len(first) > 5 else "")


def _not_text(texts: list[str]) -> int | None:
    """Return the index of the first that holds what is no text, if there is one."""
    return next((index for index, text in enumerate(texts) if NOT_TEXT.search(text)), None)


def _strange(text: str) -> str:
    """Return what is wrong with a text that is none."""
    found = NOT_TEXT.search(text)
    char = found[0] if found else "\0"
    return "it holds a NUL" if char == "\0" else f"byte 0x{ord(char) - 0xDC00:02x} is not UTF-8"


def _csv_error(error: csv.Error, lines: _HeldLines, header: list[str]) -> RecordError:
    message = str(error)
    known = (problem for start, problem in CSV_PROBLEMS.items() if message.startswith(start))
    index = _failing_field("".join(lines.held))
    field = header[index] if index < len(header) else str(index + 1)
    return lines.error(next(known, message), field)


def _failing_field(text: str) -> int:
    """Return the index of the field in which parsing a row fails, or ends too early."""
    good, bad = 0, len(text) + 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if _fails(text[:middle]):
            bad = middle
        else:
            good = middle
    fields = next(csv.reader(StringIO(text[:good], newline="\n")), [""])
    return len(fields) - 1


def _fails(text: str) -> bool:
    """Return whether a part of a row is wrong already, whatever may follow."""
    try:
        next(csv.reader(StringIO(text, newline="\n"), strict=True), None)
    except csv.Error as error:
        return not str(error).startswith("unexpected end")
    return False


def read_json_lines(source: Source) -> Iterator[Row]:
    """Read an object from each line; blank lines are passed over.

    :raises RecordError: for an array, which is another format.
    """
    texts = ((source.line, line.rstrip(WHITE_SPACE)) for line in source)
    for place, (line, text) in enumerate((line, text) for line, text in texts if text):
        if not place and text.lstrip(WHITE_SPACE).startswith("["):
            raise RecordError(
                "the input is a JSON array, and JSON Lines has an object on each line "
                "(jq -c '.[]' makes one from the other)",
                source.name,
                line,
            )
        yield _json_record(text, source)


def _json_record(text: str, source: Source) -> Row:
    try:
        _refuse_strange(text)
        found = decoded(text)
        if isinstance(found, dict):
            return Record(found, source.name, source.line)
        problem = f"it is {_json_kind(found)}, not an object"
    except JsonSyntaxError as error:
        problem = f"it is not JSON: {error.problem} (column {error.column})"
    except JsonError as error:
        problem = str(error)
    return RecordError(problem, source.name, source.line)


def _refuse_strange(text: str) -> None:
    found = NOT_TEXT.search(text)
    if found:
        raise JsonError(f"{_strange(found[0])} (column {found.start() + 1})")


def _json_kind(value: object) -> str:
    kinds = {list: "an array", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
