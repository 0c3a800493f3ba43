"""The one lock of a data directory: shared by all that use it, held alone by what puts another in its place.

It is flock(2) on the directory itself. So there is no file that could be left behind or be exchanged with the rest,
the kernel lets go of it when its process ends in whatever way, and a directory that is moved takes its lock along.
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

_PATIENCE_SECONDS: Final = 1.0
"""Commands that are done in a moment are waited for; whoever serves is not."""
_PAUSE_SECONDS: Final = 0.02


@contextmanager
def shared(data: Path, patience: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Use a data directory: nobody puts another in its place meanwhile. Where there is none, nothing is held.

    Raises:
        NightsafeError: UNAVAILABLE, when one is being put there; INVALID, when the directory cannot be locked.
    """
    descriptor = take(data, fcntl.LOCK_SH, patience)
    if descriptor is None:
        raise NightsafeError(
            Code.UNAVAILABLE, f"another process makes or restores the safe in {data}; try again when it is done"
        )
    try:
        yield
    finally:
        release(descriptor)


@contextmanager
def alone(data: Path, patience: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Be the only one to use a data directory. Where there is none, nothing is held.

    Raises:
        NightsafeError: UNAVAILABLE, when another process uses it; INVALID, when the directory cannot be locked.
    """
    descriptor = take(data, fcntl.LOCK_EX, patience)
    if descriptor is None:
        raise NightsafeError(Code.UNAVAILABLE, f"{data} is in use{_by_whom(data)}; stop that first")
    try:
        yield
    finally:
        release(descriptor)


NOTHING: Final = -1
"""In place of a descriptor, where there is no directory."""


def take(path: Path, how: int, patience: float = 0) -> int | None:
    """The descriptor of a locked directory, `NOTHING` where there is none, or None when others keep it for too long.

    Raises:
        NightsafeError: INVALID, when the directory cannot be locked.
        OSError: when it cannot be opened.
    """
    end = time.monotonic() + patience
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return NOTHING
        try:
            if _locked(descriptor, how, path) and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() >= end:
            return None
        time.sleep(_PAUSE_SECONDS)


def release(descriptor: int) -> None:
    """Let go of a lock."""
    if descriptor != NOTHING:
        os.close(descriptor)


def _locked(descriptor: int, how: int, path: Path) -> bool:
    """Whether the lock was to be had."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise NightsafeError(Code.INVALID, f"{path} cannot be locked: {error.strerror}") from None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to what was opened, and not to what was put in its place meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))  # noqa: PTH116 - as the other
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise


def _by_whom(data: Path) -> str:
    """The processes that hold the lock, as far as the system tells."""
    try:
        status = data.stat()
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    # One line: "1: FLOCK  ADVISORY  READ 1234 fe:00:567890 0 EOF", device in hex.
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    found = [line.split() for line in lines if " FLOCK " in line and "->" not in line]
    holders = sorted({int(words[4]) for words in found if words[5] == place} - {0})
    return f" by process {', '.join(map(str, holders))}" if holders else ""
