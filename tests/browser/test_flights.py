"""The whole life of a run, by clicks."""

import re
from itertools import islice

import pytest
from playwright.sync_api import expect

from wfengine.store import Store

from .support import FLIGHTS, served

TARGET = f"{FLIGHTS / 'workflow.py'}:workflow"

ROWS = 2000
LONG = 60_000
"""Milliseconds that a run may take."""


@pytest.fixture
def flights(tmp_path):
    with served("sqlite:///runs.db", TARGET, folder=tmp_path) as console:
        yield console


def test_flights_are_started_stopped_resumed_decided_on_and_rewound(flights, visit, tmp_path):
    visitor = visit(flights.url)
    page = visitor.go("/runs")
    run = start(page, rows_in(tmp_path))
    stop(page)
    resume_and_watch(page)
    waiting = waiting_in(tmp_path)
    decide_about_three(page, waiting)
    decide_about_all(page, waiting - 3)
    page.goto(run)
    resume_to_the_end(page)
    check_what_was_written(tmp_path / "output")
    rewind_the_first(page)
    page.goto(run)
    resume_to_the_end(page)
    look_at_the_drawing(page, run)
    look_at_the_audit(page)
    page.goto(run)
    delete(page)
    visitor.troubles[:] = [each for each in visitor.troubles if "422" not in each]


def rows_in(folder):
    rows = folder / "flights.csv"
    with (FLIGHTS / "data" / "flights.csv").open() as all_rows:
        rows.write_text("".join(islice(all_rows, ROWS + 1)))
    return rows


def waiting_in(folder):
    with Store(f"sqlite:///{folder / 'runs.db'}") as store:
        return len(store.halted())


def expect_status(page, label):
    expect(page.locator("#run-head .badge").first).to_contain_text(label, timeout=LONG)


def start(page, rows):
    expect(page.get_by_text("There are no runs yet")).to_be_visible()
    page.get_by_role("link", name="Or start one here").click()
    page.get_by_role("link", name="Start a run").click()
    page.get_by_label("A file").set_input_files(rows)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("The run has begun with 2,000 tokens")).to_be_visible()
    return page.url


def stop(page):
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_contain_text("stop")
    expect_status(page, "Halted")
    expect(page.locator("#run-head")).to_contain_text("new")


def resume_and_watch(page):
    """Go on, and see the page change without being loaded again."""
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("The run goes on")
    page.evaluate("document.title = 'not loaded again'")
    head = page.locator("#run-head")
    expect(head.get_by_role("button", name="Resume")).to_be_visible(timeout=LONG)
    expect(head).not_to_contain_text("new")
    expect(head).to_contain_text("need action")
    assert page.title() == "not loaded again"


def decide_about_three(page, waiting):
    """Decide by a click, by a key, and with other data."""
    page.get_by_role("link", name="Holding pen").last.click()
    expect(page.get_by_text(f"{waiting} tokens wait for a decision")).to_be_visible()
    expect(page.locator(".question")).to_contain_text("is not in the airport table")
    page.locator(".decide").get_by_role("button", name="Reject").click()
    expect(page.get_by_text(f"{waiting - 1} tokens wait")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-watching", "yes")
    page.keyboard.press("a")
    expect(page.get_by_text(f"{waiting - 2} tokens wait")).to_be_visible()
    page.get_by_role("link", name="Form").click()
    page.get_by_label("tailnum", exact=True).fill("N12345")
    page.get_by_label("flight", exact=True).fill("many")
    page.locator(".decide").get_by_role("button", name="Accept").click()
    expect(page.get_by_text("is no number")).to_be_visible()
    expect(page.get_by_label("tailnum", exact=True)).to_have_value("N12345")
    page.get_by_label("flight", exact=True).fill("99")
    page.locator(".decide").get_by_role("button", name="Accept").click()


def decide_about_all(page, waiting):
    for left in range(waiting, 0, -50):
        expect(page.locator("#pen-total")).to_contain_text(f"{left} token")
        page.get_by_label("All on this page").check()
        expect(page.locator("[data-counts]")).to_have_text(f"{min(left, 50)} chosen")
        page.locator(".many").get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Nothing waits for")).to_be_visible()


def resume_to_the_end(page):
    page.get_by_role("button", name="Resume").click()
    expect_status(page, "Completed")
    expect(page.locator("#run-head")).to_contain_text("100 % done")


def check_what_was_written(folder):
    names = ("accepted.jsonl", "cancelled.jsonl")
    written = [line for name in names for line in (folder / name).read_text().splitlines()]
    assert len(written) == ROWS - 1
    assert sum('"N12345"' in line for line in written) == 1


def rewind_the_first(page):
    page.get_by_role("link", name="Tokens", exact=True).click()
    page.locator("table [data-item]").first.click()
    page.locator(".steps [data-item]").first.click()
    expect(page.locator(".changes")).to_contain_text("dep_time")
    page.get_by_role("button", name="Travel here").click()
    expect(page.get_by_role("status")).to_contain_text("was taken to step 1")
    expect(page.locator("#token-head")).to_contain_text("In process")


def look_at_the_drawing(page, run):
    page.goto(run)
    page.locator(".drawing g.node", has_text="validate").click()
    page.wait_for_url(re.compile(r"node=0"))
    expect(page.locator(".node").first).to_contain_text("Put values in place of texts")


def look_at_the_audit(page):
    page.get_by_role("link", name="Audit").last.click()
    for action in ("start", "stop", "resume", "decide", "rewind"):
        expect(page.locator(".event", has_text=action).first).to_be_visible()


def delete(page):
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("There are no runs yet")).to_be_visible()
