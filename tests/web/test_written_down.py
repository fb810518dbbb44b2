"""Whatever somebody changes through the console is in the audit: who, what, and when."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from wfengine.errors import StoreError
from wfengine.status import WorkflowStatus
from wfengine.store.watching import stored_token
from wfengine.web.app import routes
from wfengine.web.visits import Action

ROWS = '{"bird": "wren", "count": 1}\n'

WITHOUT_A_CHANGE = {"/sign-in", "/sign-out", "/theme"}
"""Actions that change nothing in the store."""


def decided(console):
    """Let a run have something to go on with."""
    for token in console.waiting():
        console.store.decide(token, "keep", by="somebody else")
    return console.runs[0]


def resume(console, request):
    uuid = decided(console)
    return f"/runs/{uuid}/resume", {}


def resume_many(console, request):
    return "/runs/many", {"run": decided(console), "do": "resume", "sure": "yes"}


def stop(console, request):
    return f"/runs/{request.getfixturevalue('hold')()}/stop", {}


def stop_many(console, request):
    form = {"run": request.getfixturevalue("hold")(), "do": "stop", "sure": "yes"}
    return "/runs/many", form


def delete(console, request):
    return f"/runs/{console.runs[0]}/delete", {"sure": "yes"}


def delete_many(console, request):
    return "/runs/many", {"run": console.runs[0], "do": "delete", "sure": "yes"}


def restart(console, request):
    return f"/runs/{console.runs[0]}/restart", {"token": "first", "task": "first"}


def rewind_by_number(console, request):
    return f"/runs/{console.runs[0]}/rewind", {"number": "1", "to_step": "clean"}


def treat(how):
    def treat(console, request):
        (group,) = console.store.failures(console.runs[0])
        return f"/runs/{console.runs[0]}/failures", {"failure": group.failure, "how": how}

    return treat


def start(console, request):
    return "/definitions/start", {"name": "birds", "pasted": ROWS}


def seen(console, token):
    return {"seen": str(stored_token(console.store, token).steps)}


def decide(console, request):
    token = console.waiting()[0]
    return f"/tokens/{token}/decide", {**seen(console, token), "decision": '"keep"'}


def decide_and_resume(console, request):
    path, form = decide(console, request)
    return path, {**form, "resume": "yes"}


def decide_many(console, request):
    return "/pen/decide", {"token": list(map(str, console.waiting())), "decision": '"keep"'}


def edit(console, request):
    token = console.waiting()[0]
    return f"/tokens/{token}/edit", {**seen(console, token), "edit": "json", "json": '{"n": 1}'}


def rewind(console, request):
    return f"/tokens/{console.waiting()[0]}/rewind", {"to_step": "1"}


def fork(console, request):
    return f"/tokens/{console.waiting()[0]}/fork", {"to_step": "1"}


CHANGES = {
    ("/runs/{uuid}/resume", "resume"): resume,
    ("/runs/many", "resume"): resume_many,
    ("/runs/{uuid}/stop", "stop"): stop,
    ("/runs/many", "stop"): stop_many,
    ("/runs/{uuid}/delete", "delete"): delete,
    ("/runs/many", "delete"): delete_many,
    ("/runs/{uuid}/restart", "restart"): restart,
    ("/runs/{uuid}/rewind", "rewind"): rewind_by_number,
    ("/runs/{uuid}/failures", "resume_failures", "resume"): treat("resume"),
    ("/runs/{uuid}/failures", "resume_failures", "restart"): treat("restart"),
    ("/runs/{uuid}/failures", "resume_failures", "skip"): treat("skip"),
    ("/definitions/start", "start"): start,
    ("/tokens/{token}/decide", "decide"): decide,
    ("/tokens/{token}/decide", "resume"): decide_and_resume,
    ("/pen/decide", "decide"): decide_many,
    ("/tokens/{token}/edit", "edit"): edit,
    ("/tokens/{token}/rewind", "rewind"): rewind,
    ("/tokens/{token}/fork", "fork"): fork,
}
"""How each action is made to change something, by its path and what the audit calls it."""


def written(console, number):
    """The entries after some."""
    found = console.store.audit()
    return found[: len(found) - number]


def test_each_action_is_known_here():
    known = {path for path, *_ in CHANGES} | WITHOUT_A_CHANGE
    assert known == {each.path for each in routes(1000) if isinstance(each, Action)}


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_each_action_leaves_who_did_what_and_when(console, request, change):
    path, form = CHANGES[change](console, request)
    number = len(console.store.audit())
    console.post(path, form)
    if change[1] == "resume_failures":
        console.settled(console.runs[0])
    entries = [entry for entry in written(console, number) if entry.action == change[1]]
    assert entries, f"{path} left nothing"
    for entry in entries:
        assert entry.who == "tester"
        assert entry.uuid or entry.token_id
        assert abs(datetime.now(UTC) - entry.at) < timedelta(minutes=1)


BEGUN = {"start": start, "resume": resume, "restart": restart}


@pytest.mark.parametrize("action", BEGUN)
def test_what_cannot_be_written_down_is_not_begun(console, request, action, monkeypatch):
    path, form = BEGUN[action](console, request)
    runs = {run.uuid: console.store.run(run.uuid).token_pos for run in console.store.runs().items}

    def fail(*what, **how):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(console.store, "note", fail)
        page = console.post(path, form, 503)
    assert "the disk is full" in page.text
    for run in console.store.runs().items:
        assert console.parts.runner.job(run.uuid) is None
        assert run.status is (WorkflowStatus.HALTED if run.uuid in runs else WorkflowStatus.NEW)


@pytest.mark.parametrize("action", BEGUN)
def test_who_wanted_it_is_written_down_before_it_begins(console, request, action, monkeypatch):
    path, form = BEGUN[action](console, request)

    def die(*what):
        raise RuntimeError("there are no more threads")

    monkeypatch.setattr(console.parts.runner._threads, "submit", die)
    console.post(path, form, 500)
    entry = console.store.audit(limit=1)[0]
    assert (entry.action, entry.who) == (action, "tester")


def test_a_run_that_waits_for_its_turn_is_stopped_and_that_is_written_down(console, monkeypatch):
    uuid = decided(console)
    gate = threading.Event()
    work = console.parts.runner._work
    monkeypatch.setattr(
        console.parts.runner, "_work", lambda job, do: gate.wait(30) and work(job, do)
    )
    console.post(f"/runs/{uuid}/resume")
    console.post(f"/runs/{uuid}/stop")
    entry = console.store.audit(limit=1)[0]
    assert (entry.action, entry.who, entry.uuid) == ("stop", "tester", uuid)
    gate.set()
    console.settled(uuid)
    assert all("is_noted" not in token.plain_data for token in console.store.tokens(uuid)[1:])
