"""A flow of steps that a script has run, gone on with in the console."""

import pytest

from wfengine.status import WorkflowStatus
from wfengine.steps import Sequent, StepStatus


@pytest.fixture
def sending(empty):
    """A flow of which the second step fails while there is a problem, and what it has done."""
    problems, did = ["no network"], []
    flow = Sequent("sending", store=empty.store, config={"task_construct": "inline"})

    def note():
        did.append(f"{flow.get_step_name()} {flow.get_step_sequence()}")

    def send():
        if problems:
            raise ConnectionError(problems[0])
        note()

    pack = flow.add_step("pack", repeats=["letters", "parcels"])
    pack.add_step("wrap", note)
    sent = flow.add_step("send", send, requires=((pack, StepStatus.success),))
    flow.add_step("tell", note, requires=((sent, StepStatus.success),))
    assert not flow()
    assert did == ["pack_wrap 1.1", "pack_wrap 1.2"]
    did.clear()
    return flow, problems, did


def resume(console, uuid):
    """Press the button, and return what the page says when all is done."""
    assert console.get(f"/runs/{uuid}").has("form", action=f"/runs/{uuid}/resume")
    assert "The run goes on." in console.post(f"/runs/{uuid}/resume").text
    console.settled(uuid)
    return console.get(f"/runs/{uuid}").text


def test_what_failed_and_what_follows_is_done_and_nothing_else(empty, sending):
    flow, problems, did = sending
    empty.store.definitions.add("the post", flow)  # the script has another name for it
    assert "Error" in resume(empty, flow.uuid)
    assert did == []
    problems.clear()
    assert "Completed" in resume(empty, flow.uuid)
    assert did == ["send 1", "tell 1"]
    assert empty.store.run(flow.uuid).status is WorkflowStatus.COMPLETED


def test_a_flow_that_has_changed_since_is_known_by_the_name_of_its_runs(empty, sending):
    flow, problems, did = sending
    changed = Sequent("sending", store=empty.store, config={"task_construct": "inline"})
    changed.add_step("tell all", lambda: did.append("tell all"))
    for step in flow.steps.values():
        changed.add_step(step.name, step.work and step.work.func, repeats=step.rounds and [1, 2])
    changed.steps["pack"].add_step("wrap", lambda: did.append("wrap"))
    empty.store.definitions.add("the post", changed)
    problems.clear()
    assert "Completed" in resume(empty, flow.uuid)
    assert sorted(did) == ["send 1", "tell 1", "tell all"]


@pytest.mark.parametrize("how", ["resume", "restart"])
def test_a_failure_is_tried_again_from_its_own_page(empty, sending, how):
    flow, problems, did = sending
    empty.store.definitions.add("the post", flow)
    problems.clear()
    (failure,) = empty.store.failures(flow.uuid)
    empty.post(f"/runs/{flow.uuid}/failures", {"failure": failure.failure, "how": how})
    empty.settled(flow.uuid)
    assert empty.parts.runner.job(flow.uuid).problem == ""
    wrapped = ["pack_wrap 1.1", "pack_wrap 1.2"] if how == "restart" else []
    assert did == [*wrapped, "send 1", "tell 1"]
    assert empty.store.run(flow.uuid).status is WorkflowStatus.COMPLETED


def test_where_it_is_not_known_the_page_and_the_button_say_what_to_type(empty, sending):
    flow, _, did = sending
    command = f"wfengine console path/to/file.py:attribute --store {empty.store}"
    assert command in empty.get(f"/runs/{flow.uuid}").text
    assert command in empty.post(f"/runs/{flow.uuid}/resume", status=400).text
    assert did == []
