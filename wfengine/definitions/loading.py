"""Definitions by name: ``path/to/file.py:attribute`` or ``package.module:attribute``."""

from __future__ import annotations

import builtins
import importlib.util
import os
import pkgutil
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any
from zlib import crc32

from wfengine.definitions.styles import compiled
from wfengine.errors import WorkflowDefinitionError, WorkflowError

__all__ = ["import_target", "is_target", "load"]

EXAMPLES = "path/to/file.py:attribute or package.module:attribute"


def load(target: str) -> Any:
    """Import what a target names and return it; of an object of an authoring style, its definition.

    The folder of a file, and for a module the current folder, go to the front of ``sys.path`` as
    they do for ``python file.py`` and ``python -m module``, so that what lies beside can be
    imported.

    :param target: ``path/to/file.py:attribute`` or ``package.module:attribute``.
    :raises WorkflowDefinitionError: when there is no such file, module or attribute, or its
        import fails; an exception out of the imported code is the ``__cause__``.

    >>> load("wfengine.patterns:EMPTY_CALL").__name__
    'EMPTY_CALL'
    """
    return compiled(import_target(target)[1])


def is_target(name: str) -> bool:
    """Return whether a name is written like a target, rather than like the name of a workflow."""
    source, colon, attribute = name.rpartition(":")
    if _is_file(source):
        return bool(colon) and attribute.isidentifier()
    return all(part.isidentifier() for part in (*source.split("."), attribute))


def _is_file(source: str) -> bool:
    return source.endswith(".py") or os.sep in source or "/" in source


def import_target(target: str) -> tuple[ModuleType, Any]:
    """Return the module that a target names, imported as :func:`load` does, and the attribute."""
    source, colon, attribute = target.rpartition(":")
    if not colon or not attribute.isidentifier():
        named = target.removesuffix(":")
        raise WorkflowDefinitionError(
            f"{target!r} names no attribute; a target is {EXAMPLES}, here perhaps {named}:workflow"
        )
    module = _load_file(Path(source)) if _is_file(source) else _load_module(source)
    try:
        found = getattr(module, attribute)
    except AttributeError:
        raise WorkflowDefinitionError(
            f"there is no {attribute!r} in {source}{_meant(attribute, _public_names(module))}"
        ) from None
    return module, found


def _load_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise WorkflowDefinitionError(f"{name!r} is no name of a module; a target is {EXAMPLES}")
    _put_first(Path.cwd())
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _import_failed(name, error) from error
        raise WorkflowDefinitionError(
            f"there is no module {error.name!r}{_meant_module(error.name)}"
        ) from None
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _load_file(path: Path) -> ModuleType:
    _check_file(path)
    path = path.resolve()
    folder, name = _importable(path)
    _put_first(folder)
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) != str(path):
        name = f"{name}_{crc32(os.fsencode(path)):08x}"
        known = sys.modules.get(name)
    return known or _execute(path, name)


def _execute(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise WorkflowDefinitionError(f"{path} is no Python file: its name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _import_failed(str(path), error) from error
    return module


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise WorkflowDefinitionError(f"{path} is a folder; a target is {EXAMPLES}")
    if not path.exists():
        beside = [file.name for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
        meant = _meant(path.name, beside)
        raise WorkflowDefinitionError(f"there is no file {str(path)!r}{meant}")


def _importable(path: Path) -> tuple[Path, str]:
    """Return the folder from which a file can be imported, and its name seen from there."""
    folder, names = path.parent, [path.stem]
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)


def _put_first(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _import_failed(source: str, error: BaseException) -> WorkflowDefinitionError:
    if isinstance(error, WorkflowError):
        return WorkflowDefinitionError(f"{_line_that_raised(error)}: {error}")
    if isinstance(error, SystemExit):
        return WorkflowDefinitionError(
            f"{source} ended the program while it was imported; put what is only for "
            "running it as a script under: if __name__ == '__main__':"
        )
    return WorkflowDefinitionError(
        f"{source} cannot be imported: {type(error).__name__}: {error}{_perhaps_misspelt(error)}"
    )


def _perhaps_misspelt(error: BaseException) -> str:
    """Return which name may have been meant by one that is not there."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _meant_module(error.name)
    if isinstance(error, ImportError) and error.name in sys.modules:
        unknown = re.search("cannot import name '(.+?)'", str(error))
        return _meant(unknown[1], _public_names(sys.modules[error.name])) if unknown else ""
    if isinstance(error, NameError) and error.name:
        *_, (frame, _) = walk_tb(error.__traceback__)
        return _meant(error.name, {**vars(builtins), **frame.f_globals, **frame.f_locals})
    return ""


def _line_that_raised(error: BaseException) -> str:
    """Return which line of the user's own code called the part of wfengine that raised."""
    frame, line = [
        (frame, line)
        for frame, line in walk_tb(error.__traceback__)
        if not f"{frame.f_globals.get('__name__')}.".startswith(("wfengine.", "importlib."))
    ][-1]
    return f"{frame.f_code.co_filename}, line {line}"


def _public_names(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_")]


def _meant_module(name: str) -> str:
    package, _, last = name.rpartition(".")
    folders = list(getattr(sys.modules.get(package), "__path__", ())) if package else None
    known = [module.name for module in pkgutil.iter_modules(folders)]
    return _meant(last, (found for found in known if not found.startswith("_")), package)


def _meant(name: str, known: Iterable[str], package: str = "") -> str:
    close = get_close_matches(name, known, cutoff=0.7)
    names = [f"{package}.{found}" if package else found for found in close]
    return f"; did you mean {' or '.join(map(repr, names))}?" if names else ""
