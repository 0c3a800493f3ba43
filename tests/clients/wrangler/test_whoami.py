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
    """Yield the owner's SDK client."""
    safe = server.safe
    with Cloudflare(api_key=safe.api_key, api_email=safe.email, base_url=server.base_url) as made:
        yield made


def policy(group: str, resource: str) -> list[dict[str, object]]:
    """Return one policy that allows a permission group on a resource."""
    return [{"effect": "allow", "permission_groups": [{"id": group}], "resources": {resource: "*"}}]


def user_token(owner: Cloudflare, *, with_user: bool) -> str:
    """Create a user's token for the account, and optionally for the user."""
    policies = policy(READ, f"com.cloudflare.api.account.{ACCOUNT}")
    if with_user:
        user = owner.user.get()
        assert user is not None
        policies += policy(ALL_ACCESS, f"com.cloudflare.api.user.{user.id}")
    token = owner.user.tokens.create(name="whoami", policies=policies)  # type: ignore[arg-type]
    assert token is not None
    return str(token.value)


def account_token(owner: Cloudflare) -> str:
    """Create an account's token."""
    policies = policy(ALL_ACCESS, f"com.cloudflare.api.account.{ACCOUNT}")
    token = owner.accounts.tokens.create(account_id=ACCOUNT, name="whoami", policies=policies)  # type: ignore[arg-type]
    assert token is not None
    return str(token.value)


def test_whoami_with_a_users_token(server: Server, owner: Cloudflare, tmp_path: Path, version: str) -> None:
    """Wrangler shows the e-mail and the account."""
    done = wrangler(
        server, tmp_path, "whoami", version=version, CLOUDFLARE_API_TOKEN=user_token(owner, with_user=True)
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert f"logged in with an User API Token, associated with the email {server.safe.email}" in done.stdout
    assert ACCOUNT in done.stdout


def test_whoami_shows_an_accounts_permissions(server: Server, tmp_path: Path, version: str) -> None:
    """`--account` shows the permissions there; `--json` prints only JSON."""
    token = server.safe.api_token
    [roles, accounts] = together(
        lambda: wrangler(
            server, tmp_path, "whoami", "--account", ACCOUNT, version=version, CLOUDFLARE_API_TOKEN=token
        ),
        lambda: wrangler(server, tmp_path, "whoami", "--json", version=version, CLOUDFLARE_API_TOKEN=token),
    )

    assert (0, "") == (roles.returncode, roles.stderr)
    assert "- Nightsafe All Access" in roles.stdout
    assert [ACCOUNT] == [account["id"] for account in json.loads(accounts.stdout)["accounts"]]


def test_whoami_without_permission_to_read_the_user(
    server: Server, owner: Cloudflare, tmp_path: Path, version: str
) -> None:
    """After error 9109 for the user wrangler names the missing permission and lists the accounts."""
    done = wrangler(
        server, tmp_path, "whoami", version=version, CLOUDFLARE_API_TOKEN=user_token(owner, with_user=False)
    )

    assert done.returncode == 0
    assert "User API Token" in done.stdout
    assert NO_RIGHTS in done.stdout
    assert ACCOUNT in done.stdout


def test_whoami_with_an_accounts_token(server: Server, owner: Cloudflare, tmp_path: Path, version: str) -> None:
    """After error 1000 from the user's verification wrangler recognises an account token."""
    done = wrangler(server, tmp_path, "whoami", version=version, CLOUDFLARE_API_TOKEN=account_token(owner))

    assert done.returncode == 0
    assert "Account API Token" in done.stdout
    assert ACCOUNT in done.stdout


def test_whoami_with_a_global_api_key(server: Server, tmp_path: Path, version: str) -> None:
    """Wrangler shows the e-mail and the account of a global API key."""
    safe = server.safe
    done = wrangler(
        server, tmp_path, "whoami", version=version, CLOUDFLARE_API_KEY=safe.api_key, CLOUDFLARE_EMAIL=safe.email
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert f"logged in with an Global API Key, associated with the email {safe.email}" in done.stdout
    assert ACCOUNT in done.stdout


def test_whoami_with_an_unknown_token_fails(server: Server, tmp_path: Path, version: str) -> None:
    """Wrangler takes an unknown token for an account's, gets error 9109, and does not repeat the token."""
    done = wrangler(server, tmp_path, "whoami", version=version, CLOUDFLARE_API_TOKEN="nst_unknown")

    assert done.returncode == 1
    assert "Invalid access token [code: 9109]" in done.stdout + done.stderr
    assert "nst_unknown" not in done.stdout + done.stderr


def test_a_refused_command_shows_whoami(server: Server, owner: Cloudflare, tmp_path: Path, version: str) -> None:
    """After error 10000 wrangler shows the error and then the user."""
    done = wrangler(
        server, tmp_path, "secret", "list", "--name", "worker", version=version,
        CLOUDFLARE_API_TOKEN=user_token(owner, with_user=True), CLOUDFLARE_ACCOUNT_ID="0" * 32,
    )  # fmt: skip

    assert done.returncode == 1
    assert "Authentication error [code: 10000]" in done.stderr
    assert server.safe.email in done.stdout + done.stderr
