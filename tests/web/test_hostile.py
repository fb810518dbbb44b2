"""Whatever is in a store is shown as text."""

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import WorkflowAPIError
from wfengine.patterns import HALT, IF
from wfengine.store.watching import stored_token
from wfengine.web.showing import presentable

from .support import Page

MARKUP = '<script>alert(1)</script><img src=x onerror="alert(2)">"\'></textarea><!--'
TURNED = "\u202eabc\u2066\u200f"
STEERING = "\x1b[31mred\x00\x07\x9b"
SHOUTING = "שלום العربية"
LONG = "5MB" * 1_750_000
VALUES = {
    "markup": MARKUP,
    "template": "{{ 7 * 7 }} {% include 'frame.html' %} ${7*7}",
    "url": "javascript:alert(3)",
    "turned": TURNED,
    "steering": STEERING,
    "shouting": SHOUTING,
    "lone": "\ud800",
    MARKUP: 1,
    STEERING: {MARKUP: [MARKUP]},
}


@pytest.fixture
def hostile(empty):
    """A console with a token that waits, and everything about it is hostile."""

    def fail(obj, eng):
        raise ValueError(MARKUP)

    fail.__doc__ = MARKUP
    fail.__name__ = fail.__qualname__ = MARKUP[:40]
    halt = HALT(MARKUP, action=MARKUP, payload={"choices": [MARKUP, {MARKUP: MARKUP}], "x": VALUES})
    empty.store.definitions.add("hostile", [halt])
    empty.store.definitions.add("hostile-too", [fail])
    for name, data in (("hostile", {**VALUES, "long": LONG}), ("hostile-too", VALUES)):
        eng = DbWorkflowEngine.with_name(name, store=empty.store, extra_data={MARKUP: MARKUP})
        eng.process([data], stop_on_halt=False, stop_on_error=False)
        empty.runs.append(eng.uuid)
    empty.store.new_run(MARKUP, [print], {"definition": MARKUP})
    empty.store.note(MARKUP, by=MARKUP, details={MARKUP: MARKUP})
    return empty


def pages_of(console):
    (waiting,) = console.waiting()
    views = ("definition", "tokens", "timeline", "failures", "data")
    return [
        "/runs",
        f"/runs?search={MARKUP}&sort={MARKUP}&page={MARKUP}",
        "/pen",
        f"/pen?token={waiting}&edit=form",
        f"/pen?token={waiting}&edit=json",
        f"/pen?action={MARKUP}",
        *(f"/runs/{uuid}?view={view}" for uuid in console.runs for view in views),
        f"/runs/{console.runs[0]}?node={MARKUP}",
        f"/tokens/{waiting}",
        f"/tokens/{waiting}?edit=json",
        f"/tokens/{waiting + 1}?step=1",
        "/definitions",
        "/definitions/one?name=hostile",
        "/definitions/one?name=hostile-too",
        "/audit",
        f"/audit?run={MARKUP}",
    ]


def assert_harmless(page: Page, path: str):
    for tag, attributes in page.elements:
        assert tag not in ("iframe", "object", "embed", "base", "style"), path
        assert tag != "script" or attributes == {"src": "/static/console.js", "type": "module"}, (
            path
        )
        assert tag != "img" or attributes["src"] == "/static/icon.svg", path
        assert not [name for name in attributes if name.startswith("on")], path
        for name in ("href", "src", "action", "formaction"):
            assert (attributes.get(name) or "/").startswith(("/", "#")), path


def test_nothing_hostile_gets_out_of_its_place_on_any_page(hostile):
    seen = 0
    for path in pages_of(hostile):
        page = hostile.get(path)
        assert_harmless(page, path)
        hidden = [char for char in "\x00\x1b\x07\x9b\u202e\u2066\u200f" if char in page.source]
        assert not hidden, f"{path}: {hidden!r}"
        assert len(page.source) < 400_000 or "edit=json" in path, path
        seen += "<script>alert(1)</script>" in page.text
    assert seen > 10


def test_what_cannot_be_seen_is_shown_as_in_json(hostile):
    (waiting,) = hostile.waiting()
    text = hostile.get(f"/tokens/{waiting}").text
    assert "\\u202eabc\\u2066\\u200f" in text
    assert "\\u001b[31mred" in text
    assert SHOUTING in text
    assert VALUES["template"] in text
    assert "5,250,000 characters" in text


def test_long_and_hostile_data_are_all_there_for_who_wants_them(hostile):
    (waiting,) = hostile.waiting()
    answer = hostile.client.get(f"/tokens/{waiting}/data")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["long"] == LONG
    assert "<script>" in answer.text


