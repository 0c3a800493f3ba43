"""Landlock (landlock(7)): a process denies itself the files, TCP ports, signals and sockets that it does not need.

The restriction is permanent. It holds for the thread that asks for it, and for every thread and process that this
thread starts later; so a process must ask for it before it starts threads.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from nightsafe.confinement.process import LIBC, set_no_new_privileges

_CREATE_RULESET: Final = 444  # the numbers are the same on every architecture
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_NET_PORT: Final = 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_TRUNCATE: Final = 1 << 14
_TREE_READ: Final = _READ_FILE | _READ_DIR
_TREE_FILL: Final = _WRITE_FILE | _READ_FILE | _TRUNCATE | 1 << 8  # 1 << 8: make regular files
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_FIRST_RIGHTS: Final = (1 << 13) - 1
"""Rights in version 1: execute, write, read, list, remove and make. It always refuses moves to another directory."""
_LATER_RIGHTS: Final = {2: 1 << 13, 3: _TRUNCATE, 5: 1 << 15}
"""Rights that later versions added: moving to another directory, truncating, and ioctl(2) on devices."""
_BIND, _CONNECT = 1, 2
_NET, _SCOPED = 4, 6
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_FIRST_RESTRICTED: Final = {
    1: "reading, writing, making and removing files, and running programs",
    3: "truncating files",
    4: "TCP",
    5: "ioctl on devices",
    6: "signals and abstract sockets",
}
"""Maps a version of Landlock to the actions that it is the first to restrict."""


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`."""

    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    """`struct landlock_path_beneath_attr`."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _NetPort(ctypes.Structure):
    """`struct landlock_net_port_attr`."""

    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


class Allowed(NamedTuple):
    """Actions that a process may still take. Missing paths are ignored; a directory stands for everything in it.

    Attributes:
        read: files and directories that it may read; None for all.
        write: files that it may read, write and truncate.
        fill: directories where it may make and write regular files.
        run: programs that it may run.
        bind: TCP ports that it may bind.
        connect: TCP ports that it may connect to; None for all.
    """

    read: tuple[Path, ...] | None
    write: tuple[Path, ...] = ()
    fill: tuple[Path, ...] = ()
    run: tuple[Path, ...] = ()
    bind: tuple[int, ...] = ()
    connect: tuple[int, ...] | None = ()


def version() -> int:
    """Return the version of Landlock that the system has; 0 when it has no Landlock."""
    return max(0, int(LIBC.syscall(_CREATE_RULESET, None, 0, _VERSION)))


def unsupported(abi: int) -> tuple[str, ...]:
    """Return the actions that a system with this version of Landlock cannot restrict; 0 for no Landlock."""
    return tuple(action for since, action in _FIRST_RESTRICTED.items() if abi < since)


def restrict(allowed: Allowed) -> int:
    """Deny this process everything that is not allowed, as far as the system can.

    Returns:
        The version of Landlock in force; 0 when nothing has changed.
    """
    abi = version()
    files = _FIRST_RIGHTS | sum(right for since, right in _LATER_RIGHTS.items() if abi >= since)
    files &= ~(_TREE_READ if allowed.read is None else 0)
    net = 0 if abi < _NET else _BIND | (0 if allowed.connect is None else _CONNECT)
    scoped = 0 if abi < _SCOPED else _ABSTRACT_SOCKETS | _SIGNALS
    attributes = _Ruleset(files, net, scoped)
    size = ctypes.sizeof(attributes) if scoped else 16 if net else 8
    ruleset = LIBC.syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    if ruleset < 0:
        return 0
    try:
        _add_files(ruleset, allowed, files)
        _add_ports(ruleset, allowed, net)
        return abi if set_no_new_privileges() and not LIBC.syscall(_RESTRICT_SELF, ruleset, 0) else 0
    finally:
        os.close(ruleset)


def _add_files(ruleset: int, allowed: Allowed, handled: int) -> None:
    """Allow the actions on files."""
    for paths, rights in (
        (allowed.read or (), _TREE_READ),
        (allowed.write, _READ_FILE | _WRITE_FILE | _TRUNCATE),
        (allowed.fill, _TREE_FILL),
        (allowed.run, _EXECUTE | _READ_FILE),
    ):
        for path in paths:
            _add_file(ruleset, path, rights & handled)


def _add_file(ruleset: int, path: Path, rights: int) -> None:
    """Allow rights on a file, or on everything in a directory."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights &= ~0 if path.is_dir() else _OF_FILES
        if rights:
            LIBC.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(_PathBeneath(rights, descriptor)), 0)
    finally:
        os.close(descriptor)


def _add_ports(ruleset: int, allowed: Allowed, handled: int) -> None:
    """Allow TCP ports."""
    ports_by_right: tuple[tuple[Iterable[int], int], ...] = ((allowed.bind, _BIND), (allowed.connect or (), _CONNECT))
    for ports, right in ports_by_right:
        for port in ports if handled & right else ():
            LIBC.syscall(_ADD_RULE, ruleset, _NET_PORT, ctypes.byref(_NetPort(right, port)), 0)
