"""A chart as Mermaid, which many pages and editors draw by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wfengine.drawing.chart import Arrow, Chart, Close, Frame, Shape
from wfengine.drawing.texts import lines_of, shown
from wfengine.drawing.themes import Theme

__all__ = ["mermaid_of"]

FORMS = {
    "condition": ("{", "}"),
    "loop": ("{{", "}}"),
    "halt": ("[/", "/]"),
    "end": ("([", "])"),
    "error": ("([", "])"),
    "jump": ("([", "])"),
    "fork": ("([", "])"),
    "join": ("([", "])"),
    "collapsed": ("[[", "]]"),
    "start": ("((", "))"),
    "finish": ("(((", ")))"),
}
BOX = ("[", "]")

LINES = {
    "way": "-->",
    "back": "-->",
    "jump": "-.->",
    "handover": "-.->",
    "failure": "-.->",
    "resumed": "-.->",
    "aside": "-.->",
    "order": "~~~",
}

PLAIN = re.compile(r"[^\W_]|[ ,?_]|(?<=[^\W_])[.\-/=](?=[^\W_])")


def mermaid_of(chart: Chart, theme: Theme) -> str:
    """Return a chart as Mermaid; the same text for the same chart."""
    return "\n".join(_lines(chart, theme)) + "\n"


def _lines(chart: Chart, theme: Theme) -> Iterator[str]:
    yield "flowchart TD"
    indent, used = "  ", dict[str, None]()
    for item in chart.items:
        if isinstance(item, Close):
            indent = indent[2:]
            yield f"{indent}end"
        elif isinstance(item, Frame):
            yield f'{indent}subgraph {item.name}["{_text(item.title) or " "}"]'
            indent += "  "
        else:
            used[_look(item)] = None
            yield f"{indent}{_shape(item)}"
    yield from (f"  {_arrow(arrow)}" for arrow in chart.arrows)
    for look in used:
        inside, around = theme.colours(look, look)
        yield f"  classDef {look}_ fill:{inside},stroke:{around},color:{theme.text}"


def _look(shape: Shape) -> str:
    return (shape.state.most_urgent if shape.state else "") or shape.kind


def _shape(shape: Shape) -> str:
    opening, closing = FORMS.get(shape.kind, BOX)
    rows = [*map(_text, lines_of(shape.title))]
    rows += [f"<small>{_text(line)}</small>" for line in lines_of(shape.note, 36, 2)]
    rows += [f"<b>{_text(count)}</b>" for count in (shape.state.texts if shape.state else ())]
    return f'{shape.name}{opening}"{"<br/>".join(rows) or " "}"{closing}:::{_look(shape)}_'


def _arrow(arrow: Arrow) -> str:
    label = f'|"{_text(shown(arrow.label, 40))}"|' if arrow.label else ""
    return f"{arrow.tail} {LINES[arrow.kind]}{label} {arrow.head}"


def _text(text: str) -> str:
    """Return a text in which every character that might mean something is written as its number."""
    clean = shown(text).replace("$$", "$\N{ZERO WIDTH SPACE}$")  # two would begin a formula
    kept = {found.start() for found in PLAIN.finditer(clean)}
    return "".join(char if place in kept else f"#{ord(char)};" for place, char in enumerate(clean))
