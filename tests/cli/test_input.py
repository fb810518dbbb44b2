"""The input: CSV and JSON Lines, from a file or standard input, well-formed and not."""

import json
import os
import pickle
import threading
from copy import deepcopy

import pytest

from wfengine.cli.formats import read
from wfengine.cli.records import Record, RecordError
from wfengine.cli.sources import Format, Source

from .support import MODULE

ECHO = """
import json
def echo(obj, eng): print(obj.origin, json.dumps(obj))
"""


@pytest.fixture
def rows(tmp_path):
    """Read bytes as a file of a given name; return its records, and errors as texts."""

    def rows(content, name="rows.csv", written_as=None):
        file = tmp_path / name
        file.write_bytes(content)
        source = Source.open(str(file))
        source.name = name
        try:
            found = list(read(source, written_as))
            return [str(row) if isinstance(row, RecordError) else row for row in found]
        finally:
            source.close()

    return rows


@pytest.fixture
def echo(folder):
    return folder.write(echo_py=ECHO)


def echoed(done):
    """What the tokens were: pairs of origin and content."""
    assert (done.status, done.err) == (0, ""), done.err
    lines = [line.partition(" {") for line in done.out.splitlines() if " {" in line]
    return [(origin, json.loads("{" + content)) for origin, _, content in lines]


# CSV


def test_each_csv_row_is_a_token_that_remembers_its_file_and_line(echo):
    echo.write(rows_csv="a,b\n1,x\n2,y\n")
    assert echoed(echo.run("echo.py:echo", "--input", "rows.csv")) == [
        ("rows.csv, line 2", {"a": "1", "b": "x"}),
        ("rows.csv, line 3", {"a": "2", "b": "y"}),
    ]


@pytest.mark.parametrize(
    ("content", "records"),
    [
        (b"\xef\xbb\xbfa,b\n1,2\n", [{"a": "1", "b": "2"}]),
        (b"a,b\r\n1,2\r\n", [{"a": "1", "b": "2"}]),
        (b"a,b\n1,2", [{"a": "1", "b": "2"}]),
        (b"\n\na,b\n\n1,2\n\n", [{"a": "1", "b": "2"}]),
        (b"a,b\n,\n", [{"a": "", "b": ""}]),
        (b'a,b\n"x, ""y""","1\n2"\n', [{"a": 'x, "y"', "b": "1\n2"}]),
        (b"a\n\xc3\xa9\xf0\x9f\x90\xa6\n", [{"a": "é🐦"}]),
        (b"a\nx\xe2\x80\xa8y\n", [{"a": "x\u2028y"}]),
        (b"a,b\n", []),
        (b"", []),
        (b"\n", []),
    ],
    ids=[
        "byte order mark",
        "carriage returns",
        "no last line end",
        "blank lines",
        "empty fields",
        "quotes",
        "not ascii",
        "a line separator in a field",
        "header only",
        "empty",
        "blank",
    ],
)
def test_csv_is_read(rows, content, records):
    assert rows(content) == records


def test_the_line_of_a_csv_row_is_its_first(rows):
    first, second = rows(b'a,b\n1,"x\ny\nz"\n2,x\n')
    assert (first.line, second.line) == (2, 5)


AFTER_QUOTE = "there is more behind the closing quote; a quote inside is written twice"
BAD_CSV = b"""\
day,dep_delay,dest
1,2,MIA
2,5
3,5,IAH,x,y
4,\xff,IAH
5,\0,IAH
6,"2"3,IAH
7,"5
5",IAH,z
8,5,"IAH
9,5,IAH
"""


