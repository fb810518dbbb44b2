"""What is changed through the pages, and who did it."""

import json

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.status import ObjectStatus, WorkflowStatus
from wfengine.store.watching import stored_token


def last_entry(console):
    return console.store.audit(limit=1)[0]


def data_of(console, token):
    return stored_token(console.store, token).plain_data


def seen(console, token):
    return {"seen": str(stored_token(console.store, token).steps)}


# Deciding


@pytest.mark.parametrize(
    ("form", "decision"),
    [
        ({"decision": '"keep"'}, "keep"),
        ({"decision": '{"ask": true}'}, {"ask": True}),
        ({"decision": "", "other": "let it be"}, "let it be"),
        ({"decision": "", "other": '{"n": [1, null]}'}, {"n": [1, None]}),
        ({"decision": "", "other": "1e99"}, 1e99),
        ({"decision": "", "other": "NaN of them"}, "NaN of them"),
        ({"decision": "", "other": "nan"}, "nan"),
    ],
)
def test_a_decision_is_handed_over_and_written_down(console, form, decision):
    token = console.waiting()[0]
    page = console.post(f"/tokens/{token}/decide", {**seen(console, token), **form})
    assert f"Token {token}" in page.text
    assert token not in console.waiting()
    assert stored_token(console.store, token).decision["decision"] == decision
    entry = last_entry(console)
    assert (entry.action, entry.who, entry.token_id) == ("decide", "tester", token)
    DbWorkflowEngine.from_uuid(console.runs[0], store=console.store).resume()
    assert data_of(console, token)["decision"] == decision


def test_after_a_decision_the_next_that_waits_is_shown(console):
    first, second = console.waiting()
    to = {"to": f"/pen?action=confirm&token={first}"}
    page = console.post(f"/tokens/{first}/decide", {**seen(console, first), **to, "decision": "1"})
    assert f"Token {second}" in page.text
    assert "30000 rooks?" in page.text


def test_deciding_can_go_on_with_the_run(console):
    token = console.waiting()[0]
    form = {**seen(console, token), "decision": '"keep"', "resume": "yes"}
    console.post(f"/tokens/{token}/decide", form)
    console.settled(console.runs[0])
    assert data_of(console, token)["is_noted"] is True


def test_nothing_said_is_no_decision_and_what_was_typed_is_kept(console):
    token = console.waiting()[0]
    form = {**seen(console, token), "decision": "", "other": "  "}
    page = console.post(f"/tokens/{token}/decide", form, 422)
    assert "Say what is decided." in page.text
    assert token in console.waiting()


@pytest.mark.parametrize("field", ["decision", "other"])
@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", '{"n": [-1e999]}'])
def test_what_is_no_number_is_no_decision_typed_or_not(console, field, text):
    token = console.waiting()[0]
    form = {**seen(console, token), "decision": "", field: text}
    page = console.post(f"/tokens/{token}/decide", form, 422)
    assert "is no number in JSON" in page.text
    assert token in console.waiting()


def test_of_two_who_decide_the_second_is_told_what_the_first_decided(console):
    token = console.waiting()[0]
    looked = seen(console, token)
    console.store.decide(token, "drop", by="alice")
    page = console.post(f"/tokens/{token}/decide", {**looked, "decision": '"keep"'}, 409)
    for said in ("Somebody was faster", "alice", "drop", "keep", "nothing of yours was written"):
        assert said in page.text
    assert stored_token(console.store, token).decision["by"] == "alice"


def test_the_first_is_named_also_when_the_run_has_gone_on(console):
    token = console.waiting()[0]
    looked = seen(console, token)
    console.store.decide(token, "keep", by="alice")
    DbWorkflowEngine.from_uuid(console.runs[0], store=console.store).resume()
    page = console.post(f"/tokens/{token}/decide", {**looked, "decision": '"drop"'}, 409)
    assert "alice" in page.text


def test_a_decision_about_data_that_others_have_changed_is_refused(console):
    token = console.waiting()[0]
    looked = seen(console, token)
    console.store.edit(token, {"bird": "starling", "count": 200}, by="alice")
    page = console.post(f"/tokens/{token}/decide", {**looked, "decision": '"keep"'}, 409)
    assert "The token has changed" in page.text
    assert token in console.waiting()


def test_the_page_of_a_token_that_was_decided_on_says_who_did(console):
    token = console.waiting()[0]
    console.store.decide(token, "drop", by="alice")
    page = console.get(f"/pen?token={token}")
    assert "alice" in page.text
    assert page.has("p", **{"class": "notice decided"})


