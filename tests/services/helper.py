"""What a process does that a test has started: ``helper.py TASK ARGUMENTS``."""

import random
import re
import resource
import signal
import sys
import time
from contextlib import suppress

import work

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import HaltProcessing, LeaseLostError, StoreError
from wfengine.store import Store


def say(*words):
    print(*words, flush=True)


def block(url, lease, how):
    """Run orders; in the middle, hold up the whole interpreter for longer than the lease."""
    seconds, has_blocked = float(lease), []

    def hold_up():
        if how == "power":
            return pow(7, 600_000 + len(has_blocked))
        return re.match(r"(a+)+$", "a" * (20 + len(has_blocked) % 2) + "b")

    def blocker(token, eng):
        if not has_blocked:
            say("blocking")
            end = time.monotonic() + 2 * seconds
            while time.monotonic() < end:  # no other thread gets a turn in between
                sys.setswitchinterval(1000)
                has_blocked.append(hold_up())
            sys.setswitchinterval(0.005)

    with Store(url, lease_seconds=seconds) as store:
        eng = work.begin(store)
        say(eng.uuid)
        eng.callbacks.replace([*work.DEFINITION[:2], blocker, *work.DEFINITION[2:]])
        try:
            eng.process(work.tokens())
        except LeaseLostError as error:
            say(type(error).__name__)
        else:
            say("nothing")


def many(url, seconds):
    """Begin runs, one after the other, for some time; say what was begun."""
    end = time.monotonic() + float(seconds)
    with Store(url, lease_seconds=5) as store:
        while time.monotonic() < end:
            eng = work.begin(store)
            eng.process(work.tokens())
            say(eng.uuid)


def run_slowly(url, count):
    """Run orders that halt, slowly enough for somebody to look at them in the meantime."""

    with Store(url, lease_seconds=5) as store:
        eng = DbWorkflowEngine.with_name("slow", store=store, definition=SLOW)
        say(eng.uuid)
        eng.process([{"number": number} for number in range(int(count))], stop_on_halt=False)
        say("done")


def ask(token, eng):
    time.sleep(0.01 * random.random())
    eng.halt("well?", action="decide")


def answer(token, eng):
    token["answer"] = eng.decision


SLOW = [ask, answer]


def fill(url, megabytes):
    """Run orders until the file may not grow any more; say how that ended."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Store(url) as store:
        eng = work.begin(store)
        say(eng.uuid)
        limit = int(float(megabytes) * 1_000_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        report(eng, work.tokens(100))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        with suppress(StoreError):
            report(DbWorkflowEngine.from_uuid(eng.uuid, store=store, definition=work.DEFINITION))


def report(eng, tokens=None):
    try:
        if tokens is None:
            eng.resume()
        else:
            eng.process(tokens)
    except StoreError as error:
        say(f"{type(error).__name__}: {error}")
    except HaltProcessing:
        say("halted")
    else:
        say("done")


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    {"block": block, "many": many, "slow": run_slowly, "fill": fill}[task](*arguments)
