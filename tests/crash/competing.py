"""Several workers with one run: who loses it must not write, and must be told so."""

import signal
from collections import Counter
from collections.abc import Sequence
from random import Random
from time import sleep

from attrs import evolve

from .findings import compare
from .harness import LONG_LEASE, SHORT_LEASE, Broken, Case, Harness, Report, Worker, drawn_point
from .killing import Point
from .worker import Job

__all__ = ["RIVALS", "compete", "sleep_through"]

RIVALS = (Case(), Case(checkpoint="token", stops=False))
"""The kinds of runs that are fought for; in all of them the order of what workers do is free."""

ALLOWED = {
    "HaltProcessing",
    "LeaseHeldError",
    "LeaseLostError",
    "Refused",
    "nothing to resume",
    "return",
}
"""What workers may meet."""

PAUSES = 4
"""How many times workers are put to sleep, at most."""

TOGETHER = 1.5
"""Seconds that another worker has for itself before the sleeping one wakes up."""


def sleep_through(harness: Harness, number: int, cases: Sequence[Case]) -> Report:
    """Stop a worker at a point by chance, let another one have the run, and wake the first."""
    random = Random(f"{harness.seed}/sleep/{number}")
    case = random.choice(cases)
    usual = harness.undisturbed(case)
    job = begun(harness, case, f"sleep {number}")
    at = drawn_point(random, usual.counts, is_first=True)
    sleeper = harness.tools.start(
        "carry_on", evolve(job, later=2 * LONG_LEASE, at=at, signal=signal.SIGSTOP)
    )
    workers = [sleeper]
    if sleeper.wait() == "stopped":
        other = harness.tools.start("carry_on", evolve(job, later=4 * LONG_LEASE))
        workers.append(other)
        other.wait(TOGETHER)
        sleeper.signal(signal.SIGCONT)
    what = f"seed {harness.seed}, sleep {number}: {case}, stopped {at}"
    return outcome(harness, job, workers, what, usual.found)


def compete(harness: Harness, number: int, cases: Sequence[Case], count: int) -> Report:
    """Have several workers fight for a run, some of them asleep for longer than a lease."""
    random = Random(f"{harness.seed}/compete/{number}")
    case = random.choice(cases)
    usual = harness.undisturbed(case)
    job = evolve(begun(harness, case, f"compete {number}"), lease_seconds=SHORT_LEASE, later=0.0)
    workers = [harness.tools.start("carry_on", job) for _ in range(count)]
    for _ in range(PAUSES):
        sleep(random.uniform(0, usual.seconds / 2))
        sleepers = [each for each in random.sample(workers, count // 2) if each.wait(0) is None]
        for worker in sleepers:
            worker.signal(signal.SIGSTOP)
        if sleepers:
            sleep(random.uniform(1.0, 1.5) * SHORT_LEASE)
        for worker in sleepers:
            worker.signal(signal.SIGCONT)
    what = f"seed {harness.seed}, compete {number}: {case}, {count} workers"
    return outcome(harness, job, workers, what, usual.found)


def begun(harness: Harness, case: Case, name: str) -> Job:
    """Return the job of a run that is begun, and whose owner died."""
    job = harness.new_run(evolve(case, is_patient=False), name)
    beginning = evolve(job, lease_seconds=SHORT_LEASE, at=Point("entry", 1, is_after=False))
    harness.tools.start("carry_on", beginning).wait()
    return job


def outcome(
    harness: Harness, job: Job, workers: Sequence[Worker], what: str, expected: object
) -> Report:
    """Return what became of a run when all its workers have ended, and of them."""
    report, met = Report(runs=1), Counter[str]()
    try:
        for worker in workers:
            worker.wait()
        for worker in workers:
            met.update(worker.result()["met"])
        report.note(what, compare(expected, harness.tools.do("look_at", job)))
    except Broken as error:
        report.failures.append(f"{what}: {error}")
    if not met.keys() <= ALLOWED:
        report.failures.append(f"{what}: the workers met {dict(met)}")
    report.losers += met["LeaseHeldError"] + met["LeaseLostError"]
    return report
