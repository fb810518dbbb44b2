"""Recovery: what was done is not done again, whatever has failed."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Double, select, type_coerce, update

from wfengine.errors import LeaseHeldError, WorkflowAPIError
from wfengine.status import WorkflowStatus
from wfengine.steps import STORED_STATUSES, RunMode, Sequent, StepReplay, StepStatus
from wfengine.store import Store, Workflow

from ..support.databases import KINDS
from .support import ACTIVE, COMPLETE, FAILURE, INLINE, READY, SUCCESS, Log, children, flow

RECOVER = {"run_mode": RunMode.recover}


@pytest.fixture
def log():
    """Notes calls."""
    return Log()


@pytest.fixture
def store(tmp_path):
    """A store in a file."""
    with Store(f"sqlite:///{tmp_path / 'runs.db'}", synchronous="OFF") as opened:
        yield opened


def test_results_are_stored_with_their_steps(store, log):
    steps = flow(store)
    box = steps.add_step("box", repeats=[1, 2])
    box.add_step("work", log)
    assert steps()
    found = children(store, steps.uuid)
    assert found == {
        "box/1": (WorkflowStatus.COMPLETED, None),
        "box_work/1.1": (WorkflowStatus.COMPLETED, "box_work/1.1"),
        "box_work/1.2": (WorkflowStatus.COMPLETED, "box_work/1.2"),
    }


def test_a_run_of_steps_is_known_as_one_and_only_such_are_recovered(store, log):
    steps = flow(store)
    steps.add_step("work", log)
    assert steps()
    assert store.summary(steps.uuid).style == "steps"
    store.new_run("flow", [print], {}, style="flow")
    again = flow(store, **RECOVER)
    again.add_step("work", log)
    assert again()
    assert again.uuid == steps.uuid
    assert [run.uuid for run in store.runs(style="steps").items] == [steps.uuid]


def test_each_status_of_a_step_is_that_of_a_stored_run(store, log):
    log.failing = {"fails/1"}
    steps = flow(store, config={"stop_on_exception": False})
    steps.add_step("works", log)
    steps.add_step("fails", log)
    assert not steps()
    found = children(store, steps.uuid)
    assert found["works/1"][0] in STORED_STATUSES[StepStatus.success]
    assert found["fails/1"][0] in STORED_STATUSES[StepStatus.failure]
    assert store.run(steps.uuid).status is WorkflowStatus.ERROR


@pytest.mark.parametrize("database_url", KINDS, indirect=True)
def test_recovery_goes_on_where_the_failure_was(database_url, log):
    def build(**options):
        steps = flow(
            database_url, config={"max_concurrent": 3, "task_construct": "thread"}, **options
        )
        box = steps.add_step("box", repeats=[1, 2])
        a = box.add_step("a", log)
        box.add_step("b", log, requires=((a, SUCCESS),))
        steps.add_step("last", log, requires=((box, SUCCESS),))
        return steps

    log.failing = {"box_a/1.2"}
    with build() as steps:
        assert not steps()
    assert log.take() == ["box_a/1.1", "box_b/1.1", "box_a/1.2"]
    with build(**RECOVER) as steps:
        assert not steps()
    assert log.take() == ["box_a/1.2"]
    log.failing = set()
    with build(**RECOVER) as steps:
        assert steps()
    assert log.take() == ["box_a/1.2", "box_b/1.2", "last/1"]
    with build(**RECOVER) as steps:
        assert steps()
    assert not log.calls


def test_the_latest_run_is_recovered_or_the_one_that_is_named(store, log):
    def build(**options):
        steps = flow(store, **options)
        steps.add_step("a", log, repeats=[1])
        return steps

    log.failing = {"a/1.1"}
    uuids = []
    for run_id in (None, None, "nightly"):
        steps = build(run_id=run_id)
        assert not steps()
        uuids.append(steps.uuid)
    log.failing = set()
    for options, uuid in (
        ({}, uuids[1]),
        ({"recovery_run": uuids[0]}, uuids[0]),
        ({"recovery_run": "nightly"}, uuids[2]),
    ):
        steps = build(**RECOVER, **options)
        assert steps()
        assert steps.uuid == uuid
    with pytest.raises(WorkflowAPIError, match="'unknown'"):
        build(**RECOVER, recovery_run="unknown")()


@pytest.mark.parametrize(
    ("recovery", "again"),
    [
        ({}, ["b/1", "c/1"]),
        ({SUCCESS: StepReplay.rerun}, ["a/1", "b/1", "c/1"]),
        ({FAILURE: StepReplay.skip}, []),
        ({COMPLETE: StepReplay.skip}, []),
        ({COMPLETE: StepReplay.rerun}, ["a/1", "b/1", "c/1"]),
    ],
)
def test_what_recovery_does_is_a_table(store, log, recovery, again):
    def build(**options):
        steps = flow(store, **options)
        a = steps.add_step("a", log, recovery=recovery)
        b = steps.add_step("b", log, requires=((a, SUCCESS),), recovery=recovery)
        steps.add_step("c", log, requires=((b, SUCCESS),), recovery=recovery)
        return steps

    log.failing = {"b/1"}
    assert not build()()
    assert log.take() == ["a/1", "b/1"]
    log.failing = set()
    assert build(**RECOVER)()
    assert log.take() == again


@pytest.mark.parametrize(
    ("recovery", "again"),
    [
        ({}, ["late/1", "after/1"]),
        ({READY: StepReplay.skip}, []),
        ({ACTIVE: StepReplay.skip}, ["late/1", "after/1"]),
    ],
)
def test_a_step_that_was_ready_is_run_again_unless_the_table_says_otherwise(
    store, log, recovery, again
):
    def build(delay, **options):
        steps = flow(store, **options)
        steps.add_step("fails", log)
        late = steps.add_step("late", log, delay=delay, recovery=recovery)
        steps.add_step("on ready", log, requires=((late, READY),))
        steps.add_step("after", log, requires=((late, SUCCESS),))
        return steps

    log.failing = {"fails/1"}
    first = build(3600)
    assert not first()
    assert log.take() == ["fails/1"]
    assert children(store, first.uuid)["late/1"][0] in STORED_STATUSES[READY]
    log.failing = set()
    assert build(0, **RECOVER)()
    assert sorted(log.take()) == sorted(["fails/1", "on ready/1", *again])


@pytest.mark.parametrize(
    ("recovery", "again"),
    [
        ({}, ["breaks off/1", "after/1"]),
        ({ACTIVE: StepReplay.skip}, []),
        ({READY: StepReplay.skip}, ["breaks off/1", "after/1"]),
    ],
)
def test_a_step_that_was_active_is_run_again_unless_the_table_says_otherwise(
    store, log, recovery, again
):
    def break_off():
        log()
        if problems:
            raise problems.pop()

    def build(**options):
        steps = flow(store, **options)
        active = steps.add_step("breaks off", break_off, recovery=recovery)
        steps.add_step("on active", log, requires=((active, ACTIVE),))
        steps.add_step("after", log, requires=((active, SUCCESS),))
        return steps

    problems = [KeyboardInterrupt()]
    first = build()
    with pytest.raises(KeyboardInterrupt):
        first()
    assert log.take() == ["breaks off/1"]
    assert build(**RECOVER)()
    assert sorted(log.take()) == sorted(["on active/1", *again])


def test_a_container_that_is_run_again_begins_with_its_first_round(store, log):
    def build(**options):
        steps = flow(store, **options)
        box = steps.add_step("box", repeats=[1, 2], recovery={SUCCESS: StepReplay.rerun})
        box.add_step("a", log)
        steps.add_step("b", log, requires=((box, SUCCESS),))
        return steps

    log.failing = {"b/1"}
    assert not build()()
    assert log.take() == ["box_a/1.1", "box_a/1.2", "b/1"]
    assert not build(**RECOVER)()
    assert sorted(log.take()) == ["b/1", "box_a/1.1", "box_a/1.2"]


@pytest.mark.parametrize("construct", ["inline", "thread"])
@pytest.mark.parametrize("limit", [1, 2])
def test_continuing_counts_a_delay_from_when_it_began(store, log, construct, limit):
    def build(**options):
        config = {"task_construct": construct, "max_concurrent": limit}
        steps = flow(store, config=config, **options)
        steps.add_step("fails", log)
        steps.add_step("late", log, delay=3600)
        return steps

    log.failing = {"fails/1"}
    first = build()
    assert not first()
    assert log.take() == ["fails/1"]
    log.failing = set()
    run = Workflow.__table__
    with store.session() as session:  # as if two hours had gone by
        session.execute(update(run).values(created=type_coerce(run.c.created, Double) - 7200))
    steps = build(run_mode=RunMode.continue_)
    with ThreadPoolExecutor() as threads:
        assert threads.submit(steps).result(60)
    assert sorted(log.take()) == ["fails/1", "late/1"]


def test_a_run_with_a_name_of_its_own_is_not_taken_for_that_of_another_flow(store, log):
    def build(name, **options):
        steps = Sequent(name, store=store, config=INLINE, **options)
        steps.add_step("a", log)
        return steps

    log.failing = {"a/1"}
    first = build("a", run_id="b c")
    assert not first()
    log.failing = set()
    for name, options in (
        ("a b c", {}),
        ("a b", {"run_id": "c"}),
        ("a", {}),
        ("a", {"run_id": "b"}),
    ):
        with pytest.raises(WorkflowAPIError, match="there is no run"):
            build(name, **RECOVER, **options)()
    with pytest.raises(WorkflowAPIError, match="there is no run 'c'"):
        build("a b", **RECOVER, recovery_run="c")()
    other = build("a b c")
    assert other()
    for options in ({"recovery_run": "b c"}, {"run_id": "b c"}):
        again = build("a", **RECOVER, **options)
        assert again()
        assert again.uuid == first.uuid != other.uuid


def test_two_who_recover_one_run_do_not_both_run_it(store, log):
    def build(function, **options):
        steps = flow(store, **options)
        steps.add_step("a", function)
        return steps

    def recover_too():
        with pytest.raises(LeaseHeldError, match=steps.uuid):
            build(log, **RECOVER)()
        log()

    log.failing = {"a/1"}
    steps = build(log)
    assert not steps()
    log.failing = set()
    assert build(recover_too, **RECOVER)()
    assert log.take() == ["a/1", "a/1"]


def test_a_run_of_another_flow_is_not_taken_over(store, log):
    other = Sequent("other", store=store, config=INLINE)
    other.add_step("first", log)
    other.add_step("fails", log)
    log.failing = {"fails/1"}
    assert not other()
    log.take()
    for wanted, said in ((other.uuid, "is one of 'other'"), ("other", "there is no run 'other'")):
        steps = flow(store, run_mode=RunMode.recover, recovery_run=wanted)
        steps.add_step("mine", log)
        with pytest.raises(WorkflowAPIError, match=said):
            steps()
    assert log.take() == []
    assert store.run(other.uuid).status is WorkflowStatus.ERROR


def test_the_run_of_a_step_is_not_that_of_a_flow(store, log):
    steps = flow(store)
    steps.add_step("only", log)
    steps()
    run = Workflow.__table__
    with store.session() as session:
        inner = session.scalar(select(run.c.uuid).where(run.c.parent_id.is_not(None)))
    again = flow(store, run_mode=RunMode.recover, recovery_run=inner)
    again.add_step("only", log)
    with pytest.raises(WorkflowAPIError, match="is that of a step"):
        again()
