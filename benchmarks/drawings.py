"""How long definitions of two thousand tasks take to be drawn as SVG, whole, in each arrangement.

Prints one JSON line for each figure, as the kernel's figures are printed. There is nothing to
compare with: the figures are seconds, most of which Graphviz takes.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

from kernel import Record, record

from wfengine import drawing
from wfengine.patterns import CHOICE, FOR, IF, SIMPLE_MERGE, SYNCHRONIZE, TASK_JUMP_IF, TRY
from wfengine.patterns.graph import GRAPH, Node

TASKS = 2000
TASKS_OF_QUICK = 40
LIMIT = 5.0
TIMES = 3
WHOLE = 100_000
"""Nothing is folded of a definition with fewer tasks."""

SMALL = 20


def task(name: str) -> Callable[[Any, Any], None]:
    """Return a task that does nothing."""

    def nothing(obj: Any, eng: Any) -> None:
        """Do nothing."""

    nothing.__name__ = nothing.__qualname__ = name
    return nothing


def tasks(count: int) -> list[Any]:
    """Return so many tasks."""
    return [task(f"t{number}") for number in range(count)]


def nested(count: int, depth: int) -> list[Any]:
    """Return conditions inside of each other, each with a task after it."""
    steps: list[Any] = []
    for number in range(count // (2 * depth)):
        inside: list[Any] = [task(f"t{number}")]
        for level in range(depth):
            inside = [IF(task(f"c{number} {level}"), inside), task(f"a{number} {level}")]
        steps += inside
    return steps


def loops(count: int) -> list[Any]:
    """Return loops inside of each other, with what may fail inside of them."""
    steps = tasks(count)
    small = [steps[start : start + SMALL // 2] for start in range(0, count, SMALL // 2)]
    return [
        FOR(range(3), "n", [TRY(first), *second])
        for first, second in zip(small[::2], small[1::2], strict=False)
    ]


def jumps(count: int, back: int) -> list[Any]:
    """Return tasks with conditions between them that jump so many elements back."""
    steps: list[Any] = []
    for number in range(count // 2):
        steps += [task(f"t{number}"), TASK_JUMP_IF(task(f"q{number}"), -back)]
    return steps


def graph(count: int, *before: int) -> list[Any]:
    """Return elements that require those so many places before them."""
    nodes = [
        Node(f"e{number}", task(f"e{number}"), [f"e{number - n}" for n in before if n <= number])
        for number in range(count)
    ]
    return [GRAPH(*nodes)]


FIGURES: dict[str, Callable[[int], list[Any]]] = {
    "drawings-list": tasks,
    "drawings-conditions-10-deep": lambda count: nested(count, 10),
    "drawings-conditions-30-deep": lambda count: nested(max(count, 60), 30),
    "drawings-loops": loops,
    "drawings-jumps": lambda count: jumps(count, 20),
    "drawings-choice": lambda count: [CHOICE(task("asks"), *enumerate(tasks(count)))],
    "drawings-merge": lambda count: [SIMPLE_MERGE(*tasks(count))],
    "drawings-branches": lambda count: [SYNCHRONIZE(*tasks(count))],
    "drawings-graph-chain": lambda count: graph(count, 1),
    "drawings-graph-free": graph,
    "drawings-graph-dense": lambda count: graph(count, 1, 7),
}


def seconds_of(definition: Any) -> float:
    """Return how long a drawing takes."""
    start = perf_counter()
    drawing.svg(definition, most=WHOLE)
    return perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(FIGURES))
    parser.add_argument("--quick", action="store_true", help="try everything, measure nothing")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a limit does not hold")
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"there is no figure {', '.join(sorted(unknown))}")
    failed = False
    for name in options.figures or FIGURES:
        count = TASKS_OF_QUICK if options.quick else TASKS
        measured = measure(FIGURES[name](count), count, 1 if options.quick else TIMES)
        failed |= not measured["holds"]
        line = {"figure": name, **measured, "python": platform.python_version()}
        print(json.dumps(line), flush=True)
    return int(options.strict and failed)


def measure(definition: Any, count: int, times: int) -> Record:
    """Draw a definition a few times."""
    seconds = [seconds_of(definition) for _ in range(times)]
    return record(seconds, "s", "nothing", at_most=LIMIT, tasks=count)


if __name__ == "__main__":
    sys.exit(main())
