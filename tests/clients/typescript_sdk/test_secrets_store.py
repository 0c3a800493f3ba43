"""`client.secretsStore` of the official TypeScript SDK."""

from collections.abc import Iterator

import pytest
from tests.clients.node.tools import TypeScript
from tests.clients.stored_values import opened_stored
from tests.clients.typescript_sdk.calls import Resource, here
from tests.server import Server


@pytest.fixture
def stores(typescript: TypeScript) -> Resource:
    """Return the resource."""
    return Resource(typescript, "secretsStore.stores")


@pytest.fixture
def store(stores: Resource) -> Iterator[str]:
    """Yield the id of the account's only store."""
    store_id = stores.call("create", here(name="typescript"))["id"]
    yield store_id
    assert stores.call("delete", store_id, here(force=True)) is None


def new(name: str, value: str) -> dict[str, object]:
    """Return a secret of a store to create."""
    return {"name": name, "value": value, "scopes": ["workers"]}


def test_store_secrets_are_created_changed_and_deleted(
    server: Server, stores: Resource, store: str, typescript: TypeScript
) -> None:
    """Secrets are created, listed, read, changed, duplicated and deleted; no answer has a value."""
    at = here(store_id=store)
    made = stores.call("secrets.create", store, here(body=[new("A", "one"), new("B", "two")]))
    first, second = [secret["id"] for secret in made]
    twin = stores.call("secrets.duplicate", first, at | {"name": "TWIN", "scopes": ["workers"]})
    edited = stores.call("secrets.edit", first, at | {"value": "three", "comment": "changed"})

    assert {"A": "three", "B": "two", "TWIN": "one"} == opened_stored(server.safe, store)
    assert ("changed", False) == (edited["comment"], "value" in edited)
    assert [edited, twin] == [stores.call("secrets.get", secret["id"], at) for secret in (edited, twin)]
    assert [edited, made[1], twin] == stores.call("secrets.list", store, here(per_page=1, order="name"))
    assert [made[1]] == stores.call("secrets.list", store, here(search="b"))
    assert made[1] in stores.call("secrets.list", store, here(scopes=["workers"]))
    assert "deleted" == stores.call("secrets.delete", second, at)["status"]
    assert (404, [1001]) == stores.refused("secrets.get", second, at)
    assert (400, [10021]) == stores.refused("secrets.bulkDelete", store, here())
    assert {"secrets": {"quota": 100, "usage": 2}} == typescript.call("secretsStore.quota.get", here())


def test_an_account_has_one_store(stores: Resource, store: str) -> None:
    """A second store is refused, and a used store is deleted only with force."""
    stores.call("secrets.create", store, here(body=[new("A", "one")]))
    assert (400, [1003]) == stores.refused("create", here(name="another"))
    assert (400, [1003]) == stores.refused("delete", store, here())
    assert (400, [1003]) == stores.refused("secrets.create", store, here(body=[new("B", "x"), new("A", "x")]))
    assert [stores.call("get", store, here())] == stores.call("list", here())
    assert (404, [1001]) == stores.refused("get", "0" * 32, here())
