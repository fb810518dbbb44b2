"""Runs a definition on the engine, or on the model, and returns what could be observed."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from attrs import define, field, frozen

from wfengine import HaltProcessing, MachineState, signals
from wfengine.engine import GenericWorkflowEngine

from . import model
from .building import Builder
from .world import Token, Visit, World, new_tokens

FRAMES = "_frames"
RUN_SIGNALS = ("workflow_started", "workflow_finished", "workflow_halted", "workflow_error")
TASK_SIGNALS = ("token_started", "token_finished", "task_started", "task_finished", "task_failed")
COMPLETED = ("completed", "", "")

Restart = tuple[str, str]
Definition = tuple[Any, ...]


@frozen
class Observed:
    """Everything that a user can see of a run when it has come to an end of any kind."""

    outcome: tuple[str, str, str]
    token_pos: int
    callback_pos: list[int]
    tokens: list[Token]
    extra_data: dict[str, Any]
    trace: dict[str, list[Visit]]
    run_signals: list[str]
    task_signals: list[Any]


@frozen
class Case:
    """A definition, how many tokens are pushed through it, and under which policy."""

    items: Definition
    tokens: int = 1
    stop_on_error: bool = True
    stop_on_halt: bool = True

    @property
    def policy(self) -> dict[str, bool]:
        """How the run goes on after an error or a halt."""
        return {"stop_on_error": self.stop_on_error, "stop_on_halt": self.stop_on_halt}


def ours(message: str) -> str:
    """Return a message if a definition brought it along; the library's own are its own business."""
    return message if message.startswith(("our ", "injected", "out of fuel")) else ""


def users_own(extra_data: dict[str, Any]) -> dict[str, Any]:
    """Return what tasks have put into ``extra_data``."""
    kept = {key: value for key, value in extra_data.items() if key not in (FRAMES, "lock")}
    if "error" in kept:
        kept["error"] = {**kept["error"], "message": ours(kept["error"]["message"])}
    return copied(kept)


def copied(value: Any) -> Any:
    """Return plain data as another process would get it."""
    return json.loads(json.dumps(value))


# The model.


class ModelRun:
    """A run of the model that can be taken up again."""

    def __init__(self, case: Case, halt_at: tuple[str, int] | None = None) -> None:
        self.case = case
        self.world = World(halt_at)
        self.tokens = new_tokens(case.tokens)
        self.machine = model.Machine(model.definition(case.items), self.world)

    def process(self) -> Observed:
        """Run from the start."""
        return self._observed(lambda: self.machine.process(self.tokens, **self.case.policy))

    def restart(self, obj: str, task: str) -> Observed:
        """Go on where the run was left, or somewhere near."""
        policy = self.case.policy
        return self._observed(lambda: self.machine.restart(obj, task, self.tokens, **policy))

    def _observed(self, run: Callable[[], None]) -> Observed:
        machine = self.machine
        machine.run_signals, machine.task_signals = [], []
        try:
            run()
        except model.HaltProcessing as halt:
            outcome = ("halted", "", ours(halt.message))
        except model.Failure as failure:
            outcome = ("failed", failure.name, ours(failure.message))
        else:
            outcome = COMPLETED
        return Observed(
            outcome,
            machine.token_pos,
            machine.position,
            copied(self.tokens),
            users_own(machine.extra_data),
            {lane: list(visits) for lane, visits in self.world.trace.items()},
            machine.run_signals,
            machine.task_signals,
        )


# The engine.


@define
class Heard:
    """The signals of one engine."""

    run: list[str] = field(factory=list)
    task: list[Any] = field(factory=list)
    of_branches: list[str] = field(factory=list)


def name_of_own(callback: Any) -> str:
    """Return the name of a user's task; a pattern's task has none."""
    name = getattr(callback, "__name__", "")
    return name if name.startswith("task.") else ""


