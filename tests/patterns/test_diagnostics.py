"""PROFILE and DEBUG_CYCLE."""

import asyncio
import importlib
import logging
import os
import pstats
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wfengine import HaltProcessing, WorkflowDefinitionError
from wfengine.patterns import DEBUG_CYCLE, FOR, PROFILE, TASK_JUMP_FWD, TRY

from .support import Way, add, breaks

# PROFILE


def functions_in(path: Path) -> set[str]:
    """Return the names of the functions that a file of statistics tells about."""
    return {name for _, _, name in pstats.Stats(str(path)).stats}


def spin() -> None:
    sum(range(10))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report.out"


def spins(run: Way) -> Callable[..., Any]:
    return run.task(lambda obj, eng: spin())


def test_profile_writes_statistics_that_pstats_can_read(run: Way, report: Path) -> None:
    assert run.trace(PROFILE(spins(run), output=report), run.add("after")) == ["after"]
    assert "spin" in functions_in(report)


@pytest.mark.parametrize("kind", [str, Path])
def test_the_file_for_the_statistics_is_any_path(run: Way, report: Path, kind: Any) -> None:
    run.trace(PROFILE(spins(run), output=kind(report)))
    assert "spin" in functions_in(report)


def test_profile_tells_about_every_task_of_a_list(run: Way, report: Path) -> None:
    inner = FOR([1, 2], "item", [run.add_value(), spins(run)])
    assert run.trace(PROFILE([run.add("a"), inner], output=report)) == ["a", 1, 2]
    assert "spin" in functions_in(report)


def test_profile_tells_about_one_token_at_a_time(run: Way, report: Path) -> None:
    first_only = run.task(lambda obj, eng: spin() if eng.state.token_pos == 0 else None)
    engine = run.engine([PROFILE(first_only, output=report), run.halts()])
    with pytest.raises(HaltProcessing):
        run.process(engine, [[], []])
    assert "spin" in functions_in(report)
    run.restart(engine, "next", "first")
    assert "spin" not in functions_in(report)


def test_without_a_file_a_report_is_logged(run: Way, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wfengine")
    run.trace(PROFILE(spins(run)))
    assert "function calls" in caplog.text
    assert "(spin)" in caplog.text


@pytest.mark.parametrize(
    ("stmt", "told"),
    [("cumulative", "cumulative time"), ("tottime", "internal time"), ("ncalls", "call count")],
)
def test_the_report_is_sorted_by_a_key(
    run: Way, caplog: pytest.LogCaptureFixture, stmt: str, told: str
) -> None:
    caplog.set_level(logging.INFO, "wfengine")
    run.trace(PROFILE(spins(run), stmt=stmt))
    assert f"Ordered by: {told}" in caplog.text


def test_the_report_is_sorted_by_cumulative_time_by_default(
    run: Way, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wfengine")
    run.trace(PROFILE(spins(run)))
    assert "Ordered by: cumulative time" in caplog.text


@pytest.mark.parametrize("as_list", [False, True], ids=["task", "list"])
def test_a_task_that_fails_is_told_about_as_well(run: Way, report: Path, as_list: bool) -> None:
    def spin_and_fail(obj: Any, eng: Any) -> None:
        spin()
        raise ValueError("broken")

    failing = run.task(spin_and_fail)
    engine = run.engine([PROFILE([failing] if as_list else failing, output=report)])
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [[]])
    assert "spin" in functions_in(report)


def test_the_profiler_is_off_afterwards(run: Way, report: Path) -> None:
    profiler = sys.getprofile()
    with pytest.raises(ValueError, match="broken"):
        run.trace(PROFILE(spins(run), output=report), PROFILE(run.fails(), output=report))
    assert sys.getprofile() is profiler


def test_what_a_profiled_task_hands_over_still_moves_the_engine(run: Way, report: Path) -> None:
    jump = PROFILE(TASK_JUMP_FWD(2), output=report)
    assert run.trace(jump, run.add("skipped"), run.add("b")) == ["b"]
    raising = PROFILE(run.task(breaks), output=report)
    assert run.trace([raising, run.add("skipped")], run.add("after")) == ["after"]


def test_a_profiled_task_has_the_engine_itself(run: Way, report: Path) -> None:
    seen: list[Any] = []
    engine = run.engine([PROFILE(run.task(lambda obj, eng: seen.append(eng)), output=report)])
    run.process(engine, [[]])
    assert seen == [engine]


def test_what_a_profiled_list_puts_into_extra_data_is_there_afterwards(
    run: Way, report: Path
) -> None:
    loop = PROFILE([FOR([1, 2], "item", [])], output=report)
    assert run.extra_data(loop)["item"] == 2


def test_profile_can_be_tried_again(run: Way, report: Path) -> None:
    assert run.trace(TRY(PROFILE([run.add("a"), run.fails()], output=report))) == ["a", "a"]


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: PROFILE(5), r"PROFILE's tasks: 5 \(int\) at \[0\]"),
        (lambda: PROFILE(add("a"), output=5), "PROFILE's output .*5"),
        (lambda: PROFILE(add("a"), output=["x"]), r"PROFILE's output .*\['x'\]"),
        (lambda: PROFILE(add("a"), stmt="slowest"), "PROFILE's stmt .*'slowest'"),
        (lambda: PROFILE(add("a"), stmt=None), "PROFILE's stmt .*None"),
    ],
)
def test_profile_says_which_part_is_wrong(build: Any, problem: str) -> None:
    with pytest.raises(WorkflowDefinitionError, match=problem):
        build()


