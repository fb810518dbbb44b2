"""The ways of running a definition, and the small tasks that the tests build definitions from."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import repeat
from typing import Any

from wfengine import GenericWorkflowEngine

PATIENCE = 10.0
"""Seconds that a task waits for another one before its test fails."""


class Way:
    """One way of running: with or without an event loop, with plain tasks or with coroutines."""

    def __init__(self, is_async: bool, of_coroutines: bool) -> None:
        self.is_async = is_async
        self.of_coroutines = of_coroutines
        self.in_one_loop = is_async and of_coroutines

    def engine(
        self, definition: Any, engine_class: type[GenericWorkflowEngine] = GenericWorkflowEngine
    ) -> GenericWorkflowEngine:
        engine = engine_class()
        engine.callbacks.replace(definition)
        return engine

    def process(self, engine: GenericWorkflowEngine, tokens: Any, **options: Any) -> None:
        if self.is_async:
            asyncio.run(engine.process_async(tokens, **options))
        else:
            engine.process(tokens, **options)

    def restart(self, engine: GenericWorkflowEngine, obj: Any, task: Any, **options: Any) -> None:
        if self.is_async:
            asyncio.run(engine.restart_async(obj, task, **options))
        else:
            engine.restart(obj, task, **options)

    def trace(self, *definition: Any) -> list[Any]:
        """Push one empty list through a definition, and return it."""
        token: list[Any] = []
        self.process(self.engine(definition), [token])
        return token

    def extra_data(self, *definition: Any) -> dict[str, Any]:
        """Push one empty list through a definition, and return what is in ``extra_data`` then."""
        engine = self.engine(definition)
        self.process(engine, [[]])
        return engine.extra_data

    def task(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function as it is, or as a coroutine function."""
        if not self.of_coroutines:
            return function

        @wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return function(*args, **kwargs)

        return coroutine

    def add(self, item: Any) -> Callable[..., Any]:
        return self.task(add(item))

    def add_value(self, key: str = "item") -> Callable[..., Any]:
        """Return a task that adds to the token what is under a key of ``extra_data``."""
        return self.task(lambda obj, eng: obj.append(eng.extra_data[key]))

    def answers(self, *values: Any) -> Callable[..., Any]:
        """Return a condition that gives these answers in turn, the last one for ever."""
        answers = [*values]
        return self.task(lambda obj, eng: answers.pop(0) if len(answers) > 1 else answers[0])

    def holds(self, times: int, key: str = "asked") -> Callable[..., Any]:
        """Return a condition that holds so many times; it counts in ``extra_data``."""

        def condition(obj: Any, eng: Any) -> bool:
            eng.extra_data[key] = eng.extra_data.get(key, 0) + 1
            return eng.extra_data[key] <= times

        return self.task(condition)

    def fails(self, times: int = 1, error: Exception | None = None) -> Callable[..., Any]:
        """Return a task that fails so many times, and passes from then on."""
        remaining = repeat(error or ValueError("broken"), times)

        def fail(obj: Any, eng: Any) -> None:
            for raised in remaining:
                raise raised

        return self.task(fail)

    def halts(
        self, times: int = 1, when: Callable[[Any, Any], Any] = lambda obj, eng: True
    ) -> Callable[..., Any]:
        """Return a task that halts so many times where a condition holds, and then passes."""
        remaining = repeat("decide", times)

        def halt(obj: Any, eng: Any) -> None:
            if when(obj, eng):
                for message in remaining:
                    eng.halt(message, action="ask")

        return self.task(halt)

    def halts_at(self, item: Any, key: str = "item") -> Callable[..., Any]:
        """Return a task that halts the first time that a key of ``extra_data`` has a value."""
        return self.halts(when=lambda obj, eng: eng.extra_data[key] == item)

    def meeting(self, parties: int) -> Callable[..., Any]:
        """Return a task that ends when so many are in it: who passes it ran beside the others."""
        if not self.in_one_loop:
            barrier = threading.Barrier(parties, timeout=PATIENCE)
            return self.task(lambda obj, eng: barrier.wait())
        place = asyncio.Barrier(parties)

        async def meet(obj: Any, eng: Any) -> None:
            async with asyncio.timeout(PATIENCE):
                await place.wait()

        return meet

    def gate(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return two tasks: one that waits, and one that lets it pass."""
        event = asyncio.Event() if self.in_one_loop else threading.Event()

        async def wait_in_loop(obj: Any, eng: Any) -> None:
            async with asyncio.timeout(PATIENCE):
                await event.wait()

        def wait(obj: Any, eng: Any) -> None:
            assert event.wait(PATIENCE)

        opened = self.task(lambda obj, eng: event.set())
        return wait_in_loop if self.in_one_loop else self.task(wait), opened


def add(item: Any) -> Callable[..., Any]:
    """Return a task that adds an item to the token, which is a list."""

    def task(obj: Any, eng: Any) -> None:
        obj.append(item)

    task.__name__ = f"add_{item}"
    return task


def breaks(obj: Any, eng: Any) -> None:
    eng.break_current_loop()


def jumps(offset: int, levels: int = 0) -> Callable[..., Any]:
    """Return a task that jumps."""
    return lambda obj, eng: eng.jump_call(offset, levels)


@contextmanager
def received(signal: Any, engine: GenericWorkflowEngine) -> Iterator[list[dict[str, Any]]]:
    """Give the list of what a signal tells about an engine."""
    told: list[dict[str, Any]] = []

    def receive(sender: Any, **context: Any) -> None:
        told.append(context)

    with signal.connected_to(receive, sender=engine):
        yield told
