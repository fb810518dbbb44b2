"""Definitions as pictures: Mermaid and DOT as text, SVG and PNG through Graphviz."""

from wfengine.drawing.pictures import dot, mermaid, png, svg
from wfengine.drawing.states import NodeState
from wfengine.errors import DrawingError

__all__ = ["DrawingError", "NodeState", "dot", "mermaid", "png", "svg"]
