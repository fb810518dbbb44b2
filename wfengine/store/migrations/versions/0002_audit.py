"""The audit of what people do, and indexes for lists of runs."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(255)
LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")

OPTIONS: dict[str, Any] = {
    "sqlite_autoincrement": True,
    **{
        f"{dialect}_{option}": value
        for dialect in ("mysql", "mariadb")
        for option, value in {
            "engine": "InnoDB",
            "charset": "utf8mb4",
            "collate": "utf8mb4_bin",
        }.items()
    },
}


def upgrade(op: Operations) -> None:
    """Add what is not there yet: MariaDB and MySQL keep what a broken-off upgrade has made."""
    _audit(op)
    _index(op, "workflow_audit", "run_uuid")
    _index(op, "workflow_audit", "object_id")
    _index(op, "workflow", "parent_id", "created")


def _audit(op: Operations) -> None:
    op.create_table(
        "workflow_audit",
        sa.Column("id", NUMBER, nullable=False, autoincrement=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("who", NAME, nullable=False),
        sa.Column("action", NAME, nullable=False),
        sa.Column("run_uuid", sa.String(36)),
        sa.Column("object_id", NUMBER),
        sa.Column("details", LONG_TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_audit"),
        if_not_exists=True,
        **OPTIONS,
    )


def _index(op: Operations, table: str, *columns: str) -> None:
    name = "_".join(("ix", table, *columns))
    known = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
    if name not in known:
        op.create_index(name, table, list(columns))
