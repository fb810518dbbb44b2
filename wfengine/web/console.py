"""A console: what all of its pages share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from jinja2 import Environment, PackageLoader, StrictUndefined

from wfengine.cli.tables import count_of, waiting_count
from wfengine.web import showing
from wfengine.web.pictures import Pictures
from wfengine.web.sessions import Notices
from wfengine.web.visits import link
from wfengine.web.waiting import Waiting

if TYPE_CHECKING:
    from wfengine.store import Store
    from wfengine.web.catalogue import Catalogue
    from wfengine.web.live import Live
    from wfengine.web.running import Runner
    from wfengine.web.security import Access
    from wfengine.web.visits import Visit

__all__ = ["Console"]

THEMES = ("auto", "light", "dark")

SECTIONS = (
    ("/runs", "Runs"),
    ("/pen", "Holding pen"),
    ("/definitions", "Definitions"),
    ("/audit", "Audit"),
)


@cache
def _environment() -> Environment:
    """Return the environment of the templates, in which everything is escaped and seen."""
    found = Environment(
        loader=PackageLoader("wfengine.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=showing.printed,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        count_of=count_of,
        duration=showing.duration,
        exact=showing.exact,
        said=showing.said,
        waiting_count=waiting_count,
        whole=showing.Whole,
        number=lambda count: f"{count:,}",
    )
    found.globals.update(link=link)
    return found


@frozen(eq=False)
class Console:
    """What all pages share.

    :param clock: returns the time.
    :param largest_input: how many bytes an input of a run has at most.
    """

    store: Store
    access: Access
    catalogue: Catalogue
    runner: Runner
    live: Live
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    largest_input: int = 32 * 2**20
    notices: Notices = field(factory=Notices)
    pictures: Pictures = field(init=False)
    waiting: Waiting = field(init=False)
    _templates: Environment = field(factory=_environment)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "pictures", Pictures(tell=self.live.renew))
        object.__setattr__(self, "waiting", Waiting(self.store))

    def render(self, template: str, visit: Visit, **content: Any) -> str:
        """Return a template filled in, with what is on every page."""
        now = self.clock()
        frame: Mapping[str, Any] = {
            "frame": "fragment.html" if visit.is_live else "frame.html",
            "visit": visit,
            "csrf": visit.session.csrf,
            "follow": visit.here if visit.request.method == "GET" else "",
            "by": visit.by,
            "theme": self._theme(visit),
            "sections": SECTIONS,
            "store_name": str(self.store),
            "signs_in": self.access.token is not None,
            "ago": lambda moment: showing.relative(moment, now),
            "notices": [] if visit.is_live else self.notices.take(visit.session),
        }
        return self._templates.get_template(template).render({**frame, **content})

    @staticmethod
    def _theme(visit: Visit) -> str:
        found = visit.request.cookies.get("theme", "auto")
        return found if found in THEMES else "auto"
