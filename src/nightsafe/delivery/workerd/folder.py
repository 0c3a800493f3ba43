"""The directory of the unix sockets: nobody else may enter it, and one delivery process at a time uses it."""

import fcntl
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.user_folder import trouble_with_folders

_LONGEST: Final = 107 - len("/admin-1000000.sock")
"""What unix(7) allows for a socket's path, without the longest name that is used here."""

_RANDOM_BYTES: Final = 8
_STARTING_SECONDS: Final = 60.0
"""For so long a directory may have been made and not be held yet."""

_OPENED: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

REACH: Final = "reach"
"""A directory in it, of files that runtimes read."""


class SocketFolder:
    """A directory of mode 0700, held by this process until it is released or ends.

    Args:
        path: where; it is made when it is not there, and goes again if it was made.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path.absolute()
        self._held = -1
        self._made = False

    def hold(self) -> None:
        """Make the directory this process's own, and clear it of what a killed process left.

        Raises:
            NightsafeError: INVALID, when the path is too long, is no directory, or may be another user's to enter;
                UNAVAILABLE, when another process has it.
        """
        if len(os.fsencode(self.path)) > _LONGEST:
            raise NightsafeError(
                Code.INVALID, f"{self.path}: too long for unix sockets; name a directory of at most {_LONGEST} bytes"
            )
        try:
            self._made = _make(self.path)
            self._held = os.open(self.path, _OPENED)
            _refuse_shared(self.path, os.fstat(self._held))
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._let_go()
            raise NightsafeError(Code.UNAVAILABLE, f"{self.path}: another delivery process uses it") from None
        except OSError as error:
            self._let_go()
            raise NightsafeError(Code.INVALID, f"{self.path}: cannot be used: {error.strerror}") from None
        except NightsafeError:
            self._let_go()
            raise
        _clear(self.path)

    def release(self) -> None:
        """Let another process have it; one that was made here is gone then."""
        if self._held >= 0 and self._made:
            _clear(self.path)
            with suppress(OSError):
                self.path.rmdir()
        self._let_go()

    def _let_go(self) -> None:
        """Hold it no longer."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


def fresh(base: Path) -> Path:
    """The path of a directory that nobody can have made before; what killed processes left beside it goes.

    Args:
        base: where temporary files are; others may have theirs there too.
    """
    start = f"nightsafe-{os.geteuid()}-"
    for left in base.glob(f"{start}{'?' * 2 * _RANDOM_BYTES}"):
        with suppress(NightsafeError, OSError):  # another process's, another user's, or gone
            if time.time() - left.stat().st_mtime > _STARTING_SECONDS:
                folder = SocketFolder(left)
                folder.hold()
                folder._made = True  # noqa: SLF001 - by a process that is gone
                folder.release()
    return base / (start + token_hex(_RANDOM_BYTES))


def _make(path: Path) -> bool:
    """Make a directory, unless something has its name; tells whether."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        return True
    return False


def _refuse_shared(path: Path, found: os.stat_result) -> None:
    """Refuse a directory that another user made, or may enter: sockets of theirs would be taken for ours."""
    if found.st_uid != os.geteuid():
        raise NightsafeError(
            Code.INVALID, f"{path} belongs to user {found.st_uid}: name a directory of your own with --sockets"
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        raise NightsafeError(Code.INVALID, f"{path} has mode {mode}, so others may enter it; run: chmod 700 {path}")
    wrong = trouble_with_folders(path)
    if wrong is not None:
        raise NightsafeError(Code.INVALID, f"{path} could be exchanged: {wrong}")


def _clear(path: Path) -> None:
    """Remove the sockets in a directory, and what runtimes are told there of where scripts may connect to."""
    for left in (*path.glob("*.sock"), *(path / REACH).glob("*.capnp")):
        left.unlink(missing_ok=True)
    with suppress(OSError):
        (path / REACH).rmdir()