def test_a_bad_csv_row_names_file_line_and_field(rows):
    good, *bad = rows(BAD_CSV, "flights.csv")
    assert good == {"day": "1", "dep_delay": "2", "dest": "MIA"}
    assert bad == [
        "flights.csv, line 3: the row has 2 of 3 fields; missing: dest",
        "flights.csv, line 4: the row has 5 fields, the header row 3; too many: 'x', 'y'",
        "flights.csv, line 5, field dep_delay: byte 0xff is not UTF-8",
        "flights.csv, line 6, field dep_delay: it holds a NUL",
        f"flights.csv, line 7, field dep_delay: {AFTER_QUOTE}",
        "flights.csv, lines 8 to 9: the row has 4 fields, the header row 3; too many: 'z'",
        "flights.csv, lines 10 to 11, field dest: the quote that begins it is never closed",
    ]


def test_bad_csv_rows_are_counted_and_shown_and_the_others_processed(echo):
    echo.write(flights_csv=BAD_CSV)
    done = echo.run("echo.py:echo", "--input", "flights.csv")
    assert done.status == 1
    numbers = done.numbers()
    assert (numbers["read"], numbers["completed"], numbers["failed"]) == (8, 1, 7)
    assert "Failed once: field dep_delay: byte 0xff is not UTF-8\n  flights.csv:5\n" in done.err
    assert "Failed once: field dest: the quote that begins it is never closed\n" in done.err
    assert "  flights.csv:10-11\n" in done.err


def test_many_missing_or_extra_fields_are_cut_short(rows):
    header = ",".join(f"c{number}" for number in range(9)).encode()
    assert rows(header + b"\n1\n") == [
        "rows.csv, line 2: the row has 1 of 9 fields; missing: c1, c2, c3, c4, c5, ..."
    ]


def test_reading_goes_on_behind_a_bad_quote(rows):
    assert rows(b'a,b\n1,"x"y\n2,z\n')[1:] == [{"a": "2", "b": "z"}]


def test_a_carriage_return_outside_of_quotes_is_named(rows):
    (bad,) = rows(b"a,b\n1,x\ry\n")
    assert bad == "rows.csv, line 2, field b: it holds a carriage return, and is not quoted"


def test_a_field_that_is_too_long_is_named_and_the_next_row_read(rows):
    bad, good = rows(b"a,b\n1," + b"x" * 200_000 + b"\n2,y\n")
    assert bad.startswith("rows.csv, line 2, field b: it is longer than 131,072 characters")
    assert good == {"a": "2", "b": "y"}


def test_after_a_quote_that_swallows_too_many_lines_no_row_is_made_up(rows):
    with pytest.raises(RecordError, match=r"^rows.csv, lines 2 to \d+, field b: it is longer than"):
        rows(b'a,b\n1,"x\n' + b"2,y\n" * 50_000)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"a,b,a,b", "rows.csv, line 1: the header row has two columns of the same name: 'a', 'b'"),
        (b"a,,c", "rows.csv, line 1: column 2 has no name in the header row"),
        (
            b"a,\xffb",
            "rows.csv, line 1, field 2: the header row is no text: byte 0xff is not UTF-8",
        ),
        (b"\0a", "rows.csv, line 1, field 1: the header row is no text: it holds a NUL"),
        (b'a,"b"c', "rows.csv, line 1, field 2: there is more behind the closing quote"),
        (b'a,"b', "rows.csv, lines 1 to 2, field 2: the quote that begins it is never closed"),
    ],
)
def test_a_header_row_that_names_no_fields_ends_the_reading(rows, header, said):
    with pytest.raises(RecordError) as caught:
        rows(header + b"\n1,2,3,4\n")
    assert str(caught.value).startswith(said)


def test_a_bad_header_row_is_status_1_and_nothing_is_processed(echo):
    echo.write(rows_csv="a,a\n1,2\n")
    done = echo.run("echo.py:echo", "--input", "rows.csv")
    assert done.status == 1
    assert done.numbers()["completed"] == 0
    assert done.err == (
        "Failed once: the header row has two columns of the same name: 'a'\n"
        "  rows.csv:1\n"
        "The run ended before anything was read.\n"
    )


# JSON Lines


