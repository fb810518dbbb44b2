"""The drawings in the documentation are of the definition that the page shows."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from wfengine.drawing import NodeState, dot

DOCS = Path(__file__).resolve().parents[2] / "docs"

RUN = {
    "0": NodeState(done=4),
    "1": NodeState(done=4),
    "1.0.0": NodeState(halted=1),
    "2": NodeState(done=2, failed=1),
    "2.0.0": NodeState(done=1),
    "2.1.0": NodeState(done=1),
    "2.1.0.0.0": NodeState(done=1),
    "3": NodeState(done=2),
}


def shown_definition() -> Any:
    page = (DOCS / "definitions.md").read_text(encoding="utf-8")
    (code,) = re.findall(
        r"<!-- file: parcels.py -->\n```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL
    )
    namespace: dict[str, Any] = {"__name__": "parcels"}
    exec(code, namespace)
    return namespace["workflow"]


@pytest.mark.parametrize(("name", "state"), [("parcels", None), ("parcels_run", RUN)])
def test_a_committed_drawing_shows_what_would_be_drawn_now(name: str, state: Any) -> None:
    drawn = ET.parse(DOCS / "drawings" / f"{name}.svg").getroot()
    texts = {(text.text or "").strip() for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    ids = {each.attrib["id"] for each in drawn.iter() if "id" in each.attrib}
    now = dot(shown_definition(), state=state)
    assert ids == set(re.findall(r' id="([^"]*)"', now))
    labels = re.findall(r"label=<(.*)> ", now) + re.findall(r'label="([^"]*)"', now)
    wanted = {line for label in labels for line in re.split(r"<.*?>", label.replace("&#x27;", "'"))}
    assert texts == {line.strip() for line in wanted} - {""}, "draw it again, as the page says"
    colours = set(re.findall(r'fillcolor="(#\w+)"', now))
    assert colours <= {each.get("fill") for each in drawn.iter()}
