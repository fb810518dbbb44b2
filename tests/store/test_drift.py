"""Runs that go on with another definition than they were begun with.

Each token stands at the same task afterwards, or the run is refused: never is a position silently
that of something else. The runs are real; what a person would expect is read off the names.
"""

import logging
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import suppress

import pytest
from attrs import define, field, frozen
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from wfengine.callbacks import clean
from wfengine.definitions import fingerprint, skeleton
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import (
    HaltProcessing,
    LeaseHeldError,
    LeaseLostError,
    PositionError,
    WorkflowDefinitionError,
)
from wfengine.patterns import FOR, GRAPH, IF, RUN_WF, SYNCHRONIZE, TRY, WHILE
from wfengine.patterns.graph import Node
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store, TaskExecution, Workflow, WorkflowObject, drift

OLD = ("a", ("b", "c"), "d", "e")
"""A definition by the names of its tasks; a tuple is a list of tasks."""


class Broken(Exception):
    """What a task raises when it is asked to fail."""


@define
class Tasks:
    """Tasks by name, which note that they ran, and once halt, fail or are broken off if asked.

    :param ran: the names, each with the item of a loop if there is one.
    :param asked: what to do next time, by name.
    """

    ran: list = field(factory=list)
    asked: dict = field(factory=dict)
    known: dict = field(factory=dict)

    def task(self, name):
        """Return the one task of a name."""
        return self.known.setdefault(name, self._made(name))

    def _made(self, name):
        def work(obj, eng):
            item = eng.extra_data.get("item")
            self.ran.append(name if item is None else f"{name} {item}")
            asked = self.asked.pop(name, None) or ("halt" if obj.get("halt") == name else None)
            if asked == "halt":
                obj["halt"] = None
                eng.halt(f"halted at {name}", action="look")
            if asked == "fail":
                raise Broken(name)
            if asked == "break off":
                raise KeyboardInterrupt(name)

        work.__name__ = work.__qualname__ = name
        return work

    def built(self, names):
        """Return a definition of tasks, from their names and whatever else is in it."""
        return [
            self.built(name)
            if isinstance(name, tuple)
            else self.task(name)
            if isinstance(name, str)
            else name
            for name in names
        ]


@pytest.fixture
def tasks():
    return Tasks()


@pytest.fixture
def store(emptied_url):
    with Store(emptied_url) as store:
        yield store


@pytest.fixture(scope="module")
def shared():
    """A store for tests that have many runs and look at each by itself."""
    with Store("sqlite://") as store:
        yield store


def begun(store, tasks, definition, at=None, how="halt", tokens=1, **options):
    """Run a definition until a task ends it; return the run's uuid."""
    if at is not None:
        tasks.asked[at] = how
    given = tokens if isinstance(tokens, list) else [{} for _ in range(tokens)]
    eng = DbWorkflowEngine.with_name("drift", store=store, definition=definition)
    with suppress(HaltProcessing, Broken, KeyboardInterrupt, ExceptionGroup):
        eng.process(given, **options)
    tasks.ran.clear()
    return eng.uuid


def loaded(store, uuid, definition):
    return DbWorkflowEngine.from_uuid(uuid, store=store, definition=definition)


def resumed(store, tasks, uuid, definition, **how):
    """Resume with a definition; return what ran, or None if that was refused."""
    tasks.ran.clear()
    try:
        loaded(store, uuid, definition).resume(**how)
    except PositionError:
        assert tasks.ran == []
        return None
    return list(tasks.ran)


def looked_at(store, uuid, definition, **how):
    """Return the drift that a dry run shows."""
    return loaded(store, uuid, definition).resume(dry_run=True, **how).drift


LEASE = {"lease_token", "lease_owner", "lease_expires"}


def rows_of(store, since=0):
    """Return all that is stored of runs and tokens, but for who has them.

    :param since: the id of the first run to look at.
    """
    queries = [
        select(Workflow).where(Workflow.id >= since).order_by(Workflow.id),
        select(WorkflowObject).where(WorkflowObject.workflow_id >= since),
        select(TaskExecution).join(WorkflowObject).where(WorkflowObject.workflow_id >= since),
    ]
    with store.session() as session:
        return [
            {
                column.name: getattr(row, column.name)
                for column in row.__table__.columns
                if column.name not in LEASE
            }
            for query in queries
            for row in session.scalars(query)
        ]


def tokens_of(store, **values):
    with store.session() as session:
        query = select(WorkflowObject).filter_by(**values).order_by(WorkflowObject.id)
        found = session.scalars(query).all()
        session.expunge_all()
        return found


def maps_of(store, token_id):
    with store.session() as session:
        query = select(TaskExecution).filter_by(object_id=token_id, event="map")
        found = session.scalars(query.order_by(TaskExecution.step)).all()
        session.expunge_all()
        return found


def flat(names):
    """Return all names in the order in which they run."""
    return [each for name in names for each in (flat(name) if isinstance(name, tuple) else [name])]


def after(names, name):
    order = flat(names)
    return order[order.index(name) + 1 :]


def expected(names, at, how):
    """Return what is left to run for a token that a task ended: after a halt, not that task."""
    return after(names, at) if how == "halt" else [at, *after(names, at)]


def places(names, way=()):
    """Yield the way to every element, lists included."""
    for index, name in enumerate(names):
        yield (*way, index)
        if isinstance(name, tuple):
            yield from places(name, (*way, index))


