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
    """Return all fields of a model of the SDK, including unknown ones."""
    dumped: dict[str, Any] = model.model_dump(mode="json", exclude_unset=True)
    return dumped


async def test_a_secret_text_is_put_read_and_deleted(either: Any, script: str) -> None:
    """A secret_text can be put, read, listed and deleted; no answer has its text."""
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
async def test_a_secret_key_is_put_read_and_deleted(either: Any, script: str, key_format: str) -> None:
    """A secret_key of each format can be put, read, listed and deleted; no answer has the key."""
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


async def test_bulk_update_sets_and_deletes(either: Any, script: str) -> None:
    """One call sets both kinds and deletes with None; the answer has a model for each secret that is left."""
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


async def test_bulk_update_needs_the_member_secrets(either: Any, script: str) -> None:
    """An empty `secrets` changes nothing; a missing one is refused."""
    bulk_update = either.workers.scripts.secrets.bulk_update
    assert await settled(bulk_update(script, account_id=ACCOUNT, secrets={})) == {}
    with pytest.raises(BadRequestError) as refused:
        await settled(bulk_update(script, account_id=ACCOUNT))
    assert [10021] == [error.code for error in refused.value.errors]


async def test_a_list_is_one_page(either: Any, script: str) -> None:
    """The list is one page, sorted by name."""
    secrets = either.workers.scripts.secrets
    names = [f"S{number:03}" for number in range(100)]
    wanted = {name: {"name": name, "type": "secret_text", "text": "x"} for name in names}
    await settled(secrets.bulk_update(script, account_id=ACCOUNT, secrets=wanted))

    page = await settled(secrets.list(script, account_id=ACCOUNT))

    assert [model.name for model in page.result] == names
    assert not page.has_next_page()
    assert [model.name for model in await gathered(page)] == names


async def test_unusual_texts_are_accepted(either: Any, script: str) -> None:
    """Texts that are empty, white space, NULs or beyond the basic plane are accepted."""
    secrets = either.workers.scripts.secrets
    for number, text in enumerate(("", " ", "\n", "\0", "\U0010ffff" * 1280, "\ufeff")):
        made = await settled(
            secrets.update(script, account_id=ACCOUNT, name=f"T{number}", text=text, type="secret_text")
        )
        assert fields(made) == {"name": f"T{number}", "type": "secret_text"}


@pytest.mark.parametrize("url_encoded", [True, False])
async def test_url_encoded_makes_no_difference(either: Any, script: str, url_encoded: bool) -> None:  # noqa: FBT001 - a parameter of the API
    """The flag makes no difference to `get` and `delete`."""
    secrets = either.workers.scripts.secrets
    at = {"script_name": script, "account_id": ACCOUNT}
    await settled(secrets.update(**at, name="a/b%2F", text="x", type="secret_text"))

    got: SecretGetResponse = await settled(secrets.get("a/b%2F", **at, url_encoded=url_encoded))

    assert got.name == "a/b%2F"
    assert await settled(secrets.delete("a/b%2F", **at, url_encoded=url_encoded)) is None
