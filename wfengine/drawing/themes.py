"""Colours: one calm palette for light pages, and one for dark."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from wfengine.errors import DrawingError

__all__ = ["THEMES", "Theme", "theme_named"]

Colours = tuple[str, str]
"""Of a shape: inside, and around it."""


@frozen
class Theme:
    """A palette.

    :param shapes: colours by kind of shape.
    :param states: colours by what matters most of a shape's state.
    :param page: what a picture that cannot be transparent is drawn on.
    """

    name: str
    page: str
    text: str
    quiet: str
    line: str
    failure: str
    frame: Colours
    shapes: Mapping[str, Colours]
    states: Mapping[str, Colours]

    def colours(self, kind: str, state: str = "") -> Colours:
        """Return the colours of a shape."""
        return self.states.get(state) or self.shapes.get(kind) or self.shapes["task"]


LIGHT = Theme(
    "light",
    page="#ffffff",
    text="#1d2838",
    quiet="#5f6b7c",
    line="#8b94a3",
    failure="#c2574f",
    frame=("#f6f7fa", "#d5dae3"),
    shapes={
        "task": ("#e9eff9", "#7b98c6"),
        "pattern": ("#eef0f7", "#9aa5bd"),
        "call": ("#eef0f7", "#9aa5bd"),
        "condition": ("#fcf3dc", "#c49a3c"),
        "loop": ("#fcf3dc", "#c49a3c"),
        "try": ("#eef0f7", "#9aa5bd"),
        "fork": ("#e6e9ef", "#7a8496"),
        "join": ("#7a8496", "#7a8496"),
        "halt": ("#fbe8d6", "#d08a46"),
        "end": ("#ececf0", "#7a8496"),
        "error": ("#f9e3e1", "#c2574f"),
        "jump": ("#ececf0", "#7a8496"),
        "collapsed": ("#f3f4f8", "#9aa5bd"),
        "start": ("#7a8496", "#7a8496"),
        "finish": ("#7a8496", "#7a8496"),
    },
    states={
        "failed": ("#fadbd8", "#c0392b"),
        "halted": ("#fde3c4", "#c9741a"),
        "running": ("#d3e4fd", "#2f6fd0"),
        "waiting": ("#e9ebf2", "#6d7890"),
        "done": ("#dcefdf", "#3f8f55"),
        "skipped": ("#ebe7f2", "#8574a8"),
    },
)

DARK = Theme(
    "dark",
    page="#14181f",
    text="#e8ecf3",
    quiet="#a3aec0",
    line="#7d8798",
    failure="#e08179",
    frame=("#1b2029", "#363f4d"),
    shapes={
        "task": ("#22304a", "#6486bd"),
        "pattern": ("#272d3a", "#77839b"),
        "call": ("#272d3a", "#77839b"),
        "condition": ("#3b3220", "#b8943f"),
        "loop": ("#3b3220", "#b8943f"),
        "try": ("#272d3a", "#77839b"),
        "fork": ("#2b313d", "#8b95a7"),
        "join": ("#8b95a7", "#8b95a7"),
        "halt": ("#432f1c", "#cf8d4e"),
        "end": ("#2a2f38", "#8b95a7"),
        "error": ("#452523", "#d8766d"),
        "jump": ("#2a2f38", "#8b95a7"),
        "collapsed": ("#222834", "#77839b"),
        "start": ("#8b95a7", "#8b95a7"),
        "finish": ("#8b95a7", "#8b95a7"),
    },
    states={
        "failed": ("#552524", "#ee8178"),
        "halted": ("#543716", "#f0a24c"),
        "running": ("#1c3b6b", "#6ea8ff"),
        "waiting": ("#2c3240", "#98a4ba"),
        "done": ("#1d4029", "#6cc284"),
        "skipped": ("#35304a", "#a898cd"),
    },
)

THEMES = {theme.name: theme for theme in (LIGHT, DARK)}


def theme_named(name: str) -> Theme:
    """Return a theme.

    :raises DrawingError: when there is none of that name.
    """
    if name not in THEMES:
        raise DrawingError(f"there is no theme {name!r}, only: {', '.join(THEMES)}")
    return THEMES[name]
