"""Reopens the log files of a confined process, which can no longer create a file.

A helper process does this. It is forked before there are threads, keys or requests. It can only open, for appending,
the files that standard output and error went to at the start.
"""

import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from nightsafe.confinement import helper, landlock

CREATED: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
_WAIT_SECONDS: Final = 2.0
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class FileReopener:
    """The helper process. It ends with this process.

    Args:
        files: paths and modes of the files, by descriptor.
    """

    def __init__(self, files: Mapping[int, tuple[Path, int]]) -> None:
        self._socket, helper_end = socket.socketpair()
        self._socket.settimeout(_WAIT_SECONDS)
        if os.fork() == 0:
            _serve_requests(helper_end.detach(), files)
        helper_end.close()

    def open(self, number: int) -> int:
        """Open the path of a descriptor's file again. Return the new descriptor.

        Raises:
            OSError: if the file cannot be opened.
        """
        self._socket.send(bytes([number]))
        _, opened, _, _ = socket.recv_fds(self._socket, 1, 1)
        if not opened:
            raise FileNotFoundError
        return opened[0]


def _serve_requests(descriptor: int, files: Mapping[int, tuple[Path, int]]) -> None:
    """In the helper process: answer requests until the other end is closed, then exit."""
    try:
        helper.keep_only(descriptor, _IGNORED)
        folders = tuple(path.parent for path, _ in files.values())
        landlock.restrict(landlock.Allowed(read=(), fill=folders))
        with socket.socket(fileno=descriptor) as requests:
            while request := requests.recv(1):
                _answer(requests, *files[request[0]])
    finally:
        os._exit(0)


def _answer(requests: socket.socket, path: Path, mode: int) -> None:
    """Send the descriptor of a file, or none if the file cannot be opened."""
    opened = -1
    with suppress(OSError):
        opened = os.open(path, CREATED, mode)
    try:
        socket.send_fds(requests, [b"-"], [opened] if opened >= 0 else [])
    finally:
        if opened >= 0:
            os.close(opened)
