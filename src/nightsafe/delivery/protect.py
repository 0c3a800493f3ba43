"""Keeps the memory of this process, which opens values, from others."""

from nightsafe.confining.process import hide
from nightsafe.errors import Code, NightsafeError


def protect_process() -> None:
    """No core file, and no other process of the same user may look into this one (unless it is root).

    Raises:
        NightsafeError: UNAVAILABLE, when the system refuses.
    """
    if not hide():
        raise NightsafeError(Code.UNAVAILABLE, "this process cannot be hidden from others of the same user")