def test_hostile_data_survive_being_edited(hostile):
    (waiting,) = hostile.waiting()
    before = stored_token(hostile.store, waiting).plain_data
    page = hostile.get(f"/tokens/{waiting}?edit=json")
    (text,) = page.fields["json"]
    form = {"edit": "json", "json": text}
    hostile.post(f"/tokens/{waiting}/edit", form)
    assert stored_token(hostile.store, waiting).plain_data == before


def test_hostile_data_survive_the_form(hostile):
    (waiting,) = hostile.waiting()
    before = stored_token(hostile.store, waiting).plain_data
    page = hostile.get(f"/tokens/{waiting}?edit=form")
    kinds = [
        next(
            attributes["value"]
            for tag, attributes in page.elements[start:]
            if tag == "option" and "selected" in attributes
        )
        for start, (tag, found) in enumerate(page.elements)
        if tag == "select" and found.get("name") == "kind"
    ]
    form = {
        "edit": "form",
        "field": page.fields["field"],
        "text": page.fields["text"],
        "kind": kinds,
    }
    hostile.post(f"/tokens/{waiting}/edit", form)
    assert stored_token(hostile.store, waiting).plain_data == before


def test_a_hostile_choice_is_a_decision_like_any_other(hostile):
    (waiting,) = hostile.waiting()
    decision = hostile.get("/pen").fields["decision"]
    hostile.post(f"/tokens/{waiting}/decide", {"decision": decision[-3]})
    assert hostile.waiting() == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines", "two\nlines"),
        ("\t", "\\u0009"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("\ud800", "\\ud800"),
        ("a\u200cb", "a\u200cb"),
    ],
)
def test_only_what_is_seen_stays_as_it_is(text, shown):
    assert presentable(text) == shown


@pytest.fixture
def lengthy(empty):
    """A console in which whatever has a name, or says something, has or says 5 MB of it."""

    def fail(obj, eng):
        raise ValueError(LONG)

    fail.__doc__ = LONG
    fail.__name__ = fail.__qualname__ = LONG
    payload = {"choices": [LONG, {"label": LONG, "decision": LONG}], LONG: LONG}
    empty.store.definitions.add("lengthy", [IF(fail, []), HALT("never")])
    empty.store.definitions.add("lengthy-too", [HALT(LONG, action=LONG, payload=payload)])
    for name in ("lengthy-too", "lengthy"):
        eng = DbWorkflowEngine.with_name(name, store=empty.store, extra_data={LONG: LONG})
        eng.process([{LONG: LONG, "list": [LONG]}], stop_on_halt=False, stop_on_error=False)
        empty.runs.append(eng.uuid)
    (waiting,) = empty.waiting()
    empty.store.edit(waiting, {LONG: LONG}, by=LONG)
    empty.store.note(LONG, by=LONG, details={LONG: LONG})
    return empty


def test_five_megabytes_as_a_name_or_message_are_cut_short_on_every_page(lengthy):
    (waiting,) = lengthy.waiting()
    views = ("definition", "tokens", "timeline", "failures", "data")
    paths = [
        "/runs",
        "/pen",
        f"/pen?token={waiting}&edit=form",
        *(f"/runs/{uuid}?view={view}" for uuid in lengthy.runs for view in views),
        *(f"/runs/{uuid}?node=0" for uuid in lengthy.runs),
        f"/tokens/{waiting}",
        f"/tokens/{waiting}?step=1",
        f"/tokens/{waiting + 1}?step=1",
        "/definitions",
        "/definitions/one?name=lengthy",
        "/definitions/one?name=lengthy&node=0",
        "/definitions/one?name=lengthy-too&node=0",
        "/audit",
    ]
    sizes = {path: len(lengthy.get(path).source) for path in paths}
    assert {path: size for path, size in sizes.items() if size > 300_000} == {}


def test_what_waits_for_something_of_five_megabytes_is_found_by_its_link(lengthy):
    (waiting,) = lengthy.waiting()
    assert lengthy.run([{"n": 1}], "asking")
    page = lengthy.get("/pen")
    there = min((link for link in page.links if "action=sha256" in link), key=len)
    assert f"Token {waiting}" in lengthy.get(there).text
    page = lengthy.get(f"/runs?action={there.rpartition('=')[2]}")
    assert f"/runs/{lengthy.runs[0]}" in page.links
    assert f"/runs/{lengthy.runs[-1]}" not in page.links


def test_five_megabytes_are_no_name_of_a_run(lengthy):
    with pytest.raises(WorkflowAPIError, match="255"):
        DbWorkflowEngine.with_name(LONG, store=lengthy.store, definition=[print])