# DEBUG_CYCLE

BROKEN = "raise ValueError('broken')"
MENDED = "obj.append('mended')"


class Draft:
    """A module that is still being written: it holds one task, ``work``."""

    def __init__(self, path: Path, is_async: bool) -> None:
        self.path = path
        self.is_async = is_async
        self.errors: list[str] = []

    def write(self, body: str) -> None:
        start = "async def" if self.is_async else "def"
        lines = ["import asyncio", "", f"{start} work(obj, eng):", f"    {body}"]
        self.path.write_text("\n".join(lines), encoding="utf-8")

    @property
    def work(self) -> Any:
        importlib.invalidate_caches()
        return importlib.import_module(self.path.stem).work

    def mend(self, obj: Any, eng: Any, error: Exception) -> None:
        """Do what a person would do in an editor."""
        self.errors.append(str(error))
        self.write(MENDED)


@pytest.fixture
def draft(run: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Draft]:
    monkeypatch.syspath_prepend(tmp_path)
    draft = Draft(tmp_path / "draft_of_a_task.py", run.of_coroutines)
    draft.write(BROKEN)
    yield draft
    sys.modules.pop(draft.path.stem, None)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """Return what is done in each pause, none of which is made, with the last one first."""
    waiting: list[Callable[[], None]] = []
    at_once = asyncio.sleep

    def sleep(seconds: float) -> None:
        waiting.pop()()

    async def sleep_in_loop(seconds: float) -> None:
        if seconds:
            sleep(seconds)
        await at_once(0)

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr(asyncio, "sleep", sleep_in_loop)
    return waiting


def test_a_task_that_works_is_run_once(run: Way, draft: Draft) -> None:
    draft.write(MENDED)
    cycle = DEBUG_CYCLE(draft.work, onerror=draft.mend)
    assert run.trace(cycle, run.add("after")) == ["mended", "after"]
    assert draft.errors == []


def test_a_task_that_was_mended_is_reloaded_and_run_again(run: Way, draft: Draft) -> None:
    cycle = DEBUG_CYCLE(draft.work, onerror=draft.mend)
    assert run.trace(cycle, run.add("after")) == ["mended", "after"]
    assert draft.errors == ["broken"]


