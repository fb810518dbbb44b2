"""Check a week of flights, look up what their codes stand for, and sort out what is special.

    wfengine run examples/flights/workflow.py:workflow --input examples/flights/data/flights.csv

The definition is at the end. What it is made of comes first: tasks, which are plain functions
``task(obj, eng)``. ``obj`` is one flight, a dictionary; ``eng`` is the engine that runs it.
"""

import csv
import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from wfengine.cli.outputs import output_file
from wfengine.patterns import CHOICE, COUNT, FOR, HALT, IF, IF_ELSE, OBJ_GET, OBJ_SET

DATA = Path(__file__).parent / "data"

# What a field has to look like. Each of these takes what was read and returns what it means.


def text(raw):
    """Return the text, which must not be empty."""
    if raw in ("", None):
        raise ValueError("is missing")
    return str(raw)


def whole_number(raw):
    """Return a whole number, such as -5."""
    if not re.fullmatch(r"-?[0-9]+", text(raw)):
        raise ValueError(f"{raw!r} is not a whole number")
    return int(raw)


def clock_time(raw):
    """Return a time of the day: 517 and 2400, as airlines write, become 05:17 and 24:00."""
    hour, minute = divmod(whole_number(raw), 100)
    if not (0 <= hour < 24 and 0 <= minute < 60) and (hour, minute) != (24, 0):
        raise ValueError(f"{raw!r} is not a time of the day (HHMM)")
    return f"{hour:02}:{minute:02}"


def optional(parse):
    """Return a parser that makes None of a missing value."""
    return lambda raw: None if raw in ("", None) else parse(raw)


FIELDS = {
    **dict.fromkeys(["year", "month", "day", "hour", "minute", "flight"], whole_number),
    **dict.fromkeys(["sched_dep_time", "sched_arr_time"], clock_time),
    **dict.fromkeys(["dep_time", "arr_time"], optional(clock_time)),
    **dict.fromkeys(["dep_delay", "arr_delay", "air_time"], optional(whole_number)),
    **dict.fromkeys(["carrier", "origin", "dest", "time_hour"], text),
    "tailnum": optional(text),
    "distance": whole_number,
}


def validate(obj, eng):
    """Put values in place of texts; an error names the file, the line and the field."""
    for field, parse in FIELDS.items():
        try:
            obj[field] = parse(obj.get(field))
        except ValueError as error:
            raise obj.error(field, error) from None
    if (obj["dep_time"] is None) != (obj["dep_delay"] is None):
        raise obj.error("dep_delay", "is there without dep_time, or missing with it")


# The tables in which codes are looked up.


class Reference(NamedTuple):
    """Which field of a flight is the key to which table, and what to call what is found."""

    field: str
    table: str
    key: str
    finds: str


REFERENCES = [
    Reference("carrier", "airlines.csv", "carrier", finds="airline"),
    Reference("tailnum", "planes.csv", "tailnum", finds="plane"),
    Reference("origin", "airports.csv", "faa", finds="origin_airport"),
    Reference("dest", "airports.csv", "faa", finds="dest_airport"),
]


@cache
def table(name, key):
    """Read a table, once, into a dictionary by its key."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def look_up(obj, eng):
    """Attach what the current reference finds, or None."""
    reference = eng.extra_data["reference"]
    rows = table(reference.table, reference.key)
    obj[reference.finds] = rows.get(obj[reference.field])


# Questions that the definition asks.


def destination_is_unknown(obj, eng):
    """Return whether the airport table lacks the destination."""
    return obj["dest_airport"] is None


def take_decision(obj, eng):
    """Do what somebody decided about an unknown airport: describe it, go without, or reject."""
    if eng.decision == "reject":
        eng.skip_token()
    if isinstance(eng.decision, dict):
        obj["dest_airport"] = eng.decision


def is_cancelled(obj, eng):
    """Return whether the flight never left."""
    return obj["dep_time"] is None


def delay_class(obj, eng):
    """Return how late the flight left; to airlines, 14 minutes late are still on time."""
    delay = obj["dep_delay"]
    if delay < 0:
        return "early"
    if delay < 15:
        return "on_time"
    return "late" if delay < 120 else "very_late"


def write_to(name):
    """Return a task that appends the flight to a JSON Lines file among the outputs."""

    def write(obj, eng):
        output_file(eng, name).write(json.dumps(obj) + "\n")

    return write


# The workflow itself.

workflow = [
    validate,
    FOR(REFERENCES, "reference", look_up),
    IF(
        destination_is_unknown,
        [
            HALT(
                lambda obj, eng: f"{obj['dest']} is not in the airport table",
                action="identify airport",
                payload=lambda obj, eng: {"faa": obj["dest"]},
            ),
            take_decision,
        ],
    ),
    IF_ELSE(
        is_cancelled,
        [COUNT("cancelled"), write_to("cancelled.jsonl")],
        [
            OBJ_SET("delay_class", delay_class),
            CHOICE(
                OBJ_GET("delay_class"),
                early=COUNT("departed early"),
                on_time=COUNT("departed on time"),
                late=COUNT("departed late"),
                very_late=COUNT("departed very late"),
            ),
            COUNT("accepted"),
            write_to("accepted.jsonl"),
        ],
    ),
]
