"""An API process under `nightsafe run` or `nightsafe serve --workers`: it ends with its parent.

The parent starts `python -m nightsafe.cli.server.api_child PARENT SOCKET PLACE LINKS serve …`. The arguments are the
process ID of the parent, the number of the listening descriptor, `beside-delivery` under `run` and else `alone`, the
links to the other API processes or an empty text, and a command line.
"""

import ctypes
import os
import signal
import socket
import sys
from typing import Final

from nightsafe.confinement.process import hide

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def main(parent: int, listener: int, place: str, links: str, arguments: list[str]) -> None:
    """Hide this process from others, end it with its parent, and run the command line."""
    hide()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # the parent died before prctl took effect
        sys.exit("the parent process is gone")
    sys.argv = ["nightsafe", *arguments]
    from nightsafe.cli.main import main as command  # after `hide`
    from nightsafe.cli.process.processors import keep_to_share
    from nightsafe.cli.server.workers.inherited import BESIDE_DELIVERY, Inherited
    from nightsafe.services.delivery.sibling_links import SiblingLinks

    own_links = SiblingLinks.of_argument(links)
    if own_links is not None:
        keep_to_share(own_links.index, own_links.count)
    command(Inherited(socket.socket(fileno=listener), own_links, place == BESIDE_DELIVERY))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:])
