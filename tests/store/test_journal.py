"""What is written down of a run, when, and together with what."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Integer, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from wfengine.engine import GenericWorkflowEngine
from wfengine.engine_db import DbWorkflowEngine, WorkflowStatus
from wfengine.errors import HaltProcessing, LeaseLostError, NotStorableError
from wfengine.patterns import FOR, PARALLEL_SPLIT, RUN_WF, SYNCHRONIZE, TRY, WHILE
from wfengine.signals import workflow_started
from wfengine.store import Store, TaskExecution, Workflow, WorkflowObject
from wfengine.store.changes import apply


class Base(DeclarativeBase):
    """The tables of the user's own."""


class Effect(Base):
    """What a task did inside the database."""

    __tablename__ = "journal_effect"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(80))


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Iterator[Store]:
    with Store("sqlite://", synchronous="OFF") as opened:
        Base.metadata.create_all(opened.database.engine)
        yield opened


@pytest.fixture
def anywhere(database_url: str) -> Iterator[Store]:
    """A store in a database of each kind."""
    with Store(database_url) as opened:
        Base.metadata.create_all(opened.database.engine)
        yield opened


def effects(store: Store) -> list[str]:
    with store.session() as session:
        return sorted(session.scalars(select(Effect.name)))


def write(name: str) -> Any:
    """Return a task that does something inside the database."""

    def task(obj: Any, eng: Any) -> None:
        eng.session.add(Effect(name=name))

    task.__name__ = name
    return task


def write_and_fail(obj: Any, eng: Any) -> None:
    eng.session.add(Effect(name="never"))
    eng.session.flush()
    obj["dirty"] = True
    raise ValueError("our fault")


def new(store: Store, *definition: Any, **policy: Any) -> DbWorkflowEngine:
    return DbWorkflowEngine.with_name("run", store=store, definition=list(definition), **policy)


def loaded(eng: DbWorkflowEngine) -> DbWorkflowEngine:
    definition = eng.callbacks.get()
    return DbWorkflowEngine.from_uuid(eng.uuid, store=eng.run_store, definition=definition)


def history(store: Store, *columns: str) -> list[Any]:
    """Return what the rows of history have in some columns, in order."""
    wanted = [getattr(TaskExecution, name) for name in columns]
    query = select(*wanted).order_by(TaskExecution.object_id, TaskExecution.step)
    with store.session() as session:
        rows = [tuple(row) for row in session.execute(query)]
    return [row[0] for row in rows] if len(columns) == 1 else rows


# What tasks write themselves


def test_what_a_task_writes_is_committed_with_its_step(anywhere):
    seen = []
    eng = new(anywhere, write("a"), lambda obj, eng: seen.append(effects(anywhere)), write("b"))
    eng.process([{}])
    assert (seen, effects(anywhere)) == ([["a"]], ["a", "b"])


@pytest.mark.parametrize("checkpoint", ["task", "token", "halt"])
def test_a_task_that_fails_has_written_nothing(anywhere, checkpoint):
    eng = new(anywhere, write("a"), write_and_fail, write("b"), checkpoint=checkpoint)
    with pytest.raises(ValueError, match="our fault"):
        eng.process([{}])
    assert effects(anywhere) == ["a"]
    assert [token.data for token in eng.database_objects] == [{}]


@pytest.mark.parametrize("checkpoint", ["task", "token", "halt"])
def test_attempts_that_failed_leave_nothing_that_they_wrote(anywhere, checkpoint):
    attempts = []

    def flaky(obj, eng):
        attempts.append(1)
        eng.session.add(Effect(name=f"attempt {len(attempts)}"))
        eng.session.flush()
        if len(attempts) < 3:
            raise ValueError("our fault")

    eng = new(anywhere, write("a"), TRY([flaky], retry=3), write("b"), checkpoint=checkpoint)
    eng.process([{}])
    assert effects(anywhere) == ["a", "attempt 3", "b"]


