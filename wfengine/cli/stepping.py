"""A flow of steps that the command line runs: once, as its own ``run`` does, without rows."""

from __future__ import annotations

import json
from typing import Any

import typer
from attrs import define, field, frozen
from rich.console import Console

from wfengine import signals
from wfengine.cli.options import FAILED, INTERRUPTED
from wfengine.cli.printing import print_error, print_text
from wfengine.cli.progress import Gauge, shown
from wfengine.cli.report import print_run
from wfengine.cli.running import Ending, Interruption
from wfengine.errors import HaltProcessing
from wfengine.steps import RunMode, Sequent, StepError

__all__ = ["FlowRun"]

STATUSES = {Ending.COMPLETE: 0, Ending.STOPPED: 0, Ending.INTERRUPTED: INTERRUPTED}


@define(eq=False)
class StepMeter(Gauge):
    """How many steps of a flow have succeeded."""

    flow: Sequent

    @property
    def name(self) -> str:
        """The flow."""
        return self.flow.name

    @property
    def counted(self) -> str:
        """What is counted."""
        return "steps"

    @property
    def count(self) -> int:
        """How many functions have returned."""
        return self.flow.done


@frozen
class FlowRun:
    """What was typed.

    :param url: of the store that was named; None for where the flow itself keeps its runs.
    :param resume: whether its latest run goes on.
    """

    flow: Sequent
    target: str
    url: str | None
    resume: bool
    quiet: bool
    as_json: bool
    errors: Console = field(factory=lambda: Console(stderr=True))

    def execute(self) -> int:
        """Run it, print what came of it, and return the exit status."""
        if self.resume:
            self.flow.run_mode = RunMode.recover
        with self.flow:
            meter = StepMeter(self.flow)
            ending = self._run(meter)
            self._tell(meter, ending)
        return STATUSES.get(ending, FAILED)

    def _run(self, meter: StepMeter) -> Ending:
        with (
            shown(meter, None if self.quiet else self.errors) as tick,
            Interruption(self.flow) as interruption,
        ):

            def watch(sender: Any, **context: Any) -> None:
                tick()

            signals.task_finished.connect(watch)
            try:
                if self.flow.advance():
                    return Ending.COMPLETE
                is_failed = bool(self.flow.failures)
            except HaltProcessing:
                return Ending.STOPPED
            except StepError as error:  # the run cannot go on with the flow as it is now
                print_error(self.errors, str(error))
                is_failed = True
            except KeyboardInterrupt:
                return Ending.INTERRUPTED
            finally:
                signals.task_finished.disconnect(watch)
        if interruption.requested:
            return Ending.INTERRUPTED
        return Ending.FAILED if is_failed else Ending.STOPPED

    def _tell(self, meter: StepMeter, ending: Ending) -> None:
        if self.as_json:
            typer.echo(json.dumps(self._data(meter, ending)))
        elif not self.quiet:
            self._print(Console(), meter, ending)
        for step, error in self.flow.failures:
            print_text(self.errors, f"Failed: {step}: {error}", "red")
        if ending is Ending.INTERRUPTED:
            print_text(self.errors, "Interrupted.", "red")

    def _data(self, meter: StepMeter, ending: Ending) -> dict[str, Any]:
        eng, failures = self.flow.engine, self.flow.failures
        return {
            "run": self.flow.uuid,
            "status": None if self.flow.uuid is None else eng.status.name,
            "ending": ending.name,
            "succeeded": meter.count,
            "failed": len(failures),
            "failures": [{"step": step, "error": error} for step, error in failures],
            "seconds": meter.seconds,
        }

    def _print(self, console: Console, meter: StepMeter, ending: Ending) -> None:
        for label, number in (("succeeded", meter.count), ("failed", len(self.flow.failures))):
            print_text(console, f"  {label:9}  {number:8,}")
        print_text(console, f"  {meter.seconds:,.2f} seconds")
        if self.flow.uuid is None:
            return
        from wfengine.cli.going_on import how_to_resume

        url = self.url or str(self.flow.place)
        how = f"it goes on with: {how_to_resume(self.flow.engine, url, self.target)}"
        is_stopped = ending is Ending.STOPPED and self.flow.engine.is_stopped
        goes_on = is_stopped or ending is Ending.INTERRUPTED
        print_run(console, self.flow.engine, url, goes_on, how)