def changed(names, way, change):
    """Return the definition with the one element at a place changed into some."""
    index, *rest = way
    inner = (changed(names[index], rest, change),) if rest else change(names[index])
    return (*names[:index], *inner, *names[index + 1 :])


def at(names, way):
    for index in way:
        names = names[index]
    return names


HOWS = ["halt", "fail", "break off"]
halted_everywhere = pytest.mark.parametrize("task", flat(OLD))
ended_in_any_way = pytest.mark.parametrize("how", HOWS)


@halted_everywhere
@ended_in_any_way
def test_a_task_may_be_inserted_before_or_after_any_other(shared, tasks, task, how):
    for way in places(OLD):
        for change in (lambda name: ("new", name), lambda name: (name, "new")):
            new = changed(OLD, way, change)
            uuid = begun(shared, tasks, tasks.built(OLD), task, how)
            assert resumed(shared, tasks, uuid, tasks.built(new)) == expected(new, task, how)


@halted_everywhere
@ended_in_any_way
def test_any_task_but_the_one_at_which_a_token_stands_may_be_removed(shared, tasks, task, how):
    for way in places(OLD):
        new = changed(OLD, way, lambda name: ())
        uuid = begun(shared, tasks, tasks.built(OLD), task, how)
        ran = resumed(shared, tasks, uuid, tasks.built(new))
        assert ran == (expected(new, task, how) if task in flat(new) else None)


@halted_everywhere
@ended_in_any_way
def test_a_task_under_another_name_is_refused_unless_that_is_said(shared, tasks, task, how):
    for way in places(OLD):
        name = at(OLD, way)
        if isinstance(name, tuple):
            continue
        new = changed(OLD, way, lambda name: ("another",))
        stands = "another" if name == task else task
        uuid = begun(shared, tasks, tasks.built(OLD), task, how)
        if name == task:
            assert resumed(shared, tasks, uuid, tasks.built(new)) is None
        ran = resumed(shared, tasks, uuid, tasks.built(new), renamed={name: "another"})
        assert ran == expected(new, stands, how)


@halted_everywhere
@pytest.mark.parametrize("to", ["first", "last"])
def test_when_tasks_change_places_a_token_stays_at_its_task(shared, tasks, task, to):
    for index, name in enumerate(OLD):
        others = OLD[:index] + OLD[index + 1 :]
        new = (name, *others) if to == "first" else (*others, name)
        uuid = begun(shared, tasks, tasks.built(OLD), task)
        assert resumed(shared, tasks, uuid, tasks.built(new)) == after(new, task)


@halted_everywhere
def test_what_changed_places_around_a_token_is_told(store, tasks, task):
    new = ("e", "d", ("c", "b"), "a")
    uuid = begun(store, tasks, tasks.built(OLD), task)
    text = looked_at(store, uuid, tasks.built(new)).text()
    before, left = set(flat(OLD)) - set(after(OLD, task)), set(after(new, task))
    assert ("run again after it" in text) is bool(left & (before - {task}))
    assert ("not run before it" in text) is bool(set(after(OLD, task)) - left)


@halted_everywhere
@pytest.mark.parametrize("pattern", ["IF", "WHILE", "list"])
def test_a_token_at_a_task_that_was_wrapped_is_refused_and_others_go_on(
    shared, tasks, task, pattern
):
    def wrapped(name):
        inner = tasks.built((name,))
        return {
            "IF": (IF(lambda obj, eng: True, inner),),
            "WHILE": (WHILE(lambda obj, eng: False, inner),),
            "list": (inner,),
        }[pattern]

    for way in places(OLD):
        inside = flat((at(OLD, way),))
        uuid = begun(shared, tasks, tasks.built(OLD), task)
        ran = resumed(shared, tasks, uuid, tasks.built(changed(OLD, way, wrapped)))
        left = after(OLD, task)
        if pattern == "WHILE":
            left = [name for name in left if name not in inside]
        is_one_of_two_lists = pattern == "list" and len(way) == 1 and task not in OLD
        assert ran == (None if task in inside or is_one_of_two_lists else left)


@halted_everywhere
def test_a_token_in_a_list_that_was_taken_apart_is_refused(store, tasks, task):
    new = ("a", "b", "c", "d", "e")
    uuid = begun(store, tasks, tasks.built(OLD), task)
    ran = resumed(store, tasks, uuid, tasks.built(new))
    assert ran == (None if task in ("b", "c") else after(new, task))


@frozen
class Edit:
    """What is done to a definition somewhere.

    :param at: which place, counted modulo how many there are.
    """

    kind: str
    at: int

    def on(self, names, number):
        """Return the definition afterwards."""
        ways = list(places(names))
        if not ways:
            return (f"new {number}",)
        way = ways[self.at % len(ways)]
        return {
            "insert": lambda: changed(names, way, lambda name: (f"new {number}", name)),
            "remove": lambda: changed(names, way, lambda name: ()),
            "rename": lambda: changed(names, way, lambda name: (f"new {number}",)),
            "wrap": lambda: changed(names, way, lambda name: ((name,),)),
            "to the front": lambda: (at(names, way), *changed(names, way, lambda name: ())),
            "to the end": lambda: (*changed(names, way, lambda name: ()), at(names, way)),
        }[self.kind]()


KINDS = ["insert", "remove", "rename", "wrap", "to the front", "to the end"]
edits = st.lists(
    st.builds(Edit, st.sampled_from(KINDS), st.integers(0, 50)), min_size=1, max_size=4
)
trees = st.recursive(
    st.just(None), lambda inner: st.lists(inner, min_size=1, max_size=4).map(tuple), max_leaves=10
)


