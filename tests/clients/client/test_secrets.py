"""Secrets through our own client and the real server; the official SDK must see the same."""

from typing import Any

import pytest
from cloudflare import Cloudflare
from tests.clients.names import NAMES, shortened
from tests.clients.python_sdk.tools.keys import fresh_keys, shown
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.clients.wire.talk import Wire
from tests.server import ACCOUNT, Server

from nightsafe.client import (
    BadRequestError,
    NameTakenError,
    Nightsafe,
    NotFoundError,
    NotPermittedError,
    ScriptNotFoundError,
    SecretKey,
    SecretNotFoundError,
    SecretText,
)

TEXT = {"name": "mine", "text": "a value", "type": "secret_text"}


async def test_the_five_calls_return_typed_results(either: Any, script: str) -> None:
    """All five calls return typed results."""
    secrets = either.workers.scripts.secrets
    at = {"script_name": script, "account_id": ACCOUNT}

    assert SecretText("mine") == await settled(secrets.update(**at, **TEXT))
    assert SecretText("mine") == await settled(secrets.get("mine", **at))
    assert [SecretText("mine")] == await gathered(secrets.list(**at))
    patched = await settled(secrets.bulk_update(**at, secrets={"mine": None, "other": {**TEXT, "name": "other"}}))
    assert {"other": SecretText("other")} == patched
    assert None is await settled(secrets.delete("other", **at, url_encoded=True))
    assert [] == await gathered(secrets.list(**at))


@pytest.mark.parametrize("key_format", ["raw", "pkcs8", "spki", "jwk"])
async def test_keys_have_every_field_except_the_key(either: Any, script: str, key_format: str) -> None:
    """A key of each format is a `SecretKey` with every field except the key."""
    key = fresh_keys()[key_format]
    secret = await settled(either.workers.scripts.secrets.update(script, account_id=ACCOUNT, name="K", **key))

    assert isinstance(secret, SecretKey)
    assert {**shown(key), "usages": tuple(key["usages"])} == {
        "type": secret.type,
        "format": secret.format,
        "algorithm": secret.algorithm,
        "usages": secret.usages,
    }


@pytest.mark.parametrize("name", NAMES, ids=shortened)
def test_all_calls_work_with_an_unusual_name(client: Nightsafe, server: Server, script: str, name: str) -> None:
    """All five calls work with a secret of this name, and the official SDK finds it."""
    secrets = client.workers.scripts.secrets
    at: dict[str, Any] = {"account_id": ACCOUNT, "script_name": script}
    made = secrets.update(script, account_id=ACCOUNT, name=name, text="x", type="secret_text")
    names = [
        made.name,
        secrets.get(name, **at).name,
        *(secret.name for secret in secrets.list(script, account_id=ACCOUNT)),
    ]
    with Cloudflare(api_token=server.safe.api_token, base_url=server.base_url) as official:
        seen = official.workers.scripts.secrets.get(name, **at)

    assert seen is not None
    assert [name] * 4 == [*names, seen.name]
    assert repr(seen) == repr(made)
    assert secrets.bulk_update(script, account_id=ACCOUNT, secrets={name: None}) == {}
    secrets.update(script, account_id=ACCOUNT, name=name, text="x", type="secret_text")
    secrets.delete(name, **at)
    assert [] == list(secrets.list(script, account_id=ACCOUNT))


async def test_refusals_have_exception_classes(either: Any, wire: Wire, script: str) -> None:
    """Each code has its exception class, which contains the code."""
    secrets = either.workers.scripts.secrets
    here, nowhere = ({"account_id": ACCOUNT, "script_name": name} for name in (script, f"{script}-absent"))
    variable = {"type": "plain_text", "name": "VAR", "text": "x"}
    assert wire.upload(script, variable).status == 200
    calls: list[tuple[Any, type[Exception], int]] = [
        (lambda: secrets.get("mine", **nowhere), ScriptNotFoundError, 10007),
        (lambda: secrets.delete("mine", **nowhere), ScriptNotFoundError, 10007),
        (lambda: secrets.update(**nowhere, **TEXT), ScriptNotFoundError, 10007),
        (lambda: secrets.get("mine", **here), SecretNotFoundError, 10056),
        (lambda: secrets.delete("mine", **here), SecretNotFoundError, 10056),
        (lambda: secrets.update(**here, **{**TEXT, "name": "VAR"}), NameTakenError, 10053),
        (lambda: secrets.get("mine", account_id="f" * 32, script_name=script), NotPermittedError, 10000),
        (lambda: secrets.get("mine", account_id="12345", script_name=script), NotFoundError, 7003),
        (lambda: secrets.update(**here, **{**TEXT, "text": "x" * 5121}), BadRequestError, 10054),
    ]
    for call, kind, code in calls:
        with pytest.raises(kind) as raised:
            await settled(call())
        error: Any = raised.value
        assert code == error.errors[0].code
        assert str(code) in str(error)
    with pytest.raises(ScriptNotFoundError):
        await gathered(secrets.list(nowhere["script_name"], account_id=ACCOUNT))
    with pytest.raises(NotPermittedError):
        await settled(either.with_options(api_token="unknown").workers.scripts.secrets.get("mine", **here))


async def test_a_refused_patch_points_to_each_invalid_secret(either: Any, script: str) -> None:
    """An invalid patch is refused completely, with a pointer to each invalid secret."""
    bad = {
        "a/b": {**TEXT, "name": "a/b", "text": "x" * 5121},
        "k": {**fresh_keys()["raw"], "name": "k", "usages": []},
    }
    with pytest.raises(BadRequestError) as raised:
        await settled(either.workers.scripts.secrets.bulk_update(script, account_id=ACCOUNT, secrets=bad))

    assert ["/secrets/a~1b/text", "/secrets/k/usages"] == [error.pointer for error in raised.value.errors]
    assert [] == await gathered(either.workers.scripts.secrets.list(script, account_id=ACCOUNT))
