"""The names under which the Workflow manual's users import control flow."""

import wfengine.patterns
from wfengine.patterns import controlflow

NAMES = """
    BREAK CHOICE CMP FOR GRAPH HALT IF IF_ELSE IF_NOT OBJ_JUMP_BWD OBJ_JUMP_FWD OBJ_NEXT
    PARALLEL_SPLIT SIMPLE_MERGE STOP SYNCHRONIZE TASK_JUMP_BWD TASK_JUMP_FWD TASK_JUMP_IF WHILE
"""


def test_controlflow_holds_the_patterns_of_control_flow() -> None:
    assert sorted(controlflow.__all__) == NAMES.split()


def test_each_name_is_the_one_of_the_package() -> None:
    for name in controlflow.__all__:
        assert getattr(controlflow, name) is getattr(wfengine.patterns, name)
