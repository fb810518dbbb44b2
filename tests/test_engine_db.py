"""What users of the durable engine rely on."""

import asyncio
import inspect
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID, uuid4
from weakref import WeakSet

import pytest
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    sessionmaker,
)

from wfengine import signals
from wfengine.definitions import Registry
from wfengine.engine import Continue, GenericWorkflowEngine, ProcessingFactory, TransitionActions
from wfengine.engine_db import (
    DbProcessingFactory,
    DbTransitionAction,
    DbWorkflowEngine,
    ObjectStatus,
    WorkflowStatus,
)
from wfengine.errors import (
    HaltProcessing,
    LeaseHeldError,
    SchemaError,
    UnknownRunError,
    UnknownTokenError,
    WorkflowAPIError,
    WorkflowDefinitionError,
    WorkflowObjectStatusError,
)
from wfengine.patterns import FOR, HALT, IF, PARALLEL_SPLIT, RUN_WF, SYNCHRONIZE, TRY, WHILE
from wfengine.store import (
    Models,
    Store,
    TaskExecutionMixin,
    Workflow,
    WorkflowDefinitionMixin,
    WorkflowMixin,
    WorkflowObject,
    WorkflowObjectMixin,
)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def store(emptied_url: str, registry: Registry) -> Iterator[Store]:
    options = {"synchronous": "OFF"} if emptied_url.startswith("sqlite") else {}
    with Store(emptied_url, definitions=registry, **options) as opened:
        yield opened


def note(name: str) -> Any:
    """Return a task that writes its name into the token."""

    def task(obj: Any, eng: Any) -> None:
        obj.setdefault("log", []).append(name)

    task.__name__ = name
    return task


a, b, c = note("a"), note("b"), note("c")


def ask(obj: Any, eng: Any) -> None:
    """Halt for some of the tokens."""
    obj.setdefault("log", []).append("ask")
    if obj.get("asks"):
        eng.halt("is this right?", action="approve", payload={"n": obj.get("n")})


def fail(obj: Any, eng: Any) -> None:
    """Fail for some of the tokens."""
    obj.setdefault("log", []).append("fail")
    if obj.get("fails"):
        raise ValueError("our fault")


def halted(store: Store, definition: Any, tokens: Any, **policy: Any) -> DbWorkflowEngine:
    """Return the engine of a run that has halted."""
    eng = DbWorkflowEngine.with_name("run", store=store, definition=definition)
    with pytest.raises(HaltProcessing):
        eng.process(tokens, **policy)
    return eng


def failed(store: Store, definition: Any, tokens: Any, **policy: Any) -> DbWorkflowEngine:
    """Return the engine of a run that has failed."""
    eng = DbWorkflowEngine.with_name("run", store=store, definition=definition)
    with pytest.raises(ValueError, match="our fault"):
        eng.process(tokens, **policy)
    return eng


def loaded(eng: DbWorkflowEngine, definition: Any = None) -> DbWorkflowEngine:
    """Return another engine for the same run."""
    known = eng.callbacks.get() if definition is None else definition
    return DbWorkflowEngine.from_uuid(eng.uuid, store=eng.run_store, definition=known)


def logs(eng: DbWorkflowEngine) -> list[str]:
    """Return which tasks have been run for each token, as stored."""
    return [" ".join(token.data.get("log", ())) for token in eng.database_objects]


def statuses(eng: DbWorkflowEngine) -> list[str]:
    return [token.status.name for token in eng.database_objects]


# Getting an engine


def test_a_run_has_a_name_a_uuid_and_a_status(store):
    eng = DbWorkflowEngine.with_name("flights", store=store, definition=[a])
    assert (eng.name, eng.status) == ("flights", WorkflowStatus.NEW)
    assert str(UUID(eng.uuid)) == eng.uuid
    eng.process([{}])
    assert eng.status is WorkflowStatus.COMPLETED


def test_two_runs_of_a_name_are_two_runs(store):
    first, second = (
        DbWorkflowEngine.with_name("flights", store=store, definition=[a]) for _ in range(2)
    )
    assert first.uuid != second.uuid
    first.process([{"n": 1}])
    assert (len(first.database_objects), len(second.database_objects)) == (1, 0)


def test_the_name_of_a_run_is_that_of_a_registered_definition(store, registry):
    registry.add("flights", [a, b])
    eng = DbWorkflowEngine.with_name("flights", store=store)
    eng.process([{}])
    assert logs(eng) == ["a b"]


def test_a_definition_may_be_registered_by_decorator(store, registry):
    @registry.workflow("flights")
    def flights():
        return [b]

    eng = DbWorkflowEngine.with_name("flights", store=store)
    eng.process([{}])
    assert logs(eng) == ["b"]


def test_a_definition_may_be_named_besides_the_run(store, registry):
    registry.add("flights", [a])
    eng = DbWorkflowEngine.with_name("Monday's", store=store, definition="flights")
    eng.process([{}])
    assert (eng.name, logs(eng)) == ("Monday's", ["a"])
    assert logs(DbWorkflowEngine.from_uuid(eng.uuid, store=store)) == ["a"]


A_MODULE = """
def begin(obj, eng):
    obj["log"] = ["begin"]
    eng.halt()


def end(obj, eng):
    obj["log"].append("end")


definition = [begin, end]
"""


@pytest.fixture
def named(tmp_path, monkeypatch) -> str:
    """The name of a definition in a module that nobody has imported."""
    module = f"flows_{uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(A_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"{module}:definition"


def test_a_definition_may_be_named_by_module_and_attribute(store, named):
    eng = DbWorkflowEngine.with_name(named, store=store)
    with pytest.raises(HaltProcessing):
        eng.process([{}])
    eng = DbWorkflowEngine.from_uuid(eng.uuid, store=store)
    eng.resume()
    assert logs(eng) == ["begin end"]


def test_a_definition_that_only_a_row_names_is_not_imported(store, named):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a])
    with store.session() as session:
        row = session.scalars(select(Workflow).where(Workflow.uuid == eng.uuid)).one()
        row.options = {**row.options, "definition": named}
    with pytest.raises(WorkflowDefinitionError, match="nothing is imported because a row names it"):
        DbWorkflowEngine.from_uuid(eng.uuid, store=store)
    assert DbWorkflowEngine.from_uuid(eng.uuid, store=store, definition=named).callbacks.get()


def test_an_unknown_name_lists_near_misses(store, registry):
    registry.add("flights", [a])
    with pytest.raises(WorkflowDefinitionError, match="flights"):
        DbWorkflowEngine.with_name("fligths", store=store)
    with store.session() as session:
        assert session.scalars(select(Workflow)).all() == []


UNKNOWN = "3f0c1a52-8f0e-4a57-9d56-0f6a1f6f9f11"


@pytest.mark.parametrize("uuid", [UUID(UNKNOWN), UNKNOWN, "no uuid", "", "'; drop table workflow"])
def test_an_unknown_uuid_is_an_error_and_never_a_new_run(store, uuid):
    with pytest.raises(UnknownRunError, match="there is no run"):
        DbWorkflowEngine.from_uuid(uuid, store=store, definition=[a])
    with store.session() as session:
        assert session.scalars(select(Workflow)).all() == []


def test_a_uuid_may_be_a_uuid(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a])
    assert DbWorkflowEngine.from_uuid(UUID(eng.uuid), store=store, definition=[a]).uuid == eng.uuid


def test_a_run_whose_definition_has_no_name_says_what_to_do(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a])
    with pytest.raises(WorkflowDefinitionError, match=f"{eng.uuid}.*definition="):
        DbWorkflowEngine.from_uuid(eng.uuid, store=store)


def test_a_branch_is_not_taken_up_by_itself(store):
    eng = halted(store, [RUN_WF([ask])], [{"asks": True}])
    with store.session() as session:
        branch = session.scalars(select(Workflow.uuid).where(Workflow.parent_id.is_not(None))).one()
    with pytest.raises(WorkflowAPIError, match="is a branch"):
        DbWorkflowEngine.from_uuid(branch, store=store)
    assert eng.status is WorkflowStatus.HALTED


def test_a_subclass_gets_engines_of_its_own_class(store):
    class Own(DbWorkflowEngine):
        pass

    eng = Own.with_name("run", store=store, definition=[a])
    assert type(eng) is Own
    assert type(Own.from_uuid(eng.uuid, store=store, definition=[a])) is Own


