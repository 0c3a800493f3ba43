"""Requests a list. The two clients differ here: this one fetches the first page at once."""

from typing import Any, TypeVar

from nightsafe.client.blocking.page import Page
from nightsafe.client.blocking.sender import Sender
from nightsafe.client.call import Call
from nightsafe.client.envelope import ListPage

P = TypeVar("P", bound=Page[Any])


def listing(sender: Sender, call: Call[ListPage[Any]], kind: type[P]) -> P:
    """Return the first page of a list."""
    return sender.page(call, kind)
