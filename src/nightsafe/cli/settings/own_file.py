"""Reads files that only their owner may read, such as the file of a token."""

import os
from pathlib import Path

from nightsafe.cli.terminal.errors import CommandError
from nightsafe.sealing.files import rights_of_others


def read_own_file(path: Path, description: str, most_bytes: int) -> str:
    """Return the text in a file that only its owner may read, without white space around it.

    Args:
        path: the file.
        description: name of the file for the message that it cannot be read.
        most_bytes: number of bytes to read; anything after them is ignored.

    Raises:
        CommandError: if the file cannot be read, or others may read it.
    """
    try:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(most_bytes)
    except OSError as error:
        raise CommandError(f"{description} cannot be read: {error.strerror}") from None
    if mode & rights_of_others(path):
        raise CommandError(f"{path} can be read by others; run: chmod 600 {path}")
    return content.decode("latin-1").strip()