@pytest.mark.parametrize("name", ["", None, 3, "x" * 300, "a\nb", "a\0b"])
def test_a_name_that_cannot_be_one_is_refused(store, name):
    with pytest.raises(WorkflowAPIError, match="the name of a run"):
        DbWorkflowEngine.with_name(name, store=store, definition=[a])


@pytest.mark.parametrize(
    "options",
    [{"checkpoint": "often"}, {"checkpoint_tokens": 0}, {"checkpoint_tokens": True}],
)
def test_a_checkpoint_policy_that_cannot_be_one_is_refused(store, options):
    with pytest.raises(WorkflowAPIError, match="checkpoint"):
        DbWorkflowEngine.with_name("run", store=store, definition=[a], **options)


def test_an_engine_without_a_store_says_where_to_get_one_that_has():
    eng = DbWorkflowEngine()
    for use in (
        lambda: eng.run_store,
        lambda: eng.session,
        lambda: eng.idempotency_key,
        eng.resume,
    ):
        with pytest.raises(WorkflowAPIError, match="with_name"):
            use()
    assert eng.decision is None


# The manual's API


def test_the_statuses_of_runs():
    assert [status.name for status in WorkflowStatus] == [
        "NEW",
        "RUNNING",
        "HALTED",
        "ERROR",
        "COMPLETED",
    ]
    assert DbWorkflowEngine.known_statuses is WorkflowStatus


def test_the_statuses_of_tokens_have_labels():
    assert {status.name: status.label for status in ObjectStatus} == {
        "INITIAL": "New",
        "COMPLETED": "Done",
        "HALTED": "Need action",
        "RUNNING": "In process",
        "ERROR": "Error",
    }


def test_tokens_are_shown_by_what_became_of_them(store):
    seen = []

    def look(obj, eng):
        seen.append([len(eng.running_objects), len(eng.final_objects), len(eng.database_objects)])

    tokens = [{"n": 0}, {"n": 1, "asks": True}, {"n": 2}]
    eng = halted(store, [a, ask, look], tokens)
    assert seen == [[1, 0, 3]]
    assert statuses(eng) == ["COMPLETED", "HALTED", "INITIAL"]
    assert [token.data["n"] for token in eng.final_objects] == [0]
    assert [token.data["n"] for token in eng.halted_objects] == [1]
    assert list(eng.running_objects) == []
    assert eng.status is WorkflowStatus.HALTED


def test_the_status_of_a_run_is_running_while_it_runs(store):
    seen = []
    eng = DbWorkflowEngine.with_name(
        "run", store=store, definition=[lambda o, e: seen.append(e.status)]
    )
    eng.process([{}])
    assert seen == [WorkflowStatus.RUNNING]


def test_a_task_may_save_the_run(store):
    eng = DbWorkflowEngine.with_name(
        "run", store=store, definition=[a, lambda obj, eng: eng.save()], checkpoint="halt"
    )
    eng.process([{}])
    assert (statuses(eng), logs(eng)) == (["COMPLETED"], ["a"])


def test_what_tasks_put_into_extra_data_is_stored_with_the_run(store):
    def put(obj, eng):
        eng.extra_data["seen"] = [*eng.extra_data.get("seen", []), obj["n"]]

    eng = halted(store, [put, ask], [{"n": 1}, {"n": 2, "asks": True}])
    assert loaded(eng).extra_data == {"seen": [1, 2]}


def test_an_engine_from_the_store_stands_where_the_run_was_left(store):
    definition = [a, [b, [ask, c]]]
    eng = halted(store, definition, [{}, {"asks": True}, {}])
    here = loaded(eng)
    assert here.state == eng.state
    assert (here.state.token_pos, here.state.callback_pos) == (1, [1, 1, 0])
    assert here.current_taskname == "ask"
    assert here.current_object == {"asks": True, "log": ["a", "b", "ask"]}
    assert len(here) == 3


def test_the_objects_of_the_caller_are_those_that_tasks_get(store):
    tokens = [{"n": 1}, {"n": 2}]
    seen = []
    eng = DbWorkflowEngine.with_name(
        "run", store=store, definition=[lambda o, e: seen.append(o), a]
    )
    eng.process(tokens)
    assert all(one is other for one, other in zip(seen, tokens, strict=True))
    assert [token["log"] for token in tokens] == [["a"], ["a"]]


def test_several_engines_of_one_store_do_not_disturb_each_other(store):
    one = halted(store, [a, ask, b], [{"asks": True}])
    other = halted(store, [b, ask, a], [{"asks": True}])
    one.resume()
    other.resume()
    assert (logs(one), logs(other)) == (["a ask b"], ["b ask a"])


# Halts


def test_a_halt_reaches_the_caller_with_the_position_kept(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a, [ask], b])
    with pytest.raises(HaltProcessing) as halt:
        eng.process([{"n": 7, "asks": True}])
    found = halt.value
    assert (found.message, found.action, found.payload) == ("is this right?", "approve", {"n": 7})
    assert (eng.state.token_pos, eng.state.callback_pos) == (0, [1, 0])
    assert not eng.has_completed


def test_action_message_and_payload_are_stored_with_the_token(store):
    eng = halted(store, [ask], [{"n": 7, "asks": True}])
    with store.session() as session:
        row = session.get(WorkflowObject, eng.halted_objects[0].id)
        assert (row.action, row.message, row.payload) == ("approve", "is this right?", {"n": 7})


def test_resume_goes_on_after_the_task_that_halted_and_with_all_that_follow(store):
    eng = halted(store, [a, ask, b], [{}, {"asks": True}, {}])
    loaded(eng).resume()
    assert logs(eng) == ["a ask b", "a ask b", "a ask b"]
    assert (eng.status, statuses(eng)) == (WorkflowStatus.COMPLETED, ["COMPLETED"] * 3)


def test_resume_halts_again_at_each_further_halt(store):
    eng = halted(store, [a, ask, b], [{"asks": True}, {"asks": True}])
    with pytest.raises(HaltProcessing):
        loaded(eng).resume()
    assert statuses(eng) == ["COMPLETED", "HALTED"]
    loaded(eng).resume()
    assert logs(eng) == ["a ask b", "a ask b"]


def test_the_same_engine_may_resume(store):
    tokens = [{"asks": True}, {}]
    eng = halted(store, [a, ask, b], tokens)
    eng.resume()
    assert [" ".join(token["log"]) for token in tokens] == ["a ask b", "a ask b"] == logs(eng)


@pytest.mark.parametrize(
    ("obj", "task", "expected"),
    [
        ("current", "current", ["a ask b", "a ask ask b", "a ask b"]),
        ("current", "next", ["a ask b", "a ask b", "a ask b"]),
        ("current", "prev", ["a ask b", "a ask a ask b", "a ask b"]),
        ("current", "first", ["a ask b", "a ask a ask b", "a ask b"]),
        ("next", "first", ["a ask b", "a ask", "a ask b"]),
        ("first", "first", ["a ask b a ask b", "a ask a ask b", "a ask b"]),
        ("prev", "next", ["a ask b b", "a ask a ask b", "a ask b"]),
    ],
)
@pytest.mark.parametrize("is_loaded", [True, False], ids=["loaded", "the same engine"])
def test_restart_works_as_in_memory(store, obj, task, expected, is_loaded):
    def asks_once(obj, eng):
        ask(obj, eng) if obj.get("log", []).count("ask") == 0 else note("ask")(obj, eng)

    definition, tokens = [a, asks_once, b], [{}, {"asks": True}, {}]
    eng = halted(store, definition, tokens)
    again = loaded(eng) if is_loaded else eng
    again.restart(obj, task)
    assert logs(eng) == expected

    in_memory, kept = GenericWorkflowEngine(), [{}, {"asks": True}, {}]
    in_memory.callbacks.replace(definition)
    with pytest.raises(HaltProcessing):
        in_memory.process(kept)
    in_memory.restart(obj, task)
    assert [" ".join(token["log"]) for token in kept] == expected


def test_a_halt_is_resumed_inside_of_loops_with_what_they_remember(store):
    def ask_for(obj, eng):
        obj.setdefault("log", []).append(str(eng.extra_data["n"]))
        eng.halt("go on?")

    eng = halted(store, [FOR(range(3), "n", [ask_for, a]), b], [{}])
    for _ in range(2):
        with pytest.raises(HaltProcessing):
            loaded(eng).resume()
    loaded(eng).resume()
    assert logs(eng) == ["0 a 1 a 2 a b"]


