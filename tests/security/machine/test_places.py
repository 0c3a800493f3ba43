"""Attacks on the paths of the workerd binary and of the sockets between it and the delivery process."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.delivery.runtime import HELLO, Runtime, text, workerd

from nightsafe.cli.server.delivery_options import new_socket_folder
from nightsafe.delivery.workerd import binary
from nightsafe.delivery.workerd.folder import SocketFolder
from nightsafe.errors import NightsafeError

_NOBODY = 65534
_CONNECTS = """
import os, socket, sys
for place in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as attempt:
        try:
            attempt.connect(place)
            print("connected to", place)
        except OSError:
            pass
"""


async def test_the_control_socket_has_no_name(folder: Path) -> None:
    """Only the delivery process that started a workerd can connect to that workerd's control socket.

    The socket has no name: another process of the same user tries each name that the system shows.
    """
    async with Runtime(folder) as runtime:
        await runtime.upload("hello", HELLO, [text("TOKEN", "x")])
        assert "x" == (await runtime.get("hello")).text
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(str(runtime.delivery.supervisor.current.admin))
        tried = await asyncio.to_thread(try_all, runtime.settings.folder)

    assert (True, "") == (any("/admin-" in name for name in tried[0]), tried[1])


def try_all(folder: Path) -> tuple[set[str], str]:
    """Try to connect to the admin sockets in a folder from another process.

    Returns:
        The names that admin sockets have or had, and what the process printed: a line for each one it connected to.
    """
    bound = {line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if f" {folder}" in line}
    tried = {name for name in {*bound, *map(str, folder.iterdir())} if "admin" in name}
    done = subprocess.run([sys.executable, "-c", _CONNECTS, *tried], capture_output=True, text=True, check=True)
    return tried, done.stdout


def another_users(path: Path) -> None:
    """Make a directory that belongs to another user; without root, one that others may write to."""
    path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, _NOBODY)
    else:
        path.chmod(0o777)


def a_link(path: Path) -> None:
    """Make a link to a directory that would be accepted."""
    path.with_name("real").mkdir(mode=0o700)
    path.symlink_to(path.with_name("real"))


@pytest.mark.parametrize("lay", [another_users, a_link, lambda path: path.mkdir(mode=0o755), Path.touch])
def test_a_prepared_directory_is_refused(folder: Path, lay: Callable[[Path], object]) -> None:
    """A socket directory that is a link, belongs to another user or is open to others is refused; the default is a
    new directory.

    Nightsafe does not change the directory that it refuses.
    """
    path = folder / "run"
    lay(path)
    (folder / "real").mkdir(exist_ok=True)
    before = path.lstat()

    with pytest.raises(NightsafeError, match=str(path)):
        SocketFolder(path).acquire()
    assert (before.st_mode, before.st_uid) == (path.lstat().st_mode, path.lstat().st_uid)
    assert [] == list((folder / "real").iterdir())


def test_the_default_directory_is_new(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket directory that is a link, belongs to another user or is open to others is refused; the default is a
    new directory.

    Nightsafe removes directories that killed processes left behind, and keeps directories that other processes use.
    """
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    names = [new_socket_folder().name for _ in range(3)]
    assert 3 == len({*names})

    used, killed = (SocketFolder(folder / name) for name in names[:2])
    used.acquire()
    killed.acquire()
    (killed.path / "cell-1.sock").touch()
    os.close(killed._lock_fd)  # the system does this when a process ends
    assert new_socket_folder().parent.joinpath(killed.path.name).exists()  # it might be starting
    os.utime(killed.path, (0, 0))
    theirs = folder / names[2]
    another_users(theirs)

    held = SocketFolder(new_socket_folder())
    assert {used.path, theirs} == set(folder.iterdir())
    held.acquire()
    assert 0o700 == held.path.stat().st_mode & 0o777
    for one in (held, used):
        one.release()
    assert {theirs} == set(folder.iterdir())


@pytest.mark.parametrize("who", ["others", "another"])
def test_a_workerd_that_others_can_change(tmp_path: Path, who: str) -> None:
    """A workerd runs only when no other user can change its file, and its SHA-256 is that of the pinned build."""
    path = tmp_path / "bin" / "workerd"
    path.parent.mkdir()
    path.symlink_to(workerd())
    binary.verify_workerd(path)
    if who == "others":
        path.parent.chmod(0o777)
    elif os.geteuid() == 0:
        os.chown(path.parent, _NOBODY, _NOBODY)
    else:
        path.parent.chmod(0o772)

    with pytest.raises(NightsafeError, match="is refused because somebody else may change it"):
        binary.verify_workerd(path)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "riscv64", "arm64"])
def test_a_workerd_of_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    """A workerd runs only when no other user can change its file, and its SHA-256 is that of the pinned build.

    A machine of a kind without a pinned build runs no workerd.
    """
    monkeypatch.setattr("platform.machine", lambda: machine)
    path = tmp_path / "workerd"
    path.write_bytes(b"#!/bin/sh\n")

    with pytest.raises(NightsafeError, match=r"is not workerd|is supported on x86_64, aarch64; this machine is"):
        binary.verify_workerd(path)
