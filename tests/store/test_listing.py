"""Runs as lists show them: filtered, sorted, a page at a time, with their tokens counted."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import UnknownRunError, WorkflowAPIError
from wfengine.patterns import PARALLEL_SPLIT
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store
from wfengine.store.listing import SORTS, styles

START = 1_000_000_000.0
HOUR = 3600.0


class Clock:
    """The time of the store, which passes when it is told to."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(database_url, clock):
    with Store(database_url, clock=clock, definitions=Registry()) as store:
        yield store


def judge(token, eng):
    if token["do"] == "fail":
        raise ValueError("no\nreally")
    if token["do"] != "go":
        eng.halt("?", action=token["do"])


def ran(store, name, *what, clock=None):
    """Run tokens that are told what to do; return the uuid of the run."""
    eng = DbWorkflowEngine.with_name(name, store=store, definition=[judge])
    if what:
        eng.process([{"do": do} for do in what], stop_on_halt=False, stop_on_error=False)
    if clock is not None:
        clock.now += HOUR
    return eng.uuid


@pytest.fixture
def four(store, clock):
    """Four runs, an hour apart: done, halted, all failed, and not begun."""
    return [
        ran(store, "red apples", "go", "go", clock=clock),
        ran(store, "50% pears", "go", "weigh", "fail", clock=clock),
        ran(store, "Plums_red", "fail", clock=clock),
        ran(store, "figs", clock=clock),
    ]


def found(store, **which):
    return [run.uuid for run in store.runs(**which).items]


def test_runs_are_found_by_what_they_are_and_sorted(store, four):
    done, halted, failed, new = four
    assert found(store) == [new, failed, halted, done]
    assert found(store, status=WorkflowStatus.HALTED) == [halted]
    assert found(store, status=[WorkflowStatus.COMPLETED, WorkflowStatus.NEW]) == [new, done]
    assert found(store, name="figs") == [new]
    assert found(store, search="RED") == [failed, done]
    assert found(store, search="50%") == [halted]
    assert found(store, search="%") == [halted]
    assert found(store, search="s_r") == [failed]
    assert found(store, search=failed[:8]) == [failed]
    assert found(store, search="nothing\0like\ud800this") == []
    assert found(store, action="weigh") == [halted]
    assert found(store, action="eat") == []
    assert found(store, since=START + HOUR) == [new, failed, halted]
    moment = datetime.fromtimestamp(START, UTC) + timedelta(hours=1)
    assert found(store, until=moment) == [done]
    assert found(store, sort="name") == [halted, failed, new, done]
    assert found(store, sort="-tokens")[:2] == [halted, done]


def test_runs_are_found_by_the_style_that_began_them_and_by_whether_they_wait(store, four):
    assert styles(store) == []
    flow = store.new_run("words", [judge], {}, style="flow", due=START + HOUR).uuid
    steps = store.new_run("posters", [judge], {}, style="steps").uuid
    more = store.new_run("words", [judge], {}, style="flow").uuid
    assert styles(store) == ["flow", "steps"]
    assert found(store, style="flow") == [more, flow]
    assert found(store, style="steps", name="words") == []
    assert found(store, waits=True) == [flow]
    assert found(store, waits=False, style="flow") == [more]
    summary = store.summary(flow)
    assert (summary.style, summary.due.timestamp()) == ("flow", START + HOUR)
    assert (store.summary(steps).style, store.summary(steps).due) == ("steps", None)
    assert store.summary(four[0]).style is None


def test_pages_together_are_the_whole_and_know_how_many_there_are(store, four):
    pages = [store.runs(offset=offset, limit=3) for offset in (0, 3, 6)]
    assert [uuid for page in pages for uuid in (run.uuid for run in page.items)] == four[::-1]
    assert {page.total for page in pages} == {4}
    assert store.runs(limit=0).total == 4
    assert len(store.runs(limit=None).items) == 4
    assert store.latest(status=WorkflowStatus.COMPLETED).uuid == four[0]
    assert store.latest(name="cherries") is None


