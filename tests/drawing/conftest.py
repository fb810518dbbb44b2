"""What the tests of drawings share: Graphviz."""

from ..support.graphviz import graphviz

__all__ = ["graphviz"]
