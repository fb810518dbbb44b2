"""Definitions as drawings, for those who have Graphviz; they are drawn beside the requests.

A page waits for its drawing only so long that it still opens at once. One that takes longer is
pushed to the pages when it is there. Each definition is drawn without where its tokens are first,
which tells how long it takes; only if that is quick it is drawn again for each state.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from html import escape
from threading import Lock
from typing import TYPE_CHECKING

from attrs import astuple, evolve, frozen
from markupsafe import Markup

from wfengine.drawing import svg
from wfengine.errors import DrawingError

if TYPE_CHECKING:
    from wfengine.definitions import OutlineNode
    from wfengine.drawing.states import State

__all__ = ["Picture", "Pictures"]

KEPT = 64
"""How many drawings with where tokens are are kept; those without are all kept."""

PATIENCE = 10.0
"""Seconds that Graphviz may take."""

SLOW = 0.4
"""Seconds; a definition that takes longer is shown without where its tokens are."""

WAIT = 0.3
"""Seconds that a page waits for its drawing."""

REST, LEAST_REST = 100, 1.0
"""What was slow, or could not be drawn, is tried again after so many times the time that it took,
and after so many seconds at least."""

AT_ONCE = 2
"""How many definitions are drawn at the same time."""

log = logging.getLogger("wfengine.web")


@frozen
class Picture:
    """A drawing.

    :param svg: None where there is none.
    :param problem: why not.
    :param is_live: whether it shows where tokens are.
    """

    svg: Markup | None
    problem: str = ""
    is_live: bool = True

    def with_chosen(self, node_id: str) -> Picture:
        """Return the drawing with a node marked."""
        if self.svg is None or not node_id:
            return self
        start = f'<g id="{escape(node_id)}" class="'
        marked = str(self.svg).replace(start, f"{start}chosen ", 1)
        return Picture(Markup(marked), is_live=self.is_live)  # noqa: S704 - Graphviz escapes


BEING_DRAWN = Picture(None, "It is being drawn, and is shown here as soon as it is there.")


class Pictures:
    """Draws definitions, and keeps what was drawn.

    :param tell: is called when a drawing is there that a page did not wait for.
    """

    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        self._tell = tell
        self._plain: dict[OutlineNode, Picture] = {}
        self._slow: dict[OutlineNode, float] = {}
        self._kept: OrderedDict[object, Picture] = OrderedDict()
        self._jobs: dict[OutlineNode, Future[None]] = {}
        self._awaited: set[OutlineNode] = set()
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="wfengine drawing")

    def of(self, root: OutlineNode, state: State, chosen: str = "") -> Picture:
        """Return the drawing of a definition, whose outline is the same object each time."""
        until = time.monotonic() + WAIT
        while True:
            with self._lock:
                found = self._known(root, state)
                if found is not None:
                    return found.with_chosen(chosen)
                job = self._job(root, state)
                left = until - time.monotonic()
                if left <= 0:
                    self._awaited.add(root)
                    return self._meanwhile(root).with_chosen(chosen)
            wait([job], left)

    def close(self) -> None:
        """Draw no more, and wait until what is being drawn is done."""
        self._threads.shutdown(cancel_futures=True)

    def _known(self, root: OutlineNode, state: State) -> Picture | None:
        plain = self._plain.get(root)
        if plain is None:
            return None
        if plain.svg is None:
            return plain if self._is_slow(root) else None
        if self._is_slow(root):
            return self._meanwhile(root)
        return self._kept.get(_key(root, state)) if state else plain

    def _meanwhile(self, root: OutlineNode) -> Picture:
        """Return what there is as long as there is nothing better."""
        plain = self._plain.get(root)
        if plain is None or plain.svg is None:
            return BEING_DRAWN
        return evolve(plain, is_live=False)

    def _is_slow(self, root: OutlineNode) -> bool:
        return time.monotonic() < self._slow.get(root, 0.0)

    def _job(self, root: OutlineNode, state: State) -> Future[None]:
        """Return what is being done about a definition; begin it if nothing is."""
        if root not in self._jobs:
            self._jobs[root] = self._threads.submit(self._work, root, state)
        return self._jobs[root]

    def _work(self, root: OutlineNode, state: State) -> None:
        try:
            self._draw(root, state)
        finally:
            with self._lock:
                del self._jobs[root]
                is_awaited = root in self._awaited
                self._awaited.discard(root)
            if is_awaited:
                self._tell()

    def _draw(self, root: OutlineNode, state: State) -> None:
        plain = self._plain.get(root)
        if plain is None or plain.svg is None:
            plain = self._plain[root] = self._drawn(root, {})
        if plain.svg is not None and state and not self._is_slow(root):
            found = self._drawn(root, state)
            if found.svg is not None:
                self._keep(_key(root, state), found)

    def _keep(self, key: object, picture: Picture) -> None:
        with self._lock:
            self._kept[key] = picture
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def _drawn(self, root: OutlineNode, state: State) -> Picture:
        begun = time.monotonic()
        found = _picture(root, state)
        took = time.monotonic() - begun
        rested = time.monotonic() + max(LEAST_REST, REST * took)
        if took > SLOW or found.svg is None:
            self._slow[root] = rested
        return found


def _picture(root: OutlineNode, state: State) -> Picture:
    try:
        text = svg(root, state=state, timeout=PATIENCE).decode()
    except DrawingError as error:
        return Picture(None, error.message)
    except Exception as error:
        log.exception("a definition cannot be drawn")
        return Picture(None, f"It cannot be drawn: {type(error).__name__}.")
    return Picture(Markup(text))  # noqa: S704 - Graphviz escapes all texts


def _key(root: OutlineNode, state: State) -> object:
    return root, tuple(sorted((name, astuple(each)) for name, each in state.items()))
