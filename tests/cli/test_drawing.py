"""The commands about definitions: outline, check, draw."""

import json
from xml.etree import ElementTree as ET

import pytest

from ..support.graphviz import graphviz
from .support import ENVIRONMENT

__all__ = ["graphviz"]

TARGET = "parcels.py:workflow"

PARCELS = """
from wfengine.patterns import HALT, IF, STOP

def weigh(obj, eng):
    '''Put it on the scales.'''

def is_heavy(obj, eng):
    return obj["weight"] > "5"

def send(obj, eng): ...

workflow = [weigh, IF(is_heavy, HALT("too heavy", action="repack")), send]
doubtful = [weigh, weigh]
wrong = [weigh, len, STOP(), [send, 3]]
"""


@pytest.fixture
def parcels(folder):
    return folder.write(parcels_py=PARCELS, rows_csv="weight\n1\n9\n3\n")


# outline


def test_an_outline_is_a_tree(parcels):
    done = parcels.wfengine("outline", TARGET)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "0  weigh  Put it on the scales.",
        "1  IF is_heavy",
        "  condition: is_heavy",
        "  1.0  then: 1 task",
        "    1.0.0  HALT repack",
        "2  send",
    ]


def test_as_json_an_outline_has_a_line_for_each_node(parcels):
    done = parcels.wfengine("outline", TARGET, "--json")
    nodes = list(map(json.loads, done.out.splitlines()))
    assert [(node["id"], node["depth"], node["parent"]) for node in nodes] == [
        ("", 0, None),
        ("0", 1, ""),
        ("1", 1, ""),
        ("1", 2, "1"),
        ("1.0", 2, "1"),
        ("1.0.0", 3, "1.0"),
        ("2", 1, ""),
    ]
    halt = nodes[5]
    assert (halt["kind"], halt["options"]) == ("HALT", {"action": "repack", "message": "too heavy"})
    assert nodes[1]["source"].endswith("parcels.py:4")
    assert nodes[1]["needs"] == []


def test_as_json_an_outline_says_what_the_elements_of_a_graph_wait_for(folder):
    folder.write(
        graph_py="""
from wfengine.patterns.graph import GRAPH, Node

def a(obj, eng): ...
def b(obj, eng): ...

workflow = [GRAPH(Node("a", a), Node("b", b, requires=["a"]))]
"""
    )
    done = folder.wfengine("outline", "graph.py:workflow", "--json")
    needs = [json.loads(line)["needs"] for line in done.out.splitlines()]
    assert [need for each in needs for need in each] == [
        {"label": "a", "event": "success", "is_choice": False}
    ]


# check


def test_where_nothing_is_wrong_the_status_is_0(parcels):
    done = parcels.wfengine("check", TARGET, "--strict")
    assert (done.status, done.out, done.err) == (0, f"{TARGET}: nothing is wrong with it\n", "")


def test_errors_give_the_status_1_and_all_of_them_are_told(parcels):
    done = parcels.wfengine("check", "parcels.py:wrong")
    assert (done.status, done.err) == (1, "")
    assert "error len at 1  [signature]" in done.out
    assert "    cannot be called as task(obj, eng): its signature is (obj, /)" in done.out
    assert "error [...] at 3  [unreachable]" in done.out
    assert "3 (int) is no task" in done.out
    assert done.out.endswith("parcels.py:wrong: 3 errors\n")


def test_a_pattern_that_cannot_be_made_is_a_problem_with_its_line(folder):
    folder.write(
        refused_py="""
from wfengine.patterns import IF

def one(obj): ...
def a(obj, eng): ...

workflow = [IF(one, a)]
"""
    )
    done = folder.wfengine("check", "refused.py:workflow", "--json")
    assert (done.status, done.err) == (1, "")
    problem = json.loads(done.out)
    assert (problem["rule"], problem["severity"]) == ("refused", "error")
    assert "refused.py, line 7: IF's condition cannot be called" in problem["message"]
    assert folder.wfengine("check", "refused.py:workflow").status == 1


def test_as_json_each_problem_is_a_line(parcels):
    done = parcels.wfengine("check", "parcels.py:wrong", "--json")
    assert done.status == 1
    problems = list(map(json.loads, done.out.splitlines()))
    assert [(problem["rule"], problem["node"]) for problem in problems] == [
        ("signature", "1"),
        ("unreachable", "3"),
        ("signature", "3.1"),
    ]
    assert set(problems[0]) == {
        *("rule", "severity", "node", "path", "source", "message", "advice")
    }


