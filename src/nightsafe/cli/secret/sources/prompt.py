"""Reads a value from standard input, a file or a hidden prompt, so that it is never an argument."""

import sys
from pathlib import Path

import click

from nightsafe.cli.secret.sources.declared import MAX_VALUE_BYTES
from nightsafe.cli.terminal.errors import CommandError

_MAX_BYTES = 1024 * 1024


def read_bytes(from_file: Path | None) -> bytes:
    """Read the bytes of a file or of standard input.

    Raises:
        CommandError: if they cannot be read, or are over 1 MiB.
    """
    source = "standard input" if from_file is None else str(from_file)
    try:
        if from_file is None:
            content = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with from_file.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{source} cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise CommandError(f"{source} is over 1 MiB; a value has at most {MAX_VALUE_BYTES:,} bytes")
    return content


def read_value(name: str, from_file: Path | None, *, exact: bool, allow_empty: bool) -> str:
    """Read the value of a text secret.

    Line breaks at the end are removed unless `exact` is set, because `echo` and editors add them.

    Raises:
        CommandError: if the value cannot be read, is empty, or is not text.
    """
    if from_file is None and sys.stdin.isatty():
        value = _prompt(name)
    else:
        try:
            value = read_bytes(from_file).decode()
        except UnicodeDecodeError:
            raise CommandError(
                "the value is not UTF-8 text; encode it in base64, or put it with `nightsafe secret key import`"
            ) from None
    if not exact:
        value = value.rstrip("\r\n")
    if not value and not allow_empty:
        raise CommandError("the value is empty; give --allow-empty to put an empty value")
    return value


def _prompt(name: str) -> str:
    """Ask for the value at a hidden prompt."""
    typed: str = click.prompt(f"Value of {name}", hide_input=True, default="", show_default=False, err=True)
    return typed
