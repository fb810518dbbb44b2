"""A flow whose steps are in processes: prints, as JSON, what became of each."""

import asyncio
import json
import os
import signal
import sys
import threading

from wfengine.steps import Sequent, StepStatus
from wfengine.store import Store


def tell(number, *, flow):
    """Return what the process knows of its step."""
    names = ("SEQUENT_STEP_NAME", "SEQUENT_STEP_SEQUENCE", "SEQUENT_STEP_RECOVERY", "GIVEN")
    found = [os.environ.get(name) for name in names]
    return [number, *found, flow.get_step_name(), flow.get_step_sequence(), os.getpid() != FLOW]


async def wait(number):
    """Return a number, later."""
    await asyncio.sleep(0.001)
    return number


def die():
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    """End the process without a word, while another holds its files open."""
    if not os.fork():
        threading.Event().wait(3)
        os._exit(0)
    os._exit(7)


class Base(BaseException):
    """Is no Exception."""


def raise_base():
    """Raise it."""
    raise Base("even")


class Odd(Exception):
    """Can be written by pickle, and not be read."""

    def __init__(self, one, two):
        super().__init__(one)


def raise_odd():
    """Raise it."""
    raise Odd("one", "two")


def return_lock():
    """Return what cannot leave the process."""
    return threading.Lock()


FLOW = int(os.environ.setdefault("PID_OF_FLOW", str(os.getpid())))

if __name__ == "__main__":
    os.environ["GIVEN"] = "yes"
    before = dict(os.environ)
    with Store(f"sqlite:///{sys.argv[1]}") as store:
        config = {"max_concurrent": 3, "stop_on_exception": False}
        flow = Sequent("processes", store=store, config=config)
        box = flow.add_step("box", repeats=["x"])
        box.add_step("tells", tell, (1,), {"flow": flow})
        flow.add_step("waits", wait, (2,))
        for function in (die, leave, raise_base, raise_odd, return_lock):
            flow.add_step(function.__name__, function)
        flow.add_step("exits", sys.exit, (3,))
        flow.add_step("divides", divmod, (1, 0))
        flow.add_step("after", int, requires=(("die", StepStatus.failure),))
        success = flow()
        table = store.models.workflow.__table__
        with store.session() as session:
            rows = session.query(table.c.uuid, table.c.error).where(table.c.parent_id.isnot(None))
            found = {}
            for uuid, error in rows:
                (token,) = store.tokens(uuid)
                found[token.data["step"]] = [token.data.get("result"), error]
    print(json.dumps([success, found, dict(os.environ) == before]))
