"""Values that nobody expects, everywhere a value can be given: stored exactly, or refused."""

import asyncio
import inspect
import math
from contextlib import contextmanager
from functools import partial
from itertools import product
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfengine.definitions import Registry
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import (
    NotStorableError,
    StoreError,
    UnknownRunError,
    UnknownTokenError,
    WorkflowAPIError,
    WorkflowError,
)
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import (
    Store,
    TaskExecution,
    Workflow,
    WorkflowObject,
    control,
    listing,
    retention,
)

NASTY = {
    "markup": "<script>alert(1)</script>",
    "a path": "../../etc/passwd",
    "an option": "--opt",
    "quotes": "'; DROP TABLE workflow; -- \"`",
    "NUL": "a\0b",
    "a lone surrogate": "a\udc80b",
    "right to left": "\u202eabc\u200f",
    "percent signs": "%s %(a)s {0} :name ?",
    "another plane": "\U0001f600 \U00020000",
    "lines": "a\r\nb\u2028c\x85",
    "a megabyte": "x" * 1_000_000,
    "blanks": "  \t",
}

REFUSED_AS_NAMES = {
    "NUL", "a lone surrogate", "right to left", "a megabyte", "lines", "blanks"
}  # fmt: skip


@pytest.fixture
def store(database_url):
    with Store(database_url) as store:
        yield store