def test_many_are_decided_on_at_once(console):
    tokens = console.waiting()
    form = {"token": list(map(str, tokens)), "decision": '"keep"', "resume": "yes"}
    page = console.post("/pen/decide", form)
    assert "Decided about 2 tokens." in page.text
    console.settled(console.runs[0])
    assert [data_of(console, token)["decision"] for token in tokens] == ["keep", "keep"]


def test_of_many_those_that_others_decided_on_are_named_and_left(console):
    first, second = console.waiting()
    form = {
        f"seen-{token}": str(stored_token(console.store, token).steps) for token in (first, second)
    }
    console.store.decide(first, "drop", by="alice")
    form.update(token=[str(first), str(second)], decision='"keep"')
    page = console.post("/pen/decide", form)
    assert "Decided about 1 token." in page.text
    assert f"token {first} was decided on by alice" in page.text
    assert stored_token(console.store, first).decision["decision"] == "drop"


@pytest.mark.parametrize("form", [{"decision": '"keep"'}, {"token": ["1"]}, {"token": ["x", "-1"]}])
def test_nobody_decides_about_nothing(console, form):
    assert "notice problem" in console.post("/pen/decide", form).source
    assert len(console.waiting()) == 2


# Editing


def typed(**fields):
    names, kinds, texts = zip(*((name, *value) for name, value in fields.items()), strict=True)
    return {"edit": "form", "field": list(names), "kind": list(kinds), "text": list(texts)}


def test_fields_are_edited_with_the_decision(console):
    token = console.waiting()[0]
    form = typed(bird=("text", "sparrow"), count=("number", "2000"))
    console.post(f"/tokens/{token}/decide", {**seen(console, token), **form, "decision": '"keep"'})
    assert data_of(console, token) == {"bird": "sparrow", "count": 2000}


def test_what_is_wrong_is_shown_beside_its_field_with_what_was_typed(console):
    token = console.waiting()[0]
    form = typed(bird=("text", "sparrow <b>"), count=("number", "twelve"))
    page = console.post(
        f"/tokens/{token}/decide", {**seen(console, token), **form, "decision": '"keep"'}, 422
    )
    assert "is no number" in page.text
    assert page.fields["text"][:2] == ["sparrow <b>", "twelve"]
    assert token in console.waiting()
    assert data_of(console, token)["count"] == 20000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"bird": "wren",', "line 1"),
        ('{"bird": NaN}', "no number in JSON"),
        ('{"bird": 1e999}', "no number in JSON"),
        ('{"bird": 1, "bird": 2}', "two fields of the same name: 'bird'"),
        ("[1]", "has to stay one"),
        ("[" * 100_000, "nested too deeply"),
        ('{"n": ' + "9" * 6000 + "}", "more than 4,300 digits"),
        ('{"$": "os:system", "v": {}}', "cannot be stored"),
    ],
)
def test_json_that_is_wrong_is_kept_and_explained(console, text, problem):
    token = console.waiting()[0]
    form = {**seen(console, token), "edit": "json", "json": text}
    page = console.post(f"/tokens/{token}/edit", form, 422)
    assert problem in page.text
    assert page.fields["json"] == [text]
    assert data_of(console, token)["bird"] == "starling"


def test_a_token_is_edited_as_json_and_its_history_says_so(console):
    token = console.waiting()[0]
    form = {**seen(console, token), "edit": "json", "json": '{"bird": "wren",\r\n "count": 1}'}
    page = console.post(f"/tokens/{token}/edit", form)
    assert "was changed" in page.text
    assert data_of(console, token) == {"bird": "wren", "count": 1}
    assert last_entry(console).action == "edit"
    assert "edited by tester" in " ".join(page.text.split())


def test_an_edit_of_what_others_have_changed_is_refused(console):
    token = console.waiting()[0]
    looked = seen(console, token)
    console.store.edit(token, {"bird": "wren", "count": 1}, by="alice")
    form = {**looked, "edit": "json", "json": "{}"}
    assert "has changed" in console.post(f"/tokens/{token}/edit", form, 409).text
    assert data_of(console, token)["bird"] == "wren"


def test_the_form_is_offered_for_what_fits_into_one(console):
    token = console.waiting()[0]
    page = console.get(f"/tokens/{token}?edit=form")
    assert page.fields["field"] == ["bird", "count"]
    assert page.fields["text"] == ["starling", "20000"]
    assert json.loads(console.get(f"/pen?token={token}&edit=json").fields["json"][0]) == {
        "bird": "starling",
        "count": 20000,
    }


# Travelling


def test_a_token_travels_to_a_step_and_a_task(console):
    token = console.waiting()[0]
    page = console.post(f"/tokens/{token}/rewind", {"to_step": "1"})
    assert "was taken to step 1" in page.text
    assert stored_token(console.store, token).path == "0"
    entry = last_entry(console)
    assert (entry.action, entry.who) == ("rewind", "tester")
    console.post(f"/tokens/{token}/rewind", {"to_step": "note"})
    assert stored_token(console.store, token).path == "2"


