"""A folder to run the command in."""

import pytest

from ..support.databases import database_url, pytest_runtest_setup
from .support import Folder

__all__ = ["birds", "database_url", "folder", "pytest_runtest_setup"]


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def birds(folder) -> Folder:
    """A folder with a small workflow, and rows of which one fails and one halts."""
    return folder.write(
        birds_py="""
import json
from wfengine.cli.outputs import output_file
from wfengine.patterns import COUNT, HALT, IF

def clean(obj, eng):
    try:
        obj["count"] = int(obj["count"])
    except ValueError:
        raise obj.error("count", f"{obj['count']!r} is not a whole number") from None

def is_incredible(obj, eng):
    return obj["count"] > 1000

def write(obj, eng):
    output_file(eng, "sightings.jsonl").write(json.dumps(obj) + "\\n")

workflow = [
    clean,
    IF(is_incredible, HALT("can this be?", action="confirm")),
    write,
    COUNT("written"),
]
""",
        birds_csv="bird,count\nrobin,2\nwren,1\nstarling,20000\nswift,many\nwren,3\n",
        good_csv="bird,count\nrobin,2\nwren,1\n",
    )
