"""Printing what is the only copy there is: it must be out before it counts.

A command whose output nobody can have again prints it first, and makes it valid only once all of it was taken. So a
full disk, a pipe that nobody reads any more and a closed standard output leave nothing behind that nobody has.
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
    """What prints, for use before anything is made valid. When that fails after it, this is said on stderr.

    Args:
        what: for the refusal: "the token".

    Raises:
        NightsafeError: INVALID by what is given, when the text cannot be printed.
    """
    printed = False

    def show(words: str) -> None:
        """Print, and be sure that it is out."""
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
        NightsafeError: INVALID, when it is not taken.
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
    """The refusal."""
    return NightsafeError(
        Code.INVALID, f"{what} cannot be printed ({reason}), and nobody could have it again: nothing was changed"
    )


def _give_up_stdout() -> None:
    """Throw away what is left to be written, or it would be tried again at the end and change the exit code."""
    sys.stdout = None  # as if it had been closed before the start
