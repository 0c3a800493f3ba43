"""The process that asks a sink's helper process for descriptors."""

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightsafe.audit.sinks.opener import Opener
from nightsafe.audit.sinks.sender import NotAcceptedError
from nightsafe.confinement.landlock import Allowed


@pytest.fixture
def ends() -> Iterator[tuple[Opener, socket.socket]]:
    """Yield an opener, and the end of its helper process, which is not started."""
    ours, theirs = socket.socketpair()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socketpair", lambda: (ours, theirs.dup()))
        patch.setattr(os, "fork", lambda: 1)
        made = Opener(lambda: 0, Allowed(read=()))
    ours.settimeout(0.01)
    yield made, theirs
    made.close()
    theirs.close()


def test_a_late_answer_belongs_to_the_next_call(ends: tuple[Opener, socket.socket]) -> None:
    """After a timeout the next call asks nothing and takes the late descriptor, so no descriptor is lost."""
    opener, helper = ends
    with pytest.raises(TimeoutError):
        opener.open()
    with pytest.raises(TimeoutError):
        opener.open()
    with Path(os.devnull).open("rb") as null:
        socket.send_fds(helper, [struct.pack("=i", 0)], [null.fileno()])
        opened = opener.open()
    assert os.path.samestat(os.fstat(opened), Path(os.devnull).stat())
    assert not os.get_inheritable(opened)
    os.close(opened)

    assert b"o" == helper.recv(10)


def test_errors_come_back(ends: tuple[Opener, socket.socket]) -> None:
    """An error of the helper process is raised here, and a name that cannot be resolved has words of its own."""
    opener, helper = ends
    helper.send(struct.pack("=i", 13))
    with pytest.raises(PermissionError):
        opener.open()
    helper.send(struct.pack("=i", -1))
    with pytest.raises(NotAcceptedError, match="cannot be resolved"):
        opener.open()


def test_a_killed_helper_process_is_reported(ends: tuple[Opener, socket.socket]) -> None:
    """Without a helper process the error says to restart the server."""
    opener, helper = ends
    helper.close()
    for _ in range(2):
        with pytest.raises(NotAcceptedError, match="restart the server"):
            opener.open()
