"""Resources for reloading certificates, created before confinement because a confined process could not."""

import secrets
import socket
from typing import Final

from nightsafe.cli.tls.copies import TlsCopies


class ReloadResources:
    """A port for testing new certificates, copies for them, and a socket that never gets a connection."""

    def __init__(self) -> None:
        self._reserved: Final = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port: Final = int(self._reserved.getsockname()[1])
        """A reserved loopback port. The system gives it to no other process, and nothing listens there."""
        self.dead_socket: Final = socket.socket(socket.AF_UNIX)
        """A listening socket that no client finds: it has a random abstract name."""
        self.dead_socket.bind("\0" + secrets.token_hex(16))
        self.dead_socket.listen(1)
        self.dead_socket.setblocking(False)
        self.copies: Final = TlsCopies()
        self.copies.reserve()

    def close(self) -> None:
        """Close the resources."""
        self.copies.close()
        self._reserved.close()
        self.dead_socket.close()
