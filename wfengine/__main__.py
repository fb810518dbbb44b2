"""The command ``wfengine``, also started by ``python -m wfengine``."""

import sys
from importlib import import_module

__all__ = ["main"]

EXTRA_PACKAGES = ("rich", "typer")
INTERRUPTED = 130


def main() -> None:
    """Run the command line, which ends the program."""
    try:
        _run()
    except KeyboardInterrupt:  # while the command is still being imported
        sys.exit(INTERRUPTED)


def _run() -> None:
    try:
        for package in EXTRA_PACKAGES:
            import_module(package)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in EXTRA_PACKAGES:
            raise
        print("The command line is an extra: pip install 'wfengine[cli]'", file=sys.stderr)
        sys.exit(2)
    from wfengine.cli.app import app

    app(prog_name="wfengine")


if __name__ == "__main__":
    main()
