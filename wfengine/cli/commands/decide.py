"""The command ``wfengine decide``: what a person says about tokens that wait."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from wfengine.cli.decoding import JsonError, JsonSyntaxError, NumberError, decoded
from wfengine.cli.options import (
    DEFAULT_STORE,
    USAGE,
    Action,
    AsJson,
    By,
    OfRun,
    StoreUrl,
    store_option,
    users_errors,
)
from wfengine.cli.printing import print_error, print_text
from wfengine.cli.stores import find_run, opened
from wfengine.cli.tables import count_of, print_json
from wfengine.errors import UnknownTokenError, WorkflowObjectStatusError
from wfengine.store import Store, Types
from wfengine.store.serialization.instances import CONTENTS
from wfengine.store.serialization.text import TAG, VALUE

__all__ = ["decide"]

MAPPINGS = ("dict", "OrderedDict", "Counter")
"""Tags of what is stored as pairs."""


def decide(
    decision: Annotated[
        str,
        typer.Argument(
            metavar="DECISION", help="What the tasks get as eng.decision: JSON, or else a text."
        ),
    ],
    token: Annotated[
        list[int] | None,
        typer.Option("--token", "-t", help="Decide about this token; may be repeated."),
    ] = None,
    action: Action = None,
    run: OfRun = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="JSON",
            help="What the tokens are to be from now on; by default they stay as they are.",
            show_default=False,
        ),
    ] = None,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Decide about tokens that wait; `wfengine resume` then goes on with them.

    In Python: store.decide(token_id, decision).

    [bold]Examples[/bold]

    wfengine decide reject --token 4 --token 29

    wfengine decide '{"name": "San Juan"}' --action "identify airport" --by alice

    wfengine decide accept --token 4 --data '{"name": "San Juan"}' --store sqlite:///runs.db

    [bold]Exit status[/bold]

    0 when all were decided about, 2 when one was not, because it does not wait, somebody else \
was faster, or it is an object and --data is none, or when there is something wrong with the \
command.
    """
    with users_errors(), opened(store) as kept:
        if token and (action is not None or run is not None):
            raise WorkflowObjectStatusError("--token says which tokens: leave out --action, --run")
        if not token and action is None:
            raise WorkflowObjectStatusError("say which tokens: --token ID, or --action ACTION")
        of_run = find_run(kept, run) if run else None
        ids = token or [each.id for each in kept.halted(of_run, action=action)]
        if not ids:
            raise WorkflowObjectStatusError(
                f"no token waits for a decision on {action!r}: "
                f"wfengine halted{store_option(store)} lists those that wait"
            )
        value, changed, decided = _value(decision), _data(data), list[int]()
        for token_id in dict.fromkeys(ids):
            try:
                if changed:
                    _check_form(kept, token_id, changed["data"])
                kept.decide(token_id, value, by=by, **changed)
            except (WorkflowObjectStatusError, UnknownTokenError) as error:
                print_error(Console(stderr=True), str(error))
            else:
                decided.append(token_id)
        if as_json:
            print_json({"decided": decided})
        else:
            print_text(Console(), f"Decided about {count_of(len(decided), 'token')}.")
    if len(decided) < len(set(ids)):
        raise typer.Exit(USAGE)


def _data(text: str | None) -> dict[str, Any]:
    """Return what the tokens are to be, if that was said."""
    if text is None:
        return {}
    try:
        return {"data": decoded(text)}
    except JsonError as error:
        raise WorkflowObjectStatusError(f"--data is no JSON: {error}") from None


def _check_form(store: Store, token_id: int, data: Any) -> None:
    """Refuse to make of a token that is an object something else."""
    record, _ = store.token(token_id)
    if _is_object(Types.plain(record.text)) and not isinstance(data, dict):
        raise WorkflowObjectStatusError(
            f"token {token_id} is an object, {{ ... }}, and has to stay one"
        )


def _is_object(stored: Any) -> bool:
    """Return whether data are a dictionary, or an instance that has attributes or such contents."""
    if not isinstance(stored, dict) or TAG not in stored:
        return isinstance(stored, dict)
    return stored[TAG] in MAPPINGS or isinstance(stored.get(CONTENTS, stored.get(VALUE)), dict)


def _value(text: str) -> Any:
    try:
        return decoded(text)
    except (JsonSyntaxError, NumberError):
        return text
    except JsonError as error:
        raise WorkflowObjectStatusError(f"the decision cannot be kept: {error}") from None
