"""Runs that wait for their time, and which way of writing workflows began a run."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0003"
down_revision = "0002"


def upgrade(op: Operations) -> None:
    """Add what is not there yet: MariaDB and MySQL keep what a broken-off upgrade has made."""
    _column(op, sa.Column("due", sa.Double()))
    _column(op, sa.Column("style", sa.String(16)))
    _index(op, "status", "due")
    _index(op, "style", "status")


def _column(op: Operations, column: sa.Column[object]) -> None:
    known = {each["name"] for each in sa.inspect(op.get_bind()).get_columns("workflow")}
    if column.name not in known:
        op.add_column("workflow", column)


def _index(op: Operations, *columns: str) -> None:
    name = "_".join(("ix_workflow", *columns))
    known = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("workflow")}
    if name not in known:
        op.create_index(name, "workflow", list(columns))