def test_each_json_object_is_a_token_that_remembers_its_file_and_line(echo):
    echo.write(rows_jsonl='{"a": 1, "b": [null, true]}\n\n{"a": "x"}\n')
    assert echoed(echo.run("echo.py:echo", "--input", "rows.jsonl")) == [
        ("rows.jsonl, line 1", {"a": 1, "b": [None, True]}),
        ("rows.jsonl, line 3", {"a": "x"}),
    ]


BAD_JSON = b"""\
{"a": 1}
{"a": 2
[3]
4
"five"
null
true
{"a": NaN}
{"a": 1, "a": 2}
{"a": -1e999}
{"a": "\xff"}
{"a": "\0"}
"""


def test_a_bad_line_of_json_names_file_line_and_column(rows):
    good, *bad = rows(BAD_JSON, "rows.jsonl")
    assert good == {"a": 1}
    assert bad == [
        "rows.jsonl, line 2: it is not JSON: Expecting ',' delimiter (column 8)",
        "rows.jsonl, line 3: it is an array, not an object",
        "rows.jsonl, line 4: it is a number, not an object",
        "rows.jsonl, line 5: it is a text, not an object",
        "rows.jsonl, line 6: it is null, not an object",
        "rows.jsonl, line 7: it is a truth value, not an object",
        "rows.jsonl, line 8: NaN is no number in JSON, or too large for one",
        "rows.jsonl, line 9: it has two fields of the same name: 'a'",
        "rows.jsonl, line 10: -1e999 is no number in JSON, or too large for one",
        "rows.jsonl, line 11: byte 0xff is not UTF-8 (column 8)",
        "rows.jsonl, line 12: it holds a NUL (column 8)",
    ]


def test_bad_json_lines_are_counted_and_shown_and_the_others_processed(echo):
    echo.write(rows_jsonl=BAD_JSON)
    done = echo.run("echo.py:echo", "--input", "rows.jsonl")
    assert done.status == 1
    assert (done.numbers()["completed"], done.numbers()["failed"]) == (1, 11)
    assert "Failed once: it is an array, not an object\n  rows.jsonl:3\n" in done.err


def test_json_that_would_overwhelm_the_parser_is_a_bad_row(rows):
    lines = [b'{"a": ' + b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}", b"{}"]
    deep, long, good = rows(b"\n".join(lines), "rows.jsonl")
    assert deep == "rows.jsonl, line 1: it is nested too deeply"
    assert long == "rows.jsonl, line 2: a number in it has more than 4,300 digits"
    assert good == {}


def test_a_json_array_is_told_apart_from_json_lines(rows):
    with pytest.raises(RecordError, match=r"^rows.txt, line 2: the input is a JSON array"):
        rows(b'\n[{"a": 1}]\n', "rows.txt")


# Which format


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.ndjson", "ROWS.JSONL"])
def test_the_suffix_tells_json_lines(rows, name):
    assert rows(b'{"a": 1}', name) == [{"a": 1}]


def test_the_suffix_tells_csv(rows):
    assert rows(b'{"a": 1}\n2\n', "rows.csv") == [{'{"a": 1}': "2"}]


