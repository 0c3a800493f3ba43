"""The API's process beside a delivery process: it ends with that one, and cannot read the private ring.

`nightsafe run` runs `python -m nightsafe.cli.server.api_child PARENT SOCKET serve …`: a process id, the number of a
descriptor that listens, then a command line.
"""

import ctypes
import os
import signal
import socket
import sys
from typing import Final

from nightsafe.confining.process import hide

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def main(parent: int, listener: int, arguments: list[str]) -> None:
    """Be hidden from others, be tied to the parent, and serve, which confines itself."""
    hide()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before that took hold
        sys.exit("the delivery process is gone")
    sys.argv = ["nightsafe", *arguments]
    from nightsafe.cli.main import main as command  # noqa: PLC0415 - from here on as any other

    command(socket.socket(fileno=listener))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