def test_stop_on_halt_false_runs_the_rest_past_a_halted_token(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a, ask, b])
    eng.process([{"asks": True}, {}, {"asks": True}, {}], stop_on_halt=False)
    assert statuses(eng) == ["HALTED", "COMPLETED", "HALTED", "COMPLETED"]
    assert eng.status is WorkflowStatus.HALTED
    assert eng.has_completed


def test_one_of_several_halted_tokens_goes_on_alone(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a, ask, b])
    eng.process([{"asks": True}, {"asks": True}, {"asks": True}], stop_on_halt=False)
    ids = [token.id for token in eng.database_objects]
    for index in (2, 0):
        loaded(eng).resume(ids[index])
    assert logs(eng) == ["a ask b", "a ask", "a ask b"]
    assert statuses(eng) == ["COMPLETED", "HALTED", "COMPLETED"]
    assert eng.status is WorkflowStatus.HALTED
    loaded(eng).resume(ids[1])
    assert eng.status is WorkflowStatus.COMPLETED


def test_a_token_that_goes_on_alone_does_not_take_the_rest_along(store):
    eng = halted(store, [a, ask, b], [{}, {"asks": True}, {}])
    eng.resume(eng.halted_objects[0].id)
    assert logs(eng) == ["a ask b", "a ask b", ""]
    assert statuses(eng) == ["COMPLETED", "COMPLETED", "INITIAL"]
    assert eng.status is WorkflowStatus.HALTED
    loaded(eng).resume()
    assert logs(eng) == ["a ask b", "a ask b", "a ask b"]


def test_a_done_token_is_not_run_again(store):
    eng = halted(store, [a, ask, b], [{}, {"asks": True}])
    with pytest.raises(WorkflowObjectStatusError, match=r"is done.*rewind") as refused:
        eng.resume(eng.final_objects[0].id)
    assert refused.value.id_object == eng.final_objects[0].id
    assert logs(eng) == ["a ask b", "a ask"]


@pytest.mark.parametrize("token_id", [10**6, -1, "1", 2**70, True])
def test_resume_refuses_what_is_no_token(store, token_id):
    eng = halted(store, [ask], [{"asks": True}])
    with pytest.raises(UnknownTokenError):
        eng.resume(token_id)
    eng.resume()


def test_resume_refuses_a_token_of_another_run(store):
    one = halted(store, [ask], [{"asks": True}])
    other = halted(store, [ask], [{"asks": True}])
    with pytest.raises(UnknownTokenError, match="is not of run"):
        one.resume(other.halted_objects[0].id)


def test_a_run_that_is_over_has_nothing_to_resume(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a])
    eng.process([{}])
    with pytest.raises(WorkflowObjectStatusError, match="nothing left to do"):
        loaded(eng).resume()
    assert (eng.status, logs(eng)) == (WorkflowStatus.COMPLETED, ["a"])


def test_a_run_that_was_never_begun_has_nothing_to_resume(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a])
    with pytest.raises(WorkflowObjectStatusError):
        eng.resume()
    eng.process([{}])
    assert logs(eng) == ["a"]


def test_a_run_that_waits_for_decisions_says_so(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[ask])
    eng.process([{"asks": True}], stop_on_halt=False)
    with pytest.raises(WorkflowObjectStatusError, match=r"waits for decisions.*approve"):
        eng.resume()
    assert eng.status is WorkflowStatus.HALTED


def test_halted_tokens_that_ask_for_nothing_go_on_by_themselves(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[HALT("later"), a])
    eng.process([{}, {}], stop_on_halt=False)
    assert logs(eng) == ["", ""]
    eng.resume()
    assert (logs(eng), eng.status) == (["a", "a"], WorkflowStatus.COMPLETED)


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[fail, ask, b])
    with pytest.raises(HaltProcessing):
        eng.process([{"fails": True}, {"asks": True}, {}], stop_on_error=False)
    before = (logs(eng), statuses(eng), eng.status)
    plan = loaded(eng).resume(dry_run=True)
    assert (plan.tokens, plan.goes_on_at, plan.is_empty) == (1, 1, False)
    assert plan.text() == "goes on with 1 token by itself, then all tokens from number 1 on"
    assert (logs(eng), statuses(eng), eng.status) == before
    assert loaded(eng).resume(stop_on_error=False).tokens == plan.tokens


def test_resume_keeps_to_the_policy_that_the_run_was_begun_with(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[HALT("later"), fail, b])
    eng.process([{"fails": True}, {}], stop_on_halt=False, stop_on_error=False)
    loaded(eng).resume()
    assert statuses(eng) == ["ERROR", "COMPLETED"]


def test_resume_may_change_the_policy(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[HALT("later"), fail, b])
    eng.process([{"fails": True}, {}], stop_on_halt=False, stop_on_error=False)
    with pytest.raises(ValueError, match="our fault"):
        loaded(eng).resume(stop_on_error=True)
    assert statuses(eng) == ["ERROR", "HALTED"]


# Decisions


def test_a_decision_is_handed_to_the_first_task_after_the_halt(store):
    seen = []

    def look(obj, eng):
        seen.append(eng.decision)

    eng = halted(store, [look, ask, look, look], [{"asks": True}])
    store.decide(eng.halted_objects[0].id, {"approved": True}, by="Ada")
    loaded(eng).resume()
    assert seen == [None, {"approved": True}, None]


@pytest.mark.parametrize("error", [ValueError("our fault"), KeyboardInterrupt()])
def test_a_decision_stays_until_the_task_is_done(store, error):
    seen, errors = [], [error]

    def look(obj, eng):
        seen.append(eng.decision)
        if errors:
            raise errors.pop()

    eng = halted(store, [ask, look, look], [{"asks": True}])
    store.decide(eng.halted_objects[0].id, "yes")
    with pytest.raises(type(error)):
        loaded(eng).resume()
    loaded(eng).resume()
    assert seen == ["yes", "yes", None]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (lambda look: IF(look, [look]), ["yes", "yes", None]),
        (lambda look: TRY([look]), ["yes", None]),
        (lambda look: FOR([1], "n", [look]), ["yes", None]),
        (lambda look: WHILE(lambda obj, eng: eng.decision == "yes", [look]), ["yes", None]),
    ],
)
def test_a_decision_is_not_used_up_by_a_pattern(store, pattern, expected):
    seen = []

    def look(obj, eng):
        seen.append(eng.decision)
        return True

    eng = halted(store, [ask, pattern(look), look], [{"asks": True}])
    store.decide(eng.halted_objects[0].id, "yes")
    loaded(eng).resume()
    assert seen == expected


def test_a_condition_may_ask_for_the_decision(store):
    approved = IF(lambda obj, eng: eng.decision == "yes", [a])
    for decision in ("yes", "no"):
        eng = halted(store, [ask, approved, b], [{"asks": True}])
        store.decide(eng.halted_objects[0].id, decision)
        loaded(eng).resume()
        assert logs(eng) == ["ask a b" if decision == "yes" else "ask b"]


def test_resume_goes_on_with_tokens_that_were_decided_on_and_leaves_the_others(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[ask, b])
    eng.process([{"asks": True}, {"asks": True}], stop_on_halt=False)
    store.decide(eng.halted_objects[1].id, "yes")
    loaded(eng).resume()
    assert logs(eng) == ["ask", "ask b"]


def test_a_decision_may_change_the_data(store):
    eng = halted(store, [ask, b], [{"asks": True}])
    store.decide(eng.halted_objects[0].id, "yes", data={"log": ["edited"]})
    eng.resume()
    assert logs(eng) == ["edited b"]


def test_deciding_twice_is_an_error_that_says_who_did(store):
    eng = halted(store, [ask, b], [{"asks": True}])
    token_id = eng.halted_objects[0].id
    store.decide(token_id, "yes", by="Ada")
    with pytest.raises(WorkflowObjectStatusError, match=r"Ada.*yes"):
        store.decide(token_id, "no", by="Bob")


def test_deciding_on_a_token_that_is_not_halted_is_an_error(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a])
    eng.process([{}])
    with pytest.raises(WorkflowObjectStatusError, match="not halted"):
        store.decide(eng.final_objects[0].id, "yes")