@pytest.mark.parametrize(("step", "status"), [("99", 400), ("nonsense", 400), ("", 200)])
def test_a_token_does_not_travel_to_what_there_is_not(console, step, status):
    token = console.waiting()[0]
    console.post(f"/tokens/{token}/rewind", {"to_step": step}, status)
    assert token in console.waiting()


def test_a_fork_is_a_run_of_its_own(console):
    token = console.waiting()[0]
    page = console.post(f"/tokens/{token}/fork", {"to_step": "1"})
    assert "begins with token" in page.text
    assert console.store.runs().total == 2
    assert last_entry(console).action == "fork"


def test_a_token_is_rewound_from_the_page_of_its_run(console):
    uuid = console.runs[0]
    page = console.post(f"/runs/{uuid}/rewind", {"number": "1", "to_step": "clean"})
    assert "was taken to clean" in page.text
    assert (
        "no token number 99"
        in console.post(f"/runs/{uuid}/rewind", {"number": "99", "to_step": "clean"}).text
    )
    assert "Say which token" in console.post(f"/runs/{uuid}/rewind", {"number": "x"}).text


# Runs


def test_a_run_goes_on_with_what_was_decided(console):
    (uuid,), tokens = console.runs, console.waiting()
    for token in tokens:
        console.store.decide(token, "keep")
    page = console.post(f"/runs/{uuid}/resume")
    assert "The run goes on." in page.text
    console.settled(uuid)
    assert data_of(console, tokens[0])["is_noted"] is True
    assert last_entry(console).action == "resume"


def test_a_run_with_nothing_to_go_on_with_says_so(empty):
    uuid = empty.run(ROWS_THAT_WAIT)
    page = empty.post(f"/runs/{uuid}/resume", status=409)
    assert "1 token waits for a decision" in page.text


ROWS_THAT_WAIT = [{"bird": "rook", "count": "30000"}]


def test_what_ends_a_run_is_told_on_its_page(console):
    uuid = console.runs[0]
    console.post(f"/runs/{uuid}/restart", {"token": "first", "task": "first"})
    console.settled(uuid)
    assert last_entry(console).action == "restart"
    refused = console.post(f"/runs/{uuid}/restart", {"token": "last", "task": "first"})
    assert "Choose a token and a task" in refused.text


@pytest.mark.parametrize("how", ["resume", "restart", "skip"])
def test_failed_tokens_are_treated_as_a_group(console, how):
    uuid = console.runs[0]
    (group,) = console.store.failures(uuid)
    (token,) = group.token_ids
    console.store.edit(token, {"bird": "swift", "count": "7"})
    page = console.post(f"/runs/{uuid}/failures", {"failure": group.failure, "how": how})
    assert "1 token" in page.text
    console.settled(uuid)
    assert stored_token(console.store, token).status is ObjectStatus.COMPLETED
    assert console.store.failures(uuid) == []


def test_failures_that_there_are_not_are_refused(console):
    form = {"failure": "nope", "how": "resume"}
    assert "no token" in console.post(f"/runs/{console.runs[0]}/failures", form, 400).text


def test_a_run_is_stopped_and_that_is_written_down(console):
    page = console.post(f"/runs/{console.runs[0]}/stop")
    assert "The run has stopped" in page.text


def test_a_run_is_deleted_only_when_that_is_confirmed(console):
    uuid = console.runs[0]
    page = console.post(f"/runs/{uuid}/delete")
    assert "This cannot be undone" in page.text
    assert console.store.runs().total == 1
    assert "The run was deleted" in console.post(f"/runs/{uuid}/delete", {"sure": "yes"}).text
    assert console.store.runs().total == 0
    assert last_entry(console).action == "delete"


def test_several_runs_are_deleted_when_that_is_confirmed(console):
    uuids = [console.runs[0], console.run(), console.run()]
    form = {"run": uuids[:2], "do": "delete"}
    page = console.post("/runs/many", form)
    assert page.fields["run"] == uuids[:2]
    assert console.store.runs().total == 3
    assert "2 runs deleted" in console.post("/runs/many", {**form, "sure": "yes"}).text
    assert [run.uuid for run in console.store.runs().items] == uuids[2:]


