"""The tables: runs, their tokens, what was done to each, by whom, and the definitions they ran.

Each is a mixin of columns, so that a user can have the same on a declarative Base of their own,
with other table names, further columns and relationships, and a model on wfengine's own
:class:`Base`::

    class Order(WorkflowObjectMixin, MyBase):
        __tablename__ = "orders"
        __workflow_table__ = "order_runs"
        customer: Mapped[str | None]
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from sqlalchemy import (
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, relationship

from wfengine.store.columns import Document, Id, LongText, Moment, Name

__all__ = [
    "Base",
    "Models",
    "TaskExecution",
    "TaskExecutionMixin",
    "Workflow",
    "WorkflowAudit",
    "WorkflowAuditMixin",
    "WorkflowDefinition",
    "WorkflowDefinitionMixin",
    "WorkflowMixin",
    "WorkflowObject",
    "WorkflowObjectMixin",
]

OPTIONS = {
    "sqlite_autoincrement": True,  # an id is never used twice
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

STATUS = Name(16)


def _only(condition: dict[str, Any]) -> dict[str, Any]:
    """Return how an index is confined to some rows; MariaDB and MySQL index all of them."""
    return {
        f"{dialect}_{key}": value
        for dialect in ("sqlite", "postgresql")
        for key, value in condition.items()
    }


def _index(model: Any, *columns: str, **options: Any) -> Index:
    """Return an index whose name does not depend on the conventions of a user's Base."""
    return Index("_".join(("ix", model.__tablename__, *columns)), *columns, **options)


class Base(DeclarativeBase):
    """The tables that a :class:`~wfengine.store.Store` makes by itself."""

    metadata = MetaData(naming_convention=NAMING)


class WorkflowDefinitionMixin:
    """What a definition looked like when a run was started with it."""

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805 - as SQLAlchemy has it
        return (OPTIONS,)

    fingerprint: Mapped[str] = mapped_column(Name(32), primary_key=True)
    name: Mapped[str] = mapped_column(Name)
    skeleton: Mapped[Any] = mapped_column(Document)
    """Each position with the label of what is there."""
    created: Mapped[Any] = mapped_column(Moment)


class WorkflowMixin:
    """A run."""

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        return (
            UniqueConstraint("parent_id", "branch"),
            _index(cls, "status"),
            _index(cls, "root_id"),
            _index(cls, "parent_object_id"),
            _index(cls, "name"),
            _index(cls, "parent_id", "created"),
            _index(cls, "status", "due"),
            _index(cls, "style", "status"),
            OPTIONS,
        )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(Name(36), unique=True)
    name: Mapped[str] = mapped_column(Name)
    fingerprint: Mapped[str | None] = mapped_column(Name(32))
    """Of the definition that the positions of its tokens belong to."""
    status: Mapped[str] = mapped_column(STATUS)
    """The name of a :class:`~wfengine.status.WorkflowStatus`."""
    token_pos: Mapped[int] = mapped_column(Id)
    """How far the pass over all tokens has come: the index of the current one."""
    token_count: Mapped[int] = mapped_column(Id)
    checkpoints: Mapped[int] = mapped_column(Id)
    """How often it was written; tells whether a write arrived when a connection broke."""
    extra_data: Mapped[Any] = mapped_column(Document)
    options: Mapped[Any] = mapped_column(Document)
    """How it is run: ``checkpoint``, ``stop_on_halt``, ``stop_on_error``."""
    root_id: Mapped[int | None] = mapped_column(Id)
    """The run that holds the lease for this branch; None for a run that is no branch."""
    branch: Mapped[str | None] = mapped_column(Name)
    """Which visit to which task of the parent began this branch, and its number."""
    parent_object_id: Mapped[int | None] = mapped_column(Id)
    """The token of the parent that this branch runs for."""
    forked_from: Mapped[int | None] = mapped_column(Id)
    """The token of another run that this run was forked from."""
    due: Mapped[Any] = mapped_column(Moment, nullable=True)
    """When it is to be begun, or taken up, by whoever runs what is due; None once it has begun."""
    style: Mapped[str | None] = mapped_column(STATUS)
    """Which way of writing workflows began it: ``flow``; None for a definition as such."""
    lease_owner: Mapped[str | None] = mapped_column(Name)
    lease_token: Mapped[int] = mapped_column(Id)
    """Grows with each new owner; every write is conditional on it."""
    lease_expires: Mapped[Any] = mapped_column(Moment, nullable=True)
    stop_requested: Mapped[str | None] = mapped_column(LongText)
    """Who asked the run to stop, until it is taken up again."""
    created: Mapped[Any] = mapped_column(Moment)
    started: Mapped[Any] = mapped_column(Moment, nullable=True)
    finished: Mapped[Any] = mapped_column(Moment, nullable=True)
    error: Mapped[Any] = mapped_column(Document, nullable=True)
    """What ended it: ``type``, ``message``, ``traceback``."""

    @declared_attr
    def parent_id(cls) -> Mapped[int | None]:  # noqa: N805
        """The run that this is a branch of."""
        return mapped_column(Id, ForeignKey(f"{cls.__tablename__}.id"))  # type: ignore[attr-defined]


