"""Unusual secret names through the SDK."""

import pytest
from cloudflare import Cloudflare
from tests.clients.names import DOTS, NAMES, shortened
from tests.clients.wire.talk import Wire
from tests.server import ACCOUNT


@pytest.mark.parametrize("name", NAMES, ids=shortened)
def test_all_calls_work_with_an_unusual_name(client: Cloudflare, script: str, name: str) -> None:
    """All five calls work with a secret of this name."""
    secrets = client.workers.scripts.secrets
    made = secrets.update(script, account_id=ACCOUNT, name=name, text="x", type="secret_text")
    got = secrets.get(name, account_id=ACCOUNT, script_name=script)
    assert made is not None
    assert got is not None
    assert [name] * 3 == [made.name, got.name, *(secret.name for secret in secrets.list(script, account_id=ACCOUNT))]

    assert secrets.bulk_update(script, account_id=ACCOUNT, secrets={name: None}) == {}
    secrets.update(script, account_id=ACCOUNT, name=name, text="x", type="secret_text")
    assert secrets.delete(name, account_id=ACCOUNT, script_name=script) is None
    assert list(secrets.list(script, account_id=ACCOUNT)) == []


@pytest.mark.parametrize("name", [*DOTS, ""])
def test_the_sdk_refuses_dots_and_empty_names_in_paths(
    client: Cloudflare, wire: Wire, script: str, name: str
) -> None:
    """The SDK raises ValueError before it sends a request, and nothing changes."""
    wire.put(script, "kept")
    secrets = client.workers.scripts.secrets

    with pytest.raises(ValueError, match=r"(?i)path|non-empty"):
        secrets.delete(name, account_id=ACCOUNT, script_name=script)
    with pytest.raises(ValueError, match=r"(?i)path|non-empty"):
        secrets.get(name, account_id=ACCOUNT, script_name=script)

    assert wire.names(script) == ["kept"]


@pytest.mark.parametrize("name", DOTS)
def test_names_of_dots_can_be_put_and_deleted_by_body(client: Cloudflare, script: str, name: str) -> None:
    """A name that cannot be in a path can still be put, listed and deleted."""
    secrets = client.workers.scripts.secrets
    secrets.update(script, account_id=ACCOUNT, name=name, text="x", type="secret_text")
    assert [secret.name for secret in secrets.list(script, account_id=ACCOUNT)] == [name]
    assert secrets.bulk_update(script, account_id=ACCOUNT, secrets={name: None}) == {}
