# Made from aio/base.py by tools/generate_client.py: edit that one.
"""The base of the client's resources."""

from nightsafe.client.blocking.sender import RawSender, Sender


class Resource:
    """The base of every resource.

    Args:
        sender: sends the calls.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def _raw_sender(self) -> RawSender:
        """Return a sender with the same settings that returns whole answers."""
        return RawSender(self._sender.settings, self._sender.transport, self._sender.rings)
