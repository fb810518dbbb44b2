"""The names under which the Workflow manual's users import the other patterns."""

import subprocess
import sys

import wfengine.patterns
from wfengine.patterns import controlflow, utils

NAMES = """
    CALLFUNC COUNT DEBUG_CYCLE EMPTY_CALL ENG_GET ENG_SET ERROR OBJ_GET OBJ_SET PROFILE RUN_WF TRY
"""


def test_utils_holds_the_other_patterns() -> None:
    assert sorted(utils.__all__) == NAMES.split()


def test_each_name_is_the_one_of_the_package() -> None:
    for name in utils.__all__:
        assert getattr(utils, name) is getattr(wfengine.patterns, name)


def test_the_package_holds_the_patterns_of_both_modules_and_nothing_else() -> None:
    assert sorted(wfengine.patterns.__all__) == sorted(controlflow.__all__ + utils.__all__)


def test_importing_the_patterns_imports_neither_asyncio_nor_the_profiler() -> None:
    program = (
        "import sys, wfengine.patterns; "
        "print(*{'asyncio', 'cProfile', 'pstats', 'sqlalchemy', 'typer', 'rich'} & {*sys.modules})"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == []
