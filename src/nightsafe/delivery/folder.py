"""The directory of the unix sockets: nobody else may enter it, and one delivery process at a time uses it."""

import fcntl
import os
from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError

_LONGEST: Final = 107 - len("/admin-1000000.sock")
"""What unix(7) allows for a socket's path, without the longest name that is used here."""


class SocketFolder:
    """A directory of mode 0700, held by this process until it is released or ends.

    Args:
        path: where; it is made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path.absolute()
        self._lock = -1

    def hold(self) -> None:
        """Make the directory this process's own, and clear it of what a killed process left.

        Raises:
            NightsafeError: INVALID, when the path is too long or cannot be had; UNAVAILABLE, when another process
                has it.
        """
        if len(os.fsencode(self.path)) > _LONGEST:
            raise NightsafeError(
                Code.INVALID, f"{self.path}: too long for unix sockets; name a directory of at most {_LONGEST} bytes"
            )
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise NightsafeError(Code.UNAVAILABLE, f"{self.path}: another delivery process uses it") from None
        except OSError as error:
            self.release()
            raise NightsafeError(Code.INVALID, f"{self.path}: cannot be used: {error.strerror}") from None
        for left in self.path.glob("*.sock"):
            left.unlink(missing_ok=True)

    def release(self) -> None:
        """Let another process have it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
