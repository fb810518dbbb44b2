"""What is done about runs: started, resumed, stopped, deleted, one or several at once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from attrs import frozen

from wfengine.cli.formats import read
from wfengine.cli.records import Record, RecordError
from wfengine.cli.sources import Format, Source
from wfengine.cli.tables import count_of
from wfengine.errors import WorkflowError
from wfengine.web.pages.definitions import definition_page
from wfengine.web.visits import Visit, local_path, uploaded, whole_number

if TYPE_CHECKING:
    from io import BufferedReader

    from starlette.responses import Response

__all__ = ["delete", "many", "restart", "resume", "rewind", "start", "stop", "treat"]

POINTS = ("current", "next", "prev", "first")
MOST_WRONG = 20
MOST_NAMED = 5


# One run


def resume(visit: Visit) -> Response:
    """Go on with a run."""
    uuid = visit.console.store.run(visit.part("uuid")).uuid
    return visit.to(f"/runs/{uuid}", _resume(visit, uuid))


def _resume(visit: Visit, uuid: str) -> str:
    visit.console.runner.resume(uuid, visit.by)
    return "The run goes on."


def stop(visit: Visit) -> Response:
    """Stop a run at its next checkpoint."""
    uuid = visit.console.store.run(visit.part("uuid")).uuid
    return visit.to(f"/runs/{uuid}", _stop(visit, uuid))


def _stop(visit: Visit, uuid: str) -> str:
    is_stopped = visit.console.runner.stop(uuid, visit.by)
    if is_stopped:
        return "The run has stopped; it can be resumed where it stands."
    return "The run was asked to stop, and does so when its current task is done."


def delete(visit: Visit) -> Response:
    """Delete a run, once somebody has said that this is meant."""
    run = visit.console.store.run(visit.part("uuid"))
    if visit.said("sure") != "yes":
        return _confirm(visit, "delete", [run.uuid], f"/runs/{run.uuid}/delete")
    return visit.to("/runs", _delete(visit, run.uuid))


def _delete(visit: Visit, uuid: str) -> str:
    gone = visit.console.store.delete(uuid, by=visit.by)
    return f"The run was deleted, with {gone.tokens:,} tokens and {gone.steps:,} steps."


def restart(visit: Visit) -> Response:
    """Go on with a run at another token and task."""
    run = visit.console.store.run(visit.part("uuid"))
    token, task = visit.said("token"), visit.said("task")
    if token not in POINTS or task not in POINTS:
        return visit.to(f"/runs/{run.uuid}", problem="Choose a token and a task to restart at.")
    visit.console.runner.restart(run.uuid, token, task, visit.by)
    return visit.to(f"/runs/{run.uuid}", f"The run goes on at the {token} token, {task} task.")


def rewind(visit: Visit) -> Response:
    """Take a token, named by its number in the run, to a step or a task."""
    run = visit.console.store.run(visit.part("uuid"))
    place, text = visit.said("number").strip(), visit.said("to_step").strip()
    number = whole_number(place, -1)
    tokens = visit.console.store.tokens(run.uuid)
    if number < 0 or not text:
        problem = "Say which token, by its number in the run, and the step or task to take it to."
        return visit.to(f"/runs/{run.uuid}", problem=problem)
    try:
        token = tokens[number]
    except IndexError:
        return visit.to(f"/runs/{run.uuid}", problem=f"The run has no token number {number:,}.")
    step = whole_number(text, -1)
    eng = visit.console.catalogue.take_up(run)
    eng.rewind(token.id, step if step >= 0 else text, by=visit.by)
    return visit.to(f"/tokens/{token.id}", f"Token {token.id} was taken to {text}.")


def treat(visit: Visit) -> Response:
    """Resume, restart or skip the tokens of a run that failed alike."""
    uuid, how = visit.console.store.run(visit.part("uuid")).uuid, visit.said("how")
    failure = visit.said("failure")
    count = visit.console.runner.treat(uuid, failure, how, visit.by)
    said = f"{how.capitalize()}: {count_of(count, 'token')}."
    return visit.to(f"/runs/{uuid}?view=failures", said)


# Several runs


@frozen
class Way:
    """Something that can be done with several runs.

    :param question: asked before it is done.
    :param done: what is said of each afterwards.
    """

    do: Callable[[Visit, str], str]
    question: str
    button: str
    done: str


WAYS = {
    "stop": Way(_stop, "Stop these runs?", "Stop", "asked to stop"),
    "resume": Way(_resume, "Go on with these runs?", "Resume", "going on"),
    "delete": Way(
        _delete, "Delete these runs, with all of their tokens and histories?", "Delete", "deleted"
    ),
}


def many(visit: Visit) -> Response:
    """Stop, resume or delete the runs that were chosen, once somebody has said that it is meant."""
    back = local_path(visit.said("to"))
    what, uuids = visit.said("do"), list(dict.fromkeys(visit.all_said("run")))
    if what not in WAYS or not uuids:
        return visit.to(back, problem="Choose the runs first.")
    if visit.said("sure") != "yes":
        return _confirm(visit, what, uuids, "/runs/many", back)
    done, problems = 0, []
    for uuid in uuids:
        try:
            WAYS[what].do(visit, visit.console.store.run(uuid).uuid)
            done += 1
        except WorkflowError as error:
            problems.append(error.message)
    said = f"{count_of(done, 'run')} {WAYS[what].done}." if done else ""
    return visit.to(back, said, _named(problems))


def _named(problems: list[str]) -> str:
    if not problems:
        return ""
    rest = len(problems) - MOST_NAMED
    more = f" And {rest:,} more." if rest > 0 else ""
    return f"Not done: {' '.join(problems[:MOST_NAMED])}{more}"


def _confirm(visit: Visit, what: str, uuids: list[str], path: str, back: str = "") -> Response:
    store = visit.console.store
    found = [store.summary(store.run(uuid).uuid) for uuid in uuids]
    return visit.page(
        "confirm.html",
        way=WAYS[what],
        what=what,
        runs=found,
        path=path,
        back=back or f"/runs/{uuids[0]}",
    )


# A new run


def start(visit: Visit) -> Response:
    """Begin a run of a definition with the rows of a file, or with what was pasted."""
    name = visit.said("name")
    visit.console.catalogue.definition(name)  # says so, if it may not be run
    pasted, format_ = visit.said("pasted"), visit.said("format")
    rows, wrong = _rows(visit, pasted, format_)
    if wrong or not rows:
        return definition_page(
            visit,
            name,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            pasted=pasted,
            format=format_,
            wrong=wrong[:MOST_WRONG] or ("There are no rows: choose a file, or paste some.",),
            more_wrong=max(len(wrong) - MOST_WRONG, 0),
        )
    uuid = visit.console.runner.start(name, rows, visit.by)
    return visit.to(f"/runs/{uuid}", f"The run has begun with {count_of(len(rows), 'token')}.")


def _rows(visit: Visit, pasted: str, format_: str) -> tuple[list[Record], list[str]]:
    """Return the rows that were sent, and what is wrong with others."""
    file = uploaded(visit, "file")
    with tempfile.TemporaryFile() as kept:
        if file is not None:
            while part := file.file.read(2**20):
                kept.write(part)
        else:
            kept.write(pasted.encode(errors="surrogatepass"))
        kept.seek(0)
        name = (file.filename or "") if file is not None else "what was pasted"
        source = Source(name[:200], cast("BufferedReader", kept))
        return _read(source, Format(format_) if format_ in FORMATS else None)


FORMATS = {each.value for each in Format}


def _read(source: Source, format_: Format | None) -> tuple[list[Record], list[str]]:
    rows: list[Record] = []
    wrong: list[str] = []
    try:
        for row in read(source, format_):
            if isinstance(row, Record):
                rows.append(row)
            else:
                wrong.append(row.message)
    except RecordError as error:
        wrong.append(error.message)
    return rows, wrong
