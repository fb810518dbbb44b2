"""The report from three airports: it fails without the planes, and goes on when they are there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "steps_flights" / "report.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, sorted(done.stdout.splitlines()), done.stderr


def test_it_fails_until_the_planes_are_there_and_extracts_once(tmp_path):
    status, printed, said = run(tmp_path)
    assert (status, printed) == (
        1,
        ["EWR has 2211 flights", "JFK has 2170 flights", "LGA has 1718 flights"],
    )
    assert "planes.csv has not been delivered yet" in said
    assert run(tmp_path, "--recover")[0] == 1
    shutil.copy(EXAMPLES / "flights" / "data" / "planes.csv", tmp_path)
    status, printed, said = run(tmp_path, "--recover")
    assert (status, said) == (0, "")
    assert printed == [
        "EWR 13.3 minutes late",
        "JFK 8.9 minutes late",
        "LGA 4.2 minutes late",
        "most planes are of BOEING, EMBRAER, unknown",
    ]
    report = json.loads((tmp_path / "output" / "report.json").read_text(encoding="utf-8"))
    assert report["makers"][0][0] == "BOEING"
