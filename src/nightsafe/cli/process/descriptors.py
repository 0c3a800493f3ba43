"""Reserves descriptors 0 to 2 for standard input, output and error, even if they were closed at the start."""

import os
from typing import Final

_STANDARD: Final = 3


def reserve_standard() -> None:
    """Fill the closed descriptors among 0 to 2, before another file gets their numbers.

    Printing would write to such a file, and the event loop's library aborts if a socket is among these descriptors.
    The filling is opened in the wrong direction, so reading or writing fails, as with a closed descriptor.
    """
    for number in range(_STANDARD):
        try:
            os.fstat(number)
        except OSError:
            _fill(number)


def _fill(number: int) -> None:
    """Open the null device under a free number. The system assigns this number next, as the lower ones are taken."""
    flags = os.O_WRONLY if number == 0 else os.O_RDONLY
    opened = os.open(os.devnull, flags)
    if opened == number:
        os.set_inheritable(opened, True)
    else:
        os.dup2(opened, number)
        os.close(opened)
