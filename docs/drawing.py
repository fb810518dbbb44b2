"""Boxes, diamonds and the ways between them, as SVG. Used by ``draw_pictures``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise

GAP = 28  # from one part to the part below it
TURN = 14  # from a part to the line that turns below or above it
SIDE = 24  # from a part to the line that passes it, or to the part beside it
BACK = 11  # from a part up to the point where a way comes back to it
MARGIN = 8
BOX_HEIGHT = 38
DIAMOND_HEIGHT = 62

STYLE = """\
text { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1d2838 }
.box { fill: #e6edf8; stroke: #5b7fb5; stroke-width: 1.3 }
.diamond { fill: #fcf0d4; stroke: #b98a2c; stroke-width: 1.3 }
.pill { fill: #ececf0; stroke: #757b86; stroke-width: 1.3 }
.frame { fill: none; stroke: #757b86; stroke-dasharray: 5 4 }
.bar, .end, .tip { fill: #757b86 }
.line { fill: none; stroke: #757b86; stroke-width: 1.4 }
.later { stroke-dasharray: 5 4 }
.position { font-size: 9px; fill: #5c6675 }
.note { font: 11px system-ui, "DejaVu Sans", sans-serif; fill: #757b86 }
"""

Position = tuple[int, ...]
Point = tuple[float, float]


class Drawing:
    """Shapes around an axis at ``x = 0``: the way enters at ``y = 0`` and leaves at the foot."""

    def __init__(self) -> None:
        self.shapes: list[str] = []
        self.left = self.right = self.foot = 0.0
        self.ends = False
        """Whether the way never leaves at the foot."""
        self.is_resumed = False
        """Whether it leaves only when somebody goes on with it later."""

    def reach(self, x: float, y: float = 0) -> None:
        """Make room for a point."""
        self.left, self.right = min(self.left, x), max(self.right, x)
        self.foot = max(self.foot, y)

    def put(self, part: Drawing, x: float = 0, y: float = 0) -> float:
        """Draw a part with its axis at ``x`` and its top at ``y``; return where its foot is."""
        inner = "\n".join(part.shapes)
        self.shapes.append(f'<g transform="translate({x:g} {y:g})">\n{inner}\n</g>')
        self.reach(x + part.left)
        self.reach(x + part.right, y + part.foot)
        return y + part.foot

    def text(self, x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> None:
        style = f' class="{kind}"' if kind else ""
        place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
        self.shapes.append(f"<text{style} {place}>{escape(content, quote=False)}</text>")

    def note(self, x: float, y: float, content: str) -> None:
        self.text(x, y, content, "note")
        self.reach(x + 6.5 * len(content))

    def line(self, *points: Point, arrow: bool = True, later: bool = False) -> None:
        corners = " ".join(f"{x:g},{y:g}" for x, y in points)
        style = "line later" if later else "line"
        tip = ' marker-end="url(#tip)"' if arrow else ""
        self.shapes.append(f'<polyline class="{style}" points="{corners}"{tip}/>')
        for x, y in points:
            self.reach(x, y)

    def rectangle(
        self, kind: str, left: float, top: float, right: float, foot: float, corner: float = 0
    ) -> None:
        size = f'width="{right - left:g}" height="{foot - top:g}" rx="{corner:g}"'
        self.shapes.append(f'<rect class="{kind}" x="{left:g}" y="{top:g}" {size}/>')
        self.reach(left, foot)
        self.reach(right)


def text_width(content: str) -> float:
    return round(7.9 * len(content))


def position_text(path: Position) -> str:
    return str(list(path))


def box(label: str, path: Position = (), kind: str = "box") -> Drawing:
    drawing, half = Drawing(), text_width(label) / 2 + 16
    drawing.rectangle(kind, -half, 0, half, BOX_HEIGHT, corner=5)
    if path:
        drawing.text(5 - half, 11, position_text(path), "position")
    drawing.text(0, 26, label, anchor="middle")
    return drawing


def diamond(label: str, path: Position) -> Drawing:
    drawing, half, middle = Drawing(), text_width(label) * 0.65 + 26, DIAMOND_HEIGHT / 2
    corners = f"0,0 {half:g},{middle:g} 0,{DIAMOND_HEIGHT} {-half:g},{middle:g}"
    drawing.shapes.append(f'<polygon class="diamond" points="{corners}"/>')
    drawing.reach(-half, DIAMOND_HEIGHT)
    drawing.reach(half)
    if path:
        drawing.text(-half / 2 - 4, 11, position_text(path), "note position", anchor="end")
    drawing.text(0, middle + 4.5, label, anchor="middle")
    return drawing


def dot(path: Position) -> Drawing:
    """Return a task of the pattern's own that only passes the way on."""
    drawing = Drawing()
    drawing.shapes.append('<circle class="box" cx="0" cy="5" r="5"/>')
    drawing.text(-9, 9, position_text(path), "note position", anchor="end")
    drawing.reach(-40, 10)
    drawing.reach(8)
    return drawing


def pill(drawing: Drawing, left: float, middle: float, label: str) -> None:
    right = left + text_width(label) + 24
    drawing.rectangle("pill", left, middle - 13, right, middle + 13, corner=13)
    drawing.text((left + right) / 2, middle + 4.5, label, anchor="middle")


def framed(inner: Drawing, title: str, path: Position = ()) -> Drawing:
    drawing = Drawing()
    left, right = inner.left - SIDE, max(inner.right + SIDE, 6.5 * len(title) + 16)
    top, foot = GAP + 8, GAP + 8 + inner.foot + GAP
    drawing.rectangle("frame", left, 0, right, foot, corner=7)
    drawing.text(right - 8, 15, title, "note", anchor="end")
    if path:
        drawing.text(left + 6, 12, position_text(path), "note position")
    drawing.line((0, 0), (0, top))
    drawing.put(inner, 0, top)
    if not inner.ends:
        drawing.line((0, foot - GAP), (0, foot), arrow=False)
    return drawing


def stacked(parts: Iterable[Drawing]) -> tuple[Drawing, list[tuple[float, float]]]:
    """Return parts below each other, the way going through them, and where each begins and ends."""
    drawing, spans = Drawing(), []
    for part in parts:
        top = drawing.foot
        if spans:
            top += GAP
            if not drawing.ends:
                drawing.line((0, top - GAP), (0, top), later=drawing.is_resumed)
            if drawing.is_resumed:
                drawing.note(7, top - 10, "restart")
        spans.append((top, drawing.put(part, 0, top)))
        drawing.ends, drawing.is_resumed = part.ends, part.is_resumed
    return drawing, spans


def side_by_side(parts: Sequence[Drawing]) -> list[float]:
    """Return the axes of parts that stand beside each other, evenly, around ``x = 0``."""
    neighbours = pairwise(parts)
    pitch = max((one.right - other.left + SIDE for one, other in neighbours), default=0)
    return [(place - (len(parts) - 1) / 2) * pitch for place in range(len(parts))]


def svg(drawing: Drawing) -> str:
    """Return a drawing as a file's text."""
    left, width = drawing.left - MARGIN, drawing.right - drawing.left + 2 * MARGIN
    height = drawing.foot + 2 * MARGIN
    size = (
        f'width="{width:g}" height="{height:g}" viewBox="{left:g} {-MARGIN} {width:g} {height:g}"'
    )
    tip = 'id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<style>\n{STYLE}</style>",
        f'<marker {tip} orient="auto"><path class="tip" d="M0,0 L8,4 L0,8 z"/></marker>',
        *drawing.shapes,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
