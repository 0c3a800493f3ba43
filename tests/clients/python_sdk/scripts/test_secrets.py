"""The five calls of `client.workers.scripts.secrets`, with both kinds of secret."""

from typing import Any

import pytest
from cloudflare import BadRequestError
from cloudflare.types.workers.scripts import (
    SecretGetResponse,
    secret_get_response,
    secret_list_response,
    secret_update_response,
)
from tests.clients.python_sdk.tools.keys import fresh_keys, shown
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.server import ACCOUNT

FORMATS = ("raw", "pkcs8", "spki", "jwk")


def fields(model: Any) -> dict[str, Any]:
    """All that a model of the SDK holds, what it does not know included."""
    dumped: dict[str, Any] = model.model_dump(mode="json", exclude_unset=True)
    return dumped


async def test_a_secret_text_comes_and_goes(either: Any, script: str) -> None:
    """update, get, list and delete of one secret_text; nothing that comes back holds its text."""
    secrets = either.workers.scripts.secrets
    at = {"script_name": script, "account_id": ACCOUNT}
    expected = {"name": "mySecret", "type": "secret_text"}

    updated = await settled(secrets.update(**at, name="mySecret", text="a value", type="secret_text"))
    got = await settled(secrets.get("mySecret", **at))
    listed = await gathered(secrets.list(**at))
    deleted = await settled(secrets.delete("mySecret", **at))

    assert isinstance(updated, secret_update_response.WorkersBindingKindSecretText)
    assert isinstance(got, secret_get_response.WorkersBindingKindSecretText)
    assert isinstance(listed[0], secret_list_response.WorkersBindingKindSecretText)
    assert [fields(model) for model in (updated, got, *listed)] == [expected] * 3
    assert deleted is None
    assert await gathered(secrets.list(**at)) == []


@pytest.mark.parametrize("key_format", FORMATS)
async def test_a_secret_key_comes_and_goes(either: Any, script: str, key_format: str) -> None:
    """The same of a secret_key in each format; its algorithm, format and usages come back, the key does not."""
    secrets = either.workers.scripts.secrets
    at = {"script_name": script, "account_id": ACCOUNT}
    key = fresh_keys()[key_format]
    expected = {"name": "myKey", **shown(key)}

    updated = await settled(secrets.update(**at, name="myKey", **key))
    got = await settled(secrets.get("myKey", **at))
    listed = await gathered(secrets.list(**at))

    assert isinstance(updated, secret_update_response.WorkersBindingKindSecretKey)
    assert isinstance(got, secret_get_response.WorkersBindingKindSecretKey)
    assert [fields(model) for model in (updated, got, *listed)] == [expected] * 3
    assert not [name for name in ("key_base64", "key_jwk", "text") if hasattr(got, name)]
    assert await settled(secrets.delete("myKey", **at)) is None


async def test_bulk_update(either: Any, script: str) -> None:
    """It sets both kinds and drops by None in one call, and gives a model for each secret there is then."""
    secrets = either.workers.scripts.secrets
    at = {"script_name": script, "account_id": ACCOUNT}
    keys = fresh_keys()
    await settled(secrets.update(**at, name="old", text="a value", type="secret_text"))

    wanted = {name: {"name": name, **key} for name, key in keys.items()}
    wanted["text"] = {"name": "text", "type": "secret_text", "text": "a value"}
    answer = await settled(secrets.bulk_update(**at, secrets={**wanted, "old": None}, version_tags={"release": "1"}))

    expected = {name: {"name": name, **shown(key)} for name, key in keys.items()}
    expected["text"] = {"name": "text", "type": "secret_text"}
    assert {name: fields(model) for name, model in answer.items()} == expected
    assert [model.name for model in await gathered(secrets.list(**at))] == sorted(expected)


async def test_bulk_update_with_nothing(either: Any, script: str) -> None:
    """No secrets change nothing; to forget them is refused."""
    bulk_update = either.workers.scripts.secrets.bulk_update
    assert await settled(bulk_update(script, account_id=ACCOUNT, secrets={})) == {}
    with pytest.raises(BadRequestError) as refused:
        await settled(bulk_update(script, account_id=ACCOUNT))
    assert [10021] == [error.code for error in refused.value.errors]


async def test_a_list_is_one_page(either: Any, script: str) -> None:
    """All secrets are in the one page there is, by name, and there is none after it."""
    secrets = either.workers.scripts.secrets
    names = [f"S{number:03}" for number in range(100)]
    wanted = {name: {"name": name, "type": "secret_text", "text": "x"} for name in names}
    await settled(secrets.bulk_update(script, account_id=ACCOUNT, secrets=wanted))

    page = await settled(secrets.list(script, account_id=ACCOUNT))

    assert [model.name for model in page.result] == names
    assert not page.has_next_page()
    assert [model.name for model in await gathered(page)] == names


async def test_an_empty_text_is_a_text(either: Any, script: str) -> None:
    """So is one of white space, of NULs, and of all there is in Unicode's planes; none is trimmed into another."""
    secrets = either.workers.scripts.secrets
    for number, text in enumerate(("", " ", "\n", "\0", "\U0010ffff" * 1280, "\ufeff")):
        made = await settled(
            secrets.update(script, account_id=ACCOUNT, name=f"T{number}", text=text, type="secret_text")
        )
        assert fields(made) == {"name": f"T{number}", "type": "secret_text"}


@pytest.mark.parametrize("url_encoded", [True, False])
async def test_url_encoded(either: Any, script: str, url_encoded: bool) -> None:  # noqa: FBT001 - a parameter of the wire
    """The flag makes no difference to get and delete."""
    secrets = either.workers.scripts.secrets
    at = {"script_name": script, "account_id": ACCOUNT}
    await settled(secrets.update(**at, name="a/b%2F", text="x", type="secret_text"))

    got: SecretGetResponse = await settled(secrets.get("a/b%2F", **at, url_encoded=url_encoded))

    assert got.name == "a/b%2F"
    assert await settled(secrets.delete("a/b%2F", **at, url_encoded=url_encoded)) is None