def test_tasks_before_the_one_that_failed_keep_what_they_wrote_in_each_attempt(store):
    attempts = []

    def flaky(obj, eng):
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError("our fault")

    new(store, TRY([write("a"), flaky], retry=3)).process([{}])
    assert effects(store) == ["a", "a", "a"]


@pytest.mark.parametrize("checkpoint", ["task", "token"])
def test_a_task_may_commit_itself_and_is_all_or_nothing_still(anywhere, checkpoint):
    def commits_and_fails(obj, eng):
        eng.session.add(Effect(name="never"))
        eng.session.commit()
        eng.session.add(Effect(name="nor this"))
        raise ValueError("our fault")

    eng = new(anywhere, write("a"), commits_and_fails, checkpoint=checkpoint)
    with pytest.raises(ValueError, match="our fault"):
        eng.process([{}])
    assert effects(anywhere) == ["a"]


@pytest.mark.parametrize("checkpoint", ["task", "token"])
def test_a_task_may_roll_back_itself_and_write_again(anywhere, checkpoint):
    def thinks_twice(obj, eng):
        eng.session.add(Effect(name="never"))
        eng.session.flush()
        eng.session.rollback()
        eng.session.add(Effect(name="second thought"))

    new(anywhere, write("a"), thinks_twice, write("b"), checkpoint=checkpoint).process([{}])
    assert effects(anywhere) == ["a", "b", "second thought"]


def test_a_task_that_halts_keeps_what_it_wrote(store):
    def halts(obj, eng):
        eng.session.add(Effect(name="halts"))
        eng.halt()

    eng = new(store, halts, write("b"))
    with pytest.raises(HaltProcessing):
        eng.process([{}])
    assert effects(store) == ["halts"]
    loaded(eng).resume()
    assert effects(store) == ["b", "halts"]


@pytest.mark.parametrize(
    "steer",
    ["stop", "abort", "skip_token", "continue_next_token", "break_current_loop"],
)
def test_a_task_that_steers_keeps_what_it_wrote(store, steer):
    def steers(obj, eng):
        eng.session.add(Effect(name="steers"))
        getattr(eng, steer)()

    new(store, steers, write("b")).process([{}])
    assert effects(store) == ["steers"]


