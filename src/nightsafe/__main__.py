"""The entry point of the command `nightsafe` and of `python -m nightsafe`."""

import sys

from nightsafe.cli.process.descriptors import reserve_standard


def main() -> None:
    """Run the command line.

    Without the extra `cli` only the client is installed; then exit and name the extra.
    """
    reserve_standard()
    try:
        from nightsafe.cli.main import main as run  # noqa: PLC0415 - its dependencies may be missing
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("nightsafe"):
            raise
        sys.exit(f"nightsafe: not installed: {error.name}; the commands need: pip install 'nightsafe[cli]'")
    run()


if __name__ == "__main__":
    main()
