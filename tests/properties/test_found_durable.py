"""Definitions that once told the durable engine and its model apart."""

from pathlib import Path

import pytest

from wfengine.store import Store

from . import definitions as d
from .durable import DurableWay, as_restarted, as_the_model_says
from .running import Case

TASK = d.Task()
HALTS = d.Task((d.Act("halt", text="our message"),))
FAILS = d.Task((d.Act("error", text="our message"),))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that lasts as long as its test."""
    return Store(f"sqlite:///{tmp_path}/runs.db")


@pytest.mark.parametrize("way_out", ["stop", "skip", "next", "jump_token", "abort", "pass"])
@pytest.mark.parametrize("stops_on_halt", [False, True])
def test_a_task_that_leaves_a_token_is_undone_when_a_branch_has_halted(
    store: Store, way_out: str, stops_on_halt: bool
) -> None:
    items = (d.Parallel((HALTS,)), d.Task((d.Act(way_out),)))
    case = Case(d.labelled(items), 1, stop_on_error=False, stop_on_halt=stops_on_halt)
    as_the_model_says(case, DurableWay(), store)


@pytest.mark.parametrize("task", ["current", "first"])
def test_a_token_that_the_run_goes_back_to_takes_up_no_old_branches(
    store: Store, task: str
) -> None:
    failing = d.RunWf(d.Nested((TASK, d.For("list", (0,), "a", FAILS))))
    items = (TASK, d.If("IF", d.Asked((True,), False), d.Parallel((failing,))))
    case = Case(d.labelled(items), 2, stop_on_error=False, stop_on_halt=True)
    as_restarted(case, ("main", 2), DurableWay(), store, [("prev", task)])


@pytest.mark.parametrize("way", [DurableWay(), DurableWay(is_reloaded=True)], ids=["here", "anew"])
def test_what_a_branch_did_stays_when_a_branch_that_has_the_token_itself_halts(
    store: Store, way: DurableWay
) -> None:
    split = d.If("IF", d.Asked((True,), False), d.Parallel((TASK,)))
    case = Case(d.labelled((TASK, split, d.RunWf(TASK))), 1, stop_on_error=False)
    as_restarted(case, ("main", 2), way, store, [("current", "current")])
