"""A console without a network, and what its pages say."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path

from attrs import define, field
from starlette.testclient import TestClient

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.patterns import HALT, IF
from wfengine.store import Store
from wfengine.web.app import create_app
from wfengine.web.security import Access

HERE = "http://127.0.0.1:8000"


def clean(obj, eng):
    """Make a number of the count."""
    obj["count"] = int(obj["count"])


def is_incredible(obj, eng):
    return obj["count"] > 1000


def take_decision(obj, eng):
    obj["decision"] = eng.decision
    if eng.decision == "drop":
        eng.skip_token()


def note(obj, eng):
    obj["is_noted"] = True


CHOICES = ["keep", "drop", {"label": "Ask the observer", "decision": {"ask": True}}]

BIRDS = [
    clean,
    IF(
        is_incredible,
        [
            HALT(
                lambda obj, eng: f"{obj['count']} {obj['bird']}s?",
                action="confirm",
                payload=lambda obj, eng: {"seen": obj["count"], "choices": CHOICES},
            ),
            take_decision,
        ],
    ),
    note,
]

ASKING = [HALT("well?", action="judge"), take_decision]

ROWS = [
    {"bird": "robin", "count": "2"},
    {"bird": "starling", "count": "20000"},
    {"bird": "swift", "count": "many"},
    {"bird": "rook", "count": "30000"},
]


@define
class Clock:
    """The time, which goes on when a test says so."""

    now: datetime = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Page(HTMLParser):
    """What a browser makes of a page, as far as tests ask for it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = text
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[str] = []
        self.fields: dict[str, list[str]] = {}
        self._texts: list[str] = []
        self._textarea: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.elements.append((tag, named))
        if tag == "a" and named.get("href"):
            self.links.append(named["href"])
        if tag in ("input", "button") and named.get("name"):
            self.fields.setdefault(named["name"], []).append(named.get("value") or "")
        if tag == "textarea":
            self._textarea = named.get("name")
            self.fields.setdefault(self._textarea, []).append("")

    def handle_endtag(self, tag):
        if tag == "textarea":
            self._textarea = None

    def handle_data(self, data):
        if self._textarea is not None:
            self.fields[self._textarea][-1] += data
        self._texts.append(data)

    @property
    def text(self) -> str:
        """All that can be read, with single blanks."""
        return re.sub(r"\s+", " ", " ".join(self._texts))

    @property
    def title(self) -> str:
        return re.search(r"<title>(.*?)</title>", self.source, re.DOTALL)[1]

    def has(self, tag: str, **attributes: str) -> bool:
        """Whether there is such an element."""
        return any(
            tag == name and all(found.get(key) == value for key, value in attributes.items())
            for name, found in self.elements
        )


@define
class Console:
    """A console over a store of the test's own, and somebody who uses it."""

    store: Store
    access: Access
    clock: Clock
    app: object
    client: TestClient
    csrf: str = ""
    runs: list[str] = field(factory=list)

    @property
    def parts(self):
        return self.app.state.console

    def get(self, path: str, status: int = HTTPStatus.OK, **options) -> Page:
        """Look at a page, following redirections."""
        answer = self.client.get(path, headers={"accept": "text/html"}, **options)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:2000]}"
        page = Page(answer.text)
        self.csrf = page.fields.get("csrf", [self.csrf])[0]
        return page

    def post(self, path: str, data=None, status: int = HTTPStatus.OK, **options) -> Page:
        """Send a form, and look at the page that one is led to."""
        if not self.csrf:
            self.get("/help")
        answer = self.client.post(path, data={"csrf": self.csrf, **(data or {})}, **options)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:2000]}"
        return Page(answer.text)

    def run(self, rows=ROWS, name: str = "birds") -> str:
        """Push rows through a definition; return the uuid of the run."""
        eng = DbWorkflowEngine.with_name(name, store=self.store)
        eng.process([dict(row) for row in rows], stop_on_halt=False, stop_on_error=False)
        self.runs.append(eng.uuid)
        return eng.uuid

    def waiting(self) -> list[int]:
        return [token.id for token in self.store.halted()]

    def settled(self, uuid: str) -> None:
        """Wait until the console has done what it began with a run."""
        self.parts.runner.job(uuid).future.result(timeout=30)


def open_store(folder: Path) -> Store:
    return open_store_at(f"sqlite:///{folder / 'runs.db'}", synchronous="OFF")


def open_store_at(url: str, **options) -> Store:
    registry = Registry()
    registry.add("birds", BIRDS)
    registry.add("asking", ASKING)
    return Store(url, definitions=registry, **options)


def open_console(store: Store, *, token: str | None = None, **options) -> Console:
    clock = Clock(datetime.now(UTC))
    access = Access(token, "tester", **options)
    app = create_app(store, access=access, clock=clock)
    return Console(store, access, clock, app, TestClient(app, base_url=HERE))