def test_a_decision_may_resume_the_token(store, registry):
    registry.add("asking", [ask, b])
    eng = DbWorkflowEngine.with_name("asking", store=store)
    with pytest.raises(HaltProcessing):
        eng.process([{"asks": True}])
    store.decide(eng.halted_objects[0].id, "yes", resume=True)
    assert (logs(eng), eng.status) == (["ask b"], WorkflowStatus.COMPLETED)


# Errors


def test_an_error_reaches_the_caller_and_the_token_keeps_its_data_from_before(store):
    eng = failed(store, [a, fail, b], [{}, {"fails": True}, {}])
    assert statuses(eng) == ["COMPLETED", "ERROR", "INITIAL"]
    assert logs(eng) == ["a fail b", "a", ""]
    assert eng.status is WorkflowStatus.ERROR


def test_why_a_token_failed_is_stored(store):
    eng = failed(store, [fail], [{"fails": True}])
    with store.session() as session:
        (token,) = session.scalars(select(WorkflowObject)).all()
        run = session.scalars(select(Workflow)).one()
        for error in (token.error, run.error):
            assert (error["type"], error["message"]) == ("ValueError", "our fault")
            assert "in fail" in error["traceback"]
    assert list(eng.halted_objects) == []


def test_a_failed_token_is_run_again_from_the_task_that_failed(store):
    eng = failed(store, [a, fail, b], [{}, {"fails": True}, {}])
    definition = [a, note("fail"), b]
    loaded(eng, definition).resume()
    assert logs(eng) == ["a fail b", "a fail b", "a fail b"]
    assert eng.status is WorkflowStatus.COMPLETED


def test_the_same_engine_hands_the_token_to_the_failed_task_as_it_was(store):
    attempts = []

    def fails_twice(obj, eng):
        attempts.append(dict(obj))
        obj["dirty"] = True
        if len(attempts) < 3:
            raise ValueError("our fault")

    tokens = [{"n": 1}]
    eng = failed(store, [fails_twice], tokens)
    with pytest.raises(ValueError, match="our fault"):
        eng.resume()
    eng.resume()
    assert attempts == [{"n": 1}] * 3
    assert tokens == [{"n": 1, "dirty": True}]


def test_stop_on_error_false_goes_on_and_failed_tokens_can_be_resumed_alone(store):
    is_broken = [True]

    def breaks(obj, eng):
        if obj.get("fails") and is_broken:
            raise ValueError("our fault")
        note("fixed")(obj, eng)

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a, breaks, b])
    eng.process([{"fails": True}, {}, {"fails": True}], stop_on_error=False)
    assert statuses(eng) == ["ERROR", "COMPLETED", "ERROR"]
    assert eng.status is WorkflowStatus.COMPLETED
    is_broken.clear()
    loaded(eng).resume(eng.database_objects[2].id)
    assert logs(eng) == ["a", "a fixed b", "a fixed b"]
    loaded(eng).resume()
    assert logs(eng) == ["a fixed b"] * 3


def test_a_run_whose_tokens_have_all_failed_is_a_failure(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[fail])
    eng.process([{"fails": True}, {"fails": True}], stop_on_error=False)
    assert eng.status is WorkflowStatus.ERROR


# Input


@dataclass(eq=False)
class Item:
    """A token that can be seen to be let go."""

    n: int
    alive: ClassVar[WeakSet[Any]] = WeakSet()

    def __post_init__(self) -> None:
        self.alive.add(self)


def count_items(item: Item, eng: Any) -> None:
    eng.extra_data["most"] = max(eng.extra_data.get("most", 0), len(Item.alive))


def test_tokens_may_come_from_an_iterator_and_are_let_go(store):
    eng = DbWorkflowEngine.with_name(
        "run", store=store, definition=[count_items], checkpoint="token"
    )
    eng.process(Item(n) for n in range(2000))
    assert [token.data.n for token in eng.final_objects] == list(range(2000))
    assert eng.extra_data["most"] < 1000


def test_an_iterator_that_was_not_read_to_its_end_is_handed_over_again(store):
    tokens = [{"n": n, "asks": n == 3} for n in range(900)]
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a, ask])
    with pytest.raises(HaltProcessing):
        eng.process(iter(tokens))
    assert 4 <= len(eng.database_objects) < 900
    loaded(eng).resume(objects=iter(tokens))
    assert [token.data["n"] for token in eng.database_objects] == list(range(900))
    assert logs(eng) == ["a ask"] * 900
    assert eng.status is WorkflowStatus.COMPLETED


def test_an_iterator_that_raises_ends_the_run_which_can_be_resumed(store):
    def breaking():
        yield {"n": 1}
        yield {"n": 2}
        raise ValueError("our fault")

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a])
    with pytest.raises(ValueError, match="our fault"):
        eng.process(breaking())
    loaded(eng).resume(objects=({"n": n} for n in range(1, 4)))
    assert [token.data["n"] for token in eng.final_objects] == [1, 2, 3]


def test_there_may_be_no_tokens_at_all(store):
    for nothing in ([], iter([])):
        eng = DbWorkflowEngine.with_name("run", store=store, definition=[a])
        eng.process(nothing)
        assert (eng.status, len(eng.database_objects)) == (WorkflowStatus.COMPLETED, 0)


def test_further_tokens_may_be_processed_when_the_run_is_over(store):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a])
    eng.process([{"n": 1}])
    eng.process([{"n": 2}, {"n": 3}])
    assert [token.data["n"] for token in eng.final_objects] == [1, 2, 3]
    assert logs(eng) == ["a", "a", "a"]


def test_other_tokens_are_refused_while_some_are_left(store):
    eng = halted(store, [ask], [{"asks": True}])
    with pytest.raises(WorkflowAPIError, match=r"resume\(\) goes on with it"):
        loaded(eng).process([{"n": 2}])
    assert len(eng.database_objects) == 1


def test_restart_takes_the_callers_objects_in_place_of_those_that_are_stored(store):
    eng = halted(store, [a, ask, b], [{"asks": True}, {}])
    again, mine = loaded(eng), [{"log": ["mine"]}, {}]
    again.restart("current", "next", objects=mine)
    assert [" ".join(token["log"]) for token in mine] == ["mine b", "a ask b"]
    assert logs(eng) == ["mine b", "a ask b"]


def test_restart_refuses_another_number_of_objects(store):
    eng = halted(store, [ask], [{"asks": True}])
    with pytest.raises(WorkflowAPIError, match="1 tokens; the 2 objects"):
        loaded(eng).restart("current", "next", objects=[{}, {}])
    loaded(eng).resume()
    assert eng.status is WorkflowStatus.COMPLETED


# Steering from inside


def test_a_task_may_restart_the_run(store):
    def again(obj, eng):
        if obj["log"].count("a") < 3:
            eng.restart("current", "first")

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a, again, b])
    eng.process([{}, {}])
    assert logs(eng) == ["a a a b", "a a a b"]
    assert (eng.status, statuses(eng)) == (WorkflowStatus.COMPLETED, ["COMPLETED"] * 2)


def test_a_task_may_jump_to_another_token(store):
    def back(obj, eng):
        if obj["n"] == 1 and len(obj["log"]) == 1:
            eng.jump_token(-1)

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a, back, b])
    eng.process([{"n": 0}, {"n": 1}, {"n": 2}])
    assert logs(eng) == ["a b a b", "a a b", "a b"]


@pytest.mark.parametrize(
    ("steer", "expected", "ends"),
    [
        ("stop", ["a", ""], ["COMPLETED", "INITIAL"]),
        ("abort", ["a", ""], ["COMPLETED", "INITIAL"]),
        ("skip_token", ["a", "a"], ["COMPLETED", "COMPLETED"]),
        ("continue_next_token", ["a", "a"], ["COMPLETED", "COMPLETED"]),
    ],
)
def test_tokens_that_leave_early_are_done(store, steer, expected, ends):
    definition = [a, lambda obj, eng: getattr(eng, steer)(), b]
    eng = DbWorkflowEngine.with_name("run", store=store, definition=definition)
    eng.process([{}, {}])
    assert (logs(eng), statuses(eng)) == (expected, ends)
    assert eng.status is WorkflowStatus.COMPLETED


def test_a_stopped_run_stands_where_it_was_stopped(store):
    def stops(obj, eng):
        if obj["n"] == 0:
            eng.stop()

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a, stops, b])
    eng.process([{"n": 0}, {"n": 1}])
    again = loaded(eng)
    assert again.state == eng.state
    again.restart("next", "first")
    assert logs(eng) == ["a", "a b"]