@contextmanager
def listening(engine: Any, to_tasks: bool) -> Iterator[Heard]:  # noqa: C901 - one signal after the other
    """Write down the signals that an engine sends."""
    heard = Heard()

    def hear_run(name: str) -> Callable[..., None]:
        def hear(sender: Any, **context: Any) -> None:
            if sender is engine:
                heard.run.append(name)
            elif sender.parent is not None:
                heard.of_branches.append(name)

        return hear

    def hear_task(name: str) -> Callable[..., None]:
        def hear(sender: Any, **context: Any) -> None:
            if sender is engine:
                heard.task.append(_task_signal(name, sender, context))
            elif sender.parent is not None:
                heard.of_branches.append(name)

        return hear

    with ExitStack() as stack:
        for name in RUN_SIGNALS:
            stack.enter_context(getattr(signals, name).connected_to(hear_run(name)))
        for name in TASK_SIGNALS if to_tasks else ():
            stack.enter_context(getattr(signals, name).connected_to(hear_task(name)))
        yield heard


def _task_signal(name: str, sender: Any, context: dict[str, Any]) -> Any:
    if name == "token_started":
        return (name, context["obj"]["id"])
    if name == "token_finished":
        return (name, context["obj"]["id"], context["outcome"].name)
    signal = (name_of_own(context["callback"]), *sender.state.callback_pos)
    outcome = context.get("transition") or context.get("error")
    return (name, signal, type(outcome).__name__ if outcome is not None else None)


@define
class Way:
    """How the engine is run: none of it may make a difference.

    :param asynchronous: whether it is run by ``process_async``.
    :param coroutines: the part of the callables that are coroutine functions.
    :param mixed: whether lists are written with tuples and None.
    :param seed: decides about single callables and lists.
    :param collect: what the tokens are handed over in.
    :param to_tasks: whether somebody listens to the signals of tokens and tasks.
    """

    engine_class: Any = GenericWorkflowEngine
    asynchronous: bool = False
    coroutines: float = 0
    mixed: bool = False
    seed: int = 0
    collect: Callable[[list[Token]], Any] = list
    to_tasks: bool = False


class EngineRun:
    """A run of the engine that can be taken up again, by another engine too."""

    def __init__(
        self, case: Case, way: Way | None = None, halt_at: tuple[str, int] | None = None
    ) -> None:
        self.case = case
        self.way = way or Way()
        self.world = World(halt_at)
        self.tokens = new_tokens(case.tokens)
        self.objects: list[Token] | None = None
        self.engine = self._new_engine()

    def _new_engine(self) -> Any:
        engine = self.way.engine_class()
        builder = Builder(self.world, self.way.coroutines, self.way.mixed, self.way.seed)
        engine.callbacks.replace(builder.definition(self.case.items))
        return engine

    def process(self) -> Observed:
        """Run from the start."""
        objects = self.way.collect(self.tokens)
        return self._observed("process", objects)

    def restart(self, obj: str, task: str) -> Observed:
        """Go on where the run was left, or somewhere near."""
        return self._observed("restart", obj, task, self.objects)

    def move_to_another_engine(self) -> None:
        """Have a new engine take over, which gets the position through JSON."""
        old, self.engine = self.engine, self._new_engine()
        self.engine.state = MachineState(**copied(old.state.to_dict()))
        stored = {key: value for key, value in old.extra_data.items() if key != "lock"}
        self.engine.extra_data.update(copied(stored))
        self.objects = self.tokens

    def _observed(self, method: str, *arguments: Any) -> Observed:
        engine = self.engine
        with listening(engine, self.way.to_tasks) as heard:
            outcome = self._outcome(method, arguments)
        assert {name for name in heard.of_branches if not name.startswith("task")} == set()
        return Observed(
            outcome,
            engine.state.token_pos,
            list(engine.state.callback_pos),
            copied(self.tokens),
            users_own(engine.extra_data),
            {lane: list(visits) for lane, visits in self.world.trace.items()},
            heard.run,
            heard.task,
        )

    def _outcome(self, method: str, arguments: Any) -> tuple[str, str, str]:
        run = getattr(self.engine, f"{method}_async" if self.way.asynchronous else method)
        try:
            running = run(*arguments, **self.case.policy)
            if self.way.asynchronous:
                asyncio.run(running)
        except HaltProcessing as halt:
            return ("halted", "", ours(halt.message))
        except Exception as error:  # noqa: BLE001 - whatever comes out is the outcome
            return ("failed", type(error).__name__, ours(str(error)))
        return COMPLETED
