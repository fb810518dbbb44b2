"""A store with runs in every state, made through the library, for commands to look at."""

import contextlib
import sys
from pathlib import Path

from wfengine.cli.records import Record
from wfengine.cli.stores import opened
from wfengine.definitions import load
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import WorkflowError
from wfengine.flows import FlowRunner, FlowTemplate, Task

START = 1_780_000_000.0
"""When the first run was made, in seconds since 1970."""

DUE = START + 86_400.0
"""When the flow is to be run."""

TARGET = "parcels.py:workflow"

FLOW = """
from wfengine.patterns import HALT, IF, SYNCHRONIZE

def weigh(obj, eng):
    "Put a parcel on the scales."
    obj["kg"] = int(obj["kg"])

def is_heavy(obj, eng):
    return obj["kg"] > 20

def stamp(obj, eng):
    obj["stamped"] = eng.decision or True

def label(obj, eng):
    obj["label"] = obj["to"].upper()

workflow = [
    weigh,
    IF(is_heavy, HALT("who carries it?", action="choose", payload={"choices": ["van", "cart"]})),
    SYNCHRONIZE([stamp], [label]),
]
"""

ROWS = (("Oslo", "3"), ("Rome", "30"), ("Bath", "many"), ("Bonn", "40"), ("Lund", "5"))


class Post(Task):
    """The only task of the flow; nobody runs it."""

    def run(self, context):
        return context


class Clock:
    """Each look at it is a quarter of a second later."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


def fill(folder: Path) -> str:
    """Make runs in ``folder / "runs.db"``; return the uuid of one that has something of all.

    Of its five tokens two are done, two halted and one failed. Another run is done, one was never
    begun, one is a flow that waits for its time, and one's owner died.
    """
    (folder / "parcels.py").write_text(FLOW)
    with (
        contextlib.chdir(folder),
        opened("sqlite:///runs.db", creates=True, clock=Clock()) as store,
    ):
        begun = _run(store, ROWS)
        _run(store, ROWS[:1])
        DbWorkflowEngine.with_name("letters", store=store, definition=load(TARGET))
        FlowRunner(store).schedule_flow(FlowTemplate("post").add_task(Post()), not_before=DUE)
        abandon(store, _run(store, ROWS[:1]))
        token = store.tokens(begun)[3].id
        store.edit(token, Record({"to": "Bonn", "kg": 41}, "rows.csv", 5), by="ann")
    sys.modules.pop("parcels", None)  # other tests have a file of this name
    return begun


def _run(store, rows) -> str:
    eng = DbWorkflowEngine.with_name(TARGET, store=store)
    tokens = [
        Record({"to": to, "kg": kg}, "rows.csv", line) for line, (to, kg) in enumerate(rows, 2)
    ]
    with contextlib.suppress(WorkflowError):
        eng.process(tokens, stop_on_halt=False, stop_on_error=False)
    return str(eng.uuid)


def abandon(store, uuid) -> None:
    """Leave a run as a process does that is killed."""
    with store.session() as session:
        run = session.query(store.models.workflow).filter_by(uuid=uuid).one()
        run.status, run.lease_owner, run.lease_expires = "RUNNING", "elsewhere process 1 #1", START
        run.finished = None