class WorkflowObjectMixin:
    """A token of a run."""

    __workflow_table__ = "workflow"

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        waits = {"where": text("status in ('HALTED', 'ERROR')")}
        failed = {"where": text("failure is not null")}
        return (
            UniqueConstraint("workflow_id", "token_pos"),
            _index(cls, "workflow_id", "status", "token_pos"),
            _index(cls, "status", "since", **_only(waits)),
            _index(cls, "workflow_id", "failure", **_only(failed)),
            OPTIONS,
        )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    token_pos: Mapped[int] = mapped_column(Id)
    """Its index in the run."""
    data: Mapped[Any] = mapped_column(Document)
    status: Mapped[str] = mapped_column(STATUS)
    """The name of an :class:`~wfengine.status.ObjectStatus`."""
    outcome: Mapped[str | None] = mapped_column(STATUS)
    """How it left the engine, as :class:`~wfengine.signals.TokenOutcome` says."""
    callback_pos: Mapped[str] = mapped_column(LongText)
    """The task to go on with, or, of a halted token, to go on after: ``0.2.1``."""
    visits: Mapped[str] = mapped_column(LongText)
    """For each level of the position, the number of the visit that began there."""
    memory: Mapped[Any] = mapped_column(Document, nullable=True)
    """What the patterns around the position remember."""
    steps: Mapped[int] = mapped_column(Id)
    """How many rows its history has had."""
    attempts: Mapped[int] = mapped_column(Integer)
    """How often the task at its position has failed."""
    action: Mapped[str | None] = mapped_column(LongText)
    message: Mapped[str | None] = mapped_column(LongText)
    payload: Mapped[Any] = mapped_column(Document, nullable=True)
    decision: Mapped[Any] = mapped_column(Document, nullable=True)
    """What was decided and is not handed over yet: ``decision``, ``by``, ``at``."""
    error: Mapped[Any] = mapped_column(Document, nullable=True)
    """Why it failed: ``type``, ``message``, ``traceback``."""
    failure: Mapped[str | None] = mapped_column(Name(32))
    """The fingerprint that like failures share."""
    since: Mapped[Any] = mapped_column(Moment)
    """When it got the status that it has."""

    @declared_attr
    def workflow_id(cls) -> Mapped[int]:  # noqa: N805
        """Its run."""
        return mapped_column(Id, ForeignKey(f"{cls.__workflow_table__}.id"))


