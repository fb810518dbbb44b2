"""The benchmark of drawings runs; how fast anything is, no test asks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.graphviz import graphviz  # noqa: F401 - a fixture

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "drawings.py"


@pytest.mark.usefixtures("graphviz")
def test_every_figure_is_printed():
    done = subprocess.run(
        [sys.executable, BENCHMARK, "--quick"], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["figure"].partition("-")[0] for line in lines} == {"drawings"}
    assert [line["at_most"] for line in lines] == [5.0] * len(lines)


def test_a_figure_that_is_not_there_is_refused():
    done = subprocess.run(
        [sys.executable, BENCHMARK, "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "nothing" in done.stderr
