"""Take the screenshots of the page about the console: ``python docs/take_screenshots.py``.

Needs Chromium, Graphviz's ``dot``, and the extras ``web`` and ``dev``. What runs is the example of
the flights, in a folder of its own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from wfengine.cli.outputs import OUTPUT_DIR
from wfengine.cli.records import Record
from wfengine.cli.stores import opened
from wfengine.engine_db import DbWorkflowEngine

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "screenshots"
SIZE = {"width": 1280, "height": 860}
TARGET = "workflow.py:workflow"
STORE = "sqlite:///runs.db"
ROWS = 1500
LATE = {"dep_delay": "soon"}
TOKEN = "for the pictures alone"  # noqa: S105


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        flights = Path(shutil.copytree(ROOT / "examples" / "flights", Path(folder) / "flights"))
        os.chdir(flights)
        fill(flights)
        with served() as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for theme in ("light", "dark"):
                context = browser.new_context(viewport=SIZE, color_scheme=theme)
                take(context.new_page(), url, dark=theme == "dark")
                context.close()
            browser.close()


def fill(folder: Path) -> None:
    """Make a store with a few runs, of which some tokens wait and some have failed."""
    with opened(STORE, creates=True) as store:
        rows = list(islice(records(folder / "data" / "flights.csv"), ROWS))
        good = [row for row in rows if row["dest"] not in ("BQN", "SJU", "STT", "PSE")]
        push(store, good[:400], "first")
        push(store, [*good[400:500], *({**row, **LATE} for row in good[500:523])], "second")
        push(store, rows, "third")
        waiting = [token.id for token in store.halted()]
        for token_id, who, decision in zip(
            waiting[:5],
            ("ada", "grace", "ada", "ada", "grace"),
            ("accept", "reject", "accept", {"name": "San Juan", "faa": "SJU"}, "accept"),
            strict=True,
        ):
            store.decide(token_id, decision, by=who)
        store.edit(waiting[6], {**store_data(store, waiting[6]), "tailnum": "N651JB"}, by="grace")
        store.fork(waiting[7], 2, by="ada")


def records(path: Path) -> Iterator[Record]:
    import csv

    with path.open(newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            yield Record(row, "flights.csv", line)


def push(store, rows, output: str) -> None:
    eng = DbWorkflowEngine.with_name(TARGET, store=store, extra_data={OUTPUT_DIR: output})
    eng.process(
        [Record(row, "flights.csv") for row in rows], stop_on_halt=False, stop_on_error=False
    )


def store_data(store, token_id: int) -> dict:
    return next(token for token in store.halted() if token.id == token_id).data


@contextmanager
def served() -> Iterator[str]:
    command = [sys.executable, "-m", "wfengine", "console", TARGET, "--port", "0"]
    arguments = ["--store", STORE, "--sign-in", "--token", TOKEN]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, *arguments], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate()


def take(page: Page, url: str, *, dark: bool) -> None:
    page.goto(url)
    if not dark:
        shoot(page, "sign-in")
    page.get_by_label("Your name").fill("ada")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/runs")
    if dark:
        page.goto(f"{url}/pen")
        shoot(page, "pen-dark")
        return
    shoot(page, "runs")
    runs = [link.get_attribute("href") for link in page.locator(".runs [data-item]").all()]
    _, halted, failed, _ = runs
    page.goto(f"{url}{halted}?node=2.0.0")
    shoot(page, "run")
    page.goto(f"{url}{halted}")
    page.locator(".drawing").scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, 330)")
    shoot(page, "drawing")
    page.goto(f"{url}{failed}?view=failures")
    shoot(page, "failures")
    page.goto(f"{url}{failed}?view=timeline")
    shoot(page, "timeline")
    page.goto(f"{url}/pen")
    for number in (1, 3, 4):
        page.locator(".tokens input[type=checkbox]").nth(number).check()
    shoot(page, "pen")
    token = page.locator(".tokens [data-item]").nth(2).get_attribute("href")
    page.goto(f"{url}{token}&edit=form")
    page.get_by_label("dep_delay", exact=True).fill("two")
    page.locator(".decide button").first.click()
    shoot(page, "pen-form")
    page.goto(f"{url}/tokens/524?step=1")
    shoot(page, "token")
    page.goto(f"{url}/definitions/one?name={TARGET}")
    shoot(page, "definition")
    page.goto(f"{url}/audit")
    shoot(page, "audit")


def shoot(page: Page, name: str) -> None:
    page.wait_for_timeout(300)
    page.screenshot(path=PICTURES / f"console-{name}.png")


if __name__ == "__main__":
    main()
