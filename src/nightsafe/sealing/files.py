"""Reads key files only if no other user could have changed them, and writes them whole or not at all."""

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
_OTHERS: Final = 0o077
# Non-blocking, so that a named pipe at the file's path does not block the process.
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC

_WRITE_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read(path: Path, *, private: bool) -> bytes:
    """Return a key file's bytes.

    Args:
        path: a regular file, or a link to one, that this process's user or root owns.
        private: True when the file holds a private key: then other users must have no access to it. Otherwise they
            must not be able to write to it.

    Raises:
        NightsafeError: INVALID, when the file cannot be read, is over 1 MiB or gives other users too much access.
    """
    try:
        with os.fdopen(os.open(path, _READ), "rb") as file:
            status = os.fstat(file.fileno())
            _refuse_unsafe(path, status, rights_of_others(path) if private else 0o022)
            if status.st_size > _LARGEST:
                raise _problem(path, f"is over {_LARGEST} bytes, too large for a key file")
            return file.read()
    except OSError as error:
        raise _problem(path, f"cannot be read: {error.strerror}") from None


def rights_of_others(path: Path) -> int:
    """Return the bits of a mode that a private file must not have.

    A file that systemd hands to a service (LoadCredential=) can show the group's right to read. That stands for an
    access list that admits only the service's user: acl(5), systemd.exec(5).
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return _OTHERS & ~stat.S_IRGRP if folder and path.parent == Path(folder) else _OTHERS


def check_private(path: Path) -> None:
    """Refuse a private file that other users have access to, before a library opens it by its path.

    Raises:
        NightsafeError: INVALID, when the file cannot be reached or gives other users access.
    """
    try:
        _refuse_unsafe(path, path.stat(), rights_of_others(path))
    except OSError as error:
        raise _problem(path, f"cannot be read: {error.strerror}") from None


def write(path: Path, data: bytes, *, private: bool, replace: bool) -> None:
    """Write a key file: write and sync a draft in the same directory, rename it, then sync the directory.

    Args:
        path: the file's path.
        data: the file's content.
        private: True gives the file mode 0600 from its creation, False mode 0644.
        replace: True allows an existing file to be replaced.

    Raises:
        NightsafeError: INVALID, when the file cannot be written, or exists and must not be replaced.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with _write_draft(temporary, data, 0o600 if private else 0o644):
            _move(temporary, path, replace=replace)
        sync(path.parent)
    except FileExistsError:
        raise _problem(path, "already exists; it was not replaced because it may hold the only key") from None
    except OSError as error:
        raise _problem(path, f"cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _problem(path: Path, problem: str) -> NightsafeError:
    """Build the error that refuses one file."""
    return NightsafeError(Code.INVALID, f"{path}: {problem}")


def _refuse_unsafe(path: Path, status: os.stat_result, forbidden: int) -> None:
    """Refuse a file with an unsafe type, owner or mode."""
    if not stat.S_ISREG(status.st_mode):
        raise _problem(path, "is not a regular file")
    if status.st_uid not in {os.geteuid(), 0}:
        raise _problem(path, f"belongs to user {status.st_uid}; it must belong to this process's user or to root")
    if status.st_mode & forbidden:
        mode = stat.S_IMODE(status.st_mode)
        raise _problem(path, f"has mode {mode:04o}; run: chmod {mode & ~forbidden:04o} {path}")


def remove_draft(path: Path) -> bool:
    """Remove the draft that an interrupted `write` left; return False if a process is still writing it.

    Raises:
        OSError: when the draft cannot be opened or removed.
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
    """Make a file's content, or a directory's entries, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _write_draft(path: Path, data: bytes, mode: int) -> Iterator[None]:
    """Write and sync a new file with exactly this mode; lock it until it has its final name or its writer dies."""
    descriptor = os.open(path, _WRITE_NEW, mode)
    with os.fdopen(descriptor, "wb") as file:
        with suppress(OSError):  # without file locks, only its name identifies a draft
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
        yield


def _move(source: Path, target: Path, *, replace: bool) -> None:
    """Rename the file; without `replace`, fail if the target exists."""
    if replace:
        source.replace(target)
    else:
        target.hardlink_to(source)
        source.unlink()
