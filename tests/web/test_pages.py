"""What the pages show."""

import re

import pytest
from sqlalchemy import case, update

from wfengine.definitions import outline
from wfengine.patterns import FOR, PARALLEL_SPLIT, RUN_WF, SYNCHRONIZE, WHILE
from wfengine.patterns.graph import GRAPH, Node
from wfengine.steps import Sequent
from wfengine.store import TaskExecution
from wfengine.store.watching import stored_token

from .support import ASKING, ROWS, Page


def test_where_there_are_no_runs_the_page_says_how_one_begins(empty):
    page = empty.get("/")
    assert page.title.startswith("Runs")
    assert "There are no runs yet" in page.text
    assert "wfengine run" in page.text


def test_a_run_is_listed_with_its_status_progress_and_tokens(console):
    page = console.get("/runs")
    (uuid,) = console.runs
    assert f"/runs/{uuid}" in page.links
    for said in ("birds", "Halted", "25 %", "4", "nobody"):
        assert said in page.text
    assert page.has("svg", role="img", **{"aria-label": "1 done, 2 halted, 1 failed of 4"})


def test_runs_are_filtered_searched_and_sorted(console):
    asking = console.run([{"bird": "wren"}], "asking")
    (birds, _) = console.runs
    for query, found in (
        ("search=BIR", {birds}),
        (f"search={asking[:8]}", {asking}),
        ("status=HALTED", {birds, asking}),
        ("status=RUNNING", set()),
        ("status=nonsense", {birds, asking}),
        ("action=judge", {asking}),
        ("search=%25", set()),
        ("sort=nonsense&page=-3", {birds, asking}),
    ):
        links = console.get(f"/runs?{query}").links
        assert {uuid for uuid in console.runs if f"/runs/{uuid}" in links} == found, query
    in_order = [
        link
        for link in console.get("/runs?sort=name").links
        if link.removeprefix("/runs/") in console.runs
    ]
    assert in_order == [f"/runs/{asking}", f"/runs/{birds}"]


def test_runs_of_a_style_are_filtered_and_say_of_which_it_is_and_when_they_are_due(console):
    (birds,) = console.runs
    assert not console.get("/runs").has("select", name="style")
    due = console.clock.now.timestamp() + 3 * 3600 + 1
    flow = console.store.new_run("words", [print], {}, style="flow", due=due).uuid
    steps = console.store.new_run("posters", [print], {}, style="steps").uuid
    page = console.get("/runs?style=flow")
    assert {uuid for uuid in (birds, flow, steps) if f"/runs/{uuid}" in page.links} == {flow}
    assert page.has("option", value="flow", selected=None)
    assert page.has("option", value="steps")
    assert "due in 3 h" in page.text
    assert f"{flow[:8]} flow" in page.text
    assert "/runs?style=flow&sort=name" in page.links
    assert "No run is like that" in console.get("/runs?style=nonsense").text
    head = console.get(f"/runs/{flow}").text
    assert "Style flow" in head
    assert "Due in 3 h" in head
    head = console.get(f"/runs/{birds}").text
    assert "Style" not in head
    assert "Due" not in head


def test_runs_come_a_page_at_a_time(console):
    for _ in range(51):
        console.store.new_run("many", [print], {})
    first = console.get("/runs")
    assert "1\u201350 of 52" in first.text
    assert "/runs?page=2" in first.links
    assert "51\u201352 of 52" in console.get("/runs?page=2").text


def test_a_run_shows_its_definition_and_where_its_tokens_are(console):
    page = console.get(f"/runs/{console.runs[0]}")
    for said in ("clean", "is_incredible", "HALT", "take_decision", "note"):
        assert said in page.text
    halt = console.get(f"/runs/{console.runs[0]}?node=1.0.0")
    assert "Tokens that stand here" in halt.text
    assert [f"/tokens/{token}" in halt.links for token in console.waiting()] == [True, True]
    task = console.get(f"/runs/{console.runs[0]}?node=0")
    assert "Make a number of the count." in task.text
    assert "support.py:" in task.text


def cannot_tell(obj, eng):
    raise ValueError("cannot tell")