def test_an_interrupted_run_goes_on_before_the_task_that_comes_next(store):
    def interrupts(obj, eng):
        note("interrupts")(obj, eng)
        eng.interrupt()

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a, interrupts, b])
    eng.process([{}, {}])
    assert (logs(eng), eng.status) == (["a interrupts", ""], WorkflowStatus.HALTED)
    assert eng.is_stopped
    again = loaded(eng)
    again.resume()
    again.resume()
    assert logs(eng) == ["a interrupts b"] * 2
    assert eng.status is WorkflowStatus.COMPLETED


def test_a_keyboard_interrupt_leaves_a_run_that_goes_on_with_the_task_again(store):
    presses = [KeyboardInterrupt()]

    def pressed(obj, eng):
        note("pressed")(obj, eng)
        if presses:
            raise presses.pop()

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[a, pressed, b])
    with pytest.raises(KeyboardInterrupt):
        eng.process([{}, {}])
    assert (logs(eng), eng.status) == (["a", ""], WorkflowStatus.HALTED)
    loaded(eng).resume()
    assert logs(eng) == ["a pressed b"] * 2


# Owners


def test_two_engines_cannot_run_one_run_at_the_same_time(store):
    inside, go_on = threading.Event(), threading.Event()

    def waits(obj, eng):
        inside.set()
        assert go_on.wait(60)

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[waits, b])
    other = loaded(eng)
    running = threading.Thread(target=eng.process, args=([{}],))
    running.start()
    assert inside.wait(60)
    try:
        with pytest.raises(LeaseHeldError, match="process") as refused:
            other.resume()
        assert refused.value.owner
        assert refused.value.until is not None
        with pytest.raises(LeaseHeldError):
            loaded(eng).restart("current", "first")
    finally:
        go_on.set()
        running.join()
    assert (logs(eng), eng.status) == (["b"], WorkflowStatus.COMPLETED)
    assert logs(other) == ["b"]


def test_an_engine_sees_what_another_has_done_in_between(store):
    eng = halted(store, [a, ask, b, ask, c], [{"asks": True}])
    with pytest.raises(HaltProcessing):
        loaded(eng).resume()
    eng.resume()
    assert logs(eng) == ["a ask b ask c"]


# Hooks and signals


def hooks_that_note(heard: list[str]) -> type[DbWorkflowEngine]:
    """Return a class of engines whose hooks do not call those of their superclass."""

    class Transitions(TransitionActions):
        @staticmethod
        def HaltProcessing(obj, eng, callbacks, e):
            heard.append("halt")
            raise e

        @staticmethod
        def Exception(obj, eng, callbacks, e):
            heard.append("error")
            raise e

    class Factory(ProcessingFactory):
        transition_exception_mapper = Transitions

        @staticmethod
        def before_processing(eng, objects):
            heard.append("before all")

        @staticmethod
        def after_processing(eng, objects):
            heard.append("after all")

        @staticmethod
        def before_object(eng, objects, obj):
            obj["before"] = True
            heard.append("before")

        @staticmethod
        def after_object(eng, objects, obj):
            obj["after"] = True
            heard.append("after")

    class Noting(DbWorkflowEngine):
        processing_factory = Factory

        def save(self, status=None):
            heard.append("save")

    return Noting


def test_a_subclass_whose_hooks_do_not_call_super_is_recorded_all_the_same(store):
    heard: list[str] = []
    kind = hooks_that_note(heard)
    eng = kind.with_name("run", store=store, definition=[a, ask, fail, b])
    with pytest.raises(HaltProcessing):
        eng.process([{}, {"asks": True}, {"fails": True}])
    with pytest.raises(ValueError, match="our fault"):
        kind.from_uuid(eng.uuid, store=store, definition=[a, ask, fail, b]).resume()
    assert statuses(eng) == ["COMPLETED", "COMPLETED", "ERROR"]
    assert logs(eng) == ["a ask fail b", "a ask fail b", "a ask"]
    assert [sorted(set(token.data) & {"before", "after"}) for token in eng.database_objects] == [
        ["after", "before"],
        ["after", "before"],
        ["before"],
    ]
    assert heard == [
        *("before all", "before", "after", "before", "halt"),
        *("before all", "before", "after", "before", "error"),
    ]


def test_handlers_may_have_the_run_go_on(store):
    class Forgiving(DbTransitionAction):
        @staticmethod
        def HaltProcessing(obj, eng, callbacks, e):
            raise Continue

        @staticmethod
        def ValueError(obj, eng, callbacks, e):
            raise Continue

    class Factory(DbProcessingFactory):
        transition_exception_mapper = Forgiving

    class Own(DbWorkflowEngine):
        processing_factory = Factory

    eng = Own.with_name("run", store=store, definition=[ask, fail, b])
    eng.process([{"fails": True}, {"asks": True}, {}])
    assert statuses(eng) == ["ERROR", "HALTED", "COMPLETED"]
    assert logs(eng) == ["ask", "ask", "ask fail b"]
    assert eng.status is WorkflowStatus.HALTED


SIGNALS = (
    "workflow_started",
    "workflow_finished",
    "workflow_halted",
    "workflow_error",
    "token_started",
    "token_finished",
    "task_started",
    "task_finished",
)


def test_signals_are_sent_as_in_memory(store):
    heard: list[str] = []
    listeners = {name: lambda sender, name=name, **context: heard.append(name) for name in SIGNALS}
    in_memory = GenericWorkflowEngine()
    in_memory.callbacks.replace([a, ask, RUN_WF([b])])
    durable = DbWorkflowEngine.with_name("run", store=store, definition=[a, ask, RUN_WF([b])])
    found = []
    for eng in (in_memory, durable):
        heard.clear()
        for name, listener in listeners.items():
            getattr(signals, name).connect(listener, sender=eng)
        with pytest.raises(HaltProcessing):
            eng.process([{}, {"asks": True}])
        eng.restart("current", "next")
        found.append(list(heard))
    assert found[0] == found[1]
    assert set(heard) == set(SIGNALS) - {"workflow_error"}


def test_halted_tokens_are_stored_when_the_signal_is_sent(store):
    seen = []
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[ask])

    def hear(sender, **context):
        seen.append([token.data["n"] for token in sender.halted_objects])

    with signals.workflow_halted.connected_to(hear, sender=eng), pytest.raises(HaltProcessing):
        eng.process([{"n": 1, "asks": True}])
    assert seen == [[1]]


# In an event loop


def test_process_async_and_resume_async_do_the_same(store):
    async def waits(obj, eng):
        await asyncio.sleep(0)
        note("waits")(obj, eng)

    definition = [a, waits, ask, SYNCHRONIZE([waits], [b], c)]

    async def run():
        eng = DbWorkflowEngine.with_name("run", store=store, definition=definition)
        with pytest.raises(HaltProcessing):
            await eng.process_async([{}, {"asks": True}, {}])
        again = loaded(eng, definition)
        await again.resume_async()
        return again

    eng = asyncio.run(run())
    assert logs(eng) == ["a waits ask waits b c"] * 3
    assert eng.status is WorkflowStatus.COMPLETED


def test_coroutine_tasks_need_no_event_loop(store):
    async def waits(obj, eng):
        await asyncio.sleep(0)
        note("waits")(obj, eng)

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[waits, a])
    eng.process([{}, {}])
    assert logs(eng) == ["waits a", "waits a"]


def test_runs_of_one_store_may_share_an_event_loop(store):
    async def waits(obj, eng):
        await asyncio.sleep(0)
        note(f"of {obj['run']}")(obj, eng)

    engines = [
        DbWorkflowEngine.with_name("run", store=store, definition=[waits, a, waits])
        for _ in range(3)
    ]

    async def run():
        await asyncio.gather(
            *(eng.process_async([{"run": n}, {"run": n}]) for n, eng in enumerate(engines))
        )

    asyncio.run(run())
    for number, eng in enumerate(engines):
        assert logs(eng) == [f"of {number} a of {number}"] * 2


