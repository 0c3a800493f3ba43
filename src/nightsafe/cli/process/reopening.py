"""Opens the log files of a confined process anew: that can make no file any more, wherever its log is.

A process of its own does so, which is forked before there are threads, keys or requests. All that can be asked of it
is to open one of the files that standard output and error went to at the start, for appending.
"""

import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from nightsafe.confining import landlock

CREATED: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
_WAIT_SECONDS: Final = 2.0
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Reopening:
    """The other process. It ends with this one.

    Args:
        files: paths and modes, by the descriptor that they are open at.
    """

    def __init__(self, files: Mapping[int, tuple[Path, int]]) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(_WAIT_SECONDS)
        if os.fork() == 0:
            _attend(theirs.detach(), files)
        theirs.close()

    def open(self, number: int) -> int:
        """A new descriptor of the file that is now where the one of a descriptor was.

        Raises:
            OSError: when there is none.
        """
        self._socket.send(bytes([number]))
        _, opened, _, _ = socket.recv_fds(self._socket, 1, 1)
        if not opened:
            raise FileNotFoundError
        return opened[0]


def _attend(descriptor: int, files: Mapping[int, tuple[Path, int]]) -> None:
    """In the other process: open what is asked for until nobody can ask, then end."""
    try:
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        os.closerange(3, descriptor)  # whatever else was open, such as the socket that listens, is not this process's
        os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
        folders = tuple(path.parent for path, _ in files.values())
        landlock.restrict(landlock.Allowed(read=(), fill=folders))
        with socket.socket(fileno=descriptor) as asked:
            while word := asked.recv(1):
                _answer(asked, *files[word[0]])
    finally:
        os._exit(0)


def _answer(asked: socket.socket, path: Path, mode: int) -> None:
    """Hand over a file, or nothing when it cannot be opened."""
    opened = -1
    with suppress(OSError):
        opened = os.open(path, CREATED, mode)
    try:
        socket.send_fds(asked, [b"-"], [opened] if opened >= 0 else [])
    finally:
        if opened >= 0:
            os.close(opened)
