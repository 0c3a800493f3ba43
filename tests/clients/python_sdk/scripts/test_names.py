"""Odd names through the SDK."""

import pytest
from cloudflare import Cloudflare
from tests.clients.names import DOTS, NAMES, shortened
from tests.clients.wire.talk import Wire
from tests.server import ACCOUNT


@pytest.mark.parametrize("name", NAMES, ids=shortened)
def test_a_name_goes_there_and_back(client: Cloudflare, script: str, name: str) -> None:
    """update, get, list, bulk_update with None, and delete of a secret of this name."""
    secrets = client.workers.scripts.secrets
    made = secrets.update(script, account_id=ACCOUNT, name=name, text="x", type="secret_text")
    got = secrets.get(name, account_id=ACCOUNT, script_name=script)
    assert made is not None
    assert got is not None
    assert [name] * 3 == [made.name, got.name, *(one.name for one in secrets.list(script, account_id=ACCOUNT))]

    assert secrets.bulk_update(script, account_id=ACCOUNT, secrets={name: None}) == {}
    secrets.update(script, account_id=ACCOUNT, name=name, text="x", type="secret_text")
    assert secrets.delete(name, account_id=ACCOUNT, script_name=script) is None
    assert list(secrets.list(script, account_id=ACCOUNT)) == []


@pytest.mark.parametrize("name", [*DOTS, ""])
def test_names_that_the_sdk_does_not_send(client: Cloudflare, wire: Wire, script: str, name: str) -> None:
    """It raises ValueError before it asks, and nothing is touched."""
    wire.put(script, "kept")
    secrets = client.workers.scripts.secrets

    with pytest.raises(ValueError, match=r"(?i)path|non-empty"):
        secrets.delete(name, account_id=ACCOUNT, script_name=script)
    with pytest.raises(ValueError, match=r"(?i)path|non-empty"):
        secrets.get(name, account_id=ACCOUNT, script_name=script)

    assert wire.names(script) == ["kept"]


@pytest.mark.parametrize("name", DOTS)
def test_dots_can_be_put_and_dropped_by_body(client: Cloudflare, script: str, name: str) -> None:
    """A name that no path can bear can still be put, listed and dropped."""
    secrets = client.workers.scripts.secrets
    secrets.update(script, account_id=ACCOUNT, name=name, text="x", type="secret_text")
    assert [one.name for one in secrets.list(script, account_id=ACCOUNT)] == [name]
    assert secrets.bulk_update(script, account_id=ACCOUNT, secrets={name: None}) == {}
