"""The flights in a store: interrupted and killed, they are written as if nothing had happened."""

import json
import signal
import time

import pytest

from ..cli.support import PATIENCE, Folder
from .test_flights import DATA, TARGET, json_lines

FLIGHTS = 1500
STORE = ["--store", "sqlite:///kept.db"]
NAMES = ["accepted.jsonl", "cancelled.jsonl"]
INPUT = [TARGET, "--input", str(DATA / "flights.csv"), "--limit", str(FLIGHTS)]


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory):
    """The numbers that a run in memory prints, and what it writes."""
    folder = Folder(tmp_path_factory.mktemp("undisturbed"))
    done = folder.run(*INPUT)
    assert done.status == 0, done.err
    return done.numbers(), contents(folder)


@pytest.fixture
def undisturbed(in_memory):
    """What it writes."""
    return in_memory[1]


def contents(folder):
    return {name: (folder / "output" / name).read_bytes() for name in NAMES}


def wait_until_written(started, path, size):
    """Wait until a run has written so many bytes; it must not be over before."""
    latest = time.monotonic() + PATIENCE
    while not path.exists() or path.stat().st_size < size:
        assert started.process.poll() is None, started.end()
        assert time.monotonic() < latest
        time.sleep(0.002)


def disturbed(folder, number, *sizes):
    """Start the flights, and send a signal each time that so much is written."""
    again = []
    for size in sizes:
        with folder.start(*INPUT, *STORE, *again) as started:
            wait_until_written(started, folder / "output" / "accepted.jsonl.part", size)
            started.process.send_signal(number)
            yield started.end()
        again = ["--resume"]


def check_numbers(done, in_memory):
    """Look whether what was printed at the end is what an undisturbed run prints."""
    numbers = done.numbers()
    assert 0 < numbers.pop("of which the run had before") <= FLIGHTS
    assert numbers == in_memory[0]


def test_after_ctrl_c_the_flights_go_on_where_they_were(tmp_path, undisturbed, in_memory):
    folder = Folder(tmp_path)
    for done in disturbed(folder, signal.SIGINT, 100_000, 600_000):
        assert done.status == 130, done.err
        assert "the same command with --resume goes on with it" in done.out
        part = (folder / "output" / "accepted.jsonl").read_bytes()
        assert part != undisturbed["accepted.jsonl"]
        assert undisturbed["accepted.jsonl"].startswith(part)
    done = folder.run(*INPUT, *STORE, "--resume")
    assert (done.status, done.err) == (0, "")
    assert contents(folder) == undisturbed
    check_numbers(done, in_memory)


def test_killed_several_times_the_flights_go_on_at_once(tmp_path, undisturbed, in_memory):
    folder = Folder(tmp_path)
    for done in disturbed(folder, signal.SIGKILL, 50_000, 400_000, 401_000, 900_000):
        assert done.status == -signal.SIGKILL
    done = folder.run(*INPUT, *STORE, "--resume")
    assert (done.status, done.err) == (0, "")
    assert contents(folder) == undisturbed
    check_numbers(done, in_memory)


def test_unknown_airports_are_decided_on_and_the_flights_go_on(tmp_path, undisturbed):
    folder = Folder(tmp_path)
    folder.run(*INPUT, *STORE)
    waiting = folder.wfengine("halted", "--json", *STORE).out.splitlines()
    first, second, *others = map(json.loads, waiting)
    airport = {"faa": first["payload"]["faa"], "name": "somewhere"}
    for decision, tokens in ((json.dumps(airport), [first]), ("reject", [second])):
        ids = [argument for token in tokens for argument in ("--token", str(token["id"]))]
        assert folder.wfengine("decide", decision, *ids, *STORE).status == 0
    done = folder.wfengine("decide", "go without", "--action", "identify airport", *STORE)
    assert done.out == f"Decided about {len(others)} tokens.\n"
    done = folder.wfengine("resume", TARGET, *STORE)
    assert (done.status, done.err) == (0, "")
    assert "is completed" in done.out
    added = json_lines(folder / "output" / "accepted.jsonl")[len(undisturbed_lines(undisturbed)) :]
    assert [flight["dest_airport"] for flight in added] == [airport] + [None] * len(others)


def undisturbed_lines(undisturbed):
    return undisturbed["accepted.jsonl"].splitlines()


def test_run_twice_there_are_two_runs_and_the_same_outputs(tmp_path, undisturbed):
    folder = Folder(tmp_path)
    for count in (1, 2):
        assert folder.run(*INPUT, *STORE, "--limit", str(FLIGHTS)).status == 0
        waiting = folder.wfengine("halted", "--json", *STORE).out.splitlines()
        assert len({json.loads(line)["run"] for line in waiting}) == count
    assert contents(folder) == undisturbed