def test_warnings_count_only_when_checked_strictly(parcels):
    done = parcels.wfengine("check", "parcels.py:doubtful")
    assert done.status == 0
    assert "warning weigh (2 of 2) at 1  [duplicate-name]" in done.out
    assert parcels.wfengine("check", "parcels.py:doubtful", "--strict").status == 1


@pytest.mark.parametrize(
    ("command", "target", "said"),
    [
        ("outline", "nothing.py:workflow", "there is no file 'nothing.py'"),
        ("check", "parcels.py:work", "there is no 'work' in parcels.py"),
        ("draw", "parcels", "there is no workflow 'parcels'"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_a_line(parcels, command, target, said):
    done = parcels.wfengine(command, target)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"Error: {said}")
    assert done.err.count("\n") == 1


# draw


def test_a_drawing_is_mermaid_unless_the_file_or_an_option_says_otherwise(parcels):
    done = parcels.wfengine("draw", TARGET)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("flowchart TD\n")
    done = parcels.wfengine("draw", TARGET, "--output", "a.dot", "--depth", "0")
    assert (done.status, done.out, done.err) == (0, "", "")
    drawn = (parcels / "a.dot").read_text()
    assert drawn.startswith("digraph workflow {\n")
    assert "1 task inside" in drawn
    done = parcels.wfengine("draw", TARGET, "-o", "a.dot", "--format", "mermaid", "--most", "1")
    assert (parcels / "a.dot").read_text().startswith("flowchart")
    assert "2 more tasks" in (parcels / "a.dot").read_text()


@pytest.mark.usefixtures("graphviz")
def test_pictures_are_written(parcels):
    done = parcels.wfengine("draw", TARGET, "--output", "a.png", "--theme", "dark")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert (parcels / "a.png").read_bytes().startswith(b"\x89PNG")
    assert ET.fromstring(parcels.wfengine("draw", TARGET, "-f", "svg").out).tag.endswith("svg")


def test_a_run_is_laid_over_it(parcels):
    store = ["--store", "sqlite:///kept.db"]
    parcels.run(TARGET, "--input", "rows.csv", *store)
    (token,) = map(json.loads, parcels.wfengine("halted", "--json", *store).out.splitlines())
    drawn = parcels.wfengine("draw", TARGET, "--run", token["run"], *store)
    assert (drawn.status, drawn.err) == (0, "")
    assert "1 halted" in drawn.out
    assert "3 done" in drawn.out
    other = parcels.wfengine("draw", "parcels.py:doubtful", "--run", token["run"], *store)
    assert other.status == 0
    assert "may be in the wrong place" in other.err
    begins = parcels.wfengine("draw", TARGET, "--run", token["run"][:8], *store)
    assert begins.out == drawn.out
    missing = parcels.wfengine("draw", TARGET, "--run", "nothing", *store)
    assert (missing.status, missing.out) == (2, "")
    assert "there is no run 'nothing'" in missing.err


def test_without_graphviz_it_is_said_what_to_do(parcels, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "GRAPHVIZ_DOT", "/nowhere/dot")
    done = parcels.wfengine("draw", TARGET, "--output", "a.svg")
    assert (done.status, done.out) == (2, "")
    assert "install Graphviz" in done.err
    assert not (parcels / "a.svg").exists()


def test_a_file_whose_name_does_not_say_as_what_to_draw_is_not_written(parcels):
    done = parcels.wfengine("draw", TARGET, "--output", "a.pdf")
    assert (done.status, done.out) == (2, "")
    assert "it cannot be told from a.pdf as what to draw: say so with --format" in done.err
    assert not (parcels / "a.pdf").exists()
    assert parcels.wfengine("draw", TARGET, "-o", "a.txt", "--format", "dot").status == 0
    assert (parcels / "a.txt").read_text().startswith("digraph")
    assert parcels.wfengine("draw", TARGET, "-o", "chart").status == 0
    assert (parcels / "chart").read_text().startswith("flowchart")


def test_a_file_that_cannot_be_written_is_told(parcels):
    done = parcels.wfengine("draw", TARGET, "--output", "no/such/folder.mmd")
    assert (done.status, done.out) == (2, "")
    assert "folder.mmd cannot be written: No such file or directory" in done.err


def test_hostile_names_cannot_steer_the_terminal(folder):
    folder.write(
        bad_py="""
def task(obj, eng):
    '''A \\x1b[31m [bold]doc'''
task.__name__ = task.__qualname__ = "\\x1b[31m[red]task\\nnext\\ud800"
workflow = [task, task, task]
"""
    )
    for command in ("outline", "check", "draw"):
        done = folder.wfengine(command, "bad.py:workflow")
        assert done.status == 0, done.err
        assert "\x1b" not in done.out
        assert "[red]task" in done.out or command == "draw"