def test_several_runs_that_go_on_here_and_elsewhere_are_stopped(console, hold):
    (over,) = console.runs
    uuids = [hold(), hold(elsewhere=True)]
    form = {"run": [over, *uuids], "do": "stop"}
    page = console.post("/runs/many", form)
    assert "Stop these runs?" in page.text
    assert page.fields["run"] == [over, *uuids]
    assert not any(console.store.summary(uuid).stop_requested for uuid in uuids)
    assert "3 runs asked to stop" in console.post("/runs/many", {**form, "sure": "yes"}).text
    for uuid in uuids:
        assert console.store.summary(uuid).stop_requested == "tester"
        (entry,) = [each for each in console.store.audit(uuid=uuid) if each.action == "stop"]
        assert entry.who == "tester"
    hold.let_go()
    for uuid in uuids:
        assert console.store.stop(uuid).is_stopped
        assert console.store.run(uuid).status is WorkflowStatus.HALTED
        (token,) = console.store.tokens(uuid)
        assert token.path == "1"


def test_what_cannot_be_done_with_one_of_several_is_said(console):
    waiting = console.run(ROWS_THAT_WAIT)
    failed = console.run([{"bird": "swift", "count": "many"}])
    form = {"run": [waiting, failed], "do": "resume", "sure": "yes"}
    page = console.post("/runs/many", form)
    assert "1 run going on" in page.text
    assert "1 token waits for a decision" in page.text
    console.settled(failed)


@pytest.mark.parametrize("form", [{}, {"do": "stop"}, {"do": "burn", "run": ["x"]}])
def test_nothing_is_done_with_no_runs(console, form):
    assert "Choose the runs first." in console.post("/runs/many", form).text


def test_several_runs_that_there_are_not_are_said_to_be_so(console):
    console.post("/runs/many", {"run": ["nope"], "do": "stop"}, 404)


# Beginning a run


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ({"pasted": '{"bird": "wren", "count": 1}\n{"bird": "rook", "count": 5000}\n'}, {}),
        ({"pasted": "bird,count\nwren,1\nrook,5000\n", "format": "csv"}, {}),
        ({}, {"file": ("rows.csv", b"bird,count\nwren,1\nrook,5000\n", "text/csv")}),
    ],
)
def test_a_run_is_begun_with_rows(empty, form, files):
    page = empty.post("/definitions/start", {"name": "birds", **form}, files=files or None)
    assert "The run has begun with 2 tokens" in page.text
    (run,) = empty.store.runs().items
    empty.settled(run.uuid)
    assert run.total == 2
    assert empty.store.run(run.uuid).status is WorkflowStatus.HALTED
    entry = empty.store.audit(limit=1)[0]
    assert (entry.action, entry.details["tokens"]) == ("start", 2)


@pytest.mark.parametrize(
    ("pasted", "problem"),
    [
        ("", "There are no rows"),
        ('{"bird": "wren"', "what was pasted, line 1: it is not JSON"),
        ("[1, 2]", "JSON Lines has an object on each line"),
        ("bird,bird\n1,2\n", "two columns of the same name"),
        ("bird,count\nwren\n", "missing: count"),
    ],
)
def test_rows_that_are_wrong_begin_nothing_and_are_kept(empty, pasted, problem):
    page = empty.post("/definitions/start", {"name": "birds", "pasted": pasted}, 422)
    assert problem in page.text
    assert "Nothing was started" in page.text
    assert page.fields["pasted"] == [pasted]
    assert empty.store.runs().total == 0


def test_nothing_is_begun_of_what_may_not_be_run(empty):
    form = {"name": "os:system", "pasted": '{"a": 1}'}
    assert "neither registered" in empty.post("/definitions/start", form, 400).text
    assert empty.store.runs().total == 0


# The colours


def test_the_colours_stay_as_chosen(console):
    page = console.post("/theme", {"theme": "dark", "to": "/pen"})
    assert page.has("html", **{"data-theme": "dark"})
    assert console.get("/runs").has("html", **{"data-theme": "dark"})
    console.post("/theme", {"theme": '"><script>', "to": "https://elsewhere"})
    assert console.get("/runs").has("html", **{"data-theme": "dark"})


@pytest.mark.parametrize("decision", ["{bad", "[" * 100_000])
def test_a_button_that_stands_for_no_json_decides_nothing(console, decision):
    token = console.waiting()[0]
    form = {**seen(console, token), "decision": decision}
    console.post(f"/tokens/{token}/decide", form, status=422)
    assert token in console.waiting()


def test_who_decides_while_somebody_else_does_is_told_what_the_other_decided(console, monkeypatch):
    token = console.waiting()[0]
    form = {**seen(console, token), "decision": '"keep"'}
    decide = console.store.decide

    def be_overtaken(token_id, *decision, **how):
        decide(token_id, "drop", by="ann")
        decide(token_id, *decision, **how)

    monkeypatch.setattr(console.store, "decide", be_overtaken)
    page = console.post(f"/tokens/{token}/decide", form, status=409)
    assert "ann has decided" in page.text
    assert stored_token(console.store, token).decision["decision"] == "drop"
