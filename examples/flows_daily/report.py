"""Report on the flights of each day, with one flow for each: some fail, and go on when put right.

    python examples/flows_daily/report.py schedule
    python examples/flows_daily/report.py run
    python examples/flows_daily/report.py run --airports examples/flows_daily/more_airports.csv

The flow is at the end. What it is made of comes first: tasks, each of which takes the flow's
context and returns what it has found.
"""

import argparse
import csv
import json
from collections import Counter, defaultdict
from pathlib import Path
from statistics import mean

from wfengine.flows import (
    ExecutionContext,
    FlowRunner,
    FlowStatus,
    FlowTemplate,
    Task,
    TaskDataItem,
)

HERE = Path(__file__).parent
DATA = HERE.parent / "flights" / "data"
DAYS = [f"2013-01-{day:02}" for day in range(1, 8)]


def rows_of(file):
    """Yield the rows of a CSV file as dictionaries."""
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


class ReadFlights(Task):
    """Read the flights of the day: airline, destination, and delay, None if it never left."""

    def inputs(self):
        return [TaskDataItem("day", str)]

    def outputs(self):
        return [TaskDataItem("flights", list)]

    def run(self, context):
        wanted = tuple(map(int, context.get("day").split("-")))
        flights = [
            [row["carrier"], row["dest"], int(row["dep_delay"]) if row["dep_delay"] else None]
            for row in rows_of(DATA / "flights.csv")
            if (int(row["year"]), int(row["month"]), int(row["day"])) == wanted
        ]
        if not flights:
            raise LookupError(f"there are no flights on {context.get('day')}")
        return ExecutionContext({"flights": flights})


class NameAirports(Task):
    """Look up the names of the destinations; one that no table has is for a person to find out."""

    def __init__(self, tables):
        self._tables = tables

    def inputs(self):
        return [TaskDataItem("flights", list)]

    def outputs(self):
        return [TaskDataItem("airports", dict)]

    def run(self, context):
        known = {row["faa"]: row["name"] for table in self._tables for row in rows_of(table)}
        flights_to = Counter(destination for _, destination, _ in context.get("flights"))
        unknown = sorted(flights_to.keys() - known.keys())
        if unknown:
            said = ", ".join(f"{code} ({flights_to[code]})" for code in unknown)
            raise LookupError(f"no airport table has {said}")
        names = {code: known[code] for code in sorted(flights_to)}
        return ExecutionContext({"airports": names})


class Summarize(Task):
    """Count what left, what was cancelled, and how late it was, for each airline."""

    def inputs(self):
        return [TaskDataItem("flights", list), TaskDataItem("airports", dict)]

    def outputs(self):
        return [TaskDataItem("report", dict)]

    def run(self, context):
        airlines = {row["carrier"]: row["name"] for row in rows_of(DATA / "airlines.csv")}
        delays, destinations = defaultdict(list), Counter()
        for carrier, destination, delay in context.get("flights"):
            delays[airlines[carrier]].append(delay)
            destinations[context.get("airports")[destination]] += 1
        report = {
            "day": context.get("day"),
            "airlines": {name: figures(delays[name]) for name in sorted(delays)},
            "most flights to": dict(destinations.most_common(3)),
        }
        return ExecutionContext({"report": report})


def figures(delays):
    """Return how many flights left, how many did not, and their mean delay in minutes."""
    left = [delay for delay in delays if delay is not None]
    late = round(mean(left), 1) if left else None
    return {"left": len(left), "cancelled": len(delays) - len(left), "mean delay": late}


class Publish(Task):
    """Write the report to a file of its own; written twice, it is the same."""

    def __init__(self, folder):
        self._folder = folder

    def inputs(self):
        return [TaskDataItem("report", dict)]

    def run(self, context):
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{context.get('day')}.json"
        part = file.with_suffix(".part")
        part.write_text(json.dumps(context.get("report"), indent=2) + "\n", encoding="utf-8")
        part.replace(file)
        return context


# The flow.


def daily_report(tables=(), folder=Path("output")):
    """Return the template: what is done for each day."""
    flow = FlowTemplate("daily report", inputs=[TaskDataItem("day", str)])
    flow.add_task(ReadFlights())
    flow.add_task(NameAirports([DATA / "airports.csv", *tables]))
    flow.add_task(Summarize())
    flow.add_task(Publish(folder), retries=2, delay=1, backoff=4)
    return flow


template = daily_report()

# What can be done with it on the command line.


def schedule(runner):
    """Have a flow run for each day that has none yet."""
    known = {flow.context.get("day") for flow in runner.service.get_flow_executions()}
    for day in DAYS:
        if day not in known:
            runner.schedule_flow("daily report", {"day": day})
            print(day, "is scheduled")


def run(runner):
    """Run what is due; what has failed goes on at the task that failed."""
    for flow in runner.service.get_flow_executions(FlowStatus.FAILED):
        runner.reschedule_flow_execution(flow.id)
    for flow in runner.run_due():
        print(flow.context.get("day"), flow.status.value, flow.error or "")


def history(runner):
    """Print what was done for each day."""
    for flow in runner.service.get_flow_executions():
        print(flow.context.get("day"), "is", flow.status.value)
        for entry in runner.service.get_flow_task_execution_history(flow.id):
            reason = entry.output.partition("\n")[0]
            print(f"  {entry.step} {entry.name} {entry.attempt}: {entry.status.value} {reason}")


def main():
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = {"schedule": schedule, "run": run, "history": history}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--store", default="sqlite:///runs.db", help="where the flows are kept")
    parser.add_argument("--output", type=Path, default=Path("output"), help="a folder for reports")
    parser.add_argument(
        "--airports", type=Path, action="append", default=[], help="a further table of airports"
    )
    typed = parser.parse_args()
    with FlowRunner(typed.store) as runner:
        runner.register_flow_template(daily_report(typed.airports, typed.output))
        commands[typed.command](runner)


if __name__ == "__main__":
    main()
