"""The reports from three airports: they fail without the planes, and go on when they are there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


MAKERS = "most planes are of BOEING, EMBRAER, unknown"


def run(folder, *arguments):
    """Report on two days."""
    command = [sys.executable, EXAMPLES / "steps_flights" / "report.py", "--last", "2013-01-02"]
    done = subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_it_fails_until_the_planes_are_there_and_extracts_once(tmp_path):
    status, printed, said = run(tmp_path)
    assert (status, sorted(printed)) == (
        1,
        [
            "2013-01-01 EWR has 305 flights",
            "2013-01-01 JFK has 297 flights",
            "2013-01-01 LGA has 240 flights",
        ],
    )
    assert "day_report/1.1" in said
    assert "planes.csv has not been delivered yet" in said
    assert run(tmp_path, "--recover")[:2] == (1, [])
    shutil.copy(EXAMPLES / "flights" / "data" / "planes.csv", tmp_path)
    status, printed, said = run(tmp_path, "--recover")
    assert (status, said) == (0, "")
    assert [printed[0], *sorted(printed[1:-1]), printed[-1]] == [
        f"2013-01-01 minutes late: EWR 17.5, JFK 12.2, LGA 3.1; {MAKERS}",
        "2013-01-02 EWR has 350 flights",
        "2013-01-02 JFK has 321 flights",
        "2013-01-02 LGA has 272 flights",
        f"2013-01-02 minutes late: EWR 25.3, JFK 8.1, LGA 6.1; {MAKERS}",
    ]
    report = json.loads((tmp_path / "output" / "2013-01-02" / "report.json").read_text("utf-8"))
    assert report["makers"][0][0] == "BOEING"
