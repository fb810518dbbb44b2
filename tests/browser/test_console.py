"""Two people at once, a store that goes away, hostile data, keys, and narrow windows."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from wfengine.engine_db import DbWorkflowEngine
from wfengine.patterns import HALT
from wfengine.store import Store

from .support import served

TARGET = f"{Path(__file__).with_name('birds.py')}:workflow"
TOKEN = "correct horse battery"
MARKUP = '<script>window.hacked=1</script><img src=https://elsewhere.example/x onerror="alert(2)">'


def fill(folder, rows=8):
    """Make a store with a run of which all tokens wait; return the store's URL, and the uuid."""
    url = f"sqlite:///{folder / 'runs.db'}"
    with Store(url) as store:
        eng = DbWorkflowEngine.with_name(TARGET, store=store)
        birds = [{"bird": "starling", "count": 2000 + number} for number in range(rows)]
        eng.process(birds, stop_on_halt=False)
        return url, eng.uuid


@pytest.fixture
def birds(tmp_path):
    url, _ = fill(tmp_path)
    with served(url, TARGET, folder=tmp_path) as console:
        yield console


@pytest.fixture
def guarded(tmp_path):
    url, _ = fill(tmp_path)
    with served(url, TARGET, "--sign-in", "--token", TOKEN, folder=tmp_path) as console:
        yield console


def test_two_people_decide_the_same_token_and_only_one_decision_counts(guarded, visit):
    alice, bob = visit(guarded.url), visit(guarded.url)
    alice.sign_in("alice", TOKEN)
    bob.sign_in("bob", TOKEN)

    # bob sees what alice has decided, and cannot decide any more
    for each in (alice, bob):
        each.go("/pen?action=confirm&token=1")
    bob.watches()
    alice.page.locator(".decide").get_by_role("button", name="keep").click()
    expect(bob.page.locator("#pen-state")).to_contain_text("alice decided keep")
    expect(bob.page.locator(".decide").get_by_role("button", name="drop")).to_be_disabled()
    expect(bob.page.locator("#pen-tokens")).not_to_contain_text("Token 1 ")

    # where the news do not reach him in time, he is told when he decides
    bob.page.route("**/live", lambda route: route.fulfill(content_type="text/event-stream"))
    for each in (alice, bob):
        each.go("/pen?action=confirm&token=2")
    alice.page.locator(".decide").get_by_role("button", name="drop").click()
    expect(alice.page.get_by_text("6 tokens wait")).to_be_visible()
    bob.page.locator(".decide").get_by_role("button", name="keep").click()
    expect(bob.page.get_by_role("heading", name="Somebody was faster")).to_be_visible()
    for said in ("alice", "drop", "keep", "UTC"):
        expect(bob.page.locator(".facts")).to_contain_text(said)
    bob.page.get_by_role("link", name="See token 2").click()
    expect(bob.page.get_by_text("decision by alice")).to_be_visible()
    bob.troubles[:] = [each for each in bob.troubles if "409" not in each]

    alice.page.get_by_role("button", name="Sign out").click()
    expect(alice.page.get_by_label("Token")).to_be_visible()


def test_a_store_that_goes_away_is_said_to_and_comes_back_by_itself(birds, visit, tmp_path):
    visitor = visit(birds.url)
    page = visitor.go("/pen")
    visitor.watches()
    here, away = tmp_path / "runs.db", tmp_path / "elsewhere.db"
    here.rename(away)
    banner = page.locator("#away")
    expect(banner).to_contain_text("The store does not answer since")
    expect(page.locator("#pen-tokens")).to_contain_text("2000 starlings?")
    other = visit(birds.url)
    other.go("/runs")
    expect(other.page.get_by_role("heading", name="The store does not answer")).to_be_visible()
    away.rename(here)
    expect(banner).to_be_hidden()
    expect(page.get_by_text("8 tokens wait")).to_be_visible()
    with Store(f"sqlite:///{here}") as store:
        store.decide(1, "keep", by="alice")
    expect(page.get_by_text("7 tokens wait")).to_be_visible()
    other.troubles[:] = [each for each in other.troubles if "503" not in each]


