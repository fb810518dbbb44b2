"""Several processes on one database."""

import os
import random

import pytest

from wfengine.errors import WorkflowObjectStatusError
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store import Store

from . import work
from .processes import Helper

SECONDS = os.environ.get("WFENGINE_TEST_PROCESSES_SECONDS", "8")
"""How long eight processes share a file; minutes for a thorough look."""

PROCESSES = 8


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_eight_processes_on_one_file_do_not_get_in_each_others_way(database_url):
    with Store(database_url) as store:  # whose tables the user makes beforehand, as one does
        work.Base.metadata.create_all(store.database.engine)
    helpers = [Helper("many", database_url, SECONDS) for _ in range(PROCESSES)]
    ends = [helper.end(float(SECONDS)) for helper in helpers]
    assert [code for _, code in ends] == [0] * PROCESSES
    begun = [said.split() for said, _ in ends]
    assert all(begun)
    with Store(database_url) as store:
        for uuids in begun:
            for uuid in random.sample(uuids, k=min(len(uuids), 20)):
                work.assert_exact(store, uuid)
        with store.session() as session:
            assert session.query(work.Workflow).count() == sum(map(len, begun))


def ask(token, eng):
    raise AssertionError("the other process has asked already")


def answer(token, eng):
    token["answer"] = eng.decision


def test_one_process_runs_while_another_reads_its_history_and_decides(database_url):
    count = 20
    with Store(database_url) as store:
        store.prepare()
        runner = Helper("slow", database_url, str(count))
        uuid = runner.line()
        decided = {}
        while len(decided) < count:
            for token in store.tokens(uuid, status=ObjectStatus.HALTED):
                if token.id in decided:
                    continue
                (step,) = store.history(token.id)
                assert step.name == "ask"
                store.decide(token.id, f"yes to {token.token_pos}", by="a reader")
                with pytest.raises(WorkflowObjectStatusError, match="a reader"):
                    store.decide(token.id, "no")
                decided[token.id] = token.token_pos
        assert runner.end() == ("done", 0)
        eng = work.DbWorkflowEngine.from_uuid(uuid, store=store, definition=[ask, answer])
        eng.resume()
        assert eng.status is WorkflowStatus.COMPLETED
        assert [token.data for token in eng.final_objects] == [
            {"number": number, "answer": f"yes to {number}"} for number in range(count)
        ]
