"""Protects the memory of this process, which opens values, from other processes."""

from nightsafe.confinement.process import hide
from nightsafe.errors import Code, NightsafeError


def protect_process() -> None:
    """Write no core file, and keep other processes of the same user from looking into this one (root still can).

    Raises:
        NightsafeError: UNAVAILABLE, when the system refuses.
    """
    if not hide():
        raise NightsafeError(
            Code.UNAVAILABLE,
            "this process cannot hide its memory from others of the same user; allow it the system calls prctl and "
            "setrlimit",
        )
