"""What a forked helper process does first."""

import os
import signal
from collections.abc import Iterable


def keep_only(descriptor: int, ignored: Iterable[signal.Signals]) -> None:
    """Ignore signals, and close every descriptor but one, such as the listening socket.

    Args:
        descriptor: the descriptor to keep.
        ignored: the signals that only the parent acts on.

    Raises:
        OSError: when a descriptor cannot be replaced.
    """
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    null_device = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null_device, standard)
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
