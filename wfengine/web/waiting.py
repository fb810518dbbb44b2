"""What waits for a decision, in groups; counted again only when something has changed."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from wfengine.store.watching import Marks, WaitingGroup, marks, waiting_groups

if TYPE_CHECKING:
    from wfengine.store import Store
    from wfengine.store.records import RunRecord

__all__ = ["Waiting"]


class Waiting:
    """Counts what waits; of a store in which nothing happens, once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counted: tuple[Marks, list[WaitingGroup]] | None = None
        self._lock = Lock()

    def groups(self, run: RunRecord | None = None) -> list[WaitingGroup]:
        """Return what the tokens of all runs, or of one, wait for, what is longest first."""
        if run is not None:
            return waiting_groups(self._store, run)
        now = marks(self._store)
        with self._lock:
            known = self._counted
        if known is not None and known[0] == now:
            return known[1]
        groups = waiting_groups(self._store)
        with self._lock:
            self._counted = (now, groups)
        return groups
