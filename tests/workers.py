"""The API processes of one server, and connections to a chosen one of them."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.clients.wire.talk import Wire
from tests.live.tools.running import alive, children, until
from tests.server import Server

_WORD = b"nightsafe.cli.server.api_child"


def pids(server: Server) -> list[int]:
    """Return the process IDs of a server's API processes, the oldest first."""
    return sorted(pid for pid in children(server.pid) if _WORD in _command_line(pid))


@contextmanager
def wire_to(server: Server, pid: int) -> Iterator[Wire]:
    """Yield a client whose connection leads to this API process, because the others were stopped meanwhile."""
    others = [other for other in pids(server) if other != pid]
    with Wire.to(server) as wire:
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            for other in others:
                until(partial(_is_stopped, other))
            assert 200 == wire.ask("GET", "/livez").status
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)
        yield wire


def kill(pid: int) -> None:
    """End an API process at once, and wait until it is gone."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))


def _command_line(pid: int) -> bytes:
    """Return a process's command line, or nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_stopped(pid: int) -> bool:
    """Return whether a process is stopped by a signal (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def are_two_without(server: Server, pid: int) -> bool:
    """Return whether a server has two API processes, and this one is not among them."""
    found = pids(server)
    return len(found) == 2 and pid not in found
