"""The directory of the unix sockets. No other user may enter it, and one delivery process at a time uses it."""

import fcntl
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.user_folder import untrusted_folder_reason

_MAX_PATH_BYTES: Final = 107 - len("/admin-1000000.sock")
"""The length that unix(7) allows for a socket's path, less the longest file name used here."""

_RANDOM_BYTES: Final = 8
_STARTING_SECONDS: Final = 60.0
"""How long a process may take to lock a directory after making it."""

_OPEN_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

REACH_FOLDER: Final = "reach"
"""Name of the subdirectory for files that runtimes read."""


class SocketFolder:
    """A directory of mode 0700, which this process locks until it calls `release` or ends.

    Args:
        path: path of the directory. If it is missing, `acquire` makes it and `release` removes it again.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path.absolute()
        self._lock_fd = -1
        self._made = False

    def acquire(self) -> None:
        """Lock the directory for this process, and remove files that a killed process left in it.

        Raises:
            NightsafeError: INVALID, when the path is too long, is not a directory, or other users may enter it or own
                it; UNAVAILABLE, when another process has locked it.
        """
        if len(os.fsencode(self.path)) > _MAX_PATH_BYTES:
            raise NightsafeError(
                Code.INVALID,
                f"{self.path}: too long for unix sockets; name a directory of at most {_MAX_PATH_BYTES} bytes",
            )
        try:
            self._made = _make(self.path)
            self._lock_fd = os.open(self.path, _OPEN_FLAGS)
            _refuse_shared(self.path, os.fstat(self._lock_fd))
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close_lock()
            raise NightsafeError(Code.UNAVAILABLE, f"{self.path}: another delivery process uses it") from None
        except OSError as error:
            self._close_lock()
            raise NightsafeError(Code.INVALID, f"{self.path}: cannot be used: {error.strerror}") from None
        except NightsafeError:
            self._close_lock()
            raise
        _clear(self.path)

    def release(self) -> None:
        """Unlock the directory for other processes; remove it if this object made it."""
        if self._lock_fd >= 0 and self._made:
            _clear(self.path)
            with suppress(OSError):
                self.path.rmdir()
        self._close_lock()

    def _close_lock(self) -> None:
        """Close the descriptor that holds the lock."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def unused_folder(base: Path) -> Path:
    """Return a random path at which nobody can have made a directory before.

    This also removes the directories that killed processes left in `base`.

    Args:
        base: the directory of temporary files; other users may have theirs there too.
    """
    start = f"nightsafe-{os.geteuid()}-"
    for leftover in base.glob(f"{start}{'?' * 2 * _RANDOM_BYTES}"):
        with suppress(NightsafeError, OSError):  # it belongs to another process or user, or is gone
            if time.time() - leftover.stat().st_mtime > _STARTING_SECONDS:
                folder = SocketFolder(leftover)
                folder.acquire()
                folder._made = True  # noqa: SLF001 - a process that is gone made it
                folder.release()
    return base / (start + token_hex(_RANDOM_BYTES))


def _make(path: Path) -> bool:
    """Make a directory unless the path exists; return whether it was made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        return True
    return False


def _refuse_shared(path: Path, found: os.stat_result) -> None:
    """Refuse a directory that another user made or may enter: their sockets would be mistaken for ours."""
    if found.st_uid != os.geteuid():
        raise NightsafeError(
            Code.INVALID, f"{path} belongs to user {found.st_uid}: name a directory of your own with --sockets"
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        raise NightsafeError(Code.INVALID, f"{path} has mode {mode}, so others may enter it; run: chmod 700 {path}")
    problem = untrusted_folder_reason(path)
    if problem is not None:
        raise NightsafeError(Code.INVALID, f"{path} could be replaced by others: {problem}")


def _clear(path: Path) -> None:
    """Remove the sockets in a directory, and the files with the addresses that scripts may connect to."""
    for leftover in (*path.glob("*.sock"), *(path / REACH_FOLDER).glob("*.capnp")):
        leftover.unlink(missing_ok=True)
    with suppress(OSError):
        (path / REACH_FOLDER).rmdir()
