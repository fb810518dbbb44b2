"""The command ``wfengine recover``: runs whose owner died go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Annotated, Any

import typer
from attrs import define, field
from rich.console import Console

from wfengine.cli.going_on import how_to_resume, print_failed, watched
from wfengine.cli.options import (
    DEFAULT_STORE,
    FAILED,
    INTERRUPTED,
    AsJson,
    By,
    DryRun,
    Quiet,
    StoreUrl,
    resume_command,
    users_errors,
)
from wfengine.cli.outputs import take_up_outputs
from wfengine.cli.printing import print_error, print_text
from wfengine.cli.stores import engine_class, needs_input, opened, own_names, why_not_all
from wfengine.cli.tables import print_json_lines
from wfengine.definitions import registry
from wfengine.definitions.loading import is_target
from wfengine.errors import HaltProcessing
from wfengine.status import WorkflowStatus
from wfengine.store.audit import user_name
from wfengine.store.control import FOUND, REFUSED, Recovered

__all__ = ["recover"]

BAD = (REFUSED, "error")


def recover(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="The workflows, as they were named for the runs; by default those that are "
            "registered.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help="Take up so many at most.", show_default=False),
    ] = None,
    dry_run: DryRun = False,
    by: By = None,
    quiet: Quiet = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Take up the runs whose process died, one after the other, and run each here.

    Each goes on where it stood; halts and failed tokens are left alone. Any number of processes \
may recover at the same time. Ctrl-C stops at the next checkpoint: wfengine resume then goes on \
with the run that was stopped, and the next recover with the others. In Python: store.recover().

    [bold]Examples[/bold]

    wfengine recover --dry-run

    wfengine recover workflow.py:workflow --limit 10 --store postgresql+psycopg://host/runs

    [bold]Exit status[/bold]

    0, also when there is none; 1 when one was refused, or a token of one failed; 2 when there is \
something wrong with the command; 130 after Ctrl-C.
    """
    with users_errors(), opened(store) as kept:
        work = _Recovery(kept, store, by, dry_run, quiet)
        is_whole = work.go_through(targets or [], limit)
        if as_json:
            print_json_lines(_data(each, work.failed[each.uuid]) for each in work.found)
        elif not work.found and is_whole:
            which = f" of {', '.join(targets)}" if targets else ""
            print_text(Console(), f"No run{which} is without its process.")
        else:
            for each in work.found:
                print_text(Console(), _line(each))
                if each.uuid in work.unread:
                    print_text(Console(), f"  {work.unread[each.uuid]}")
                if each.result == REFUSED and not is_target(each.name):
                    how = resume_command("TARGET", each.uuid, store)
                    print_text(Console(), f"  with the workflow named, it may go on: {how}")
    if not is_whole:
        left = "Interrupted. The next recover takes up the others, if there are any."
        print_text(work.errors, left, "yellow")
        raise typer.Exit(INTERRUPTED)
    if work.failed.total() or any(each.result in BAD for each in work.found):
        raise typer.Exit(FAILED)


@define
class _Recovery:
    """Recovers runs, of one target after the other.

    :param unread: what to type for those that have not seen all of their input, by uuid.
    :param failed: how many tokens of each have failed, by uuid.
    """

    store: Any
    url: str
    by: str | None
    dry_run: bool
    quiet: bool
    errors: Console = field(factory=lambda: Console(stderr=True))
    found: list[Any] = field(factory=list)
    unread: dict[str, str] = field(factory=dict)
    failed: Counter[str] = field(factory=Counter)

    def go_through(self, targets: list[str], limit: int | None) -> bool:
        """Recover so many runs; return False after Ctrl-C."""
        how = {"dry_run": self.dry_run, "on_taken": self._taken, "on_found": self.found.append}
        by = user_name(self.by)
        try:
            if not targets:
                self.store.recover(**how, by=by, limit=limit)
            for which in chain.from_iterable(map(self._of, targets)):
                taken = sum(each.result != REFUSED for each in self.found)
                left = None if limit is None else limit - taken
                if left == 0:
                    break
                self.store.recover(**how, **which, by=by, limit=left)
        except KeyboardInterrupt:
            return False
        return True

    def _of(self, target: str) -> Iterator[dict[str, Any]]:
        """Yield which runs of a target to recover: those of its name, and of its own names."""
        engine, runs = engine_class(target), registry.runs(target)
        yield {"engine": engine, "definitions": {target: target}, "names": [target]}
        if runs is not None:
            names = own_names(self.store, runs)
            known = dict.fromkeys(names, target)
            yield {"engine": engine, "definitions": known, "names": names, "style": runs.style}

    @contextmanager
    def _taken(self, eng: Any) -> Iterator[None]:
        """Watch a run that goes on; a stop of it ends the command."""
        take_up_outputs(eng)
        summary, error = self.store.summary(eng.uuid), None
        whole = summary.total - summary.done if summary.is_complete_input else None
        with watched(eng, whole, None if self.quiet else self.errors) as (interruption, tally):
            try:
                yield
            except (Exception, KeyboardInterrupt) as raised:
                if not interruption.requested:
                    raise
                error = raised
            finally:
                self.failed[eng.uuid] = tally.failed
                print_failed(self.errors, eng, tally)
        if interruption.requested:
            self._tell_interrupted(eng, error)
            raise KeyboardInterrupt
        if needs_input(eng):
            self.unread[eng.uuid] = why_not_all(eng, self.url)

    def _tell_interrupted(self, eng: Any, error: BaseException | None) -> None:
        """Tell what became of a run that Ctrl-C has stopped.

        :param error: what came out of it.
        """
        status = self.store.run(eng.uuid).status
        own = error if isinstance(error, Exception) else None
        own = None if isinstance(own, HaltProcessing) else own
        self.found.append(Recovered(eng.uuid, eng.name, status.name.lower(), own))
        if status is not WorkflowStatus.COMPLETED:
            print_error(self.errors, f"{eng.uuid}: interrupted")
            print_text(self.errors, f"  it goes on with: {how_to_resume(eng, self.url)}", "yellow")


def _data(found: Any, failed: int) -> dict[str, Any]:
    error = None if found.error is None else f"{type(found.error).__name__}: {found.error}"
    said = {"run": found.uuid, "name": found.name, "result": found.result, "error": error}
    return {**said, "failed": failed}


def _line(found: Any) -> str:
    if found.result == FOUND:
        return f"Would take up run {found.uuid} of {found.name}."
    why = f": {found.error}" if found.error is not None else ""
    return f"Run {found.uuid} of {found.name}: {found.result}{why}"