def shown(text):
    """Return a text as any database takes it."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()


@contextmanager
def refused_shortly(kind):
    """Expect an error that does not repeat at length what it was given."""
    with pytest.raises(kind) as refused:
        yield
    assert len(str(refused.value)) < 1000


def rows(store, model):
    with store.session() as session:
        return [row.__dict__ for row in session.query(model).order_by(model.id).all()]


def note(token, eng):
    token["seen"] = eng.decision


def run(store, definition, tokens, name="run"):
    eng = DbWorkflowEngine.with_name(name, store=store, definition=definition)
    eng.process(tokens)
    return eng


def test_a_run_keeps_its_name_exactly_or_refuses_it(store, subtests):
    for kind, name in NASTY.items():
        with subtests.test(kind):
            count = len(rows(store, Workflow))
            if kind in REFUSED_AS_NAMES:
                with pytest.raises(WorkflowAPIError, match="the name of a run") as refused:
                    DbWorkflowEngine.with_name(name, store=store, definition=[note])
                assert len(str(refused.value)) < 300
                assert len(rows(store, Workflow)) == count
            else:
                eng = run(store, [note], [{}], name)
                again = DbWorkflowEngine.from_uuid(eng.uuid, store=store, definition=[note])
                assert again.name == name
                assert rows(store, Workflow)[-1]["name"] == name


def test_tokens_are_stored_exactly(store):
    tokens = [{"text": text, f"key {text}": [text, {text: text}]} for text in NASTY.values()]
    eng = run(store, [note], [dict(token) for token in tokens])
    assert [token.data for token in eng.final_objects] == [
        {**token, "seen": None} for token in tokens
    ]


def test_a_halt_is_stored_with_its_words_and_its_payload(store):
    def stop(token, eng):
        eng.halt(NASTY[token["kind"]], action=NASTY[token["kind"]], payload=NASTY[token["kind"]])

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[stop, note])
    eng.process([{"kind": kind} for kind in NASTY], stop_on_halt=False)
    assert eng.status is WorkflowStatus.HALTED
    for row, text in zip(rows(store, WorkflowObject), NASTY.values(), strict=True):
        assert row["message"] == row["action"] == shown(text)
        assert store.types.decode(row["payload"]) == text


def test_a_decision_is_handed_over_exactly_and_keeps_who_made_it(store):
    def stop(token, eng):
        eng.halt("decide", action="decide")

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[stop, note])
    eng.process([{"kind": kind} for kind in NASTY], stop_on_halt=False)
    for token in eng.halted_objects:
        text = NASTY[token.data["kind"]]
        store.decide(token.id, {"yes": text}, by=text)
    decided = [
        step["outcome"]["by"] for step in rows(store, TaskExecution) if step["event"] == "decide"
    ]
    assert decided == [shown(text) for text in NASTY.values()]
    eng.resume()
    assert [token.data["seen"] for token in eng.final_objects] == [
        {"yes": text} for text in NASTY.values()
    ]


def test_names_of_tasks_errors_and_extra_data_hold_anything(store, subtests):
    for kind, text in NASTY.items():
        with subtests.test(kind):
            fail_with(store, text)


def fail_with(store, text):
    def fail(token, eng):
        eng.extra_data[f"key {text}"] = text
        raise ValueError(text)

    if text.isprintable():
        fail.__name__ = fail.__qualname__ = text
    eng = DbWorkflowEngine.with_name("run", store=store, definition=[fail])
    with pytest.raises(ValueError, match=r".") as failed:
        eng.process([{}])
    assert failed.value.args == (text,)
    token, step = rows(store, WorkflowObject)[-1], rows(store, TaskExecution)[-1]
    assert token["error"]["message"] == shown(text)
    assert token["error"]["type"] == "ValueError"
    assert token["status"] == ObjectStatus.ERROR.name
    assert step["name"] == eng.current_taskname
    again = DbWorkflowEngine.from_uuid(eng.uuid, store=store, definition=[fail])
    assert again.extra_data == {f"key {text}": text}


def test_a_run_that_is_not_there_is_not_found(store, subtests):
    for kind, text in NASTY.items():
        for look in (partial(DbWorkflowEngine.from_uuid, store=store), store.outcome, store.stop):
            with subtests.test(kind), refused_shortly(UnknownRunError):
                look(text)


NO_IDS = [*NASTY.values(), -1, 2**63, 10**5000, True, None, 1.0, math.nan]


def test_a_token_that_is_not_there_is_not_found(store, subtests):
    eng = run(store, [note], [{}])
    for place, number in enumerate(NO_IDS):
        for look in (store.history, partial(store.decide, decision="yes"), eng.resume):
            if look == eng.resume and number is None:
                continue  # means all of them
            with subtests.test(place), refused_shortly(UnknownTokenError):
                look(number)


def test_a_path_that_is_no_path_is_refused(store, subtests):
    eng = run(store, [note, note], [{}])
    (token,) = eng.final_objects
    before = rows(store, WorkflowObject)[0]["data"]
    for kind, text in NASTY.items():
        for travel in (store.fork, eng.rewind):
            with subtests.test(kind), refused_shortly(WorkflowError):
                travel(token.id, text)
    assert len(rows(store, Workflow)) == 1
    assert rows(store, WorkflowObject)[0]["data"] == before


def test_numbers_keep_their_values(store):
    numbers = [10**5000, -(10**400), 2**53 + 1, -0.0, math.inf, -math.inf, 5e-324, 0.1 + 0.2]
    eng = run(store, [note], [{"numbers": [*numbers, math.nan]}])
    (token,) = eng.final_objects
    *found, nan = token.data["numbers"]
    assert found == numbers
    assert [type(number) for number in found] == [type(number) for number in numbers]
    assert math.copysign(1, found[3]) == -1
    assert math.isnan(nan)


def test_a_token_of_fifty_megabytes_is_stored_exactly_or_refused_with_a_reason(store):
    large = "0123456789" * 5_000_000
    if packet_of(store) < 60_000_000:
        with pytest.raises(StoreError, match="max_allowed_packet") as refused:
            run(store, [note], [{"large": large}])
        assert len(str(refused.value)) < 1000
        return
    eng = run(store, [note], [{"large": large}])
    (token,) = eng.final_objects
    assert token.data == {"large": large, "seen": None}


def packet_of(store):
    """Return how long a statement may be."""
    if store.database.name not in ("mysql", "mariadb"):
        return math.inf
    with store.database.reading() as connection:
        return connection.exec_driver_sql("select @@max_allowed_packet").scalar_one()


def test_what_cannot_be_stored_is_refused_before_the_run_begins(store, subtests):
    for value in (object(), open, iter(()), {1: {2: [print]}}, Exception("x")):
        eng = DbWorkflowEngine.with_name("run", store=store, definition=[note])
        with subtests.test(type(value).__name__), pytest.raises(NotStorableError, match="token 1"):
            eng.process([{"fine": 1}, {"deep": [value]}])
    assert rows(store, WorkflowObject) == []


def test_a_task_that_makes_its_token_unstorable_fails_and_nothing_is_lost(store):
    spoils = [True]

    def spoil(token, eng):
        token["spoilt"] = object() if spoils else "mended"

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[note, spoil, note])
    with pytest.raises(NotStorableError, match=r"token 0.*spoilt"):
        eng.process([{"number": 1}])
    assert rows(store, WorkflowObject)[0]["data"] == {"number": 1, "seen": None}
    spoils.clear()
    eng.resume()
    (token,) = eng.final_objects
    assert token.data == {"number": 1, "seen": None, "spoilt": "mended"}


def test_a_uuid_is_taken_in_any_of_its_forms(store):
    eng = run(store, [note], [{}])
    assert store.run(eng.uuid).uuid == eng.uuid
    with pytest.raises(UnknownRunError):
        store.run(uuid4())


SPREAD = {
    "runs": listing.runs,
    "latest": listing.runs,
    "recover": control.recover,
    "recover_async": control.recover,
    "prune": retention.prune,
}
"""The functions whose arguments a method takes by name."""

PLUMBING = {"find_run", "new_run", "remember_definition"}
"""What the rest of the package gives its own texts to."""


def parameters_of(name):
    """Return the parameters of a method of the store, by name."""
    method = inspect.signature(getattr(Store, name)).parameters
    spread = inspect.signature(SPREAD[name]).parameters if name in SPREAD else {}
    return {
        key: parameter
        for key, parameter in {**method, **spread}.items()
        if key not in ("self", "store", "owner") and parameter.kind is not parameter.VAR_KEYWORD
    }


def texts_taken():
    """Return each public method of the store with each of its parameters that may be a text."""
    names = {name for name, _ in inspect.getmembers(Store, callable) if not name.startswith("_")}
    return [
        (name, key)
        for name in sorted(names - PLUMBING)
        for key, parameter in parameters_of(name).items()
        if "str" in str(parameter.annotation)
    ]


def stand(token, eng):
    if token["halts"]:
        eng.halt("look")
    raise ValueError("no")


def arguments_for(store, name):
    """Return what a method needs, about a run that has a halted token and a failed one."""
    eng = DbWorkflowEngine.with_name("stands", store=store)
    eng.process([{"halts": True}, {"halts": False}], stop_on_halt=False, stop_on_error=False)
    (group,) = store.failures(eng.uuid)
    known = {
        **dict.fromkeys(("uuid", "first", "second"), eng.uuid),
        "token_id": eng.halted_objects[0].id,
        "failure": group.failure,
        "mark": store.run(eng.uuid).fingerprint,
        "decision": "yes",
        "data": {},
        "at": 1,
        "action": "look",
        "older_than": 3600,
    }
    parameters = parameters_of(name)
    return {key: known[key] for key in parameters if parameters[key].default is inspect._empty}


def call(store, name, values):
    """Call a method, to the end of what it yields."""
    found = getattr(store, name)(**values)
    if inspect.isawaitable(found):
        found = asyncio.run(awaited(found))
    return list(found) if hasattr(found, "__iter__") else found


async def awaited(found):
    return await found


def refusal_of(call):
    """Return the text of the error of our own that comes out of a call; empty if none does."""
    try:
        call()
    except WorkflowError as refused:
        return str(refused)
    return ""


def test_each_text_that_the_store_takes_is_taken_or_refused_with_a_short_reason(
    database_url, subtests
):
    definitions = Registry()
    definitions.add("stands", [stand])
    with Store(database_url, definitions=definitions) as store:
        for (name, key), (kind, text) in product(texts_taken(), NASTY.items()):
            given = {**arguments_for(store, name), key: text}
            latest = max((entry.id for entry in store.audit(limit=1)), default=0)
            with subtests.test(f"{name}, {key}: {kind}"):
                refused = refusal_of(partial(call, store, name, given))
                assert len(refused) < 1000
                assert "the database" not in refused
                if key == "by":
                    said = [entry.who for entry in store.audit(limit=1) if entry.id > latest]
                    assert said in ([], [shown(text)[:255]])


@pytest.mark.parametrize("name", ["checkpoint", "checkpoint_tokens", "checkpoint_seconds"])
def test_how_often_to_write_a_run_down_is_refused_shortly(store, name):
    for value in [*NASTY.values(), -(10**5000), -1, None, math.nan]:
        with refused_shortly(WorkflowAPIError):
            DbWorkflowEngine.with_name("run", store=store, definition=[note], **{name: value})


@pytest.fixture(scope="module")
def one_store():
    with Store("sqlite://") as store:
        yield store


@given(st.text(st.characters(codec=None)) | st.binary() | st.floats() | st.integers())
def test_any_value_comes_back_from_the_store_as_it_was(one_store, value):
    eng = run(one_store, [note], [{"value": value}])
    (token,) = eng.final_objects
    assert repr(token.data["value"]) == repr(value)
