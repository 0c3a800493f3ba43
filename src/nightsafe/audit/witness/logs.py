"""The list of the logs that a witness accepts: a file with one verifier key a line."""

from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import NoteKey
from nightsafe.merkle.verifier_key import ED25519, VerifierKey
from nightsafe.sealing import files

_COMMENT: Final = "#"


def read_logs(path: Path) -> dict[str, list[NoteKey]]:
    """Return the keys of each log by its origin. Empty lines, and lines that begin with `#`, do not count.

    Raises:
        NightsafeError: INVALID, with the line, or when the file cannot be read or others can write to it.
    """
    return group_keys(read_keys(path, ED25519))


def group_keys(keys: list[VerifierKey]) -> dict[str, list[NoteKey]]:
    """Return keys of logs by the logs' origins."""
    logs: dict[str, list[NoteKey]] = {}
    for key in keys:
        logs.setdefault(key.name, []).append(key.note_key())
    return logs


def read_keys(path: Path, kind: int) -> list[VerifierKey]:
    """Return the keys in a file of verifier keys.

    Args:
        path: the file.
        kind: the only type of keys to accept.

    Raises:
        NightsafeError: INVALID, as for `read_logs`.
    """
    try:
        lines = files.read(path, private=False).decode().splitlines()
    except UnicodeDecodeError:
        raise NightsafeError(Code.INVALID, f"{path}: not UTF-8 text") from None
    keys = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith(_COMMENT):
            continue
        try:
            keys.append(VerifierKey.parse(line, kind))
        except NightsafeError as error:
            raise NightsafeError(Code.INVALID, f"{path}, line {number}: {error.problems[0].detail}") from None
    if len(set(keys)) < len(keys):
        raise NightsafeError(Code.INVALID, f"{path}: a key is there twice")
    return keys
