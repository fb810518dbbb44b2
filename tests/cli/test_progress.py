"""Progress: a bar on a terminal, a line now and then elsewhere."""

import fcntl
import os
import pty
import subprocess
import sys
import termios
from contextlib import suppress
from queue import Queue
from threading import enumerate as enumerate_threads

import pytest
from rich.console import Console

from wfengine.cli import progress
from wfengine.cli.progress import Meter, shown
from wfengine.cli.records import Record
from wfengine.cli.sources import Source
from wfengine.cli.tally import Tally

from .support import ENVIRONMENT, MODULE, PATIENCE

SOON = 10
"""Seconds in which a program that was told to end has ended, if it has noticed."""

# Makes the terminal on standard input the one whose Ctrl-C reaches this process.
IN_A_TERMINAL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """The command on a terminal."""

    def __init__(self, folder, *arguments, command="run"):
        self.shown = ""
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, b"\x28\x00\x64\x00\x00\x00\x00\x00")
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_A_TERMINAL, *MODULE, command, *arguments],
            cwd=folder.path,
            env={name: value for name, value in ENVIRONMENT.items() if name != "COLUMNS"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)

    def until(self, text):
        """Read what is shown until there is some text in it."""
        while text not in self.shown:
            self.shown += os.read(self.ours, 4096).decode()

    def end(self):
        """Read to the end, and return the exit status."""
        try:
            while more := os.read(self.ours, 4096):
                self.shown += more.decode()
        except OSError:
            pass  # a terminal whose program has ended
        return self.process.wait(PATIENCE)

    def break_off(self):
        """Press Ctrl-C until it ends, and return the exit status.

        Python notices one that comes just before it waits for input when that wait is over.
        """
        while self.process.poll() is None:
            self.press_ctrl_c()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(SOON)
        return self.end()

    def press_ctrl_c(self):
        os.write(self.ours, b"\x03")


def test_on_a_terminal_a_bar_fills_up_and_the_summary_follows(birds):
    with Terminal(birds, "birds.py:workflow", "--input", "good.csv") as terminal:
        assert terminal.end() == 0
    bar, _, summary = terminal.shown.partition("100%")
    assert "good.csv" in bar
    assert "━" in bar
    assert "2 tokens" in summary
    assert "/s" in summary
    assert "written" in summary


def test_what_a_task_prints_stands_above_the_bar(folder):
    folder.write(
        flow_py="def task(obj, eng): print('token', obj['a'])", rows_csv="a\nfirst\nsecond\n"
    )
    with Terminal(folder, "flow.py:task", "--input", "rows.csv") as terminal:
        assert terminal.end() == 0
    first, second, full = map(terminal.shown.index, ("token first", "token second", "100%"))
    assert first < second < full


def test_quiet_shows_nothing_on_a_terminal_either(birds):
    with Terminal(birds, "birds.py:workflow", "--input", "good.csv", "--quiet") as terminal:
        assert terminal.end() == 0
    assert terminal.shown == ""


def test_ctrl_c_typed_on_the_terminal_stops_the_run(folder):
    folder.write(
        flow_py="""
import os, time

def task(obj, eng):
    print("begun", obj["a"])
    while not os.path.exists("gate"):
        time.sleep(0.01)
""",
        rows_csv="a\n1\n2\n",
    )
    with Terminal(folder, "flow.py:task", "--input", "rows.csv") as terminal:
        terminal.until("begun 1")
        terminal.press_ctrl_c()
        terminal.until("Stopping after the current task")
        (folder / "gate").write_text("")
        assert terminal.end() == 130
    assert "begun 2" not in terminal.shown
    assert "Interrupted after " in terminal.shown


def test_ctrl_c_on_a_stored_run_says_how_it_goes_on(folder):
    folder.write(
        flow_py="""
import os, time

def task(obj, eng):
    print("begun", obj["a"])
    while not os.path.exists("gate"):
        time.sleep(0.01)
""",
        rows_csv="a\n1\n2\n",
    )
    run = ("flow.py:task", "--input", "rows.csv", "--store", "sqlite:///runs.db")
    with Terminal(folder, *run) as terminal:
        terminal.until("begun 1")
        terminal.press_ctrl_c()
        terminal.until("Stopping after the current task")
        (folder / "gate").write_text("")
        assert terminal.end() == 130
    assert "begun 2" not in terminal.shown
    assert "is halted" in terminal.shown
    assert "the same command with --resume goes on with it" in terminal.shown
    with Terminal(folder, *run, "--resume") as terminal:
        assert terminal.end() == 0
    assert "begun 2" in terminal.shown
    assert "begun 1" not in terminal.shown
    assert "is completed" in terminal.shown


