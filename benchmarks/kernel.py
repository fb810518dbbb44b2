"""What the kernel costs: time, against plain Python and against its predecessor; memory; import.

Prints one JSON line for each figure: the median, least and greatest of many measurements. Each is
made of two that are taken in turn, so that whatever else the machine does slows both.
"""

import argparse
import asyncio
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import peer
from processes import reason, run
from workloads import NOOPS, Token, engine_of, plain_mix, plain_noops, seconds

import wfengine
from wfengine.engine import ActionMapper, GenericWorkflowEngine, ProcessingFactory
from wfengine.signals import task_finished

HERE = Path(__file__).parent
WFENGINE = Path(wfengine.__file__).parent
HEAVY = ["sqlalchemy", "asyncio", "typer", "rich"]

Record = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How many tokens are run at a time, and how often each kind of measurement is repeated."""

    tokens: int = 1000
    timings: int = 101
    processes: int = 15
    starts: int = 41
    few_tokens: int = 10_000
    many_tokens: int = 1_000_000
    peaks: int = 3


QUICK = Sizes(5, timings=3, processes=1, starts=1, few_tokens=10, many_tokens=100, peaks=1)


def noop(sizes: Sizes) -> Record:
    """Run 50 callbacks that do nothing."""
    engine = engine_of("wfengine", "noops")
    return against_plain(plain_noops, engine, engine.process, sizes, at_most=2.0)


def noop_peer(sizes: Sizes) -> Record:
    """The same with the peer."""
    return against_peer("noops", "noops", sizes, at_least=25.0)


def mix(sizes: Sizes) -> Record:
    """Run IF_ELSE three deep, FOR of 10 over three callbacks, WHILE of 10."""
    engine = engine_of("wfengine", "mix")
    return against_plain(plain_mix, engine, engine.process, sizes, at_most=4.0)


def mix_peer(sizes: Sizes) -> Record:
    """The same with the peer, which has a WHILE in place of its FOR, as that ends in an error."""
    return against_peer("mix", "mix_without_for", sizes, at_least=20.0)


def memory(sizes: Sizes) -> Record:
    """Push a million tokens from a generator through three callbacks, and ten thousand."""

    def peak(tokens: int) -> float:
        return float(run(sys.executable, HERE / "memory.py", str(tokens)))

    pairs = in_turn(
        lambda: peak(sizes.few_tokens), lambda: peak(sizes.many_tokens), times=sizes.peaks
    )
    growth = [(many - few) / 1e6 for few, many in pairs]
    compared = f"peak of {sizes.many_tokens} tokens - peak of {sizes.few_tokens}"
    return record(growth, "MB", compared, at_most=10.0)


def import_time(sizes: Sizes) -> Record:
    """Import wfengine in a fresh interpreter."""

    def start(code: str) -> float:
        return seconds(fresh_python, code)

    pairs = in_turn(lambda: start("pass"), lambda: start("import wfengine"), times=sizes.starts)
    added = [(importing - bare) * 1000 for bare, importing in pairs]
    return record(added, "ms", "import wfengine - bare Python", at_most=40.0)


def imports(sizes: Sizes) -> Record:
    """Import wfengine and see which heavy modules came with it."""
    found = fresh_python(
        f"import wfengine; print(*(name for name in {HEAVY} if name in sys.modules))"
    ).split()
    compared = f"imported of {', '.join(HEAVY)}"
    return record([len(found)], "modules", compared, at_most=0, found=found)


def fresh_python(code: str) -> str:
    """Run code in a new interpreter that has imported nothing but what every Python does."""
    # -S leaves out what an editable install or a tool imports at each start, which would seem free.
    set_up = f"import site, sys; sys.path += {[str(WFENGINE.parent), *sys.path[1:]]}; "
    return run(sys.executable, "-S", "-P", "-c", set_up + code, PYTHONDONTWRITEBYTECODE="")


def hooks(sizes: Sizes) -> Record:
    """Run the 50 callbacks with a hook that does nothing before each."""

    class Mapper(ActionMapper):
        @staticmethod
        def before_each_callback(eng: Any, callback_func: Any, obj: Any) -> None:
            pass

    class Factory(ProcessingFactory):
        action_mapper = Mapper

    class Hooked(GenericWorkflowEngine):
        processing_factory = Factory

    engine = Hooked()
    engine.callbacks.replace(NOOPS)
    return against_plain(plain_noops, engine, engine.process, sizes)


def signals(sizes: Sizes) -> Record:
    """Run the 50 callbacks while a receiver that does nothing listens to each."""
    engine = engine_of("wfengine", "noops")
    with task_finished.connected_to(lambda eng, **context: None):
        return against_plain(plain_noops, engine, engine.process, sizes)


def asynchronous(sizes: Sizes) -> Record:
    """Run the 50 callbacks, none of them a coroutine, under process_async."""
    engine = engine_of("wfengine", "noops")
    with asyncio.Runner() as runner:

        def process(tokens: list[Token]) -> None:
            runner.run(engine.process_async(tokens))

        return against_plain(plain_noops, engine, process, sizes)


FIGURES: dict[str, Callable[[Sizes], Record]] = {
    "noop": noop,
    "noop-peer": noop_peer,
    "mix": mix,
    "mix-peer": mix_peer,
    "memory": memory,
    "import": import_time,
    "imports": imports,
    "hooks": hooks,
    "signals": signals,
    "async": asynchronous,
}


def against_plain(
    plain: Callable[..., None],
    engine: GenericWorkflowEngine,
    process: Callable[[list[Token]], None],
    sizes: Sizes,
    **limit: float,
) -> Record:
    """Return how many times as long an engine takes as plain Python."""
    tokens = [Token() for _ in range(sizes.tokens)]

    def per_token(call: Callable[..., None], *args: Any) -> float:
        return seconds(call, tokens, *args) / len(tokens)

    pairs = in_turn(
        lambda: per_token(plain, engine), lambda: per_token(process), times=sizes.timings
    )
    ratios = [engine_time / plain_time for plain_time, engine_time in pairs]
    times = in_microseconds(pairs, "plain", "wfengine")
    return record(ratios, "ratio", "wfengine / plain Python", us_per_token=times, **limit)


def against_peer(ours: str, theirs: str, sizes: Sizes, **limit: float) -> Record:
    """Return how many times as long the peer takes; each measurement has a process of its own."""

    try:
        peer.install()
    except (OSError, subprocess.SubprocessError) as error:
        return {"skipped": f"no peer to compare with: {reason(error)}"}

    def per_token() -> float:
        command = [HERE / "workloads.py", "wfengine", ours, str(sizes.tokens)]
        return float(run(sys.executable, *command))

    pairs = in_turn(
        per_token, lambda: peer.seconds_per_token(theirs, sizes.tokens), times=sizes.processes
    )
    ratios = [peer_time / engine_time for engine_time, peer_time in pairs]
    times = in_microseconds(pairs, "wfengine", "workflow 2.1.6")
    return record(ratios, "ratio", "workflow 2.1.6 / wfengine", us_per_token=times, **limit)


def in_turn(
    one: Callable[[], float], other: Callable[[], float], times: int
) -> list[tuple[float, float]]:
    """Take two measurements in turn, again and again, after a first that only warms up."""
    one(), other()
    return [(one(), other()) for _ in range(times)]


def in_microseconds(pairs: list[tuple[float, float]], *names: str) -> dict[str, float]:
    """Return the median of each side of pairs of seconds."""
    sides = zip(*pairs, strict=True)
    return {name: round(median(side) * 1e6, 2) for name, side in zip(names, sides, strict=True)}


def record(
    values: list[float],
    unit: str,
    compared: str,
    at_most: float | None = None,
    at_least: float | None = None,
    **more: Any,
) -> Record:
    """Return what is printed of a figure; it holds if its median keeps to its limit."""
    low, middle, high = (round(value, 2) for value in (min(values), median(values), max(values)))
    limit: Record = {}
    if at_most is not None:
        limit = {"at_most": at_most, "holds": middle <= at_most}
    elif at_least is not None:
        limit = {"at_least": at_least, "holds": middle >= at_least}
    spread = {"median": middle, "min": low, "max": high}
    return {"compared": compared, "unit": unit, **spread, **limit, **more}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(FIGURES))
    parser.add_argument("--quick", action="store_true", help="try everything, measure nothing")
    parser.add_argument(
        "--strict", action="store_true", help="exit 1 if a limit does not hold or was not checked"
    )
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"there is no figure {', '.join(sorted(unknown))}")
    failed = False
    for name in options.figures or FIGURES:
        measured = FIGURES[name](QUICK if options.quick else Sizes())
        failed |= "skipped" in measured or not measured.get("holds", True)
        line = {"figure": name, **measured, "python": platform.python_version()}
        print(json.dumps(line), flush=True)
    return int(options.strict and failed)


if __name__ == "__main__":
    sys.exit(main())
