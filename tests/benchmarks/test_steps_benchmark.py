"""The benchmark of steps runs; how fast anything is, no test asks."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "steps.py"


def test_every_figure_is_printed():
    done = subprocess.run(
        [sys.executable, BENCHMARK, "--quick"], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["figure"].partition("-")[0] for line in lines} == {"steps"}
    limits = Counter(line["at_most"] for line in lines if "at_most" in line)
    assert limits == {5.0: 8, 3.0: 4, 1.5: 2, 1.2: 4}
    assert all(line["median"] > 0 for line in lines)


def test_a_figure_that_is_not_there_is_refused():
    done = subprocess.run(
        [sys.executable, BENCHMARK, "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "nothing" in done.stderr