def test_on_a_terminal_without_an_input_the_command_does_not_wait_for_one(birds):
    with Terminal(birds, "birds.py:workflow") as terminal:
        assert terminal.end() == 2
    assert "there is nothing to read; give --input FILE" in terminal.shown


def test_a_dash_reads_what_is_typed_on_the_terminal(birds):
    with Terminal(birds, "birds.py:workflow", "--input", "-") as terminal:
        os.write(terminal.ours, b"bird,count\nrobin,2\n\x04")
        assert terminal.end() == 0
    assert "read" in terminal.shown
    assert (birds / "output" / "sightings.jsonl").read_text() == '{"bird": "robin", "count": 2}\n'


def test_elsewhere_nothing_is_drawn(birds):
    done = birds.run("birds.py:workflow", "--input", "good.csv")
    assert "\x1b" not in done.out
    assert done.err == ""


# The meter, with a clock that the test moves on


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def meter(tmp_path, clock):
    """A meter for an input of 1,000 bytes."""
    (tmp_path / "rows.csv").write_bytes(b"x" * 1000)
    source = Source.open(str(tmp_path / "rows.csv"))
    yield Meter(source, Tally(), clock=clock)
    source.close()


def count(meter, rows, up_to):
    """Read rows, up to a byte of the input."""
    for _ in range(rows):
        meter.tally.row(Record({}, "rows.csv", 1))
    meter.source.bytes_read = up_to


def test_rate_and_time_left_come_from_what_was_read(meter, clock):
    count(meter, rows=200, up_to=250)
    clock.now += 10
    assert (meter.rate, meter.part, meter.seconds_left) == (20, 0.25, 30)
    assert str(meter) == "200 tokens, 20/s, 25%, 30 s left"


def test_a_limit_counts_as_the_whole_when_it_is_reached_first(meter, clock):
    meter.limit = 400
    count(meter, rows=200, up_to=250)
    clock.now += 10
    assert (meter.part, meter.seconds_left) == (0.5, 10)


def test_the_time_left_is_not_told_where_the_whole_is_not_known(meter, clock):
    meter.source.size = None
    count(meter, rows=3, up_to=250)
    clock.now += 2
    assert str(meter) == "3 tokens, 1.5/s"


class Printed:
    """A file that hands over each line as it is printed."""

    def __init__(self):
        self.lines = Queue()

    def write(self, text):
        self.lines.put(text)

    def flush(self):
        pass

    def until(self, line):
        before = [self.lines.get(timeout=PATIENCE)]
        while before[-1] != f"{line}\n":
            assert len(before) < 1000, before[-1]
            before.append(self.lines.get(timeout=PATIENCE))


@pytest.fixture
def often(monkeypatch):
    """Have lines printed often, as if more time had passed."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)


@pytest.mark.usefixtures("often")
def test_where_there_is_no_terminal_lines_are_printed_though_no_token_ends(meter, clock):
    printed = Printed()
    with shown(meter, Console(file=printed)):
        clock.now += 10
        printed.until("0 tokens, 0.0/s")
        printed.until("0 tokens, 0.0/s")
        count(meter, rows=200, up_to=250)
        printed.until("200 tokens, 20/s, 25%, 30 s left")
        clock.now += 10
        printed.until("200 tokens, 10/s, 25%, 60 s left")
    assert not [each for each in enumerate_threads() if each.name == "wfengine progress"]


def test_a_run_that_is_over_soon_prints_no_line(meter, capsys):
    with shown(meter, Console()) as tick:
        tick()
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("often")
def test_without_a_console_nothing_is_printed(meter, capsys):
    with shown(meter, None) as tick:
        tick()
        assert not [each for each in enumerate_threads() if each.name == "wfengine progress"]
    assert capsys.readouterr() == ("", "")
