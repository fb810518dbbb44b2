"""Rows that somebody changed by hand: each is told with its number, and stops nothing else."""

import json
import pickle
import signal
import sys
from contextlib import contextmanager, suppress
from itertools import product

import pytest
import sqlalchemy as sa

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import DamagedDataError, HaltProcessing, StoreError, WorkflowError
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store

DEEP = 100_000

NO_DATA = {
    "no JSON": "{'a': 1}",
    "cut off": '{"a": [1, 2',
    "empty": "",
    "nested absurdly": "[" * DEEP + "]" * DEEP,
    "objects nested absurdly": '{"a":' * DEEP + "1" + "}" * DEEP,
    "a type of another module": '{"$": "os:system", "v": "touch pwned"}',
    "a type of a module that was not imported": '{"$": "antigravity:fly", "v": []}',
    "a type inside": '{"a": [{"$": "subprocess:Popen", "args": ["touch", "pwned"]}]}',
    "an object that is reduced": '{"py/reduce": [{"py/function": "os.system"}, ["touch pwned"]]}, ',
    "a tag that is no text": '{"$": 7, "v": 1}',
    "parts that do not fit": '{"$": "datetime", "v": {"year": "x"}}',
    "a pickle": pickle.dumps({"a": 1}, protocol=0).decode(),
    "a key twice": '{"a": 1, "a": 2}',
    "no number": '{"a": NaN}',
}

NO_POSITIONS = [
    "-1",
    "x",
    "",
    " ",
    "0.",
    ".0",
    "1e3",
    "0.-1",
    "٣",
    "0..1",
    str(10**30),
    "0;1",
    "[0]",
]

POSITIONS_ELSEWHERE = ["9.9.9", "2", "0.0", "1.2", "1.3", "999999999999999999"]


def note(token, eng):
    token["seen"] = True


def halt(token, eng):
    if token["number"] in (1, 2):
        eng.halt("look")


def mark(token, eng):
    token["marked"] = True


DEFINITION = [note, [halt, mark]]

PLACES = {
    "behind the pass": ([0, 1, 2, 3], False),
    "first of a finished pass": ([1, 0, 2, 3], False),
    "last of a finished pass": ([0, 2, 3, 1], False),
    "first, where the run stands": ([1, 0, 3, 4], True),
    "where the run stands": ([0, 1, 3, 4], True),
    "last, where the run stands": ([0, 3, 4, 1], True),
}
"""The numbers of the tokens, of which number 1 is spoilt, and whether the run stops at halts."""


class Vault:
    """A store with a run of four tokens, some of them halted, whose rows can be spoilt.

    :param place: where the halted token is that is spoilt.
    """

    def __init__(self, store, place="behind the pass"):
        self.store = store
        numbers, stops = PLACES[place]
        self.spoilt = numbers.index(1)
        eng = DbWorkflowEngine.with_name("run", store=store, definition=DEFINITION)
        with suppress(HaltProcessing):
            eng.process([{"number": number} for number in numbers], stop_on_halt=stops)
        self.uuid = eng.uuid
        self.ids = [token.id for token in eng.database_objects]

    def spoil(self, table, row, **values):
        """Write values into a row by plain SQL, as somebody does who is not wfengine."""
        changes = ", ".join(f"{name} = :{name}" for name in values)
        with self.store.database.writing() as connection:
            done = connection.execute(
                sa.text(f"update {table} set {changes} where id = :row"), {**values, "row": row}
            )
        assert done.rowcount == 1

    def row(self, token_id, columns):
        """Return some columns of a token as they are written."""
        query = sa.text(f"select {', '.join(columns)} from workflow_object where id = :id")
        with self.store.database.reading() as connection:
            return dict(connection.execute(query, {"id": token_id}).one()._mapping)

    @property
    def run_id(self):
        return self.store.run(self.uuid).id

    def engine(self):
        return DbWorkflowEngine.from_uuid(self.uuid, store=self.store, definition=DEFINITION)

    def statuses(self):
        """Return the statuses of all tokens, as they are written."""
        query = sa.text(
            "select status from workflow_object where workflow_id = "
            "(select id from workflow where uuid = :uuid) order by id"
        )
        with self.store.database.reading() as connection:
            return connection.scalars(query, {"uuid": self.uuid}).all()

    def status_of(self, index):
        """Return the status of a token that this test has not removed."""
        query = sa.text("select status from workflow_object where id = :id")
        with self.store.database.reading() as connection:
            return ObjectStatus[connection.scalar(query, {"id": self.ids[index]})]


@pytest.fixture
def store(database_url):
    with Store(database_url) as store:
        yield store


@pytest.fixture
def vault(store):
    return Vault(store)


