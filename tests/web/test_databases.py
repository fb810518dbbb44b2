"""The console over every database, and when its connections break while a page is open."""

import asyncio
from contextlib import aclosing

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from wfengine.store.watching import stored_token
from wfengine.web.live import Live

from .support import open_console, open_store_at

OTHERS = {
    "postgresql": "SELECT pid FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist "
    "WHERE db = database() AND id <> connection_id()",
}
ENDING = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


@pytest.fixture
def served(database_url):
    """A console over a database, with a run of which two tokens wait."""
    with open_store_at(database_url) as store:
        console = open_console(store)
        store.prepare()
        console.run()
        with console.client:
            yield console


def end_connections(url):
    """End all connections to a database but the one that does so; return how many these were."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        numbers = connection.scalars(text(OTHERS[engine.dialect.name])).all()
        for number in numbers:
            connection.execute(text(ENDING[engine.dialect.name].format(int(number))))
    return len(numbers)


def test_the_main_pages_and_actions_work_over_every_database(served):
    (uuid,), (first, second) = served.runs, served.waiting()
    views = ("definition", "tokens", "timeline", "failures", "data")
    for path, said in {
        "/runs": "25 %",
        "/runs?search=bir&status=HALTED&action=confirm": "birds",
        "/pen": "2 tokens wait for a decision",
        f"/pen?run={uuid}&edit=form": "starling",
        f"/tokens/{first}?step=1": "20000",
        "/definitions": "birds",
        "/audit": "Nobody has done anything yet",
        f"/runs/{uuid}?node=1.0.0": f"Token {first}",
        **dict.fromkeys((f"/runs/{uuid}?view={view}" for view in views), "birds"),
    }.items():
        assert said in served.get(path).text, path
    for token in (first, second):
        served.post(f"/tokens/{token}/edit", {"edit": "json", "json": '{"count": 7}'})
    form = {"token": [str(first), str(second)], "decision": '"keep"', "resume": "yes"}
    assert "Decided about 2 tokens" in served.post("/pen/decide", form).text
    served.settled(uuid)
    assert stored_token(served.store, second).plain_data["decision"] == "keep"
    assert "100 %" not in served.get("/runs").text
    served.post(f"/tokens/{first}/rewind", {"to_step": "1"})
    (group,) = served.store.failures(uuid)
    served.post(f"/runs/{uuid}/failures", {"failure": group.failure, "how": "skip"})
    served.settled(uuid)
    served.post(f"/runs/{uuid}/resume")
    served.settled(uuid)
    assert served.waiting() == [first]
    actions = [entry.action for entry in served.store.audit(uuid=uuid)]
    assert actions[::-1] == [
        *("edit", "edit", "decide", "decide", "resume", "rewind", "resume_failures", "resume"),
    ]
    assert "resume_failures" in served.get("/audit").text
    served.post(f"/runs/{uuid}/delete", {"sure": "yes"})
    assert "There are no runs yet" in served.get("/runs").text


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_a_page_that_is_open_goes_on_when_its_connections_are_broken(served, database_url):
    token = served.waiting()[0]
    page = served.get(f"/pen?token={token}")
    assert page.has("button", value='"keep"')
    assert end_connections(database_url) > 0
    form = {"seen": page.fields["seen"][0], "decision": '"keep"'}
    assert "Token" in served.post(f"/tokens/{token}/decide", form).text
    assert token not in served.waiting()
    assert end_connections(database_url) > 0
    assert "1 token waits" in served.get("/pen").text


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_who_watches_is_told_of_changes_after_the_connections_broke(served, database_url):
    token = served.waiting()[0]
    live = Live(served.store, every=0.02)

    async def kinds_told():
        async with aclosing(live.watch()) as stream, asyncio.timeout(20):
            async for event in stream:
                yield event.partition("event: ")[2].partition("\n")[0]

    async def test():
        async with aclosing(kinds_told()) as kinds:
            assert await anext(kinds) == "hello"
            await asyncio.sleep(0.2)  # so that there has been a look
            assert await asyncio.to_thread(end_connections, database_url) > 0
            await asyncio.sleep(0.2)
            await asyncio.to_thread(served.store.decide, token, "keep")
            return [kind async for kind in until(kinds, {"changed", "back"})]

    told = asyncio.run(test())
    live.close()
    assert set(told) <= {"changed", "away", "back"}


async def until(kinds, last):
    async for kind in kinds:
        yield kind
        if kind in last:
            return
