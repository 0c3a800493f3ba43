"""The address of a data directory's server: the server writes it to a file there and keeps the file locked."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_NAME: Final = "address"
_MAX_BYTES: Final = 1024


@contextmanager
def publish_address(data: Path, url: str) -> Iterator[None]:
    """Publish the address of a data directory's server for the length of this block.

    If the file cannot be written, or another server has locked it, nothing is published.
    """
    descriptor = _lock_address_file(data)
    if descriptor is None:
        yield
        return
    try:
        os.pwrite(descriptor, url.encode(), 0)
        yield
    finally:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)


def create_address_file(data: Path) -> tuple[Path, ...]:
    """Create the file for the server's address. Return its path, or an empty tuple if that fails."""
    try:
        os.close(os.open(data / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError:
        return ()
    return (data / _NAME,)


def address_of(data: Path, *, trust_others: bool = True) -> str | None:
    """Return the address of a data directory's server, or None if no server runs.

    The file of a killed server is not locked and does not count, so it cannot lead to another program on that port.

    Args:
        data: the directory.
        trust_others: whether to trust a file that a user other than this one or root could have written. Do not
            send a credential to an address from such a file.
    """
    try:
        descriptor = os.open(data / _NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return _read_if_locked(descriptor) if trust_others or _is_ours(descriptor) else None
    finally:
        os.close(descriptor)


def _is_ours(descriptor: int) -> bool:
    """Return whether only this process's user or root can have written a file."""
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and status.st_uid in {os.geteuid(), 0} and not status.st_mode & 0o022


def _lock_address_file(data: Path) -> int | None:
    """Open, lock and empty the file. Return its descriptor, or None if that fails."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(data / _NAME, flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _read_if_locked(descriptor: int) -> str | None:
    """Return the file's content if a server has it locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        with suppress(UnicodeDecodeError):
            return os.read(descriptor, _MAX_BYTES).decode() or None
    return None
