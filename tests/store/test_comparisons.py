"""Two runs side by side."""

import pytest

from wfengine.patterns import FOR
from wfengine.store import Store
from wfengine.store.changes import Difference

from .travelling import (
    ASKING,
    NESTED,
    PLAIN,
    Clock,
    completed,
    fail_once,
    failed,
    first,
    halted,
    loaded,
    second,
    third,
    token_of,
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(emptied_url, clock):
    with Store(emptied_url, clock=clock) as found:
        yield found


def kinds(comparison):
    return [
        [(pair.found, (pair.first or pair.second).name) for pair in each.steps]
        for each in comparison
    ]


def test_two_runs_that_did_the_same_are_the_same(store):
    comparison = store.compare(*(completed(store, NESTED, [{}, {"n": 1}]).uuid for _ in range(2)))
    assert comparison.is_same
    assert {pair.found for token in comparison for pair in token.steps} == {"same"}
    assert "2 tokens the same, 0 not" in comparison.text()
    assert len(comparison.text().splitlines()) == 1


def test_steps_that_only_one_run_has_are_told(store):
    one = completed(store, [first, second, third])
    other = completed(store, [first, third, third])
    comparison = store.compare(one.uuid, other.uuid)
    assert not comparison.is_same
    [token] = comparison
    assert [pair.found for pair in token.steps] == [
        "same",
        "only in first",
        "only in second",
        "other data",
    ]
    assert "second" in comparison.text()


def test_steps_with_other_results_are_told_with_what_differs(store):
    one = completed(store, PLAIN, [{"n": 1}])
    other = completed(store, PLAIN, [{"n": 2}])
    [token] = store.compare(one.uuid, other.uuid)
    assert {pair.found for pair in token.steps} == {"other data"}
    assert token.steps[0].differences == [Difference("n", 1, 2)]
    assert "n: 1 | 2" in store.compare(one.uuid, other.uuid).text()


def test_steps_with_other_outcomes_are_told(store):
    one = failed(store, [first, fail_once])
    other = completed(store, [first, fail_once], [{"is_mended": True}])
    [token] = store.compare(one.uuid, other.uuid)
    assert [pair.found for pair in token.steps] == ["other data", "other outcome"]
    assert "failed" in store.compare(one.uuid, other.uuid).text()


def test_tokens_that_only_one_run_has_are_told(store):
    one, other = completed(store, PLAIN, [{}, {}]), completed(store, PLAIN, [{}])
    comparison = store.compare(one.uuid, other.uuid)
    assert not comparison.is_same
    assert [(token.first is None, token.second is None) for token in comparison] == [
        (False, False),
        (False, True),
    ]
    assert "is not there" in comparison.text()
    assert "1 tokens the same, 1 not" in store.compare(other.uuid, one.uuid).text()


def test_the_same_decision_of_others_at_another_time_is_the_same(store, clock):
    runs = []
    for by in ("Ada", "Bob"):
        eng = halted(store)
        clock.now += 5
        store.decide(token_of(store, eng).id, "yes", by=by)
        eng.resume()
        runs.append(eng.uuid)
    assert store.compare(*runs).is_same


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_fork_is_compared_with_the_token_it_came_from_from_there_on(store, is_turned):
    eng = completed(store, NESTED, [{}, {"n": 1}, {}])
    uuid = store.fork(token_of(store, eng, 1).id, "second")
    loaded(store, uuid, NESTED).resume()
    runs = [uuid, eng.uuid] if is_turned else [eng.uuid, uuid]
    comparison = store.compare(*runs)
    assert comparison.is_same
    assert kinds(comparison) == [[("same", "second"), ("same", "third")]]


def test_a_fork_that_was_decided_otherwise_shows_where_that_led(store):
    eng = halted(store)
    token_id = token_of(store, eng).id
    store.decide(token_id, "yes")
    eng.resume()
    uuid = store.fork(token_id, "answer")
    store.decide(token_of(store, uuid).id, "no")
    loaded(store, uuid, ASKING).resume()
    comparison = store.compare(eng.uuid, uuid)
    [token] = comparison
    assert [pair.found for pair in token.steps] == ["other outcome", "other data", "other data"]
    assert token.steps[1].differences == [Difference("log[1]", "yes", "no")]


def test_the_text_of_a_comparison_is_short_however_much_differs(store):
    def spread(token, eng):
        token.update({f"<script>{key}\n": token["n"] for key in range(5)})

    definition = [FOR(range(25), "i", [spread])]
    one = completed(store, definition, [{"n": n} for n in range(12)])
    other = completed(store, definition, [{"n": -1} for n in range(12)])
    lines = store.compare(one.uuid, other.uuid).text().splitlines()
    assert len(lines) < 1000
    assert max(map(len, lines)) <= 140
    assert "and 2 more tokens" in lines[-1]
    assert any("more steps" in line for line in lines)
