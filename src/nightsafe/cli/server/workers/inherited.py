"""What an API process inherits from its parent, `nightsafe run` or `nightsafe serve --workers`."""

import socket
from typing import Final, NamedTuple

from nightsafe.services.delivery.sibling_links import SiblingLinks

BESIDE_DELIVERY: Final = "beside-delivery"
"""The place of an API process whose parent has the private ring."""

ALONE: Final = "alone"
"""The place of an API process whose parent has no key."""


class Inherited(NamedTuple):
    """What an API process inherits.

    Attributes:
        listener: the listening socket.
        links: the links to the other API processes; None if there are no others.
        beside_delivery: whether the parent has the private ring.
    """

    listener: socket.socket
    links: SiblingLinks | None
    beside_delivery: bool

    @property
    def is_first(self) -> bool:
        """Whether this is the only API process, or the first one."""
        return self.links is None or self.links.index == 0