async def cancelled(eng: DbWorkflowEngine, tokens: Any, begun: asyncio.Event) -> None:
    """Begin a run, and cancel it when a task says that it has begun."""
    running = asyncio.create_task(eng.process_async(tokens))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    "around",
    [
        lambda task: task,
        lambda task: RUN_WF([task]),
        lambda task: SYNCHRONIZE([a, task, b], [note("beside")], note("last")),
    ],
    ids=["a task", "an inside", "a branch"],
)
def test_a_run_that_was_cancelled_goes_on_where_it_was(store, around):
    begun = asyncio.Event()

    async def waits(obj, eng):
        if not begun.is_set():
            begun.set()
            await asyncio.sleep(60)
        note("waits")(obj, eng)

    definition = [a, around(waits), b]
    eng = DbWorkflowEngine.with_name("run", store=store, definition=definition)
    asyncio.run(cancelled(eng, [{}, {}], begun))
    assert eng.status is WorkflowStatus.HALTED
    loaded(eng, definition).resume()
    first, second = logs(eng)
    assert first == second
    assert first.split().count("waits") == 1
    assert eng.status is WorkflowStatus.COMPLETED


# Definitions by token


class Choosing(DbWorkflowEngine):
    """An engine with another definition for each kind of token."""

    def callback_chooser(self, obj):
        return [a, ask, b] if obj.get("asks") else [c]


def test_each_token_may_have_a_definition_of_its_own(store):
    eng = Choosing.with_name("run", store=store, definition=[c])
    eng.process([{}, {"asks": True}, {}, {"asks": True}], stop_on_halt=False)
    for token in eng.halted_objects:
        Choosing.from_uuid(eng.uuid, store=store, definition=[c]).resume(token.id)
    assert logs(eng) == ["c", "a ask b", "c", "a ask b"]


def test_a_loaded_engine_stands_in_the_definition_of_its_token(store):
    eng = Choosing.with_name("run", store=store, definition=[c])
    with pytest.raises(HaltProcessing):
        eng.process([{"asks": True}])
    again = Choosing.from_uuid(eng.uuid, store=store, definition=[c])
    assert again.current_taskname == "ask"
    again.restart("current", "next")
    assert logs(eng) == ["a ask b"]


def test_what_is_chosen_for_a_token_may_be_a_task_alone(store):
    class ChoosesOne(DbWorkflowEngine):
        def callback_chooser(self, obj):
            return ask

    eng = ChoosesOne.with_name("run", store=store, definition=[c])
    with pytest.raises(HaltProcessing):
        eng.process([{"asks": True}])
    again = ChoosesOne.from_uuid(eng.uuid, store=store, definition=[c])
    assert again.current_taskname == "ask"
    again.resume()
    assert again.status is WorkflowStatus.COMPLETED
    assert logs(eng) == ["ask"]


# Branches


def branch_statuses(store: Store) -> list[str]:
    query = select(Workflow.status).where(Workflow.parent_id.is_not(None)).order_by(Workflow.branch)
    with store.session() as session:
        return list(session.scalars(query))


def test_branches_work_on_copies_which_are_put_together(store):
    def put(key):
        return lambda obj, eng: obj.update({key: sorted(obj)})

    tokens: list[Any] = [{"n": 1, "log": []}]
    eng = DbWorkflowEngine.with_name(
        "run", store=store, definition=[SYNCHRONIZE([put("x"), a], [put("y"), b], c)]
    )
    eng.process(tokens)
    assert tokens == [{"n": 1, "x": ["log", "n"], "y": ["log", "n"], "log": ["a", "b", "c"]}]
    assert eng.final_objects[0].data == tokens[0]
    assert branch_statuses(store) == ["COMPLETED", "COMPLETED"]


def test_what_branches_put_into_extra_data_is_there_afterwards(store):
    def put(value):
        return lambda obj, eng: eng.extra_data.update({"which": value, value: True})

    eng = DbWorkflowEngine.with_name(
        "run", store=store, definition=[SYNCHRONIZE(put("x"), put("y"), a), ask]
    )
    with pytest.raises(HaltProcessing):
        eng.process([{"asks": True, "log": []}])
    assert loaded(eng).extra_data == {"which": "y", "x": True, "y": True}


def test_a_finished_branch_is_not_run_again_when_another_halted(store):
    eng = halted(store, [SYNCHRONIZE([a, ask, b], [c], note("last"))], [{"asks": True, "log": []}])
    assert branch_statuses(store) == ["HALTED", "COMPLETED"]
    loaded(eng).resume()
    assert logs(eng) == ["a ask b c last"]
    assert branch_statuses(store) == ["COMPLETED", "COMPLETED"]


def test_halts_in_branches_of_branches_are_resumed_where_they_are(store):
    inner = SYNCHRONIZE([a, ask, b], [note("beside")], note("inner last"))
    eng = halted(
        store, [SYNCHRONIZE([inner, note("after")], [c], note("last"))], [{"asks": True, "log": []}]
    )
    loaded(eng).resume()
    assert logs(eng) == ["a ask b beside inner last after c last"]
    assert eng.status is WorkflowStatus.COMPLETED


def test_a_decision_about_a_halt_in_a_branch_is_handed_to_the_branch(store):
    def decided(obj, eng):
        note(f"decided {eng.decision}")(obj, eng)

    eng = halted(store, [RUN_WF([ask, decided]), decided], [{"asks": True, "log": []}])
    with store.session() as session:
        inside = session.scalars(
            select(WorkflowObject.id)
            .join(Workflow, Workflow.id == WorkflowObject.workflow_id)
            .where(Workflow.parent_id.is_not(None))
        ).one()
    store.decide(inside, "yes")
    loaded(eng).resume()
    assert logs(eng) == ["ask decided yes decided None"]


def test_a_branch_that_failed_goes_on_from_the_task_that_failed(store):
    is_broken = [True]

    def breaks(obj, eng):
        if is_broken:
            raise ValueError("our fault")
        note("fixed")(obj, eng)

    eng = failed(store, [SYNCHRONIZE([a, breaks, b], [c], note("last"))], [{"log": []}])
    assert [token.data for token in eng.database_objects] == [{"log": []}]
    is_broken.clear()
    loaded(eng).resume()
    assert logs(eng) == ["a fixed b c last"]


def test_a_split_that_is_waited_for_puts_its_branches_together_at_the_end(store):
    tokens: list[Any] = [{"log": []}]
    eng = DbWorkflowEngine.with_name(
        "run", store=store, definition=[PARALLEL_SPLIT([a], [b], wait=True), c]
    )
    eng.process(tokens)
    assert sorted(tokens[0]["log"]) == ["a", "b", "c"]
    assert eng.final_objects[0].data == tokens[0]


def test_a_split_that_nobody_waits_for_changes_only_its_own_copies(store):
    go_on = threading.Event()

    def waits(obj, eng):
        assert go_on.wait(60)
        note("waits")(obj, eng)

    tokens: list[Any] = [{"log": []}]
    eng = DbWorkflowEngine.with_name(
        "run", store=store, definition=[PARALLEL_SPLIT([waits]), lambda obj, eng: go_on.set(), b]
    )
    eng.process(tokens)
    assert tokens == [{"log": ["b"]}] == [token.data for token in eng.final_objects]
    assert branch_statuses(store) == ["COMPLETED"]


@pytest.mark.parametrize("after", [[], [c]], ids=["at the end", "before the end"])
def test_a_halt_in_a_split_that_is_waited_for_is_resumed_in_its_branch(store, after):
    split = PARALLEL_SPLIT([ask, a], [b], wait=True)
    eng = halted(store, [split, *after], [{"asks": True, "log": []}, {"log": []}])
    loaded(eng).resume()
    expected = sorted(["ask", "a", "b", *(["c"] if after else [])])
    assert [sorted(token.data["log"]) for token in eng.final_objects] == [expected, expected]
    assert eng.status is WorkflowStatus.COMPLETED


def test_branches_that_were_joined_are_not_joined_again(store):
    split = PARALLEL_SPLIT([a], [b], wait=True)
    eng = halted(store, [split, ask, c, ask, c], [{"asks": True, "log": []}])
    with pytest.raises(HaltProcessing):
        loaded(eng).resume()
    loaded(eng).resume()
    (log,) = logs(eng)
    assert sorted(log.split()) == sorted(["a", "b", "ask", "c", "ask", "c"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("our fault")])
def test_branches_of_a_run_that_was_broken_off_are_joined_once(store, error):
    errors = [error]

    def breaks(obj, eng):
        if errors:
            raise errors.pop()

    definition = [PARALLEL_SPLIT([a], [b], wait=True), breaks, c]
    eng = DbWorkflowEngine.with_name("run", store=store, definition=definition)
    with pytest.raises(type(error)):
        eng.process([{"log": []}])
    loaded(eng).resume()
    (log,) = logs(eng)
    assert sorted(log.split()) == ["a", "b", "c"]


