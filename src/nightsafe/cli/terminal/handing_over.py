"""Prints credentials that cannot be shown again, before they become valid.

A command prints such a credential first and stores it only after all of the output was written. So a full disk, a
closed pipe or a closed standard output leaves no valid credential that nobody has.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from nightsafe.errors import Code, NightsafeError


@contextmanager
def handing_over(what: str) -> Iterator[Callable[[str], None]]:
    """Give a function that prints a text; call it before storing anything. If storing then fails, say so on stderr.

    Args:
        what: name of the text in messages, such as "the token".

    Raises:
        NightsafeError: INVALID, from the given function, if the text cannot be printed.
    """
    printed = False

    def show(words: str) -> None:
        """Print the text and make sure that it was written."""
        nonlocal printed
        _print(words.removesuffix("\n") + "\n", what)
        printed = True

    try:
        yield show
    except BaseException:
        if printed:
            click.echo(f"nightsafe: do not use {what} printed above: not all of it was stored", err=True)
        raise


def _print(words: str, what: str) -> None:
    """Write and flush.

    Raises:
        NightsafeError: INVALID, if the text cannot be written.
    """
    if sys.stdout is None:  # it was closed before the start
        raise _refusal(what, os.strerror(errno.EBADF))
    try:
        click.echo(words, nl=False)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        _give_up_stdout()
        raise _refusal(what, (isinstance(error, OSError) and error.strerror) or "standard output is closed") from None


def _refusal(what: str, reason: str) -> NightsafeError:
    """Return the refusal."""
    return NightsafeError(
        Code.INVALID, f"{what} cannot be printed ({reason}) and could not be shown again: nothing was changed"
    )


def _give_up_stdout() -> None:
    """Discard the unwritten output. Otherwise Python would try again at the end and change the exit code."""
    sys.stdout = None  # as if it had been closed before the start
