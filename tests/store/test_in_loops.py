"""What the store does with runs of coroutine functions, inside an event loop."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import update

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import HaltProcessing, WorkflowAPIError
from wfengine.patterns import RUN_WF, SYNCHRONIZE
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store, Workflow


@pytest.fixture
def definitions():
    return Registry()


@pytest.fixture
def any_store(database_url, definitions):
    """A store in a database of each kind."""
    with Store(database_url, definitions=definitions) as store:
        yield store


class Tasks:
    """Tasks that have to be awaited, and what they did."""

    def __init__(self):
        self.noted, self.is_failing, self.is_dying = [], True, True

    async def note(self, token, eng):
        await asyncio.sleep(0)
        self.noted.append(eng.decision or "noted")
        token["noted"] = True

    async def ask(self, token, eng):
        await asyncio.sleep(0)
        eng.halt("may it?", action="approve")

    async def fail(self, token, eng):
        await asyncio.sleep(0)
        if self.is_failing:
            raise ValueError("not yet")

    async def die(self, token, eng):
        if self.is_dying:
            raise KeyboardInterrupt


@pytest.fixture
def tasks():
    return Tasks()


async def begin(store, definition, *tokens, **how):
    """Run a definition; return its engine."""
    store.definitions.add("orders", definition, replace=True)
    eng = DbWorkflowEngine.with_name("orders", store=store)
    with suppress(HaltProcessing):
        await eng.process_async([*tokens] or [{}], **how)
    return eng


def die(store, tasks, definition):
    """Run a definition in a process that dies of it; return the run's engine."""
    try:
        asyncio.run(begin(store, definition))
    except KeyboardInterrupt:
        tasks.is_dying = False
    with store.session() as session:
        query = update(Workflow).where(Workflow.parent_id.is_(None))
        dead = {"status": "RUNNING", "lease_owner": "dead", "lease_expires": 1.0}
        session.execute(query.values(**dead))
    uuid = store.runs().items[0].uuid
    return DbWorkflowEngine.from_uuid(uuid, store=store)


def test_a_run_whose_owner_died_is_recovered(any_store, tasks):
    eng = die(any_store, tasks, [tasks.note, tasks.die, tasks.note])
    [found] = asyncio.run(any_store.recover_async())
    assert (found.uuid, found.result, found.error) == (eng.uuid, "completed", None)
    assert tasks.noted == ["noted", "noted"]


@pytest.mark.parametrize("around", [list, lambda found: [SYNCHRONIZE(RUN_WF(found), found)]])
def test_a_decision_is_handed_over_and_the_token_goes_on(any_store, tasks, around):
    async def decide():
        await begin(any_store, around([tasks.ask, tasks.note]))
        [token] = any_store.halted()
        with suppress(HaltProcessing):
            await any_store.decide_async(token.id, "yes", resume=True)

    asyncio.run(decide())
    assert tasks.noted == ["yes"]


def test_tokens_that_failed_alike_are_taken_up(any_store, tasks):
    async def treat():
        eng = await begin(any_store, [tasks.fail, tasks.note], {}, {}, stop_on_error=False)
        [group] = any_store.failures(eng.uuid)
        tasks.is_failing = False
        return await any_store.resume_failures_async(eng.uuid, group.failure), eng

    found, eng = asyncio.run(treat())
    assert len(found) == 2
    assert tasks.noted == ["noted", "noted"]
    assert any_store.outcome(eng.uuid).completed == 2


def taken_up_wrongly(store, tasks, how):
    """Take a run up, by what cannot be used in an event loop; return its engine."""

    async def work(eng):
        if how == "resume":
            DbWorkflowEngine.from_uuid(eng.uuid, store=store).resume()
        elif how == "decide":
            store.decide(next(iter(store.halted())).id, "yes", resume=True)
        else:
            store.resume_failures(eng.uuid, store.failures(eng.uuid)[0].failure)

    first = {"resume": tasks.die, "decide": tasks.ask, "resume_failures": tasks.fail}[how]

    async def main():
        eng = await begin(store, [first, tasks.note], stop_on_error=False)
        tasks.is_failing = False
        with pytest.raises(WorkflowAPIError, match="inside a running event loop"):
            await work(eng)
        return eng

    if how != "resume":
        return asyncio.run(main())
    eng = die(store, tasks, [first, tasks.note])

    async def resume():
        with pytest.raises(WorkflowAPIError, match="inside a running event loop"):
            await work(eng)

    asyncio.run(resume())
    return eng


@pytest.mark.parametrize("how", ["resume", "decide", "resume_failures"])
def test_where_it_cannot_be_awaited_nothing_has_failed_and_the_run_goes_on_later(
    any_store, tasks, how
):
    eng = taken_up_wrongly(any_store, tasks, how)
    assert any_store.run(eng.uuid).status is not WorkflowStatus.ERROR
    [token] = any_store.tokens(eng.uuid)
    assert token.status is not ObjectStatus.ERROR
    asyncio.run(DbWorkflowEngine.from_uuid(eng.uuid, store=any_store).resume_async())
    assert tasks.noted in (["yes"], ["noted"])
    assert any_store.run(eng.uuid).status is WorkflowStatus.COMPLETED


def test_recovering_where_it_cannot_be_awaited_leaves_the_run_to_be_recovered(any_store, tasks):
    die(any_store, tasks, [tasks.die, tasks.note])

    async def wrongly():
        return any_store.recover()

    [found] = asyncio.run(wrongly())
    assert isinstance(found.error, WorkflowAPIError)
    assert "inside a running event loop" in found.error.message
    [run] = any_store.runs().items
    assert run.status is not WorkflowStatus.ERROR
    asyncio.run(DbWorkflowEngine.from_uuid(run.uuid, store=any_store).resume_async())
    assert tasks.noted == ["noted"]
