"""Drawings, which no page waits for longer than a moment."""

import threading
import time

import pytest

from wfengine.definitions import outline
from wfengine.drawing import NodeState
from wfengine.errors import DrawingError
from wfengine.web import pictures as pictures_module
from wfengine.web.pictures import BEING_DRAWN, Pictures


def task(obj, eng): ...


def soon(is_so):
    """Wait until something is so; return whether it was in time."""
    until = time.monotonic() + 30
    while not is_so() and time.monotonic() < until:
        time.sleep(0.02)
    return is_so()


ROOT = outline([task])
DONE, HALTED = {"0": NodeState(done=1)}, {"0": NodeState(halted=1)}


class Draughtsman:
    """Stands in for Graphviz."""

    def __init__(self):
        self.drawn = []
        self.problem = None
        self.may_end = threading.Event()
        self.may_end.set()
        self.seconds_later = 0.0

    def monotonic(self):
        """Return the time."""
        return time.monotonic() + self.seconds_later

    def __call__(self, root, *, state, timeout):
        self.drawn.append(dict(state))
        assert self.may_end.wait(30)
        if self.problem:
            raise DrawingError(self.problem)
        return b'<g id="0" class="node">' + str(dict(state)).encode() + b"</g>"


@pytest.fixture
def draughtsman(monkeypatch):
    """One who is quick, however busy the machine is."""
    found = Draughtsman()
    monkeypatch.setattr(pictures_module, "svg", found)
    monkeypatch.setattr(pictures_module, "time", found)
    monkeypatch.setattr(pictures_module, "WAIT", 30.0)
    monkeypatch.setattr(pictures_module, "SLOW", 30.0)
    monkeypatch.setattr(pictures_module, "LEAST_REST", 600.0)
    monkeypatch.setattr(pictures_module, "REST", 0.0)
    return found


@pytest.fixture
def slow(draughtsman, monkeypatch):
    """One whose drawings no page waits for: they come when ``may_end`` is set."""
    monkeypatch.setattr(pictures_module, "WAIT", 0.05)
    monkeypatch.setattr(pictures_module, "SLOW", 0.0)
    draughtsman.may_end.clear()
    return draughtsman


@pytest.fixture
def told():
    return threading.Event()


@pytest.fixture
def pictures(draughtsman, told):
    found = Pictures(tell=told.set)
    yield found
    found.close()


def test_what_is_quick_is_there_at_once_for_each_state_and_drawn_once(pictures, draughtsman):
    for state in (DONE, HALTED, DONE, {}):
        found = pictures.of(ROOT, state, "0")
        assert f'class="chosen node">{state}' in found.svg
        assert found.is_live
    assert draughtsman.drawn == [{}, DONE, HALTED]


def test_what_is_slow_is_pushed_when_it_is_there_and_drawn_once(pictures, slow, told):
    assert pictures.of(ROOT, DONE) is BEING_DRAWN
    assert pictures.of(ROOT, HALTED) is BEING_DRAWN
    slow.may_end.set()
    assert told.wait(30)
    for state in (DONE, HALTED, {}):
        found = pictures.of(ROOT, state)
        assert found.svg is not None
        assert not found.is_live
    assert slow.drawn == [{}]


def test_what_was_slow_once_is_drawn_with_its_tokens_later(pictures, slow, told, monkeypatch):
    assert pictures.of(ROOT, DONE) is BEING_DRAWN
    slow.may_end.set()
    assert told.wait(30)
    slow.seconds_later = 601
    slow.may_end.clear()
    found = pictures.of(ROOT, DONE)
    assert found.svg is not None  # not less than before
    assert not found.is_live
    monkeypatch.setattr(pictures_module, "SLOW", 30.0)
    slow.may_end.set()
    assert soon(lambda: pictures.of(ROOT, HALTED).is_live)


def test_what_could_not_be_drawn_is_remembered(pictures, slow, told):
    slow.problem = "too much of it"
    assert pictures.of(ROOT, DONE) is BEING_DRAWN
    slow.may_end.set()
    assert told.wait(30)
    for state in (DONE, HALTED, {}):
        assert pictures.of(ROOT, state).problem == "too much of it"
    assert slow.drawn == [{}]


def test_what_failed_quickly_is_tried_again_soon(pictures, draughtsman):
    draughtsman.problem = "there is no Graphviz"
    assert pictures.of(ROOT, DONE).problem == "there is no Graphviz"
    draughtsman.problem = None
    assert pictures.of(ROOT, DONE).problem == "there is no Graphviz"
    draughtsman.seconds_later = 601
    assert pictures.of(ROOT, DONE).svg is not None


def test_an_unexpected_error_is_told_in_place_of_the_drawing(pictures, monkeypatch):
    monkeypatch.setattr(pictures_module, "svg", lambda *given, **how: 1 / 0)
    assert "ZeroDivisionError" in pictures.of(ROOT, DONE).problem


def test_pages_open_at_once_and_show_the_drawing_when_it_is_there(console, slow):
    uuid = console.runs[0]
    version = console.parts.live.version
    for path in (f"/runs/{uuid}", "/definitions/one?name=birds"):
        assert "It is being drawn" in console.get(path).text
    slow.may_end.set()
    assert soon(lambda: console.parts.live.version != version)
    for path in (f"/runs/{uuid}", "/definitions/one?name=birds"):
        page = console.get(path)
        assert page.has("g", id="0")
        assert "It is being drawn" not in page.text
        part = console.client.get(path, headers={"Live": "0"}).text
        assert 'class="node"' in part


def test_only_of_a_run_it_is_said_that_its_tokens_are_not_drawn(console, slow, monkeypatch):
    slow.may_end.set()
    monkeypatch.setattr(pictures_module, "WAIT", 30.0)
    said = "drawn without where the tokens are"
    run, definition = (
        console.get(path) for path in (f"/runs/{console.runs[0]}", "/definitions/one?name=birds")
    )
    assert [page.has("g", id="0") for page in (run, definition)] == [True, True]
    assert [said in page.text for page in (run, definition)] == [True, False]
