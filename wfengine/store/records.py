"""Rows as the engine works with them, read with care: what is damaged is said, and where."""

from __future__ import annotations

from typing import Any

from attrs import define, field, fields
from sqlalchemy import Text, select, type_coerce

from wfengine.errors import DamagedDataError
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.columns import Document
from wfengine.store.serialization import Types

__all__ = ["RunRecord", "TokenRecord", "columns_of", "path_text", "position_of"]


def columns_of(table: Any, *names: str) -> list[Any]:
    """Return columns to select, documents as the text that is stored."""
    return [
        type_coerce(table.c[name], Text).label(name)
        if isinstance(table.c[name].type, Document)
        else table.c[name]
        for name in names
    ]


def path_text(position: Any) -> str:
    """Return a position as it is stored.

    >>> path_text([0, 2, 1])
    '0.2.1'
    """
    return ".".join(map(str, position))


def position_of(text: str) -> list[int]:
    """Return a stored position as indexes, one for each level.

    :raises DamagedDataError: for anything else.
    """
    parts = text.split(".") if isinstance(text, str) else []
    if not parts or not all(
        part.isascii() and part.isdecimal() and len(part) < 19 for part in parts
    ):
        shown = repr(text)[:60]
        raise DamagedDataError(f"{shown} is no position; one looks like 0.2.1")
    return [int(part) for part in parts]


def _status(kind: Any, name: Any) -> Any:
    try:
        return kind[name]
    except KeyError:
        raise DamagedDataError(f"{name!r} is no status: {', '.join(kind.__members__)}") from None


def _check_counts(row: Any, **least: int) -> None:
    for name, number in least.items():
        found = getattr(row, name)
        if not isinstance(found, int) or found < number:
            raise DamagedDataError(f"{name} is {str(found)[:40]!r}, and at least {number}")


@define
class RunRecord:
    """A row of the table of runs."""

    id: int
    uuid: str
    name: str
    fingerprint: str | None
    status: WorkflowStatus
    token_pos: int
    token_count: int
    checkpoints: int
    extra_text: str
    options: dict[str, Any]
    root_id: int | None
    parent_id: int | None
    parent_object_id: int | None
    branch: str | None

    @classmethod
    def query(cls, table: Any) -> Any:
        """Return the query for such rows."""
        return select(
            *columns_of(
                table,
                "id",
                "uuid",
                "name",
                "fingerprint",
                "status",
                "token_pos",
                "token_count",
                "checkpoints",
                "extra_data",
                "options",
                "root_id",
                "parent_id",
                "parent_object_id",
                "branch",
            )
        )

    @property
    def is_left_to_itself(self) -> bool:
        """Whether it is a branch that nobody waits for."""
        return bool(self.options.get("outlives") and not self.options.get("waits"))

    @classmethod
    def of(cls, row: Any) -> RunRecord:
        """Read one.

        :raises DamagedDataError: naming the row, when it cannot be what was written.
        """
        try:
            _check_counts(row, token_pos=-1, token_count=0, checkpoints=0)
            options = Types.plain(row.options)
            if not isinstance(options, dict):
                raise DamagedDataError("the options are no document")
            names = {attribute.name for attribute in fields(cls)}
            values = {name: value for name, value in row._mapping.items() if name in names}
            values["options"] = options
            values["status"] = _status(WorkflowStatus, row.status)
            values["extra_text"] = row.extra_data
            return cls(**values)
        except DamagedDataError as error:
            raise DamagedDataError(error.message, row=f"workflow {row.id}") from error


@define(eq=False)
class TokenRecord:
    """A row of the table of tokens.

    :param text: its data, as stored.
    :param path: its position, as stored.
    :param is_dirty: whether the object in memory may differ from what is stored.
    """

    id: int
    index: int
    text: str
    status: ObjectStatus
    outcome: str | None
    path: str
    visits: list[int]
    memory: str | None
    steps: int
    attempts: int
    decision: str | None
    is_dirty: bool = field(default=False)

    @classmethod
    def query(cls, table: Any) -> Any:
        """Return the query for such rows."""
        return select(
            *columns_of(
                table,
                "id",
                "workflow_id",
                "token_pos",
                "data",
                "status",
                "outcome",
                "callback_pos",
                "visits",
                "memory",
                "steps",
                "attempts",
                "decision",
            )
        )

    @classmethod
    def of(cls, row: Any) -> TokenRecord:
        """Read one.

        :raises DamagedDataError: naming the row, when it cannot be what was written.
        """
        try:
            position = position_of(row.callback_pos)
            visits = position_of(row.visits)
            if len(visits) > len(position):
                raise DamagedDataError(f"{row.visits!r} does not fit position {row.callback_pos!r}")
            _check_counts(row, steps=0, attempts=0)
            return cls(
                row.id,
                row.token_pos,
                row.data,
                _status(ObjectStatus, row.status),
                row.outcome,
                row.callback_pos,
                visits,
                row.memory,
                row.steps,
                row.attempts,
                row.decision,
            )
        except DamagedDataError as error:
            raise DamagedDataError(error.message, row=f"workflow_object {row.id}") from error

    def value(self, types: Types) -> Any:
        """Return its data.

        :raises DamagedDataError: naming the row.
        """
        try:
            return types.loads(self.text)
        except DamagedDataError as error:
            raise DamagedDataError(error.message, row=f"workflow_object {self.id}") from error

    @property
    def position(self) -> list[int]:
        """Its position as indexes."""
        return position_of(self.path)
