"""The archives of the audit log: files with the entries that were removed from the database."""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from nightsafe.audit.exports.json_lines import MAX_LINE, Export
from nightsafe.cli.data_directory.ownership import refuse_unsafe
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.changes import ArchivedEntries

_NAME: Final = re.compile(r"audit-([0-9]{12,19})-([0-9]{12,19})\.jsonl")
_UNFINISHED: Final = ".unfinished-audit.jsonl"
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW

archive_option = click.option(
    "--archive",
    "archives",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A file of `audit archive`, or a directory with such files; repeat it for several.",
)


class ArchiveDirectory:
    """The directory that archives are written to. Open it with `open_directory`.

    Args:
        path: the directory.
        descriptor: its open descriptor.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def find(self, entries: ArchivedEntries) -> ArchivedEntries | None:
        """Return the entries of a file that has as many as possible of these, from the first one on, and no others.

        An interrupted command leaves such a file.
        """
        ends = [end for first, end in map(_range_of, self.path.iterdir()) if first == entries.first]
        end = max((end for end in ends if end <= entries.end), default=entries.first)
        return ArchivedEntries(entries.first, end) if end > entries.first else None

    def file_of(self, entries: ArchivedEntries) -> Path:
        """Return the path of the file of entries."""
        return self.path / f"audit-{entries.first:012d}-{entries.end - 1:012d}.jsonl"

    def write(self, entries: ArchivedEntries, lines: Iterable[bytes]) -> None:
        """Write the file of entries. It gets its name when it is whole.

        Raises:
            CommandError: if it cannot be written.
        """
        unfinished = self.path / _UNFINISHED
        try:
            unfinished.unlink(missing_ok=True)
            with os.fdopen(os.open(unfinished, _FLAGS, 0o600), "wb") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self.file_of(entries))
        except OSError as error:
            raise self._failed(error) from None

    def sync(self, entries: ArchivedEntries) -> None:
        """Make the file of entries durable, with its name, also one that an interrupted command has left.

        Raises:
            CommandError: if the disk fails.
        """
        try:
            _sync(self.file_of(entries))
            os.fsync(self._descriptor)
            with suppress(PermissionError):  # the directory above may belong to somebody else, and was there before
                _sync(self.path.resolve().parent)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> CommandError:
        """Return the refusal of a disk that fails."""
        return CommandError(f"{self.path} cannot be written to: {error.strerror}")


@contextmanager
def open_directory(path: Path) -> Iterator[ArchiveDirectory]:
    """Open the directory of archives for one command. It is created with mode 0700 if it does not exist.

    Raises:
        CommandError: if it cannot be used, or another command uses it.
        NightsafeError: INVALID, if other users can write to it.
    """
    refuse_unsafe(path)
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise CommandError(f"{path} cannot be used: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"another `nightsafe audit archive` is writing to {path}: wait until it ends"
            ) from None
        yield ArchiveDirectory(path, descriptor)
    finally:
        os.close(descriptor)


def open_archives(paths: Sequence[Path], keys: VerifyKeys) -> list[Export]:
    """Open archives, given as files or directories.

    Raises:
        CommandError: if one cannot be read, or there is no archive in a directory.
        DifferenceError: if no given key has signed the checkpoint of one.
        NightsafeError: INVALID, if one is not an export of a log.
    """
    return [Export(lines_of(file), keys, str(file)) for path in paths for file in _files(path)]


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield the lines of an archive. The file is not open between the first line and the next, so many fit.

    Raises:
        CommandError: if it cannot be read, or has a line that is longer than any line of an export.
    """
    head = next(_lines_from(path, 0), b"")
    yield head
    yield from _lines_from(path, len(head))


def _lines_from(path: Path, start: int) -> Iterator[bytes]:
    """Yield the lines of a file from a place on."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            while line := file.readline(MAX_LINE):
                if len(line) == MAX_LINE:
                    raise CommandError(f"{path} is not an archive: it has a line of over {MAX_LINE} bytes")
                yield line
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None


def _files(path: Path) -> list[Path]:
    """Return a file, or the archives in a directory."""
    if not path.is_dir():
        return [path]
    try:
        found = sorted(file for file in path.iterdir() if _NAME.fullmatch(file.name))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    if not found:
        raise CommandError(f"{path} has no archive: their names are like audit-000000000000-000000004095.jsonl")
    return found


def _range_of(path: Path) -> tuple[int, int]:
    """Return the index of the first entry and after the last one, from an archive's name; (-1, -1) for others."""
    match = _NAME.fullmatch(path.name)
    return (-1, -1) if match is None else (int(match[1]), int(match[2]) + 1)


def _sync(path: Path) -> None:
    """Make a file, or the names in a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
