"""Report on the flights of three airports, day by day: extract, join, report, publish.

    python examples/steps_flights/report.py
    python examples/steps_flights/report.py --recover

The planes are looked up in a table that is not there at first, so the flow fails on the first day;
with ``--recover`` it goes on there, and extracts nothing again. The flow is at the end.
"""

import argparse
import csv
import json
from collections import Counter
from pathlib import Path
from statistics import mean

from wfengine.steps import RunMode, Sequent, StepStatus
from wfengine.steps.resources import ResourcePool

HERE = Path(__file__).parent
DATA = HERE.parent / "flights" / "data"
AIRPORTS = ["EWR", "JFK", "LGA"]
DAYS = [f"2013-01-0{day}" for day in range(1, 8)]
"""All that the data has: one week."""


def rows_of(file):
    """Yield the rows of a CSV file as dictionaries."""
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def write(file, content):
    """Write JSON into a file, which is there wholly or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1), encoding="utf-8")
    part.replace(file)


def folder_of_day(output):
    """Return where the files of the day are that is under way."""
    return output / Sequent.get_step_values()[0]


def is_of_day(row, day):
    """Return whether a flight was to leave on a day."""
    return f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}" == day


def extract(airport, output):
    """Write the flights that left one airport on the day into a file of their own."""
    folder = folder_of_day(output)
    flights = [
        {key: row[key] for key in ("carrier", "tailnum", "dest", "dep_delay")}
        for row in rows_of(DATA / "flights.csv")
        if row["origin"] == airport and is_of_day(row, folder.name)
    ]
    write(folder / f"{airport}.json", flights)
    print(folder.name, airport, "has", len(flights), "flights", flush=True)
    return len(flights)


def join(output):
    """Put the flights of all airports together."""
    folder = folder_of_day(output)
    flights = [
        {"origin": airport, **flight}
        for airport in AIRPORTS
        for flight in json.loads((folder / f"{airport}.json").read_text(encoding="utf-8"))
    ]
    write(folder / "flights.json", flights)
    return len(flights)


def report(output, planes):
    """Count the makers of the planes, and the delays of each airport."""
    if not planes.exists():
        raise FileNotFoundError(f"{planes} has not been delivered yet")
    folder = folder_of_day(output)
    makers = {row["tailnum"]: row["manufacturer"] for row in rows_of(planes)}
    flights = json.loads((folder / "flights.json").read_text(encoding="utf-8"))
    counts = Counter(makers.get(flight["tailnum"], "unknown") for flight in flights)
    delays = {
        airport: mean(
            int(flight["dep_delay"])
            for flight in flights
            if flight["origin"] == airport and flight["dep_delay"]
        )
        for airport in AIRPORTS
    }
    write(folder / "report.json", {"makers": counts.most_common(3), "delays": delays})


def publish(output):
    """Print the report of the day."""
    folder = folder_of_day(output)
    found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    late = ", ".join(f"{airport} {delay:.1f}" for airport, delay in found["delays"].items())
    makers = ", ".join(maker for maker, _ in found["makers"])
    print(f"{folder.name} minutes late: {late}; most planes are of {makers}", flush=True)


def build(output, planes, days=DAYS, **options):
    """Return the flow."""
    flow = Sequent("flight report", config={"max_concurrent": 3}, **options)
    disk = ResourcePool("disk", policy={"resource_limit": 2}).load()
    done = StepStatus.success
    day = flow.add_step("day", repeats=days)
    extracting = day.add_step("extract")
    for airport in AIRPORTS:
        extracting.add_step(airport, extract, (airport, output), acquires=[(disk, 1)])
    joining = day.add_step("join", join, (output,), requires=((extracting, done),))
    reporting = day.add_step("report", report, (output, planes), requires=((joining, done),))
    day.add_step("publish", publish, (output,), requires=((reporting, done),))
    return flow


flow = build(Path("output"), Path("planes.csv"), store="runs.db")
"""For ``wfengine draw examples/steps_flights/report.py:flow``, and its like."""


def main():
    """Run the flow, or go on with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recover", action="store_true", help="go on with the latest run")
    parser.add_argument("--store", default="runs.db", help="a file, or the URL of a database")
    parser.add_argument("--last", choices=DAYS, default=DAYS[-1], help="the last day to report on")
    parser.add_argument("--output", type=Path, default=Path("output"))
    parser.add_argument("--planes", type=Path, default=Path("planes.csv"))
    options = parser.parse_args()
    mode = RunMode.recover if options.recover else RunMode.restart
    days = DAYS[: DAYS.index(options.last) + 1]
    with build(options.output, options.planes, days, store=options.store, run_mode=mode) as flow:
        return 0 if flow() else 1


if __name__ == "__main__":
    raise SystemExit(main())
