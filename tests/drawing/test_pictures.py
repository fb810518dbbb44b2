"""SVG and PNG: what Graphviz makes of a definition, whatever its names are."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from wfengine.definitions import find, outline
from wfengine.drawing import NodeState, dot, png, svg
from wfengine.drawing.texts import shown
from wfengine.errors import DrawingError
from wfengine.patterns import (
    CHOICE,
    FOR,
    HALT,
    IF,
    IF_ELSE,
    SIMPLE_MERGE,
    SYNCHRONIZE,
    TASK_JUMP_IF,
)
from wfengine.patterns.graph import GRAPH, Node

from ..support.everything import EVERYTHING, task_named

SVG = "{http://www.w3.org/2000/svg}"

HOSTILE = [
    'say "hi"',
    "back\\slash\\",
    "\\N \\G \\E \\L",
    "<script>alert(1)</script>",
    '"/><script>alert(1)</script>',
    "]]> --> <!-- <![CDATA[",
    "two\nlines\r\n",
    "nul\x00 escape\x1b[31m bell\x07",
    "not a character \ufffe, half of one \ud800",
    "x" * 5000,
    "שלום עולם",
    "\u202eright to left",
    "end",
    "subgraph",
    "click n0 callback",
    "&lt;b&gt; &amp; &#65; &nbsp;",
    "#35; #quot;",
    "1. one",
    "`code` **bold** $$x$$",
    "%% comment",
    "a --> b; c -> d",
    "{record|fields}",
    "javascript:alert(1)",
    "$(touch pwned) `touch pwned`; touch pwned",
    "",
    "   ",
    "\U0001f600 e\u0301",
]


def parsed(drawn: bytes) -> ET.Element:
    return ET.fromstring(drawn)


def texts_of(element: ET.Element) -> list[str]:
    return [text.text or "" for text in element.iter(f"{SVG}text")]


def by_id(element: ET.Element) -> dict[str, ET.Element]:
    return {each.attrib["id"]: each for each in element.iter() if "id" in each.attrib}


pytestmark = pytest.mark.usefixtures("graphviz")


def test_each_shape_has_the_id_of_its_node() -> None:
    groups = by_id(parsed(svg(EVERYTHING)))
    known = {node.id for node in outline(EVERYTHING).walk()}
    assert groups.keys() <= known
    assert groups.keys() >= set(re.findall(r' id="([^"]*)"', dot(EVERYTHING)))
    assert texts_of(groups["0"]) == ["read_order"]
    assert texts_of(groups["1.1"]) == ["weigh"]
    assert texts_of(groups["6.0/0:1"]) == ["glue_label"]


def test_it_can_be_put_into_a_page() -> None:
    drawn = svg(EVERYTHING).decode()
    assert drawn.startswith("<svg ")
    assert drawn.rstrip().endswith("</svg>")
    assert "<!" not in drawn
    classes = {
        name for each in parsed(svg(EVERYTHING)).iter() for name in each.get("class", "").split()
    }
    assert {"wf-task", "wf-condition", "wf-loop", "wf-halt", "wf-branch", "wf-jump"} <= classes


def test_it_is_transparent_and_for_light_or_dark_pages() -> None:
    light, dark = (svg(EVERYTHING, theme=theme).decode() for theme in ("light", "dark"))
    assert "#ffffff" not in light
    assert "#1d2838" in light
    assert "#e8ecf3" in dark
    assert "#1d2838" not in dark


def test_who_points_at_a_shape_is_told_its_path_and_documentation() -> None:
    def weigh(obj: Any, eng: Any) -> None:
        """Weigh & measure."""

    title = by_id(parsed(svg([[weigh]])))["0.0"].find(f"{SVG}title")
    assert title is not None
    assert title.text == (
        "[...] > test_who_points_at_a_shape_is_told_its_path_and_documentation.weigh"
        " - Weigh & measure."
    )
    titles = [each.text for each in parsed(svg(EVERYTHING)).iter(f"{SVG}title")]
    assert not [
        title for title in titles if re.fullmatch(r"n\d+|f\d+|cluster.*|.*->.*", title or "")
    ]


def test_a_state_is_laid_over_it() -> None:
    drawn = parsed(svg(EVERYTHING, state={"0": NodeState(done=12, halted=3)}))
    group = by_id(drawn)["0"]
    assert texts_of(group) == ["read_order", "12 done", "3 halted"]
    assert "wf-halted" in group.attrib["class"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_hostile_names_are_shown_as_text(theme: str) -> None:
    state = {"0": NodeState(running=1)}
    drawn = svg(hostile_definition(), state=state, theme=theme)
    element = parsed(drawn)
    assert {each.tag for each in element.iter()} <= {
        f"{SVG}{tag}"
        for tag in ("svg", "g", "title", "text", "path", "polygon", "polyline", "ellipse")
    }
    attributes = {name for each in element.iter() for name in each.attrib}
    assert not [name for name in attributes if "href" in name or name.startswith("on")]
    seen = "".join(texts_of(element)).replace(" ", "").replace("\xa0", "")
    for name in HOSTILE:
        start = shown(name[:60]).replace(" ", "")
        assert start in seen or len(start) > 28


def hostile_definition() -> list[Any]:
    steps = [IF(task_named(name), [task_named(name), HALT(name, action=name)]) for name in HOSTILE]
    keys = [(name, task_named(name)) for name in HOSTILE]
    return [*steps, CHOICE(task_named("q"), *keys), SYNCHRONIZE(*map(task_named, HOSTILE))]


def test_no_name_reaches_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    svg(hostile_definition())
    png(hostile_definition(), resolution=20)
    assert list(tmp_path.iterdir()) == []


def test_a_png_is_one_and_larger_with_a_higher_resolution() -> None:
    small, large = (png(EVERYTHING, resolution=resolution) for resolution in (30, 60))
    assert small[:8] == large[:8] == b"\x89PNG\r\n\x1a\n"
    widths = [int.from_bytes(drawn[16:20], "big") for drawn in (small, large)]
    assert widths[1] > 1.8 * widths[0]


def test_two_thousand_tasks_are_drawn() -> None:
    steps: list[Any] = []
    for number in range(150):
        a, b, c, d, e, f, g, h, i = (task_named(f"{letter}{number}") for letter in "abcdefghi")
        steps += [a, IF_ELSE(b, [c, d] * 3, e), FOR([1], "x", [f]), SYNCHRONIZE(g, h, i)]
    everything = parsed(svg(steps, most=10_000))
    assert len(by_id(everything)) > 2000
    assert "h149" in texts_of(everything)
    assert len(by_id(parsed(svg(steps)))) < 400


def tasks_named(count: int) -> list[Any]:
    return [task_named(f"t{number}") for number in range(count)]


def choice_of(ways: int) -> list[Any]:
    keys = [(f"key {number}", task_named(f"way {number}")) for number in range(ways)]
    return [CHOICE(task_named("which"), *keys)]


def nested_conditions(tasks: int) -> list[Any]:
    """Conditions inside of each other, ten deep."""
    steps: list[Any] = []
    for number in range(tasks // 20):
        inside = [task_named(f"t{number}")]
        for level in range(10):
            asks, goes_on = task_named(f"c{number} {level}"), task_named(f"a{number} {level}")
            inside = [IF(asks, inside), goes_on]
        steps += inside
    return steps


def graph_of(elements: int, is_chain: bool) -> list[Any]:
    names = [f"e{number}" for number in range(elements)]
    required = [[], *([name] for name in names)] if is_chain else [[] for _ in names]
    nodes = [
        Node(name, task_named(name), requires=what)
        for name, what in zip(names, required, strict=False)
    ]
    return [GRAPH(*nodes)]


@pytest.mark.parametrize(
    ("definition", "last"),
    [
        pytest.param(tasks_named(2000), "t1999", id="list"),
        pytest.param(nested_conditions(2000), "a99 9", id="nested conditions"),
        pytest.param(choice_of(2000), "way 1999", id="choice"),
        pytest.param([SIMPLE_MERGE(*tasks_named(2000))], "t1999", id="merge"),
        pytest.param([SYNCHRONIZE(*tasks_named(2000))], "t1999", id="branches"),
        pytest.param(graph_of(2000, is_chain=True), "e1999", id="chain"),
        pytest.param(graph_of(2000, is_chain=False), "e1999", id="independent elements"),
    ],
)
def test_two_thousand_tasks_of_any_arrangement_are_drawn_whole(definition: Any, last: str) -> None:
    everything = parsed(svg(definition, most=10_000))
    assert len(by_id(everything)) >= 2000
    assert last in texts_of(everything)


def test_jumps_that_lead_far_are_drawn() -> None:
    steps: list[Any] = []
    for number in range(150):
        steps += [task_named(f"t{number}"), TASK_JUMP_IF(task_named(f"q{number}"), -100)]
    assert "q149" in texts_of(parsed(svg(steps)))


@pytest.mark.parametrize("ways", [300, 900, 2000, 2600])
def test_each_way_of_a_wide_choice_can_be_told_by_its_key(ways: int) -> None:
    everything = parsed(svg(choice_of(ways), most=10_000))
    groups = by_id(everything)
    boxes = sorted(middle(groups[f"0.{number}.0"]) for number in range(ways))
    keys = sorted(
        float(text.attrib["x"])
        for text in everything.iter(f"{SVG}text")
        if (text.text or "").strip().startswith("key")
    )
    assert len(keys) == ways
    assert all(right - left > 30 for left, right in pairwise(keys))
    assert max(abs(key - box) for key, box in zip(keys, boxes, strict=True)) < 400


def test_hostile_keys_of_a_wide_choice_are_shown_as_text() -> None:
    ways = [(f"{name} {turn}", task_named("way")) for turn in range(20) for name in HOSTILE]
    element = parsed(svg([CHOICE(task_named("which"), *ways)], most=10_000))
    assert len(by_id(element)) > 500
    tags = {each.tag.removeprefix(SVG) for each in element.iter()}
    assert tags <= {"svg", "g", "title", "text", "path", "polygon", "polyline", "ellipse"}
    assert "<script>alert(1)</script> 0" in {
        text.replace("\xa0", " ") for text in texts_of(element)
    }


def middle(group: ET.Element) -> float:
    left, right, _, _ = bounds(group)
    return (left + right) / 2


def bounds(group: ET.Element) -> tuple[float, float, float, float]:
    """Return where a shape begins and ends, from left to right and from top to bottom."""
    outline_of = next(each for each in group if each.tag in {f"{SVG}path", f"{SVG}polygon"})
    points = points_of(outline_of.get("d") or outline_of.attrib["points"])
    across, down = zip(*points, strict=True)
    return min(across), max(across), min(down), max(down)


def points_of(text: str) -> list[tuple[float, float]]:
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_lines_of_a_large_chart_are_led_around_its_shapes() -> None:
    everything = parsed(svg(nested_conditions(500), most=10_000))
    shapes = [bounds(each) for each in by_id(everything).values()]
    assert len(shapes) > 400
    for path in everything.findall(f".//{SVG}g/{SVG}path[@fill='none']"):
        for x, y in curve(points_of(path.attrib["d"])):
            crossed = [
                shape
                for shape in shapes
                if shape[0] + 8 < x < shape[1] - 8 and shape[2] + 8 < y < shape[3] - 8
            ]
            assert not crossed


def curve(points: list[tuple[float, float]]) -> Any:
    """Yield points on a line that is made of curves with three points each, after the first."""
    for at in range(0, len(points) - 1, 3):
        for part in (step / 10 for step in range(11)):
            weights = (1 - part) ** 3, 3 * part * (1 - part) ** 2, 3 * part**2 * (1 - part), part**3
            four = points[at : at + 4]
            yield tuple(
                sum(weight * point[axis] for weight, point in zip(weights, four, strict=True))
                for axis in (0, 1)
            )


def test_the_flights_are_drawn() -> None:
    texts = texts_of(parsed(svg(find("examples/flights/workflow.py:workflow"))))
    for text in ("validate", "identify airport", "yes", "no", "early", "departed very late"):
        assert text in [each.strip() for each in texts]


def test_branches_stand_side_by_side() -> None:
    drawn = by_id(parsed(svg([SYNCHRONIZE(*map(task_named, "abcd"), task_named("last"))])))
    places = [drawn[f"0.0/{number}:0"].find(f"{SVG}text") for number in range(4)]
    heights = {place.attrib["y"] for place in places if place is not None}
    assert len(heights) == 1
    lefts = sorted(float(place.attrib["x"]) for place in places if place is not None)
    assert all(right - left > 20 for left, right in pairwise(lefts))


# Where Graphviz cannot do it


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a program in the place of dot."""

    def put(script: str) -> None:
        path = tmp_path / "dot"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("GRAPHVIZ_DOT", str(path))

    return put


def test_without_graphviz_it_is_said_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for draw in (svg, png):
        with pytest.raises(DrawingError, match=r"there is no program dot.*apt install graphviz"):
            draw(EVERYTHING)
    assert dot(EVERYTHING)


def test_a_variable_says_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphviz: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GRAPHVIZ_DOT", graphviz)
    assert svg(EVERYTHING)
    monkeypatch.setenv("GRAPHVIZ_DOT", str(tmp_path / "nowhere"))
    with pytest.raises(DrawingError, match=r"nowhere cannot be run: No such file"):
        svg(EVERYTHING)


def test_what_it_complains_about_is_told(program: Any) -> None:
    program("echo 'Error: it is broken' >&2; exit 3")
    with pytest.raises(DrawingError, match="failed with status 3: Error: it is broken"):
        svg(EVERYTHING)
    program("kill -SEGV $$")
    with pytest.raises(DrawingError, match="ended by signal 11: show less of this, with depth="):
        svg(EVERYTHING)
    program("cat >/dev/null; exit 0")
    with pytest.raises(DrawingError, match="it says nothing"):
        png(EVERYTHING)


def test_it_is_given_up_in_time(program: Any) -> None:
    program("exec sleep 60")
    with pytest.raises(DrawingError, match=r"within 0\.2 seconds: show less of it"):
        svg(EVERYTHING, timeout=0.2)


@pytest.mark.parametrize("timeout", [0, -1, "soon", True, float("nan")])
def test_a_senseless_timeout_is_refused(timeout: Any) -> None:
    with pytest.raises(DrawingError, match="timeout is a number of seconds above 0"):
        svg(EVERYTHING, timeout=timeout)
