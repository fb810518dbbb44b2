"""Files that cannot be written, or are something else: a clear error, and nothing is lost."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from wfengine.errors import StoreError
from wfengine.status import WorkflowStatus
from wfengine.store import Store

from . import work
from .processes import Helper

COUNT = 100


def assert_intact(path):
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("pragma foreign_key_check").fetchall() == []
    finally:
        connection.close()


@pytest.mark.parametrize("megabytes", [0.3, 0.35])
def test_a_file_that_may_not_grow_stops_the_run_and_it_goes_on_when_it_may(tmp_path, megabytes):
    path = tmp_path / "runs.db"
    helper = Helper("fill", f"sqlite:///{path}", str(megabytes))
    uuid = helper.line()
    said, code = helper.end()
    assert code == 0
    stopped, goes_on = said.splitlines()
    assert stopped.startswith("StoreError: the database sqlite:///")
    assert "check the disk" in stopped or "disk is full" in stopped
    assert goes_on.startswith(("done", "LeaseHeldError"))
    assert_intact(path)
    with work.later(f"sqlite:///{path}") as store:
        if store.run(uuid).status is not WorkflowStatus.COMPLETED:
            work.go_on(store, uuid, COUNT)
        work.assert_exact(store, uuid, COUNT)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of eight megabytes of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_it_goes_on_when_there_is_room(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 7_900_000)
    url = f"sqlite:///{small_disk / 'runs.db'}"
    with Store(url) as store:
        eng = work.begin(store)
        with pytest.raises(StoreError, match=r"disk is full|check the disk"):
            eng.process(work.tokens(COUNT))
    ballast.unlink()
    with work.later(url) as store:
        work.go_on(store, eng.uuid, COUNT)
        work.assert_exact(store, eng.uuid, COUNT)
    assert_intact(small_disk / "runs.db")


@pytest.fixture
def halfway(tmp_path):
    """A file with a run that is not done, in a folder of its own; the run's uuid."""
    folder = Path(tmp_path) / "folder"
    folder.mkdir()
    path = folder / "runs.db"
    with Store(f"sqlite:///{path}") as store:
        eng = work.begin(store)
        with pytest.raises(KeyError):
            eng.process([*work.tokens(1), {"number": 1}])
    return path, eng.uuid


def assert_goes_on(path, uuid):
    with Store(f"sqlite:///{path}") as store:
        token = store.tokens(uuid)[1]
        assert token.data == {"number": 1}
        store.edit(token.id, {"number": 1, "seen": []})
        work.go_on(store, uuid)
        work.assert_exact(store, uuid)


def test_a_file_that_is_opened_for_reading_only_is_said_to_be(halfway):
    path, uuid = halfway
    with Store(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        assert store.run(uuid).status is WorkflowStatus.ERROR
        with pytest.raises(StoreError, match=r"is read-only: make the file"):
            work.DbWorkflowEngine.from_uuid(uuid, store=store, definition=work.DEFINITION).resume()
    assert_intact(path)
    assert_goes_on(path, uuid)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_or_folder_without_the_permission_to_write_is_said_to_be(halfway, what, tmp_path):
    path, uuid = halfway
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    for folder in (path.parent, *path.parent.parents):
        if folder.stat().st_uid == os.getuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    path.chmod(0o444 if what == "file" else 0o666)
    if what == "file":
        path.parent.chmod(0o777)
    os.seteuid(65534)
    try:
        with (
            Store(f"sqlite:///{path}") as store,
            pytest.raises(StoreError, match=r"read-only|permissions|opened"),
        ):
            work.DbWorkflowEngine.from_uuid(uuid, store=store, definition=work.DEFINITION).resume()
    finally:
        os.seteuid(0)
    path.parent.chmod(0o755)
    assert_intact(path)
    assert_goes_on(path, uuid)


def test_a_file_that_is_deleted_under_a_run_is_never_replaced_by_half_a_run(tmp_path):
    path = tmp_path / "runs.db"
    with Store(f"sqlite:///{path}") as store:

        def delete(token, eng):
            for file in tmp_path.glob("runs.db*"):
                file.unlink()

        eng = work.begin(store, [*work.DEFINITION, delete, work.close])
        with pytest.raises(StoreError, match=r"runs\.db"):
            eng.process(work.tokens())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"this is no database at all, whatever it is called" * 100, "is not an SQLite database"),
        (b"SQLite format 3\0" + b"\xff" * 5000, "is not an SQLite database|is damaged"),
    ],
)
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path, content, said):
    path = tmp_path / "runs.db"
    path.write_bytes(content)
    with Store(f"sqlite:///{path}") as store, pytest.raises(StoreError, match=said):
        work.begin(store)
    assert path.read_bytes() == content


def test_a_folder_is_said_to_be_one(tmp_path):
    with Store(f"sqlite:///{tmp_path}") as store, pytest.raises(StoreError, match="is a folder"):
        work.begin(store)
    assert list(tmp_path.iterdir()) == []


def test_pages_that_were_overwritten_are_said_to_be_damaged(halfway):
    path, uuid = halfway
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    with (
        Store(f"sqlite:///{path}") as store,
        pytest.raises(StoreError, match=r"is damaged|not an SQLite|lacks a table"),
    ):
        work.DbWorkflowEngine.from_uuid(uuid, store=store, definition=work.DEFINITION).resume()
