"""What was done in a run, step by step, and where its time went."""

import pytest
from sqlalchemy import text

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import WorkflowAPIError
from wfengine.patterns import RUN_WF, SYNCHRONIZE
from wfengine.store import Store, activity


class Clock:
    """The time of the store, which passes when it is told to."""

    def __init__(self):
        self.now = 1_000_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(database_url, clock):
    with Store(database_url, clock=clock, definitions=Registry()) as store:
        yield store


@pytest.fixture
def eng(store, clock):
    """A run of four tokens, of which the second halts, the third fails, and the last is slow."""

    def weigh(token, eng):
        clock.now += token["takes"]

    def judge(token, eng):
        clock.now += 1.0
        if token["n"] == 1:
            eng.halt("which?", action="choose")
        if token["n"] == 2:
            raise ValueError("no such parcel")

    eng = DbWorkflowEngine.with_name("parcels", store=store, definition=[weigh, judge])
    tokens = [{"n": n, "takes": takes} for n, takes in enumerate([1.0, 2.0, 3.0, 8.0])]
    eng.process(tokens, stop_on_halt=False, stop_on_error=False)
    return eng


def told(entries):
    return [(entry.token_pos, entry.task, entry.status, entry.message) for entry in entries]


def test_the_steps_of_all_tokens_are_told_the_newest_first(store, eng):
    assert told(store.activity(eng.uuid))[:6] == [
        (3, "judge", "done", ""),
        (3, "weigh", "done", ""),
        (2, "judge", "failed", "ValueError: no such parcel"),
        (2, "weigh", "done", ""),
        (1, "judge", "halted", "choose: which?"),
        (1, "weigh", "done", ""),
    ]
    entry = store.activity(eng.uuid)[1]
    assert (entry.event, entry.path, entry.seconds, entry.who) == ("task", "0", 8.0, None)
    assert (entry.step, entry.attempt, entry.uuid) == (1, 1, eng.uuid)


@pytest.mark.parametrize("many", [20_000, 0], ids=["by tokens", "by all steps"])
def test_pages_in_either_direction_are_the_whole(store, eng, many, monkeypatch):
    monkeypatch.setattr(activity, "MANY_TOKENS", many)
    monkeypatch.setattr(activity, "VERY_MANY_TOKENS", many)
    other = DbWorkflowEngine.with_name("other", store=store, definition=[lambda t, e: None])
    other.process([1, 2])
    whole = [entry.id for entry in store.activity(eng.uuid)]
    back, forth = [], []
    while page := store.activity(eng.uuid, before=back[-1] if back else None, limit=3):
        back += [entry.id for entry in page]
    while page := store.activity(eng.uuid, after=forth[-1] if forth else 0, limit=3):
        forth += [entry.id for entry in page]
    assert whole == back == forth[::-1]
    assert len(whole) == 8


def test_who_follows_a_run_meets_what_people_do(store, eng):
    last = store.activity(eng.uuid, limit=1)[0]
    (token,) = store.halted(eng.uuid)
    store.decide(token.id, {"box": 7}, by="ann")
    store.edit(token.id, {"n": 9, "takes": 1.0}, by="bob")
    eng.rewind(token.id, 1, by="cleo")
    found = store.activity(eng.uuid, after=last.id)
    assert [(entry.event, entry.who, entry.message) for entry in found] == [
        ("decide", "ann", "{'box': 7}"),
        ("edit", "bob", ""),
        ("rewind", "cleo", "to 1"),
    ]


def test_what_branches_do_is_part_of_it(store, clock):
    def wait(token, eng):
        clock.now += 5.0

    eng = DbWorkflowEngine.with_name("splits", store=store, definition=[SYNCHRONIZE([wait], [])])
    eng.process([{}])
    assert {"SYNCHRONIZE", "wait"} <= {entry.task for entry in store.activity(eng.uuid)}
    times = {task.name: task.total for task in store.timings(eng.uuid)}
    assert times["wait"] == 5.0