class TaskExecutionMixin:
    """One step of a token's history; rows are only ever added."""

    __object_table__ = "workflow_object"

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        return (UniqueConstraint("object_id", "step"), OPTIONS)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    step: Mapped[int] = mapped_column(Id)
    """Its number in the token's history, from 1 on."""
    event: Mapped[str] = mapped_column(STATUS)
    """``task``, or what a person did: ``decide``, ``edit``, ``rewind``, ``move``, ``map``."""
    path: Mapped[str] = mapped_column(LongText)
    """The position of the task."""
    name: Mapped[str] = mapped_column(LongText)
    """The name of the task."""
    visit: Mapped[int] = mapped_column(Id)
    """Which visit of the token's it was; the same for each attempt."""
    attempt: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(STATUS)
    """``done``, ``halted``, ``failed`` ..., and for what a person did ``done``."""
    started: Mapped[Any] = mapped_column(Moment)
    finished: Mapped[Any] = mapped_column(Moment)
    outcome: Mapped[Any] = mapped_column(Document, nullable=True)
    """What came of it, if more is to be said: an error, a halt, a transition, a decision."""
    inverse: Mapped[Any] = mapped_column(Document, nullable=True)
    """The change that leads back to the data as it was before."""
    memory: Mapped[Any] = mapped_column(Document, nullable=True)
    """What the patterns remembered when it began."""

    @declared_attr
    def object_id(cls) -> Mapped[int]:  # noqa: N805
        """The token."""
        return mapped_column(Id, ForeignKey(f"{cls.__object_table__}.id"))


class WorkflowAuditMixin:
    """What a person did to a run or a token; a row stays when these are deleted."""

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        return (_index(cls, "run_uuid"), _index(cls, "object_id"), OPTIONS)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    at: Mapped[Any] = mapped_column(Moment)
    who: Mapped[str] = mapped_column(Name)
    action: Mapped[str] = mapped_column(Name)
    """``decide``, ``edit``, ``rewind``, ``fork``, ``stop``, ``delete`` ..."""
    run_uuid: Mapped[str | None] = mapped_column(Name(36))
    """The run; of a branch, the run that it belongs to."""
    object_id: Mapped[int | None] = mapped_column(Id)
    """The token."""
    details: Mapped[Any] = mapped_column(Document, nullable=True)
    """What else there is to say."""


class WorkflowDefinition(WorkflowDefinitionMixin, Base):
    """A definition, in a table of wfengine's own."""

    __tablename__ = "workflow_definition"


class Workflow(WorkflowMixin, Base):
    """A run, in a table of wfengine's own."""

    __tablename__ = "workflow"
    objects: Mapped[list[WorkflowObject]] = relationship(
        back_populates="workflow", order_by="WorkflowObject.token_pos"
    )


class WorkflowObject(WorkflowObjectMixin, Base):
    """A token, in a table of wfengine's own."""

    __tablename__ = "workflow_object"
    workflow: Mapped[Workflow] = relationship(back_populates="objects")
    history: Mapped[list[TaskExecution]] = relationship(
        back_populates="object", order_by="TaskExecution.step"
    )


class TaskExecution(TaskExecutionMixin, Base):
    """A step, in a table of wfengine's own."""

    __tablename__ = "task_execution"
    object: Mapped[WorkflowObject] = relationship(back_populates="history")


class WorkflowAudit(WorkflowAuditMixin, Base):
    """What a person did, in a table of wfengine's own."""

    __tablename__ = "workflow_audit"


@frozen
class Models:
    """The tables that a store works with.

    :param definition: a model made of :class:`WorkflowDefinitionMixin`, and so on.
    :param audit: by default wfengine's own where the others are; or else None, and what people do
        is written into the histories of tokens only.
    """

    definition: Any = WorkflowDefinition
    workflow: Any = Workflow
    object: Any = WorkflowObject
    execution: Any = TaskExecution
    audit: Any = field()

    @audit.default
    def _own_audit(self) -> Any:
        others = (self.definition, self.workflow, self.object, self.execution)
        are_own = others == (WorkflowDefinition, Workflow, WorkflowObject, TaskExecution)
        return WorkflowAudit if are_own else None

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables, each after those that it refers to."""
        models = (self.definition, self.workflow, self.object, self.execution, self.audit)
        return tuple(model.__table__ for model in models if model is not None)

    @property
    def are_own(self) -> bool:
        """Whether they are wfengine's own, whose schema it makes and upgrades."""
        return self == Models()
