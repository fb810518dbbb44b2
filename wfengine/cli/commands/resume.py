"""The command ``wfengine resume``: stored runs go on."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from wfengine.cli.going_on import GoingOn, noted
from wfengine.cli.options import (
    FAILED,
    INTERRUPTED,
    AsJson,
    By,
    DryRun,
    Quiet,
    StoreOfTarget,
    Target,
    resume_command,
    users_errors,
)
from wfengine.cli.printing import print_error, print_text
from wfengine.cli.renaming import Renamed, names
from wfengine.cli.stores import (
    check_target,
    failed_count,
    failed_run,
    find_run,
    needs_input,
    opened,
    others,
    store_of,
    take_up,
    unfinished,
    why_not_all,
)
from wfengine.cli.tables import count_of, print_json_lines
from wfengine.errors import WorkflowAPIError, WorkflowError

__all__ = ["resume"]

SHOWN_FAILURES = 5
LONGEST_MESSAGE = 100


def resume(  # noqa: PLR0913, PLR0917 - each is an option
    target: Target,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Which run, or how its uuid begins; by default all that are not over.",
            show_default=False,
        ),
    ] = None,
    store: StoreOfTarget = None,
    dry_run: DryRun = False,
    renamed: Renamed = None,
    failure: Annotated[
        str | None,
        typer.Option(
            "--failure",
            metavar="FINGERPRINT",
            help="Only the tokens that failed so; wfengine show tells. Needs --run.",
            show_default=False,
        ),
    ] = None,
    skip: Annotated[
        bool, typer.Option("--skip", help="With --failure: count these tokens as done.")
    ] = False,
    by: By = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Go on with stored runs: what was decided, what failed, what was interrupted.

    Ctrl-C stops at the next checkpoint. In Python: eng.resume(), store.resume_failures().

    [bold]Examples[/bold]

    wfengine resume workflow.py:workflow

    wfengine resume workflow.py:workflow --dry-run --store sqlite:///runs.db

    wfengine resume workflow.py:workflow --run 3f2a --renamed clean=tidy

    wfengine resume workflow.py:workflow --run 3f2a --failure 70e860a3a303250196f724d391c82533

    [bold]Exit status[/bold]

    0 when the runs went on, 1 when one of them, or a token, failed, 2 when there is something \
wrong with the command, 130 after Ctrl-C.
    """
    statuses = list[int]()
    with users_errors(), opened(url := store_of(target, store)) as kept:
        going = GoingOn(url, target, quiet, as_json)
        _check(run, failure, skip, dry_run)
        new_names = names(renamed)
        uuids = [find_run(kept, run)] if run else list(reversed(unfinished(kept, target)))
        if not uuids:
            check_target(target)
            if not as_json:
                _print_none_left(going.console, kept, target, url)
        for uuid in uuids:
            eng = take_up(kept, target, uuid)
            if dry_run:
                statuses.append(_plan(going, eng, new_names))
                continue
            statuses.append(_go_on(kept, going, eng, new_names, failure, skip, by))
            if statuses[-1] == INTERRUPTED:
                break
        print_json_lines(going.results)
    raise typer.Exit(max(statuses, default=0))


def _check(run: str | None, failure: str | None, skip: bool, dry_run: bool) -> None:
    if failure is not None and (run is None or dry_run):
        raise WorkflowAPIError("--failure is of one run: name it with --run, without --dry-run")
    if skip and failure is None:
        raise WorkflowAPIError("--skip is about tokens that failed alike: say so with --failure")


def _print_none_left(console: Console, store: Any, target: str, url: str) -> None:
    """Print that no run is left, and how tokens are tried again that failed in one that is over."""
    elsewhere = others(store)
    print_text(console, f"No run of {target} is left to go on with{elsewhere}.")
    if elsewhere:
        how = resume_command(target, "RUN", url)
        print_text(console, f"  if one of these was begun with it: {how}")
    uuid = failed_run(store, target)
    if uuid is None:
        return
    groups = store.failures(uuid)
    again = resume_command(target, uuid, url)
    tokens = count_of(sum(group.count for group in groups), "token")
    print_text(console, f"  {tokens} of run {uuid} failed; to try all, or some, again:", "yellow")
    print_text(console, f"  {again}")
    for group in groups[:SHOWN_FAILURES]:
        said = " ".join(f"{group.count:,} {group.type}: {group.message}".split())
        print_text(console, f"  {again} --failure {group.failure}  # {said[:LONGEST_MESSAGE]}")


def _go_on(
    store: Any,
    going: GoingOn,
    eng: Any,
    renamed: dict[str, str],
    failure: str | None,
    skip: bool,
    by: str | None,
) -> int:
    """Go on with one run, print what came of it, and return the exit status."""
    if failure is not None:
        how = "skip" if skip else "resume"
        given = {} if skip else {"engine": eng}
        return going.run(
            eng,
            lambda: store.resume_failures(eng.uuid, failure, how=how, by=by, **given),
            failed_count(store, eng.uuid, failure),
        )
    with noted(eng, "resume", by):
        return going.run(
            eng,
            lambda: eng.resume(renamed=renamed, stop_on_halt=False, stop_on_error=False),
            None if going.quiet else _whole(eng, renamed),
        )


def _whole(eng: Any, renamed: dict[str, str]) -> int | None:
    """Return how many tokens there are to go on with, if that can be told before."""
    if needs_input(eng):
        return None
    try:
        plan = eng.resume(dry_run=True, renamed=renamed)
    except WorkflowError:  # going on says what is wrong
        return None
    rest = 0 if plan.goes_on_at is None else eng.recorder.run.token_count - plan.goes_on_at
    return int(plan.tokens + max(rest, 0))


def _plan(going: GoingOn, eng: Any, renamed: dict[str, str]) -> int:
    """Say what would be done with one run, and return the exit status."""
    try:
        plan = eng.resume(dry_run=True, renamed=renamed, stop_on_halt=False, stop_on_error=False)
    except WorkflowError as error:
        print_error(going.errors, f"{eng.uuid}: {error}")
        return FAILED
    if going.as_json:
        drift = None if plan.drift is None else plan.drift.text()
        found = {"run": eng.uuid, "tokens": plan.tokens, "goes_on_at": plan.goes_on_at}
        going.results.append({**found, "drift": drift})
    else:
        _print_plan(going.console, eng, plan, going.url)
    return FAILED if plan.drift is not None and plan.drift.is_refused else 0


def _print_plan(console: Console, eng: Any, plan: Any, url: str) -> None:
    tokens = count_of(plan.tokens, "token")
    print_text(console, f"run {eng.uuid} would go on with {tokens} that it has left behind")
    if plan.goes_on_at is not None:
        print_text(console, f"  and then with token {plan.goes_on_at} and those after it")
    if needs_input(eng):
        print_text(console, f"  {why_not_all(eng, url)}")
    _print_drift(console, plan)


def _print_drift(console: Console, plan: Any) -> None:
    """Print what became of the positions, where the workflow has changed since."""
    if plan.drift is not None:
        for line in plan.drift.text().splitlines():
            print_text(console, f"  {line}")
