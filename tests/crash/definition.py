"""What is run and killed: orders that go through every kind of control flow.

Each task does something inside the database, through ``eng.session``, and something outside of it,
in a ledger; what it does depends on its token alone. A step is told from all others by its token,
its task and its turn, how often the token has come to that task: with these the effects of a run
that was killed can be compared with those of one that was not.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Integer, String, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from wfengine.patterns import FOR, IF, IF_ELSE, RUN_WF, SYNCHRONIZE, TRY, WHILE

__all__ = ["Base", "Effect", "Ledger", "Order", "Piece", "Refused", "Tally", "Workshop", "orders"]

ORDERS = 6


class Base(DeclarativeBase):
    """The tables of the user's own."""


class Effect(Base):
    """What a step did inside the database; nothing but counting shows that it was done twice."""

    __tablename__ = "crash_effect"
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True
    )
    run: Mapped[str] = mapped_column(String(80), index=True)
    token: Mapped[str] = mapped_column(String(40))
    task: Mapped[str] = mapped_column(String(40))
    turn: Mapped[int]


class Tally(Base):
    """How many steps a run has made: one row, which every task of the run changes."""

    __tablename__ = "crash_tally"
    run: Mapped[str] = mapped_column(String(80), primary_key=True)
    steps: Mapped[int]


