"""The API's process under `nightsafe run`: it ends with its parent and cannot read the private ring.

`nightsafe run` starts `python -m nightsafe.cli.server.api_child PARENT SOCKET serve …`. The arguments are the process
ID of the parent, the number of the listening descriptor, and a command line.
"""

import ctypes
import os
import signal
import socket
import sys
from typing import Final

from nightsafe.confinement.process import hide

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def main(parent: int, listener: int, arguments: list[str]) -> None:
    """Hide this process from others, end it with its parent, and run the command line."""
    hide()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # the parent died before prctl took effect
        sys.exit("the delivery process is gone")
    sys.argv = ["nightsafe", *arguments]
    from nightsafe.cli.main import main as command  # after `hide`

    command(socket.socket(fileno=listener))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
