"""The first tables: definitions, runs, tokens and their history."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(255)
STATUS = sa.String(16)
FINGERPRINT = sa.String(32)
MOMENT: sa.Double[float] = sa.Double()
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
    """Make the tables, each after those that it refers to."""
    _definitions(op)
    _runs(op)
    _tokens(op)
    _history(op)


def _definitions(op: Operations) -> None:
    op.create_table(
        "workflow_definition",
        _column("fingerprint", FINGERPRINT),
        _column("name", NAME),
        _column("skeleton", LONG_TEXT),
        _column("created", MOMENT),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_workflow_definition"),
        **OPTIONS,
    )


def _runs(op: Operations) -> None:
    op.create_table(
        "workflow",
        _column("id", NUMBER, autoincrement=True),
        _column("uuid", sa.String(36)),
        _column("name", NAME),
        _optional("fingerprint", FINGERPRINT),
        _column("status", STATUS),
        _column("token_pos", NUMBER),
        _column("token_count", NUMBER),
        _column("checkpoints", NUMBER),
        _column("extra_data", LONG_TEXT),
        _column("options", LONG_TEXT),
        _optional("root_id", NUMBER),
        _optional("branch", NAME),
        _optional("parent_object_id", NUMBER),
        _optional("forked_from", NUMBER),
        _optional("lease_owner", NAME),
        _column("lease_token", NUMBER),
        _optional("lease_expires", MOMENT),
        _optional("stop_requested", LONG_TEXT),
        _column("created", MOMENT),
        _optional("started", MOMENT),
        _optional("finished", MOMENT),
        _optional("error", LONG_TEXT),
        _optional("parent_id", NUMBER),
        sa.PrimaryKeyConstraint("id", name="pk_workflow"),
        sa.UniqueConstraint("parent_id", "branch", name="uq_workflow_parent_id_branch"),
        sa.UniqueConstraint("uuid", name="uq_workflow_uuid"),
        sa.ForeignKeyConstraint(["parent_id"], ["workflow.id"], name="fk_workflow_parent_id"),
        **OPTIONS,
    )
    op.create_index("ix_workflow_status", "workflow", ["status"])
    op.create_index("ix_workflow_root_id", "workflow", ["root_id"])
    op.create_index("ix_workflow_parent_object_id", "workflow", ["parent_object_id"])
    op.create_index("ix_workflow_name", "workflow", ["name"])


def _tokens(op: Operations) -> None:
    op.create_table(
        "workflow_object",
        _column("id", NUMBER, autoincrement=True),
        _column("token_pos", NUMBER),
        _column("data", LONG_TEXT),
        _column("status", STATUS),
        _optional("outcome", STATUS),
        _column("callback_pos", LONG_TEXT),
        _column("visits", LONG_TEXT),
        _optional("memory", LONG_TEXT),
        _column("steps", NUMBER),
        _column("attempts", sa.Integer()),
        _optional("action", LONG_TEXT),
        _optional("message", LONG_TEXT),
        _optional("payload", LONG_TEXT),
        _optional("decision", LONG_TEXT),
        _optional("error", LONG_TEXT),
        _optional("failure", FINGERPRINT),
        _column("since", MOMENT),
        _column("workflow_id", NUMBER),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_object"),
        sa.UniqueConstraint(
            "workflow_id", "token_pos", name="uq_workflow_object_workflow_id_token_pos"
        ),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflow.id"], name="fk_workflow_object_workflow_id"
        ),
        **OPTIONS,
    )
    op.create_index(
        "ix_workflow_object_workflow_id_status_token_pos",
        "workflow_object",
        ["workflow_id", "status", "token_pos"],
    )
    op.create_index(
        "ix_workflow_object_status_since",
        "workflow_object",
        ["status", "since"],
        **_only("status in ('HALTED', 'ERROR')"),
    )
    op.create_index(
        "ix_workflow_object_workflow_id_failure",
        "workflow_object",
        ["workflow_id", "failure"],
        **_only("failure is not null"),
    )


def _history(op: Operations) -> None:
    op.create_table(
        "task_execution",
        _column("id", NUMBER, autoincrement=True),
        _column("step", NUMBER),
        _column("event", STATUS),
        _column("path", LONG_TEXT),
        _column("name", LONG_TEXT),
        _column("visit", NUMBER),
        _column("attempt", sa.Integer()),
        _column("status", STATUS),
        _column("started", MOMENT),
        _column("finished", MOMENT),
        _optional("outcome", LONG_TEXT),
        _optional("inverse", LONG_TEXT),
        _optional("memory", LONG_TEXT),
        _column("object_id", NUMBER),
        sa.PrimaryKeyConstraint("id", name="pk_task_execution"),
        sa.UniqueConstraint("object_id", "step", name="uq_task_execution_object_id_step"),
        sa.ForeignKeyConstraint(
            ["object_id"], ["workflow_object.id"], name="fk_task_execution_object_id"
        ),
        **OPTIONS,
    )


def _column(name: str, kind: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, **options)


def _optional(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def _only(condition: str) -> dict[str, Any]:
    return {f"{dialect}_where": sa.text(condition) for dialect in ("sqlite", "postgresql")}