@dataclass
class Order:
    """A token.

    :param turns: how often it has come to each task.
    """

    number: int
    total: int = 0
    level: int = 0
    price: str = ""
    failures: int = 0
    places: list[str] = field(default_factory=list)
    picked: list[str] = field(default_factory=list)
    packed: list[str] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    turns: dict[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return str(self.number)


@dataclass
class Piece:
    """A token of a definition that runs inside of a task."""

    order: int
    number: int
    turn: int
    turns: dict[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.order}/{self.number}/{self.turn}"


def orders() -> list[Order]:
    """Return the tokens of a run."""
    return [Order(number) for number in range(ORDERS)]


class Refused(Exception):
    """What tasks fail with."""


class Ledger:
    """A file outside of the database, to which each effect is added at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, **entry: Any) -> None:
        """Add an entry, and wait until it is on the disk."""
        line = json.dumps(entry, separators=(",", ":")) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())
            os.fsync(file)
        finally:
            os.close(file)

    def entries(self) -> Iterator[dict[str, Any]]:
        """Read what is there."""
        if self.path.exists():
            with self.path.open() as lines:
                yield from map(json.loads, lines)

    def has(self, **entry: Any) -> bool:
        """Return whether there is an entry with these values."""
        return any(entry.items() <= found.items() for found in self.entries())


class Workshop:
    """The tasks, which write to one ledger.

    :param run: the name of the run.
    """

    def __init__(self, ledger: Ledger, run: str) -> None:
        self.ledger = ledger
        self.run = run

    def definition(self) -> list[Any]:
        """Return the tasks in their order."""
        return [
            self.receive,
            IF_ELSE(is_odd, [self.price_high, [self.polish]], self.price_low),
            [self.weigh, [self.measure, self.measure_again], self.weigh_again],
            FOR(range(2), "row", [FOR([1, 2], "column", [self.place]), self.close_row]),
            WHILE(is_low, [self.fill]),
            TRY([self.prepare, self.mix], retry=2),
            IF_ELSE(
                is_odd,
                SYNCHRONIZE(
                    [self.pick, self.pick_more],
                    [self.pack, RUN_WF([self.wrap, self.label])],
                    self.ship,
                ),
                RUN_WF([self.inspect, [self.inspect_closely], self.sign]),
            ),
            IF(is_cut, RUN_WF([self.cut, self.sand], pieces)),
            self.deliver,
            self.approve,
            self.note_answer,
            FOR(sides, "side", [SYNCHRONIZE([self.left], [self.right], self.turn)]),
            self.leave,
            self.finish,
        ]

    # What every task does

    def do(
        self, token: Any, eng: Any, task: str, writes: bool = True, of: str | None = None
    ) -> None:
        """Make a step: inside of the database, outside of it, and in the token.

        :param of: the task whose turns count.
        """
        step = {"token": token.label, "task": task, "turn": token.turns.get(of or task, 0) + 1}
        if writes:
            eng.session.add(Effect(run=self.run, **step))
        self.ledger.add(key=eng.idempotency_key, run=self.run, **step)
        if writes:
            eng.session.execute(
                update(Tally).where(Tally.run == self.run).values(steps=Tally.steps + 1)
            )
        token.turns[task] = step["turn"]
        count = f"{task} {token.label}"
        eng.extra_data[count] = eng.extra_data.get(count, 0) + 1

    # Tasks one after the other

    def receive(self, order: Order, eng: Any) -> None:
        order.total += 1
        self.do(order, eng, "receive")

    def price_high(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "price_high")
        order.price = "high"

    def polish(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "polish", writes=False)

    def price_low(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "price_low", writes=False)
        order.price = "low"

    def weigh(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "weigh")

    def measure(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "measure", writes=False)

    def measure_again(self, order: Order, eng: Any) -> None:
        """Go back to the task before, once."""
        self.do(order, eng, "measure_again")
        if order.turns["measure_again"] % 2:
            eng.jump_call(-1)

    def weigh_again(self, order: Order, eng: Any) -> None:
        """Go back over a list, once for every third order."""
        self.do(order, eng, "weigh_again", writes=False)
        if order.number % 3 == 0 and order.turns["weigh_again"] % 2:
            eng.jump_call(-1)

    def place(self, order: Order, eng: Any) -> None:
        row, column = eng.extra_data["row"], eng.extra_data["column"]
        order.places.append(f"{row}{column}")
        self.do(order, eng, "place", writes=column == 2)

    def close_row(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "close_row")
        order.total += eng.extra_data["row"]

    def fill(self, order: Order, eng: Any) -> None:
        order.level += 1
        self.do(order, eng, "fill", writes=order.level == 1)

    def prepare(self, order: Order, eng: Any) -> None:
        """Do what is done again, under the same key, when the task after it fails."""
        self.do(order, eng, "prepare", of="mix")

    def mix(self, order: Order, eng: Any) -> None:
        """Fail, inside of a TRY, the first time for each order."""
        failures = order.failures
        order.failures = failures + 1
        if failures % 2 == 0:
            eng.session.add(Effect(run=self.run, token=order.label, task="failed mix", turn=0))
            raise Refused("not mixed yet")
        self.do(order, eng, "mix")

    # Branches

    def pick(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "pick")
        order.picked.append("one")

    def pick_more(self, order: Order, eng: Any) -> None:
        """Halt once, inside of a branch, for one of the orders."""
        self.do(order, eng, "pick_more", writes=False)
        order.picked.append("more")
        if order.number == 3 and order.turns["pick_more"] == 1:
            eng.halt("more is to be picked")

    def pack(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "pack")
        order.packed.append("box")

    def wrap(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "wrap")
        order.packed.append("paper")

    def label(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "label", writes=False)

    def ship(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "ship")
        order.total += len(order.picked) + len(order.packed)

    def inspect(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "inspect")

    def inspect_closely(self, order: Order, eng: Any) -> None:
        """Halt, inside of another definition, for one of the orders."""
        self.do(order, eng, "inspect_closely")
        if order.number == 4:
            eng.halt("look at it")

    def sign(self, order: Order, eng: Any) -> None:
        order.total += 10
        self.do(order, eng, "sign")

    def cut(self, piece: Piece, eng: Any) -> None:
        self.do(piece, eng, "cut")

    def sand(self, piece: Piece, eng: Any) -> None:
        self.do(piece, eng, "sand", writes=False)

    def left(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "left")

    def right(self, order: Order, eng: Any) -> None:
        self.do(order, eng, "right", writes=False)

    def turn(self, order: Order, eng: Any) -> None:
        order.places.append(f"side {eng.extra_data['side']}")
        self.do(order, eng, "turn")

    # What ends, halts and moves

    def deliver(self, order: Order, eng: Any) -> None:
        """Fail until the world outside, which is the ledger, has seen the order."""
        outside = {"run": self.run, "token": order.label, "refused": order.turns.get("deliver", 0)}
        if order.number in (0, 5) and not self.ledger.has(**outside):
            self.ledger.add(**outside)
            order.total = -1000
            raise Refused("nobody at home")
        self.do(order, eng, "deliver")

    def approve(self, order: Order, eng: Any) -> None:
        """Halt: for a decision, or for none, or not at all."""
        self.do(order, eng, "approve")
        if order.number in (1, 4):
            eng.halt("approve it?", action="approve", payload={"total": order.total})
        if order.number == 5:
            eng.halt("wait a moment")

    def note_answer(self, order: Order, eng: Any) -> None:
        """Keep what was decided."""
        order.answers.append(eng.decision)
        self.do(order, eng, "note_answer", writes=order.number == 1)

    def leave(self, order: Order, eng: Any) -> None:
        """Go on with another token, for some of the orders."""
        self.do(order, eng, "leave")
        if order.number == 2:
            eng.continue_next_token()
        if order.number == 3 and order.turns["leave"] == 1:
            eng.jump_token(-1)

    def finish(self, order: Order, eng: Any) -> None:
        order.total += 100
        self.do(order, eng, "finish")


def is_odd(order: Order, eng: Any) -> bool:
    return order.number % 2 == 1


def is_low(order: Order, eng: Any) -> bool:
    return order.level < 2 * (1 + order.turns.get("finish", 0))


def sides(order: Order, eng: Any) -> range:
    """Return what is turned: two sides of one of the orders, nothing of the others."""
    return range(2 if order.number == 1 else 0)


def is_cut(order: Order, eng: Any) -> bool:
    return order.number in (2, 5)


def pieces(order: Order, eng: Any) -> list[Piece]:
    """Return the tokens of the definition that cuts them: three of one order, one of another."""
    turn = order.turns["weigh"]
    return [Piece(order.number, number, turn) for number in range(3 if order.number == 2 else 1)]
