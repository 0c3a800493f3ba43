"""Becomes workerd: dies with the process that started it, and leaves no core file.

Run as a program of its own, without site packages, by `child.py`: `launch.py PARENT BINARY ARGUMENT…`. A function
that runs between fork and exec could not do this safely in a process with threads.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main(parent: int, command: list[str]) -> None:
    """Set the limits, then replace this process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
        sys.exit("prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before that took hold
        sys.exit("the delivery process is gone")
    os.execve(command[0], command, {})  # noqa: S606 - there is no shell


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
