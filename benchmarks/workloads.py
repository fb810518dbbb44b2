"""The work that is timed: for any engine with the Workflow manual's API, and as plain Python.

``python workloads.py PACKAGE DEFINITION TOKENS`` prints the seconds that the engine of a package
takes for one token. The peer runs this file in an environment without wfengine.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any


class Token:
    number = 1
    count = 0
    total = 0


def make_noop():
    def noop(obj, eng):
        pass

    return noop


NOOPS = [make_noop() for _ in range(50)]


def noops(flow):
    return NOOPS


def plain_noops(tokens, eng):
    for obj in tokens:
        for task in NOOPS:
            task(obj, eng)


def add_one(obj, eng):
    obj.total += 1


def add_number(obj, eng):
    obj.total += obj.number


def add_item(obj, eng):
    obj.total += eng.extra_data["item"]


def is_positive(obj, eng):
    return obj.number > 0


def is_small(obj, eng):
    return obj.number < 10


def is_negative(obj, eng):
    return obj.number < 0


def start_count(obj, eng):
    obj.count = 0


def count_is_below_ten(obj, eng):
    return obj.count < 10


def count(obj, eng):
    obj.count += 1


def mix(flow):
    """IF_ELSE three deep, FOR of ten over three tasks, WHILE of ten."""
    return _mix(flow, [flow.FOR(range(10), "item", [add_one, add_number, add_item])])


def mix_without_for(flow):
    """The same with a WHILE for the FOR, which the peer ends in an error."""
    body = [add_one, add_number, add_item]
    return _mix(flow, [start_items, flow.WHILE(next_item_is_below_ten, body)])


def start_items(obj, eng):
    eng.extra_data["item"] = -1


def next_item_is_below_ten(obj, eng):
    eng.extra_data["item"] += 1
    return eng.extra_data["item"] < 10


def _mix(flow, loop_over_items):
    innermost = flow.IF_ELSE(is_negative, [add_one], [add_one])
    middle = flow.IF_ELSE(is_small, [innermost], [add_one])
    return [
        flow.IF_ELSE(is_positive, [middle], [add_one]),
        loop_over_items,
        start_count,
        flow.WHILE(count_is_below_ten, [count]),
    ]


def plain_mix(tokens, eng):
    extra_data = eng.extra_data
    for obj in tokens:
        if is_positive(obj, eng):
            if is_small(obj, eng):
                if is_negative(obj, eng):
                    add_one(obj, eng)
                else:
                    add_one(obj, eng)
            else:
                add_one(obj, eng)
        else:
            add_one(obj, eng)
        for item in range(10):
            extra_data["item"] = item
            add_one(obj, eng)
            add_number(obj, eng)
            add_item(obj, eng)
        start_count(obj, eng)
        while count_is_below_ten(obj, eng):
            count(obj, eng)


DEFINITIONS = {definition.__name__: definition for definition in (noops, mix, mix_without_for)}


def engine_of(package: str, definition: str) -> Any:
    """Return an engine of a package, given a definition made of that package's patterns."""
    engine = import_module(f"{package}.engine").GenericWorkflowEngine()
    flow = import_module(f"{package}.patterns.controlflow")
    engine.callbacks.replace(DEFINITIONS[definition](flow))
    return engine


def seconds(call: Callable[..., object], *args: object) -> float:
    """Return how long a call takes, the garbage collector at work as it always is."""
    start = perf_counter()
    call(*args)
    return perf_counter() - start


def main(package: str, definition: str, count: str) -> None:
    engine = engine_of(package, definition)
    tokens = [Token() for _ in range(int(count))]
    engine.process(tokens)  # the first run warms up
    print(seconds(engine.process, tokens) / len(tokens))


if __name__ == "__main__":
    main(*sys.argv[1:])
