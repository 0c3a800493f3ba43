"""`/accounts/{account_id}/nightsafe/public-ring`: what clients seal to, so that no plaintext has to be sent."""

from nightsafe.api.call import Call
from nightsafe.api.envelope import Reply, success_raw
from nightsafe.api.path import ACCOUNT
from nightsafe.api.routing import Resource


def resources(ring: bytes | None) -> list[Resource]:
    """The route of this page, or none when no ring is offered.

    Args:
        ring: the public ring as its file has it: keys with their suites and states; nothing in it is secret.
    """
    if ring is None:
        return []

    async def public_ring(_: Call) -> Reply:
        """GET …/nightsafe/public-ring: for whoever sees the account."""
        return success_raw(ring)

    return [Resource("GET", f"{ACCOUNT}/nightsafe/public-ring", None, public_ring)]
