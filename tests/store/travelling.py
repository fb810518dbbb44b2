"""What the tests of a token's history share: tasks, definitions, and runs at some point."""

from decimal import Decimal

import pytest
from attrs import define
from sqlalchemy import text

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import HaltProcessing
from wfengine.patterns import FOR

NOW = 1_700_000_000.0


class Clock:
    """A clock that stands still, until it is moved on."""

    now = NOW

    def __call__(self):
        return self.now


@define
class Order:
    lines: list
    total: Decimal = Decimal(0)


# Tasks


def first(token, eng):
    token["log"] = ["first"]


def second(token, eng):
    token["log"].append("second")


def third(token, eng):
    token["log"].append("third")


def item(token, eng):
    token["log"].append(eng.extra_data["i"])


def ask(token, eng):
    eng.halt("may it go on?", action="approve", payload={"asked": (1, 2)})


def answer(token, eng):
    token["log"].append(eng.decision)


def fail_once(token, eng):
    if not token.get("is_mended"):
        raise ValueError("not yet")


def left(token, eng):
    token["left"] = token.get("left", 0) + 1


def right(token, eng):
    token["right"] = token.get("right", 0) + 1
    if not token.get("is_quick"):
        eng.halt("right?", action="approve")


PLAIN = [first, second, third]
NESTED = [first, FOR([1, 2, 3], "i", [item]), [second, [third]]]
ASKING = [first, ask, answer, third]

DONE = {"log": ["first", "second", "third"]}


def engine(store, definition, name="travels"):
    return DbWorkflowEngine.with_name(name, store=store, definition=definition)


def completed(store, definition=PLAIN, tokens=None):
    eng = engine(store, definition)
    eng.process([{}] if tokens is None else tokens)
    return eng


def halted(store, definition=ASKING, tokens=None):
    eng = engine(store, definition)
    with pytest.raises(HaltProcessing):
        eng.process([{}] if tokens is None else tokens)
    return eng


def failed(store, definition):
    eng = engine(store, definition)
    with pytest.raises(ValueError, match="not yet"):
        eng.process([{}])
    return eng


def loaded(store, uuid, definition):
    return DbWorkflowEngine.from_uuid(uuid, store=store, definition=definition)


def token_of(store, run, index=0):
    return store.tokens(getattr(run, "uuid", run))[index]


def events(store, token_id):
    return [(step.event, step.name) for step in store.history(token_id)]


def change(store, statement, **values):
    with store.database.writing() as connection:
        connection.execute(text(statement), values)


def branches(store):
    """Return the status of each branch's run, and the token that waits for it."""
    with store.session() as session:
        model = store.models.workflow
        return [
            (run.status, run.parent_object_id)
            for run in session.query(model).filter(model.parent_id.is_not(None)).order_by(model.id)
        ]


def tokens_of_branches(store):
    with store.session() as session:
        model = store.models.workflow
        runs = session.query(model).filter(model.parent_id.is_not(None))
        uuids = [run.uuid for run in runs.order_by(model.id)]
    return [token for uuid in uuids for token in store.tokens(uuid)]
