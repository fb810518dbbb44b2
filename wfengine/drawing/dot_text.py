"""A chart as DOT, the language of Graphviz."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from html import escape

from attrs import evolve, field, frozen

from wfengine.drawing.chart import Arrow, Chart, Close, Frame, Shape
from wfengine.drawing.texts import lines_of, shown
from wfengine.drawing.themes import Theme

__all__ = ["dot_of"]

FONT = "Helvetica,Arial,sans-serif"

LARGE = 400
"""Charts with more shapes are drawn with less care,"""

LONG = 4_000
"""and those whose lines lead over more ranks, all together."""

EFFORT = 500_000
"""How often the places of such a chart are made better, times the length of its lines, which is
how long each time takes."""

WIDE = 8
"""In such a chart the labels of more ways that leave a shape would be on top of each other."""

FORMS = {
    "task": 'shape=box style="filled,rounded"',
    "pattern": 'shape=box style="filled,rounded"',
    "call": 'shape=box style="filled,rounded" height=0.25 margin="0.12,0.05"',
    "condition": 'shape=diamond style=filled margin="0.02,0.02"',
    "loop": 'shape=hexagon style=filled margin="0.02,0.04"',
    "try": 'shape=box style="filled,rounded" height=0.25 margin="0.12,0.05"',
    "fork": 'shape=box style="filled,rounded" height=0.2 margin="0.25,0.05"',
    "join": 'shape=box style="filled,rounded" height=0.06 width=0.9 fixedsize=true',
    "halt": 'shape=octagon style=filled margin="0.06,0.03"',
    "end": 'shape=box style="filled,rounded" peripheries=2',
    "error": 'shape=box style="filled,rounded" peripheries=2',
    "jump": 'shape=box style="filled,rounded" height=0.25 margin="0.12,0.05"',
    "collapsed": 'shape=box3d style="filled,dashed"',
    "start": "shape=circle style=filled width=0.14 height=0.14 fixedsize=true",
    "finish": "shape=doublecircle style=filled width=0.12 height=0.12 fixedsize=true",
}

LINES = {
    "way": "",
    "back": "dir=back",
    "jump": "style=dashed",
    "handover": "style=dashed constraint=false",
    "failure": "style=dashed",
    "resumed": "style=dotted",
    "aside": "style=dashed",
    "order": "style=invis",
}


def dot_of(chart: Chart, theme: Theme, is_transparent: bool = True) -> str:
    """Return a chart as DOT; the same text for the same chart."""
    return "\n".join(_lines(chart, theme, "transparent" if is_transparent else theme.page)) + "\n"


def _lines(chart: Chart, theme: Theme, page: str) -> Iterator[str]:
    care = _Care.of(chart)
    yield "digraph workflow {"
    yield f'  graph [bgcolor="{page}" fontname="{FONT}" fontsize=10 nodesep=0.3 ranksep=0.35'
    yield f"         pad=0.1 rankdir=TB {care.effort}"
    yield f'         fontcolor="{theme.quiet}"];'
    yield f'  node [fontname="{FONT}" fontsize=11 fontcolor="{theme.text}" height=0.4'
    yield '        margin="0.14,0.06" penwidth=1.1];'
    yield f'  edge [fontname="{FONT}" fontsize=9 fontcolor="{theme.quiet}" color="{theme.line}"'
    yield "        arrowsize=0.6 penwidth=1.1];"
    indent = "  "
    for item in chart.items:
        if isinstance(item, Close):
            indent = indent[2:]
            yield f"{indent}}}"
        elif isinstance(item, Frame):
            yield f"{indent}subgraph cluster_{item.name} {{"
            indent += "  "
            yield f"{indent}{_frame(item, theme)};"
        else:
            yield f"{indent}{_shape(care.shape(item), theme)};"
    yield from (f"  {_arrow(arrow, theme, care)};" for arrow in chart.arrows)
    yield "}"


@frozen
class _Care:
    """How long Graphviz may look for better places: for large charts it would take minutes.

    :param has_room: whether labels have ranks of their own, of which there are twice as many then;
        otherwise labels are put at the ends of their lines, or into shapes.
    :param keys: labels that are written into the shapes to which their ways lead.
    """

    effort: str = "nslimit=4 nslimit1=4"
    has_room: bool = True
    keys: Mapping[str, str] = field(factory=dict)

    @classmethod
    def of(cls, chart: Chart) -> _Care:
        """Return what there is time for."""
        shapes = sum(isinstance(item, Shape) for item in chart.items)
        length = _length(chart)
        if shapes <= LARGE and length <= LONG:
            return cls()
        iterations = max(EFFORT / length, _widest(chart))
        effort = f"nslimit={iterations / shapes:.3f} nslimit1=1 mclimit=0.1"
        return cls(effort, has_room=False, keys=_keys(chart))

    def shape(self, shape: Shape) -> Shape:
        """Return a shape with the label of the way to it, if that is written into it."""
        if shape.name not in self.keys:
            return shape
        return evolve(shape, note=": ".join(filter(None, (self.keys[shape.name], shape.note))))

    def label(self, arrow: Arrow) -> str:
        """Return the attributes for the label of an arrow."""
        if not arrow.label or arrow.head in self.keys:
            return ""
        text = _quoted(f" {shown(arrow.label, 40)} ")
        if self.has_room:
            return f"label={text}"
        end = "head" if arrow.kind == "back" else "tail"
        # Without a distance Graphviz looks for a free place, in vain and long where many ways meet.
        return f"{end}label={text} labeldistance=1.5 labelangle=-40"


def _widest(chart: Chart) -> int:
    """Return how many ways leave a shape at most: so often it is moved, to come to their middle.

    With many frames that takes too long.
    """
    frames = sum(isinstance(item, Frame) for item in chart.items)
    ways = Counter(arrow.tail for arrow in chart.arrows)
    return max(ways.values()) if frames <= LARGE else 0


def _keys(chart: Chart) -> dict[str, str]:
    """Return the labels of the ways that leave one shape for many, each for one of its own."""
    named = Counter(arrow.tail for arrow in chart.arrows if arrow.label)
    ways = Counter(arrow.head for arrow in chart.arrows)
    titled = {item.name for item in chart.items if isinstance(item, Shape) and item.title}
    return {
        arrow.head: arrow.label
        for arrow in chart.arrows
        if named[arrow.tail] > WIDE and ways[arrow.head] == 1 and arrow.head in titled
    }


def _length(chart: Chart) -> int:
    """Return over how many ranks all lines of a chart lead together, about."""
    shapes = (item.name for item in chart.items if isinstance(item, Shape))
    places = {name: place for place, name in enumerate(shapes)}
    lines = sorted(
        sorted((places[arrow.tail], places[arrow.head]))
        for arrow in chart.arrows
        if arrow.kind != "handover"
    )
    ranks = [0] * len(places)
    for upper, lower in lines:
        ranks[lower] = max(ranks[lower], ranks[upper] + 1)
    return sum(ranks[lower] - ranks[upper] for upper, lower in lines)


def _frame(frame: Frame, theme: Theme) -> str:
    inside, around = theme.frame
    style = "rounded,filled" if frame.kind != "list" else "rounded,dashed"
    attributes = [
        f'style="{style}" color="{around}" fillcolor="{inside}" class="wf-{frame.kind}" margin=10',
        f"label={_quoted(frame.title)} labeljust=r",
    ]
    if frame.node:
        attributes.append(f"id={_quoted(frame.node)}")
    return f"graph [{' '.join(attributes)}]"


def _shape(shape: Shape, theme: Theme) -> str:
    urgent = shape.state.most_urgent if shape.state else ""
    inside, around = theme.colours(shape.kind, urgent)
    classes = [f"wf-{shape.kind}"]
    classes += [f"wf-{urgent}"] if urgent else []
    classes += [] if shape.is_reached else ["wf-unreachable"]
    attributes = [
        FORMS[shape.kind],
        f'fillcolor="{inside}" color="{around}" class="{" ".join(classes)}"',
        f"label={_label(shape, theme)}",
    ]
    if urgent:
        attributes.append("penwidth=2")
    if shape.node:
        attributes.append(f"id={_quoted(shape.node)}")
    return f"{shape.name} [{' '.join(attributes)}]"


def _label(shape: Shape, theme: Theme) -> str:
    """Return the text in a shape, in Graphviz's own language that looks like HTML."""
    title = lines_of(shape.title)
    note = lines_of(shape.note, widest=36, most=2)
    counts = shape.state.texts if shape.state else []
    if not (title or note or counts):
        return '""'
    rows = [*map(_text, title)]
    rows += [f'<FONT POINT-SIZE="10" COLOR="{theme.quiet}">{_text(line)}</FONT>' for line in note]
    rows += [f'<FONT POINT-SIZE="10"><B>{_text(count)}</B></FONT>' for count in counts]
    return f"<{'<BR/>'.join(rows)}>"


def _text(line: str) -> str:
    return escape(line) or " "


def _arrow(arrow: Arrow, theme: Theme, care: _Care) -> str:
    ends = [arrow.tail, arrow.head]
    if arrow.kind == "back":  # what it leads back to stands above what it comes from
        ends.reverse()
    attributes = [LINES[arrow.kind], f'class="wf-{arrow.kind}"']
    if arrow.kind == "failure":
        attributes.append(f'color="{theme.failure}" fontcolor="{theme.failure}"')
    attributes.append(care.label(arrow))
    return f"{' -> '.join(ends)} [{' '.join(filter(None, attributes))}]"


def _quoted(text: str) -> str:
    """Return a text as a string of DOT, in which nothing means anything."""
    escaped = shown(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
