"""Prints credentials that cannot be shown again, before they become valid.

A command prints such a credential first and stores it only after all of the output was written. So a full disk, a
closed pipe or a closed standard output leaves no valid credential that nobody has.
"""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import msgspec

from nightsafe.errors import Code, NightsafeError

_LABELS = {
    "user_id": "user id",
    "account_id": "account id",
    "api_token": "API token",
    "email": "e-mail",
    "api_key": "Global API key",
    "service_key": "service key",
}


@contextmanager
def print_before_storing(label: str) -> Iterator[Callable[[str], None]]:
    """Give a function that prints a text; call it before storing anything. If storing then fails, say so on stderr.

    Args:
        label: name of the text in messages, such as "the token".

    Raises:
        NightsafeError: INVALID, from the given function, if the text cannot be printed.
    """
    printed = False

    def show(output: str) -> None:
        """Print the text and make sure that it was written."""
        nonlocal printed
        _print(output.removesuffix("\n") + "\n", label)
        printed = True

    try:
        yield show
    except BaseException:
        if printed:
            click.echo(f"nightsafe: do not use {label} printed above: not all of it was stored", err=True)
        raise


def format_credentials(introduction: str, credentials: msgspec.Struct, *, as_json: bool) -> str:
    """Return new credentials as one JSON object, or as text: an introduction, then those that are set, one per line.

    Args:
        introduction: the first line of the text.
        credentials: has only fields with a label here.
        as_json: whether to return JSON.
    """
    fields = msgspec.to_builtins(credentials)
    if as_json:
        return json.dumps(fields)
    lines = "\n".join(f"  {_LABELS[name]:15} {value}" for name, value in fields.items() if value)
    return f"{introduction}\n\n{lines}"


def _print(output: str, label: str) -> None:
    """Write and flush.

    Raises:
        NightsafeError: INVALID, if the text cannot be written.
    """
    if sys.stdout is None:  # it was closed before the start
        raise _refusal(label, os.strerror(errno.EBADF))
    try:
        click.echo(output, nl=False)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        _discard_stdout()
        raise _refusal(
            label, (isinstance(error, OSError) and error.strerror) or "standard output is closed"
        ) from None


def _refusal(label: str, reason: str) -> NightsafeError:
    """Return the refusal."""
    return NightsafeError(
        Code.INVALID, f"{label} cannot be printed ({reason}) and could not be shown again: nothing was changed"
    )


def _discard_stdout() -> None:
    """Discard the unwritten output. Otherwise Python would try again at the end and change the exit code."""
    sys.stdout = None  # as if it had been closed before the start
