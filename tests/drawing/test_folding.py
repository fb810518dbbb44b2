"""What is left out of a drawing that would be too large, and what is said of it."""

from typing import Any

import pytest

from wfengine.drawing import NodeState, dot, mermaid
from wfengine.errors import DrawingError
from wfengine.patterns import CHOICE, FOR, IF, RUN_WF, TASK_JUMP_FWD, WHILE

from ..support.everything import task_named
from .charts import arrows, chart, shapes

a, b, c, asks = map(task_named, ["a", "b", "c", "asks"])


def texts(definition: Any, **how: Any) -> list[str]:
    return [f"{s.title} {s.note}".strip() for s in shapes(chart(definition, **how))]


def nested(levels: int) -> list[Any]:
    """Lists in lists, each with a task before and after."""
    inner: list[Any] = [c]
    for _ in range(levels):
        inner = [a, inner, b]
    return inner


def test_what_is_deeper_is_drawn_as_one_shape() -> None:
    definition = [a, IF(asks, [b, WHILE(asks, [c, [a, b]])])]
    assert texts(definition, depth=0) == ["a", "IF asks 4 tasks inside"]
    assert texts(definition, depth=1) == ["a", "asks", "b", "WHILE asks 3 tasks inside"]
    assert texts(definition, depth=2) == ["a", "asks", "b", "asks while", "c", "list 2 tasks"]
    assert texts(definition, depth=3) == ["a", "asks", "b", "asks while", "c", "a", "b"]


def test_what_is_asked_is_no_task_of_its_own() -> None:
    assert texts([RUN_WF([a]), CHOICE(asks, x=a, y=[b, c])], depth=0) == [
        "RUN_WF 1 task inside",
        "CHOICE asks 3 tasks inside",
    ]


def test_of_a_long_list_the_rest_is_counted() -> None:
    tasks = [task_named(f"t{number}") for number in range(1234)]
    assert texts(tasks, most=6) == ["t0", "t1", "t2", "t3", "t4", "t5", "1,228 more tasks"]
    assert arrows(tasks, most=1)[-2:] == ["t0 -> 1,233 more tasks", "1,233 more tasks -> finish"]


def test_what_is_further_out_comes_first() -> None:
    definition = [FOR([1], "x", [a] * 50), b, IF(asks, c)]
    assert texts(definition, most=5) == ["FOR x in a list 50 tasks inside", "b", "asks", "c"]


def test_a_jump_to_what_is_not_drawn_leads_to_what_stands_for_it() -> None:
    tasks = [TASK_JUMP_FWD(5), *(task_named(f"t{number}") for number in range(8))]
    assert "jump +5 -> 7 more tasks (jump)" in arrows(tasks, most=2)


def test_no_definition_is_too_deep_or_too_wide() -> None:
    assert "1,939 tasks" in mermaid(nested(1000))
    wide = CHOICE(asks, *((number, a) for number in range(2000)))
    assert texts(wide, most=300) == ["CHOICE asks 2,000 tasks inside"]
    assert dot([a, b] * 5000).count("shape=") < 310


def test_states_of_what_is_not_drawn_are_put_together() -> None:
    states = {
        "0.0": NodeState(done=5, halted=1),
        "0.1": NodeState(done=3, halted=2, running=1),
        "0.2.0": NodeState(failed=1),
    }
    (shape,) = shapes(chart([[a, b, [c]]], depth=0, state=states))
    assert shape.state == NodeState(done=5, running=1, halted=3, failed=1)


@pytest.mark.parametrize("options", [{"depth": -1}, {"depth": "2"}, {"most": 0}, {"most": True}])
def test_senseless_limits_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(DrawingError, match="is a whole number from"):
        mermaid([a], **options)
