"""Flows whose functions wait until they are told to end, so that each moment can be looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Listener
from random import Random
from typing import Any

from attrs import define, field

from wfengine.steps import Sequent

from .reference import Reference

PATIENCE = 60.0
"""Seconds after which what has to begin is taken not to."""


def current_call() -> str:
    """Return which call of a step's function this is."""
    return f"{Sequent.get_step_name()}/{Sequent.get_step_sequence()}"


@define(eq=False)
class Play:
    """Runs a flow: waits until all has begun that has to, ends some of it, and so on.

    :param reference: that is told of all that happens, and says whether it may.
    :param random: says what ends next.
    """

    reference: Reference
    random: Random
    caller: int = 0
    running: set[str] = field(factory=set)
    ending: set[str] = field(factory=set)
    problems: list[BaseException] = field(factory=list)
    result: bool | None = None
    is_over: bool = False
    is_left: bool = False
    """Whether nobody looks any more, and all may end by itself."""
    _moves: threading.Condition = field(factory=threading.Condition)

    def work(self) -> str:
        """Be the function of a step, in a thread."""
        call = current_call()
        if not self.step(call, threading.get_ident() == self.caller):
            raise ValueError(f"{call} was told to")
        return call

    def step(self, call: str, is_in_caller: bool) -> bool:
        """Begin, wait, and return whether to succeed."""
        with self._moves:
            try:
                if not self.problems:
                    self.reference.begin(call, is_in_caller)
            except AssertionError as error:
                self.problems.append(error)
            self.running.add(call)
            self._moves.notify_all()
            self._moves.wait_for(lambda: call in self.ending or self.is_left)
            return call not in self.reference.failing

    def run(self, flow: Sequent, max_loops: int = -1) -> bool | None:
        """Run a flow, and return whether it succeeded.

        :raises AssertionError: for what should not have begun; and for what should have.
        """
        thread = threading.Thread(target=self._run, args=(flow, max_loops), daemon=True)
        thread.start()
        try:
            while not self._wait():
                self._end_some(max_loops)
        finally:
            self._end_all()
            thread.join(PATIENCE)
        if self.problems:
            raise self.problems[0]
        assert self.is_over, f"the flow does not end: {self.reference}"
        left = self.reference.left()
        assert not left, f"{left} could have begun: {self.reference}"
        return self.result

    def _run(self, flow: Sequent, max_loops: int) -> None:
        self.caller = threading.get_ident()
        try:
            self.result = flow.run(max_loops)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.problems.append(error)
        with self._moves:
            self.is_over = True
            self._moves.notify_all()

    def _wait(self) -> bool:
        """Wait until something can end, or all is over."""
        with self._moves:
            if not self._moves.wait_for(self._can_go_on, PATIENCE):
                left = self.reference.due() or "what comes next"
                self.problems.append(AssertionError(f"{left} does not begin: {self.reference}"))
            return self.is_over or bool(self.problems)

    def _can_go_on(self) -> bool:
        if self.is_over or self.problems:
            return True
        return bool(self.running) and not self.reference.due()

    def _end_some(self, max_loops: int) -> None:
        with self._moves:
            count = self.random.randint(1, len(self.running))
            for call in self.random.sample(sorted(self.running), count):
                self.running.remove(call)
                self.reference.end(call)
                self.ending.add(call)
            successes = self.reference.begun & self.reference.successes()
            self.reference.is_held = 0 < max_loops <= len(successes)
            self._moves.notify_all()

    def _end_all(self) -> None:
        with self._moves:
            self.is_left = True
            self._moves.notify_all()


# In processes


def work_in_process(address: Any, key: bytes) -> str:
    """Be the function of a step, in a process of its own."""
    call = current_call()
    with Client(address, authkey=key) as connection:
        connection.send(call)
        if not connection.recv():
            raise ValueError(f"{call} was told to")
    return call


KEY = b"of a test"


@contextmanager
def serving(play: Play) -> Iterator[Any]:
    """Yield the address at which processes ask how a step is to end."""
    with Listener(authkey=KEY) as listener:
        thread = threading.Thread(target=_serve, args=(listener, play), daemon=True)
        thread.start()
        try:
            yield listener.address
        finally:
            with Client(listener.address, authkey=KEY) as last:
                last.send(None)
            thread.join()


def _serve(listener: Listener, play: Play) -> None:
    while True:
        connection = listener.accept()
        call = connection.recv()
        if call is None:
            return
        threading.Thread(target=_answer, args=(connection, call, play), daemon=True).start()


def _answer(connection: Any, call: str, play: Play) -> None:
    with connection:
        connection.send(play.step(call, is_in_caller=False))
