"""A process that others cannot look into, and that gains no rights any more."""

import ctypes
import os
import resource
from collections.abc import Collection
from typing import Final

DAC_OVERRIDE: Final = 1
"""capabilities(7): opens files whatever their modes say."""
DAC_READ_SEARCH: Final = 2
"""The same, for reading alone."""

_PR_SET_DUMPABLE: Final = 4  # prctl(2)
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION: Final = 0x20080522
_CAPABILITIES: Final = 64

LIBC: Final = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    """`struct __user_cap_header_struct`."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Half(ctypes.Structure):
    """`struct __user_cap_data_struct`: 32 capabilities."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def hide() -> bool:
    """No core file, and no process of the same user may look into this one; gives whether the system does so.

    It does not outlast an exec.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        return False
    return not LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def gain_nothing() -> bool:
    """Have no exec give more rights than there are; gives whether the system does so."""
    return not LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_capabilities(keep: Collection[int]) -> None:
    """Give up what root may do beyond others, but for some capabilities; an exec does not give it back."""
    for number in set(range(_CAPABILITIES)) - set(keep):
        LIBC.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # refused to who has nothing to drop
    LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    kept = sum(1 << number for number in keep) if os.geteuid() == 0 else 0
    halves = (_Half * 2)(_Half(kept & 0xFFFFFFFF, kept & 0xFFFFFFFF, 0), _Half(kept >> 32, kept >> 32, 0))
    if LIBC.capset(ctypes.byref(_Header(_CAPABILITY_VERSION, 0)), halves):  # it lacks one of those it might keep
        LIBC.capset(ctypes.byref(_Header(_CAPABILITY_VERSION, 0)), (_Half * 2)())