def with_names(tree):
    """Return a tree of names, each used once."""
    names = (f"t{number}" for number in range(1000))

    def named(part):
        return tuple(map(named, part)) if isinstance(part, tuple) else next(names)

    return named(tree if isinstance(tree, tuple) else (tree,))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(trees.map(with_names), edits, st.data(), st.sampled_from(HOWS))
def test_whatever_is_edited_a_token_goes_on_after_its_task_or_is_refused(
    shared, old, edits, data, how
):
    tasks, new = Tasks(), old
    task = data.draw(st.sampled_from(flat(old)))
    for number, edit in enumerate(edits):
        new = edit.on(new, number)
    uuid = begun(shared, tasks, tasks.built(old), task, how)
    run_id = shared.run(uuid).id
    before = rows_of(shared, since=run_id)
    is_refused = fingerprint(tasks.built(new)) != fingerprint(tasks.built(old)) and (
        looked_at(shared, uuid, tasks.built(new)).is_refused
    )
    ran = resumed(shared, tasks, uuid, tasks.built(new))
    assert (ran is None) is is_refused
    event("refused" if is_refused else "goes on")
    if ran is None:
        assert rows_of(shared, since=run_id) == before
        assert resumed(shared, tasks, uuid, tasks.built(old)) == expected(old, task, how)
    else:
        assert ran == expected(new, task, how)


# What is told, and what is written


def test_the_same_definition_has_no_drift(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "c")
    assert looked_at(store, uuid, tasks.built(OLD)) is None


def test_a_dry_run_tells_what_moves_and_writes_nothing(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "c")
    before = rows_of(store)
    found = looked_at(store, uuid, tasks.built(("new", *OLD)))
    assert found.moves == [
        drift.Move(1, 0, "1.1", "2.1", "c", "[1, 1] is [2, 1] now; not run before it: 'new'")
    ]
    assert (found.move_count, found.refused_count, found.is_refused) == (1, 0, False)
    assert "+ new" in found.text()
    assert "token 1 (index 0) 'c' 2.1" in found.text()
    assert rows_of(store) == before


def test_a_dry_run_tells_what_is_refused_and_raises_nothing(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "d")
    before = rows_of(store)
    found = looked_at(store, uuid, tasks.built(("a", "e")))
    assert found.is_refused
    assert [(each.token_id, each.path) for each in found.refused] == [(1, "2")]
    assert "'d' is gone" in found.text()
    assert rows_of(store) == before


def test_the_refusal_shows_both_sides_and_says_what_to_do(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "d")
    with pytest.raises(PositionError) as caught:
        loaded(store, uuid, tasks.built(("a", "f", "e"))).resume()
    for text in ("- d", "+ f", "'d' is gone", "renamed=", "eng.rewind(", "old definition", uuid):
        assert text in str(caught.value)


def test_after_a_refusal_the_run_goes_on_with_the_old_definition(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "d")
    before = rows_of(store)
    assert resumed(store, tasks, uuid, tasks.built(("a", "e"))) is None
    assert rows_of(store) == before
    with store.session() as session:
        assert session.scalars(select(Workflow)).one().lease_owner is None
    assert resumed(store, tasks, uuid, tasks.built(OLD)) == ["e"]


def test_the_history_of_a_token_says_that_it_was_moved(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "c")
    resumed(store, tasks, uuid, tasks.built(("new", *OLD)))
    (row,) = maps_of(store, 1)
    assert (row.path, row.name, row.status) == ("2.1", "c", "done")
    assert row.outcome == {"from": "1.1", "to": "2.1"}
    with store.session() as session:
        steps = session.scalars(select(TaskExecution.step).order_by(TaskExecution.id)).all()
    assert steps == [*range(1, 7)]


def test_the_log_says_what_was_done(store, tasks, caplog):
    uuid = begun(store, tasks, tasks.built(OLD), "c")
    with caplog.at_level(logging.WARNING, "wfengine.store"):
        resumed(store, tasks, uuid, tasks.built(("new", *OLD)))
    assert any(uuid in line and "'c' 2.1" in line for line in caplog.messages)


def test_where_all_stand_at_the_same_place_only_the_run_is_written(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "c")
    new = (*OLD, "new")
    assert looked_at(store, uuid, tasks.built(new)).same_count == 1
    assert resumed(store, tasks, uuid, tasks.built(new)) == ["d", "e", "new"]
    assert maps_of(store, 1) == []
    assert store.run(uuid).fingerprint == fingerprint(tasks.built(new))


def test_positions_of_tokens_begun_later_are_those_of_the_new_definition(store, tasks):
    """Else the next resume would take them for positions of the old one."""
    new = ("new", *OLD)
    uuid = begun(store, tasks, tasks.built(OLD), tokens=[{"halt": "a"}, {"halt": "d"}])
    with pytest.raises(HaltProcessing):
        resumed(store, tasks, uuid, tasks.built(new))
    assert resumed(store, tasks, uuid, tasks.built(new)) == ["e"]


