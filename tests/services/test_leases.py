"""Leases: kept while a process lives, and of no use to one that was away for too long."""

import threading
import time

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import LeaseHeldError, LeaseLostError
from wfengine.status import WorkflowStatus
from wfengine.store import Store

from . import work
from .processes import Helper

LEASE = 1.0
"""Seconds."""


def test_a_task_that_takes_longer_than_the_lease_keeps_it(database_url):
    refusals = []

    def sleep_long(token, eng):
        end = time.monotonic() + 2.5 * LEASE
        while time.monotonic() < end:
            with pytest.raises(LeaseHeldError) as held:
                DbWorkflowEngine.from_uuid(eng.uuid, store=other, definition=definition).resume()
            refusals.append(held.value)
            time.sleep(LEASE / 4)
        token["slept"] = True

    definition = [sleep_long]
    with (
        Store(database_url, lease_seconds=LEASE) as store,
        Store(database_url, lease_seconds=LEASE) as other,
    ):
        eng = DbWorkflowEngine.with_name("long", store=store, definition=definition)
        eng.process([{}])
        assert eng.status is WorkflowStatus.COMPLETED
    assert refusals[0].until < refusals[-1].until
    assert all(refusal.owner in str(refusal) for refusal in refusals)


def test_a_process_that_its_own_task_blocks_past_the_lease_writes_nothing_any_more(database_url):
    how = "pattern" if database_url.startswith("sqlite") else "power"
    with Store(database_url) as store:
        store.prepare()
        work.begin(store)
        blocked = Helper("block", database_url, str(LEASE), how)
        uuid = blocked.line()
        assert blocked.line() == "blocking"
        taker = work.DbWorkflowEngine.from_uuid(uuid, store=store, definition=work.DEFINITION)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                taker.resume()
                break
            except LeaseHeldError:
                time.sleep(0.02)
        said, code = blocked.end()
        assert said == LeaseLostError.__name__
        assert code == 0
        work.assert_exact(store, uuid)


def test_a_run_that_was_taken_up_by_another_cannot_be_written_to_any_more(database_url):
    """The same without a second process: the clock of the other is ahead."""
    is_taken = threading.Event()

    with Store(database_url) as store, work.later(database_url) as other:
        eng = work.begin(store)

        def lose(token, eng):
            if not is_taken.is_set():
                is_taken.set()
                work.go_on(other, eng.uuid)

        eng.callbacks.replace([*work.DEFINITION[:2], lose, *work.DEFINITION[2:]])
        with pytest.raises(LeaseLostError):
            eng.process(work.tokens())
        assert is_taken.is_set()
        work.assert_exact(store, eng.uuid)
