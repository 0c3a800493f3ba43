"""What taking up new certificates needs, and a confined process can no longer make."""

import secrets
import socket
from typing import Final

from nightsafe.cli.tls.copies import Copies


class Spare:
    """A port to try new certificates out on, room for copies of them, and a socket at which nobody ever connects.

    Made before confinement.
    """

    def __init__(self) -> None:
        self._reserved: Final = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port: Final = int(self._reserved.getsockname()[1])
        """Of this machine alone. The system gives it to nobody as long as this lasts, and nothing listens there."""
        self.nowhere: Final = socket.socket(socket.AF_UNIX)
        """Listens where nobody finds it: under a drawn name that is in no directory."""
        self.nowhere.bind("\0" + secrets.token_hex(16))
        self.nowhere.listen(1)
        self.nowhere.setblocking(False)
        self.copies: Final = Copies()
        self.copies.reserve()

    def close(self) -> None:
        """Give them up."""
        self.copies.close()
        self._reserved.close()
        self.nowhere.close()
