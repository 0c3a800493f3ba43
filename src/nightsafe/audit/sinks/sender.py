"""The interface of a sender, which brings a batch of entries to its sink."""

import errno
import os
import ssl
from collections.abc import Sequence
from typing import Final, Protocol

from nightsafe.audit.sinks.shipment import Shipped

TIMEOUT_SECONDS: Final = 10.0
"""Seconds that a step of a transfer may take."""


class Sender(Protocol):
    """Brings entries to a sink. Its calls block, so each runs in a thread."""

    def send(self, entries: Sequence[Shipped]) -> None:
        """Send a batch. Return only after the sink has accepted the whole batch.

        Raises:
            OSError: if the sink may not have all entries.
        """
        ...

    def reopen(self) -> None:
        """Open the sink again before the next batch. Another thread may be in `send`."""
        ...


class NotAcceptedError(ConnectionError):
    """A sink did not accept a batch. The message is our own text."""


def reason_of(error: OSError) -> str:
    """Return the reason of a failure, without text that the sink has chosen."""
    if isinstance(error, NotAcceptedError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or type(error).__name__}"
    if isinstance(error, TimeoutError):
        return os.strerror(errno.ETIMEDOUT)
    return os.strerror(error.errno) if error.errno else type(error).__name__
