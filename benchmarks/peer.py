"""The peer: Workflow 2.1.6, from the package registry, in an environment of its own."""

import os
import sys
import sysconfig
import venv
from pathlib import Path

from processes import run

HERE = Path(__file__).parent
# The peer needs pkg_resources, which later versions of setuptools do not have.
REQUIREMENTS = ["workflow==2.1.6", "setuptools<81"]


def install() -> None:
    """Make the peer's environment, unless it is there."""
    complete = _home() / "complete"
    if not complete.exists():
        venv.create(_home(), clear=True, with_pip=True)
        _python("-m", "pip", "install", "--quiet", "--retries", "1", *REQUIREMENTS)
        _python("-c", "import workflow.engine")
        complete.touch()


def seconds_per_token(definition: str, tokens: int) -> float:
    """Return how long the peer takes for one token, measured in a process of its own."""
    return float(_python(HERE / "workloads.py", "workflow", definition, str(tokens)))


def _python(*arguments: str | Path) -> str:
    scripts = sysconfig.get_path("scripts", "venv", {"base": str(_home())})
    return run(Path(scripts, "python"), *arguments, PYTHONPATH=str(HERE / "peer_site"))


def _home() -> Path:
    cache = os.environ.get("TOX_ENV_DIR") or Path.home() / ".cache" / "wfengine-benchmarks"
    return Path(cache, "workflow-2.1.6-python{}.{}".format(*sys.version_info))
