"""The lock of a data directory: shared among processes that use it, exclusive for one that replaces it.

The lock is flock(2) on the directory itself. So no lock file can be left behind or replaced, the kernel releases the
lock when its process ends in any way, and the lock moves with the directory.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError

_TIMEOUT_SECONDS: Final = 1.0
"""How long to wait for the lock: long enough for a short command, not for a server."""
_PAUSE_SECONDS: Final = 0.02


@contextmanager
def shared_lock(data: Path, timeout: float = _TIMEOUT_SECONDS) -> Iterator[None]:
    """Hold the shared lock, so that no process replaces the data directory. Without a directory, hold nothing.

    Raises:
        NightsafeError: UNAVAILABLE, if a process is replacing it; INVALID, if the directory cannot be locked.
    """
    descriptor = lock_directory(data, fcntl.LOCK_SH, timeout)
    if descriptor is None:
        raise NightsafeError(
            Code.UNAVAILABLE,
            f"another process is creating or restoring the safe in {data}; try again when it is done",
        )
    try:
        yield
    finally:
        unlock(descriptor)


@contextmanager
def exclusive_lock(data: Path, timeout: float = _TIMEOUT_SECONDS) -> Iterator[None]:
    """Hold the exclusive lock of a data directory. Without a directory, hold nothing.

    Raises:
        NightsafeError: UNAVAILABLE, if another process uses it; INVALID, if the directory cannot be locked.
    """
    descriptor = lock_directory(data, fcntl.LOCK_EX, timeout)
    if descriptor is None:
        raise NightsafeError(Code.UNAVAILABLE, f"{data} is in use{_lock_holders(data)}; stop that first")
    try:
        yield
    finally:
        unlock(descriptor)


NO_DIRECTORY: Final = -1
"""Stands for a descriptor if there is no directory."""


def lock_directory(path: Path, mode: int, timeout: float = 0) -> int | None:
    """Lock a directory.

    Args:
        path: the directory.
        mode: `fcntl.LOCK_SH` or `fcntl.LOCK_EX`.
        timeout: seconds to wait for the lock.

    Returns:
        The directory's descriptor; `NO_DIRECTORY` if there is no directory; None if the lock was not free in time.

    Raises:
        NightsafeError: INVALID, if the directory cannot be locked.
        OSError: if it cannot be opened.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return NO_DIRECTORY
        try:
            if _try_lock(descriptor, mode, path) and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() >= end:
            return None
        time.sleep(_PAUSE_SECONDS)


def unlock(descriptor: int) -> None:
    """Release a lock."""
    if descriptor != NO_DIRECTORY:
        os.close(descriptor)


def _try_lock(descriptor: int, mode: int, path: Path) -> bool:
    """Try to lock. Return whether it succeeded."""
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise NightsafeError(Code.INVALID, f"{path} cannot be locked: {error.strerror}") from None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path still leads to the opened directory, and not to a replacement."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))  # noqa: PTH116 - like the call beside it
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise


def _lock_holders(data: Path) -> str:
    """Name the processes that hold the lock, or return "" if the system does not show them."""
    try:
        status = data.stat()
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    # One line: "1: FLOCK  ADVISORY  READ 1234 fe:00:567890 0 EOF", device in hex.
    device_and_inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    lock_lines = [line.split() for line in lines if " FLOCK " in line and "->" not in line]
    holders = sorted({int(words[4]) for words in lock_lines if words[5] == device_and_inode} - {0})
    return f" by process {', '.join(map(str, holders))}" if holders else ""
