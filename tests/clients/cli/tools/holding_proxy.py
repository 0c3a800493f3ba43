"""A proxy between a client and a server that can hold a request back until the test lets it through."""

import socket
import threading
from types import TracebackType
from typing import Self

_SECONDS = 60


class Gate:
    """Passes bytes on, but holds the first chunk that matches; use it in a `with` statement.

    Args:
        port: the server's port on the loopback interface.
        held: the first bytes of requests to hold.
    """

    def __init__(self, port: int, held: bytes) -> None:
        self._server = ("127.0.0.1", port)
        self._held = held
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.holds = threading.Event()
        self.opened = threading.Event()

    def __enter__(self) -> Self:
        """Start to listen."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let everything through and accept no more connections."""
        self.opened.set()
        self._listener.close()

    def _accept(self) -> None:
        """Accept connections until the gate is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server, _SECONDS)
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        """Pass on bytes in one direction."""
        try:
            while chunk := source.recv(65536):
                if chunk.startswith(self._held) and not self.opened.is_set():
                    self.holds.set()
                    self.opened.wait(_SECONDS)
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return
