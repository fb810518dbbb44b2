"""Texts that come from anywhere, as they can be shown in a box."""

from __future__ import annotations

import re

__all__ = ["lines_of", "shown"]

WIDEST = 28
MOST_LINES = 3
LONGEST_HINT = 400

PIECE = re.compile(r"[^_ ]{0,20}[_ ]|[^_ ]{1,20}")
"""What a line may end after: a blank, a low line, or many characters without any."""


def shown(text: str, longest: int = LONGEST_HINT) -> str:
    r"""Return a text in one line, in which all that cannot be seen is written out.

    >>> shown("a\nb\x00")
    'a b\\x00'
    """
    cut = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return "".join(map(_visible, cut.replace("\n", " ")))


def _visible(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


def lines_of(text: str, widest: int = WIDEST, most: int = MOST_LINES) -> list[str]:
    """Return a text as the lines of a box, the rest of a long one left out.

    >>> lines_of("identify_the_airport_of_departure and so on")
    ['identify_the_airport_of_', 'departure and so on']
    """
    pieces = PIECE.findall(shown(text, widest * (most + 1)))
    lines = [""]
    for piece in pieces:
        if len(lines[-1]) + len(piece.rstrip()) > widest:
            lines.append("")
        lines[-1] += piece
    found = [line.strip() for line in lines if line.strip()]
    if len(found) <= most:
        return found
    return [*found[: most - 1], f"{found[most - 1][: widest - 1]}…"]
