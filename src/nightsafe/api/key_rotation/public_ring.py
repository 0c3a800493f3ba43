"""Serves `/accounts/{account_id}/nightsafe/public-ring`: clients seal to its keys, so that they send no plaintext."""

from nightsafe.api.http.envelope import Reply, success_with_info
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.services.secrets.seal import Safe


def resources(safe: Safe) -> list[Resource]:
    """Return the route of this module."""

    async def public_ring(_: Call) -> Reply:
        """GET …/nightsafe/public-ring, for callers that see the account: the current ring, without any secret."""
        ring = safe.ring
        return success_with_info(ring.encode_offer(), ring.encode_proof())

    return [Resource("GET", f"{ACCOUNT}/nightsafe/public-ring", None, public_ring)]
