"""What commands that do something print for programs keeps its form, as that of those that look."""

import shutil

import pytest

from .stored import TARGET, fill
from .support import Folder
from .test_looking import check_golden

QUESTIONABLE = """
from wfengine.patterns import IF, STOP

def task(obj, eng):
    "Do nothing."

workflow = [STOP(), task, IF(lambda obj, eng: True, [])]
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder with runs, and the uuids of one that has something of all, and of one done."""
    path = tmp_path_factory.mktemp("parcels")
    uuid = fill(path)
    folder = Folder(path)
    folder.write(
        rows_csv="to,kg\nOslo,3\nRome,30\nBath,many\n",
        changed_py=(path / "parcels.py").read_text().replace("weigh", "put_on_scales"),
        questionable_py=QUESTIONABLE,
    )
    return folder, uuid


@pytest.fixture
def parcels(filled, tmp_path):
    """A copy of it, to change."""
    folder, uuid = filled
    shutil.copytree(folder.path, tmp_path / "copy")
    return Folder(tmp_path / "copy"), uuid


RUN = ("run", TARGET, "--input", "rows.csv")


@pytest.mark.parametrize(
    ("name", "status", "arguments"),
    [
        ("run", 1, RUN),
        ("run_stored", 1, [*RUN, "--store", "sqlite:///runs.db"]),
        ("resume", 1, ["resume", TARGET, "--run", "RUN"]),
        ("resume_skip", 0, ["resume", TARGET, "--run", "RUN", "--failure", "FAILURE", "--skip"]),
        ("restart", 1, ["restart", TARGET, "--run", "RUN"]),
        ("recover", 0, ["recover", TARGET]),
        ("prune", 0, ["prune", "--older-than", "1s", "--keep-history", "1", "--yes"]),
        ("delete", 0, ["delete", "RUN", "--yes"]),
        ("decide", 2, ["decide", "van", "--token", "2", "--token", "1"]),
        ("rewind", 0, ["rewind", TARGET, "4", "1"]),
        ("stop", 0, ["stop", "RUN"]),
        ("outline", 0, ["outline", TARGET]),
        ("check", 1, ["check", "questionable.py:workflow"]),
        ("db_init", 0, ["db", "init", "--store", "sqlite:///new.db"]),
        ("db_upgrade", 0, ["db", "upgrade", "--store", "sqlite:///new.db"]),
        ("diff_targets", 1, ["diff", TARGET, "changed.py:workflow"]),
    ],
)
def test_what_is_printed_for_programs_keeps_its_form(parcels, name, status, arguments):
    folder, uuid = parcels
    words = {"RUN": uuid, "FAILURE": "d7cf8a88c44cd216a211317060db58ba"}
    done = folder.wfengine(*(words.get(word, word) for word in arguments), "--json")
    assert done.status == status
    check_golden(name, done.out)
