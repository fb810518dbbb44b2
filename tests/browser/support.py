"""The real command in a process of its own, and a real browser."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest
from attrs import define, field
from playwright.sync_api import Browser, BrowserContext, Page, expect

PATIENCE = 60.0
"""Seconds after which a console that does not begin fails its test."""

ROOT = Path(__file__).resolve().parents[2]
FLIGHTS = ROOT / "examples" / "flights"

expect.set_options(timeout=20_000)


def chromium() -> str | None:
    """The browser's program."""
    return os.environ.get("WFENGINE_TEST_CHROMIUM") or shutil.which("chromium")


def require_chromium() -> str:
    """Skip the test, or fail it, where there is no browser."""
    found = chromium()
    if found and Path(found).exists():
        return found
    reason = "no browser: install chromium, or say where it is in WFENGINE_TEST_CHROMIUM"
    if os.environ.get("WFENGINE_REQUIRE_SERVICES") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@define
class Served:
    """A console that is served.

    :param url: where it is.
    :param lines: what it has printed.
    """

    url: str
    lines: list[str]
    process: subprocess.Popen


@contextmanager
def served(store: str, *arguments: str, folder: Path) -> Iterator[Served]:
    """Serve a console at a port that is free, and end it with Ctrl-C's signal."""
    command = [sys.executable, "-m", "wfengine", "console", "--store", store, "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    too_late = Timer(PATIENCE, process.kill)
    too_late.start()
    try:
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "Ctrl-C" in line:
                break
        too_late.cancel()
        assert lines, "the console printed nothing"
        assert "Ctrl-C" in lines[-1], lines
        yield Served(lines[0].rpartition(" ")[2], lines, process)
    finally:
        too_late.cancel()
        process.send_signal(signal.SIGINT)  # Ctrl-C, after which it ends as it does for people
        rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 130), rest
    assert "Traceback" not in rest, rest


@define
class Visitor:
    """Somebody with a browser, which notes whatever should not happen."""

    url: str
    context: BrowserContext
    page: Page
    troubles: list[str] = field(factory=list)

    @classmethod
    def of(cls, browser: Browser, url: str, **options) -> "Visitor":
        context = browser.new_context(viewport={"width": 1280, "height": 860}, **options)
        visitor = cls(url, context, context.new_page())
        page, note = visitor.page, visitor.troubles.append
        page.on("dialog", lambda dialog: (note(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: note(f"error: {error}"))
        page.on(
            "console",
            lambda said: (
                note(f"{said.type}: {said.text}") if said.type in ("error", "warning") else None
            ),
        )
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((url, "blob:")) else note(f"request: {asked.url}")
            ),
        )
        return visitor

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page

    def sign_in(self, name: str, token: str) -> None:
        self.go("/")
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()

    def watches(self) -> None:
        """Wait until the page follows the store."""
        expect(self.page.locator("html")).to_have_attribute("data-watching", "yes")
