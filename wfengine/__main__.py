"""The command ``wfengine``, also started by ``python -m wfengine``."""

import sys

__all__ = ["main"]

EXTRA_PACKAGES = ("rich", "typer")


def main() -> None:
    """Run the command line, which ends the program."""
    try:
        from wfengine.cli.app import app
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in EXTRA_PACKAGES:
            raise
        print("The command line is an extra: pip install 'wfengine[cli]'", file=sys.stderr)
        sys.exit(2)
    app(prog_name="wfengine")


if __name__ == "__main__":
    main()
