"""The signals an engine sends, for everybody who wants to watch a run without changing it.

The sender is always the engine. A signal that nobody listens to costs nothing. A receiver runs
inside the run: what it raises, the run raises. Who listens to tokens and tasks is looked up when a
run starts.

Keyword arguments, by signal:

=====================  ==========================================================
``workflow_started``   ``objects``: the tokens
``workflow_finished``  ``objects``
``workflow_halted``    ``obj``: the token, ``error``: the ``HaltProcessing``
``workflow_error``     ``obj``, ``error``: the exception
``token_started``      ``obj``
``token_finished``     ``obj``, ``outcome``: a :class:`TokenOutcome`
``task_started``       ``obj``, ``callback``: the task
``task_finished``      ``obj``, ``callback``, ``transition``: what it raised or handed over, or None
``task_failed``        ``obj``, ``callback``, ``error``
=====================  ==========================================================
"""

from enum import Enum
from typing import Any

from blinker import Namespace
from blinker import Signal as BlinkerSignal

__all__ = [
    "Signal",
    "TokenOutcome",
    "task_failed",
    "task_finished",
    "task_started",
    "token_finished",
    "token_started",
    "workflow_error",
    "workflow_finished",
    "workflow_halted",
    "workflow_started",
]

_namespace = Namespace()

workflow_started = _namespace.signal("workflow_started")
workflow_finished = _namespace.signal("workflow_finished")
workflow_halted = _namespace.signal("workflow_halted")
workflow_error = _namespace.signal("workflow_error")
token_started = _namespace.signal("token_started")
token_finished = _namespace.signal("token_finished")
task_started = _namespace.signal("task_started")
task_finished = _namespace.signal("task_finished")
task_failed = _namespace.signal("task_failed")

TOKEN_SIGNALS = (token_started, token_finished)
TASK_SIGNALS = (task_started, task_finished, task_failed)


class TokenOutcome(Enum):
    """How a token left the engine."""

    COMPLETED = "completed"  # ran to the end of its definition
    SKIPPED = "skipped"  # continue_next_token or skip_token
    JUMPED = "jumped"  # jump_token: another token was asked for
    HALTED = "halted"  # waits for a decision, its position kept
    FAILED = "failed"  # a task, hook or handler raised an exception
    STOPPED = "stopped"  # stop or abort ended the run


class Signal:
    """Sends the signals of a whole run; ``eng.signal`` is one, to be replaced or extended."""

    @staticmethod
    def workflow_started(eng: Any, **context: Any) -> None:
        """Tell that a run has begun."""
        send(workflow_started, eng, **context)

    @staticmethod
    def workflow_finished(eng: Any, **context: Any) -> None:
        """Tell that a run has come to its end."""
        send(workflow_finished, eng, **context)

    @staticmethod
    def workflow_halted(eng: Any, **context: Any) -> None:
        """Tell that a token waits for a decision."""
        send(workflow_halted, eng, **context)

    @staticmethod
    def workflow_error(eng: Any, **context: Any) -> None:
        """Tell that an exception was raised."""
        send(workflow_error, eng, **context)


def are_heard(several: tuple[BlinkerSignal, ...]) -> bool:
    """Return whether anybody listens to one of several signals."""
    for signal in several:  # noqa: SIM110 - asked for each run, and a generator takes thrice as long
        if signal.receivers:
            return True
    return False


def send(signal: BlinkerSignal, eng: Any, **context: Any) -> None:
    """Send one signal, if anybody listens."""
    if signal.receivers:
        signal.send(eng, **context)
