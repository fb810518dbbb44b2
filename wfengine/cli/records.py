"""Records: the tokens that are made of the rows of an input, and what can be wrong with one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wfengine.errors import WorkflowError

__all__ = ["Record", "RecordError"]


class Record(dict[str, Any]):
    """One row of an input: a dictionary of its fields that remembers where it comes from.

    :param fields: the fields by name.
    :param file: the input's name.
    :param line: the number of the line where the row begins, from 1.

    >>> Record({"dep_delay": "2"}, "flights.csv", 12)
    <flights.csv, line 12: {'dep_delay': '2'}>
    """

    __slots__ = ("file", "line")

    def __init__(
        self,
        fields: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        file: str = "",
        line: int = 0,
    ) -> None:
        super().__init__(fields)
        self.file = file
        self.line = line

    @property
    def origin(self) -> str:
        """Where the row comes from, as a person would say it."""
        return f"{self.file}, line {self.line}"

    def error(self, field: str, problem: object) -> RecordError:
        """Return an error to raise for one field; it names the file, the line and the field."""
        return RecordError(str(problem), self.file, self.line, field)

    def __repr__(self) -> str:
        return f"<{self.origin}: {super().__repr__()}>"


class RecordError(WorkflowError):
    """A row cannot be read, or something in it is not as it has to be.

    :param problem: what is wrong.
    :param file: the input's name.
    :param line: the number of the line where the row begins.
    :param field: the field's name, where it is one field's fault.
    :param last_line: where the row ends, when that is another line.

    >>> raise RecordError("'abc' is not a whole number", "flights.csv", 12, "dep_delay")
    Traceback (most recent call last):
    wfengine.cli.records.RecordError: flights.csv, line 12, field dep_delay: 'abc' is not a ...
    """

    def __init__(
        self,
        problem: str,
        file: str,
        line: int,
        field: str | None = None,
        last_line: int | None = None,
    ) -> None:
        lines = f"line {line}" if last_line in (None, line) else f"lines {line} to {last_line}"
        place = f"{file}, {lines}" + (f", field {field}" if field is not None else "")
        super().__init__(f"{place}: {problem}")
        self.args = (problem, file, line, field, last_line)
        self.problem = problem
        self.file = file
        self.line = line
        self.field = field
        self.last_line = last_line
