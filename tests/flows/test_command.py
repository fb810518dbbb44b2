"""The command line and flows: a template is a workflow as any other, and so is each of its runs."""

import json

import pytest

from wfengine.flows import FlowRunner, FlowStatus
from wfengine.store import Store

from ..cli.support import Folder

FLOW = '''
from pathlib import Path
from wfengine.flows import ExecutionContext, FlowRunner, FlowTemplate, Task, TaskDataItem

class Parse(Task):
    """Make a number of the text."""

    def run(self, context):
        return ExecutionContext({"number": int(context.get("text"))})

class Wait(Task):
    def run(self, context):
        if not Path("ready").exists():
            raise FileNotFoundError("ready is not there yet")
        return context

class Double(Task):
    def inputs(self):
        return [TaskDataItem("text", str)]

    def run(self, context):
        return ExecutionContext({"doubled": 2 * context.get("number")})

template = FlowTemplate("doubling", inputs=[TaskDataItem("text", str)])
template.add_task(Parse()).add_task(Wait(), retries=1).add_task(Double())
empty = FlowTemplate("empty")
'''
ANOTHER_TASK = """
class Last(Task):
    def run(self, context):
        return context

template.add_task(Last())
"""
ROWS = "text\n1\nx\n3\n"
TARGET = "flow.py:template"
STORE = ["--store", "sqlite:///runs.db"]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path).write(flow_py=FLOW, rows_csv=ROWS)


def test_the_rows_of_a_file_become_contexts(folder):
    folder.write(ready="")
    done = folder.wfengine("run", TARGET, "--input", "rows.csv", *STORE)
    assert done.status == 1
    assert (done.numbers()["completed"], done.numbers()["failed"]) == (2, 1)
    assert "in task 'Parse' at [0], flow.py:9 in run" in done.err
    with Store(f"sqlite:///{folder.path}/runs.db") as store:
        (run,) = store.runs().items
        found = [token.plain_data["of"] for token in store.tokens(run.uuid)]
    assert found == [
        {"text": "1", "number": 1, "doubled": 2},
        {"text": "x"},
        {"text": "3", "number": 3, "doubled": 6},
    ]


def test_without_a_store_nothing_is_kept(folder):
    folder.write(ready="")
    done = folder.wfengine("run", TARGET, "--input", "rows.csv")
    assert done.numbers()["completed"] == 2
    assert not (folder / "runs.db").exists()


def test_a_run_of_a_template_goes_on_after_what_failed_was_put_right(folder):
    done = folder.wfengine("run", TARGET, "--input", "rows.csv", "--on-error", "stop", *STORE)
    assert "ready is not there yet" in done.err
    folder.write(ready="")
    done = folder.wfengine("run", TARGET, "--input", "rows.csv", "--resume", *STORE)
    assert "in task 'Parse' at [0]" in done.err
    assert done.numbers()["completed"] == 2


def test_a_template_without_tasks_is_refused(folder):
    done = folder.wfengine("run", "flow.py:empty", "--input", "rows.csv")
    assert (done.status, done.out) == (2, "")
    assert done.err == "Error: flow 'empty' has no tasks: add some with add_task(...)\n"


def test_a_template_is_drawn_and_told_as_a_list_of_tasks(folder):
    drawn = folder.wfengine("draw", TARGET).out
    assert all(f'["{name}"]' in drawn for name in ("Parse", "Wait", "Double"))
    told = folder.wfengine("outline", TARGET, "--json").out.splitlines()
    _, parse, wait, double = map(json.loads, told)
    assert (parse["label"], parse["doc"]) == ("Parse", "Make a number of the text.")
    assert [node["source"] for node in (parse, wait, double)] == [
        f"{folder.path}/flow.py:{line}" for line in (8, 12, 21)
    ]


def test_a_flow_of_a_runner_is_shown_drawn_and_resumed(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    with FlowRunner("sqlite:///runs.db") as runner:
        namespace = {}
        exec(FLOW, namespace)
        runner.register_flow_template(namespace["template"])
        flow_id = runner.schedule_flow("doubling", {"text": "21"})
        assert runner.run_flow().error == "FileNotFoundError: ready is not there yet"
        runner.reschedule_flow_execution(flow_id)
        shown = folder.wfengine("show", flow_id, *STORE)
        assert "of doubling is error" in shown.out
        assert "FileNotFoundError: ready is not there yet" in shown.out
        drawn = folder.wfengine("draw", TARGET, "--run", flow_id, *STORE)
        assert (drawn.status, drawn.err) == (0, "")
        (folder / "ready").touch()
        resumed = folder.wfengine("resume", TARGET, "--run", flow_id, *STORE)
        assert (resumed.status, resumed.err) == (0, "")
        flow = runner.service.get_flow_execution(flow_id)
        assert (flow.status, flow.not_before) == (FlowStatus.SUCCEEDED, None)
        assert flow.context.get("doubled") == 42
        assert runner.run_due() == []


def test_flows_of_a_template_that_has_changed_go_on_but_not_those_that_wait(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    with FlowRunner("sqlite:///runs.db") as runner:
        namespace = {}
        exec(FLOW, namespace)
        template = namespace["template"]
        failed = runner.schedule_flow(template, {"text": "21"})
        runner.run_flow()
        ids = {
            FlowStatus.SUCCEEDED: failed,
            FlowStatus.CREATED: runner.service.create_flow_execution(template, {"text": "1"}).id,
            FlowStatus.SCHEDULED: runner.schedule_flow(template, {"text": "2"}),
        }
        folder.write(flow_py=f"{FLOW}{ANOTHER_TASK}", ready="")
        done = folder.wfengine("resume", TARGET, "--json", *STORE)
        assert done.status == 0, done.err
        assert json.loads(done.out)["run"] == failed
        assert "the definition has changed" in done.err
        found = {runner.service.get_flow_execution(each).status: each for each in ids.values()}
        assert found == ids
        assert runner.service.get_flow_execution(failed).context.get("doubled") == 42


def test_a_flow_whose_runner_died_is_recovered_by_its_template(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    with FlowRunner("sqlite:///runs.db") as runner:
        namespace = {}
        exec(FLOW, namespace)
        waits, left = (runner.schedule_flow(namespace["template"], {"text": "4"}) for _ in range(2))
        runner.service.update_flow_status(left, FlowStatus.RUNNING)
        folder.write(ready="")
        done = folder.wfengine("recover", TARGET, "--json", *STORE)
        assert done.status == 0, done.err
        assert [json.loads(line)["run"] for line in done.out.splitlines()] == [left]
        assert runner.service.get_flow_execution(left).status is FlowStatus.SUCCEEDED
        assert runner.service.get_flow_execution(waits).status is FlowStatus.SCHEDULED