def test_a_task_that_is_broken_off_has_written_nothing(store):
    def pressed(obj, eng):
        eng.session.add(Effect(name="never"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        new(store, write("a"), pressed).process([{}])
    assert effects(store) == ["a"]


def test_a_task_whose_token_cannot_be_stored_has_written_nothing(store):
    def spoils(obj, eng):
        eng.session.add(Effect(name="never"))
        obj["spoilt"] = object()

    with pytest.raises(NotStorableError, match="spoilt"):
        new(store, write("a"), spoils).process([{}])
    assert effects(store) == ["a"]


def test_branches_write_in_transactions_of_their_own(anywhere):
    split = SYNCHRONIZE([write("a"), write_and_fail], [write("b"), write("c")], write("last"))
    with pytest.raises(ValueError, match="our fault"):
        new(anywhere, split).process([{}])
    assert effects(anywhere) == ["a", "b", "c"]


def test_tasks_that_are_awaited_write_as_well(anywhere):
    async def waits(obj, eng):
        eng.session.add(Effect(name="waits"))
        await asyncio.sleep(0)

    asyncio.run(new(anywhere, write("a"), waits, write("b")).process_async([{}, {}]))
    assert effects(anywhere) == ["a", "a", "b", "b", "waits", "waits"]


def test_what_hooks_write_is_committed_too(store):
    class Own(DbWorkflowEngine):
        @staticmethod
        def processing_factory():
            from wfengine.engine_db import DbProcessingFactory

            class Factory(DbProcessingFactory):
                @staticmethod
                def after_object(eng, objects, obj):
                    eng.session.add(Effect(name="after"))

            return Factory

    Own.with_name("run", store=store, definition=[write("a")]).process([{}, {}])
    assert effects(store) == ["a", "a", "after", "after"]


# Keys for effects outside of the database


class Keys:
    """Tasks that note the key that they have got."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def task(self, name: str = "task") -> Any:
        def keyed(obj: Any, eng: Any) -> None:
            self.seen.append((name, eng.idempotency_key))

        keyed.__name__ = name
        return keyed

    def failing(self, times: int) -> Any:
        """Return a task that fails so many times."""
        left = [None] * times

        def failing(obj: Any, eng: Any) -> None:
            self.seen.append(("failing", eng.idempotency_key))
            if left:
                left.pop()
                raise ValueError("our fault")

        return failing

    def of(self, name: str) -> list[str]:
        return [key for each, key in self.seen if each == name]

    @property
    def all_differ(self) -> bool:
        keys = [key for _, key in self.seen]
        return len(set(keys)) == len(keys)


@pytest.fixture
def keys() -> Keys:
    return Keys()


def test_a_key_is_a_uuid(store, keys):
    new(store, keys.task()).process([{}])
    ((_, key),) = keys.seen
    assert str(UUID(key)) == key


def test_a_key_is_the_same_within_a_task(store):
    seen = []
    new(store, lambda o, e: seen.extend((e.idempotency_key, e.idempotency_key))).process([{}])
    assert seen[0] == seen[1]


def test_a_key_is_the_same_when_a_failed_task_is_resumed(store, keys):
    eng = new(store, keys.task("before"), [keys.failing(2)])
    for run in (lambda: eng.process([{}]), lambda: loaded(eng).resume()):
        with pytest.raises(ValueError, match="our fault"):
            run()
    loaded(eng).resume()
    assert len(keys.of("failing")) == 3
    assert len(set(keys.of("failing"))) == 1


def test_a_key_is_the_same_when_a_task_was_broken_off(store, keys):
    presses = [KeyboardInterrupt()]

    def pressed(obj, eng):
        keys.seen.append(("pressed", eng.idempotency_key))
        if presses:
            raise presses.pop()

    eng = new(store, keys.task(), pressed)
    with pytest.raises(KeyboardInterrupt):
        eng.process([{}])
    loaded(eng).resume()
    first, second = keys.of("pressed")
    assert first == second


def test_a_key_is_the_same_in_each_attempt_of_a_try(store, keys):
    new(store, TRY([keys.task("first"), keys.failing(2)], retry=3), keys.task("after")).process(
        [{}]
    )
    assert len(keys.of("first")) == len(keys.of("failing")) == 3
    assert len(set(keys.of("first"))) == len(set(keys.of("failing"))) == 1
    assert len({key for _, key in keys.seen}) == 3


def test_a_key_is_the_same_in_a_branch_that_is_resumed(store, keys):
    eng = new(store, SYNCHRONIZE([keys.task("done"), keys.failing(1)], keys.task(), keys.task()))
    with pytest.raises(ValueError, match="our fault"):
        eng.process([{}])
    loaded(eng).resume()
    first, second = keys.of("failing")
    assert first == second
    assert len(keys.of("done")) == 1
    assert len({key for _, key in keys.seen}) == 4


def again(times: int, offset: int = -1) -> Any:
    """Return a task that goes back so many times for each token."""

    def back(obj: Any, eng: Any) -> None:
        obj["n"] = obj.get("n", 0) + 1
        if obj["n"] <= times:
            eng.jump_call(offset)

    return back


def go_around(obj: Any, eng: Any) -> bool:
    obj["around"] = obj.get("around", 0) + 1
    return obj["around"] < 4


def restart_once(obj: Any, eng: Any) -> None:
    if not obj.get("restarted"):
        obj["restarted"] = True
        eng.restart("current", "first")


def jump_once(obj: Any, eng: Any) -> None:
    if not obj.get("jumped"):
        obj["jumped"] = True
        eng.jump_token(0)


@pytest.mark.parametrize(
    ("definition", "visits"),
    [
        (lambda task: [task, task, [task]], 6),
        (lambda task: [task, again(2)], 6),
        (lambda task: [[task, again(2)], task], 8),
        (lambda task: [[[task]], again(2)], 6),
        (lambda task: [FOR([1, 1, 1], "n", [task])], 6),
        (lambda task: [FOR([1, 2], "n", [FOR([1, 2], "m", [task])])], 8),
        (lambda task: [WHILE(go_around, [task])], 6),
        (lambda task: [FOR([1, 2], "n", [TRY([task])])], 4),
        (lambda task: [task, restart_once], 4),
        (lambda task: [task, jump_once], 4),
        (lambda task: [FOR([1, 2], "n", [RUN_WF([task, task])])], 8),
        (lambda task: [FOR([1, 2], "n", [SYNCHRONIZE([task], [task], task)])], 12),
        (lambda task: [PARALLEL_SPLIT([task], [task], wait=True), task], 6),
    ],
)
def test_a_key_differs_for_each_visit(store, keys, definition, visits):
    for _ in range(2):
        new(store, *definition(keys.task())).process([{}, {}])
    assert len(keys.seen) == 2 * visits
    assert keys.all_differ


def test_a_key_differs_when_a_done_token_is_gone_through_again(store, keys):
    eng = new(store, keys.task())
    eng.process([{}])
    loaded(eng).restart("first", "first")
    assert len(keys.seen) == 2
    assert keys.all_differ


def test_keys_do_not_depend_on_the_checkpoints(store, keys):
    counts = []
    for checkpoint in ("task", "token", "halt"):
        keys.seen.clear()
        new(store, FOR([1, 2], "n", [keys.task()]), checkpoint=checkpoint).process([{}, {}])
        counts.append((len(keys.seen), keys.all_differ))
    assert counts == [(4, True)] * 3


# When checkpoints are made


def stored(store: Store) -> list[tuple[str, str]]:
    """Return the status and the position of each token, as others see them."""
    query = select(WorkflowObject.status, WorkflowObject.callback_pos).order_by(WorkflowObject.id)
    with store.session() as session:
        return [tuple(row) for row in session.execute(query)]


def count_done(store: Store, seen: list[int]) -> Any:
    def task(obj: Any, eng: Any) -> None:
        seen.append(sum(status == "COMPLETED" for status, _ in stored(store)))

    return task


def no_op(obj: Any, eng: Any) -> None: ...


def test_after_each_task_the_position_is_that_of_the_next(store):
    seen = []
    look = lambda obj, eng: seen.append(stored(store))  # noqa: E731
    new(store, no_op, [look, look], look).process([{}])
    assert seen == [[("RUNNING", "1.0")], [("RUNNING", "1.1")], [("RUNNING", "2")]]


@pytest.mark.parametrize(
    ("policy", "done"),
    [
        ({"checkpoint": "task"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"checkpoint": "token"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"checkpoint": "token", "checkpoint_tokens": 3}, [0, 0, 0, 3, 3, 3, 6]),
        ({"checkpoint": "halt"}, [0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_tokens_are_written_down_as_often_as_the_policy_says(store, policy, done):
    seen: list[int] = []
    eng = new(store, no_op, count_done(store, seen), **policy)
    eng.process([{} for _ in done])
    assert seen == done
    assert [status for status, _ in stored(store)] == ["COMPLETED"] * len(done)
    assert history(store, "step") == [1, 2] * len(done)


def test_tokens_are_written_together_for_so_many_seconds():
    clock, seen = Clock(), []

    def passes(obj: Any, eng: Any) -> None:
        clock.now += 2

    with Store("sqlite://", synchronous="OFF", clock=clock) as store:
        new(
            store,
            count_done(store, seen),
            passes,
            checkpoint="token",
            checkpoint_tokens=1000,
            checkpoint_seconds=5.0,
        ).process([{} for _ in range(7)])
    assert seen == [0, 0, 0, 3, 3, 3, 6]


@pytest.mark.parametrize("checkpoint", ["task", "token", "halt"])
def test_a_halt_an_error_and_the_end_are_always_written(store, checkpoint):
    def steers(obj: Any, eng: Any) -> None:
        if obj["n"] == 1:
            eng.halt("our halt")
        if obj["n"] == 3:
            raise ValueError("our fault")

    eng = new(store, no_op, steers, checkpoint=checkpoint, checkpoint_tokens=100)
    with pytest.raises(HaltProcessing):
        eng.process([{"n": n} for n in range(5)])
    assert [status for status, _ in stored(store)] == ["COMPLETED", "HALTED", *["INITIAL"] * 3]
    eng = loaded(eng)
    with pytest.raises(ValueError, match="our fault"):
        eng.resume()
    assert [status for status, _ in stored(store)] == [*["COMPLETED"] * 3, "ERROR", "INITIAL"]
    eng = loaded(eng)
    with pytest.raises(ValueError, match="our fault"):
        eng.resume()
    assert eng.status is WorkflowStatus.ERROR


def test_a_policy_is_kept_with_the_run(store):
    seen: list[int] = []

    def halts(obj: Any, eng: Any) -> None:
        if obj["n"] == 0:
            eng.halt()

    eng = new(store, halts, count_done(store, seen), checkpoint="halt")
    with pytest.raises(HaltProcessing):
        eng.process([{"n": n} for n in range(4)])
    loaded(eng).resume()
    assert seen == [0, 0, 0, 0]


def test_extra_data_is_written_with_the_step_that_changed_it(store):
    seen = []

    def put(obj, eng):
        eng.extra_data["n"] = eng.extra_data.get("n", 0) + 1

    def look(obj, eng):
        with store.session() as session:
            seen.append(session.scalars(select(Workflow.extra_data)).one())

    new(store, put, look, put, look).process([{}])
    assert seen == [{"n": 1}, {"n": 2}]


# The history


def test_each_task_is_a_row_of_history(store):
    def a(obj, eng): ...

    def b(obj, eng): ...

    new(store, a, [b, [a]], FOR([1, 2], "n", [b])).process([{}])
    rows = history(store, "step", "event", "path", "name", "status", "attempt")
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert {(row[1], row[4], row[5]) for row in rows} == {("task", "done", 1)}
    assert [row[2:4] for row in rows if row[3] in ("a", "b")] == [
        ("0", "a"),
        ("1.0", "b"),
        ("1.1.0", "a"),
        ("2.1", "b"),
        ("2.1", "b"),
    ]


def test_a_halt_a_failure_and_a_new_attempt_are_told_as_such(store):
    left = [ValueError("our fault"), ValueError("our fault")]

    def fails(obj, eng):
        if left:
            raise left.pop()

    def halts(obj, eng):
        eng.halt("our halt", action="look", payload=[1])

    eng = new(store, fails, halts)
    for run in (lambda: eng.process([{}]), lambda: loaded(eng).resume()):
        with pytest.raises(ValueError, match="our fault"):
            run()
    with pytest.raises(HaltProcessing):
        loaded(eng).resume()
    assert history(store, "step", "name", "status", "attempt", "visit") == [
        (1, "fails", "failed", 1, 0),
        (2, "fails", "failed", 2, 0),
        (3, "fails", "done", 3, 0),
        (4, "halts", "halted", 1, 1),
    ]
    outcomes = history(store, "outcome")
    assert outcomes[0] == {"type": "ValueError", "message": "our fault"}
    assert outcomes[2] is None
    assert outcomes[3] == {"action": "look", "message": "our halt", "payload": [1]}


def test_an_attempt_that_a_try_has_caught_is_told_as_such(store):
    left = [ValueError("our fault")]

    def flaky(obj, eng):
        if left:
            raise left.pop()

    new(store, TRY([flaky], retry=1)).process([{}])
    found = [row for row in history(store, "name", "status") if row[0] == "flaky"]
    assert found == [("flaky", "retried"), ("flaky", "done")]


def test_history_tells_when_each_step_began_and_ended():
    clock = Clock()

    def takes(seconds: float) -> Any:
        def task(obj: Any, eng: Any) -> None:
            clock.now += seconds

        return task

    with Store("sqlite://", synchronous="OFF", clock=clock) as store:
        new(store, takes(3), takes(0), takes(5)).process([{}])
        times = history(store, "started", "finished")
    assert [(end - start).total_seconds() for start, end in times] == [3, 0, 5]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from("abc"), inside, max_size=3)
    ),
    max_leaves=6,
)
DATA = st.dictionaries(st.sampled_from("abcd"), PLAIN, max_size=4)


@pytest.fixture(scope="module")
def one_store() -> Iterator[Store]:
    with Store("sqlite://", synchronous="OFF") as opened:
        yield opened


@given(
    steps=st.lists(DATA, min_size=1, max_size=5),
    first=DATA,
    checkpoint=st.sampled_from(["task", "token", "halt"]),
)
def test_history_leads_back_to_the_data_before_each_step(one_store, steps, first, checkpoint):
    def become(data: Any) -> Any:
        def task(obj: Any, eng: Any) -> None:
            obj.clear()
            obj.update(json.loads(json.dumps(data)))

        return task

    eng = new(one_store, *map(become, steps), checkpoint=checkpoint)
    eng.process([dict(first)])
    (token,) = eng.final_objects
    query = (
        select(TaskExecution.inverse)
        .where(TaskExecution.object_id == token.id)
        .order_by(TaskExecution.step.desc())
    )
    with one_store.session() as session:
        inverses = list(session.scalars(query))
    data, found = token.data, [token.data]
    for inverse in inverses:
        data = data if inverse is None else apply(inverse, data)
        found.append(data)
    expected = [first, *steps]
    assert [json.dumps(each) for each in reversed(found)] == [json.dumps(each) for each in expected]


def test_a_step_that_changes_nothing_stores_no_change(store):
    new(store, no_op, no_op).process([{"large": "x" * 1000}])
    assert history(store, "inverse") == [None, None]


# What cannot be stored


def test_a_token_that_cannot_be_stored_is_refused_before_anything_is_run(store):
    seen = []
    eng = new(store, lambda obj, eng: seen.append(obj))
    with pytest.raises(NotStorableError, match=r"token 1.*handle"):
        eng.process([{}, {"handle": object()}])
    assert seen == []
    assert stored(store) == []
    eng.process([{"n": 1}])
    assert [token.data for token in eng.final_objects] == [{"n": 1}]


def test_a_token_that_becomes_unstorable_counts_as_a_failure_of_the_task(store):
    def spoils(obj, eng):
        if obj["n"] == 1:
            obj["handle"] = object()

    eng = new(store, spoils, no_op)
    eng.process([{"n": 0}, {"n": 1}, {"n": 2}], stop_on_error=False)
    assert [status for status, _ in stored(store)] == ["COMPLETED", "ERROR", "COMPLETED"]
    assert [token.data for token in eng.database_objects] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert history(store, "name", "status") == [
        ("spoils", "done"),
        ("no_op", "done"),
        ("spoils", "failed"),
        ("spoils", "done"),
        ("no_op", "done"),
    ]


def test_extra_data_that_cannot_be_stored_counts_as_a_failure_of_the_task(store):
    handles: list[Any] = [object()]

    def spoils(obj, eng):
        eng.extra_data["kept"] = 1
        eng.extra_data["handle"] = handles.pop() if handles else None

    eng = new(store, no_op, spoils, no_op)
    with pytest.raises(NotStorableError, match="handle"):
        eng.process([{}, {}])
    assert eng.status is WorkflowStatus.ERROR
    assert stored(store) == [("ERROR", "1"), ("INITIAL", "0")]
    again = loaded(eng)
    assert again.extra_data == {}
    again.resume()
    assert again.extra_data == {"kept": 1, "handle": None}


def test_a_payload_that_cannot_be_stored_is_an_error(store):
    eng = new(store, lambda obj, eng: eng.halt("look", payload=object()))
    with pytest.raises(NotStorableError, match="payload"):
        eng.process([{}])
    assert eng.status is WorkflowStatus.ERROR
    assert [status for status, _ in stored(store)] == ["ERROR"]


@pytest.mark.parametrize("data", [{"text": "a\0b"}, {"text": "\ud800"}, {"n": 2**100}, {"": [()]}])
def test_odd_data_are_stored_exactly(anywhere, data):
    seen = []

    def halts_once(obj, eng):
        seen.append(obj)
        if len(seen) == 1:
            eng.halt()

    eng = new(anywhere, halts_once, lambda obj, eng: seen.append(obj))
    with pytest.raises(HaltProcessing):
        eng.process([dict(data)])
    loaded(eng).resume()
    assert seen == [data, data]
    assert seen[0] is not seen[1]


# Signals of a run in memory are those of a durable one; so is what is in memory


def test_a_run_in_memory_and_a_durable_one_leave_the_same_objects(store):
    def change(obj, eng):
        obj.setdefault("seen", []).append(eng.state.token_pos)
        eng.extra_data.setdefault("seen", []).append(obj["n"])

    definition = [change, FOR([1, 2], "n", [change]), RUN_WF([change])]
    in_memory = GenericWorkflowEngine()
    in_memory.callbacks.replace(definition)
    durable = new(store, *definition)
    left = []
    for eng in (in_memory, durable):
        tokens: list[Any] = [{"n": 1}, {"n": 2}]
        eng.process(tokens)
        left.append((tokens, {key: eng.extra_data[key] for key in ("seen", "n")}))
    assert left[0] == left[1]


# Processes that slept


class Rivals:
    """Two processes with one run, of which the first sleeps while the second works.

    :param done: what was done, by whom.
    """

    def __init__(self, url: str) -> None:
        self.url, self.clock, self.done = url, Clock(), list[str]()

    def open(self) -> Store:
        return Store(self.url, clock=self.clock)

    def definition(self, name: str) -> list[Any]:
        def deliver(token: Any, eng: Any) -> None:
            self.done.append(f"{name} delivers")
            if self.done == ["first delivers"]:
                raise ValueError("nobody at home")

        def ask(token: Any, eng: Any) -> None:
            self.done.append(f"{name} asks")
            eng.halt("is it so?")

        return [deliver, ask]

    def begun(self, store: Store) -> str:
        """Return the uuid of a run whose token has failed."""
        eng = DbWorkflowEngine.with_name("run", store=store, definition=self.definition("first"))
        with pytest.raises(ValueError, match="nobody"):
            eng.process([{}])
        return str(eng.uuid)

    def sleep(self, eng: DbWorkflowEngine) -> None:
        """Sleep for longer than a lease; meanwhile the other process goes on until it halts."""
        eng.run_store.keeper.close()
        self.clock.now += 61
        with self.open() as store:
            definition = self.definition("second")
            other = DbWorkflowEngine.from_uuid(eng.uuid, store=store, definition=definition)
            with pytest.raises(HaltProcessing):
                other.resume()

    def assert_nothing_is_done_after(self, eng: DbWorkflowEngine) -> None:
        with pytest.raises(LeaseLostError):
            eng.resume()
        assert self.done == ["first delivers", "second delivers", "second asks"]
        assert eng.run_store.run(eng.uuid).status is WorkflowStatus.HALTED


def test_a_process_that_slept_before_it_began_writes_nothing(database_url: str) -> None:
    class Sleepy(DbWorkflowEngine):
        def _resume(self, *plan: Any) -> Any:
            rivals.sleep(self)
            return super()._resume(*plan)

    rivals = Rivals(database_url)
    with rivals.open() as store:
        uuid = rivals.begun(store)
        eng = Sleepy.from_uuid(uuid, store=store, definition=rivals.definition("first"))
        rivals.assert_nothing_is_done_after(eng)


def test_a_process_that_slept_as_it_began_goes_on_with_nothing_that_others_have_left(
    database_url: str,
) -> None:
    rivals = Rivals(database_url)
    with rivals.open() as store:
        uuid = rivals.begun(store)
        eng = DbWorkflowEngine.from_uuid(uuid, store=store, definition=rivals.definition("first"))
        with workflow_started.connected_to(lambda sender, **_: rivals.sleep(eng), sender=eng):
            rivals.assert_nothing_is_done_after(eng)
