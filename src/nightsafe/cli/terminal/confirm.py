"""Confirmations: one form of question, flag and refusal for every command that destroys something."""

import sys

import click

from nightsafe.cli.terminal.errors import CommandError

NOT_ASKED = 2
"""Exit code if there is no terminal to ask at and --yes is missing."""

yes_option = click.option("--yes", is_flag=True, help="Do not ask for a confirmation.")


def confirm(question: str, *, yes: bool, advice: str = "give --yes to confirm") -> None:
    """Ask for a confirmation, unless `--yes` is given.

    Args:
        question: a question that names the loss and ends with a question mark.
        yes: whether `--yes` is given.
        advice: advice for a user without a terminal.

    Raises:
        CommandError: if `--yes` is missing and there is no terminal to ask at.
        click.Abort: if the answer is no.
    """
    if yes:
        return
    if not is_interactive():
        raise CommandError(
            f"{question} There is no terminal to ask at, so nothing was done: {advice}",
            NOT_ASKED,
        )
    click.confirm(question, abort=True, err=True)


def is_interactive() -> bool:
    """Return whether there is a terminal to ask at."""
    streams = (sys.stdin, sys.stderr)  # None if the stream was closed before the start
    return all(stream is not None and stream.isatty() for stream in streams)
