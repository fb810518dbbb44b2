"""Connections that break in mid-run: each effect exactly once, whatever was cut where."""

import os
import random
import threading
import traceback
from contextlib import suppress

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from wfengine.errors import StoreError, WorkflowAPIError
from wfengine.store import Store

from . import work
from .proxy import BEFORE, LATE, UNANSWERED, proxy_to

EVERY = int(os.environ.get("WFENGINE_TEST_CUT_EVERY", "9"))
"""Of all places where a connection can be cut, one in so many is tried; 1 for each of them."""

PART = max(EVERY // 3, 1)
"""The same, of the places where something is committed."""

SERVERS = ["postgresql", "mariadb"]

on_servers = pytest.mark.parametrize("database_url", SERVERS, indirect=True)


COMMIT = rb"(?<!AUTO)COMMIT(?!TED)"


@pytest.fixture
def cut_off(database_url):
    """A store whose connections go through a proxy, the proxy, and the store as it is later."""
    with (
        proxy_to(database_url) as (proxy, through),
        Store(through) as store,
        work.later(database_url) as later,
    ):
        store.prepare()
        yield store, proxy, later


def run_into(eng, count=2):
    """Process tokens; return what that raised, which is a StoreError or a task's own failure."""
    try:
        eng.process(work.tokens(count))
    except StoreError as error:
        return error
    except DBAPIError as error:
        frames = traceback.extract_tb(error.__traceback__)
        assert any(frame.name == "note" for frame in frames), "raised by no task"
        return error
    return None


def messages_of_a_run(store, proxy):
    eng = work.begin(store)
    proxy.mend()
    assert run_into(eng) is None
    return proxy.messages


@on_servers
@pytest.mark.parametrize("how", [BEFORE, UNANSWERED])
def test_a_connection_that_is_cut_at_any_message_costs_and_doubles_nothing(cut_off, how):
    store, proxy, later = cut_off
    count = messages_of_a_run(store, proxy)
    for place in range(random.randrange(EVERY) + 1, count + 1, EVERY):
        eng = work.begin(store)
        proxy.cut(at=place, how=how)
        error = run_into(eng)
        proxy.mend()
        if error is not None:
            work.go_on(later, eng.uuid)
        work.assert_exact(later, eng.uuid, of=f"{how} message {place} of {count}: {error!r}")


@on_servers
@pytest.mark.parametrize("how", [BEFORE, UNANSWERED])
def test_a_connection_that_is_cut_at_a_commit_costs_and_doubles_nothing(cut_off, how):
    store, proxy, later = cut_off
    eng = work.begin(store)
    proxy.cut(at=0, how=how, containing=COMMIT)
    assert run_into(eng) is None
    commits = proxy.messages
    assert commits
    for place in range(random.randrange(PART) + 1, commits + 1, PART):
        eng = work.begin(store)
        proxy.cut(at=place, how=how, containing=COMMIT)
        error = run_into(eng)
        assert proxy.has_cut
        proxy.mend()
        if error is not None:
            work.go_on(later, eng.uuid)
        work.assert_exact(later, eng.uuid, of=f"{how} commit {place} of {commits}: {error!r}")


@on_servers
def test_a_message_that_arrives_after_the_connection_was_given_up_doubles_nothing(cut_off):
    store, proxy, later = cut_off
    count = messages_of_a_run(store, proxy)
    for place in sorted(random.sample(range(1, count + 1), k=6)):
        eng = work.begin(store)
        proxy.cut(at=place, how=LATE)
        error = run_into(eng)
        proxy.mend()
        if error is not None:
            with suppress(StoreError, WorkflowAPIError):  # the message may arrive just now
                work.go_on(later, eng.uuid)
            work.go_on(later, eng.uuid)
        work.assert_exact(later, eng.uuid, of=f"late message {place} of {count}: {error!r}")


def plain(token, eng):
    token["seen"].append("plain")


@on_servers
@pytest.mark.parametrize("how", [BEFORE, UNANSWERED])
def test_a_checkpoint_without_writes_of_a_task_is_tried_again_and_the_run_goes_on(cut_off, how):
    store, proxy, _ = cut_off
    calls = []

    def cut_the_next(token, eng):
        calls.append("cut")
        proxy.cut(at=1, how=how)

    eng = work.begin(store, [plain, cut_the_next, plain, plain])
    eng.process([{"number": 0, "seen": []}])
    assert proxy.has_cut
    assert calls == ["cut"]
    assert len(eng.final_objects) == 1
    assert eng.status is work.WorkflowStatus.COMPLETED


@on_servers
def test_writes_of_a_task_that_went_with_the_connection_stop_the_run_with_a_clear_error(cut_off):
    store, proxy, later = cut_off

    def write_and_lose(token, eng):
        work.note(token, eng, "charge", writes=True)
        if not proxy.has_cut:
            proxy.cut(at=1, how=BEFORE, containing=rb"UPDATE workflow ")

    definition = [work.receive, write_and_lose, *work.DEFINITION[2:]]
    eng = work.begin(store, definition)
    with pytest.raises(StoreError, match=r"eng\.session.* the run can be resumed"):
        eng.process(work.tokens())
    assert proxy.has_cut
    proxy.mend()
    eng = work.DbWorkflowEngine.from_uuid(eng.uuid, store=later, definition=definition)
    eng.resume()
    assert [token.data["seen"] for token in eng.final_objects] == [work.ALL, work.ALL]
    with later.session() as session:
        assert session.query(work.Effect).count() == 2 * len(work.WITH_EFFECTS)


OTHERS = {
    "postgresql": """select pid from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()""",
    "mariadb": """select id from information_schema.processlist
        where db = database() and id <> connection_id()""",
}
"""Asks for the numbers of all connections to a database but this one."""

KILL = {"postgresql": "select pg_terminate_backend({})", "mariadb": "kill {}"}


def terminate_others(connection, kind):
    """End all connections to a database but this one."""
    for number in connection.scalars(sa.text(OTHERS[kind])).all():
        try:
            connection.execute(sa.text(KILL[kind].format(int(number))))
        except DBAPIError:  # it has gone by itself
            continue


@on_servers
def test_connections_that_the_server_ends_at_random_moments_cost_and_double_nothing(
    database_url, request
):
    kind = request.node.callspec.params["database_url"]
    count, rounds, most, over = 10, 3, 12, threading.Event()
    killer = sa.create_engine(database_url, isolation_level="AUTOCOMMIT")
    with (
        Store(database_url, lease_seconds=0.5) as store,
        killer.connect() as connection,
    ):
        uuids = [work.begin(store).uuid for _ in range(rounds)]

        def run_all():
            for uuid in uuids:
                for _ in range(200):
                    try:
                        work.finish(store, uuid, count)
                    except (StoreError, DBAPIError):
                        continue
                    break
            over.set()

        thread = threading.Thread(target=run_all)
        thread.start()
        kills = 0
        while kills < most and not over.wait(random.uniform(0.01, 0.3)):
            terminate_others(connection, kind)
            kills += 1
        thread.join(120)
        assert over.is_set(), "it hangs"
        for uuid in uuids:
            work.assert_exact(store, uuid, count)
    killer.dispose()
    assert kills


@on_servers
def test_a_server_that_is_away_for_a_moment_is_waited_for(cut_off):
    store, proxy, _ = cut_off
    back = threading.Timer(0.4, proxy.mend)
    seen = []

    def leave(token, eng):
        if not seen:
            seen.append("away")
            proxy.go_away()
            back.start()

    eng = work.begin(store, [leave, *work.DEFINITION])
    eng.process(work.tokens())
    back.join()
    assert seen
    assert eng.status is work.WorkflowStatus.COMPLETED


@on_servers
def test_a_server_that_stays_away_stops_the_run_with_an_error_that_says_so(cut_off):
    store, proxy, later = cut_off

    def leave(token, eng):
        if token["number"] == 1 and not proxy.has_cut:
            proxy.has_cut = True
            proxy.go_away()

    definition = [leave, *work.DEFINITION]
    eng = work.begin(store, definition)
    with pytest.raises(StoreError) as stopped:
        eng.process(work.tokens())
    assert "127.0.0.1" in str(stopped.value)
    proxy.mend()
    again = work.DbWorkflowEngine.from_uuid(eng.uuid, store=later, definition=definition)
    again.resume()
    assert [token.data["seen"] for token in again.final_objects] == [work.ALL, work.ALL]
    assert store.run(eng.uuid).status is work.WorkflowStatus.COMPLETED
