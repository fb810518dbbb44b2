"""The durable engines to compare with, from the package registry, each in its own environment."""

import os
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from processes import run

HERE = Path(__file__).parent
WORKLOADS = HERE / "durable_workloads.py"
RUNS = "7"


@dataclass(frozen=True)
class Peer:
    """An engine that :mod:`durable_workloads` knows.

    :param requirements: what pip installs; the first of it names the environment.
    """

    engine: str
    requirements: tuple[str, ...]

    def install(self) -> None:
        """Make its environment, unless it is there."""
        complete = self._home / "complete"
        if not complete.exists():
            venv.create(self._home, clear=True, with_pip=True)
            self._python("-m", "pip", "install", "--quiet", "--retries", "1", *self.requirements)
            complete.touch()

    def seconds_per_task(self, url: str) -> list[float]:
        """Return how long it takes for a task in each of a few runs, in a process of its own."""
        return _seconds(self._python(WORKLOADS, self.engine, url, RUNS))

    @property
    def _home(self) -> Path:
        cache = os.environ.get("TOX_ENV_DIR") or Path.home() / ".cache" / "wfengine-benchmarks"
        name = self.requirements[0].replace("==", "-").removesuffix(".*")
        return Path(cache, f"{name}-python{{}}.{{}}".format(*sys.version_info))

    def _python(self, *arguments: str | Path) -> str:
        scripts = sysconfig.get_path("scripts", "venv", {"base": str(self._home)})
        return run(Path(scripts, "python"), *arguments, PYTHONPATH="")


DBOS = Peer("dbos", ("dbos==3.4.*", "psycopg[binary]"))
BURR = Peer("burr", ("apache-burr==0.43.*",))
LANGGRAPH = Peer("langgraph", ("langgraph==1.2.*", "langgraph-checkpoint-sqlite"))


def wfengine_seconds_per_task(url: str) -> list[float]:
    """Return the same of wfengine."""
    return _seconds(run(sys.executable, WORKLOADS, "wfengine", url, RUNS))


def _seconds(printed: str) -> list[float]:
    return [float(word) for word in printed.split()]