def test_a_task_is_mended_as_often_as_it_fails(run: Way, draft: Draft) -> None:
    drafts = ["raise KeyError('other')", "1 / 0", MENDED]
    failed: list[str] = []

    def mend(obj: Any, eng: Any, error: Exception) -> None:
        failed.append(type(error).__name__)
        draft.write(drafts[len(failed) - 1])

    assert run.trace(DEBUG_CYCLE(draft.work, onerror=mend)) == ["mended"]
    assert failed == ["ValueError", "KeyError", "ZeroDivisionError"]


def test_what_was_mended_once_serves_the_tokens_that_follow(run: Way, draft: Draft) -> None:
    tokens: list[list[str]] = [[], [], []]
    run.process(run.engine([DEBUG_CYCLE(draft.work, onerror=draft.mend)]), tokens)
    assert tokens == [["mended"]] * 3
    assert draft.errors == ["broken"]


def test_a_mend_that_leaves_time_and_length_of_the_file_as_they_were_is_seen(
    run: Way, draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytecode that the import system has cached may not stand in for what was just mended."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)

    def write(body: str, nanoseconds: int) -> None:
        draft.write(body)
        os.utime(draft.path, ns=(10**18 + nanoseconds,) * 2)

    broken = MENDED.replace("append", "appent")
    write(broken, 0)
    cycle = DEBUG_CYCLE(
        draft.work,
        onerror=lambda obj, eng, error: write(MENDED, 1000),
        debug_stopper=run.task(lambda obj, eng: attempts.append(1) or len(attempts) > 2),
    )
    attempts: list[int] = []
    assert run.trace(cycle) == ["mended"]


def test_setup_is_called_before_each_attempt(run: Way, draft: Draft) -> None:
    draft.write(f"obj.append('half'); {BROKEN}")
    begin = run.task(lambda obj, eng: obj.clear() or obj.append("begun"))
    cycle = DEBUG_CYCLE(draft.work, setup=begin, onerror=draft.mend)
    assert run.trace(cycle) == ["begun", "mended"]


def test_setup_is_called_for_a_task_that_works(run: Way, draft: Draft) -> None:
    draft.write(MENDED)
    assert run.trace(DEBUG_CYCLE(draft.work, setup=run.add("begun"))) == ["begun", "mended"]


def test_an_error_in_setup_is_no_failure_of_the_task(run: Way, draft: Draft) -> None:
    engine = run.engine([DEBUG_CYCLE(draft.work, setup=run.fails(), onerror=draft.mend)])
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [[]])
    assert draft.errors == []


def test_debug_stopper_ends_the_cycle_with_the_error(run: Way, draft: Draft) -> None:
    stops = run.task(lambda obj, eng: obj == ["before"] and eng.state.token_pos == 0)
    cycle = DEBUG_CYCLE(draft.work, onerror=draft.mend, debug_stopper=stops)
    engine = run.engine([run.add("before"), cycle])
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [[]])
    assert engine.state.callback_pos == [1]
    assert draft.errors == []


def test_debug_stopper_is_asked_after_each_failure(run: Way, draft: Draft) -> None:
    cycle = DEBUG_CYCLE(
        draft.work, onerror=lambda obj, eng, error: None, debug_stopper=run.answers(False, 0, True)
    )
    with pytest.raises(ValueError, match="broken"):
        run.trace(cycle)


def test_debug_stopper_lets_the_cycle_go_on(run: Way, draft: Draft) -> None:
    cycle = DEBUG_CYCLE(draft.work, onerror=draft.mend, debug_stopper=run.answers(False))
    assert run.trace(cycle) == ["mended"]


def test_onerror_is_called_with_token_engine_and_error(run: Way, draft: Draft) -> None:
    called: list[Any] = []

    def mend(obj: Any, eng: Any, error: Exception) -> None:
        called.append((obj, eng, repr(error)))
        draft.write(MENDED)

    engine = run.engine([DEBUG_CYCLE(draft.work, onerror=run.task(mend))])
    run.process(engine, [token := []])
    assert called == [(token, engine, "ValueError('broken')")]
    assert token == ["mended"]


