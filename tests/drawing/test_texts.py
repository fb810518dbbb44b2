"""Mermaid and DOT: texts that are the same in every process."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfengine.definitions import outline
from wfengine.drawing import NodeState, dot, mermaid
from wfengine.drawing.texts import lines_of, shown
from wfengine.errors import DrawingError, WorkflowDefinitionError
from wfengine.patterns import HALT, IF

from ..support.everything import EVERYTHING, task_named

ROOT = Path(__file__).resolve().parents[2]

DRAWING = """
from tests.support.everything import EVERYTHING
from wfengine.drawing import NodeState, dot, mermaid
state = {"0": NodeState(done=3, failed=1), "3.0.1": NodeState(halted=2)}
print(dot(EVERYTHING, state=state), mermaid(EVERYTHING, state=state, theme="dark"))
"""


def drawn_with_hash_seed(seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", DRAWING],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_every_process_draws_the_same() -> None:
    assert drawn_with_hash_seed("1") == drawn_with_hash_seed("2")


def test_mermaid_in_full() -> None:
    weigh, is_heavy = task_named("weigh"), task_named("is_heavy")
    text = mermaid([weigh, [IF(is_heavy, HALT("who?", action="ask"))]])
    assert (
        text
        == """\
flowchart TD
  n0((" ")):::start_
  n1["weigh"]:::task_
  subgraph f2[" "]
    n2{"is_heavy"}:::condition_
    n3[/"ask<br/><small>who?</small>"/]:::halt_
  end
  n4(((" "))):::finish_
  n0 --> n1
  n1 --> n2
  n2 -->|"yes"| n3
  n3 -.-> n4
  n2 -->|"no"| n4
  classDef start_ fill:#7a8496,stroke:#7a8496,color:#1d2838
  classDef task_ fill:#e9eff9,stroke:#7b98c6,color:#1d2838
  classDef condition_ fill:#fcf3dc,stroke:#c49a3c,color:#1d2838
  classDef halt_ fill:#fbe8d6,stroke:#d08a46,color:#1d2838
  classDef finish_ fill:#7a8496,stroke:#7a8496,color:#1d2838
"""
    )


def test_a_state_is_said_in_words_too() -> None:
    state = {"0": NodeState(done=1200, halted=3)}
    for draw in (mermaid, dot):
        text = draw([task_named("weigh")], state=state)
        assert "1,200 done" in text
        assert "3 halted" in text
        assert "0 failed" not in text


def test_the_most_urgent_state_gives_the_colour() -> None:
    urgency = ["failed", "halted", "running", "waiting", "done", "skipped"]
    for place, name in enumerate(urgency):
        state = NodeState(**dict.fromkeys(urgency[place:], 1))
        assert f'class="wf-task wf-{name}"' in dot([task_named("a")], state={"0": state})
    assert "wf-done" not in dot([task_named("a")], state={"0": NodeState()})


def test_the_state_of_a_place_without_a_shape_counts_for_what_is_around_it() -> None:
    state = {"1.0": NodeState(running=2), "7.1": NodeState(failed=1), "": NodeState(done=9)}
    text = dot(EVERYTHING, state=state)
    assert text.count("2 running") == 1
    assert "1 failed" in text
    assert "9 done" not in text


def test_an_outline_can_be_drawn_as_its_definition() -> None:
    assert mermaid(outline(EVERYTHING)) == mermaid(EVERYTHING)


def test_a_dark_theme_differs_in_nothing_but_colours() -> None:
    light, dark = (re.sub("#[0-9a-f]{6}", "", dot(EVERYTHING, theme=t)) for t in ("light", "dark"))
    assert light == dark
    assert dot(EVERYTHING, theme="light") != dot(EVERYTHING, theme="dark")


def test_an_unknown_theme_and_what_is_no_definition_are_refused() -> None:
    with pytest.raises(DrawingError, match="there is no theme 'pink', only: light, dark"):
        dot([task_named("a")], theme="pink")
    with pytest.raises(WorkflowDefinitionError):
        mermaid([3])


# Texts in shapes


@given(st.text(max_size=300))
def test_lines_are_short_and_can_be_seen(text: str) -> None:
    lines = lines_of(text)
    assert len(lines) <= 3
    assert all(line.isprintable() and len(line) <= 28 for line in lines)


@given(st.text(alphabet="ab_ ", min_size=1, max_size=60))
def test_lines_of_a_short_text_leave_nothing_out(text: str) -> None:
    assert "".join(lines_of(text)).replace(" ", "") == text.replace(" ", "")


def test_what_cannot_be_seen_is_written_out() -> None:
    assert shown("a\nb\x00\u202e\ud800") == "a b\\x00\\u202e\\ud800"
    assert shown("x" * 1000) == "x" * 399 + "…"


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_no_name_can_add_a_line_to_the_text(names: list[str]) -> None:
    plain = [task_named("a") for _ in names]
    hostile = [task_named(name) for name in names]
    for draw in (mermaid, dot):
        assert draw(hostile).count("\n") == draw(plain).count("\n")


@given(st.text(max_size=60))
def test_in_mermaid_every_sign_of_its_language_is_a_number(name: str) -> None:
    (line,) = (line for line in mermaid([task_named(name)]).splitlines() if line[2:5] == "n1[")
    inside = line.partition('["')[2].rpartition('"]')[0]
    assert not set('"`<>{}[]|\\;&') & set(re.sub(r"#\d+;|<br/>", "", inside))
