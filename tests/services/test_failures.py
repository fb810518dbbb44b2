"""Exceptions of tasks that cannot be shown, stored or pickled: what they are is stored anyway."""

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import HaltProcessing
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store, TaskExecution, WorkflowObject


class Mute(Exception):
    """Cannot be shown."""

    def __str__(self):
        raise RuntimeError("no words")

    __repr__ = __str__


class Lying(Exception):
    """Says something that is no text."""

    __str__ = (42).__index__


class Locked(Exception):
    """Cannot be pickled, copied or stored."""

    def __init__(self):
        super().__init__("locked away", lambda: None, open)

    def __reduce__(self):
        raise TypeError("not me")


class Endless(Exception):
    """Has itself as its cause."""

    def __init__(self):
        super().__init__("round and round")
        other = ValueError("and round")
        self.__cause__, other.__cause__ = other, self


class Counterfeit(Exception):
    """Has a class whose name is no name."""


Counterfeit.__qualname__ = Counterfeit.__name__ = "<b>"


def group():
    return ExceptionGroup("several", [ValueError("first"), ExceptionGroup("more", [Mute()])])


FAILURES = {
    "mute": (Mute, "cannot be shown"),
    "lying": (Lying, "cannot be shown"),
    "enormous": (lambda: ValueError("x" * 5_000_000), "xxxx"),
    "group": (group, "several"),
    "locked": (Locked, "locked away"),
    "endless": (Endless, "round and round"),
    "NUL": (lambda: ValueError("a\0b"), "a\\x00b"),
    "surrogate": (lambda: ValueError("a\udc80b"), "a\\udc80b"),
    "counterfeit": (lambda: Counterfeit("hm"), "hm"),
    "no words": (ValueError, ""),
    "deep": (lambda: chain(500), "deep"),
    "exit": (lambda: SystemExit("bye"), None),
}


def chain(length):
    error = ValueError("deep")
    for _ in range(length):
        outer = ValueError("deep")
        outer.__cause__ = error
        error = outer
    return error


@pytest.fixture
def store(database_url):
    with Store(database_url) as store:
        yield store


def row(store, model):
    with store.session() as session:
        return session.query(model).order_by(model.id.desc()).first().__dict__


def test_a_failure_of_any_kind_is_stored_and_reaches_the_caller_as_it_is(store, subtests):
    for kind, (make, said) in FAILURES.items():
        with subtests.test(kind):
            fail_and_mend(store, make(), said)


def fail_and_mend(store, error, said):
    fails = [True]

    def work(token, eng):
        token["seen"] = True
        if fails:
            raise error

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[work])
    with pytest.raises(type(error)) as failed:
        eng.process([{"number": 1}])
    assert failed.value is error
    token, step = row(store, WorkflowObject), row(store, TaskExecution)
    assert token["data"] == {"number": 1}
    if said is not None:
        assert eng.status is WorkflowStatus.ERROR
        assert token["status"] == ObjectStatus.ERROR.name
        assert said in token["error"]["message"]
        assert said in step["outcome"]["message"]
        assert step["status"] == "failed"
        assert "traceback" in token["error"]
    fails.clear()
    eng.resume()
    assert [found.data for found in eng.final_objects] == [{"number": 1, "seen": True}]


def test_failed_tokens_of_every_kind_do_not_stop_the_others(store):
    def work(token, eng):
        make, said = FAILURES[token["kind"]]
        if said is not None:
            raise make()

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[work])
    eng.process([{"kind": kind} for kind in FAILURES], stop_on_error=False)
    assert [token.data for token in eng.final_objects] == [{"kind": "exit"}]
    groups = store.failures(eng.uuid)
    assert sum(group.count for group in groups) == len(FAILURES) - 1


class Spiteful:
    """Cannot be shown."""

    def __str__(self):
        raise RuntimeError("no words")


def test_a_halt_whose_message_cannot_be_shown_is_a_halt_all_the_same(store):
    def halt(token, eng):
        raise HaltProcessing(Spiteful(), action=Spiteful())

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[halt])
    with pytest.raises(HaltProcessing):
        eng.process([{}])
    assert eng.status is WorkflowStatus.HALTED


def test_a_halt_whose_payload_cannot_be_stored_is_refused_with_a_reason(store):
    def halt(token, eng):
        eng.halt("look", payload=object())

    eng = DbWorkflowEngine.with_name("run", store=store, definition=[halt])
    with pytest.raises(Exception, match="payload") as refused:
        eng.process([{}])
    assert "object" in str(refused.value)
    assert row(store, WorkflowObject)["status"] == ObjectStatus.ERROR.name
