"""The command ``wfengine``, also started by ``python -m wfengine``."""

import sys

__all__ = ["main"]

EXTRA_PACKAGES = ("rich", "typer")


def main() -> int:
    """Run the command line; return its exit status."""
    try:
        from wfengine.cli.app import app
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in EXTRA_PACKAGES:
            raise
        print("The command line is an extra: pip install 'wfengine[cli]'", file=sys.stderr)
        return 2
    app(prog_name="wfengine")
    return 0


if __name__ == "__main__":
    sys.exit(main())
