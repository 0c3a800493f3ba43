"""Tokens, users, accounts, uploads and raw requests through our own client."""

from pathlib import Path
from typing import Any

import pytest
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.clients.tokens import make_account
from tests.server import ACCOUNT, Server

from nightsafe.client import AuthenticationError, BadRequestError, NotFoundError, ScriptNotFoundError
from nightsafe.services.identity.administration import Credentials

MODULE = ("worker.js", b"export default {};", "application/javascript+module")


async def test_the_token_its_owner_and_accounts_are_returned(either: Any, server: Server) -> None:
    """The client returns the token's status, its owner and the accounts that it can see."""
    status = await settled(either.user.tokens.verify())
    accounts = await gathered(either.accounts.list(per_page=1))

    assert "active" == status.status
    assert 32 == len(status.id)
    assert server.safe.email == (await settled(either.user.get())).email
    assert [ACCOUNT] == [account.id for account in accounts]
    assert ACCOUNT == (await settled(either.accounts.get(account_id=ACCOUNT))).id
    with pytest.raises(AuthenticationError):
        await settled(either.with_options(api_token="unknown").user.tokens.verify())


async def test_a_global_api_key_works_like_a_token(either: Any, server: Server) -> None:
    """A global API key with its e-mail works like a token."""
    key_and_email = {"api_email": server.safe.email, "api_key": server.safe.api_key}

    assert server.safe.email == (await settled(either.with_options(**key_and_email).user.get())).email


@pytest.fixture
def other(server: Server) -> Credentials:
    """Return another account of the same server, with another owner."""
    return make_account(server.safe)


async def test_another_owner_sees_only_their_account(either: Any, other: Credentials) -> None:
    """The other owner sees only the other account, in any page size."""
    their_client = either.with_options(api_email=other.email, api_key=other.api_key)

    assert [other.account_id] == [account.id for account in await gathered(their_client.accounts.list(per_page=1))]


async def test_a_script_is_uploaded_read_and_deleted(either: Any, absent_script: str, tmp_path: Path) -> None:
    """A script with a secret can be uploaded, listed, read and deleted."""
    scripts = either.workers.scripts
    (tmp_path / "more.js").write_text("export const x = 1;")
    bindings = [{"type": "secret_text", "name": "S", "text": "x"}, {"type": "plain_text", "name": "V", "text": "y"}]
    made = await settled(
        scripts.update(
            absent_script,
            account_id=ACCOUNT,
            metadata={"main_module": "worker.js", "compatibility_date": "2026-04-01", "bindings": bindings},
            files=[MODULE, tmp_path / "more.js"],
        )
    )

    assert (absent_script, "worker.js", "2026-04-01", True) == (
        made.id,
        made.entry_point,
        made.compatibility_date,
        made.has_modules,
    )
    assert ["S"] == [
        secret.name for secret in await gathered(scripts.secrets.list(absent_script, account_id=ACCOUNT))
    ]
    assert absent_script in [script.id for script in await gathered(scripts.list(account_id=ACCOUNT))]
    content = await settled(scripts.get(absent_script, account_id=ACCOUNT))
    assert "export default {};" in content
    assert "export const x = 1;" in content
    await settled(scripts.delete(absent_script, account_id=ACCOUNT, force=True))
    with pytest.raises(ScriptNotFoundError):
        await settled(scripts.get(absent_script, account_id=ACCOUNT))


async def test_a_refused_upload_has_a_pointer(either: Any, absent_script: str) -> None:
    """The client raises BadRequestError with a pointer into the metadata."""
    with pytest.raises(BadRequestError) as raised:
        await settled(
            either.workers.scripts.update(
                absent_script,
                account_id=ACCOUNT,
                metadata={"main_module": "worker.js", "bindings": [{"type": "plain_text", "name": "V"}]},
                files=[MODULE],
            )
        )

    assert "/bindings/0/text" == raised.value.errors[0].pointer


async def test_raw_answers_have_headers_and_body(either: Any, script: str) -> None:
    """A raw answer has the server's headers and body."""
    got = await settled(either.workers.scripts.with_raw_response.get(script, account_id=ACCOUNT))

    assert "worker.js" == got.headers["cf-entrypoint"]
    assert got.http_response.content == await settled(got.read())


async def test_any_path_can_be_requested(either: Any, script: str) -> None:
    """A path without a method of its own can be requested directly."""
    settings = await settled(either.request("GET", f"/accounts/{ACCOUNT}/workers/scripts/{script}/settings"))

    assert [] == settings["bindings"]
    with pytest.raises(NotFoundError):
        await settled(either.request("GET", f"/accounts/{ACCOUNT}/none"))
