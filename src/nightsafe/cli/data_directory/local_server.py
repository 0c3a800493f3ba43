"""Where the server of a data directory listens: it says so in a file there, which it keeps locked while it runs."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_NAME: Final = "address"
_MOST_BYTES: Final = 1024


@contextmanager
def announced(data: Path, url: str) -> Iterator[None]:
    """Say where the server of a data directory listens, as long as this lasts.

    Where that cannot be said (a directory that cannot be written, a server there already), nobody is told.
    """
    descriptor = _take(data)
    if descriptor is None:
        yield
        return
    try:
        os.pwrite(descriptor, url.encode(), 0)
        yield
    finally:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)


def announcement(data: Path) -> tuple[Path, ...]:
    """The file that says where the server is, which is made now; nothing where it cannot be."""
    try:
        os.close(os.open(data / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError:
        return ()
    return (data / _NAME,)


def address_of(data: Path, *, believing_others: bool = True) -> str | None:
    """Where the server of a data directory listens; None when none runs.

    A file that a server left behind when it was killed is not locked, so it leads nobody to whoever has the port now.

    Args:
        data: the directory.
        believing_others: whether the file counts also where others than this process's user or root could have
            written it. Whoever is to get a credential is not to be had from others.
    """
    try:
        descriptor = os.open(data / _NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return _read_if_locked(descriptor) if believing_others or _is_ours(descriptor) else None
    finally:
        os.close(descriptor)


def _is_ours(descriptor: int) -> bool:
    """Whether nobody but this process's user or root can have written a file."""
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and status.st_uid in {os.geteuid(), 0} and not status.st_mode & 0o022


def _take(data: Path) -> int | None:
    """The file, locked and empty; None when it cannot be had."""
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
    """What the file says, if somebody holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        with suppress(UnicodeDecodeError):
            return os.read(descriptor, _MOST_BYTES).decode() or None
    return None
