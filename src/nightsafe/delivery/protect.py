"""Keeps the memory of this process, which opens values, from others."""

import ctypes
import resource
from typing import Final

from nightsafe.errors import Code, NightsafeError

_PR_SET_DUMPABLE: Final = 4  # prctl(2)


def protect_process() -> None:
    """No core file, and no other process of the same user may look into this one (unless it is root).

    Raises:
        NightsafeError: UNAVAILABLE, when the system refuses.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        raise NightsafeError(Code.UNAVAILABLE, "core files cannot be switched off for this process") from None
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise NightsafeError(Code.UNAVAILABLE, "this process cannot be hidden from others of the same user")