def test_hostile_data_do_nothing_in_a_browser(tmp_path, visit):
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    data = {
        MARKUP: MARKUP,
        "turned": "\u202eabc",
        "steering": "\x1b[31m\x00\x07",
        "shouting": "שלום العربية",
        "long": "5MB" * 1_750_000,
        "url": "javascript:alert(3)",
    }
    with Store(url) as store:
        halt = HALT(MARKUP, action=MARKUP, payload={"choices": [MARKUP], "x": data})
        eng = DbWorkflowEngine.with_name(
            MARKUP, store=store, definition=[halt], extra_data={"x": MARKUP}
        )
        eng.process([data], stop_on_halt=False)
        store.note(MARKUP, by=MARKUP, details={"x": MARKUP})
    with served(url, TARGET, folder=tmp_path) as console:
        visitor = visit(console.url)
        paths = ["/runs", "/pen", "/pen?edit=form", "/tokens/1", "/tokens/1?edit=json", "/audit"]
        views = ("definition", "tokens", "timeline", "data")
        for path in [*paths, *(f"/runs/{eng.uuid}?view={view}" for view in views)]:
            page = visitor.go(path)
            expect(page.locator("main")).to_contain_text("<script>window.hacked=1</script>")
            assert page.evaluate("window.hacked") is None, path
            assert page.locator("main img").count() == 0, path
        # also in what is put into a page that is open
        visitor.go("/pen")
        visitor.watches()
        with Store(url) as store:
            store.edit(1, {**data, "more": MARKUP})
        expect(page.get_by_text("Somebody has changed this token since.")).to_be_visible()
        expect(page.locator(".decide").get_by_role("button").first).to_be_disabled()
        assert page.evaluate("window.hacked") is None


def test_everything_is_reached_by_keys(birds, visit):
    visitor = visit(birds.url)
    page = visitor.go("/runs")
    visitor.watches()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    page.keyboard.type("g p ?")
    expect(page.get_by_label("Search", exact=True)).to_have_value("g p ?")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("birds.py:workflow")
    visitor.watches()
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", name="Holding pen")).to_be_visible()
    visitor.watches()
    for key in "jjxjx":
        page.keyboard.press(key)
    expect(page.locator("[data-counts]")).to_have_text("2 chosen")
    page.keyboard.press("Enter")
    expect(page.locator(".tokens [aria-current=true]")).to_contain_text("Token 4")
    visitor.watches()
    page.keyboard.press("2")
    expect(page.get_by_role("status")).to_contain_text("Token 4: drop.")
    visitor.watches()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()


def test_what_is_chosen_and_typed_stays_when_the_page_changes(birds, visit, tmp_path):
    visitor = visit(birds.url)
    page = visitor.go("/pen?action=confirm&token=2&edit=form")
    visitor.watches()
    page.get_by_label("bird", exact=True).fill("swift")
    page.get_by_label("Choose token 5").check()
    page.locator("#one-other summary").click()
    page.get_by_label("A text, or JSON: what").fill("hm")
    with Store(f"sqlite:///{tmp_path / 'runs.db'}") as store:
        store.decide(8, "keep", by="alice")
    expect(page.get_by_text("7 tokens wait")).to_be_visible()
    expect(page.get_by_label("bird", exact=True)).to_have_value("swift")
    expect(page.get_by_label("Choose token 5")).to_be_checked()
    expect(page.get_by_label("A text, or JSON: what")).to_have_value("hm")
    expect(page.locator("[data-counts]")).to_have_text("1 chosen")


