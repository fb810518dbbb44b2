"""Functions in processes of their own."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing import connection, current_process, parent_process
from types import FrameType
from typing import Any

from wfengine.errors import WorkflowDefinitionError
from wfengine.steps.calls import Call, calling
from wfengine.steps.errors import StepEndedError, ended

__all__ = ["ending_processes", "is_imported_by_process", "run_in_process"]

MAIN_OF_PROCESSES = "__mp_main__"

PATIENCE = 5.0
"""Seconds that a process has to end in when it is told to; then it is killed."""

Message = tuple[bool, Any, str]
"""Whether the function returned, what it returned or raised, and the traceback."""


def is_imported_by_process() -> bool:
    """Return whether a script is being imported for the sake of a step's process.

    Its functions are wanted then, and nothing is to be run; so that a script need not guard what
    it does by ``if __name__ == "__main__"``.
    """
    frame = sys._getframe(1)
    while frame is not None:
        is_main = frame.f_globals.get("__name__") == MAIN_OF_PROCESSES
        if frame.f_code is _unpacked.__code__ or (is_main and frame.f_code.co_name == "<module>"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def run_in_process(payload: bytes, call: Call, context: Any) -> Any:
    """Run a function in a process, and return what it returns.

    :param payload: the function, its call, and the environment, by pickle.
    :param context: of :mod:`multiprocessing`.
    :raises StepEndedError: when the process ends before the function has.
    """
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(payload, sender), name=f"step {call}")
    process.start()
    sender.close()
    group = _group.get(None) or _Group()
    group.add(process)
    try:
        message = _received(receiver, process)
        process.join()
    except BaseException:  # Ctrl-C
        process.terminate()
        process.join(PATIENCE)
        process.kill()
        process.join()
        raise
    finally:
        receiver.close()
        group.remove(process)
        code = process.exitcode
        if code is not None:
            process.close()
    if message is None:
        if group.is_ended:  # the step has not failed, and is run again
            raise KeyboardInterrupt
        raise StepEndedError(_ending(call, code))
    return _result(message)


class _Group:
    """The processes that a flow has started and that have not ended."""

    def __init__(self) -> None:
        self.is_ended = False
        self._processes: set[Any] = set()
        self._change = threading.Condition()

    def add(self, process: Any) -> None:
        with self._change:
            self._processes.add(process)
            if self.is_ended:
                process.terminate()

    def remove(self, process: Any) -> None:
        with self._change:
            self._processes.discard(process)
            self._change.notify_all()

    def end(self) -> None:
        """End all that run, and those that are just being started."""
        with self._change:
            self.is_ended = True
            for tell in ("terminate", "kill"):
                for process in self._processes:
                    getattr(process, tell)()
                if self._change.wait_for(lambda: not self._processes, PATIENCE):
                    return


_group: ContextVar[_Group] = ContextVar("processes")


@contextmanager
def ending_processes() -> Iterator[None]:
    """End at the end whatever processes steps have begun meanwhile, and have not ended.

    That there are some means that the flow has been left, as by Ctrl-C.
    """
    group = _Group()
    before = _group.set(group)
    try:
        yield
    finally:
        _group.reset(before)
        group.end()


def _received(receiver: Any, process: Any) -> Message | None:
    """Return what a process has sent, or None when it has ended without."""
    connection.wait([receiver, process.sentinel])
    if not receiver.poll():  # a process that the step has started may hold the other end open
        return None
    try:
        message: Message = pickle.loads(receiver.recv_bytes())  # noqa: S301 - of our own process
    except (EOFError, OSError):
        return None
    return message


def _result(message: Message) -> Any:
    has_returned, found, text = message
    if has_returned:
        return found
    error: BaseException = found
    error.add_note(f"in the process of the step:\n{text}")
    raise error


def _ending(call: Call, code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        return f"the process of step {call} was killed by signal {-code} ({name})"
    return (
        f"the process of step {call} exited with status {code} before its function had returned; "
        "what it wrote to the standard error may say why"
    )


# In the process


def _serve(payload: bytes, sender: Any) -> None:
    """Run a function, and send what it returns or raises."""
    _leave_interrupts_to_flow()
    threading.Thread(target=_end_with_parent, name="watching the flow", daemon=True).start()
    name = current_process().name.removeprefix("step ")
    try:
        work, call, environment = _unpacked(payload)
        os.environ.clear()
        os.environ.update({**environment, **call.environment})
        calling.set(call)
        found = work()
        if inspect.isawaitable(found):
            found = asyncio.run(_awaited(found))
        message = _packed((True, found, ""))
    except Exception as error:  # noqa: BLE001 - told to the flow
        message = _packed((False, error, traceback.format_exc()))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - told to the flow
        message = _packed((False, ended(name, error), traceback.format_exc()))
    sender.send_bytes(message)
    sender.close()


def _leave_interrupts_to_flow() -> None:
    """Have Ctrl-C, which a terminal tells to all processes, do nothing here.

    The flow lets the step end, or ends it. Programs that the step runs are told, as ever, and so
    are the processes that it forks: nobody else ends those.
    """
    own = os.getpid()

    def interrupted(number: int, frame: FrameType | None) -> None:
        if os.getpid() != own:
            signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupted)


def _unpacked(payload: bytes) -> tuple[Callable[[], Any], Call, dict[str, str]]:
    """Return what the process was told; modules are imported by that.

    :raises WorkflowDefinitionError: when something is not found by its name in what was imported.
    """
    try:
        found: tuple[Callable[[], Any], Call, dict[str, str]] = pickle.loads(payload)  # noqa: S301 - of our own process
    except AttributeError as error:
        raise WorkflowDefinitionError(
            "the step's function, or something that it is called with, was not found when the "
            f"script was imported in the step's process: {error}. Define it at the top level of a "
            'module, in a script above and outside of `if __name__ == "__main__":`; or use '
            "config={'task_construct': 'thread'}"
        ) from error
    return found


async def _awaited(found: Any) -> Any:
    return await found


def _packed(message: Message) -> bytes:
    """Return a message as bytes; of what cannot be sent, a text that says so."""
    has_returned, found, text = message
    try:
        packed = pickle.dumps(message)
        pickle.loads(packed)  # noqa: S301 - some exceptions can be written and not be read
    except Exception as error:  # noqa: BLE001 - anything can go wrong in a class of a user's
        what = "returned" if has_returned else "raised"
        shown = f"{type(found).__name__}: {found}" if not has_returned else type(found).__name__
        problem = RuntimeError(shown)
        problem.add_note(f"the step {what} something that cannot be taken to the flow: {error}")
        return pickle.dumps((False, problem, text))
    return packed


def _end_with_parent() -> None:
    """End when the flow's process does, so that nobody does what will be done again."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
