"""The command ``wfengine console``: what is in a store, in a browser."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer
from rich.console import Console

from wfengine.cli.options import DEFAULT_STORE, USAGE, StoreUrl, users_errors
from wfengine.cli.printing import print_error
from wfengine.cli.stores import opened

__all__ = ["console"]

EXTRA_PACKAGES = ("starlette", "uvicorn", "jinja2", "python_multipart")
MIB = 2**20


def console(  # noqa: PLR0913, PLR0917 - each is an option
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TARGET]...",
            help="Workflows that can be run and resumed, besides those that are registered: "
            "path/to/file.py:attribute or package.module:attribute.",
            show_default=False,
        ),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    host: Annotated[
        str,
        typer.Option("--host", help="Where to listen. Any but this machine's own needs a token."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="0 for one that is free.")
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="WFENGINE_CONSOLE_TOKEN",
            help="What one has to give to sign in; better set by the environment variable. Without "
            "it one is made and printed once, where one is needed.",
            show_default=False,
        ),
    ] = None,
    sign_in: Annotated[
        bool, typer.Option("--sign-in", help="Ask for a name and the token, on any address.")
    ] = False,
    public_url: Annotated[
        str | None,
        typer.Option(
            "--public-url",
            metavar="URL",
            help="How browsers reach it through a proxy, as https://console.example.org.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Where runs begun here write.")
    ] = "output",
    largest_input: Annotated[
        int, typer.Option("--largest-input", metavar="MIB", min=1, help="Of a run begun here.")
    ] = 32,
) -> None:
    """Serve pages on which runs are watched, decided on, and steered.

    Ctrl-C ends it; runs that it has begun stop before their next task, and can be resumed. In \
Python: wfengine.web.app.create_app(store, access=access) returns an ASGI application.

    [bold]Examples[/bold]

    wfengine console workflow.py:workflow

    wfengine console workflow.py:workflow --store postgresql+psycopg://host/name --port 8080

    wfengine console --host 0.0.0.0 --public-url https://console.example.org

    [bold]Exit status[/bold]

    130 after Ctrl-C, 2 when there is something wrong with the command, or nobody can listen there.
    """
    try:
        for package in EXTRA_PACKAGES:
            import_module(package)
    except ModuleNotFoundError:
        print_error(Console(stderr=True), "the console is an extra: pip install 'wfengine[web]'")
        raise typer.Exit(USAGE) from None
    from wfengine.web.serving import serve

    with users_errors(), opened(store, creates=bool(targets)) as kept:
        serve(
            kept,
            targets=targets or (),
            host=host,
            port=port,
            token=token,
            asks=sign_in,
            public_url=public_url,
            output=output,
            largest_input=largest_input * MIB,
            say=typer.echo,
        )