def test_a_run_can_go_on_with_one_definition_after_another_and_back(store, tasks):
    new, newer = ("new", *OLD), ("newer", "new", *OLD[1:])
    uuid = begun(store, tasks, tasks.built(OLD), "b")
    for names, task in ((new, "c"), (newer, "d")):
        tasks.asked[task] = "halt"
        with pytest.raises(HaltProcessing):
            resumed(store, tasks, uuid, tasks.built(names))
        assert tasks.ran == flat(OLD)[flat(OLD).index(task) : flat(OLD).index(task) + 1]
    assert resumed(store, tasks, uuid, tasks.built(OLD)) == ["e"]
    moves = [(row.outcome["from"], row.outcome["to"]) for row in maps_of(store, 1)]
    assert moves == [("1.0", "2.0"), ("3", "2")]


def test_names_that_are_in_no_definition_are_an_error(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "c")
    before = rows_of(store)
    with pytest.raises(WorkflowDefinitionError, match="'nobody'"):
        loaded(store, uuid, tasks.built(("new", *OLD))).resume(renamed={"nobody": "a"})
    assert rows_of(store) == before


def test_a_run_whose_old_definition_is_not_known_is_refused(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "c")
    with store.session() as session:
        session.execute(update(Workflow).values(fingerprint="0" * 32))
    with pytest.raises(PositionError, match="does not have the definition"):
        loaded(store, uuid, tasks.built(OLD)).resume()


def test_a_run_that_is_somebody_elses_by_now_is_not_written(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "c")
    eng = loaded(store, uuid, tasks.built(("new", *OLD)))
    journal = eng.recorder
    found = drift.drift_of(store, journal.run, eng.callbacks.get(), None)
    journal.lease = store.take(journal.run, eng.interrupt)
    with store.session() as session:
        session.execute(update(Workflow).values(lease_token=Workflow.lease_token + 1))
    before = rows_of(store)
    with pytest.raises(LeaseLostError):
        found.apply(store, journal)
    assert rows_of(store) == before
    store.keeper.drop(journal.lease)


# Several tokens


def at_different_places(store, tasks, **options):
    given = [{}, *({"halt": name} for name in flat(OLD)), {"halt": None}]
    return begun(store, tasks, tasks.built(OLD), tokens=given, stop_on_halt=False, **options)


def test_tokens_at_different_places_are_all_mapped(store, tasks):
    new = ("new", "a", ("x", "b", "y", "c"), "d", "z", "e")
    uuid = at_different_places(store, tasks)
    for token in tokens_of(store, status=ObjectStatus.HALTED.name):
        store.decide(token.id, "go on")
    assert Counter(resumed(store, tasks, uuid, tasks.built(new))) == Counter(
        name for task in flat(OLD) for name in after(new, task)
    )
    assert store.run(uuid).status is WorkflowStatus.COMPLETED


def test_one_token_without_a_place_keeps_all_where_they_are(store, tasks):
    uuid = at_different_places(store, tasks)
    before = rows_of(store)
    new = ("new", "a", ("b", "c"), "e")
    found = looked_at(store, uuid, tasks.built(new), token_id=2)
    assert (found.move_count, found.refused_count) == (4, 1)
    assert resumed(store, tasks, uuid, tasks.built(new)) is None
    assert rows_of(store) == before


def test_tokens_are_gone_over_in_pages_and_some_of_them_told(store, tasks, monkeypatch):
    monkeypatch.setattr("wfengine.store.drift.survey.PAGE", 3)
    monkeypatch.setattr("wfengine.store.drift.pen.PAGE", 3)
    monkeypatch.setattr("wfengine.store.drift.mapping.MOST", 4)
    given = [{"halt": "b"} for _ in range(10)]
    uuid = begun(store, tasks, tasks.built(OLD), tokens=given, stop_on_halt=False)
    new = tasks.built(("new", *OLD))
    found = looked_at(store, uuid, new, token_id=1)
    assert (found.move_count, len(found.moves)) == (10, 4)
    assert "and 6 more" in found.text()
    tasks.asked["c"] = "fail"
    with pytest.raises(Broken):
        loaded(store, uuid, new).resume(1)
    assert Counter(token.callback_pos for token in tokens_of(store)) == {"2.0": 9, "2.1": 1}
    assert all(len(maps_of(store, token.id)) == 1 for token in tokens_of(store))


def test_a_damaged_row_is_named_and_does_not_stop_the_others(store, tasks):
    uuid = at_different_places(store, tasks)
    with store.session() as session:
        session.execute(update(WorkflowObject).filter_by(id=3).values(callback_pos="1.x"))
    new = tasks.built(("new", *OLD))
    assert "workflow_object 3" in looked_at(store, uuid, new, token_id=4).text()
    assert resumed(store, tasks, uuid, new, token_id=4) == ["d", "e"]


def test_it_is_so_on_every_database(database_url, tasks):
    with Store(database_url) as store:
        uuid = at_different_places(store, tasks)
        new = tasks.built(("new", "a", ("x", "b", "y", "c"), "d", "z", "e"))
        assert resumed(store, tasks, uuid, new, token_id=3) == ["y", "c", "d", "z", "e"]
        assert resumed(store, tasks, uuid, new, token_id=4) == ["d", "z", "e"]
        assert [row.outcome for row in maps_of(store, 5)] == [{"from": "2", "to": "3"}]


# Loops and TRY


def test_a_loop_goes_on_in_mid_turn_when_its_body_has_changed(store, tasks):
    a, b, new = map(tasks.task, ("a", "b", "new"))
    tasks.asked["b"] = None
    old = [FOR([1, 2, 3], "item", [a, halting_at(tasks, 2), b])]
    uuid = begun(store, tasks, old)
    changed = [new, FOR([1, 2, 3], "item", [a, new, halting_at(tasks, 0), b, new])]
    ran = resumed(store, tasks, uuid, changed)
    assert ran == ["b 2", "new 2", "a 3", "new 3", "check 3", "b 3", "new 3"]