@pytest.fixture
def nothing_imported(tmp_path, monkeypatch):
    """Check that no module was imported, and that nothing was executed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    yield
    assert "antigravity" not in sys.modules
    assert not (tmp_path / "pwned").exists()


def for_each(values, places=("behind the pass",)):
    """Run a test with a run of its own for each of these values and places, all in one database."""

    def decorate(check):
        def test(store, subtests, nothing_imported):
            for place, value in product(places, values):
                with subtests.test(f"{place}: {str(value)[:60]}"):
                    check(Vault(store, place), value)

        test.__name__ = check.__name__
        return test

    return decorate


class EndlessError(BaseException):
    """A test has not come to its end."""


@contextmanager
def within(seconds):
    """Break off what would go on for ever."""

    def break_off(*_):
        raise EndlessError

    before = signal.signal(signal.SIGALRM, break_off)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def assert_the_others_go_on(vault):
    """Resume a run with a damaged token: that is told, also the next time, and the others done."""
    for _ in range(2):
        with pytest.raises(DamagedDataError, match=f"workflow_object {vault.ids[vault.spoilt]}:"):
            vault.engine().resume()
        statuses = vault.statuses()
        assert statuses.pop(vault.spoilt) != "COMPLETED"
        assert statuses == ["COMPLETED"] * 3


@for_each(NO_DATA)
def test_data_that_are_none_are_told_with_their_row_and_stop_no_other_token(vault, kind):
    vault.spoil("workflow_object", vault.ids[1], data=NO_DATA[kind])
    assert_the_others_go_on(vault)
    with pytest.raises(DamagedDataError, match=f"workflow_object {vault.ids[1]}") as damaged:
        vault.engine().resume(vault.ids[1])
    assert len(str(damaged.value)) < 1000


@for_each(NO_POSITIONS)
def test_a_position_that_is_none_is_told_with_its_row_and_stops_no_other_token(vault, position):
    vault.spoil("workflow_object", vault.ids[1], callback_pos=position)
    assert_the_others_go_on(vault)


@for_each(POSITIONS_ELSEWHERE)
def test_a_position_that_the_definition_has_not_is_refused_and_nothing_runs_elsewhere(
    vault, position
):
    vault.spoil("workflow_object", vault.ids[1], callback_pos=position)
    with pytest.raises(StoreError, match=f"workflow_object {vault.ids[1]}: "):
        vault.engine().resume(vault.ids[1])
    assert vault.status_of(1) is ObjectStatus.HALTED


@for_each(
    [
        {"visits": "x"},
        {"visits": "0.0.0.0.0"},
        {"visits": "-1.-1"},
        {"steps": -1},
        {"attempts": -7},
        {"decision": "[1, 2"},
        {"decision": "[]"},
        {"decision": '{"$": "os:system", "v": "touch pwned"}'},
        {"memory": "nonsense"},
        {"memory": "[]"},
        {"memory": "{}"},
        {"memory": '{"frames": 7, "scope": []}'},
        {"memory": '{"frames": [{"kind": 3}], "scope": {"$": "os:system"}}'},
        {"data": "no JSON"},
        {"callback_pos": "x"},
        {"status": "FINE"},
    ],
    PLACES,
)
def test_a_column_that_cannot_be_so_is_told_with_its_row_and_stops_no_other_token(vault, values):
    vault.spoil("workflow_object", vault.ids[vault.spoilt], **values)
    assert_the_others_go_on(vault)


@for_each(
    [
        {"data": "no JSON"},
        {"callback_pos": "x"},
        {"visits": "x"},
        {"memory": "{}"},
        {"decision": "[]"},
        {"status": "FINE"},
    ],
    PLACES,
)
def test_a_token_whose_row_is_mended_goes_on_where_it_was(vault, values):
    spoilt = vault.ids[vault.spoilt]
    before = vault.row(spoilt, list(values))
    vault.spoil("workflow_object", spoilt, **values)
    assert_the_others_go_on(vault)
    vault.spoil("workflow_object", spoilt, **before)
    vault.engine().resume()
    assert vault.statuses() == ["COMPLETED"] * 4
    assert vault.store.tokens(vault.uuid)[vault.spoilt].data == {
        "number": 1,
        "seen": True,
        "marked": True,
    }


@for_each(["FINE", "", "completed", "None"])
def test_a_status_that_is_none_is_told_with_its_row_and_stops_no_other_token(vault, status):
    vault.spoil("workflow_object", vault.ids[1], status=status)
    assert_the_others_go_on(vault)
    assert vault.statuses() == ["COMPLETED", status, "COMPLETED", "COMPLETED"]
    with pytest.raises(DamagedDataError, match=f"workflow_object {vault.ids[1]}"):
        vault.engine().resume(vault.ids[1])


def test_a_row_that_is_gone_is_told_and_stops_no_other_token(vault):
    with vault.store.database.writing() as connection:
        gone = {"id": vault.ids[0]}
        connection.execute(sa.text("delete from task_execution where object_id = :id"), gone)
        connection.execute(sa.text("delete from workflow_object where id = :id"), gone)
    vault.engine().resume()
    assert vault.status_of(1) is vault.status_of(2) is ObjectStatus.COMPLETED
    found = [token.id for token in vault.store.tokens(vault.uuid)]
    assert found == vault.ids[1:]


@for_each([0, 2, 9, 10**15, -4])
def test_a_number_of_tokens_that_is_wrong_makes_no_token_up_and_is_told(vault, count):
    vault.spoil("workflow", vault.run_id, token_count=count, token_pos=1)
    with within(10), pytest.raises(StoreError):
        vault.engine().resume()
    assert len(vault.statuses()) == 4


@for_each(
    [
        {"status": "FINE"},
        {"extra_data": "[1, 2]"},
        {"extra_data": "no JSON"},
        {"extra_data": '{"$": "os:system", "v": "touch pwned"}'},
        {"extra_data": "[" * DEEP},
        {"options": "7"},
        {"options": "{"},
        {"options": "[]"},
        {"options": '{"checkpoint": "never"}'},
        {"options": '{"checkpoint": "token", "tokens": "many"}'},
        {"options": '{"checkpoint": "token", "tokens": 2, "seconds": "soon"}'},
        {"token_pos": -7},
    ],
)
def test_a_run_that_is_damaged_is_told_with_its_row_and_stops_no_other_run(vault, values):
    other = Vault(vault.store)
    run_id = vault.run_id
    vault.spoil("workflow", run_id, **values)
    with pytest.raises(DamagedDataError, match=f"workflow {run_id}:"):
        vault.engine().resume()
    other.engine().resume()
    assert vault.store.run(other.uuid).status is WorkflowStatus.COMPLETED


@for_each(
    ["os:system", "antigravity:fly", "../../etc/passwd", "__main__:exit", ["os:system"], {"a": 1}],
)
def test_a_definition_that_a_row_names_is_not_imported(vault, target):
    vault.spoil("workflow", vault.run_id, options=json.dumps({"definition": target}))
    before = set(sys.modules)
    with pytest.raises(WorkflowError, match=vault.uuid):
        DbWorkflowEngine.from_uuid(vault.uuid, store=vault.store)
    assert set(sys.modules) == before


def test_tokens_are_listed_up_to_and_after_a_damaged_one(vault):
    vault.spoil("workflow_object", vault.ids[1], data="no JSON")
    found = vault.store.tokens(vault.uuid)
    assert len(found) == 4
    assert found[3].data == {"number": 3, "seen": True, "marked": True}
    assert found[1].id == vault.ids[1]
    with pytest.raises(DamagedDataError, match=f"workflow_object {vault.ids[1]}"):
        _ = found[1].data


def test_a_damaged_token_does_not_stop_the_pass_of_a_run_that_goes_on(database_url):
    def stop_at_the_first(token, eng):
        if token["number"] == 0:
            eng.halt("wait")
        token["done"] = True

    with Store(database_url) as store:
        eng = DbWorkflowEngine.with_name("run", store=store, definition=[stop_at_the_first])
        with pytest.raises(HaltProcessing):
            eng.process([{"number": number} for number in range(4)])
        ids = [token.id for token in eng.database_objects]
        with store.database.writing() as connection:
            connection.execute(
                sa.text("update workflow_object set data = 'x' where id = :id"), {"id": ids[2]}
            )
        again = DbWorkflowEngine.from_uuid(eng.uuid, store=store, definition=[stop_at_the_first])
        with pytest.raises(DamagedDataError, match=f"workflow_object {ids[2]}"):
            again.resume()
        with store.database.reading() as connection:
            statuses = connection.scalars(
                sa.text("select status from workflow_object order by id")
            ).all()
    assert statuses == ["COMPLETED", "COMPLETED", "INITIAL", "COMPLETED"]


class Inspected(DbWorkflowEngine):
    """Halts each token that was not looked at, when all of its tasks are done."""

    class processing_factory(DbWorkflowEngine.processing_factory):  # noqa: N801
        @staticmethod
        def after_object(eng, objects, obj):
            if eng.decision is None:
                eng.halt("inspect", action="inspect")


@for_each([[note], [[note, note], note]])
def test_a_token_that_halts_after_its_last_task_goes_on_there(vault, definition):
    eng = Inspected.with_name("run", store=vault.store, definition=definition)
    eng.process([{"number": 0}, {"number": 1}], stop_on_halt=False)
    assert len(eng.halted_objects) == 2
    for token in list(eng.halted_objects):
        vault.store.decide(token.id, "fine")
    Inspected.from_uuid(eng.uuid, store=vault.store, definition=definition).resume()
    assert len(eng.final_objects) == 2