def test_a_token_that_stands_where_the_outline_has_no_box_counts_for_the_box_around(empty):
    empty.store.definitions.add("looping", [quick, WHILE(cannot_tell, [quick])])
    uuid = empty.run([{"n": "1"}, {"n": "2"}], "looping")
    outlined = empty.get(f"/runs/{uuid}").text.partition(" Outline ")[2].partition(" Drawing ")[0]
    assert re.search(r"\bWHILE cannot_tell +2 failed\b", outlined), outlined


def nap(obj, eng): ...


def quick(obj, eng): ...


BRANCHED = {
    "joined": [quick, SYNCHRONIZE([nap, ASKING[0]], [nap, quick], quick)],
    "split": [quick, PARALLEL_SPLIT([nap, ASKING[0]], wait=True)],
    "called": [quick, RUN_WF([nap, ASKING[0]])],
    "graph": [quick, GRAPH(Node("a", nap), Node("b", ASKING[0], requires="a"))],
    "deep": [quick, SYNCHRONIZE([RUN_WF([nap, ASKING[0]])], [quick], quick)],
}


def cards(console, uuid, root, slow):
    """What is said of each task, by its name, and which tokens stand there.

    :param slow: the task that has taken 70 ms, and each other 2 ms.
    """
    took = case((TaskExecution.name == slow, 0.07), else_=0.002)
    with console.store.session() as session:
        session.execute(update(TaskExecution).values(finished=TaskExecution.started + took))
    found = {}
    for node in root.walk():
        if node.kind in ("task", "HALT") and not node.is_asked:
            page = console.get(f"/runs/{uuid}?node={node.id}")
            _, _, card = page.text.partition(" Close ")
            said, _, standing = card.partition(" Drawing ")[0].partition("Tokens that stand here")
            tokens = [int(number) for number in re.findall(r"Token (\d+)", standing)]
            found.setdefault(node.label if node.kind == "task" else node.kind, []).append(
                (said, tokens)
            )
    return found


@pytest.mark.parametrize("name", BRANCHED)
def test_a_node_has_its_own_timings_and_tokens_in_branches_too(empty, name):
    empty.store.definitions.add(name, BRANCHED[name])
    uuid = empty.run([{"n": "1"}, {"n": "2"}], name)
    found = cards(empty, uuid, outline(BRANCHED[name]), "nap")
    for said, tokens in found["nap"]:
        assert "Times run 2 Mean 70.0 ms" in said
        assert tokens == []
    assert "Times run 2 Mean 2.0 ms" in found["quick"][0][0]
    for said, _ in found["quick"]:
        assert "Mean" not in said or "Mean 2.0 ms" in said  # the last is not reached
    ((said, tokens),) = found["HALT"]
    assert "Times run 2 Mean 2.0 ms" in said
    assert tokens == empty.waiting()
    assert len(tokens) == 2


def test_the_nodes_of_a_flow_of_steps_have_their_own_timings(empty):
    flow = Sequent("naps", store=empty.store, config={"task_construct": "inline"})
    flow.add_step("first", func=str)
    rounds = flow.add_step("rounds", repeats=[1, 2, 3])
    rounds.add_step("second", func=len, args=("",))
    assert flow()
    definition = flow.__wfengine_definition__()
    empty.store.definitions.add("naps", definition)
    found = cards(empty, flow.uuid, outline(definition), "second")
    ((second, _),) = found["len"]
    assert "Times run 3 Mean 70.0 ms" in second
    assert "Times run 1 Mean 2.0 ms" in found["str"][0][0]


def test_a_pattern_has_the_timings_of_its_tasks_that_have_no_node(empty):
    looping = [FOR([1, 2], "x", quick)]
    empty.store.definitions.add("looping", looping)
    uuid = empty.run([{"n": "1"}], "looping")
    said = empty.get(f"/runs/{uuid}?node=0").text
    assert "Times run 3 Mean" in said