def halting_at(tasks, item):
    """Return a task that halts at one item of a loop."""

    def check(obj, eng):
        tasks.ran.append(f"check {eng.extra_data['item']}")
        if eng.extra_data["item"] == item and not obj.get("was halted"):
            obj["was halted"] = True
            eng.halt("in mid-turn")

    check.__qualname__ = "check"
    return check


def test_loops_inside_of_loops_go_on_in_mid_turn(store, tasks):
    def definition(*inner, outer=()):
        return [FOR((1, 2), None, [tasks.task("o"), FOR("xy", "item", list(inner)), *outer])]

    check = halting_at(tasks, "y")
    uuid = begun(store, tasks, definition(tasks.task("a"), check))
    new = definition(tasks.task("a"), check, tasks.task("b"), outer=(tasks.task("p"),))
    ran = resumed(store, tasks, uuid, new)
    second = ["o y", "a x", "check x", "b x", "a y", "check y", "b y", "p y"]
    assert ran == ["b y", "p y", *second]


@pytest.mark.parametrize(
    "loop",
    [
        lambda body: FOR([1, 2, 4], "item", body),
        lambda body: FOR([0, 1, 2, 3], "item", body),
        lambda body: FOR([1, 2, 3], "item", body, order="DSC"),
        lambda body: FOR((1, 2, 3), "item", body),
        lambda body: FOR(range(1, 4), "item", body),
        lambda body: FOR(lambda obj, eng: [1, 2, 3], "item", body),
        lambda body: FOR([1, 2, 3], "another", body),
        lambda body: WHILE(lambda obj, eng: True, body),
        lambda body: IF(lambda obj, eng: True, body),
        lambda body: [*body],
    ],
)
@pytest.mark.parametrize("is_said", [False, True])
def test_a_loop_over_something_else_is_refused_in_mid_turn(store, tasks, loop, is_said):
    """Also if somebody says that it is the same under another name."""
    check = halting_at(tasks, 2)
    old, new = [FOR([1, 2, 3], "item", [check])], [loop([check])]
    uuid = begun(store, tasks, old)
    renamed = {skeleton(old)[0][1]: skeleton(new)[0][1]} if is_said else None
    assert resumed(store, tasks, uuid, new, renamed=renamed) is None
    assert resumed(store, tasks, uuid, old) == ["check 3"]


def test_before_and_after_a_loop_its_items_may_change(shared, tasks):
    for task, left in (("a", ["b 5", "c 5"]), ("c", [])):
        old = [tasks.task("a"), FOR([1], "item", [tasks.task("b")]), tasks.task("c")]
        uuid = begun(shared, tasks, old, task)
        new = [tasks.task("a"), FOR([5], "item", [tasks.task("b")]), tasks.task("c")]
        assert resumed(shared, tasks, uuid, new) == left


def test_a_loop_whose_body_lost_the_task_that_halted_is_refused(store, tasks):
    check = halting_at(tasks, 2)
    uuid = begun(store, tasks, [FOR([1, 2, 3], "item", [tasks.task("a"), check])])
    assert resumed(store, tasks, uuid, [FOR([1, 2, 3], "item", [tasks.task("a")])]) is None


def test_a_while_goes_on_in_its_body(store, tasks):
    def left(obj, eng):
        obj["turns"] = obj.get("turns", 0) + 1
        return obj["turns"] < 3

    uuid = begun(store, tasks, [WHILE(left, [tasks.task("a"), tasks.task("b")])], "a")
    new = [tasks.task("new"), WHILE(left, [tasks.task("a"), tasks.task("new"), tasks.task("b")])]
    assert resumed(store, tasks, uuid, new) == ["new", "b", "a", "new", "b"]


def test_a_try_whose_tasks_have_changed_still_tries_again(store, tasks):
    uuid = begun(
        store, tasks, [TRY([tasks.task("a"), tasks.task("b")], retry=1), tasks.task("c")], "a"
    )
    tasks.asked["b"] = "fail"
    new = [TRY([tasks.task("a"), tasks.task("new"), tasks.task("b")], retry=1), tasks.task("c")]
    assert resumed(store, tasks, uuid, new) == ["new", "b", "a", "new", "b", "c"]


def test_what_a_try_has_left_behind_is_in_nobodys_way(store, tasks):
    a, b, c, new = map(tasks.task, ("a", "b", "c", "new"))
    uuid = begun(store, tasks, [TRY([a]), b, c], "b", "fail")
    assert resumed(store, tasks, uuid, [new, b, c]) == ["b", "c"]


def test_a_loop_inside_of_a_try_goes_on_in_mid_turn(store, tasks):
    check = halting_at(tasks, 2)
    uuid = begun(store, tasks, [TRY(FOR([1, 2, 3], "item", [check]))])
    new = [
        tasks.task("new"),
        TRY([FOR([1, 2, 3], "item", [check, tasks.task("b")]), tasks.task("c")]),
    ]
    tasks.asked["b"] = "fail"
    again = ["check 1", "b 1", "check 2", "b 2", "check 3", "b 3", "c 3"]
    assert resumed(store, tasks, uuid, new) == ["b 2", *again]


# Branches


def same(old, new):
    """Return the renaming that says that the patterns at the beginning are the same."""
    return {skeleton(old)[0][1]: skeleton(new)[0][1]}


