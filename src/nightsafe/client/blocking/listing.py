"""How a list is asked for, in which the two clients differ: here at once."""

from typing import Any, TypeVar

from nightsafe.client.blocking.page import Page
from nightsafe.client.blocking.sender import Sender
from nightsafe.client.call import Call
from nightsafe.client.envelope import Listed

P = TypeVar("P", bound=Page[Any])


def listing(sender: Sender, call: Call[Listed[Any]], kind: type[P]) -> P:
    """The first page of a list."""
    return sender.page(call, kind)