def test_branches_that_halt_beside_the_run_are_joined_once(store):
    split = PARALLEL_SPLIT([ask, a], [b], wait=True)
    eng = halted(store, [split, note("beside"), HALT("?"), c], [{"asks": True, "log": []}])
    for _ in range(3):
        try:
            loaded(eng).resume()
            break
        except HaltProcessing:
            continue
    (log,) = logs(eng)
    assert sorted(log.split()) == sorted(["ask", "a", "b", "beside", "c"])
    assert eng.status is WorkflowStatus.COMPLETED


@pytest.mark.parametrize(
    ("steer", "expected"),
    [
        (lambda eng: eng.jump_token(0), "ask a leave c"),
        (lambda eng: eng.continue_next_token(), "ask a leave c"),
        (lambda eng: eng.stop(), "ask a leave c"),
    ],
)
def test_a_halt_in_a_split_is_resumed_there_though_the_token_was_left_by(store, steer, expected):
    left = []

    def leave(obj, eng):
        note("leave")(obj, eng)
        if not left:
            left.append(obj)
            steer(eng)

    split = PARALLEL_SPLIT([ask, a], wait=True)
    eng = halted(store, [split, leave, c], [{"asks": True, "log": []}])
    loaded(eng).resume()
    (log,) = logs(eng)
    assert sorted(log.split()) == sorted(expected.split())


def test_run_wf_runs_for_each_of_the_tokens_that_it_is_given(store):
    definition = [RUN_WF([a, ask, b], data_connector=lambda obj, eng: obj["parts"]), c]
    tokens: list[Any] = [{"parts": [{}, {"asks": True}, {}]}]
    eng = halted(store, definition, tokens)
    again = loaded(eng)
    again.resume()
    (token,) = again.final_objects
    assert [part["log"] for part in token.data["parts"]] == [["a", "ask", "b"]] * 3
    assert token.data["log"] == ["c"]


def test_run_wf_tells_tokens_of_its_own_from_those_of_the_run(store):
    made = []

    def connect(obj, eng):
        made.append([{"of": obj["n"], "part": part} for part in range(2)])
        return made[-1]

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[RUN_WF([a], connect), b])
    eng.process([{"n": 1}, {"n": 2}])
    assert len(eng.database_objects) == 2
    assert [part["log"] for part in made[0] + made[1]] == [["a"]] * 4


def test_a_halt_inside_an_engine_of_its_own_is_resumed_there(store):
    eng = halted(
        store, [RUN_WF([a, ask, b], engine=GenericWorkflowEngine), c], [{"asks": True, "log": []}]
    )
    loaded(eng).resume()
    assert logs(eng) == ["a ask b c"]


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (lambda: RUN_WF([ask, b]), "ask b after c"),
        (lambda: SYNCHRONIZE([ask, b], [note("beside")], a), "ask beside b a after c"),
        (lambda: FOR([1, 2], "n", [a, IF(lambda obj, eng: True, [ask])]), "a ask a ask after c"),
    ],
)
def test_a_halt_deep_inside_an_engine_of_its_own_is_resumed_there(store, inside, expected):
    definition = [RUN_WF([inside(), note("after")], engine=GenericWorkflowEngine), c]
    eng = halted(store, definition, [{"asks": True}])
    for _ in range(3):
        try:
            loaded(eng).resume()
            break
        except HaltProcessing:
            continue
    assert logs(eng) == [expected]


def test_restart_runs_the_task_again_that_halted_in_a_branch(store):
    def asks_once(obj, eng):
        note("ask")(obj, eng)
        if obj["log"].count("ask") == 1:
            eng.halt()

    for pattern in (RUN_WF([a, asks_once, b]), SYNCHRONIZE([a, asks_once, b], c)):
        eng = halted(store, [pattern], [{}])
        loaded(eng).restart("current", "current")
        assert logs(eng)[0].startswith("a ask ask b")


# Tokens with a save of their own


@dataclass
class Parcel:
    """A token that is told of each transition."""

    n: int
    asks: bool = False
    fails: bool = False
    told: ClassVar[list[Any]] = []

    def save(self, status=None, callback_pos=None, id_workflow=None):
        self.told.append((self.n, status.name, callback_pos, id_workflow))


@pytest.fixture
def told() -> Iterator[list[Any]]:
    Parcel.told.clear()
    yield Parcel.told
    Parcel.told.clear()


def weigh(parcel: Parcel, eng: Any) -> None:
    if parcel.asks:
        eng.halt("too heavy?")


def send(parcel: Parcel, eng: Any) -> None:
    if parcel.fails:
        raise ValueError("our fault")


TOLD = [
    (0, "RUNNING", [0]),
    (0, "COMPLETED", [2]),
    (1, "RUNNING", [0]),
    (1, "HALTED", [0]),
    (2, "RUNNING", [0]),
    (2, "ERROR", [1]),
]
PARCELS = (Parcel(0), Parcel(1, asks=True), Parcel(2, fails=True))


def test_tokens_in_a_store_are_told_of_each_transition(store, told):
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[weigh, send])
    eng.process(list(PARCELS), stop_on_halt=False, stop_on_error=False)
    assert told == [(*each, eng.uuid) for each in TOLD]
    told.clear()
    eng.resume(eng.halted_objects[0].id)
    assert told == [(1, "RUNNING", [1], eng.uuid), (1, "COMPLETED", [2], eng.uuid)]


LEAVING = {
    "skip_token": lambda eng: eng.skip_token(),
    "continue_next_token": lambda eng: eng.continue_next_token(),
    "jump_token": lambda eng: eng.jump_token(1),
    "stop": lambda eng: eng.stop(),
    "abort": lambda eng: eng.abort(),
    "break_current_loop": lambda eng: eng.break_current_loop(),
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
def test_a_token_that_is_left_before_its_end_is_told_so(store, told, leave):
    eng = DbWorkflowEngine.with_name(
        "run", store=store, definition=[lambda obj, eng: leave(eng), send]
    )
    eng.process([Parcel(0)])
    assert [status for _, status, _, _ in told] == ["RUNNING", "COMPLETED"]
    assert [token.status.name for token in eng.database_objects] == ["COMPLETED"]


class OwnRun:
    """A run as a user may keep it."""

    def __init__(self, objects):
        self.uuid, self.name, self.status, self.objects = "our uuid", "ours", None, objects
        self.saved: list[Any] = []

    def save(self, status):
        self.status = status
        self.saved.append(status)


def test_an_object_of_ones_own_and_its_tokens_are_told_of_each_transition(told):
    run = OwnRun(list(PARCELS))
    eng = DbWorkflowEngine(run)
    eng.callbacks.replace([weigh, send])
    eng.process(run.objects, stop_on_halt=False, stop_on_error=False)
    assert told == [(*each, "our uuid") for each in TOLD]
    assert run.saved[0] is WorkflowStatus.RUNNING


@pytest.mark.parametrize(
    ("parcels", "raises", "saved"),
    [
        ([Parcel(0)], None, ["RUNNING", "COMPLETED"]),
        ([Parcel(0), Parcel(1, asks=True)], HaltProcessing, ["RUNNING", "HALTED"]),
        ([Parcel(0), Parcel(1, fails=True)], ValueError, ["RUNNING", "ERROR"]),
    ],
)
def test_an_object_of_ones_own_is_saved_with_each_status(told, parcels, raises, saved):
    run = OwnRun(parcels)
    eng = DbWorkflowEngine(run)
    eng.callbacks.replace([weigh, send])
    if raises is None:
        eng.process(parcels)
    else:
        with pytest.raises(raises):
            eng.process(parcels)
    assert [status.name for status in run.saved] == saved
    assert eng.status is run.status


class Saved:
    """A token that keeps its status."""

    def __init__(self, asks=False):
        self.asks, self.status, self.log = asks, ObjectStatus.INITIAL, []

    def save(self, status=None, callback_pos=None, id_workflow=None):
        self.status = status


def test_an_object_of_ones_own_shows_its_tokens_by_their_status():
    tokens = [Saved(), Saved(asks=True), Saved()]
    run, seen = OwnRun(tokens), []

    def look(obj, eng):
        seen.append(eng.running_objects == [obj])

    eng = DbWorkflowEngine(run)
    eng.callbacks.replace([look, weigh])
    eng.process(tokens, stop_on_halt=False)
    assert (eng.uuid, eng.name, eng.database_objects) == ("our uuid", "ours", tokens)
    assert eng.final_objects == [tokens[0], tokens[2]]
    assert eng.halted_objects == [tokens[1]]
    assert eng.status is WorkflowStatus.HALTED
    assert seen == [True, True, True]


def test_an_engine_without_any_object_runs_as_one_in_memory():
    eng, tokens = DbWorkflowEngine(), [{}, {"asks": True}]
    eng.callbacks.replace([a, ask, b])
    with pytest.raises(HaltProcessing):
        eng.process(tokens)
    eng.restart("current", "next")
    assert [" ".join(token["log"]) for token in tokens] == ["a ask b", "a ask b"]
    assert (eng.uuid, eng.name, eng.status, eng.database_objects) == (None, None, None, [])


# The manual's listing


class ManualBase(DeclarativeBase):
    pass


database = create_engine("sqlite://")
session = sessionmaker(bind=database)()


class Student(ManualBase):
    """The manual's ``Workflow``: a student."""

    __tablename__ = "workflow"
    id: Mapped[int] = mapped_column(primary_key=True)
    state_token_pos: Mapped[int | None] = mapped_column(default=-1)
    grades: Mapped[list["Grade"]] = relationship(
        backref="workflow", cascade="all, delete, delete-orphan"
    )

    def save(self, token_pos):
        """Save object to persistent storage."""
        self.state_token_pos = token_pos
        try:
            session.add(self)
            session.commit()
        except Exception:
            session.rollback()
            raise


class Grade(ManualBase):
    __tablename__ = "grade"
    id: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[int] = mapped_column(default=0)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("workflow.id"))

    def __init__(self, grade):
        self.data = grade
        session.add(self)


