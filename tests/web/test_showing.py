"""What is shown of values, texts and times: never more than there is room for."""

from datetime import UTC, datetime, timedelta

import pytest

from wfengine.web.showing import brief, duration, exact, relative, said, shown

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_each_entry_is_a_line_and_what_is_inside_is_further_in():
    found = shown({"order": {"lines": [1, None]}, "paid": True, "note": ""})
    lines = [(row.depth, row.key, row.kind, row.text) for row in found.rows]
    assert lines == [
        (0, "order", "object", "1 field"),
        (1, "lines", "list", "2 items"),
        (2, "0", "number", "1"),
        (2, "1", "null", "null"),
        (0, "paid", "truth", "true"),
        (0, "note", "text", ""),
    ]
    assert not found.is_cut


def test_what_is_too_much_is_cut_and_that_is_said():
    assert shown(list(range(10)), most=3).is_cut
    assert len(shown(list(range(10)), most=3).rows) == 3
    many = shown(list(range(5_000)), most=10_000)
    assert many.is_cut
    assert many.rows[-1].text.endswith(" more")
    (long,) = shown({"text": "x" * 1_000_000}).rows
    assert long.length == 1_000_000
    assert len(long.text) < 100_000


def test_an_instance_is_shown_by_what_is_in_it():
    found = shown({"$": "shop:Order", "v": {"total": 3}})
    assert found.type_name == "shop:Order"
    assert [(row.key, row.text) for row in found.rows] == [("total", "3")]


def test_a_number_that_cannot_be_written_out_is_said_to_be_long():
    (row,) = shown({"n": 10**5000}).rows
    assert row.text == "a very long number"
    assert brief({"n": 10**5000}).endswith("…")


def test_a_decision_is_shown_as_a_text_or_as_json():
    assert said("reject") == "reject"
    assert said({"to": "Bonn"}) == '{"to": "Bonn"}'
    assert said("x" * 500, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "now"), (30, "30 s ago"), (-7200, "in 2 h"), (-1, "now")]
)
def test_a_time_is_said_by_how_far_away_it_is(seconds, text):
    assert relative(NOW - timedelta(seconds=seconds), NOW) == text


def test_what_is_not_known_is_left_out():
    assert (relative(None, NOW), exact(None), duration(None)) == ("", "", "")
    assert exact(NOW) == "2026-05-04 12:00:00 UTC"
    assert duration(0.0000042) == "4 µs"
