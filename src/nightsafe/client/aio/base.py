"""The base of the client's resources."""

from nightsafe.client.aio.sender import AsyncRawSender, AsyncSender


class AsyncResource:
    """The base of every resource.

    Args:
        sender: sends the calls.
    """

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def _raw_sender(self) -> AsyncRawSender:
        """Return a sender with the same settings that returns whole answers."""
        return AsyncRawSender(self._sender.settings, self._sender.transport, self._sender.rings)