def branches(tasks, *definitions, last="last"):
    return [SYNCHRONIZE(*(tasks.built(names) for names in definitions), tasks.task(last))]


def test_branches_that_did_not_change_go_on_wherever_their_pattern_is(store, tasks):
    uuid = begun(store, tasks, branches(tasks, ("a",), ("b", "c")), "b")
    new = [tasks.task("new"), *branches(tasks, ("a",), ("b", "c"))]
    assert resumed(store, tasks, uuid, new) == ["c", "last"]


@ended_in_any_way
def test_a_branch_that_changed_goes_on_at_its_task(store, tasks, how):
    old, new = (branches(tasks, ("a",), names) for names in (("b", "c"), ("new", "b", "x", "c")))
    uuid = begun(store, tasks, old, "b", how)
    renamed = same(old, new)
    found = looked_at(store, uuid, new, renamed=renamed)
    assert [(move.task, move.old, move.new) for move in found.moves] == [("b", "0", "1")]
    left = expected(("new", "b", "x", "c"), "b", how)
    assert resumed(store, tasks, uuid, new, renamed=renamed) == [*left, "last"]


def test_a_branch_without_the_task_that_halted_refuses_the_whole_run(store, tasks):
    old, new = (branches(tasks, ("a",), names) for names in (("b", "c"), ("c",)))
    uuid = begun(store, tasks, old, "b")
    before = rows_of(store)
    assert looked_at(store, uuid, new, renamed=same(old, new)).is_refused
    assert resumed(store, tasks, uuid, new, renamed=same(old, new)) is None
    assert rows_of(store) == before
    assert resumed(store, tasks, uuid, old) == ["c", "last"]


def test_a_task_of_a_branch_may_have_another_name_if_that_is_said(store, tasks):
    old, new = (branches(tasks, ("a",), names) for names in (("b", "c"), ("x", "c")))
    uuid = begun(store, tasks, old, "b")
    renamed = {**same(old, new), "b": "x"}
    assert resumed(store, tasks, uuid, new, renamed=renamed) == ["c", "last"]


@pytest.mark.parametrize(
    "definitions",
    [
        pytest.param([("b", "c"), ("a",)], id="another order"),
        pytest.param([("a",), ("b", "c"), ("d",)], id="one more"),
        pytest.param([("b", "c")], id="one less"),
        pytest.param([("b", "d"), ("a", "b", "c")], id="another order, and changed"),
        pytest.param([("a", "d"), ("b", "c")], id="one that is done goes on"),
    ],
)
@ended_in_any_way
def test_branches_in_other_number_or_order_are_refused(store, tasks, definitions, how):
    old, new = branches(tasks, ("a",), ("b", "c")), branches(tasks, *definitions)
    uuid = begun(store, tasks, old, "b", how)
    assert resumed(store, tasks, uuid, new) is None
    assert resumed(store, tasks, uuid, new, renamed=same(old, new)) is None
    assert resumed(store, tasks, uuid, old) == [*expected(("b", "c"), "b", how), "last"]


@ended_in_any_way
def test_branches_that_changed_places_are_refused_also_if_their_tasks_have_the_same_names(
    store, tasks, how
):
    old = branches(tasks, ("a", "both"), ("b", "both"))
    new = branches(tasks, ("b", "both"), ("a", "both"))
    uuid = begun(store, tasks, old, "both", how)
    assert resumed(store, tasks, uuid, new, renamed=same(old, new)) is None
    assert resumed(store, tasks, uuid, old) == [*expected(("both",), "both", how), "last"]


# Elements of graphs


def graph(tasks, *elements, **requires):
    """Return a GRAPH of elements with the tasks of their names, or those of a tuple."""
    definitions = [each if isinstance(each, tuple) else (each,) for each in elements]
    return GRAPH(*(Node(e[0], tasks.built(e), requires.get(e[0])) for e in definitions), limit=1)


def names_of_branches(store):
    """Return the name, the key and the number of each branch."""
    with store.session() as session:
        rows = session.scalars(select(Workflow).where(Workflow.parent_id.is_not(None)))
        return {(row.options["name"], row.branch, row.options["number"]) for row in rows}


@pytest.mark.parametrize(
    ("elements", "ran"),
    [
        pytest.param(("a", "b", "c"), ["b", "c"], id="the same"),
        pytest.param(("c", "b", "a"), ["c", "b"], id="another order"),
        pytest.param(("new", "a", "b", "c"), ["new", "b", "c"], id="one more"),
        pytest.param(("b", "c"), ["b", "c"], id="without one that is done"),
        pytest.param(("c", "a"), ["c"], id="without the one that failed"),
        pytest.param(("a", "b"), ["b"], id="without one that was not begun"),
        pytest.param(("a", "x", "c"), ["x", "c"], id="another name"),
        pytest.param((("a", "x"), "b", "c"), ["b", "c"], id="more in one that is done"),
        pytest.param(("a", ("b", "x"), "c"), ["b", "x", "c"], id="more in the one that failed"),
    ],
)
@pytest.mark.parametrize("how", ["fail", "break off"])
@pytest.mark.parametrize("before", [(), ("before",)])
def test_elements_of_a_graph_go_by_their_names(store, tasks, elements, ran, how, before):
    old = [graph(tasks, "a", "b", "c", c="b"), tasks.task("end")]
    new = [*tasks.built(before), graph(tasks, *elements), tasks.task("end")]
    uuid = begun(store, tasks, old, "b", how)
    assert resumed(store, tasks, uuid, new) == [*ran, "end"]


