"""`wrangler whoami` with every kind of credential."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloudflare import Cloudflare
from tests.clients.node.tools import wrangler
from tests.clients.wrangler.project import together
from tests.server import ACCOUNT, Server

from nightsafe.identity.permissions import ALL_ACCESS

READ = "1a71c399035b4950a1bd1466bbe4f420"
NO_RIGHTS = "Unable to retrieve email for this user"


@pytest.fixture
def owner(server: Server) -> Iterator[Cloudflare]:
    """The owner's client."""
    safe = server.safe
    with Cloudflare(api_key=safe.api_key, api_email=safe.email, base_url=server.base_url) as made:
        yield made


def policy(group: str, resource: str) -> list[dict[str, object]]:
    """One policy that allows a group on a resource."""
    return [{"effect": "allow", "permission_groups": [{"id": group}], "resources": {resource: "*"}}]


def of_user(owner: Cloudflare, *, with_user: bool) -> str:
    """A user's token for the account, and for the user if so."""
    policies = policy(READ, f"com.cloudflare.api.account.{ACCOUNT}")
    if with_user:
        user = owner.user.get()
        assert user is not None
        policies += policy(ALL_ACCESS, f"com.cloudflare.api.user.{user.id}")
    token = owner.user.tokens.create(name="whoami", policies=policies)  # type: ignore[arg-type]
    assert token is not None
    return str(token.value)


def of_account(owner: Cloudflare) -> str:
    """An account's token."""
    policies = policy(ALL_ACCESS, f"com.cloudflare.api.account.{ACCOUNT}")
    token = owner.accounts.tokens.create(account_id=ACCOUNT, name="whoami", policies=policies)  # type: ignore[arg-type]
    assert token is not None
    return str(token.value)


def test_a_token_of_a_user(server: Server, owner: Cloudflare, tmp_path: Path, version: str) -> None:
    """The e-mail and the account are told."""
    done = wrangler(server, tmp_path, "whoami", version=version, CLOUDFLARE_API_TOKEN=of_user(owner, with_user=True))

    assert (0, "") == (done.returncode, done.stderr)
    assert f"logged in with an User API Token, associated with the email {server.safe.email}" in done.stdout
    assert ACCOUNT in done.stdout


def test_an_account_and_its_roles(server: Server, tmp_path: Path, version: str) -> None:
    """`--account` tells what may be done there; `--json` is nothing but JSON."""
    token = server.safe.api_token
    [roles, told] = together(
        lambda: wrangler(
            server, tmp_path, "whoami", "--account", ACCOUNT, version=version, CLOUDFLARE_API_TOKEN=token
        ),
        lambda: wrangler(server, tmp_path, "whoami", "--json", version=version, CLOUDFLARE_API_TOKEN=token),
    )

    assert (0, "") == (roles.returncode, roles.stderr)
    assert "- Nightsafe All Access" in roles.stdout
    assert [ACCOUNT] == [account["id"] for account in json.loads(told.stdout)["accounts"]]


def test_a_token_without_rights_on_the_user(server: Server, owner: Cloudflare, tmp_path: Path, version: str) -> None:
    """9109 for the user: wrangler says what is missing, and goes on to the accounts."""
    done = wrangler(server, tmp_path, "whoami", version=version, CLOUDFLARE_API_TOKEN=of_user(owner, with_user=False))

    assert done.returncode == 0
    assert "User API Token" in done.stdout
    assert NO_RIGHTS in done.stdout
    assert ACCOUNT in done.stdout


def test_a_token_of_an_account(server: Server, owner: Cloudflare, tmp_path: Path, version: str) -> None:
    """1000 from the user's verification: wrangler takes it for what it is."""
    done = wrangler(server, tmp_path, "whoami", version=version, CLOUDFLARE_API_TOKEN=of_account(owner))

    assert done.returncode == 0
    assert "Account API Token" in done.stdout
    assert ACCOUNT in done.stdout


def test_a_key_and_an_email(server: Server, tmp_path: Path, version: str) -> None:
    """The Global API key."""
    safe = server.safe
    done = wrangler(
        server, tmp_path, "whoami", version=version, CLOUDFLARE_API_KEY=safe.api_key, CLOUDFLARE_EMAIL=safe.email
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert f"logged in with an Global API Key, associated with the email {safe.email}" in done.stdout
    assert ACCOUNT in done.stdout


def test_an_unknown_token(server: Server, tmp_path: Path, version: str) -> None:
    """Taken for an account's, and then refused by 9109; it is not repeated."""
    done = wrangler(server, tmp_path, "whoami", version=version, CLOUDFLARE_API_TOKEN="nst_unknown")

    assert done.returncode == 1
    assert "Invalid access token [code: 9109]" in done.stdout + done.stderr
    assert "nst_unknown" not in done.stdout + done.stderr


def test_a_refusal_leads_to_whoami(server: Server, owner: Cloudflare, tmp_path: Path, version: str) -> None:
    """On 10000 wrangler tells what failed, and then who asked."""
    done = wrangler(
        server, tmp_path, "secret", "list", "--name", "worker", version=version,
        CLOUDFLARE_API_TOKEN=of_user(owner, with_user=True), CLOUDFLARE_ACCOUNT_ID="0" * 32,
    )  # fmt: skip

    assert done.returncode == 1
    assert "Authentication error [code: 10000]" in done.stderr
    assert server.safe.email in done.stdout + done.stderr
