"""`nightsafe`, and `python -m nightsafe`."""

import sys

from nightsafe.cli.process.descriptors import take_standard


def main() -> None:
    """Run the command line, where it is installed: the bare distribution is the client alone."""
    take_standard()
    try:
        from nightsafe.cli.main import main as run  # noqa: PLC0415 - what it needs may be missing
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("nightsafe"):
            raise
        sys.exit(f"nightsafe: not installed: {error.name}; the commands need: pip install 'nightsafe[cli]'")
    run()


if __name__ == "__main__":
    main()
