"""What tasks themselves write to the database, as part of a checkpoint or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import define, field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from wfengine.errors import StoreError

if TYPE_CHECKING:
    from wfengine.store.checkpoints import Writer

__all__ = ["TaskWrites"]


@define(eq=False)
class TaskWrites:
    """The session of the task that is running.

    :param gathers: whether a checkpoint holds the writes of several tasks, so that those of one
        have to be taken back by themselves.
    """

    writer: Writer
    gathers: bool
    _session: Session | None = field(init=False, default=None)
    _undo: Callable[[], None] | None = field(init=False, default=None)

    def session(self) -> Session:
        """Return a session, whose writes are committed with the next checkpoint."""
        if self._session is None:
            connection = self.writer.begin().connection
            if self.gathers:
                self._undo = connection.begin_nested().rollback
            else:
                self._undo = self.writer.roll_back
            self._session = Session(bind=connection, join_transaction_mode="create_savepoint")
        return self._session

    def keep(self) -> None:
        """Keep what was written for the next checkpoint.

        :raises StoreError: when the connection is lost.
        :raises sqlalchemy.exc.SQLAlchemyError: when what was written is refused.
        """
        session, self._session = self._session, None
        if session is None:
            return
        try:
            with session:
                session.commit()
        except DBAPIError as error:
            if self.writer.gives_up(error):
                raise StoreError(
                    "the connection to the database was lost, and with it what the task had "
                    "written through eng.session; the run can be resumed before that task"
                ) from error
            raise
        self._undo = None

    def drop(self) -> None:
        """Take back what was written since the last time that something was kept."""
        session, self._session = self._session, None
        undo, self._undo = self._undo, None
        if session is not None:
            session.close()
        if undo is not None:
            undo()
