"""Runs that are killed go on to the same end; of several workers with one run, one writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .competing import RIVALS, compete, sleep_through
from .harness import Case, Harness, Report, Tools

SEED = 20261121
KILLS = 30
"""In each database; the long run is ``python tests/crash/run.py --kills 1000``."""

CASES = (
    Case(),
    Case(stops=False, decides=True),
    Case(checkpoint="token", checkpoint_tokens=3, is_streamed=True, decides=True),
    Case(checkpoint="halt", stops=False, is_patient=True),
)

pytestmark = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def harness(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    with Tools.opened(tmp_path) as tools:
        yield Harness(tools, database_url, SEED)


def assert_nothing_is_wrong(report: Report) -> None:
    print(report)
    assert not report.failures, "\n".join(report.failures)


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(harness: Harness) -> None:
    total, number = Report(), 0
    while total.kills < KILLS:
        number += 1
        total.add(harness.kill(number, CASES))
    assert_nothing_is_wrong(total)
    assert total.resumes == total.kills >= KILLS


def test_a_worker_that_slept_does_not_write_into_a_run_that_another_has(harness: Harness) -> None:
    total = Report()
    for number in range(4):
        total.add(sleep_through(harness, number, RIVALS))
    assert_nothing_is_wrong(total)


@pytest.mark.parametrize("count", [2, 4])
def test_of_several_workers_with_one_run_one_at_a_time_has_it(harness: Harness, count: int) -> None:
    report = compete(harness, count, RIVALS, count)
    assert_nothing_is_wrong(report)
    assert report.losers