def test_a_summary_counts_tokens_and_says_what_ended_the_run(store, four, clock):
    done, halted, failed, new = (store.summary(uuid) for uuid in four)
    assert (done.done, done.total, done.fraction, done.error) == (2, 2, 1.0, None)
    assert halted.counts == {
        ObjectStatus.COMPLETED: 1,
        ObjectStatus.HALTED: 1,
        ObjectStatus.ERROR: 1,
    }
    assert halted.fraction == pytest.approx(1 / 3)
    assert (new.total, new.fraction, new.started, new.rate) == (0, 0.0, None, None)
    assert (failed.status, failed.is_live, failed.is_complete_input) == (
        WorkflowStatus.ERROR,
        False,
        True,
    )
    assert store.runs().items[3] == done


def test_who_has_a_run_and_how_fast_it_is_can_be_seen_while_it_runs(store, clock):
    seen = []

    def look(token, eng):
        clock.now += 2.0
        seen.append(store.summary(eng.uuid))

    eng = DbWorkflowEngine.with_name("looks", store=store, definition=[look])
    eng.process(iter([1, 2, 3]))
    last = seen[-1]
    assert (last.is_live, last.status) == (True, WorkflowStatus.RUNNING)
    assert "process" in last.owner
    assert last.lease_expires.timestamp() > clock.now
    assert (last.done, last.seconds, last.rate) == (2, 6.0, pytest.approx(1 / 3))
    assert (last.is_complete_input, last.fraction) == (False, None)
    assert store.summary(eng.uuid).seconds == 6.0


def test_branches_are_no_runs_of_their_own_and_what_halts_in_them_counts_for_the_run(store):
    def ask(token, eng):
        eng.halt("?", action="weigh")

    definition = [PARALLEL_SPLIT([ask], [judge])]
    eng = DbWorkflowEngine.with_name("splits", store=store, definition=definition)
    eng.process([{"do": "go"}], stop_on_halt=False)
    assert found(store) == [eng.uuid]
    assert found(store, action="weigh") == [eng.uuid]


def test_tokens_on_their_way_are_counted_by_where_they_stand(store, four):
    assert store.places(four[1]) == {"0": {ObjectStatus.HALTED: 1, ObjectStatus.ERROR: 1}}
    assert store.places(four[0]) == {}


@pytest.mark.parametrize(
    "which",
    [
        {"sort": "colour"},
        {"limit": -1},
        {"offset": "many"},
        {"limit": True},
        {"status": "HALTED"},
        {"since": "yesterday"},
        {"since": datetime(2026, 1, 1)},  # noqa: DTZ001
    ],
    ids=str,
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_be_meant_is_refused(store, which):
    with pytest.raises(WorkflowAPIError):
        store.runs(**which)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_damaged_row_is_listed_all_the_same(store, four):
    with store.session() as session:
        session.execute(
            text(
                "UPDATE workflow SET status = 'LOST', created = 'never', options = '{', error = '['"
            )
        )
    assert {run.status for run in store.runs().items} == {None}
    run = store.summary(four[2])
    assert (run.created, run.error) == (None, "an error that is not readable any more")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_there_is_no_summary_of_no_run(store):
    with pytest.raises(UnknownRunError):
        store.summary("3f2a")


NAMES = st.lists(st.text("ab%_/\\", min_size=1, max_size=4), min_size=1, max_size=5)


@given(names=NAMES, search=st.text("aB%_/\\", max_size=3), sort=st.sampled_from(SORTS))
def test_a_search_finds_what_has_the_text_in_its_name_whichever_it_is(names, search, sort):
    with Store("sqlite://", definitions=Registry()) as store:
        for name in names:
            store.new_run(name, [judge], {})
        expected = sorted(name for name in names if search.lower() in name.lower())
        runs = [store.runs(search=search, sort=way).items for way in (sort, f"-{sort}")]
        hexadecimal = [run for run in runs[0] if search.lower() not in run.name.lower()]
        assert sorted(run.name for run in runs[0] if run not in hexadecimal) == expected
        assert all(run.uuid.startswith(search.lower()) for run in hexadecimal)
        assert [run.uuid for run in runs[0]] == [run.uuid for run in reversed(runs[1])]
