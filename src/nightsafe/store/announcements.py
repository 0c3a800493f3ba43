"""The part of a store with which API nodes tell each other what is not worth a durable write."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol, runtime_checkable

LONGEST_ANNOUNCEMENT: Final = 7999
"""The most bytes of an announcement: PostgreSQL takes less than 8000."""


@runtime_checkable
class Announcements(Protocol):
    """Carries short texts between the nodes of one database. A text may be lost, and none is kept."""

    async def announce(self, texts: Sequence[str]) -> None:
        """Send texts to every node, this one included. They are lost if the database does not take them now."""
        ...

    def on_announcement(self, take: Callable[[str], None], resumed: Callable[[], None]) -> None:
        """Have a function called with each text that arrives.

        Args:
            take: called with each text.
            resumed: called when texts arrive from now on, at first and after each interruption, in which texts were
                lost.
        """
        ...
