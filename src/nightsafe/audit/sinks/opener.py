"""Opens a sink's file or connection for the API process, which can neither open files nor connect.

A helper process does this. It is forked before there are threads, keys or requests. It can only open the file, or
connect to the host, that it was made for, and hands over a descriptor. So an attacker in the API process reaches no
other file and no other host.
"""

import errno
import os
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from nightsafe.audit.sinks.sender import NotAcceptedError
from nightsafe.confinement import helper, landlock, seccomp
from nightsafe.confinement.process import drop_capabilities

_WAIT_SECONDS: Final = 30.0
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_REQUEST: Final = b"o"
_ANSWER: Final = struct.Struct("=i")
_NO_ADDRESS: Final = -1
"""Stands for a name that cannot be resolved, in place of the system's number of an error."""


class Opener:
    """The helper process of one sink. It ends with this process.

    Args:
        open_sink: opens the sink in the helper process and returns a descriptor; raises OSError if that fails.
        allowed: the files and ports that the helper process may use.
    """

    def __init__(self, open_sink: Callable[[], int], allowed: landlock.Allowed) -> None:
        self._socket, helper_end = socket.socketpair()
        self._socket.settimeout(_WAIT_SECONDS)
        self._awaits_answer = False
        if os.fork() == 0:
            _serve_requests(helper_end.detach(), open_sink, allowed)
        helper_end.close()

    def open(self) -> int:
        """Open the sink. Return the descriptor.

        After a timeout the next call takes the answer to the earlier request.

        Raises:
            OSError: if the sink cannot be opened.
        """
        if not self._awaits_answer:
            self._send_request()
            self._awaits_answer = True
        answer, descriptors, _, _ = socket.recv_fds(self._socket, _ANSWER.size, 1)
        if not answer:
            raise _helper_is_gone()
        self._awaits_answer = False
        if not descriptors:
            number = _ANSWER.unpack(answer)[0]
            if number == _NO_ADDRESS:
                raise NotAcceptedError("the name of its host cannot be resolved")
            raise OSError(number, os.strerror(number))
        os.set_inheritable(descriptors[0], False)  # `recv_fds` ignores its flags, also MSG_CMSG_CLOEXEC
        return descriptors[0]

    def close(self) -> None:
        """End the helper process."""
        self._socket.close()

    def _send_request(self) -> None:
        """Ask the helper process."""
        try:
            self._socket.send(_REQUEST)
        except BrokenPipeError:
            raise _helper_is_gone() from None


def _helper_is_gone() -> NotAcceptedError:
    """Return the error for a helper process that has been killed."""
    return NotAcceptedError("the sink's helper process has ended; restart the server")


def _serve_requests(descriptor: int, open_sink: Callable[[], int], allowed: landlock.Allowed) -> None:
    """In the helper process: answer requests until the other end is closed, then exit."""
    try:
        helper.keep_only(descriptor, _IGNORED)
        drop_capabilities(())
        landlock.restrict(allowed)
        seccomp.forbid(seccomp.NEVER)
        with socket.socket(fileno=descriptor) as requests:
            while requests.recv(1):
                _answer(requests, open_sink)
    finally:
        os._exit(0)


def _answer(requests: socket.socket, open_sink: Callable[[], int]) -> None:
    """Open the sink, and send its descriptor or the number of the error."""
    try:
        opened = open_sink()
    except OSError as error:
        requests.send(_ANSWER.pack(_number_of(error)))
        return
    try:
        with suppress(BrokenPipeError):
            socket.send_fds(requests, [_ANSWER.pack(0)], [opened])
    finally:
        os.close(opened)


def _number_of(error: OSError) -> int:
    """Return the number that stands for an error."""
    if isinstance(error, socket.gaierror):
        return _NO_ADDRESS
    if isinstance(error, TimeoutError):
        return errno.ETIMEDOUT
    return error.errno or errno.EIO
