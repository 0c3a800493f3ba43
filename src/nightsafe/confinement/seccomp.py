"""Filters of system calls (seccomp(2)). A filter holds for a thread, for all that it starts, and after an exec."""

import ctypes
import errno
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from nightsafe.confinement.calls import architecture, is_known, number
from nightsafe.confinement.process import LIBC, set_no_new_privileges

NEVER: Final = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),  # other processes
    *("mount", "umount2", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"),
    *("pivot_root", "chroot", "unshare", "setns", "open_by_handle_at"),  # another view of the machine
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff"),
    *("bpf", "perf_event_open", "userfaultfd", "add_key", "request_key", "keyctl"),  # much of the kernel
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),  # they make system calls past every filter
    *(
        "chmod",
        "fchmod",
        "fchmodat",
        "fchmodat2",
        "chown",
        "fchown",
        "lchown",
        "fchownat",
    ),  # not restricted by Landlock
    *("utime", "utimes", "futimesat", "utimensat", "file_setattr"),
    *(
        "setxattr",
        "lsetxattr",
        "fsetxattr",
        "setxattrat",
        "removexattr",
        "lremovexattr",
        "fremovexattr",
        "removexattrat",
    ),
    *("setpriority", "ioprio_set", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr"),
    *("migrate_pages", "move_pages", "process_mrelease"),
    *("shmget", "msgget", "semget", "mq_open"),  # can be shared with other users' processes
)
"""System calls that neither a server nor a runtime needs."""

_PR_SET_SECCOMP: Final = 22
_FILTER: Final = 2
_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_OTHER_WAY: Final = 0x40000000
"""The first number of the x32 system calls, which could be used to get around a filter."""
_NEW_NAMESPACES: Final = 0x7E020000
_KIND: Final = 0xF
_FAST_OPEN: Final = 0x20000000


class _Step(NamedTuple):
    """`struct sock_filter`: an instruction, and how many steps to skip if its test holds and if it does not."""

    code: int
    operand: int
    then: int = 0
    otherwise: int = 0


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


Rule = Callable[[], list[_Step]]


def forbid(names: Iterable[str], *rules: Rule) -> bool:
    """Refuse system calls to this process from now on, with EPERM.

    Args:
        names: system calls to refuse always.
        rules: further rules, on system calls that are allowed with some arguments only.

    Returns:
        Whether the filter is in force; False when the system refuses it or this machine type is not known.
    """
    if not is_known() or not set_no_new_privileges():
        return False
    steps = [_Step(_LOAD, _ARCHITECTURE), _Step(_EQUAL, architecture(), 1), _Step(_RETURN, _KILL)]
    steps += [_Step(_LOAD, _NUMBER), _Step(_AT_LEAST, _OTHER_WAY, 0, 1), _refuse(errno.EPERM)]
    for name in filter(lambda name: number(name) >= 0, names):
        steps += [_Step(_EQUAL, number(name), 0, 1), _refuse(errno.EPERM)]
    for rule in (no_namespaces, no_limits_of_others, *rules):
        steps += rule()
    steps.append(_Step(_RETURN, _ALLOW))
    packed = b"".join(struct.pack("=HBBI", step.code, step.then, step.otherwise, step.operand) for step in steps)
    return not LIBC.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(_Program(len(steps), packed)), 0, 0)


def no_namespaces() -> list[_Step]:
    """Allow no new namespaces.

    A filter cannot see the arguments of `clone3`, so that call fails and the C library uses `clone` instead.
    """
    return [
        *(_Step(_EQUAL, number("clone3"), 0, 1), _refuse(errno.ENOSYS)),
        *_rule_for("clone", [_Step(_ANY_OF, _NEW_NAMESPACES, 0, 1), _refuse(errno.EPERM)], argument=0),
    ]


def no_limits_of_others() -> list[_Step]:
    """Allow no access to the limits of another process."""
    return _rule_for("prlimit64", [_Step(_EQUAL, 0, 1), _refuse(errno.EPERM)], argument=0)


def no_further_ports() -> list[_Step]:
    """Make `listen` do nothing, as on an unbound socket it would bind a free port by itself.

    The call still succeeds, for the sockets that listen already.
    """
    return [_Step(_EQUAL, number("listen"), 0, 1), _refuse(0)]


def only_tcp(*, unix: bool = False) -> list[_Step]:
    """Allow only TCP sockets, and no way to open a TCP connection that Landlock might not see.

    Args:
        unix: allow Unix sockets, too.
    """
    body = [
        *((_Step(_EQUAL, socket.AF_UNIX, 0, 1), _Step(_RETURN, _ALLOW)) if unix else ()),
        *(_Step(_EQUAL, socket.AF_INET, 1), _Step(_EQUAL, socket.AF_INET6, 0, 7)),
        *(_argument(1), _Step(_AND, _KIND), _Step(_EQUAL, socket.SOCK_STREAM, 0, 4)),
        *(_argument(2), _Step(_EQUAL, 0, 1), _Step(_EQUAL, socket.IPPROTO_TCP, 0, 1)),
        *(_Step(_RETURN, _ALLOW), _refuse(errno.EPERM)),
    ]
    steps = _rule_for("socket", body, argument=0)
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        steps += _rule_for(name, [_Step(_ANY_OF, _FAST_OPEN, 0, 1), _refuse(errno.EPERM)], argument=flags)
    return steps


def _rule_for(name: str, body: list[_Step], *, argument: int) -> list[_Step]:
    """Return the steps for one system call, with one of its arguments loaded; their end allows the call."""
    inner = [_argument(argument), *body, _Step(_RETURN, _ALLOW)]
    return [_Step(_EQUAL, number(name), 0, len(inner)), *inner]


def _argument(position: int) -> _Step:
    """Load the lower half of an argument."""
    return _Step(_LOAD, _ARGUMENTS + 8 * position)


def _refuse(error: int) -> _Step:
    """End the filter: the call fails with this error."""
    return _Step(_RETURN, _REFUSE | error)
