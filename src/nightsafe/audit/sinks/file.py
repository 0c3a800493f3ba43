"""The audit sink in a file of JSON lines."""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from nightsafe.audit.sinks.shipment import Shipped, json_lines
from nightsafe.errors import Code, NightsafeError
from nightsafe.user_folder import untrusted_folder_reason

_FLAGS: Final = (
    os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
)  # non-blocking, so that a named pipe at the file's path does not block
_LINE_END: Final = b"\n"


class FileSender:
    """Appends batches to a file.

    Args:
        open_file: opens the file for reading and appending; returns the descriptor.
    """

    def __init__(self, open_file: Callable[[], int]) -> None:
        self._open_file: Final = open_file
        self._descriptor: int | None = None
        self._reopen = False

    def reopen(self) -> None:
        """See `Sender.reopen`. After a rotation the path leads to another file."""
        self._reopen = True

    def send(self, entries: Sequence[Shipped]) -> None:
        """See `Sender.send`. The sink has accepted the batch when the file's content is on disk."""
        try:
            descriptor = self._current_file()
            data = memoryview(json_lines(entries))
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        except OSError:
            self._close()
            raise

    def _current_file(self) -> int:
        """Return the descriptor of the file; open the file if it is not open, was removed, or must be reopened."""
        if self._descriptor is not None and (self._reopen or not os.fstat(self._descriptor).st_nlink):
            self._close()
        if self._descriptor is None:
            self._reopen = False
            self._descriptor = self._open_file()
            _end_last_line(self._descriptor)
        return self._descriptor

    def _close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None


def _end_last_line(descriptor: int) -> None:
    """End a line that an interrupted write has left incomplete. The entry of that line is written again."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != _LINE_END:
        os.write(descriptor, _LINE_END)


def check_file(path: Path, data: Path) -> None:
    """Create the file if it is absent, and refuse a file that other users could read, move or have made.

    Args:
        path: the file.
        data: the data directory, which the file must not be in.

    Raises:
        NightsafeError: INVALID, with the file and the solution.
    """
    if Path(os.path.realpath(path)).is_relative_to(Path(os.path.realpath(data))):
        raise _refusal(path, f"is inside the data directory {data}; name a file in another directory")
    try:
        reason = untrusted_folder_reason(path)
        if reason:
            raise _refusal(path, f"is in a directory where other users could replace it: {reason}")
        os.close(open_file(path))
    except OSError as error:
        raise _refusal(path, f"cannot be opened: {error.strerror}") from None


def open_checked_file(path: Path) -> int:
    """Do the same as `open_file`, with an OSError for a file that is refused.

    Raises:
        PermissionError: if the file is refused.
        OSError: if it cannot be opened.
    """
    try:
        return open_file(path)
    except NightsafeError:
        raise PermissionError(errno.EPERM, "the file is open to others, or not this user's") from None


def open_file(path: Path) -> int:
    """Open the file for reading and appending, and make its name durable. Return the descriptor.

    Raises:
        NightsafeError: INVALID, if it is not a regular file of this process's user that is closed to others.
        OSError: if it cannot be opened.
    """
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        _refuse_unsafe(path, os.fstat(descriptor))
        _sync_folder(path.parent)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_unsafe(path: Path, status: os.stat_result) -> None:
    """Refuse a file with an unsafe type, owner or mode.

    Raises:
        NightsafeError: INVALID, with the solution.
    """
    if not stat.S_ISREG(status.st_mode):
        raise _refusal(path, "is not a regular file")
    if status.st_uid != os.geteuid():
        raise _refusal(path, f"belongs to user {status.st_uid}; it must belong to this process's user")
    if status.st_mode & 0o077:
        raise _refusal(path, f"has mode {stat.S_IMODE(status.st_mode):04o}; run: chmod 0600 {path}")


def _sync_folder(folder: Path) -> None:
    """Make a directory's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refusal(path: Path, problem: str) -> NightsafeError:
    """Return the refusal of a file."""
    return NightsafeError(Code.INVALID, f"--audit-sink: {path} {problem}")