@pytest.mark.parametrize("start", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_without_a_known_suffix_the_first_character_tells(rows, start):
    assert rows(start + b'{"a": 1}\n', "rows") == [{"a": 1}]
    assert rows(start.replace(b" ", b"") + b"a\n1\n", "rows.txt") == [{"a": "1"}]


def test_a_format_can_be_named(rows):
    assert rows(b'{"a": 1}', "rows.csv", Format.JSON_LINES) == [{"a": 1}]


def test_the_option_names_the_format_of_standard_input(echo):
    done = echo.run("echo.py:echo", "--format", "csv", stdin='{"a"}\n1\n')
    assert echoed(done) == [("standard input, line 2", {'{"a"}': "1"})]


# Where from


@pytest.mark.parametrize("options", [[], ["--input", "-"]], ids=["by default", "-"])
@pytest.mark.parametrize("text", ["a\n1\n", '{"a": "1"}\n'], ids=["csv", "jsonl"])
def test_standard_input_is_read(echo, options, text):
    ((origin, token),) = echoed(echo.run("echo.py:echo", *options, stdin=text))
    assert origin.startswith("standard input, line ")
    assert token == {"a": "1"}


def test_a_named_pipe_is_read(echo):
    os.mkfifo(echo / "pipe.csv")
    writer = threading.Thread(target=(echo / "pipe.csv").write_text, args=["a\n1\n"])
    writer.start()
    assert echoed(echo.run("echo.py:echo", "--input", "pipe.csv")) == [
        ("pipe.csv, line 2", {"a": "1"})
    ]
    writer.join()


@pytest.mark.parametrize(
    ("name", "said"),
    [("missing.csv", "No such file or directory"), (".", "Is a directory")],
)
def test_an_input_that_cannot_be_opened_is_a_usage_error(echo, name, said):
    done = echo.run("echo.py:echo", "--input", name)
    assert (done.status, done.out) == (2, "")
    assert done.err == f"Error: cannot read {name}: {said}\n"


def test_a_closed_standard_input_is_a_usage_error(echo):
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *MODULE]
    done = echo.wfengine("run", "echo.py:echo", command=command)
    assert (done.status, done.out) == (2, "")
    assert done.err == "Error: cannot read standard input: standard input is closed\n"


def test_a_line_without_an_end_does_not_fill_the_memory(monkeypatch, rows):
    monkeypatch.setattr("wfengine.cli.sources.LONGEST_LINE", 1000)
    with pytest.raises(
        RecordError, match=r"^rows.csv, line 2: the line is longer than 1,000 bytes"
    ):
        rows(b"a\n" + b"x" * 2000)


def test_the_limit_counts_rows_good_and_bad(echo):
    echo.write(rows_csv="a,b\n1,2\n3\n4\n5,6\n")
    done = echo.run("echo.py:echo", "--input", "rows.csv", "--limit", "2")
    numbers = done.numbers()
    assert (numbers["read"], numbers["completed"], numbers["failed"]) == (2, 1, 1)


def test_a_limit_leaves_the_rest_of_standard_input_unread(echo):
    with echo.start("echo.py:echo", "--limit", "1") as started:
        started.type("a\n1\n")
        done = started.end_without_closing_its_input()
    assert done.status == 0
    assert done.numbers()["read"] == 1


def test_rows_are_read_in_constant_memory(folder):
    folder.write(
        flow_py="""
import resource
peaks = {}
def task(obj, eng):
    if eng.state.token_pos in (1_000, 10_000):
        print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
""",
        rows_csv="a\n" + f"{'x' * 3000}\n" * 10_001,
    )
    done = folder.run("flow.py:task", "--input", "rows.csv", "--quiet")
    early, late = (int(line.split()[1]) for line in done.out.splitlines())
    assert late - early < 10 * 1024  # KiB; the input is 30 MB


# Records


def test_a_record_prints_where_it_comes_from():
    record = Record({"a": 1}, "rows.csv", 12)
    assert repr(record) == "<rows.csv, line 12: {'a': 1}>"
    assert record.origin == "rows.csv, line 12"


@pytest.mark.parametrize("copied", [deepcopy, lambda found: pickle.loads(pickle.dumps(found))])
def test_a_copy_of_a_record_remembers_its_origin(copied):
    record = copied(Record({"a": [1]}, "rows.csv", 12))
    assert (record, record.origin) == ({"a": [1]}, "rows.csv, line 12")


def test_an_error_of_a_record_survives_pickling():
    error = Record({}, "rows.csv", 12).error("a", "is missing")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "rows.csv, line 12, field a: is missing"
    assert (again.file, again.line, again.field, again.problem) == (
        "rows.csv",
        12,
        "a",
        "is missing",
    )
