"""Keeps other processes from looking into this one, and keeps this one from gaining rights."""

import ctypes
import os
import resource
from collections.abc import Collection
from typing import Final

DAC_OVERRIDE: Final = 1
"""capabilities(7): open files regardless of their modes."""
DAC_READ_SEARCH: Final = 2
"""capabilities(7): open files regardless of their modes, for reading only."""

_PR_SET_DUMPABLE: Final = 4  # prctl(2)
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION: Final = 0x20080522
_CAPABILITIES: Final = 64

LIBC: Final = ctypes.CDLL(None, use_errno=True)
LIBC.getenv.restype = ctypes.c_void_p


class _Header(ctypes.Structure):
    """`struct __user_cap_header_struct`."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Half(ctypes.Structure):
    """`struct __user_cap_data_struct`: 32 capabilities."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def hide() -> bool:
    """Write no core file, and keep processes of the same user from looking into this one.

    The protection ends at an exec.

    Returns:
        Whether the system complies.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        return False
    return not LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def forget_variable(name: str) -> None:
    """Remove a variable from the environment, also where the system shows that with which the process has begun.

    Processes that this one starts or forks later do not have the variable.
    """
    value = LIBC.getenv(name.encode())
    if value is not None:
        ctypes.memset(value, 0, len(ctypes.string_at(value)))
    os.environ.pop(name, None)


def set_no_new_privileges() -> bool:
    """Keep every later exec from adding rights; return whether the system complies."""
    return not LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_capabilities(keep: Collection[int]) -> None:
    """Give up all capabilities (the rights that only root has) except some; an exec does not restore them."""
    for number in set(range(_CAPABILITIES)) - set(keep):
        LIBC.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # the kernel refuses this to an unprivileged process
    LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    kept = sum(1 << number for number in keep) if os.geteuid() == 0 else 0
    halves = (_Half * 2)(_Half(kept & 0xFFFFFFFF, kept & 0xFFFFFFFF, 0), _Half(kept >> 32, kept >> 32, 0))
    if LIBC.capset(ctypes.byref(_Header(_CAPABILITY_VERSION, 0)), halves):  # it lacks one of `keep`
        LIBC.capset(ctypes.byref(_Header(_CAPABILITY_VERSION, 0)), (_Half * 2)())
