"""What of a run is not written yet, and the writing of it.

A checkpoint is one transaction: how far the run and the token have come, the token's data, a row of
history for each task, and what the tasks themselves wrote through ``eng.session``.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any

from attrs import define, field

from wfengine.errors import NotStorableError, StopRequested
from wfengine.frames import FRAMES
from wfengine.recorder import Recorder
from wfengine.store.checkpoints import Checkpoint, Writer
from wfengine.store.leases import Lease
from wfengine.store.memory import LOCK
from wfengine.store.passes import Pass
from wfengine.store.records import RunRecord
from wfengine.store.serialization import Types
from wfengine.store.tokens import Tokens
from wfengine.store.writes import TaskWrites

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from wfengine.store.policy import Policy
    from wfengine.store.store import Store

__all__ = ["NO_DATA", "Pages"]

NO_DATA = (FRAMES, LOCK)
"""Keys of ``extra_data`` that are stored with the token, or not at all."""


@define(eq=False)
class Pages(Recorder):
    """Gathers what an engine does, until it is written as one checkpoint.

    :param run: its row, as far as this process knows.
    :param lease: the right to write, once it is taken.
    :param passing: which token comes next.
    """

    store: Store
    eng: Any
    run: RunRecord
    policy: Policy
    tokens: Tokens
    passing: Pass
    lease: Lease | None = None
    writer: Writer = field(init=False)
    _pending: Checkpoint = field(init=False, factory=Checkpoint)
    _writes: TaskWrites = field(init=False)
    _extra_text: str = field(init=False)
    _extra_now: str | None = field(init=False, default=None)
    _has_request: bool = field(init=False, default=False)
    _lock: Any = field(init=False, factory=RLock)

    def __attrs_post_init__(self) -> None:
        self._extra_text = self.run.extra_text
        self.writer = Writer(self.store, self.run)
        self._writes = TaskWrites(self.writer, gathers=not self.policy.is_due_at_task)

    @property
    def types(self) -> Types:
        """What can be stored."""
        return self.store.types

    def session(self) -> Session:
        """Return a session whose writes are part of the next checkpoint."""
        return self._writes.session()

    def _later(self, write: Callable[[], Any]) -> Any:
        """Write now, or, in an event loop, return an awaitable that writes in a thread."""
        if not self.eng.is_asynchronous:
            return write()
        import asyncio

        return asyncio.to_thread(write)

    def flush(self) -> None:
        """Write all that is pending."""
        self._write()

    def _write_now(self) -> None:
        """Write before a task begins, which it does not if somebody wants the run to stop."""
        request = self._write()
        if request is not None:
            raise request

    def _write_token(self) -> None:
        """Write how a token has left; the run stops before the next."""
        request = self._write()
        if request is not None:
            self.eng.interrupt(request)

    def _write(self) -> StopRequested | None:
        with self._lock:
            return self._write_pending()

    def _write_pending(self) -> StopRequested | None:
        self._writes.keep()
        pending = self._take_pending()
        if pending.is_empty and not self.writer.has_writes:
            return None
        request = self.writer.write(pending)
        self.policy.begin(self.store.clock())
        if self._has_request:
            return None
        self._has_request = request is not None
        return request

    def _take_pending(self) -> Checkpoint:
        now, self._extra_now = self._extra_now, None
        text = self._extra_data_text() if now is None else now
        pending, self._pending = self._pending, Checkpoint()
        pending.cursor = self.passing.cursor
        if text != self._extra_text:
            self._extra_text = pending.extra_data = text
        return pending

    def _extra_data_text(self) -> str:
        """Return ``extra_data`` as it is stored; of a branch's, only what it has put there itself.

        What cannot be stored is not kept either: it is as it was stored last.

        :raises NotStorableError: saying what it is.
        """
        extra_data = self.eng.extra_data
        keys = getattr(extra_data, "written", extra_data)
        kept = {key: extra_data[key] for key in extra_data if key in keys and key not in NO_DATA}
        try:
            return self.types.dumps(kept, "extra_data") if kept else "{}"
        except NotStorableError:
            for key in kept:
                del extra_data[key]
            extra_data.update(self.types.loads(self._extra_text))
            raise
