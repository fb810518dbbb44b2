"""Runs that are killed and taken up again until they are done, compared with undisturbed ones."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from attrs import define, evolve, field, frozen

from .findings import Differences, compare
from .killing import KINDS, Point
from .worker import Job

__all__ = ["Broken", "Case", "Harness", "Report", "Tools"]

ROOT = Path(__file__).parents[2]

PATIENCE = 90.0
"""Seconds after which a worker counts as hanging."""


LONGEST_LOG = 8000
"""How many characters of what a worker said are shown."""


class Broken(Exception):
    """A worker ended with an exception, or does not end at all."""


@define
class Worker:
    """A process at work."""

    tools: "Tools"
    pid: int
    report: Path
    ending: str | None = None

    def wait(self, seconds: float = PATIENCE) -> str | None:
        """Return ``ended``, ``killed`` or ``stopped``; None when it still runs after so long."""
        if self.ending in (None, "stopped"):
            self.ending = self.tools.order("wait", pid=self.pid, seconds=seconds)
        return self.ending

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.tools.order("signal", pid=self.pid, number=int(number))

    def result(self) -> Any:
        """Return what it found out.

        :raises Broken: when it did not end by itself.
        """
        ending = self.wait()
        if ending is None:
            raise Broken(f"the worker hangs\n{self._stack()}")
        if ending != "ended":
            raise Broken(f"the worker was {ending}\n{self._log()}")
        found = json.loads(self.report.read_text())
        if "error" in found:
            raise Broken(f"{found['traceback'][-1500:]}\n{self._log()}")
        return found["result"]

    def _stack(self) -> str:
        """Return where a worker that hangs stands, and end it."""
        self.signal(signal.SIGUSR1)
        self.wait(1.0)
        self.signal(signal.SIGKILL)
        self.wait()
        return self._log()

    def _log(self) -> str:
        log = Path(f"{self.report}.log")
        return log.read_text()[-LONGEST_LOG:] if log.exists() else ""


class Tools:
    """The process that workers are forked from, and a folder for what they write."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self.folder = folder
        self._numbers = count(1)

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator["Tools"]:
        """Start the process; end it, and all its workers, afterwards."""
        command = [sys.executable, "-m", f"{__package__}.worker"]
        with subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            try:
                yield cls(process, folder)
            finally:
                assert process.stdin is not None
                process.stdin.close()
                process.wait()

    def order(self, do: str, **details: Any) -> Any:
        """Have it do something; return the answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": do, **details}) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())

    def start(self, work: str, job: Job) -> Worker:
        """Have a process forked that does a job."""
        report = self.folder / f"report-{next(self._numbers)}"
        return Worker(
            self, self.order("start", work=work, job=job.to_json(), report=str(report)), report
        )

    def do(self, work: str, job: Job) -> Any:
        """Have a job done; return its result."""
        return self.start(work, job).result()


# Runs


@frozen
class Case:
    """A kind of run.

    :param is_patient: whether the lease of a process that was killed runs out in real time;
        otherwise the clock of the next one is ahead.
    """

    checkpoint: str = "task"
    checkpoint_tokens: int = 1
    stops: bool = True
    is_streamed: bool = False
    decides: bool = False
    is_patient: bool = False

    @classmethod
    def drawn(cls, random: Random) -> "Case":
        """Return one by chance."""
        checkpoint = random.choice(("task", "task", "token", "halt"))
        return cls(
            checkpoint,
            random.choice((1, 3)) if checkpoint == "token" else 1,
            stops=random.random() < 0.6,
            is_streamed=random.random() < 0.3,
            decides=random.random() < 0.5,
            is_patient=random.random() < 0.2,
        )

    def job(self, url: str, run: str, folder: Path) -> Job:
        """Return the job to bring such a run to its end."""
        return Job(
            url,
            run,
            str(folder),
            checkpoint=self.checkpoint,
            checkpoint_tokens=self.checkpoint_tokens,
            stops=self.stops,
            is_streamed=self.is_streamed,
            decides=self.decides,
            lease_seconds=SHORT_LEASE if self.is_patient else LONG_LEASE,
        )


SHORT_LEASE = 1.0
LONG_LEASE = 30.0

MOST_KILLS = 6
"""How often one run is killed at most."""


@define
class Report:
    """What became of runs that were killed.

    :param losers: how often a worker was told that the run is another's.
    :param failures: what was wrong with which of them, in words.
    """

    runs: int = 0
    kills: int = 0
    resumes: int = 0
    lost: int = 0
    doubled: int = 0
    losers: int = 0
    failures: list[str] = field(factory=list)

    def add(self, other: "Report") -> None:
        """Count the runs of another report as well."""
        for name in ("runs", "kills", "resumes", "lost", "doubled", "losers"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures

    def note(self, what: str, differences: Differences) -> None:
        """Note how a run differs from what it should be."""
        self.lost += len(differences.lost)
        self.doubled += len(differences.doubled)
        if differences:
            self.failures.append(f"{what}\n{differences}")

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.resumes} resumes, {self.lost} lost, "
            f"{self.doubled} doubled, {len(self.failures)} of {self.runs} runs wrong; "
            f"{self.losers} times a worker was told to keep off"
        )


@frozen
class Undisturbed:
    """A run that nobody killed: what it left behind, what it did, and how long it took."""

    found: dict[str, Any]
    counts: dict[str, int]
    seconds: float


@define
class Harness:
    """Kills runs in one database.

    :param seed: decides about all that is left to chance: with the number of a run, which one can
        be repeated.
    """

    tools: Tools
    url: str
    seed: int
    _undisturbed: dict[Case, Undisturbed] = field(factory=dict)
    _numbers: Iterator[int] = field(factory=count)

    def __attrs_post_init__(self) -> None:
        self.tools.do("prepare", Case().job(self.url, "none", self.tools.folder))

    def undisturbed(self, case: Case) -> Undisturbed:
        """Return how such a run goes if it is not killed."""
        known = self._undisturbed.get(case)
        if known is None:
            job = self.new_run(case, f"undisturbed {next(self._numbers)}")
            start = monotonic()
            counts = self.tools.do("carry_on", job)["counts"]
            seconds = monotonic() - start
            known = Undisturbed(self.tools.do("look_at", job), counts, seconds)
            self._undisturbed[case] = known
        return known

    def new_run(self, case: Case, name: str) -> Job:
        """Return the job for a run that does not exist yet."""
        job = case.job(self.url, name, self.tools.folder)
        self.tools.do("prepare_run", job)
        return job

    def kill(self, number: int, cases: Sequence[Case] = ()) -> Report:
        """Kill a run again and again, and have it brought to its end.

        :param number: which one: each differs from all others, and is the same each time.
        :param cases: of what kind it may be; by default of any.
        """
        random = Random(f"{self.seed}/{number}")
        case = random.choice(cases) if cases else Case.drawn(random)
        job = self.new_run(case, f"run {number}")
        report, deaths = Report(runs=1), list[str]()
        what = f"seed {self.seed}, run {number}: {case}"
        try:
            usual = self.undisturbed(case)
            while self._dies(job, usual, random, deaths):
                report.kills += 1
                report.resumes += 1
                job = job if case.is_patient else evolve(job, later=job.later + 2 * LONG_LEASE)
            report.note(
                f"{what}, killed {deaths}", compare(usual.found, self.tools.do("look_at", job))
            )
        except Broken as error:
            report.failures.append(f"{what}, killed {deaths}: {error}")
        return report

    def _dies(self, job: Job, usual: Undisturbed, random: Random, deaths: list[str]) -> bool:
        """Have a run carried on, and perhaps killed; return whether it was."""
        chance = 0.8 if deaths else 1.0
        if len(deaths) >= MOST_KILLS or random.random() > chance:
            self.tools.do("carry_on", job)
            return False
        if random.random() < 0.3:
            return self._dies_in_time(job, random.uniform(0, usual.seconds / 2), deaths)
        at = drawn_point(random, usual.counts, is_first=not deaths)
        worker = self.tools.start("carry_on", evolve(job, at=at))
        if worker.wait() == "killed":
            deaths.append(str(at))
            return True
        worker.result()
        return False

    def _dies_in_time(self, job: Job, seconds: float, deaths: list[str]) -> bool:
        worker = self.tools.start("carry_on", job)
        if worker.wait(seconds) is None:
            worker.signal(signal.SIGKILL)
        if worker.wait() == "killed":
            deaths.append(f"after {seconds:.3f} s")
            return True
        worker.result()
        return False


def drawn_point(random: Random, counts: dict[str, int], is_first: bool) -> Point:
    """Return a point by chance, of those that a run passes.

    A run that is resumed passes fewer, and its first ones matter most.
    """
    kind = random.choice(KINDS)
    most = counts[kind] if is_first else max(counts[kind] // random.choice((2, 8, 64)), 4)
    return Point(kind, random.randint(1, most), random.random() < 0.5)
