"""What whoever watches a store is told."""

from itertools import product

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import UnknownTokenError
from wfengine.patterns import HALT
from wfengine.status import WorkflowStatus
from wfengine.store import Store, scheduling
from wfengine.store.watching import (
    WaitingGroup,
    changed_runs,
    marks,
    stored_token,
    waiting_groups,
    waiting_page,
)


def ask(obj, eng):
    eng.halt(f"{obj['n']}?", action=[None, "odd", "even"][obj["n"] % 3])


ASKING = [ask]


@pytest.fixture
def store(database_url):
    with Store(database_url) as store:
        yield store


def run(store, count=7):
    eng = DbWorkflowEngine.with_name("asking", store=store, definition=ASKING)
    eng.process([{"n": n} for n in range(count)], stop_on_halt=False)
    return eng


def test_what_waits_is_grouped_by_action_for_all_runs_and_for_one(store):
    first, second = run(store), run(store, 2)
    groups = waiting_groups(store)
    assert {group.action: group.count for group in groups} == {None: 4, "odd": 3, "even": 2}
    assert [group.oldest for group in groups] == sorted(group.oldest for group in groups)
    of_second = waiting_groups(store, store.run(second.uuid))
    assert {group.action: group.count for group in of_second} == {None: 1, "odd": 1}
    assert all(isinstance(group, WaitingGroup) for group in of_second)
    assert first.uuid != second.uuid


def test_pages_have_each_token_that_waits_once_the_oldest_first(store):
    run(store), run(store)
    waiting = list(store.halted())
    for action, limit in product([None, "odd", "even", "there is none"], [1, 3, 50]):
        found, after = [], (0.0, 0)
        while after is not None:
            page = waiting_page(store, None, action, after, limit)
            assert len(page.tokens) <= limit
            found += page.tokens
            after = page.next
        expected = [token.id for token in waiting if token.action == action]
        assert [token.id for token in found] == expected


def test_what_was_decided_on_does_not_wait_any_more(store):
    eng = run(store, 3)
    tokens = [token.id for token in store.halted()]
    store.decide(tokens[1], "yes")
    assert {group.action for group in waiting_groups(store)} == {None, "even"}
    assert waiting_page(store, store.run(eng.uuid), "odd", (0.0, 0), 5).tokens == []
    assert stored_token(store, tokens[1]).decision["decision"] == "yes"


def test_tokens_of_branches_wait_in_their_run(store):
    from wfengine.patterns import PARALLEL_SPLIT

    eng = DbWorkflowEngine.with_name(
        "branches", store=store, definition=[PARALLEL_SPLIT([HALT("well?", action="judge")])]
    )
    eng.process([{"n": 1}], stop_on_halt=False)
    record = store.run(eng.uuid)
    assert [group.action for group in waiting_groups(store, record)] == ["judge"]
    assert len(waiting_page(store, record, "judge", (0.0, 0), 5).tokens) == 1


def test_a_run_that_is_given_a_time_and_loses_it_is_a_change(store):
    added = store.new_run("later", ASKING, {}, tokens=[{"n": 0}])
    seen = [marks(store)]
    assert marks(store) == seen[0]
    for waited, due in ((False, 10.0), (True, 20.0), (True, None)):
        assert scheduling.move(store, added, WorkflowStatus.NEW, waited=waited, due=due)
        seen.append(marks(store))
        assert seen[-1] != seen[-2]
        assert changed_runs(seen[-2], seen[-1]) is None


def test_marks_are_the_same_until_something_changes(store):
    run(store, 3)
    before = marks(store)
    assert marks(store) == before
    token = next(iter(store.halted())).id
    store.decide(token, "yes")
    after = marks(store)
    assert after != before
    assert changed_runs(before, after) is None
    store.new_run("another", ASKING, {})
    assert marks(store) != after


def test_marks_name_the_runs_that_go_on(store):
    seen = []

    def look(obj, eng):
        seen.append(marks(store))

    eng = DbWorkflowEngine.with_name("looking", store=store, definition=[look, look])
    eng.process([{"n": 1}])
    assert changed_runs(seen[0], seen[1]) == (eng.uuid,)
    assert changed_runs(seen[1], marks(store)) == (eng.uuid,)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_token_that_there_is_not_is_an_error(store):
    for token_id in (0, 7, -1, 2**63, 10**30):
        with pytest.raises(UnknownTokenError, match=f"no token {token_id} in"):
            stored_token(store, token_id)