def test_the_page_of_a_branch_says_where_its_definition_is_shown(empty):
    empty.store.definitions.add("called", BRANCHED["called"])
    uuid = empty.run([{"n": "1"}], "called")
    (token,) = empty.waiting()
    branch = stored_token(empty.store, token).id_workflow
    page = empty.get(f"/runs/{branch}")
    assert "This is a branch" in page.text
    assert f"/runs/{uuid}" in page.links


def test_a_node_that_there_is_not_is_as_none(console):
    assert "Tokens that stand here" not in console.get(f"/runs/{console.runs[0]}?node=9.9").text


def test_where_the_definition_is_not_known_the_page_says_what_to_do(console):
    run = console.store.new_run("elsewhere.py:workflow", [print], {"definition": "elsewhere.py:w"})
    page = console.get(f"/runs/{run.uuid}")
    assert f": wfengine console elsewhere.py:workflow --store {console.store} " in page.text


def test_what_a_script_has_named_itself_is_not_said_to_be_a_target(console):
    run = console.store.new_run("jobs", [print], {"definition": None}, style="steps")
    page = console.get(f"/runs/{run.uuid}")
    assert f": wfengine console path/to/file.py:attribute --store {console.store} " in page.text


def test_the_tokens_of_a_run_are_listed_by_status(console):
    uuid = console.runs[0]
    page = console.get(f"/runs/{uuid}?view=tokens")
    assert page.text.count("starling") >= 1
    assert "invalid literal for int()" in page.text
    failed = console.get(f"/runs/{uuid}?view=tokens&status=ERROR")
    assert "swift" in failed.text
    assert "starling" not in failed.text


def test_the_timeline_has_the_steps_and_where_the_time_goes(console):
    page = console.get(f"/runs/{console.runs[0]}?view=timeline")
    for said in ("clean", "halted", "failed", "Where the time goes", "mean"):
        assert said in page.text


def test_failures_are_shown_in_groups_with_a_traceback(console):
    page = console.get(f"/runs/{console.runs[0]}?view=failures")
    assert "1 \u00d7 ValueError in clean" in page.text
    assert "Traceback (most recent call last)" in page.text


def test_extra_data_are_shown(console):
    assert "stop_on_halt" in console.get(f"/runs/{console.runs[0]}?view=data").text


def test_the_pen_groups_what_waits_and_shows_the_first(console):
    console.run([{"bird": "wren"}], "asking")
    page = console.get("/pen")
    assert "3 tokens wait for a decision" in page.text
    for said in ("confirm", "judge", "20000 starlings?", "Payload", "seen", "Ask the observer"):
        assert said in page.text
    assert "well?" not in page.text
    assert "well?" in console.get("/pen?action=judge").text


def test_the_pen_of_one_run_has_only_its_tokens(console):
    asking = console.run([{"bird": "wren"}], "asking")
    page = console.get(f"/pen?run={asking}")
    assert "1 token waits for a decision" in page.text
    assert "confirm" not in page.text


def test_a_choice_that_the_payload_names_is_a_button(console):
    decisions = console.get("/pen").fields["decision"]
    assert '"keep"' in decisions
    assert '{"ask": true}' in decisions
    assert '"accept"' not in decisions


def test_without_choices_one_accepts_or_rejects(console):
    console.run([{"bird": "wren"}], "asking")
    decisions = console.get("/pen?action=judge").fields["decision"]
    assert '"accept"' in decisions
    assert '"reject"' in decisions


def test_where_nothing_waits_that_is_said(empty):
    assert "Nothing waits" in empty.get("/pen").text


def test_many_tokens_that_wait_come_a_page_at_a_time(empty):
    empty.run([{"bird": "wren", "count": 5000 + number} for number in range(60)])
    first = empty.get("/pen")
    (later,) = [link for link in first.links if "after=" in link]
    second = empty.get(later)
    shown = set(first.fields["token"]), set(second.fields["token"])
    assert [len(each) for each in shown] == [50, 10]
    assert not shown[0] & shown[1]


def test_a_token_shows_its_history_with_what_each_step_changed(console):
    token = console.waiting()[0]
    page = console.get(f"/tokens/{token}?step=1")
    assert "clean" in page.text
    assert "20000" in page.text
    assert page.has("del")
    assert page.has("ins")
    assert "halted" in console.get(f"/tokens/{token}").text


