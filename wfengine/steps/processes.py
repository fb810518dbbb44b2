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
from collections.abc import Callable
from multiprocessing import connection, current_process, parent_process
from typing import Any

from wfengine.steps.calls import Call, calling
from wfengine.steps.errors import StepEndedError, ended

__all__ = ["is_imported_by_process", "run_in_process"]

MAIN_OF_PROCESSES = "__mp_main__"

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
    try:
        message = _received(receiver, process)
    except BaseException:  # Ctrl-C
        process.terminate()
        raise
    finally:
        receiver.close()
        process.join()
        code = process.exitcode
        process.close()
    if message is None:
        raise StepEndedError(_ending(call, code))
    return _result(message)


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


def _unpacked(payload: bytes) -> tuple[Callable[[], Any], Call, dict[str, str]]:
    """Return what the process was told; modules are imported by that."""
    found: tuple[Callable[[], Any], Call, dict[str, str]] = pickle.loads(payload)  # noqa: S301 - of our own process
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