def test_pages_work_without_scripts(birds, visit):
    visitor = visit(birds.url, java_script_enabled=False)
    page = visitor.go("/pen")
    page.locator(".decide").get_by_role("button", name="keep").click()
    expect(page.get_by_text("7 tokens wait")).to_be_visible()
    page.get_by_label("Colours").select_option("dark")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_nothing_is_wider_than_the_window_and_dark_is_dark(tmp_path, visit):
    url, uuid = fill(tmp_path)
    views = ("definition", "tokens", "timeline", "failures", "data")
    paths = (
        "/runs",
        "/pen",
        "/pen?edit=form",
        "/tokens/1",
        "/tokens/1?edit=json",
        f"/definitions/one?name={TARGET}",
        "/audit",
        "/help",
        *(f"/runs/{uuid}?view={view}" for view in views),
        f"/runs/{uuid}?node=0.0.0",
    )
    with served(url, TARGET, folder=tmp_path) as console:
        visitor = visit(console.url, color_scheme="dark")
        for path in paths:
            page = visitor.go(path)
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
                "rgb(20, 24, 27)"
            )
            for width in (1024, 1280, 1920):
                page.set_viewport_size({"width": width, "height": 700})
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{path} is {wide} wide at {width}"


def test_a_token_is_made_and_printed_once_where_one_is_needed(tmp_path, visit):
    with served("sqlite:///runs.db", TARGET, "--sign-in", folder=tmp_path) as console:
        (line,) = [line for line in console.lines if "token" in line]
        token = line.rpartition(" ")[2]
        assert len(token) >= 24
        visitor = visit(console.url)
        visitor.go("/")
        visitor.page.get_by_label("Your name").fill("alice")
        visitor.page.get_by_label("Token").fill("a guess")
        visitor.page.get_by_role("button", name="Sign in").click()
        expect(visitor.page.get_by_role("alert")).to_contain_text("That is not the token.")
        visitor.sign_in("alice", token)
        visitor.troubles[:] = [each for each in visitor.troubles if "401" not in each]


def test_a_run_that_halted_is_restarted_at_a_token_and_task_by_clicks(tmp_path, visit):
    url, uuid = fill(tmp_path, rows=3)
    with served(url, TARGET, folder=tmp_path) as console:
        page = visit(console.url).go(f"/runs/{uuid}")
        page.get_by_text("Go on elsewhere").click()
        page.get_by_role("combobox", name="Token").select_option("first")
        page.get_by_role("combobox", name="Task").select_option("first")
        page.get_by_role("button", name="Restart").click()
        said = page.get_by_role("status")
        expect(said).to_contain_text("The run goes on at the first token, first task.")
        expect(page.locator("#run-head")).to_contain_text("3 need action")
        page.get_by_role("link", name="Tokens", exact=True).click()
        page.locator("table [data-item]").first.click()
        expect(page.locator(".steps li")).to_have_count(4)
        page.goto(f"{console.url}/audit?run={uuid}")
        expect(page.locator(".event", has_text="restart")).to_be_visible()
        expect(page.locator("table")).to_contain_text("first")


def test_a_drawing_that_takes_long_is_shown_when_it_is_there(tmp_path, visit, monkeypatch):
    slow = tmp_path / "dot"
    may_end = tmp_path / "may-end"
    slow.write_text(
        f'#!/bin/sh\nwhile [ ! -e "{may_end}" ]; do sleep 0.05; done\n'
        f'exec {shutil.which("dot")} "$@"\n'
    )
    slow.chmod(0o755)
    monkeypatch.setenv("GRAPHVIZ_DOT", str(slow))
    url, uuid = fill(tmp_path)
    with served(url, TARGET, folder=tmp_path) as console:
        visitor = visit(console.url)
        page = visitor.go(f"/runs/{uuid}")
        expect(page.locator("#run-view")).to_contain_text("It is being drawn")
        may_end.touch()
        expect(page.locator(".drawing g.node").first).to_be_visible()
        expect(page.locator("#run-view")).not_to_contain_text("It is being drawn")
        may_end.unlink()  # what was drawn once is not drawn again
        page = visitor.go(f"/definitions/one?name={TARGET}")
        expect(page.locator(".drawing g.node").first).to_be_visible()
