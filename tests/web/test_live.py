"""News of the store, to all pages that are open, for one look a second."""

import asyncio
import json
import threading
from contextlib import aclosing

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import StoreError
from wfengine.store.watching import marks
from wfengine.web import live as live_module
from wfengine.web.live import Live

from .support import ASKING, BIRDS, ROWS, open_store

EVERY = 0.02


@pytest.fixture
def live(store):
    live = Live(store, every=EVERY)
    yield live
    live.close()


async def told(stream, kind):
    """The next news of a kind."""
    async with asyncio.timeout(10):
        async for text in stream:
            if f"event: {kind}\n" in text:
                return json.loads(text.partition("data: ")[2])
    raise AssertionError(f"the stream ended without {kind!r}")


def watched(live, test):
    """Run a test that is given a stream, on which the console has said hello."""

    async def run():
        async with aclosing(live.watch()) as stream:
            await told(stream, "hello")
            await asyncio.sleep(3 * EVERY)  # so that there has been a look
            return await test(stream)

    return asyncio.run(run())


def change(store, name="birds"):
    eng = DbWorkflowEngine.with_name(name, store=store)
    eng.process([dict(row) for row in ROWS], stop_on_halt=False, stop_on_error=False)
    return eng


def test_a_change_is_told(store, live):
    async def test(stream):
        await asyncio.to_thread(change, store)
        return await told(stream, "changed")

    assert watched(live, test)["version"] == 1


def test_a_decision_is_told_as_something_that_may_concern_any_page(store, live):
    change(store)

    async def test(stream):
        token = next(iter(store.halted())).id
        await asyncio.to_thread(store.decide, token, "keep")
        return await told(stream, "changed")

    assert watched(live, test)["runs"] is None


def test_a_store_that_goes_away_and_comes_back_is_told(store, live, monkeypatch):
    def fail(store):
        raise StoreError("it is gone")

    async def test(stream):
        with monkeypatch.context() as patched:
            patched.setattr(live_module, "marks", fail)
            away = await told(stream, "away")
        return away, await told(stream, "back")

    away, back = watched(live, test)
    assert away["problem"] == "it is gone"
    assert away["since"]
    assert back["version"] == 1


def test_who_comes_while_the_store_is_away_is_told_so(store, live, monkeypatch):
    def fail(store):
        raise StoreError("it is gone")

    async def test(stream):
        monkeypatch.setattr(live_module, "marks", fail)
        await told(stream, "away")
        async with aclosing(live.watch()) as other:
            return await told(other, "away")

    assert watched(live, test)["problem"] == "it is gone"


def test_fifty_pages_cost_as_many_looks_as_one(store, monkeypatch):
    looks = []
    monkeypatch.setattr(live_module, "marks", lambda store: looks.append(1) or marks(store))
    live = Live(store, every=0.1)

    async def run():
        streams = [live.watch() for _ in range(50)]
        for stream in streams:
            await told(stream, "hello")
        begun = len(looks)
        await asyncio.sleep(0.55)
        many = len(looks) - begun
        for stream in streams:
            await stream.aclose()
        return many

    many = asyncio.run(run())
    live.close()
    assert many <= 6


def test_nobody_looks_when_nobody_watches(store, live, monkeypatch):
    looks = []
    monkeypatch.setattr(live_module, "marks", lambda store: looks.append(1))

    async def test(stream):
        return None

    watched(live, test)
    live.close()
    assert live._thread is None
    assert len(looks) < 100


def test_what_the_console_itself_changes_is_looked_for_at_once(console, monkeypatch):
    live, has_looked = console.parts.live, threading.Event()

    def look(store):
        found = marks(store)
        has_looked.set()
        return found

    monkeypatch.setattr(live_module, "marks", look)
    monkeypatch.setattr(live, "_every", 3600.0)
    console.get("/help")  # for what a form needs
    token = console.waiting()[0]

    async def run():
        async with aclosing(live.watch()) as stream:
            await told(stream, "hello")
            assert await asyncio.to_thread(has_looked.wait, 10)
            await asyncio.to_thread(console.post, f"/tokens/{token}/decide", {"decision": '"keep"'})
            return await told(stream, "changed")

    assert asyncio.run(run())["version"] == 1


def test_all_are_told_good_bye_when_the_console_ends(store, live):
    async def test(stream):
        live.leave()
        async with asyncio.timeout(10):
            return [text async for text in stream]

    assert watched(live, test) == []
    assert asyncio.run(first_of(live)) == []


async def first_of(live):
    return [text async for text in live.watch() if "hello" not in text]


def test_a_run_that_goes_on_is_named(tmp_path):
    with open_store(tmp_path) as store:
        store.prepare()
        live, uuids = Live(store, every=EVERY), []

        def tell_where(obj, eng):
            uuids.append(eng.uuid)
            asyncio.run(asyncio.sleep(5 * EVERY))

        store.definitions.add("slow", [tell_where, *BIRDS, *ASKING])

        async def test(stream):
            running = asyncio.create_task(asyncio.to_thread(change, store, "slow"))
            named = []
            while not any(named):
                named.append((await told(stream, "changed"))["runs"])
            await running
            return named

        named = watched(live, test)
        live.close()
        assert next(filter(None, named)) == [uuids[0]]
