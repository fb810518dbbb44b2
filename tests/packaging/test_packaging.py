"""What a user gets from pip: real builds, each installed in an environment of its own."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

pytestmark = pytest.mark.packaging

ROOT = Path(__file__).resolve().parents[2]
# Each source folder with the path of the package that it ships as.
FOLDERS = {"wfengine": "wfengine", "patterns": "wfengine/patterns"}
MODULES = ["wfengine", "wfengine.patterns", "wfengine.patterns.controlflow"]
INSTALLS = ["wheel", "sdist_wheel", "editable"]
EXECUTABLES = "Scripts" if os.name == "nt" else "bin"
# Nothing of the environment that runs the tests may help the installed package.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    "NO_COLOR": "1",
}


def run(*command: str | Path, cwd: Path | None = None, status: int = 0) -> str:
    """Run a command, check its exit status and return all that it printed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == status, f"{command} exited {done.returncode}:\n{done.stdout}"
    return done.stdout


def build(kind: str, source: Path, target: Path) -> Path:
    """Build the wheel or the sdist of a source tree; return the file."""
    run(sys.executable, "-m", "build", f"--{kind}", "--outdir", target, source)
    (built,) = target.iterdir()
    return built


@dataclass
class Environment:
    """A virtual environment, and a folder away from the source tree to run commands in."""

    folder: Path
    elsewhere: Path

    @classmethod
    def create(cls, folder: Path, *requirements: str | Path) -> Self:
        """Make the environment and install the requirements (arguments of ``pip install``)."""
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        environment = cls(folder, elsewhere)
        python = environment.executable("python")
        run(sys.executable, "-m", "pip", "--python", python, "install", *requirements)
        return environment

    def executable(self, name: str) -> Path:
        return self.folder / EXECUTABLES / name

    def run(self, name: str, *arguments: str, status: int = 0) -> str:
        return run(self.executable(name), *arguments, cwd=self.elsewhere, status=status)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of the source tree, without what an earlier build left behind."""
    copy = tmp_path_factory.mktemp("source") / "a check-out"
    leftovers = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")
    return Path(shutil.copytree(ROOT, copy, ignore=leftovers))


@pytest.fixture(scope="session")
def wheel(checkout, tmp_path_factory):
    return build("wheel", checkout, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(checkout, tmp_path_factory):
    return build("sdist", checkout, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def sdist_wheel(sdist, tmp_path_factory):
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return build("wheel", source, tmp_path_factory.mktemp("sdist_wheel"))


@pytest.fixture(scope="session", params=INSTALLS)
def installed(request, checkout, tmp_path_factory):
    """An environment with wfengine and no extra, installed in each of the ways."""
    if request.param == "editable":
        requirements = ["--editable", checkout]
    else:
        requirements = [request.getfixturevalue(request.param)]
    return Environment.create(tmp_path_factory.mktemp(request.param), *requirements)


@pytest.fixture(scope="session")
def installed_with_cli(wheel, tmp_path_factory):
    return Environment.create(tmp_path_factory.mktemp("cli"), f"{wheel}[cli]")


def contents(wheel_file):
    """The files of a wheel, by name, except for the list of their hashes."""
    with zipfile.ZipFile(wheel_file) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/RECORD")]
        return {name: archive.read(name) for name in names}


def test_both_wheels_hold_the_same_files(wheel, sdist_wheel):
    assert contents(wheel) == contents(sdist_wheel)


def test_wheel_holds_every_file_of_the_package_folders_and_nothing_else(wheel, checkout):
    on_disk = {
        f"{package}/{file.relative_to(checkout / folder).as_posix()}": file.read_bytes()
        for folder, package in FOLDERS.items()
        for file in (checkout / folder).rglob("*")
        if file.is_file()
    }
    shipped = {
        name: content for name, content in contents(wheel).items() if ".dist-info/" not in name
    }
    not_shipped, not_on_disk = set(on_disk) - set(shipped), set(shipped) - set(on_disk)
    assert (not_shipped, not_on_disk) == (set(), set())
    assert shipped == on_disk


def test_both_wheels_say_that_they_are_typed(wheel, sdist_wheel):
    assert "wfengine/py.typed" in contents(wheel)
    assert "wfengine/py.typed" in contents(sdist_wheel)


def test_license_is_shipped(wheel, sdist):
    license_text = (ROOT / "LICENSE").read_bytes()
    shipped = contents(wheel).items()
    assert [text for name, text in shipped if name.endswith("/LICENSE")] == [license_text]
    with tarfile.open(sdist) as archive:
        assert f"{sdist.name.removesuffix('.tar.gz')}/LICENSE" in archive.getnames()


@pytest.mark.parametrize("module", MODULES)
def test_module_is_imported_from_another_folder(installed, module):
    installed.run("python", "-c", f"import {module}")


def test_without_the_extra_the_command_line_names_it(installed):
    for command in (["python", "-m", "wfengine"], ["wfengine"]):
        printed = installed.run(*command, "--help", status=2)
        assert len(printed.splitlines()) == 1, printed
        assert "wfengine[cli]" in printed


def test_with_the_extra_the_command_line_helps(installed_with_cli):
    for command in (["python", "-m", "wfengine"], ["wfengine"]):
        printed = installed_with_cli.run(*command, "--help")
        assert "Usage" in printed
        assert "run" in printed
