"""Graphviz for tests: those that need it are skipped where it is missing.

Where ``WFENGINE_REQUIRE_SERVICES`` is 1 they fail. A folder of tests gets the fixture by a
``conftest.py`` with ``from ..support.graphviz import graphviz``.
"""

import os
import shutil

import pytest


@pytest.fixture
def graphviz() -> str:
    """Where the program dot is."""
    program = shutil.which("dot")
    if program is None:
        missing = "Graphviz is not installed: there is no program dot"
        if os.environ.get("WFENGINE_REQUIRE_SERVICES") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    return program
