"""`client.secrets_store`: the account's store and its secrets."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cloudflare import APIStatusError, BadRequestError, Cloudflare, NotFoundError
from tests.clients.python_sdk.tools.workers import codes, every, fields, upload
from tests.clients.stored_values import opened_stored
from tests.server import ACCOUNT, Server


@pytest.fixture
def store(client: Cloudflare) -> Iterator[str]:
    """Yield the account's only store, which is deleted with its secrets at the end."""
    made = client.secrets_store.stores.create(account_id=ACCOUNT, name="python")
    assert made is not None
    assert made.name == "python"
    yield made.id
    assert client.secrets_store.stores.delete(made.id, account_id=ACCOUNT, force=True) is None


def new(name: str, value: str, comment: str = "") -> Any:
    """Return a secret to create."""
    return {"name": name, "value": value, "scopes": ["workers"], "comment": comment}


def make(client: Cloudflare, store: str, *secrets: Any) -> list[str]:
    """Create secrets; return their ids."""
    made = every(client.secrets_store.stores.secrets.create(store, account_id=ACCOUNT, body=secrets))
    return [secret.id for secret in made]


def test_an_account_has_one_store(client: Cloudflare, store: str) -> None:
    """The store is listed and read; a second store, and the deletion of a used one without force, are refused."""
    stores = client.secrets_store.stores
    make(client, store, new("A", "x"))
    calls: list[Callable[[], Any]] = [
        lambda: stores.create(account_id=ACCOUNT, name="python"),
        lambda: stores.create(account_id=ACCOUNT, name="another"),
        lambda: stores.delete(store, account_id=ACCOUNT),
    ]
    for call in calls:
        with pytest.raises(BadRequestError) as raised:
            call()
        assert (400, [1003]) == codes(raised.value)

    [listed] = every(stores.list(account_id=ACCOUNT, per_page=1))
    assert (store, ACCOUNT) == (listed.id, listed.account_id)
    assert fields(listed) == fields(stores.get(store, account_id=ACCOUNT))
    quota = client.secrets_store.quota.get(account_id=ACCOUNT)
    assert quota is not None
    assert (100, 1) == (quota.secrets.quota, quota.secrets.usage)


def test_a_store_secret_is_created_changed_and_deleted(server: Server, client: Cloudflare, store: str) -> None:
    """A secret is created, read, changed, duplicated with its value and deleted; no answer has the value."""
    secrets = client.secrets_store.stores.secrets
    first, second = make(client, store, new("A", "one", "the first"), new("B", "two"))
    at: Any = {"account_id": ACCOUNT, "store_id": store}

    twin = secrets.duplicate(first, **at, name="TWIN", scopes=["workers", "ai_gateway"], comment="the same")
    edited = secrets.edit(first, **at, value="three", comment="changed")
    scoped = secrets.edit(second, **at, scopes=["ai_gateway"])

    assert {"A": "three", "B": "two", "TWIN": "one"} == opened_stored(server.safe, store)
    assert edited is not None
    assert ("A", "changed", ["workers"]) == (edited.name, edited.comment, edited.scopes)
    got = secrets.get(first, **at)
    assert fields(edited) == fields(got)
    assert not {"value", "text"} & set(fields(got))
    assert twin is not None
    assert fields(twin) == fields(secrets.get(twin.id, **at))
    gone: Any = secrets.delete(first, **at)
    assert (first, "deleted") == (gone["id"], gone["status"])
    assert ["TWIN", "B"] == [
        secret.name for secret in every(secrets.list(**at, order="name", direction="desc", per_page=1))
    ]
    assert [fields(scoped)] == fields(every(secrets.list(**at, search="b")))
    assert ["TWIN"] == [secret.name for secret in every(secrets.list(**at, scopes=["workers", "ai_gateway"]))]


def test_one_invalid_secret_refuses_all(server: Server, client: Cloudflare, store: str) -> None:
    """One invalid secret refuses all secrets of a call, and no refusal contains a value."""
    secrets = client.secrets_store.stores.secrets
    [first] = make(client, store, new("A", "one"))
    at: Any = {"account_id": ACCOUNT, "store_id": store}
    nowhere: Any = {"account_id": ACCOUNT, "store_id": "0" * 32}
    calls: list[tuple[int, int, Callable[[], Any]]] = [
        (400, 1003, lambda: make(client, store, new("B", "a value"), new("A", "a value"))),
        (400, 1003, lambda: make(client, store, new("B", "a value"), new("B", "a value"))),
        (400, 10021, lambda: make(client, store, new("B", "a value"), new("no name", "a value"))),
        (400, 10021, lambda: make(client, store, new("B", "a value"), {**new("C", "a value"), "scopes": ["none"]})),
        (400, 1001, lambda: make(client, store, new("B", "a value" * 10_000))),
        (400, 1003, lambda: make(client, store, *(new(f"S{number}", "a value") for number in range(100)))),
        (400, 1003, lambda: secrets.duplicate(first, **at, name="A", scopes=["workers"])),
        (400, 10021, lambda: secrets.bulk_delete(**at)),
        (404, 1001, lambda: secrets.get("0" * 32, **at)),
        (404, 1001, lambda: secrets.edit("0" * 32, **at, value="a value")),
        (404, 1001, lambda: secrets.delete("0" * 32, **at)),
        (404, 1001, lambda: secrets.get(first, **nowhere)),
        (404, 1001, lambda: every(secrets.list(**nowhere))),
        (404, 1001, lambda: make(client, "0" * 32, new("B", "a value"))),
    ]
    for status, code, call in calls:
        with pytest.raises(APIStatusError) as raised:
            call()
        assert (status, [code]) == codes(raised.value)
        assert "a value" not in str(raised.value)
    assert {"A": "one"} == opened_stored(server.safe, store)


def test_a_script_may_bind_a_store_secret(client: Cloudflare, store: str, absent_script: str) -> None:
    """A script can bind a secret of the store by store id and name; that does not create a secret of the script."""
    make(client, store, new("A", "one"))
    bound = {"type": "secrets_store_secret", "name": "FROM_STORE", "store_id": store, "secret_name": "A"}
    upload(client, absent_script, bound)

    settings = client.workers.scripts.script_and_version_settings.get(absent_script, account_id=ACCOUNT)
    assert [bound] == fields(settings)["bindings"]
    assert [] == every(client.workers.scripts.secrets.list(absent_script, account_id=ACCOUNT))


def test_without_a_store_the_list_is_empty(client: Cloudflare) -> None:
    """Without a store the list is empty, and paths of an absent store give 1001."""
    assert [] == every(client.secrets_store.stores.list(account_id=ACCOUNT))
    with pytest.raises(NotFoundError) as raised:
        client.secrets_store.stores.get("0" * 32, account_id=ACCOUNT)
    assert (404, [1001]) == codes(raised.value)
