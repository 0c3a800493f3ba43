"""The rest of what the server serves, through our own client."""

from pathlib import Path
from typing import Any

import pytest
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.clients.tokens import make_account
from tests.server import ACCOUNT, Server

from nightsafe.client import AuthenticationError, BadRequestError, NotFoundError, ScriptNotFoundError
from nightsafe.services.identity.administration import Credentials

MODULE = ("worker.js", b"export default {};", "application/javascript+module")


async def test_the_token_and_its_owner(either: Any, server: Server) -> None:
    """Whether the token works, whose it is, and which accounts it sees."""
    status = await settled(either.user.tokens.verify())
    accounts = await gathered(either.accounts.list(per_page=1))

    assert "active" == status.status
    assert 32 == len(status.id)
    assert server.safe.email == (await settled(either.user.get())).email
    assert [ACCOUNT] == [one.id for one in accounts]
    assert ACCOUNT == (await settled(either.accounts.get(account_id=ACCOUNT))).id
    with pytest.raises(AuthenticationError):
        await settled(either.with_options(api_token="unknown").user.tokens.verify())


async def test_each_credential(either: Any, server: Server) -> None:
    """A key with its e-mail does as well as a token."""
    pair = {"api_email": server.safe.email, "api_key": server.safe.api_key}

    assert server.safe.email == (await settled(either.with_options(**pair).user.get())).email


@pytest.fixture
def other(server: Server) -> Credentials:
    """Another account of the same server, with another owner."""
    return make_account(server.safe)


async def test_another_owner_sees_another_account(either: Any, other: Credentials) -> None:
    """And no other, however many a page holds."""
    theirs = either.with_options(api_email=other.email, api_key=other.api_key)

    assert [other.account_id] == [one.id for one in await gathered(theirs.accounts.list(per_page=1))]


async def test_a_script_comes_and_goes(either: Any, absent_script: str, tmp_path: Path) -> None:
    """Upload with a secret, list, content, delete."""
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
    assert ["S"] == [one.name for one in await gathered(scripts.secrets.list(absent_script, account_id=ACCOUNT))]
    assert absent_script in [one.id for one in await gathered(scripts.list(account_id=ACCOUNT))]
    content = await settled(scripts.get(absent_script, account_id=ACCOUNT))
    assert "export default {};" in content
    assert "export const x = 1;" in content
    await settled(scripts.delete(absent_script, account_id=ACCOUNT, force=True))
    with pytest.raises(ScriptNotFoundError):
        await settled(scripts.get(absent_script, account_id=ACCOUNT))


async def test_an_upload_that_is_refused(either: Any, absent_script: str) -> None:
    """BadRequestError with a pointer into the metadata."""
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


async def test_raw_answers(either: Any, script: str) -> None:
    """Headers and body as the server sent them."""
    got = await settled(either.workers.scripts.with_raw_response.get(script, account_id=ACCOUNT))

    assert "worker.js" == got.headers["cf-entrypoint"]
    assert got.http_response.content == await settled(got.read())


async def test_any_other_call(either: Any, script: str) -> None:
    """What has no method of its own can still be asked."""
    settings = await settled(either.request("GET", f"/accounts/{ACCOUNT}/workers/scripts/{script}/settings"))

    assert [] == settings["bindings"]
    with pytest.raises(NotFoundError):
        await settled(either.request("GET", f"/accounts/{ACCOUNT}/none"))
