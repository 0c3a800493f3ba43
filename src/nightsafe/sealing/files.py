"""Key files: read only when nobody else could have meddled, written whole or not at all."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError

_LARGEST: Final = 1 << 20
# Non-blocking, so that a named pipe in a file's place does not hold the process up.
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC

_WRITE_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read(path: Path, *, private: bool) -> bytes:
    """A key file's bytes.

    Args:
        path: a regular file, or a link to one, that this process's user or root owns.
        private: whether it holds a private key: then others may do nothing with it; else they may not write to it.

    Raises:
        NightsafeError: INVALID, when the file cannot be read, is over 1 MiB or others have too much right to it.
    """
    try:
        with os.fdopen(os.open(path, _READ), "rb") as file:
            _refuse_unsafe(path, os.fstat(file.fileno()), 0o077 if private else 0o022)
            return file.read()
    except OSError as error:
        raise _problem(path, f"cannot be read: {error.strerror}") from None


def write(path: Path, data: bytes, *, private: bool, replace: bool) -> None:
    """Write a key file: beside its place, synced, then moved there, and the directory synced.

    Args:
        path: where to.
        data: what.
        private: mode 0600 from the first moment, else 0644.
        replace: whether a file that is there may be replaced.

    Raises:
        NightsafeError: INVALID, when it cannot be written, or is there and may not be replaced.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with _drafted(beside, data, 0o600 if private else 0o644):
            _move(beside, path, replace=replace)
        sync(path.parent)
    except FileExistsError:
        raise _problem(path, "exists already; it is not replaced, for it may be the only key there is") from None
    except OSError as error:
        raise _problem(path, f"cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _problem(path: Path, what: str) -> NightsafeError:
    """The refusal of one file."""
    return NightsafeError(Code.INVALID, f"{path}: {what}")


def _refuse_unsafe(path: Path, status: os.stat_result, forbidden: int) -> None:
    """Refuse a file by its type, size, owner or mode."""
    if not stat.S_ISREG(status.st_mode):
        raise _problem(path, "is not a regular file")
    if status.st_size > _LARGEST:
        raise _problem(path, f"is over {_LARGEST} bytes, too large for a key file")
    if status.st_uid not in {os.geteuid(), 0}:
        raise _problem(path, f"belongs to user {status.st_uid}; it must belong to this process's user or to root")
    if status.st_mode & forbidden:
        mode = stat.S_IMODE(status.st_mode)
        raise _problem(path, f"has mode {mode:04o}; run: chmod {mode & ~forbidden:04o} on it")


def remove_draft(path: Path) -> bool:
    """Remove a file that `write` was interrupted at; whether it was one, and not one that is being written.

    Raises:
        OSError: when it cannot be looked at or removed.
    """
    descriptor = os.open(path, _READ | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        path.unlink()
        return True
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Make a file's content, or a directory's names, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _drafted(path: Path, data: bytes, mode: int) -> Iterator[None]:
    """A new file with exactly this mode, on the disk, and locked while its writer lives and it has no name yet."""
    descriptor = os.open(path, _WRITE_NEW, mode)
    with os.fdopen(descriptor, "wb") as file:
        with suppress(OSError):  # where there are no locks it is told by its name alone
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
        yield


def _move(source: Path, target: Path, *, replace: bool) -> None:
    """Give the file its name; without `replace` in a way that fails when the name is taken."""
    if replace:
        source.replace(target)
    else:
        target.hardlink_to(source)
        source.unlink()