def test_by_default_the_cycle_waits_until_the_file_has_changed(
    run: Way, draft: Draft, pauses: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pauses.extend([lambda: draft.write(MENDED), lambda: None, lambda: None])
    assert run.trace(DEBUG_CYCLE(draft.work), run.add("after")) == ["mended", "after"]
    assert pauses == []
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert "broken" in record.getMessage()
    assert str(draft.path) in record.getMessage()


def test_the_cycle_waits_again_after_a_change_that_does_not_help(
    run: Way, draft: Draft, pauses: Any
) -> None:
    pauses.extend([lambda: draft.write(MENDED), lambda: draft.write("raise KeyError('other')")])
    assert run.trace(DEBUG_CYCLE(draft.work)) == ["mended"]


def test_transitions_are_no_failures(run: Way, draft: Draft) -> None:
    draft.write("eng.break_current_loop()")
    cycle = DEBUG_CYCLE(draft.work, onerror=draft.mend)
    assert run.trace([cycle, run.add("skipped")], run.add("after")) == ["after"]
    assert draft.errors == []


def test_a_halt_passes_and_can_be_taken_up(run: Way, draft: Draft, take_up: Any) -> None:
    draft.write("None if obj else (obj.append('halted'), eng.halt('decide'))")
    definition = [DEBUG_CYCLE(draft.work, onerror=draft.mend), run.add("after")]
    engine, token = run.engine(definition), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition)
    assert token == ["halted", "after"]
    assert draft.errors == []


def test_what_the_task_hands_over_moves_the_engine(run: Way, draft: Draft) -> None:
    draft.write("from wfengine.errors import JumpCall; return JumpCall(2)")
    cycle = DEBUG_CYCLE(draft.work, onerror=draft.mend)
    assert run.trace(cycle, run.add("skipped"), run.add("b")) == ["b"]


def works(obj: Any, eng: Any) -> None:
    """Stand for a task of a module."""


def takes_one(obj: Any) -> None:
    """Stand for what is no task."""


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: DEBUG_CYCLE(lambda obj, eng: None), "DEBUG_CYCLE .*no function of a module"),
        (lambda: DEBUG_CYCLE(add("a")), "DEBUG_CYCLE .*'add_a' is no function of a module"),
        (lambda: DEBUG_CYCLE(5), "DEBUG_CYCLE .*no function of a module"),
        (lambda: DEBUG_CYCLE([works]), "DEBUG_CYCLE .*no function of a module"),
        (lambda: DEBUG_CYCLE(takes_one), "DEBUG_CYCLE's .*cannot be called"),
        (lambda: DEBUG_CYCLE(works, setup=5), "DEBUG_CYCLE's setup is a callable"),
        (lambda: DEBUG_CYCLE(works, setup=takes_one), "DEBUG_CYCLE's setup cannot be called"),
        (lambda: DEBUG_CYCLE(works, debug_stopper=5), "DEBUG_CYCLE's debug_stopper is a callable"),
        (
            lambda: DEBUG_CYCLE(works, debug_stopper=takes_one),
            "DEBUG_CYCLE's debug_stopper cannot be called",
        ),
        (lambda: DEBUG_CYCLE(works, onerror=5), "DEBUG_CYCLE's onerror .*5"),
        (lambda: DEBUG_CYCLE(works, onerror=works), "DEBUG_CYCLE's onerror cannot be called"),
    ],
)
def test_debug_cycle_says_which_part_is_wrong(build: Any, problem: str) -> None:
    with pytest.raises(WorkflowDefinitionError, match=problem):
        build()


def test_a_task_of_a_module_that_cannot_be_reloaded_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as that of a script that is run, or one made without a file."""
    module = ModuleType("made_without_a_file")
    task = add("a")
    task.__module__, module.add_a = module.__name__, task
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(WorkflowDefinitionError, match=r"DEBUG_CYCLE .*made_without_a_file"):
        DEBUG_CYCLE(task)
