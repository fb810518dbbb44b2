"""The files that a run writes: called ``NAME.part`` until the run has ended."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TextIO, cast
from zlib import crc32

from attrs import astuple, frozen

from wfengine import signals
from wfengine.errors import StoreError, together

if TYPE_CHECKING:
    from wfengine.store import Types

__all__ = ["OutputError", "output_file", "store_outputs", "take_up_outputs"]

OUTPUTS = "outputs"
OUTPUT_DIR = "output_dir"
PART = ".part"

TAIL = 4096
"""How many bytes at the end of a file tell it from another of the same length."""

_opening = Lock()


class OutputError(StoreError):
    """An output of a stored run is not there any more as the run has left it."""


@frozen
class Mark:
    """How far a file was written at a checkpoint.

    :param length: in bytes.
    :param end: a checksum of the last bytes before that.
    """

    length: int
    end: int

    @classmethod
    def of(cls, path: Path, length: int | None = None) -> Mark:
        """Return the mark of a file, or of what is before a length."""
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END) if length is None else length
            file.seek(max(length - TAIL, 0))
            return cls(length, crc32(file.read(min(length, TAIL))))


class Outputs(dict[str, str]):
    """The path of each output by its name, and the files that are open.

    Where the run is stored, so is how far each file was written at every checkpoint. When the run
    is taken up after a crash, what was written since is cut off, and is written again.

    :param marks: as stored last.
    """

    __slots__ = ("files", "marks", "will_finish")

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, TextIO] = {}
        self.marks: dict[str, Mark] = {}
        self.will_finish = False

    def file(self, name: str, eng: Any) -> TextIO:
        """Return an output; it is opened if need be, and finished when the run of ``eng`` ends."""
        if name not in self.files:
            if not self.will_finish:
                eng.defer(self.finish_all, until="run")
                self.will_finish = True
            if name in self:
                self._continue(name)
            else:
                self._begin(name, Path(eng.extra_data.get(OUTPUT_DIR, "output")))
        return self.files[name]

    def _begin(self, name: str, folder: Path) -> None:
        path = folder / name
        part = path.with_name(path.name + PART)
        part.parent.mkdir(parents=True, exist_ok=True)
        self._open(name, part, "w")

    def _continue(self, name: str) -> None:
        """Open an output again that this run has finished."""
        path = Path(self[name])
        part = Path(self[name].removesuffix(PART) + PART)
        if path != part and path.exists():
            path.replace(part)
        self._open(name, part, "a")

    def _open(self, name: str, part: Path, mode: str) -> None:
        self.files[name] = cast("TextIO", part.open(mode, encoding="utf-8", newline="\n"))
        self[name] = str(part)

    def finish_all(self) -> None:
        """Close the outputs and give them their own names."""
        self.will_finish = False
        errors: list[Exception] = []
        while self.files:
            try:
                self._finish(*self.files.popitem())
            except OSError as error:
                errors.append(error)
        if errors:
            raise together("several outputs could not be finished", errors)

    def _finish(self, name: str, file: TextIO) -> None:
        self._measure(name, file)
        file.close()
        path = Path(self[name].removesuffix(PART))
        Path(self[name]).replace(path)
        self[name] = str(path)

    def _measure(self, name: str, file: TextIO) -> None:
        """Note how far a file is written, with all of that on the disk."""
        file.flush()
        mark = self.marks.get(name)
        if mark is None or mark.length != os.fstat(file.fileno()).st_size:
            os.fsync(file.fileno())
            self.marks[name] = Mark.of(Path(self[name]))

    def measured(self) -> dict[str, list[Any]]:
        """Return the path of each output, and how far it is written."""
        for name, file in list(self.files.items()):
            self._measure(name, file)
        return {name: [path, *astuple(self.marks[name])] for name, path in list(self.items())}

    @classmethod
    def of(cls, measured: dict[str, list[Any]]) -> Outputs:
        """Return the outputs of a stored run, none of them open."""
        outputs = cls()
        for name, (path, *mark) in measured.items():
            outputs[name] = path
            outputs.marks[name] = Mark(*mark)
        return outputs

    def take_up(self, eng: Any) -> None:
        """Open the outputs of a stored run again, as they were at its last checkpoint.

        :raises OutputError: for a file that is not the one that the run has written.
        """
        if self.files:  # started again by one of its own tasks
            return
        for name, mark in self.marks.items():
            self[name] = str(self._find(name, mark))
        for name, mark in self.marks.items():
            os.truncate(self[name], mark.length)
            self.file(name, eng)

    def _find(self, name: str, mark: Mark) -> Path:
        """Return where an output is: a crash may have come before or after it was renamed."""
        stored, finished = Path(self[name]), Path(self[name].removesuffix(PART))
        part = finished.with_name(finished.name + PART)
        path = next((path for path in (stored, part, finished) if path.is_file()), None)
        if path is None:
            raise OutputError(f"output {stored} is gone: put the file back, or begin a new run")
        is_cut_short = path.stat().st_size < mark.length
        is_longer = path == stored == finished and path.stat().st_size > mark.length
        if is_cut_short or is_longer or Mark.of(path, mark.length) != mark:
            raise OutputError(
                f"output {path} is not as the run has left it; perhaps another run has written "
                "there since: put the file back, or begin a new run"
            )
        return path


def output_file(eng: Any, name: str) -> TextIO:
    """Return a text file to write to, in the folder ``eng.extra_data["output_dir"]``.

    It is opened once for each run, for all branches together, and closed when the run ends,
    however it ends. Until then it is called ``NAME.part``: a file without that suffix was not cut
    short by a crash. ``eng.extra_data["outputs"]`` has its path.

    :raises WorkflowAPIError: outside a run.
    """
    while eng.parent is not None:
        eng = eng.parent
    with _opening:
        outputs = eng.extra_data.get(OUTPUTS)
        if not isinstance(outputs, Outputs):
            outputs = eng.extra_data[OUTPUTS] = Outputs()
        return outputs.file(name, eng)


def store_outputs(types: Types) -> None:
    """Have the types of a store know how to store outputs."""
    types.register(Outputs, Outputs.measured, Outputs.of)


def take_up_outputs(eng: Any) -> None:
    """Have the outputs of a stored run go on, when it does, where its last checkpoint was."""

    def take_up(sender: Any, **context: Any) -> None:
        outputs = sender.extra_data.get(OUTPUTS)
        if isinstance(outputs, Outputs):
            outputs.take_up(sender)

    signals.workflow_started.connect(take_up, sender=eng, weak=False)
