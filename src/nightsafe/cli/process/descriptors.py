"""Descriptors 0 to 2 belong to standard input and output, whether or not they were open when the program began."""

import os
from typing import Final

_STANDARD: Final = 3


def take_standard() -> None:
    """Fill those of descriptors 0 to 2 that are closed, before anything else is opened under their numbers.

    Whatever came to lie there would be written to by whoever prints, and the event loop's library aborts over a
    socket among them. What is put there can be neither read from nor written to as it would be: an attempt fails, as
    it would if nothing were there.
    """
    for number in range(_STANDARD):
        try:
            os.fstat(number)
        except OSError:
            _fill(number)


def _fill(number: int) -> None:
    """Put something under a number that is free; the lower ones are taken, so it is the next to be given."""
    flags = os.O_WRONLY if number == 0 else os.O_RDONLY
    opened = os.open(os.devnull, flags)
    if opened == number:
        os.set_inheritable(opened, True)
    else:
        os.dup2(opened, number)
        os.close(opened)