def test_the_same_task_is_told_apart_by_the_branch_that_it_is_in(store, clock):
    def weigh(token, eng):
        clock.now += 0.25

    def wait(token, eng):
        clock.now += 1.0

    inner = SYNCHRONIZE([weigh, wait], [])
    definition = [weigh, SYNCHRONIZE([wait], [inner], wait), RUN_WF([wait, weigh])]
    eng = DbWorkflowEngine.with_name("splits", store=store, definition=definition)
    eng.process([{}, {}])
    times = {time.place: time for time in store.timings(eng.uuid)}
    assert set(times) <= set(store.live(eng.uuid))
    assert {place: (time.name, time.count) for place, time in times.items()} == {
        "0": ("weigh", 2),
        "1": ("SYNCHRONIZE", 2),
        "1.0": ("branches", 2),
        "1.0/0:0": ("wait", 2),
        "1.0/1:0": ("SYNCHRONIZE", 2),
        "1.0/1:0.0": ("branches", 2),
        "1.0/1:0.0/0:0": ("weigh", 2),
        "1.0/1:0.0/0:1": ("wait", 2),
        "1.1": ("wait", 2),
        "2": ("RUN_WF", 2),
        "2/0:0": ("wait", 2),
        "2/0:1": ("weigh", 2),
    }
    means = [times[place].mean for place in ("0", "1.1", "2/0:0", "2/0:1")]
    assert means == [0.25, 1.0, 1.0, 0.25]
    assert (times["2/0:1"].branch, times["2/0:1"].path, times["0"].branch) == ("2/0", "1", "")


def test_the_time_of_each_task_is_told_the_longest_first(store, eng):
    weigh, judge = store.timings(eng.uuid)
    assert (weigh.name, weigh.count, weigh.total, weigh.mean, weigh.max) == (
        "weigh",
        4,
        14.0,
        3.5,
        8.0,
    )
    assert (judge.path, judge.failures, judge.total) == ("1", 1, 4.0)
    assert weigh.share == pytest.approx(14 / 18)
    ids = [token.id for token in store.tokens(eng.uuid)]
    assert weigh.slowest == tuple(reversed(ids))


def test_the_slowest_tokens_are_told(store, eng):
    ids = [token.id for token in store.tokens(eng.uuid)]
    first, second = store.slowest(eng.uuid, count=2)
    assert (first.token_id, first.token_pos, first.seconds) == (ids[3], 3, 9.0)
    assert (first.steps, first.longest) == (2, "weigh")
    assert second.token_id == ids[2]


def test_only_the_last_steps_are_looked_at(store, eng):
    assert sum(task.count for task in store.timings(eng.uuid, last=3)) == 3
    (judge,) = store.timings(eng.uuid, last=1)
    assert (judge.name, judge.slowest) == ("judge", (store.tokens(eng.uuid)[3].id,))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_damaged_is_told_as_far_as_it_goes(store, eng):
    with store.session() as session:
        session.execute(text("UPDATE task_execution SET outcome = '{', finished = 'never'"))
    entry = store.activity(eng.uuid)[0]
    assert (entry.moment, entry.seconds) == (None, 0.0)
    assert entry.message == "what came of it is damaged"
    assert sum(task.total for task in store.timings(eng.uuid)) == 0.0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_be_meant_is_refused(store, eng):
    for which in ({"after": 1, "before": 2}, {"limit": 0}, {"limit": "all"}):
        with pytest.raises(WorkflowAPIError):
            store.activity(eng.uuid, **which)
    with pytest.raises(WorkflowAPIError, match="last is a whole number"):
        store.timings(eng.uuid, last=0)
    for huge in (10**5000, 2**31):
        with pytest.raises(WorkflowAPIError, match="last is a whole number"):
            store.timings(eng.uuid, last=huge)
        with pytest.raises(WorkflowAPIError, match="count is a whole number"):
            store.slowest(eng.uuid, count=huge)
        with pytest.raises(WorkflowAPIError, match="limit is a whole number"):
            store.activity(eng.uuid, limit=huge)
