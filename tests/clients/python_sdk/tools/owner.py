"""SDK clients with the owner's global API key, which create the tokens of tests."""

from typing import Any

from cloudflare import AsyncCloudflare, Cloudflare
from tests.server import ACCOUNT, Server

READ = "1a71c399035b4950a1bd1466bbe4f420"


def owner_of(server: Server) -> Cloudflare:
    """Return the owner's synchronous client."""
    return Cloudflare(api_key=server.safe.api_key, api_email=server.safe.email, base_url=server.base_url)


def async_owner_of(server: Server) -> AsyncCloudflare:
    """Return the owner's asynchronous client."""
    return AsyncCloudflare(api_key=server.safe.api_key, api_email=server.safe.email, base_url=server.base_url)


def policy(*groups: str, account_id: str = ACCOUNT, scripts: str = "") -> Any:
    """Return a policy that allows groups in an account, or on the scripts that a glob matches."""
    scope = {f"com.nightsafe.script.{scripts}": "*"} if scripts else "*"
    return {
        "effect": "allow",
        "permission_groups": [{"id": group} for group in groups],
        "resources": {f"com.cloudflare.api.account.{account_id}": scope},
    }
