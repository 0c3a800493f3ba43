"""Asking before something is lost: one question, one flag and one refusal for every command that destroys."""

import sys

import click

from nightsafe.cli.terminal.errors import CommandError

NOT_ASKED = 2
"""Exit code where nobody could be asked: the command line lacks --yes."""

yes_option = click.option("--yes", is_flag=True, help="Do not ask before something is lost.")


def confirm(question: str, *, yes: bool, unasked: str = "give --yes if that is meant") -> None:
    """Go on only if it is agreed to: by `--yes`, or by whoever sits at the terminal.

    Args:
        question: what is about to be lost; it ends with a question mark.
        yes: whether `--yes` was given.
        unasked: the way out where there is nobody to ask.

    Raises:
        CommandError: when it was not, and there is no terminal to ask at.
        click.Abort: when the answer is no.
    """
    if yes:
        return
    if not is_interactive():
        raise CommandError(
            f"{question} There is no terminal to ask at, and nothing was done: {unasked}",
            NOT_ASKED,
        )
    click.confirm(question, abort=True, err=True)


def is_interactive() -> bool:
    """Whether there is somebody to ask."""
    streams = (sys.stdin, sys.stderr)  # None for one that was closed before the start
    return all(stream is not None and stream.isatty() for stream in streams)
