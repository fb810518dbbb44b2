"""The benchmark runs and compares like with like; how fast anything is, no test asks."""

import json
import platform
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LIMITS = {
    "noop": {"at_most": 2.0},
    "mix": {"at_most": 4.0},
    "memory": {"at_most": 10.0},
    "import": {"at_most": 40.0},
    "imports": {"at_most": 0},
    "hooks": {},
    "signals": {},
    "async": {},
}


def bench(*arguments, status=0):
    """Run the benchmark on tiny sizes and return what its lines say, by figure."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "kernel.py", "--quick", *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == status, done.stderr
    return {line["figure"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def printed():
    return bench(*LIMITS)


def test_each_figure_is_a_line_of_its_own(printed):
    assert list(printed) == list(LIMITS)


@pytest.mark.parametrize("figure", LIMITS)
def test_a_figure_says_what_was_measured_and_how_it_varied(printed, figure):
    line = printed[figure]
    assert line["compared"]
    assert line["unit"] in ("ratio", "MB", "ms", "modules")
    assert line["min"] <= line["median"] <= line["max"]
    assert line["python"] == platform.python_version()


@pytest.mark.parametrize("figure", LIMITS)
def test_a_figure_says_its_limit_and_whether_it_holds(printed, figure):
    line = printed[figure]
    assert {key: line[key] for key in ("at_most", "at_least") if key in line} == LIMITS[figure]
    if LIMITS[figure]:
        assert line["holds"] == (line["median"] <= line["at_most"])
    else:
        assert "holds" not in line


def test_importing_wfengine_brings_no_heavy_module(printed):
    assert printed["imports"]["found"] == []


@pytest.fixture
def no_room_for_a_peer(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("TOX_ENV_DIR", str(file))


@pytest.mark.usefixtures("no_room_for_a_peer")
@pytest.mark.parametrize("figure", ["noop-peer", "mix-peer"])
def test_without_the_peer_a_line_says_why_it_was_skipped(figure):
    assert "Not a directory" in bench(figure)[figure]["skipped"]


@pytest.mark.usefixtures("no_room_for_a_peer")
def test_a_skipped_figure_fails_only_under_strict():
    bench("noop-peer", status=0)
    bench("noop-peer", "--strict", status=1)


def test_an_unknown_figure_is_a_usage_error():
    assert bench("no-such-figure", status=2) == {}


@pytest.fixture(scope="module")
def workloads():
    return runpy.run_path(str(BENCHMARKS / "workloads.py"))


@pytest.fixture
def calls_of(workloads):
    """Return a function that lists the workloads' callables that were called, in order."""

    def calls_of(run, *args):
        names = []

        def note(frame, event, arg):
            if event == "call" and frame.f_code.co_filename.endswith("workloads.py"):
                names.append(frame.f_code.co_name)

        sys.setprofile(note)
        try:
            run(*args)
        finally:
            sys.setprofile(None)
        return names

    return calls_of


@pytest.mark.parametrize("definition", ["noops", "mix"])
def test_plain_python_calls_the_same_callables_as_the_engine(workloads, calls_of, definition):
    engine = workloads["engine_of"]("wfengine", definition)
    tokens = [workloads["Token"](), workloads["Token"]()]
    by_engine = calls_of(engine.process, tokens)
    plain = workloads[f"plain_{definition}"]
    assert calls_of(plain, tokens, engine) == [plain.__name__, *by_engine]
    assert len(by_engine) >= 2 * 50


def test_without_for_the_peer_calls_the_same_callables_too(workloads, calls_of):
    stands_for_the_loop = {"start_items", "next_item_is_below_ten"}
    with_for, without = (
        calls_of(workloads["engine_of"]("wfengine", name).process, [workloads["Token"]()])
        for name in ("mix", "mix_without_for")
    )
    assert [name for name in without if name not in stands_for_the_loop] == with_for
