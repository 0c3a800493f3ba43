"""`/accounts/{account_id}/nightsafe/public-ring`: what clients seal to, so that no plaintext has to be sent."""

from nightsafe.api.http.envelope import Reply, success_with_info
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.services.secrets.seal import Safe


def resources(safe: Safe) -> list[Resource]:
    """The route of this page."""

    async def public_ring(_: Call) -> Reply:
        """GET …/nightsafe/public-ring, for whoever sees the account: that of this moment; nothing in it is secret."""
        ring = safe.ring
        return success_with_info(ring.offered(), ring.proof())

    return [Resource("GET", f"{ACCOUNT}/nightsafe/public-ring", None, public_ring)]