def test_elements_in_another_order_have_other_numbers_and_those_that_are_gone_none(store, tasks):
    old, new = [graph(tasks, "a", "b", "c", c="b")], [graph(tasks, "b", "new", "a")]
    uuid = begun(store, tasks, old, "b", "fail")
    assert names_of_branches(store) == {("a", "1.0.0", 0), ("b", "1.0.1", 1)}
    assert resumed(store, tasks, uuid, new) == ["b", "new"]
    assert names_of_branches(store) == {("a", "1.0.2", 2), ("b", "1.0.0", 0), ("new", "1.0.1", 1)}
    assert {place: state.done for place, state in store.live(uuid).items() if "/" in place} == {
        f"0/{number}:0": 1 for number in range(3)
    }


def test_an_element_that_is_gone_is_told_and_given_up_with_all_that_is_in_it(store, tasks):
    inner = graph(tasks, "x", "y", y="x")
    old = [graph(tasks, "a", ("b", inner), "c", c="b")]
    uuid = begun(store, tasks, old, "x", "fail")
    new = [graph(tasks, "c", "a")]
    found = looked_at(store, uuid, new)
    assert found.dropped == [("b",)]
    assert found.text().endswith("begun, and no part of it any more: 'b'")
    assert resumed(store, tasks, uuid, new) == ["c"]
    assert store.run(uuid).status is WorkflowStatus.COMPLETED
    assert {token.status for token in tokens_of(store)} == {"COMPLETED"}
    again = [graph(tasks, "c", "a", ("b", inner))]
    assert looked_at(store, uuid, again).dropped == []


def test_what_is_inside_of_elements_goes_by_its_names_too(store, tasks):
    def definition(*names):
        return [graph(tasks, "a", ("b", graph(tasks, *names)))]

    uuid = begun(store, tasks, definition("x", "y", "z"), "y", "fail")
    tasks.asked["w"] = "fail"
    first = definition("w", "z", "x")
    assert looked_at(store, uuid, first).dropped == [("b", "y")]
    with suppress(Broken):
        loaded(store, uuid, first).resume()
    assert tasks.ran == ["w"]
    assert resumed(store, tasks, uuid, definition("y", "x", "w", "z")) == ["y", "w"]


def test_an_element_whose_beginning_is_another_begins_anew_if_nothing_was_done_in_it(store, tasks):
    old = [graph(tasks, "a", "b")]
    new = [GRAPH(Node("a", tasks.task("a")), Node("b", tasks.built(["x", "y"])), limit=1)]
    uuid = begun(store, tasks, old, "b", "fail")
    found = looked_at(store, uuid, new)
    assert (found.anew, found.dropped) == ([("b",)], [])
    assert resumed(store, tasks, uuid, new) == ["x", "y"]


def test_an_element_in_the_middle_of_something_that_is_gone_refuses_the_run(store, tasks):
    old, new = [graph(tasks, "a", ("b", "x", "y"))], [graph(tasks, "new", ("b", "y"))]
    uuid = begun(store, tasks, old, "x", "fail")
    before = rows_of(store)
    assert resumed(store, tasks, uuid, new) is None
    (refused,) = looked_at(store, uuid, new).refused
    assert refused.reason == "in 'b': 'x' is gone"
    assert rows_of(store) == before
    assert resumed(store, tasks, uuid, old) == ["x", "y"]


def test_elements_whose_names_are_not_known_are_refused(store, tasks):
    uuid = begun(store, tasks, [graph(tasks, "a", "b")], "b", "fail")
    with store.session() as session:
        for row in session.scalars(select(Workflow).where(Workflow.parent_id.is_not(None))):
            row.options = {key: row.options[key] for key in row.options if key != "name"}
    assert resumed(store, tasks, uuid, [graph(tasks, "b", "a")]) is None


def test_which_of_two_graphs_is_which_is_not_guessed(store, tasks):
    old = [graph(tasks, "a", "b"), graph(tasks, "c", "d")]
    uuid = begun(store, tasks, old, "b", "fail")
    assert resumed(store, tasks, uuid, [graph(tasks, "c", "x"), graph(tasks, "a", "y")]) is None
    assert resumed(store, tasks, uuid, [graph(tasks, "b", "a"), old[1]]) == ["b", "c", "d"]


def test_loops_in_branches_go_on_in_mid_turn(store, tasks):
    def definition(*body):
        return [
            SYNCHRONIZE(tasks.task("a"), [FOR([1, 2, 3], "item", list(body))], tasks.task("last"))
        ]

    check = halting_at(tasks, 2)
    old, new = definition(check), definition(check, tasks.task("b"))
    uuid = begun(store, tasks, old)
    ran = resumed(store, tasks, uuid, new, renamed=same(old, new))
    assert ran == ["b 2", "check 3", "b 3", "last 3"]


def test_branches_of_branches_go_on_at_their_tasks(store, tasks):
    inner_old, inner_new = (branches(tasks, ("a",), names) for names in (("b",), ("b", "new")))
    old = [SYNCHRONIZE(inner_old, tasks.task("c"), tasks.task("end"))]
    new = [SYNCHRONIZE(inner_new, tasks.task("c"), tasks.task("end"))]
    uuid = begun(store, tasks, old, "b")
    renamed = {**same(old, new), **same(inner_old, inner_new)}
    assert resumed(store, tasks, uuid, new, renamed=renamed) == ["new", "last", "end"]


