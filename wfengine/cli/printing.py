"""Printing of texts that come from anywhere."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

__all__ = ["print_error", "print_text", "printable"]


def print_error(console: Console, error: str) -> None:
    """Print what was wrong with a command."""
    print_text(console, f"Error: {error}", "red")


def print_text(console: Console, text: str, style: str = "") -> None:
    """Print a text as it is, without breaking its lines."""
    console.print(Text(printable(text), style), soft_wrap=True)


def printable(text: str) -> str:
    """Return a text in which nothing can steer a terminal."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )
