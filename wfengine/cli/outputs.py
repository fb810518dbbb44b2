"""The files that a run writes: called ``NAME.part`` until the run has ended."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any, TextIO, cast

from wfengine.errors import together

__all__ = ["output_file"]

OUTPUTS = "outputs"
OUTPUT_DIR = "output_dir"
PART = ".part"

_opening = Lock()


class Outputs(dict[str, str]):
    """The path of each output by its name, and the files that are open."""

    __slots__ = ("files", "will_finish")

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, TextIO] = {}
        self.will_finish = False

    def open(self, name: str, folder: Path) -> None:
        """Open an output; one that this engine has finished before is continued."""
        path = folder / name
        part = path.with_name(path.name + PART)
        part.parent.mkdir(parents=True, exist_ok=True)
        if name in self:
            path.replace(part)
        mode = "a" if name in self else "w"
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
        file.close()
        path = self[name].removesuffix(PART)
        Path(self[name]).replace(path)
        self[name] = path


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
        if not outputs.will_finish:
            eng.defer(outputs.finish_all, until="run")
            outputs.will_finish = True
        if name not in outputs.files:
            outputs.open(name, Path(eng.extra_data.get(OUTPUT_DIR, "output")))
        return outputs.files[name]