def test_tokens_of_a_workflow_inside_a_task_go_on_at_their_tasks(store, tasks):
    def definition(*names):
        inner = lambda obj, eng: [{}, {}]  # noqa: E731
        return [RUN_WF(tasks.built(names), data_connector=inner), tasks.task("end")]

    old, new = definition("a", "b"), definition("new", "a", "x", "b")
    uuid = begun(store, tasks, old, "a")
    ran = resumed(store, tasks, uuid, new, renamed=same(old, new))
    assert ran == ["x", "b", "new", "a", "x", "b", "end"]


def test_positions_that_an_engine_of_its_own_keeps_are_refused_if_they_may_have_changed(
    store, tasks
):
    from wfengine.engine import GenericWorkflowEngine

    def definition(*names):
        return [RUN_WF(tasks.built(names), engine=GenericWorkflowEngine), tasks.task("end")]

    old, new = definition("a", "b"), definition("new", "a", "b")
    uuid = begun(store, tasks, old, "a")
    assert resumed(store, tasks, uuid, new, renamed=same(old, new)) is None
    assert resumed(store, tasks, uuid, [tasks.task("new"), *old]) == ["b", "end"]


def test_a_branch_is_mapped_when_it_is_opened_if_it_was_not_before(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "c")
    eng = loaded(store, uuid, tasks.built(OLD))
    journal = eng.recorder
    journal.lease = store.take(journal.run, eng.interrupt)
    with pytest.raises(PositionError):
        drift.map_branch(store, journal, clean(tasks.built(("a", "d"))))
    new = clean(tasks.built(("new", *OLD)))
    drift.map_branch(store, journal, new)
    assert journal.run.fingerprint == fingerprint(new)
    assert journal.tokens.record(0).path == "2.1"
    store.give_back(journal)


# After a crash: what a token remembers of its branches was not written


FLOW = """
import os
import pathlib

from wfengine.engine_db import DbWorkflowEngine
from wfengine.patterns import PARALLEL_SPLIT, SYNCHRONIZE
from wfengine.store import Store

HERE = pathlib.Path(__file__).parent

def task(name):
    def work(obj, eng):
        with (HERE / "ran").open("a") as ledger:
            ledger.write(name + "\\n")
        if name == "dies" and not (HERE / "died").exists():
            while "other" not in (HERE / "ran").read_text() or not is_written():
                pass
            (HERE / "died").touch()
            os._exit(3)
    work.__name__ = work.__qualname__ = name
    return work

def is_written():
    import sqlite3
    with sqlite3.connect(HERE / "runs.db") as connection:
        done = "select count(*) from workflow where status = 'COMPLETED'"
        return connection.execute(done).fetchone()[0] > 0

new, other, first, dies, rest, end = map(task, ("new", "other", "first", "dies", "rest", "end"))
def definition(kind, *more):
    branches = [other], [first, *more, dies, rest]
    if kind == "SYNCHRONIZE":
        return [SYNCHRONIZE(*branches, end)]
    return [PARALLEL_SPLIT(*branches, wait=kind == "waited for"), end]

def begin(kind):
    store = Store("sqlite:///" + str(HERE / "runs.db"))
    eng = DbWorkflowEngine.with_name("crash", store=store, definition=definition(kind))
    (HERE / "uuid").write_text(eng.uuid)
    eng.process([{}])
"""


@pytest.fixture
def flow(tmp_path, monkeypatch):
    """A module with definitions whose runs die in their second branch when the first is done."""
    (tmp_path / "crashing_flow.py").write_text(textwrap.dedent(FLOW))
    monkeypatch.syspath_prepend(str(tmp_path))
    import crashing_flow

    yield crashing_flow
    del sys.modules["crashing_flow"]


@pytest.mark.parametrize("kind", ["SYNCHRONIZE", "PARALLEL_SPLIT", "waited for"])
@pytest.mark.parametrize("is_inside", [False, True])
def test_after_a_crash_a_branch_that_was_done_is_not_run_again(flow, kind, is_inside):
    here = flow.HERE
    program = f"import crashing_flow; crashing_flow.begin({kind!r})"
    died = subprocess.run([sys.executable, "-c", program], cwd=here, check=False, timeout=60)
    assert died.returncode == 3
    old = flow.definition(kind)
    changed = flow.definition(kind, *[flow.new] * is_inside)
    new = [flow.new, *changed]
    uuid = (here / "uuid").read_text()
    with Store(f"sqlite:///{here / 'runs.db'}", clock=lambda: time.time() + 1000) as store:
        loaded(store, uuid, new).resume(renamed=same(old, changed) if is_inside else None)
        assert store.run(uuid).status is WorkflowStatus.COMPLETED
        with store.session() as session:
            assert set(session.scalars(select(Workflow.status))) == {"COMPLETED"}
    ran = Counter((here / "ran").read_text().split())
    once = ("other", "first", "rest")
    assert [ran[name] for name in once] == [1, 1, 1]
    assert (ran["dies"], ran["new"]) == (2, 0)


def test_another_process_that_has_the_run_keeps_it(store, tasks):
    uuid = begun(store, tasks, tasks.built(OLD), "c")
    owner = loaded(store, uuid, tasks.built(OLD))
    lease = store.take(owner.recorder.run, owner.interrupt)
    before = rows_of(store)
    with pytest.raises(LeaseHeldError):
        loaded(store, uuid, tasks.built(("new", *OLD))).resume()
    assert rows_of(store) == before
    store.keeper.drop(lease)
