"""Descriptions: how a pattern tells tools what it is."""

import copy

import pytest

from wfengine.callbacks import clean
from wfengine.description import Description, Part, describe, described
from wfengine.patterns import IF_ELSE, WHILE


def task(obj, eng): ...


def described_task(*args, **kwargs):
    def pattern(obj, eng): ...

    return described(pattern, Description(*args, **kwargs))


def test_a_task_is_described_by_its_own_description():
    stop = described_task("STOP", label="the end")
    assert describe(stop) == Description("STOP", label="the end")


def test_describing_a_task_returns_it():
    def pattern(obj, eng): ...

    assert described(pattern, Description("STOP")) is pattern


def test_a_pattern_that_is_a_list_is_described_as_a_whole():
    pattern = IF_ELSE(task, [task, task], [])
    assert describe(pattern).kind == "IF_ELSE"
    assert len(describe(pattern).roles) == len(pattern)


@pytest.mark.parametrize("wrap", [lambda pattern: [pattern], lambda pattern: (pattern, task)])
def test_a_pattern_keeps_its_description_inside_a_definition(wrap):
    definition = clean(wrap(WHILE(task, task)))
    assert describe(definition[0]).kind == "WHILE"
    assert describe(definition) is None


def test_a_copied_pattern_keeps_its_description():
    assert describe(copy.copy(IF_ELSE(task, task, task))).kind == "IF_ELSE"


@pytest.mark.parametrize("plain", [task, [task], [], [[task]], (task,), 7, None, clean([task])])
def test_anything_plain_has_no_description(plain):
    assert describe(plain) is None


def test_a_list_that_starts_with_a_described_task_is_plain():
    assert describe([described_task("STOP"), task]) is None
    assert describe(clean([described_task("STOP"), task])) is None


def test_a_description_is_a_value_with_defaults():
    assert Description("STOP") == Description("STOP", (), (), "", {})
    assert Part("branch", [task]) == Part(role="branch", content=[task], label="")
    with pytest.raises(AttributeError):
        Description("STOP").kind = "HALT"


def test_two_descriptions_share_no_options():
    one, other = Description("STOP"), Description("STOP")
    one.options["step"] = 1
    assert other.options == {}
