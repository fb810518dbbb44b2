"""What a run is doing just now, by the nodes of its definition's outline."""

from typing import Any
from uuid import uuid4

import pytest

from wfengine.definitions import outline
from wfengine.drawing import NodeState, dot
from wfengine.drawing.states import laid_over
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import UnknownRunError
from wfengine.patterns import FOR, HALT, IF, PARALLEL_SPLIT, RUN_WF, SYNCHRONIZE, TRY, WHILE
from wfengine.store import Store, live


def read(token: Any, eng: Any) -> None: ...


def sort_out(token: Any, eng: Any) -> None:
    if token["n"] == 3:
        raise ValueError("three")
    if token["n"] == 4:
        eng.continue_next_token()


def is_big(token: Any, eng: Any) -> bool:
    return bool(token["n"] > 6)


def turn(token: Any, eng: Any) -> None:
    token["turns"] = token.get("turns", 0) + 1


def has_turns_left(token: Any, eng: Any) -> bool:
    return bool(token.get("turns", 0) < 2)


def write(token: Any, eng: Any) -> None: ...


DEFINITION = [
    read,
    sort_out,
    IF(is_big, [HALT("big", action="look"), write]),
    WHILE(has_turns_left, turn),
    FOR([1, 2], "x", read),
    SYNCHRONIZE([read, IF(is_big, HALT("in a branch"))], [RUN_WF([write])], read),
    TRY(write),
]


@pytest.fixture
def store(tmp_path):
    with Store(f"sqlite:///{tmp_path / 'runs.db'}") as found:
        yield found


def begun(store, definition=DEFINITION, count=10, **how):
    eng = DbWorkflowEngine.with_name("live", store=store, definition=definition, **how)
    tokens = [{"n": number} for number in range(count)]
    eng.process(tokens, stop_on_halt=False, stop_on_error=False)
    return eng


def state_of(store, eng, definition=DEFINITION):
    """The state of each node that there is, and of the run."""
    found = store.live(eng.uuid)
    return {"": found[""], **laid_over(outline(definition), found)}


def test_it_counts_where_tokens_are_and_what_was_done(database_url):
    with Store(database_url) as store:
        found = state_of(store, begun(store))
    assert found == {
        "": NodeState(done=6, halted=3, failed=1),
        "0": NodeState(done=10),
        "1": NodeState(done=8, failed=1, skipped=1),
        "2": NodeState(done=8),
        "2.0.0": NodeState(halted=3),
        "3": NodeState(done=15),
        "3.1": NodeState(done=10),
        "4": NodeState(done=15),
        "4.1": NodeState(done=10),
        "5": NodeState(done=5),
        "5.0/0:0": NodeState(done=5),
        "5.0/0:1": NodeState(done=5),
        "5.0/1:0": NodeState(done=5),
        "5.0/1:0/0:0": NodeState(done=5),
        "5.1": NodeState(done=5),
        "6": NodeState(done=5),
        "6.0.0": NodeState(done=5),
    }
    assert "3 halted" in dot(DEFINITION, state=found)


def test_a_token_that_halted_in_a_branch_is_there(store):
    eng = begun(store)
    first, second, _ = store.halted(eng.uuid)
    for token in (first, second):
        store.decide(token.id, "go on")
    decided = state_of(store, eng)["2.0.0"]
    assert decided == NodeState(done=2, halted=1, waiting=2)
    eng.resume(stop_on_halt=False, stop_on_error=False)
    found = state_of(store, eng)
    assert found["2.0.0"] == NodeState(done=2, halted=1)
    assert found["5.0/0:1.0.0"] == NodeState(halted=2)
    assert found["5"] == NodeState(done=7, waiting=2)
    assert found["5.0/1:0/0:0"] == NodeState(done=7)


def test_a_halted_token_that_is_edited_is_still_halted(store):
    eng = begun(store)
    token, *_ = store.halted(eng.uuid)
    store.edit(token.id, {**token.data, "n": 10})
    assert state_of(store, eng)["2.0.0"] == NodeState(halted=3)


def test_a_halt_that_was_the_last_task_is_done_when_its_token_is(store):
    definition = [HALT("sign")]
    eng = begun(store, definition, count=1)
    assert state_of(store, eng, definition)["0"] == NodeState(halted=1)
    (halted,) = store.halted(eng.uuid)
    eng.resume(halted.id)
    assert state_of(store, eng, definition)["0"] == NodeState(done=1)


def test_the_state_of_a_branch_is_that_of_its_own_run(store):
    eng = begun(store, [PARALLEL_SPLIT([read, write], wait=True), read], count=1)
    with store.session() as session:
        table = store.models.workflow.__table__
        branch = session.scalars(
            table.select().with_only_columns(table.c.uuid).where(table.c.parent_id.is_not(None))
        ).one()
    assert store.live(branch) == {
        "": NodeState(done=1),
        "0": NodeState(done=1),
        "1": NodeState(done=1),
    }
    assert store.live(eng.uuid)["0/0:1"] == NodeState(done=1)


def standing(store, eng, *places):
    """The data of the tokens that stand at places, and in which run they are."""
    found = live.tokens_at(store, store.run(eng.uuid), places.__contains__, 5)
    return [(token.data["n"], token.id_workflow == eng.uuid) for token in found]


def test_tokens_are_found_where_they_stand_in_branches_too(database_url):
    with Store(database_url) as store:
        eng = begun(store)
        first, second, _ = store.halted(eng.uuid)
        for token in (first, second):
            store.decide(token.id, "go on")
        eng.resume(stop_on_halt=False, stop_on_error=False)
        assert standing(store, eng, "1") == [(3, True)]
        assert standing(store, eng, "2.0.0") == [(9, True)]
        assert standing(store, eng, "5.0/0:1.0.0") == [(7, False), (8, False)]
        assert standing(store, eng, "2.0.0", "5.0/0:1.0.0") == [(9, True), (7, False), (8, False)]
        assert standing(store, eng, "0", "5.0/1:0", "5.0/0:0") == []
        assert len(live.tokens_at(store, store.run(eng.uuid), bool, 3)) == 3


def test_while_it_runs_its_token_is_running(store):
    seen = {}

    def look(token, eng):
        seen.update(store.live(eng.uuid))

    begun(store, [read, look], count=3)
    assert seen[""] == NodeState(running=1, done=2)
    assert seen["1"] == NodeState(done=2, running=1)
    assert seen["0"] == NodeState(done=3)


def test_tokens_that_nobody_began_wait_at_the_beginning(store):
    def stop(token, eng):
        eng.stop()

    eng = begun(store, [read, stop], count=5)
    found = store.live(eng.uuid)
    assert found["0"].waiting == 4
    assert found[""].waiting == 4


def test_of_many_tokens_the_history_of_the_last_is_read(store, monkeypatch):
    monkeypatch.setattr(live, "LAST_TOKENS", 4)
    eng = begun(store)
    found = store.live(eng.uuid)
    assert found[""] == NodeState(done=6, halted=3, failed=1)
    assert found["2.0.0"] == NodeState(halted=3)
    assert found["1"] == NodeState(done=4, failed=1)
    monkeypatch.setattr(live, "MOST_STEPS", 3)
    assert 0 < sum(state.done for place, state in store.live(eng.uuid).items() if place) <= 3


def test_a_damaged_branch_does_not_keep_the_others_from_being_seen(store):
    eng = begun(store)
    with store.session() as session:
        table = store.models.workflow.__table__
        session.execute(
            table.update().where(table.c.parent_id.is_not(None)).values(options="nonsense")
        )
    found = state_of(store, eng)
    assert found["0"] == NodeState(done=10)


def test_there_is_nothing_to_say_of_an_unknown_run(store):
    with pytest.raises(UnknownRunError):
        store.live(uuid4())
    eng = DbWorkflowEngine.with_name("new", store=store, definition=[read])
    assert store.live(eng.uuid) == {}