class MyDbWorkflowEngine(DbWorkflowEngine):
    def __init__(self, db_obj):
        """Load an old `token_pos` from the db into the engine."""
        # The reason we save token_pos _first_, is because calling `super` will reset.
        token_pos = db_obj.state_token_pos

        self.db_obj = db_obj
        super(DbWorkflowEngine, self).__init__()

        # And now we inject it back into the engine's `state`.
        if token_pos is not None:
            self.state.token_pos = token_pos
            self.save()

    def save(self, token_pos=None):
        """Save the state of the workflow."""
        if token_pos is not None:
            self.state.token_pos = token_pos
        self.db_obj.save(self.state.token_pos)

    @staticmethod
    def processing_factory():
        """Provide a processing factory."""
        return MyProcessingFactory


class MyProcessingFactory(ProcessingFactory):
    """Processing factory for persistence requirements."""

    @staticmethod
    def transition_exception_mapper():
        """Define our for handling transition exceptions."""
        return MyTransitionActions

    @staticmethod
    def before_processing(eng, objects):
        """Make sure the engine has a relationship with its objects."""
        if not eng.db_obj.grades:
            for obj in objects:
                eng.db_obj.grades.append(obj)
            session.add(eng.db_obj)
            session.flush()  # so that the grades have their ids

    @staticmethod
    def after_processing(eng, objects):
        """Save after we processed all the objects successfully."""
        eng.save()


class MyTransitionActions(TransitionActions):
    @staticmethod
    def HaltProcessing(obj, eng, callbacks, e):
        """Save whenever HaltProcessing is raised, so that we don't lose the state."""
        eng.save()
        raise e


def grade_is_not_passing(obj, eng):
    print(f"Testing grade #{obj.id}, with data {obj.data}")
    return obj.data < 5


def amend_grade(obj, eng):
    print("Amending this grade..")
    obj.data = 5


@pytest.fixture
def school() -> Iterator[None]:
    ManualBase.metadata.create_all(database)
    yield
    session.close()
    database.dispose()


@pytest.mark.usefixtures("school")
def test_the_manuals_listing(capsys):
    my_db_engine = MyDbWorkflowEngine(Student())
    my_db_engine.callbacks.replace([IF(grade_is_not_passing, [HALT()])])
    try:
        my_db_engine.process([Grade(6), Grade(5), Grade(4), Grade(5), Grade(2), Grade(6)])
    except HaltProcessing:
        print("The student has failed this test!")
    assert (
        capsys.readouterr().out
        == inspect.cleandoc(
            """
        Testing grade #1, with data 6
        Testing grade #2, with data 5
        Testing grade #3, with data 4
        The student has failed this test!
        """
        )
        + "\n"
    )

    session.expire_all()
    revived_workflow = session.scalars(select(Student)).one()
    my_db_engine = MyDbWorkflowEngine(revived_workflow)
    print("\nWhat Zak sees:", [grade.data for grade in revived_workflow.grades])
    my_db_engine.callbacks.replace([IF(grade_is_not_passing, [amend_grade])])
    print("Note how the engine resumes from the last failing test:")
    my_db_engine.restart("current", "first", objects=revived_workflow.grades)
    assert (
        capsys.readouterr().out
        == "\n"
        + inspect.cleandoc(
            """
        What Zak sees: [6, 5, 4, 5, 2, 6]
        Note how the engine resumes from the last failing test:
        Testing grade #3, with data 4
        Amending this grade..
        Testing grade #4, with data 5
        Testing grade #5, with data 2
        Amending this grade..
        Testing grade #6, with data 6
        """
        )
        + "\n"
    )

    session.expire_all()
    revived_workflow = session.scalars(select(Student)).one()
    print("\nWhat the professor sees:", [grade.data for grade in revived_workflow.grades])
    assert capsys.readouterr().out == "\nWhat the professor sees: [6, 5, 5, 5, 5, 6]\n"


# Models of one's own


class ShopBase(DeclarativeBase):
    pass


class ShopDefinition(WorkflowDefinitionMixin, ShopBase):
    __tablename__ = "shop_definitions"


class Batch(WorkflowMixin, ShopBase):
    __tablename__ = "shop_batches"
    shelf: Mapped[str | None]
    orders: Mapped[list["Order"]] = relationship(back_populates="batch")


class Order(WorkflowObjectMixin, ShopBase):
    __tablename__ = "shop_orders"
    __workflow_table__ = "shop_batches"
    customer: Mapped[str | None]
    batch: Mapped[Batch] = relationship(back_populates="orders")
    steps_done: Mapped[list["Step"]] = relationship(back_populates="order")


class Step(TaskExecutionMixin, ShopBase):
    __tablename__ = "shop_steps"
    __object_table__ = "shop_orders"
    order: Mapped[Order] = relationship(back_populates="steps_done")


SHOP = Models(definition=ShopDefinition, workflow=Batch, object=Order, execution=Step)


def test_models_of_ones_own_are_used(tmp_path):
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    made = create_engine(url)
    ShopBase.metadata.create_all(made)
    made.dispose()
    with Store(url, models=SHOP) as store:
        eng = halted(store, [a, ask, SYNCHRONIZE([b], [c], a)], [{}, {"asks": True}])
        with store.session() as session:
            for order in session.scalars(select(Order)):
                order.customer = f"customer {order.token_pos}"
            batch = session.scalars(select(Batch).where(Batch.uuid == eng.uuid)).one()
            batch.shelf = "left"
        loaded(eng).resume()
        assert logs(eng) == ["a ask b c a"] * 2
        with store.session() as session:
            batch = session.scalars(select(Batch).where(Batch.uuid == eng.uuid)).one()
            assert (batch.shelf, batch.status) == ("left", "COMPLETED")
            assert [order.customer for order in batch.orders] == ["customer 0", "customer 1"]
            assert [step.name for step in batch.orders[0].steps_done][:2] == ["a", "ask"]


def test_models_of_ones_own_whose_tables_are_missing_say_so(tmp_path):
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with (
        Store(url, models=SHOP) as store,
        pytest.raises(SchemaError, match="shop_"),
    ):
        DbWorkflowEngine.with_name("run", store=store, definition=[a])


def test_the_session_of_a_store_reads_and_changes_its_models(store):
    eng = halted(store, [ask, b], [{"asks": True}])
    with store.session() as session:
        assert isinstance(session, Session)
        run = session.scalars(select(Workflow).where(Workflow.uuid == eng.uuid)).one()
        assert [token.status for token in run.objects] == ["HALTED"]
        run.objects[0].data = {"log": ["by hand"]}
    loaded(eng).resume()
    assert logs(eng) == ["by hand b"]