def test_all_of_the_data_can_be_seen(console):
    token = console.waiting()[0]
    answer = console.client.get(f"/tokens/{token}/data")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.json() == {"bird": "starling", "count": 20000}
    before = console.client.get(f"/tokens/{token}/data?step=1&when=before")
    assert before.json() == ROWS[1]


def test_definitions_are_listed_drawn_and_checked(console):
    assert "birds" in console.get("/definitions").text
    page = console.get("/definitions/one?name=birds")
    for said in ("Outline", "Checked", "take_decision", "Start a run"):
        assert said in page.text


def test_the_audit_says_who_did_what(console):
    token = console.waiting()[0]
    console.store.decide(token, "keep", by="alice")
    for path in ("/audit", f"/audit?token={token}", f"/audit?run={console.runs[0]}"):
        page = console.get(path)
        assert "alice" in page.text
        assert "decide" in page.text
    assert "alice" not in console.get("/audit?token=99").text


def test_the_audit_of_an_empty_store_says_so(empty):
    assert "Nobody has done anything yet" in empty.get("/audit").text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/runs/nope", "no run"),
        ("/runs/%00%ff", "no run"),
        ("/tokens/77", "no token 77"),
        ("/tokens/abc", "no token"),
        ("/tokens/-1", "no token"),
        (f"/tokens/{10**30}", "no token"),
        ("/pen?token=77", "no token 77"),
        ("/pen?run=nope", "no run"),
        ("/nowhere", "no such page"),
        ("/tokens/2/data?step=99", "no step 99"),
    ],
)
def test_what_there_is_not_is_said_on_a_page(console, path, said):
    page = console.get(path, 404)
    assert said in page.text
    assert "Traceback" not in page.text


def test_a_definition_that_may_not_be_run_is_not_imported(console, tmp_path):
    evil = tmp_path / "evil.py"
    evil.write_text("raise SystemExit('imported')\nworkflow = [print]\n")
    page = console.get(f"/definitions/one?name={evil}:workflow", 400)
    assert "neither registered nor named" in page.text


def test_only_the_parts_that_change_are_sent_to_a_page_that_follows(console):
    for path in ("/runs", "/pen", f"/runs/{console.runs[0]}", "/tokens/2", "/audit"):
        whole = console.get(path)
        part = Page(console.client.get(path, headers={"Live": "0"}).text)
        live = {found["id"] for _, found in whole.elements if "data-live" in found}
        assert live
        assert live <= {found.get("id") for _, found in part.elements}
        assert not part.has("link", rel="stylesheet")


def test_the_help_lists_the_keys(console):
    page = console.get("/help")
    assert "Holding pen" in page.text
    assert page.has("kbd")


def test_times_are_relative_with_the_exact_one_in_the_title(console):
    console.clock.wait(7300)
    page = console.get("/runs")
    assert "2 h ago" in page.text
    assert any(
        tag == "time" and "UTC" in (found.get("title") or "") for tag, found in page.elements
    )


def test_a_damaged_row_is_said_to_be_so_and_does_not_hide_others(console):
    token, other = console.waiting()
    with console.store.session() as session:
        session.connection().exec_driver_sql(
            "UPDATE workflow_object SET data = 'nonsense', callback_pos = 'x', since = 'never' "
            f"WHERE id = {token}"
        )
    assert "rook" in console.get(f"/runs/{console.runs[0]}?view=tokens").text
    page = console.get(f"/tokens/{token}")
    assert "is no position" in page.text
    assert f"workflow_object {token}" in page.text
    assert f"workflow_object {token}" in console.get(f"/pen?token={token}").text
    assert "rook" in console.get(f"/pen?token={other}").text
    console.post(f"/tokens/{token}/decide", {"decision": '"keep"'}, 400)
    console.post(f"/tokens/{token}/edit", {"edit": "json", "json": "{}"}, 400)


def test_every_page_is_reachable_and_names_its_section(console):
    page = console.get("/pen")
    assert page.has("a", href="/pen", **{"aria-current": "page"})
    assert page.has("a", href="#main")
    assert page.has("main", id="main")
