"""The flights workflow does what it says, compared with what the csv module counts here."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from ..cli.support import Folder

FLIGHTS = Path(__file__).resolve().parents[2] / "examples" / "flights"
DATA = FLIGHTS / "data"
TARGET = f"{FLIGHTS / 'workflow.py'}:workflow"


def table(name):
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


FLOWN = table("flights.csv")
AIRPORTS = {airport["faa"] for airport in table("airports.csv")}
PLANES = {plane["tailnum"] for plane in table("planes.csv")}

KNOWN = [flight for flight in FLOWN if flight["dest"] in AIRPORTS]
UNKNOWN = [flight for flight in FLOWN if flight["dest"] not in AIRPORTS]
ACCEPTED = [flight for flight in KNOWN if flight["dep_time"]]
CANCELLED = [flight for flight in KNOWN if not flight["dep_time"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return Folder(tmp_path_factory.mktemp("flights"))


@pytest.fixture(scope="module")
def done(folder):
    """The whole week, run once."""
    return folder.run(TARGET, "--input", str(DATA / "flights.csv"))


@pytest.fixture(scope="module")
def accepted(done, folder):
    return json_lines(folder / "output" / "accepted.jsonl")


@pytest.fixture(scope="module")
def cancelled(done, folder):
    return json_lines(folder / "output" / "cancelled.jsonl")


def json_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def keys(flights):
    """What tells flights apart, in order."""
    names = ("year", "month", "day", "carrier", "flight", "origin", "sched_dep_time")
    return [
        tuple(str(flight[name]).replace(":", "").lstrip("0") or "0" for name in names)
        for flight in flights
    ]


def one_row(**changes):
    """A CSV file with the first flight of the week, changed."""
    flight = FLOWN[0] | changes
    return ",".join(flight) + "\n" + ",".join(flight.values()) + "\n"


# The week


def test_the_numbers_are_those_of_the_readme():
    assert (len(FLOWN), len(ACCEPTED), len(CANCELLED), len(UNKNOWN)) == (6099, 5883, 35, 181)


def test_every_flight_is_accepted_cancelled_or_halted(done):
    assert (done.status, done.err) == (0, "")
    numbers = done.numbers()
    assert numbers["read"] == len(FLOWN)
    assert numbers["accepted"] == len(ACCEPTED)
    assert numbers["cancelled"] == len(CANCELLED)
    assert numbers["halted"] == numbers["identify airport"] == len(UNKNOWN)
    assert numbers["failed"] == 0


def test_the_halts_are_shown_by_destination(done):
    numbers = done.numbers()
    for code, count in Counter(flight["dest"] for flight in UNKNOWN).items():
        assert numbers[f"{code} is not in the airport table"] == count


def test_the_accepted_flights_are_written_in_order(accepted):
    assert keys(accepted) == keys(ACCEPTED)


def test_the_cancelled_flights_are_written_in_order(cancelled):
    assert keys(cancelled) == keys(CANCELLED)


def test_the_readme_shows_what_is_printed(done):
    shown = (FLIGHTS / "README.md").read_text().partition("```text\n")[2].partition("```")[0]
    changing = re.compile(r"[\d.,]+ seconds, [\d.,]+ tokens")
    assert changing.sub("TIME", shown) == changing.sub("TIME", done.out)


def test_the_summary_says_where_the_outputs_are(done):
    assert "-> output/accepted.jsonl\n" in done.out
    assert "-> output/cancelled.jsonl\n" in done.out


@pytest.mark.parametrize(
    ("label", "delay_class", "least", "most"),
    [
        ("departed early", "early", -1000, -1),
        ("departed on time", "on_time", 0, 14),
        ("departed late", "late", 15, 119),
        ("departed very late", "very_late", 120, 10_000),
    ],
)
def test_departures_are_sorted_by_their_delay(done, accepted, label, delay_class, least, most):
    expected = [flight for flight in ACCEPTED if least <= int(flight["dep_delay"]) <= most]
    found = [flight for flight in accepted if flight["delay_class"] == delay_class]
    assert keys(found) == keys(expected)
    assert done.numbers()[label] == len(expected)


def test_flights_of_planes_that_are_not_listed_are_accepted_without_a_plane(accepted):
    unlisted = [flight for flight in ACCEPTED if flight["tailnum"] not in PLANES]
    assert keys(flight for flight in accepted if flight["plane"] is None) == keys(unlisted)
    assert sum(flight["tailnum"] not in PLANES for flight in FLOWN) == 987


def test_what_a_code_stands_for_is_attached(accepted):
    first = accepted[0]
    assert first["airline"]["name"] == "United Air Lines Inc."
    assert first["plane"]["tailnum"] == first["tailnum"]
    assert (first["origin_airport"]["faa"], first["dest_airport"]["faa"]) == ("EWR", "IAH")
    for flight in accepted:
        assert flight["airline"]["carrier"] == flight["carrier"]
        assert flight["origin_airport"]["faa"] == flight["origin"]
        assert flight["dest_airport"]["faa"] == flight["dest"]


def test_values_take_the_place_of_texts(accepted):
    first = accepted[0]
    assert (first["year"], first["dep_delay"], first["flight"]) == (2013, 2, 1545)
    assert (first["dep_time"], first["sched_arr_time"]) == ("05:17", "08:19")


def test_every_time_is_written_with_hour_and_minute(accepted):
    for field in ("sched_dep_time", "dep_time", "arr_time"):
        for found, raw in zip(accepted, ACCEPTED, strict=True):
            assert (found[field] or "").replace(":", "") == (raw[field] and raw[field].zfill(4))
    assert sum(flight["arr_time"] == "24:00" for flight in accepted) > 0


def test_a_missing_value_is_none(cancelled):
    assert {flight["dep_time"] for flight in cancelled} == {None}


# Single flights


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("dep_delay", "abc", "'abc' is not a whole number"),
        ("dep_delay", "1_0", "'1_0' is not a whole number"),
        ("distance", "2.5", "'2.5' is not a whole number"),
        ("distance", "", "is missing"),
        ("dep_time", "2401", "'2401' is not a time of the day (HHMM)"),
        ("dep_time", "1260", "'1260' is not a time of the day (HHMM)"),
        ("arr_time", "-5", "'-5' is not a time of the day (HHMM)"),
        ("carrier", "", "is missing"),
        ("dep_delay", "", "is there without dep_time, or missing with it"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_file_and_line(tmp_path, field, text, problem):
    folder = Folder(tmp_path).write(one_csv=one_row(**{field: text}))
    done = folder.run(TARGET, "--input", "one.csv")
    assert done.status == 1
    assert f"field {field}: {problem}\n  in task 'validate' at [0]\n  one.csv:2\n" in done.err
    assert not (folder / "output").exists()


def test_a_column_that_is_missing_is_named(tmp_path):
    flight = {name: value for name, value in FLOWN[0].items() if name != "dest"}
    text = ",".join(flight) + "\n" + ",".join(flight.values()) + "\n"
    done = Folder(tmp_path).run(TARGET, stdin=text)
    assert done.status == 1
    assert "field dest: is missing" in done.err


def test_the_same_flights_may_come_as_json_lines(tmp_path, accepted):
    rows = [
        {name: int(value) if value.isdigit() else value or None for name, value in flight.items()}
        for flight in FLOWN[:50]
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    folder = Folder(tmp_path)
    done = folder.run(TARGET, stdin=text)
    assert done.status == 0, done.err
    found = json_lines(folder / "output" / "accepted.jsonl")
    assert found == accepted[: len(found)]
    assert len(found) + done.numbers()["halted"] == 50
