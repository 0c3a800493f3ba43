"""Gives each of several API processes its share of the processors.

The threads of one process hand every request to one another. When several processes use the same processors, their
threads move between them all the time, and a request costs up to twice the CPU time.
"""

import os
from collections.abc import Collection
from contextlib import suppress


def keep_to_share(index: int, count: int) -> None:
    """Keep this process, and the threads and processes that it starts, to its share of the available processors.

    Args:
        index: which process this is.
        count: how many processes share them.
    """
    with suppress(OSError):  # without this, the process is only slower
        os.sched_setaffinity(0, share_of(os.sched_getaffinity(0), index, count))


def share_of(processors: Collection[int], index: int, count: int) -> Collection[int]:
    """Return the share of one process. With fewer processors than processes, some have one in common."""
    ordered = sorted(processors)
    own = ordered[index * len(ordered) // count : (index + 1) * len(ordered) // count]
    return own or [ordered[index % len(ordered)]]
