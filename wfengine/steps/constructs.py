"""Where the functions of steps are run: in the flow's own thread, in threads, or in processes."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import reprlib
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from wfengine.errors import WorkflowDefinitionError
from wfengine.patterns.containing import contained
from wfengine.steps.calls import Call, calling
from wfengine.steps.errors import ended
from wfengine.steps.processes import run_in_process

__all__ = ["Construct", "Work", "construct_of"]

MAIN = "__main__"


@frozen
class Work:
    """A function and its arguments."""

    func: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}

    def __call__(self) -> Any:
        """Call it."""
        return self.func(*self.args, **self.kwargs)


@frozen
class Construct:
    """A way to run functions.

    :param name: ``inline``, ``thread`` or ``process``.
    :param context: of processes, how they are started.
    """

    name: str
    context: Any = None

    def run(self, work: Work, call: Call) -> Any:
        """Return what a function returns, or an awaitable.

        :raises StepEndedError: when it exits, is cancelled, or its process is ended.
        """
        if self.name == "process":
            return run_in_process(self._packed(work, call), call, self.context)
        before = calling.set(call)
        try:
            found = contained(work, partial(ended, call))
        finally:
            calling.reset(before)
        return _awaited(found, call) if hasattr(found, "__await__") else found

    def _packed(self, work: Work, call: Call) -> bytes:
        try:
            return pickle.dumps((work, call, dict(os.environ)))
        except Exception:
            self.check(work, f"step {call}")
            self.check_values(call.values, f"step {call}")
            raise

    def check(self, work: Work, of: str) -> None:
        """Refuse what cannot be taken to a process.

        :raises WorkflowDefinitionError: saying which argument it is.
        """
        if self.name != "process":
            return
        self._check_pickle("func", work.func, of)
        for place, value in enumerate(work.args):
            self._check_pickle(f"args[{place}]", value, of)
        for name, value in work.kwargs.items():
            self._check_pickle(f"kwargs[{name!r}]", value, of)

    def check_values(self, values: Sequence[Any], of: str) -> None:
        """Refuse values of rounds that cannot be taken to a process.

        :raises WorkflowDefinitionError: saying which it is.
        """
        if self.name != "process" or self._can_be_taken(values):
            return
        for value in values:
            self._check_pickle(f"{reprlib.repr(value)} in repeats", value, of)

    def _can_be_taken(self, values: Sequence[Any]) -> bool:
        try:
            self._pickler.dump(values)
        except Exception:  # noqa: BLE001 - anything can go wrong in a class of a user's
            return False
        return True

    def _check_pickle(self, name: str, value: Any, of: str) -> None:
        try:
            self._pickler.dump(value)
        except Exception as error:
            raise WorkflowDefinitionError(
                f"{of}: {name} cannot be taken to a process of its own: {error}. Use a function "
                "and arguments that can be pickled, those of a module; or config={'task_construct':"
                " 'thread'}"
            ) from error

    @property
    def _pickler(self) -> pickle.Pickler:
        """What finds out whether something can be taken to a process, by writing it nowhere."""
        is_copied = self.context is not None and self.context.get_start_method() == "fork"
        return (pickle.Pickler if is_copied else _pickler_of_program())(io.BytesIO())


async def _awaited(found: Any, call: Call) -> Any:
    calling.set(call)
    return await found


def _pickler_of_program() -> type[pickle.Pickler]:
    """Return what knows what a process can import of what this one was started with.

    :raises PicklingError: where no process could be started, as with the standard input.
    """
    main = sys.modules.get(MAIN)
    file = getattr(main, "__file__", None)
    if getattr(main, "__spec__", None) is not None:
        return pickle.Pickler
    if file is None:  # it was typed in, or is that of python -c
        return _NoMainPickler
    if not Path(file).exists():
        raise pickle.PicklingError(
            f"each process imports the program first, and there is no file {str(file)!r}; save it "
            "in one"
        )
    return pickle.Pickler


class _NoMainPickler(pickle.Pickler):
    """Refuses what is found by its name in a program that no other process can import."""

    def reducer_override(self, obj: Any) -> Any:
        if getattr(obj, "__module__", None) == MAIN and hasattr(obj, "__qualname__"):
            raise pickle.PicklingError(
                f"{obj.__qualname__!r} is of a program that is in no file, so that the process "
                "cannot import it"
            )
        return NotImplemented


def construct_of(found: Any, of: str) -> Construct:
    """Return the construct that a configuration names.

    :param found: ``inline``, ``thread``, ``process``, ``threading.Thread``, or a ``Process`` class
        of :mod:`multiprocessing`, which says how its processes are started.
    :raises WorkflowDefinitionError: for anything else.
    """
    if isinstance(found, Construct):
        return found
    if found is threading.Thread:
        return Construct("thread")
    if found in ("inline", "thread"):
        return Construct(found)
    if found in ("process", multiprocessing.Process):
        return Construct("process", multiprocessing.get_context(_default_method()))
    method = getattr(found, "_start_method", None)
    if isinstance(found, type) and method in multiprocessing.get_all_start_methods():
        return Construct("process", multiprocessing.get_context(method))
    raise WorkflowDefinitionError(
        f"{of}: task_construct is 'process', 'thread' or 'inline', threading.Thread, or a Process "
        f"class of multiprocessing, not {found!r}"
    )


def _default_method() -> str:
    """Return how processes are started: never as a copy of this one, which has threads.

    A copy has the locks that other threads held, and nobody to give them back. A server that was
    started clean makes processes quickly, where there is one.
    """
    methods: Sequence[str] = multiprocessing.get_all_start_methods()
    return "forkserver" if "forkserver" in methods else "spawn"
