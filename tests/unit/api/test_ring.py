"""The public ring, offered or not."""

import json
from typing import cast

from nightsafe.api import ring
from nightsafe.api.call import Call
from nightsafe.sealing.private_ring import PrivateRing

FILE = PrivateRing.generate().public().encode()


async def test_it_is_given_as_it_is() -> None:
    """In the envelope, with nothing added."""
    [resource] = ring.resources(FILE)
    reply = await resource.handler(cast("Call", None))

    assert ("GET", None) == (resource.method, resource.action)
    assert json.loads(FILE) == json.loads(reply.body)["result"]
    assert 200 == reply.status


def test_none_is_offered_unless_told() -> None:
    """A server without one has no such route."""
    assert [] == ring.resources(None)
